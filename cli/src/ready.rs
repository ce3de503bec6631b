//! The ready file: what a running cluster or process serves, as JSON.
//!
//! - **F1** It exists only while what it describes serves: written beside and renamed, mode 0600 (it holds a secret
//!   key), removed at start and at a clean stop. Tested by `ready_file_is_private_and_whole`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cairn_daemon::replace_file;
use serde::{Deserialize, Serialize};

/// What `cairn dev` writes when the cluster serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) s3_endpoint: Option<String>,
    pub(crate) web_endpoint: Option<String>,
    pub(crate) admin_endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) bucket: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) nodes: Vec<ReadyNode>,
}

/// One role of one process; roles in one process share pid, `grpc` and `argv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadyNode {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) zone: String,
    /// None where the role keeps nothing.
    pub(crate) store_id: Option<String>,
    pub(crate) pid: u32,
    /// host:port.
    pub(crate) grpc: String,
    /// A gateway's own S3 endpoint.
    pub(crate) s3: Option<String>,
    /// Where a gateway serves web sites.
    #[serde(default)]
    pub(crate) web: Option<String>,
    /// Starts that process again by itself.
    pub(crate) argv: Vec<String>,
}

/// What `cairn server` writes: its own roles, and where the secret is for those who may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessReady {
    pub(crate) secret_file: PathBuf,
    pub(crate) nodes: Vec<ReadyNode>,
}

/// Writes `value` to `path` as JSON: whole or not at all, readable by its owner alone.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    write_secret(path, &serde_json::to_string_pretty(value)?)
}

/// Writes a line of `text` to `path`: whole or not at all, readable by its owner alone.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    replace_file(path, format!("{text}\n").as_bytes(), 0o600)
}

/// Removes `path`; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn ready_file_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let value = ProcessReady { secret_file: "/s".into(), nodes: Vec::new() };
        write(&path, &value).unwrap();
        write(&path, &value).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(serde_json::from_slice::<ProcessReady>(&fs::read(&path).unwrap()).unwrap(), value);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }
}
