//! The gateway's section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use cairn_daemon::{NodeConfig, Period, Size};
use serde::{Deserialize, Serialize};

use crate::proxies::Network;

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
    /// Serve HTTPS.
    pub tls: Option<Tls>,
    /// Take customers' encryption keys (SSE-C) over plain HTTP from other machines too: only where a proxy on a
    /// trusted network speaks TLS to clients. Without it, over TLS and from this machine alone.
    pub customer_keys_over_http: bool,
    /// Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Write a line for each request to the log, target `access`.
    pub access_log: bool,
    /// Serve web sites; without it, none.
    pub web: Option<Web>,
    pub limits: Limits,
}

/// Where web sites are served: those of buckets that have a website configuration, to anyone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// `host:port`; port 0 chooses one.
    pub listen: String,
    /// `BUCKET.root_domain` is the bucket's site; besides, a bucket's name or alias that is the whole host is.
    #[serde(default)]
    pub root_domain: Option<String>,
    /// Serve HTTPS.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// Certificates of a listener, by the host names that stand in them. The files are read again when they change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain that is used where the client names no host, or one that no certificate is for. PEM.
    pub certificate: PathBuf,
    /// Its key. PEM.
    pub key: PathBuf,
    /// Further certificates, for the hosts they name; where two name the same, the first.
    #[serde(default)]
    pub hosts: Vec<HostCertificate>,
    /// End the handshake where the client names a host that no certificate is for.
    #[serde(default)]
    pub refuse_unknown_hosts: bool,
    /// How often the files' times are looked at.
    #[serde(default = "reload_every")]
    pub reload_every: Period,
}

/// A chain and its key, both PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

const fn reload_every() -> Period {
    Period(Duration::from_secs(10))
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
            trusted_proxies: Vec::new(),
            access_log: true,
            web: None,
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
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let config = Config { root_domain: Some("s3.example.org".to_owned()), trusted_proxies, ..Config::default() };
        let again: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{config:?}"));
        assert!(toml::from_str::<Config>("lisen = 'x'").is_err());
        assert!(toml::from_str::<Config>("trusted_proxies = ['proxy.example']").is_err());
    }

    #[test]
    fn certificates_stand_by_host() {
        let config: Config = toml::from_str(
            "[tls]\ncertificate = 'a'\nkey = 'b'\n[[tls.hosts]]\ncertificate = 'c'\nkey = 'd'\n\
             [web]\nlisten = '127.0.0.1:0'\nroot_domain = 'web.example'",
        )
        .unwrap();
        let tls = config.tls.unwrap();
        assert_eq!((tls.hosts.len(), tls.refuse_unknown_hosts, tls.reload_every), (1, false, reload_every()));
        assert!(config.web.unwrap().tls.is_none());
    }
}
