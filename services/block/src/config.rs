//! The block store's section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use crate::segment::MAX_BLOCK_BYTES;

/// Where a store is and what it may take.
#[derive(Clone, Debug)]
pub struct Config {
    /// Data directories, one a disk.
    pub directories: Vec<PathBuf>,
    /// Where the index is; by default in the first directory the store was made with.
    pub index_directory: Option<PathBuf>,
    pub max_block_size: u64,
    pub segment_size: u64,
    pub reserve: u64,
    pub grace: Duration,
    pub index_memory: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            index_directory: None,
            max_block_size: 1024 * 1024,
            segment_size: 256 * 1024 * 1024,
            reserve: 256 * 1024 * 1024,
            grace: Duration::from_secs(24 * 3600),
            index_memory: 8 * 1024 * 1024,
        }
    }
}

impl Config {
    pub(crate) fn max_block_bytes(&self) -> u32 {
        u32::try_from(self.max_block_size).unwrap_or(u32::MAX).clamp(1, MAX_BLOCK_BYTES)
    }

    pub(crate) fn grace_ms(&self) -> u64 {
        u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn index_memory_bytes(&self) -> usize {
        usize::try_from(self.index_memory).unwrap_or(usize::MAX)
    }
}
