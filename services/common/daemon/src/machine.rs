//! What a machine knows of itself: its secret, and which store lives in which data directory (DESIGN §2).
//!
//! - **D1** A data directory that is empty, or holds another store, where a store is recorded, is never served
//!   (`lost_and_exchanged_directories_are_refused`): a fresh database under an old name would break REGISTER D3.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cairn_rpc::{ClusterSecret, SecretError};
use cairn_types::{NodeName, StoreId};
use serde::{Deserialize, Serialize};

use crate::files::{make_directory, replace_file, sync_directory};
use crate::watermark::Watermark;

const SECRET_FILE: &str = "secret";
const VIEW_FILE: &str = "view";
const STORES: &str = "stores";

/// Why a machine's directory does not fit its data.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[error("cannot use the configuration directory {path}")]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the record {path} is damaged")]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "store {expected} of {name} is recorded at {directory}, but that directory is empty: mount the disk, or start \
         with --new-store {name} if its data is lost for ever"
    )]
    Empty { name: NodeName, expected: StoreId, directory: PathBuf },
    #[error(
        "store {expected} of {name} is recorded, but {directory} holds store {found}: mount the right disk, or start \
         with --new-store {name} to use this one instead"
    )]
    Other { name: NodeName, expected: StoreId, found: StoreId, directory: PathBuf },
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A machine's configuration directory.
#[derive(Clone, Debug)]
pub struct Machine {
    path: PathBuf,
    secret_file: PathBuf,
}

/// A store as the machine remembers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Recorded {
    #[serde(with = "store_id")]
    store_id: StoreId,
    directory: PathBuf,
}

/// Store ids as hexadecimal text.
pub(crate) mod store_id {
    use cairn_types::StoreId;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(store: &StoreId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(store)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Machine {
    /// Opens the directory, made with mode 0700 where it is missing. `secret_file` may lie elsewhere.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(path: &Path, secret_file: Option<&Path>) -> Result<Self, MachineError> {
        let stores = path.join(STORES);
        make_directory(&stores).map_err(|source| MachineError::Directory { path: stores, source })?;
        let secret_file = secret_file.map_or_else(|| path.join(SECRET_FILE), Path::to_owned);
        Ok(Self { path: path.to_owned(), secret_file })
    }

    #[must_use]
    pub fn secret_file(&self) -> &Path {
        &self.secret_file
    }

    /// Where the newest view is kept.
    #[must_use]
    pub fn view_file(&self) -> PathBuf {
        self.path.join(VIEW_FILE)
    }

    /// # Errors
    /// The file is missing, readable by others, or not one secret.
    pub fn secret(&self) -> Result<ClusterSecret, MachineError> {
        Ok(ClusterSecret::load(&self.secret_file)?)
    }

    /// The store recorded for node `name`.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn recorded(&self, name: &NodeName) -> Result<Option<StoreId>, MachineError> {
        Ok(self.read(name)?.map(|recorded| recorded.store_id))
    }

    /// Checks, before a store is made or served, that `directory` holds the store recorded for `name`. `found` is the id
    /// it holds; none: it is empty. Nothing recorded: anything goes, and [`Self::record`] follows.
    ///
    /// # Errors
    /// [`MachineError::Empty`] or [`MachineError::Other`]; the process must not serve.
    pub fn check(&self, name: &NodeName, directory: &Path, found: Option<StoreId>) -> Result<(), MachineError> {
        let Some(expected) = self.recorded(name)? else { return Ok(()) };
        let (name, directory) = (name.clone(), directory.to_owned());
        match found {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(MachineError::Other { name, expected, found, directory }),
            None => Err(MachineError::Empty { name, expected, directory }),
        }
    }

    /// Remembers, durably, that node `name` is `store` in `directory`.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record(&self, name: &NodeName, directory: &Path, store: StoreId) -> Result<(), MachineError> {
        let recorded = Recorded { store_id: store, directory: directory.to_owned() };
        if self.read(name)?.as_ref() == Some(&recorded) {
            return Ok(());
        }
        let path = self.file(name);
        let text = serde_json::to_vec_pretty(&recorded)
            .map_err(|source| MachineError::Damaged { path: path.clone(), source })?;
        replace_file(&path, &text, 0o600).map_err(|source| MachineError::Directory { path, source })
    }

    /// Forgets the store of `name`: what stands there next registers as a new one (`--new-store NAME`).
    ///
    /// # Errors
    /// The record cannot be removed.
    pub fn forget(&self, name: &NodeName) -> Result<(), MachineError> {
        let path = self.file(name);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => sync_directory(&path),
        };
        removed.map_err(|source| MachineError::Directory { path, source })
    }

    /// How far the store of `name` had come; a mark of a forgotten store says nothing about the next.
    #[must_use]
    pub fn watermark(&self, name: &NodeName) -> Watermark {
        Watermark::at(self.path.join(STORES).join(format!("{name}.mark")))
    }

    /// Node names hold letters, digits, `-`, `_` and `.`: no path.
    fn file(&self, name: &NodeName) -> PathBuf {
        self.path.join(STORES).join(format!("{name}.json"))
    }

    fn read(&self, name: &NodeName) -> Result<Option<Recorded>, MachineError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|source| MachineError::Damaged { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MachineError::Directory { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> (tempfile::TempDir, Machine, NodeName) {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::open(&directory.path().join("config"), None).unwrap();
        (directory, machine, "oslo-table".parse().unwrap())
    }

    #[test]
    fn lost_and_exchanged_directories_are_refused() {
        let (_directory, machine, name) = machine();
        let (data, one, other) = (Path::new("/data"), StoreId([1; 16]), StoreId([2; 16]));
        machine.check(&name, data, None).unwrap();
        machine.check(&name, data, Some(one)).unwrap();
        machine.record(&name, data, one).unwrap();

        machine.check(&name, data, Some(one)).unwrap();
        machine.check(&name, Path::new("/moved"), Some(one)).unwrap();
        assert!(matches!(machine.check(&name, data, None), Err(MachineError::Empty { .. })));
        assert!(matches!(machine.check(&name, data, Some(other)), Err(MachineError::Other { .. })));
        machine.check(&"other".parse().unwrap(), data, None).unwrap();

        machine.forget(&name).unwrap();
        machine.forget(&name).unwrap();
        machine.check(&name, data, None).unwrap();
        machine.record(&name, data, other).unwrap();
        assert_eq!(machine.recorded(&name).unwrap(), Some(other));
    }

    #[test]
    fn damaged_records_are_errors_not_absences() {
        let (_directory, machine, name) = machine();
        for text in ["{", "{}", r#"{"store_id":"12","directory":"/"}"#] {
            fs::write(machine.file(&name), text).unwrap();
            assert!(matches!(machine.check(&name, Path::new("/"), None), Err(MachineError::Damaged { .. })));
        }
    }
}
