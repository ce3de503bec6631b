//! The membership daemon's section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use cairn_daemon::{NodeConfig, Period};
use serde::Deserialize;

/// `[membership]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Directory of the state file: what this daemon promised and learned. It must survive; a lost one is a new store.
    pub directory: PathBuf,
    /// Make a new cluster, if the directory is a new one: on the first machine of a cluster, and only there.
    #[serde(default)]
    pub init: bool,
    /// A change of the layout that has not ended for so long has lost whoever made it, and is undone.
    #[serde(default = "default_change_timeout")]
    pub change_timeout: Period,
}

const fn default_change_timeout() -> Period {
    Period(Duration::from_secs(30))
}

/// The file of the stand-alone daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// `node.membership` names other membership daemons; only a beginning: those met later are remembered.
    pub node: NodeConfig,
    pub membership: Config,
}
