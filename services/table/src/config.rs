//! The table's section of the configuration.

use std::path::PathBuf;

use cairn_daemon::{NodeConfig, Size};
use cairn_workers::LifecycleConfig;
use serde::{Deserialize, Serialize};

/// The whole file of a table that runs by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub node: NodeConfig,
    pub table: Config,
}

/// Where a store is and what it may take. `directory` is the one field without a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The database's directory; an empty one becomes a new store.
    pub directory: PathBuf,
    /// Weight in the layout; without it, the size of the file system.
    pub capacity: Option<Size>,
    /// Free space kept for deletes: new values are refused while less is left.
    pub reserve: Size,
    /// Memory for buffered writes and cached rows together.
    pub memory: Size,
    /// Applies lifecycle rules to the buckets of which this store is the first live replica.
    pub lifecycle: LifecycleConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            capacity: None,
            reserve: Size(256 << 20),
            memory: Size(8 << 20),
            lifecycle: LifecycleConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_short_but_not_wrong() {
        let config: Config = toml::from_str("directory = '/a'\nreserve = '1GiB'").unwrap();
        assert_eq!((config.reserve.bytes(), config.memory.bytes()), (1 << 30, 8 << 20));
        assert!(toml::from_str::<Config>("directories = ['/a']").is_err());
    }
}
