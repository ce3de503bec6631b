//! The gateway's section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use cairn_daemon::{NodeConfig, Period, Size};
use serde::{Deserialize, Serialize};

/// The whole file of a gateway that runs by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub node: NodeConfig,
    #[serde(default)]
    pub gateway: Config,
}

/// How a gateway listens and what it bounds. Every field has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where S3 is served, `host:port`; port 0 chooses one.
    pub listen: String,
    /// The URL clients are told to use, without a slash at its end; without it, the listener's address.
    pub advertise: Option<String>,
    /// The cluster's region.
    pub region: String,
    /// Refuse signatures whose scope names another region.
    pub check_region: bool,
    /// `BUCKET.root_domain` is virtual-host style; without it, path style only.
    pub root_domain: Option<String>,
    /// Serve HTTPS with these files, which are read again when they change.
    pub tls: Option<Tls>,
    /// Take customers' encryption keys (SSE-C) over plain HTTP from other machines too: only where a proxy on a
    /// trusted network speaks TLS to clients. Without it, over TLS and from this machine alone.
    pub customer_keys_over_http: bool,
    pub limits: Limits,
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Bounds; past one a request is refused or waits for a bounded time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open connections; more wait in the kernel's queue.
    pub connections: usize,
    /// Bodies in memory, of all requests together.
    pub body_memory: Size,
    /// For a request's headers to arrive; also how long an idle connection is kept.
    pub header_timeout: Period,
    /// Without progress of a body, in either direction, before it is given up.
    pub idle_timeout: Period,
    /// For one metadata operation (DESIGN §8).
    pub operation_timeout: Period,
    /// Of a request's line and headers.
    pub header_size: Size,
    /// Headers of a request.
    pub headers: usize,
    /// Blocks of one upload on their way to replicas.
    pub upload_blocks: usize,
    /// Blocks of one download fetched ahead.
    pub download_blocks: usize,
    /// What open requests get at a clean stop.
    pub drain: Period,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "[::]:3900".to_owned(),
            advertise: None,
            region: "cairn".to_owned(),
            check_region: false,
            root_domain: None,
            tls: None,
            customer_keys_over_http: false,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |seconds| Period(Duration::from_secs(seconds));
        Self {
            connections: 4096,
            body_memory: Size(256 << 20),
            header_timeout: seconds(20),
            idle_timeout: seconds(60),
            operation_timeout: seconds(30),
            header_size: Size(64 << 10),
            headers: 200,
            upload_blocks: 4,
            download_blocks: 2,
            drain: seconds(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_survive_writing_and_reading() {
        let config = Config { root_domain: Some("s3.example.org".to_owned()), ..Config::default() };
        let again: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{config:?}"));
        assert!(toml::from_str::<Config>("lisen = 'x'").is_err());
    }
}
