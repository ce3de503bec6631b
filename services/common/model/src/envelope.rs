//! A row's value as tables see it (DESIGN §5).

use bytes::Bytes;
use cairn_types::ManifestId;

/// All a table reads of a value. A tombstone is the absence of an envelope.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Envelope {
    /// What the value belongs to: a bucket id, an upload id. At most 64 bytes.
    pub owner: Bytes,
    /// Manifests this value keeps alive.
    pub refs: Vec<ManifestId>,
    /// What this value counts for in its bucket's usage.
    pub objects: u32,
    pub bytes: u64,
    /// The encoded typed row.
    pub value: Bytes,
    /// Inline object data or a block list: left out of ranges that do not ask for it.
    pub data: Bytes,
}
