//! Background work (DESIGN §5), run inside the processes of table stores as ordinary coordinators: what it changes, it
//! changes through the register like everybody else, and every step is a CAS, so two that do the same work at the same
//! time waste some of it and harm nothing.
//!
//! Today that is [`Lifecycle`], which lets objects and uploads go by the rules of their buckets. Who does which part is
//! decided by [`share`], without anybody's agreement; how far work has come stands in rows of the table `worker`, where
//! whoever is responsible next goes on (docs/adr/0015).

mod config;
mod lifecycle;
mod pace;
mod share;

pub use config::LifecycleConfig;
pub use lifecycle::{LIFECYCLE, Lifecycle, Walked};
