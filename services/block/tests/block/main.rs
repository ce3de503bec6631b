//! The block store as its callers know it, on real directories.

mod collection;
mod damage;
mod directories;
mod fence;
mod recovery;
mod references;
mod round_trip;
mod support;
