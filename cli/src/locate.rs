//! Which cluster a command is about: `--cluster`, `CAIRN_CLUSTER`, else the default dev directory.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::client::Client;
use crate::ready::ReadyNode;

/// The cluster secret's file inside a node's directory.
pub(crate) const SECRET_FILE: &str = "cluster.secret";

/// What is needed of either ready file: that of `cairn dev`, or of one `cairn server`.
#[derive(Deserialize, Debug)]
struct ReadyFile {
    data_dir: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    nodes: Vec<ReadyNode>,
}

/// What an operator's machine needs to reach a cluster; as TOML, a client configuration.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Location {
    /// The cluster secret (mode 0600).
    pub(crate) secret_file: PathBuf,
    /// gRPC addresses of gateways, host:port.
    gateways: Vec<String>,
    /// gRPC addresses of membership daemons, host:port.
    membership: Vec<String>,
    /// Processes on this machine, where a ready file names them.
    #[serde(skip)]
    pids: Vec<u32>,
}

impl Location {
    /// The cluster that `path` describes: a ready file, a data directory or a client configuration.
    pub(crate) fn find(path: Option<&Path>) -> Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_dev_dir()?,
        };
        let file = if path.is_dir() { path.join("ready.json") } else { path.clone() };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "no cluster runs at {}: start one with `cairn dev`, or name one with --cluster PATH or CAIRN_CLUSTER",
                path.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        if text.trim_start().starts_with('{') {
            let ready =
                serde_json::from_str(&text).with_context(|| format!("{} is not a ready file", file.display()))?;
            return Self::from_ready(ready);
        }
        toml::from_str(&text).with_context(|| format!("{} is not a client configuration", file.display()))
    }

    fn from_ready(ready: ReadyFile) -> Result<Self> {
        let addresses =
            |role: &str| ready.nodes.iter().filter(|node| node.role == role).map(|node| node.grpc.clone()).collect();
        let (gateways, membership) = (addresses("gateway"), addresses("membership"));
        let secret_file = match (ready.secret_file, ready.data_dir, ready.nodes.first()) {
            (Some(file), _, _) => file,
            (None, Some(dir), Some(first)) => dir.join(&first.name).join(SECRET_FILE),
            _ => bail!("the ready file names neither a secret nor a node"),
        };
        let mut pids: Vec<u32> = ready.nodes.iter().map(|node| node.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        Ok(Self { secret_file, gateways, membership, pids })
    }

    /// The cluster's processes on this machine, as far as a ready file names them.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    pub(crate) fn client(self) -> Result<Client> {
        Client::with_secret(&self.secret_file, self.gateways, self.membership)
    }
}

/// `$XDG_DATA_HOME/cairn/dev`, else `~/.local/share/cairn/dev`.
pub(crate) fn default_dev_dir() -> Result<PathBuf> {
    if let Some(data) = std::env::var_os("XDG_DATA_HOME").filter(|dir| !dir.is_empty()) {
        return Ok(PathBuf::from(data).join("cairn/dev"));
    }
    let home = std::env::var_os("HOME").filter(|dir| !dir.is_empty());
    let home = home.context("neither XDG_DATA_HOME nor HOME is set; name a directory with --data-dir")?;
    Ok(PathBuf::from(home).join(".local/share/cairn/dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_configuration_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.toml");
        fs::write(&path, "secret_file = '/s'\ngateways = ['a:1']\nmembership = ['b:2', 'c:3']\n").unwrap();
        let location = Location::find(Some(&path)).unwrap();
        assert_eq!((location.gateways.len(), location.membership.len()), (1, 2));
        fs::write(&path, "secret = 'x'\n").unwrap();
        assert!(Location::find(Some(&path)).is_err());
    }

    #[test]
    fn nothing_running_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let message = format!("{:#}", Location::find(Some(dir.path())).unwrap_err());
        assert!(message.contains("cairn dev"), "{message}");
    }
}
