//! How a machine gets its place in a cluster: its configuration file, and the cluster's secret by `--init` or a token.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use cairn_daemon::{Period, make_directory, replace_file};
use cairn_rpc::ClusterSecret;
use cairn_types::SystemEntropy;
use serde::Serialize;

use crate::locate::SECRET_FILE;

/// The configuration file inside a node's directory.
pub(crate) const CONFIG_FILE: &str = "cairn.toml";

/// What `cairn server` is told by a file that `--init`, `--join-file` and `dev` write; `server.rs` reads it.
#[derive(Serialize, Debug)]
pub(crate) struct Setup {
    roles: Vec<String>,
    node: NodeSection,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<Directory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<Table>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<Directories>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Gateway>,
}

#[derive(Serialize, Debug)]
struct NodeSection {
    name: String,
    zone: String,
    listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<String>,
    config_dir: PathBuf,
    secret_file: PathBuf,
    membership: Vec<String>,
}

#[derive(Serialize, Debug)]
struct Directory {
    directory: PathBuf,
}

#[derive(Serialize, Debug)]
struct Table {
    directory: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifecycle: Option<Lifecycle>,
}

#[derive(Serialize, Debug)]
struct Lifecycle {
    period: Period,
}

#[derive(Serialize, Debug)]
struct Directories {
    directories: Vec<PathBuf>,
}

#[derive(Serialize, Debug)]
struct Gateway {
    listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<Web>,
}

/// Where a gateway serves web sites.
#[derive(Clone, Serialize, Debug)]
pub(crate) struct Web {
    /// host:port
    pub(crate) listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root_domain: Option<String>,
}

/// A process's place, as a person or `dev` says it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) roles: Vec<String>,
    /// gRPC, host:port.
    pub(crate) listen: String,
    pub(crate) advertise: Option<String>,
    /// S3, host:port; used where `gateway` is among the roles.
    pub(crate) s3_listen: String,
    /// Likewise; none: nowhere.
    pub(crate) web: Option<Web>,
    /// Membership daemons, host:port.
    pub(crate) membership: Vec<String>,
    /// The process's own directory: configuration and what the machine knows of itself.
    pub(crate) dir: PathBuf,
    /// Shared by the processes of a machine.
    pub(crate) secret_file: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// How often lifecycle rules are applied, where `table` is among the roles; none: as usual.
    pub(crate) lifecycle_period: Option<Period>,
}

impl Place {
    /// Writes the configuration file into the place's directory.
    pub(crate) fn write_config(&self) -> Result<PathBuf> {
        make_directory(&self.dir).with_context(|| format!("creating {}", self.dir.display()))?;
        let path = self.dir.join(CONFIG_FILE);
        let text = toml::to_string(&self.setup()).context("writing the configuration")?;
        replace_file(&path, text.as_bytes(), 0o600).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn setup(&self) -> Setup {
        let has = |role: &str| self.roles.iter().any(|mine| mine == role);
        let directory = |role: &str| has(role).then(|| Directory { directory: self.data_dir.join(role) });
        Setup {
            roles: self.roles.clone(),
            node: NodeSection {
                name: self.name.clone(),
                zone: self.zone.clone(),
                listen: self.listen.clone(),
                advertise: self.advertise.clone(),
                config_dir: self.dir.join("machine"),
                secret_file: self.secret_file.clone(),
                membership: self.membership.clone(),
            },
            membership: directory("membership"),
            table: has("table").then(|| Table {
                directory: self.data_dir.join("table"),
                lifecycle: self.lifecycle_period.map(|period| Lifecycle { period }),
            }),
            block: has("block").then(|| Directories { directories: vec![self.data_dir.join("block")] }),
            gateway: has("gateway").then(|| Gateway { listen: self.s3_listen.clone(), web: self.web.clone() }),
        }
    }
}

/// Refuses a directory that anything was ever kept in: `--init` and `--join-file` are for new machines.
pub(crate) fn ensure_unused(dir: &Path, secret_file: &Path, data_dir: &Path) -> Result<()> {
    for used in [secret_file.to_owned(), data_dir.to_owned(), dir.join("machine")] {
        ensure!(
            !used.exists(),
            "{} exists: this machine belongs to a cluster already; start it without --init and --join-file",
            used.display()
        );
    }
    Ok(())
}

/// Makes a new cluster's secret.
pub(crate) fn create_secret(secret_file: &Path) -> Result<()> {
    create_parent(secret_file)?;
    ClusterSecret::random(&SystemEntropy).create(secret_file)?;
    Ok(())
}

/// Keeps the secret that a cluster handed over.
pub(crate) fn keep_secret(secret_file: &Path, secret: &ClusterSecret) -> Result<()> {
    create_parent(secret_file)?;
    secret.create(secret_file)?;
    Ok(())
}

fn create_parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("a secret file lies in a directory")?;
    make_directory(parent).with_context(|| format!("creating {}", parent.display()))
}

/// The token for `--join-file`: a file, or standard input for `-`.
pub(crate) fn read_token(path: &Path) -> Result<String> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("reading the token from standard input")?
    } else {
        fs::read_to_string(path).with_context(|| format!("reading the token {}", path.display()))?
    };
    Ok(text.trim().to_owned())
}

/// This machine's name, for a node that was given none.
pub(crate) fn host_name() -> Result<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    ensure!(!plain.is_empty(), "this machine has no usable host name; give the node one with --name");
    Ok(plain)
}

/// The usual places inside one data directory.
pub(crate) fn secret_in(dir: &Path) -> PathBuf {
    dir.join(SECRET_FILE)
}

/// Says early what would otherwise fail late.
pub(crate) fn check_address(what: &str, address: &str) -> Result<()> {
    let named = address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    ensure!(address.parse::<SocketAddr>().is_ok() || named, "{what} must be host:port, not {address:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path, roles: &[&str]) -> Place {
        Place {
            name: "a".to_owned(),
            zone: "z".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            s3_listen: "127.0.0.1:0".to_owned(),
            web: None,
            membership: vec!["127.0.0.1:1".to_owned()],
            dir: dir.to_owned(),
            secret_file: secret_in(dir),
            data_dir: dir.join("data"),
            lifecycle_period: None,
        }
    }

    #[test]
    fn only_hosted_roles_have_sections() {
        let dir = tempfile::tempdir().unwrap();
        let path = place(dir.path(), &["table", "gateway"]).write_config().unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains("[table]") && text.contains("[gateway]") && !text.contains("[block]"), "{text}");
    }

    #[test]
    fn used_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, data) = (secret_in(dir.path()), dir.path().join("data"));
        ensure_unused(dir.path(), &secret, &data).unwrap();
        create_secret(&secret).unwrap();
        assert!(ensure_unused(dir.path(), &secret, &data).is_err());
        assert!(create_secret(&secret).is_err());
    }

    #[test]
    fn addresses_are_checked() {
        for good in ["127.0.0.1:80", "[::1]:0", "oslo.example:3901"] {
            assert!(check_address("x", good).is_ok(), "{good}");
        }
        for bad in ["", "oslo", ":80", "oslo:http", "1.2.3.4:99999"] {
            assert!(check_address("x", bad).is_err(), "{bad}");
        }
    }
}
