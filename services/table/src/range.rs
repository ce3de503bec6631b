//! Rows of one partition key in order (DESIGN §5, listing): tombstones included, common prefixes folded with one seek
//! each, bounded in rows and bytes.
//!
//! One scan serves two readers: callers in this process get rows (`rows`), others get bytes that go out as they stand
//! on disk (`encoded`).

pub(crate) mod encoded;
pub(crate) mod rows;

use bytes::Bytes;
use cairn_model::wire::{StoredKey, StoredRow};
use cairn_quorum::Range;
use cairn_register::Gate;
use cairn_rpc::CallError;
use cairn_store::{Cursor, prefix_end};
use cairn_types::{Ballot, Epoch, RowKey, StoreId};

use crate::keys::DiskKey;
use crate::round::check_key;
use crate::rows::{Depth, Miss, Rows, damaged, shard_key, store_failed};
use crate::standing::Standing;

/// Rows looked at in one call, returned or not.
pub(crate) const MAX_SCANNED: usize = 10_000;
/// Bytes of keys and rows in one reply, but for the last row: far below what a message may hold.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// What goes with the rows of a scan.
pub(crate) struct Scanned {
    /// The last key looked at, where the range goes on behind it. Where it lies under the last common prefix, the rest
    /// of that prefix is covered too.
    pub(crate) scanned_to: Option<Bytes>,
    pub(crate) floor: Ballot,
    pub(crate) joined: Ballot,
    pub(crate) gate: Gate,
}

/// A row that a scan came to.
pub(crate) struct Found<'a> {
    pub(crate) sort_key: &'a [u8],
    pub(crate) row: StoredRow<'a>,
    pub(crate) data: &'a [u8],
    /// A commit hint, which may not be in `row`.
    pub(crate) committed: bool,
}

/// Takes what a scan finds, in order.
pub(crate) trait Sink: Send + 'static {
    type Reply: Send;
    fn row(&mut self, found: &Found<'_>);
    /// `witness` is the first live row under the first `prefix_len` bytes of its key.
    fn prefix(&mut self, prefix_len: usize, witness: &Found<'_>);
    /// Rows and prefixes taken.
    fn len(&self) -> usize;
    /// Bytes taken.
    fn size_bytes(&self) -> usize;
    fn finish(self, store: StoreId, epoch: Epoch, scanned: Scanned) -> Result<Self::Reply, CallError>;
}

/// Refuses what no decoder would let pass: callers in this process pass none.
pub(crate) fn check(range: &Range) -> Result<(), CallError> {
    check_key(&range.partition_key, range.prefix.len())?;
    // One byte more than a key: "after this key" is the key and a zero byte.
    check_key(&range.partition_key, range.start.len().saturating_sub(1))?;
    if (1..=MAX_SCANNED).contains(&range.limit) {
        return Ok(());
    }
    Err(CallError::Invalid(format!("a range of {} rows; 1 to {MAX_SCANNED} are allowed", range.limit)))
}

/// Blocks on the disk. `standing` is held over the scan, so that rows, gate and floors belong together.
pub(crate) fn scan(
    rows: &Rows,
    standing: &Standing,
    range: &Range,
    sink: &mut impl Sink,
) -> Result<Scanned, CallError> {
    let key = RowKey { table: range.table, partition_key: range.partition_key.clone(), sort_key: Bytes::new() };
    let disk = DiskKey::of(&key);
    let (_, partition) = standing
        .partition(disk.place)
        .ok_or_else(|| CallError::Unavailable("this store does not hold the partition".to_owned()))?;
    let shard = shard_key(&key, disk.place).map(|key| rows.shard(&key, Depth::Disk).map_err(Miss::failed));
    let gate = shard.transpose()?.unwrap_or_default().gate;

    let base = disk.prefix();
    let from = [base, range.start.as_ref().max(&range.prefix)].concat();
    let to = prefix_end(&[base, range.prefix.as_ref()].concat());
    let scanned_to = if to.as_ref().is_none_or(|to| from < *to) {
        let cursor = rows.store.scan(&from, to.as_deref());
        Scan { rows, range, base, sink }.run(cursor)?
    } else {
        None
    };
    Ok(Scanned { scanned_to, floor: partition.floor, joined: partition.joined, gate })
}

struct Scan<'a, S> {
    rows: &'a Rows,
    range: &'a Range,
    /// Begins every key of the range on disk.
    base: &'a [u8],
    sink: &'a mut S,
}

impl<S: Sink> Scan<'_, S> {
    /// Answers [`Scanned::scanned_to`].
    fn run(self, mut cursor: Box<dyn Cursor + '_>) -> Result<Option<Bytes>, CallError> {
        let mut last = Vec::new();
        let mut visited = 0;
        while let Some((key, value)) = cursor.next().map_err(store_failed)? {
            let full = self.sink.len() >= self.range.limit || self.sink.size_bytes() >= MAX_REPLY_BYTES;
            if full || visited >= MAX_SCANNED {
                return Ok(Some(last.into()));
            }
            visited += 1;
            let sort_key = key.strip_prefix(self.base).unwrap_or_default();
            last.clear();
            last.extend_from_slice(sort_key);
            let stored = StoredKey::parse(value).map_err(|error| damaged(&error))?;
            // A promise without a row is nothing to list.
            let Some(row) = stored.row else { continue };
            let accepted = row.accepted().map_err(|error| damaged(&error))?;
            let committed = self.rows.hints.knows(key, accepted);
            let found = Found { sort_key, row, data: stored.data, committed };
            match self.common_prefix(sort_key) {
                None => self.sink.row(&found),
                // Only a live row is a witness. Tombstones before it are rows like others: one that is not settled may
                // hide a live key at another replica.
                Some(_) if !row.live => self.sink.row(&found),
                Some(common) => {
                    let beyond = prefix_end(&[self.base, common].concat());
                    self.sink.prefix(common.len(), &found);
                    match beyond {
                        Some(beyond) => cursor.seek(&beyond),
                        None => return Ok(None),
                    }
                }
            }
        }
        Ok(None)
    }

    /// What `sort_key` is folded under: all up to the first delimiter after the range's prefix.
    fn common_prefix<'k>(&self, sort_key: &'k [u8]) -> Option<&'k [u8]> {
        let delimiter = self.range.delimiter.as_ref();
        let rest = sort_key.get(self.range.prefix.len()..)?;
        let at = match delimiter {
            [] => return None,
            [byte] => rest.iter().position(|other| other == byte)?,
            _ => rest.windows(delimiter.len()).position(|window| window == delimiter)?,
        };
        sort_key.get(..self.range.prefix.len() + at + delimiter.len())
    }
}
