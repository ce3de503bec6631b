//! How far a store had come, kept where its database is not (REGISTER D4).
//!
//! - **M1** A mark is written after what it stands for is durable, so that no crash leaves a store behind its mark
//!   (`durability`: power cuts).
//! - **M2** A store that is behind its mark is an older copy of itself and is never served
//!   (`a_store_behind_its_mark_is_refused`).

use std::fs;
use std::io;
use std::path::PathBuf;

use cairn_types::StoreId;
use serde::{Deserialize, Serialize};

use crate::files::replace_file;
use crate::machine::{MachineError, store_id};

/// How far a store has come. Neither number ever falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    #[serde(with = "store_id")]
    pub store: StoreId,
    /// Starts of the store.
    pub boots: u64,
    /// Of a write that is durable.
    pub sequence: u64,
}

impl Mark {
    /// True where a store that stands at `self` has been at `noted` before. Marks of other stores say nothing.
    #[must_use]
    pub fn is_behind(&self, noted: &Mark) -> bool {
        self.store == noted.store && (self.boots < noted.boots || self.sequence < noted.sequence)
    }
}

/// The file of one store's mark, in the machine's configuration directory.
#[derive(Clone, Debug)]
pub struct Watermark {
    path: PathBuf,
}

impl Watermark {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The last mark; none: none was written yet. Blocks on the disk.
    ///
    /// # Errors
    /// It cannot be read: what it would have refused is not known.
    pub fn read(&self) -> Result<Option<Mark>, MachineError> {
        let path = self.path.clone();
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|source| MachineError::Damaged { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MachineError::Directory { path, source }),
        }
    }

    /// Replaces the mark; durable on return. Blocks on the disk.
    ///
    /// # Errors
    /// The directory is full or not ours: the mark before it stays.
    pub fn write(&self, mark: &Mark) -> Result<(), MachineError> {
        let path = self.path.clone();
        let text = serde_json::to_vec(mark).map_err(|source| MachineError::Damaged { path: path.clone(), source })?;
        replace_file(&path, &text, 0o600).map_err(|source| MachineError::Directory { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_and_damaged_ones_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        let watermark = Watermark::at(directory.path().join("oslo-table.mark"));
        assert_eq!(watermark.read().unwrap(), None);
        let mark = Mark { store: StoreId([7; 16]), boots: 2, sequence: u64::MAX };
        watermark.write(&mark).unwrap();
        assert_eq!(watermark.read().unwrap(), Some(mark));
        fs::write(directory.path().join("oslo-table.mark"), "{").unwrap();
        assert!(matches!(watermark.read(), Err(MachineError::Damaged { .. })));
    }

    #[test]
    fn either_number_tells_an_older_copy() {
        let noted = Mark { store: StoreId([7; 16]), boots: 5, sequence: 100 };
        assert!(!noted.is_behind(&noted));
        assert!(!Mark { boots: 6, sequence: 103, ..noted }.is_behind(&noted));
        assert!(Mark { boots: 4, ..noted }.is_behind(&noted));
        assert!(Mark { sequence: 99, ..noted }.is_behind(&noted));
        assert!(!Mark { store: StoreId([8; 16]), boots: 1, sequence: 1 }.is_behind(&noted));
    }
}
