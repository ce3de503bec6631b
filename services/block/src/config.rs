//! The block store's section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use cairn_daemon::{NodeConfig, Period, Size};
use serde::{Deserialize, Serialize};

use crate::segment::MAX_BLOCK_BYTES;

/// The whole file of a block store that runs by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub node: NodeConfig,
    pub block: Config,
}

/// Where a store is and what it may take. `directories` is the one field without a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Data directories, one a disk; empty ones are made part of the store.
    pub directories: Vec<PathBuf>,
    /// Where the index is; without it, in the directory the store was made with. Best on a fast disk.
    pub index_directory: Option<PathBuf>,
    /// Weight in the layout; without it, what the disks can hold now.
    pub capacity: Option<Size>,
    /// Free space that writes leave on each disk, so that deletes always work.
    pub reserve: Size,
    /// The largest block taken: the cluster's block size, at most 4 MiB.
    pub max_block: Size,
    /// A segment that has grown to it is followed by another.
    pub segment_size: Size,
    /// How long a block stays after its last reference went.
    pub grace: Period,
    /// Memory of the index: buffered writes and cached parts of it.
    pub index_memory: Size,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            index_directory: None,
            capacity: None,
            reserve: Size(256 << 20),
            max_block: Size(1 << 20),
            segment_size: Size(256 << 20),
            grace: Period(Duration::from_secs(24 * 3600)),
            index_memory: Size(8 << 20),
        }
    }
}

impl Config {
    pub(crate) fn max_block_bytes(&self) -> u32 {
        u32::try_from(self.max_block.bytes()).unwrap_or(u32::MAX).clamp(1, MAX_BLOCK_BYTES)
    }

    pub(crate) fn grace_ms(&self) -> u64 {
        u64::try_from(self.grace.0.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn index_memory_bytes(&self) -> usize {
        usize::try_from(self.index_memory.bytes()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_short_but_not_wrong() {
        let config: Config = toml::from_str("directories = ['/a', '/b']\nreserve = '1GiB'\ngrace = '12h'").unwrap();
        assert_eq!((config.directories.len(), config.reserve.bytes()), (2, 1 << 30));
        assert_eq!((config.grace_ms(), config.max_block_bytes()), (12 * 3600 * 1000, 1 << 20));
        assert!(toml::from_str::<Config>("directory = '/a'").is_err());
    }
}
