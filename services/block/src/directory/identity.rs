//! Who a data directory is: its synced `store` file, and what is refused at start.
//!
//! Every directory's file lists all directories of the store, so that one that is not there is missed even where the
//! index is lost. A directory is recorded with its path: an empty directory at that path is a disk that is not
//! mounted, and never becomes the old store again (DESIGN §2, REGISTER D3).

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use cairn_types::{Entropy, StoreId};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::{Directory, DirectoryNumber, make_directory, sync_directory};
use crate::segment::DirectoryId;

const FILE: &str = "store";
const TEMPORARY: &str = "store.tmp";
const VERSION: u32 = 1;

/// The `store` file, TOML.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreFile {
    version: u32,
    /// Of the store, hexadecimal.
    store: String,
    /// Which of `directories` this one is.
    number: u16,
    /// Rises with every change of `directories`.
    revision: u64,
    directories: Vec<Recorded>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    number: u16,
    /// Hexadecimal, 16 bytes.
    id: String,
    path: PathBuf,
}

/// Why a store is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("no data directory is configured")]
    NoDirectory,
    #[error(
        "{path} is empty, but store {store} is recorded there: is its disk mounted? To give this directory up, \
             configure another path; a new store needs new directories"
    )]
    Missing { path: PathBuf, store: String },
    #[error("store {0} is recorded, but none of its data directories is there")]
    StoreMissing(StoreId),
    #[error("{path} belongs to store {found}, not to store {expected}")]
    OtherStore { path: PathBuf, found: StoreId, expected: StoreId },
    #[error("{0} holds files but no store; data directories must be empty at first")]
    Foreign(PathBuf),
    #[error("{path} and {other} are the same data directory")]
    Twice { path: PathBuf, other: PathBuf },
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    #[error("{path} is not a store file: {why}")]
    Malformed { path: PathBuf, why: String },
    #[error("cannot use data directory {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no data directory can be used")]
    AllFailed,
    #[error(
        "the index of this store is in its first data directory, which is not there: configure `index_directory` \
             to rebuild it elsewhere"
    )]
    IndexLost,
    #[error("cannot open the index")]
    Index(#[source] cairn_store::Error),
    #[error("the index belongs to store {found}, the data directories to store {expected}")]
    ForeignIndex { found: StoreId, expected: StoreId },
    #[error("the index was written by a newer version ({0})")]
    IndexVersion(u32),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A store's directories, opened and locked.
pub(crate) struct Opened {
    pub(crate) store: StoreId,
    pub(crate) directories: Vec<Directory>,
    /// Configured paths that do not work, and why: their blocks are not here until they are back.
    pub(crate) failed: Vec<(PathBuf, String)>,
}

impl Opened {
    fn leave_out(&mut self, path: PathBuf, cause: &io::Error) {
        error!(directory = %path.display(), %cause, "data directory failed and is out of use");
        self.failed.push((path, cause.to_string()));
    }
}

/// What stands at a configured path.
enum Found {
    Known { file: StoreFile, lock: File },
    Empty,
    Failed(io::Error),
}

/// Opens the directories at `paths`: all of one store, which is `expected` if one is. Makes the store where all are
/// empty, and adds empty ones to a store that does not miss them.
pub(crate) fn open_all(
    paths: &[PathBuf],
    expected: Option<StoreId>,
    reserve: u64,
    entropy: &dyn Entropy,
) -> Result<Opened, OpenError> {
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let path = std::path::absolute(path).map_err(at(path))?;
        let what = inspect(&path)?;
        found.push((path, what));
    }
    if found.is_empty() {
        return Err(OpenError::NoDirectory);
    }
    let mut table = Table::of(&found, expected, entropy)?;
    table.add_new(&found, entropy)?;
    let mut opened = Opened { store: table.store, directories: Vec::new(), failed: Vec::new() };
    for (path, what) in found {
        let (number, lock) = match what {
            Found::Known { file, lock } => (file.number, Some(lock)),
            Found::Empty => (table.number_at(&path), None),
            Found::Failed(cause) => {
                opened.leave_out(path, &cause);
                continue;
            }
        };
        match table.open(number, path, lock, reserve) {
            Ok(directory) => opened.directories.push(directory),
            Err(OpenError::Io { path, source }) if is_disk_failure(&source) => opened.leave_out(path, &source),
            Err(error) => return Err(error),
        }
    }
    if opened.directories.is_empty() {
        return Err(OpenError::AllFailed);
    }
    for recorded in table.by_number.values() {
        if !opened.directories.iter().any(|directory| directory.number.0 == recorded.number) {
            error!(directory = %recorded.path.display(), "a data directory of this store is not there, nor are its blocks");
        }
    }
    Ok(opened)
}

/// The directories a store knows.
struct Table {
    store: StoreId,
    revision: u64,
    changed: bool,
    by_number: BTreeMap<u16, Recorded>,
}

impl Table {
    /// The newest table found, or the empty one of a new store.
    fn of(found: &[(PathBuf, Found)], expected: Option<StoreId>, entropy: &dyn Entropy) -> Result<Self, OpenError> {
        let mut newest: Option<(&StoreFile, StoreId)> = None;
        let mut seen: BTreeMap<u16, &PathBuf> = BTreeMap::new();
        for (path, what) in found {
            let Found::Known { file, .. } = what else { continue };
            let store = parse(path, file)?;
            if let Some(expected) = expected.or(newest.map(|(_, store)| store))
                && expected != store
            {
                return Err(OpenError::OtherStore { path: path.clone(), found: store, expected });
            }
            if let Some(other) = seen.insert(file.number, path) {
                return Err(OpenError::Twice { path: path.clone(), other: other.clone() });
            }
            if newest.is_none_or(|(newest, _)| newest.revision < file.revision) {
                newest = Some((file, store));
            }
        }
        match (newest, expected) {
            (Some((file, store)), _) => {
                let by_number = file.directories.iter().map(|recorded| (recorded.number, recorded.clone())).collect();
                Ok(Self { store, revision: file.revision, changed: false, by_number })
            }
            (None, Some(expected)) => Err(OpenError::StoreMissing(expected)),
            (None, None) => {
                let store = StoreId::random(entropy);
                Ok(Self { store, revision: 0, changed: false, by_number: BTreeMap::new() })
            }
        }
    }

    /// Records empty directories and new paths, first of all refusing those that should not be empty.
    fn add_new(&mut self, found: &[(PathBuf, Found)], entropy: &dyn Entropy) -> Result<(), OpenError> {
        for (path, what) in found {
            let recorded = self.by_number.values().any(|recorded| recorded.path == *path);
            if recorded && matches!(what, Found::Empty) {
                return Err(OpenError::Missing { path: path.clone(), store: self.store.to_string() });
            }
        }
        for (path, what) in found {
            match what {
                Found::Empty => {
                    let number = self.by_number.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
                    let mut id = [0; 16];
                    entropy.fill(&mut id);
                    let id = StoreId(id).to_string();
                    info!(directory = %path.display(), store = %self.store, "new data directory");
                    self.by_number.insert(number, Recorded { number, id, path: path.clone() });
                    self.changed = true;
                }
                Found::Known { file, .. } => {
                    if let Some(recorded) = self.by_number.get_mut(&file.number)
                        && recorded.path != *path
                    {
                        recorded.path.clone_from(path);
                        self.changed = true;
                    }
                }
                Found::Failed(_) => {}
            }
        }
        self.revision += u64::from(self.changed);
        Ok(())
    }

    fn number_at(&self, path: &Path) -> u16 {
        self.by_number.values().find(|recorded| recorded.path == path).map_or(u16::MAX, |recorded| recorded.number)
    }

    fn open(&self, number: u16, path: PathBuf, lock: Option<File>, reserve: u64) -> Result<Directory, OpenError> {
        let malformed = |why: &str| OpenError::Malformed { path: path.join(FILE), why: why.to_owned() };
        let recorded = self.by_number.get(&number).ok_or_else(|| malformed("it does not list itself"))?;
        let id: StoreId = recorded.id.parse().map_err(|_| malformed("a directory id is not one"))?;
        let lock = match lock {
            Some(lock) if !self.changed => lock,
            // The file that is renamed away takes its lock along: the new one is locked before.
            _ => self.write(number, &path)?,
        };
        Directory::new(DirectoryNumber(number), DirectoryId(id.0), self.store, path.clone(), reserve, lock)
            .map_err(at(&path))
    }

    /// Writes the file beside the old one, synced and locked, and renames it.
    fn write(&self, number: u16, path: &Path) -> Result<File, OpenError> {
        let file = StoreFile {
            version: VERSION,
            store: self.store.to_string(),
            number,
            revision: self.revision,
            directories: self.by_number.values().cloned().collect(),
        };
        let text = toml::to_string(&file)
            .map_err(|error| OpenError::Malformed { path: path.join(FILE), why: error.to_string() })?;
        let write = || {
            let temporary = path.join(TEMPORARY);
            let mut file = File::create(&temporary)?;
            file.try_lock().map_err(io::Error::from)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path.join(FILE))?;
            sync_directory(path)?;
            Ok(file)
        };
        write().map_err(at(path))
    }
}

/// Looks at `path`, makes it where it does not exist, and locks the store in it.
fn inspect(path: &Path) -> Result<Found, OpenError> {
    let file = match File::open(path.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return inspect_new(path),
        Err(error) if is_disk_failure(&error) => return Ok(Found::Failed(error)),
        Err(error) => return Err(at(path)(error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(at(path)(error)),
    }
    let text = match io::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if is_disk_failure(&error) => return Ok(Found::Failed(error)),
        Err(error) => return Err(at(path)(error)),
    };
    let parsed: StoreFile = toml::from_str(&text)
        .map_err(|error| OpenError::Malformed { path: path.join(FILE), why: error.to_string() })?;
    if parsed.version != VERSION {
        let why = format!("version {} is not known", parsed.version);
        return Err(OpenError::Malformed { path: path.join(FILE), why });
    }
    Ok(Found::Known { file: parsed, lock: file })
}

fn inspect_new(path: &Path) -> Result<Found, OpenError> {
    let look = || {
        make_directory(path)?;
        for entry in path.read_dir()? {
            let name = entry?.file_name();
            // What a crash at the first start, or the file system itself, leaves.
            if name != TEMPORARY && name != "lost+found" {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match look() {
        Ok(true) => Ok(Found::Empty),
        Ok(false) => Err(OpenError::Foreign(path.to_owned())),
        Err(error) if is_disk_failure(&error) => Ok(Found::Failed(error)),
        Err(error) => Err(at(path)(error)),
    }
}

fn parse(path: &Path, file: &StoreFile) -> Result<StoreId, OpenError> {
    file.store
        .parse()
        .map_err(|error| OpenError::Malformed { path: path.join(FILE), why: format!("its store id is {error}") })
}

/// A disk that fails is worked around; anything else (a wrong path, missing rights) is for the operator.
fn is_disk_failure(error: &io::Error) -> bool {
    const FAILURES: [rustix::io::Errno; 4] =
        [rustix::io::Errno::IO, rustix::io::Errno::NODEV, rustix::io::Errno::NXIO, rustix::io::Errno::UCLEAN];
    error.raw_os_error().is_some_and(|code| FAILURES.iter().any(|failure| failure.raw_os_error() == code))
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_types::SystemEntropy;

    fn open(paths: &[&Path], expected: Option<StoreId>) -> Result<Opened, OpenError> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        open_all(&paths, expected, 0, &SystemEntropy)
    }

    #[test]
    fn a_store_is_made_once_and_grows_by_empty_directories() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        let store = open(&[&a], None).unwrap().store;
        assert_eq!(open(&[&a], Some(store)).unwrap().store, store);
        let both = open(&[&a, &b], Some(store)).unwrap();
        assert_eq!(both.directories.iter().map(|directory| directory.number.0).collect::<Vec<_>>(), [0, 1]);
        assert!(both.directories.iter().all(|directory| directory.store == store));
        drop(both);
        // The order of paths does not matter, nor do new places.
        let moved = root.path().join("moved");
        fs::rename(&a, &moved).unwrap();
        let both = open(&[&b, &moved], None).unwrap();
        assert_eq!(both.directories.iter().map(|directory| directory.number.0).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn an_empty_directory_where_a_store_was_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        let store = open(&[&a, &b], None).unwrap().store;
        fs::remove_dir_all(&a).unwrap();
        assert!(matches!(open(&[&a, &b], Some(store)), Err(OpenError::Missing { path, .. }) if path == a));
        fs::remove_dir_all(&b).unwrap();
        assert!(matches!(open(&[&a, &b], Some(store)), Err(OpenError::StoreMissing(id)) if id == store));
    }

    #[test]
    fn a_lost_disk_may_be_given_up() {
        let root = tempfile::tempdir().unwrap();
        let (a, b, c) = (root.path().join("a"), root.path().join("b"), root.path().join("c"));
        let store = open(&[&a, &b], None).unwrap().store;
        fs::remove_dir_all(&a).unwrap();
        let left = open(&[&b, &c], Some(store)).unwrap();
        assert_eq!(left.directories.iter().map(|directory| directory.number.0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn foreign_directories_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let (a, b, c) = (root.path().join("a"), root.path().join("b"), root.path().join("c"));
        let store = open(&[&a], None).unwrap().store;
        drop(open(&[&b], None).unwrap());
        assert!(matches!(open(&[&a, &b], None), Err(OpenError::OtherStore { .. })));
        assert!(matches!(open(&[&b], Some(store)), Err(OpenError::OtherStore { .. })));
        fs::create_dir(&c).unwrap();
        fs::write(c.join("holiday.jpg"), "jpg").unwrap();
        assert!(matches!(open(&[&c], None), Err(OpenError::Foreign(_))));
        fs::write(a.join(FILE), "store = 1").unwrap();
        assert!(matches!(open(&[&a], None), Err(OpenError::Malformed { .. })));
    }

    #[test]
    fn a_store_is_opened_by_one_process_only() {
        let root = tempfile::tempdir().unwrap();
        let (a, b) = (root.path().join("a"), root.path().join("b"));
        drop(open(&[&a], None).unwrap());
        // Once as found, once as rewritten.
        let held = open(&[&a], None).unwrap();
        assert!(matches!(open(&[&a], None), Err(OpenError::InUse(_))));
        drop(held);
        let _held = open(&[&a, &b], None).unwrap();
        assert!(matches!(open(&[&a], None), Err(OpenError::InUse(_))));
        assert!(matches!(open(&[&b], None), Err(OpenError::InUse(_))));
    }
}
