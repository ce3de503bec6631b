//! The table's section of the configuration.

use std::path::PathBuf;

/// Where the store is and what it may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The database's directory.
    pub directory: PathBuf,
    /// Bytes for memtables and cached blocks together.
    pub memory: u64,
    /// Bytes of free disk kept for deletes: new values are refused below it.
    pub reserve: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { directory: PathBuf::new(), memory: 16 * 1024 * 1024, reserve: 256 * 1024 * 1024 }
    }
}
