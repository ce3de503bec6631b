//! Rows of one partition key in order (DESIGN §5, listing): tombstones included, common prefixes folded with one seek
//! each, bounded in rows and bytes.

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_model::wire::{decode_key_state, decode_listed_key_state};
use cairn_quorum::{Range, RangePrefix, RangeRow};
use cairn_register::{Gate, KeyState, Row};
use cairn_rpc::CallError;
use cairn_store::{Cursor, prefix_end};
use cairn_types::{Ballot, RowKey};

use crate::keys::DiskKey;
use crate::round::check_key;
use crate::rows::{Depth, Miss, Rows, damaged, shard_key, store_failed};
use crate::standing::Standing;

/// Rows looked at in one call, returned or not.
pub(crate) const MAX_SCANNED: usize = 10_000;
/// Bytes of keys and values in one reply, but for the last row: far below what a message may hold.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// What a scan found; the store and its epoch are the caller's to add.
pub(crate) struct Scanned {
    pub(crate) rows: Vec<RangeRow>,
    pub(crate) prefixes: Vec<RangePrefix>,
    /// The last key looked at, where the range goes on behind it. Where it lies under the last of `prefixes`, the rest
    /// of that prefix is covered too.
    pub(crate) scanned_to: Option<Bytes>,
    pub(crate) floor: Ballot,
    pub(crate) joined: Ballot,
    pub(crate) gate: Gate,
}

/// Refuses what no decoder would let pass: callers in this process pass none.
pub(crate) fn check(range: &Range) -> Result<(), CallError> {
    check_key(&range.partition_key, range.prefix.len())?;
    check_key(&range.partition_key, range.start.len().saturating_sub(1))?;
    if (1..=MAX_SCANNED).contains(&range.limit) {
        return Ok(());
    }
    Err(CallError::Invalid(format!("a range of {} rows; 1 to {MAX_SCANNED} are allowed", range.limit)))
}

/// Blocks on the disk. `standing` is held over the scan, so that rows, gate and floors belong together.
pub(crate) fn scan(rows: &Rows, standing: &Standing, range: &Range) -> Result<Scanned, CallError> {
    let key = RowKey { table: range.table, partition_key: range.partition_key.clone(), sort_key: Bytes::new() };
    let disk = DiskKey::of(&key);
    let (_, partition) = standing
        .partition(disk.place)
        .ok_or_else(|| CallError::Unavailable("this store does not hold the partition".to_owned()))?;
    let shard = shard_key(&key, disk.place).map(|key| rows.shard(&key, Depth::Disk).map_err(Miss::failed));
    let mut scanned = Scanned {
        rows: Vec::new(),
        prefixes: Vec::new(),
        scanned_to: None,
        floor: partition.floor,
        joined: partition.joined,
        gate: shard.transpose()?.unwrap_or_default().gate,
    };
    let base = disk.prefix();
    let from = [base, range.start.as_ref().max(&range.prefix)].concat();
    let to = prefix_end(&[base, range.prefix.as_ref()].concat());
    if to.as_ref().is_none_or(|to| from < *to) {
        let cursor = rows.store.scan(&from, to.as_deref());
        Scan { rows, range, base, scanned: &mut scanned, visited: 0, reply_bytes: 0 }.run(cursor)?;
    }
    Ok(scanned)
}

struct Scan<'a> {
    rows: &'a Rows,
    range: &'a Range,
    /// Begins every key of the range on disk.
    base: &'a [u8],
    scanned: &'a mut Scanned,
    visited: usize,
    reply_bytes: usize,
}

impl Scan<'_> {
    fn run(mut self, mut cursor: Box<dyn Cursor + '_>) -> Result<(), CallError> {
        let mut last = Vec::new();
        while let Some((key, value)) = cursor.next().map_err(store_failed)? {
            if self.is_enough() {
                self.scanned.scanned_to = Some(last.into());
                return Ok(());
            }
            self.visited += 1;
            let sort_key = key.strip_prefix(self.base).unwrap_or_default();
            last.clear();
            last.extend_from_slice(sort_key);
            // A promise without a row is nothing to list.
            let Some(row) = self.row(key, value)? else { continue };
            match self.common_prefix(sort_key) {
                None => self.push_row(sort_key, row),
                // Only a live row is a witness; a prefix without one is not there.
                Some(_) if row.value.is_none() => {}
                Some(common) => {
                    let beyond = prefix_end(&[self.base, common].concat());
                    self.push_prefix(common, sort_key, row);
                    match beyond {
                        Some(beyond) => cursor.seek(&beyond),
                        None => return Ok(()),
                    }
                }
            }
        }
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.scanned.rows.len() + self.scanned.prefixes.len() >= self.range.limit
            || self.visited >= MAX_SCANNED
            || self.reply_bytes >= MAX_REPLY_BYTES
    }

    fn row(&self, key: &[u8], value: &[u8]) -> Result<Option<Row<Envelope>>, CallError> {
        let state: KeyState<Envelope> = if self.range.with_data {
            decode_key_state(Bytes::copy_from_slice(value))
        } else {
            decode_listed_key_state(value)
        }
        .map_err(|error| damaged(&error))?;
        Ok(state.row.map(|mut row| {
            row.committed = row.committed || self.rows.hints.knows(key, row.accepted);
            row
        }))
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

    fn push_row(&mut self, sort_key: &[u8], row: Row<Envelope>) {
        self.reply_bytes += sort_key.len() + size(&row);
        self.scanned.rows.push(RangeRow { sort_key: Bytes::copy_from_slice(sort_key), row });
    }

    /// A witness travels without its data.
    fn push_prefix(&mut self, common: &[u8], sort_key: &[u8], mut witness: Row<Envelope>) {
        if let Some(envelope) = &mut witness.value {
            envelope.data = Bytes::new();
        }
        self.reply_bytes += common.len() + sort_key.len() + size(&witness);
        let witness_key = Bytes::copy_from_slice(sort_key);
        self.scanned.prefixes.push(RangePrefix { prefix: witness_key.slice(..common.len()), witness_key, witness });
    }
}

fn size(row: &Row<Envelope>) -> usize {
    128 + row.value.as_ref().map_or(0, |envelope| envelope.value.len() + envelope.data.len())
}
