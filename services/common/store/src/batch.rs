//! Changes that are applied together.

use bytes::Bytes;

/// One key's change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Put { key: Vec<u8>, value: Bytes },
    Delete { key: Vec<u8> },
}

/// Changes in order: of two changes of one key the later stands.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Batch {
    changes: Vec<Change>,
    size_bytes: usize,
}

impl Batch {
    #[must_use]
    pub const fn new() -> Self {
        Self { changes: Vec::new(), size_bytes: 0 }
    }

    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Bytes>) {
        let (key, value) = (key.into(), value.into());
        self.size_bytes += key.len() + value.len();
        self.changes.push(Change::Put { key, value });
    }

    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.size_bytes += key.len();
        self.changes.push(Change::Delete { key });
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Changes in the batch.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.changes.len()
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    #[must_use]
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}
