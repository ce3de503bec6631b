//! Values that merge in any order: where order does not matter, copies are joined and never coordinated (DESIGN §4).
//!
//! Promises: joining is commutative, associative and idempotent (`tests/laws.rs`), so copies that have seen the same
//! changes are equal, in whatever order, however often and over whichever way they came. Does no I/O and knows no
//! time. Where order matters (a head, a name, a layout) a value of this crate would lose somebody's write: use a
//! register.

mod counter;
mod lww;
mod two_phase;

pub use counter::GrowCounter;
pub use lww::{LwwMap, Stamp, Stamped};
pub use two_phase::TwoPhaseSet;

/// A join semilattice.
pub trait Join {
    /// Takes in what `other` knows. Answers whether anything was new.
    fn join(&mut self, other: Self) -> bool;
}
