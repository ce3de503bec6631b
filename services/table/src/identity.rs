//! Who a store is, kept inside its database (REGISTER D3, D4).
//!
//! - **I1** The store id is made with the database and never changes (`tests/table/durability.rs`:
//!   `a_store_keeps_its_id`).
//! - **I2** An empty or other database never answers as the store that was expected
//!   (`another_database_is_refused`).
//! - **I3** An older copy of the store, or one that lost synced writes, is never served (REGISTER D4,
//!   `an_older_copy_is_refused`).
//! - **I4** Every start is counted, durably, before anything is served (`boots_are_counted`).

use cairn_daemon::Mark;
use cairn_store::{Batch, Durability, Store};
use cairn_types::{Entropy, StoreId};

use crate::keys::meta;

/// Format of the whole database. A database of a later one is refused.
const FORMAT: u8 = 1;

/// A store's identity and how often it was started, this time included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) id: StoreId,
    pub(crate) boots: u64,
}

/// Why a database is not the store to open.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the database is empty, but store {0} is expected there: a lost store never comes back under its old id")]
    Empty(StoreId),
    #[error("the database is store {actual}, but store {expected} is expected there")]
    Other { expected: StoreId, actual: StoreId },
    #[error("the database is damaged: its {0} cannot be read")]
    Damaged(&'static str),
    #[error("the database has format {0}, which this version does not know")]
    Format(u8),
    #[error(
        "the database went back, from start {} and sequence {} to start {} and sequence {}: it is an older copy, or lost \
         writes that were synced, and is never served again; move its directory away, and begin a new store in its place \
         with --new-store",
        noted.boots, noted.sequence, found.boots, found.sequence
    )]
    WentBack { noted: Mark, found: Mark },
    #[error("cannot read or write the database")]
    Store(#[from] cairn_store::Error),
}

/// Reads the identity and counts this start; a new database gets an id where none is `expected`. `noted` is how far the
/// store is known to have come.
pub(crate) fn open(
    store: &dyn Store,
    expected: Option<StoreId>,
    noted: Option<Mark>,
    entropy: &dyn Entropy,
) -> Result<Identity, IdentityError> {
    let found = load(store)?;
    if let (Some(identity), Some(noted)) = (found, noted) {
        let found = Mark { store: identity.id, boots: identity.boots, sequence: store.sequence() };
        if found.is_behind(&noted) {
            return Err(IdentityError::WentBack { noted, found });
        }
    }
    let identity = match (found, expected) {
        (Some(found), Some(expected)) if found.id != expected => {
            return Err(IdentityError::Other { expected, actual: found.id });
        }
        (Some(found), _) => Identity { boots: found.boots.saturating_add(1), ..found },
        (None, Some(expected)) => return Err(IdentityError::Empty(expected)),
        (None, None) => Identity { id: StoreId::random(entropy), boots: 1 },
    };
    let mut batch = Batch::new();
    batch.put(meta("format"), vec![FORMAT]);
    batch.put(meta("store"), identity.id.to_bytes());
    batch.put(meta("boots"), identity.boots.to_be_bytes().to_vec());
    store.write(batch, Durability::Synced)?;
    Ok(identity)
}

fn load(store: &dyn Store) -> Result<Option<Identity>, IdentityError> {
    let Some(format) = store.get(&meta("format"))? else {
        // Rows without an identity are not a new store.
        let empty = store.scan(b"", None).next()?.is_none();
        return if empty { Ok(None) } else { Err(IdentityError::Damaged("format")) };
    };
    if format.as_ref() != [FORMAT] {
        return Err(IdentityError::Format(format.first().copied().unwrap_or_default()));
    }
    let id = store.get(&meta("store"))?.ok_or(IdentityError::Damaged("store id"))?;
    let id = StoreId::try_from(id.as_ref()).map_err(|_| IdentityError::Damaged("store id"))?;
    let boots = store.get(&meta("boots"))?.ok_or(IdentityError::Damaged("boot count"))?;
    let boots = <[u8; 8]>::try_from(boots.as_ref()).map_err(|_| IdentityError::Damaged("boot count"))?;
    Ok(Some(Identity { id, boots: u64::from_be_bytes(boots) }))
}

#[cfg(test)]
mod tests {
    use cairn_store::Memory;
    use cairn_types::SystemEntropy;

    use super::*;

    #[test]
    fn boots_are_counted() {
        let store = Memory::new();
        let first = open(&store, None, None, &SystemEntropy).unwrap();
        store.crash();
        let second = open(&store, Some(first.id), None, &SystemEntropy).unwrap();
        assert_eq!((first.boots, second.boots), (1, 2));
        assert_eq!(first.id, second.id);
    }

    #[test]
    fn another_database_is_refused() {
        let expected = StoreId([1; 16]);
        assert!(matches!(open(&Memory::new(), Some(expected), None, &SystemEntropy), Err(IdentityError::Empty(_))));
        let store = Memory::new();
        let actual = open(&store, None, None, &SystemEntropy).unwrap().id;
        let refused = open(&store, Some(expected), None, &SystemEntropy);
        assert!(matches!(refused, Err(IdentityError::Other { actual: found, .. }) if found == actual));
    }

    #[test]
    fn damaged_identities_are_refused() {
        for (key, value) in [("format", vec![9]), ("store", vec![1]), ("boots", Vec::new())] {
            let store = Memory::new();
            open(&store, None, None, &SystemEntropy).unwrap();
            let mut batch = Batch::new();
            batch.put(meta(key), value);
            store.write(batch, Durability::Synced).unwrap();
            assert!(open(&store, None, None, &SystemEntropy).is_err(), "{key}");
        }
        let store = Memory::new();
        let mut batch = Batch::new();
        batch.put(b"r".as_slice(), b"row".as_slice());
        store.write(batch, Durability::Synced).unwrap();
        assert!(matches!(open(&store, None, None, &SystemEntropy), Err(IdentityError::Damaged(_))));
    }

    #[test]
    fn an_older_copy_is_refused() {
        let store = Memory::new();
        let first = open(&store, None, None, &SystemEntropy).unwrap();
        let noted = Mark { store: first.id, boots: first.boots, sequence: store.sequence() };
        for (boots, sequence, served) in [(0, 0, true), (0, 1, false), (1, 0, false), (1, 1, false)]
            .map(|(boots, sequence, served)| (noted.boots + boots, noted.sequence + sequence, served))
        {
            // Each start counts: the store must not come further by being asked.
            let copy = Memory::new();
            let mut batch = Batch::new();
            let mut rows = store.scan(b"", None);
            while let Some((key, value)) = rows.next().unwrap() {
                batch.put(key.to_vec(), value.to_vec());
            }
            copy.write(batch, Durability::Synced).unwrap();
            let opened = open(&copy, Some(first.id), Some(Mark { boots, sequence, ..noted }), &SystemEntropy);
            assert_eq!(opened.is_ok(), served, "{boots} {sequence}");
        }
        let other = Mark { store: StoreId([1; 16]), boots: 99, sequence: 99 };
        assert!(open(&store, None, Some(other), &SystemEntropy).is_ok());
    }
}
