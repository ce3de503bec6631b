//! The layout on disk.
//!
//! ```text
//! m | name                                                 -> what the store knows of itself (meta)
//! p | partition                                            -> its floors (REGISTER T5, T6)
//! r | place | table | length | partition key | sort key    -> a register (cairn_model::wire, `stored key`)
//! u | place | table | length | partition key               -> usage and gate of a (bucket, shard)
//! d, o                                                     reserved: digest trees, outbox
//! ```
//!
//! Tags and table numbers stay on disk for ever and are never reused. Integers are big-endian: byte order is numeric
//! order. `place` is the top 16 bits of the partition key's hash, so that the rows of a partition are one range
//! whatever number of partitions the cluster was made with. `length` is one byte.
//!
//! - **T1** Rows of one partition key are one range, in the order of their sort keys (`order_is_that_of_sort_keys`).
//! - **T2** No two rows share a key (`keys_differ_where_rows_do`).

use cairn_types::{PartitionId, RowKey, Table};

#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Meta = b'm',
    Partition = b'p',
    Row = b'r',
    Shard = b'u',
}

/// Rows begin here, and end before [`ROWS_END`].
pub(crate) const ROWS: [u8; 1] = [Tag::Row as u8];
pub(crate) const ROWS_END: [u8; 1] = [Tag::Row as u8 + 1];

/// Where the partition key of a row puts it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place(u16);

impl Place {
    const BITS: u8 = 16;

    pub(crate) fn of(partition_key: &[u8]) -> Self {
        Self(PartitionId::of_key(partition_key, Self::BITS).0)
    }

    /// The partition of a ring with 2^`bits` partitions; `bits` is at most 16.
    pub(crate) const fn partition(self, bits: u8) -> PartitionId {
        PartitionId(if bits == 0 { 0 } else { self.0 >> (Self::BITS - bits) })
    }
}

/// A row on disk.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DiskKey {
    pub(crate) place: Place,
    bytes: Vec<u8>,
    /// Where the sort key begins.
    sort_key_at: usize,
}

impl DiskKey {
    pub(crate) fn of(key: &RowKey) -> Self {
        let place = Place::of(&key.partition_key);
        let mut bytes = key_of(Tag::Row, place, key.table, &key.partition_key, key.sort_key.len());
        let sort_key_at = bytes.len();
        bytes.extend_from_slice(&key.sort_key);
        Self { place, bytes, sort_key_at }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins every key of the same table and partition key.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.bytes[..self.sort_key_at]
    }
}

/// Usage and gate of a (bucket, shard), whose objects have `partition_key`.
pub(crate) fn shard(place: Place, partition_key: &[u8]) -> Vec<u8> {
    key_of(Tag::Shard, place, Table::Object, partition_key, 0)
}

/// The key of a partition's floors.
pub(crate) fn partition(partition: PartitionId) -> Vec<u8> {
    let mut bytes = vec![Tag::Partition as u8];
    bytes.extend_from_slice(&partition.0.to_be_bytes());
    bytes
}

/// All partitions' floors lie in this range.
pub(crate) fn partitions() -> (Vec<u8>, Vec<u8>) {
    (vec![Tag::Partition as u8], vec![Tag::Partition as u8 + 1])
}

/// The partition whose floors `key` holds.
pub(crate) fn parse_partition(key: &[u8]) -> Option<PartitionId> {
    let number = key.strip_prefix(&[Tag::Partition as u8])?;
    Some(PartitionId(u16::from_be_bytes(number.try_into().ok()?)))
}

/// Something the store knows of itself.
pub(crate) fn meta(name: &str) -> Vec<u8> {
    let mut bytes = vec![Tag::Meta as u8];
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// Keys of more than [`RowKey::MAX_PARTITION_KEY`] bytes are refused where they enter; the length saturates so that
/// nothing here can panic.
fn key_of(tag: Tag, place: Place, table: Table, partition_key: &[u8], room: usize) -> Vec<u8> {
    debug_assert!(partition_key.len() <= RowKey::MAX_PARTITION_KEY);
    let mut bytes = Vec::with_capacity(5 + partition_key.len() + room);
    bytes.push(tag as u8);
    bytes.extend_from_slice(&place.0.to_be_bytes());
    bytes.push(table as u8);
    bytes.push(u8::try_from(partition_key.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(partition_key);
    bytes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn row_key() -> impl Strategy<Value = RowKey> {
        let bytes =
            |max| proptest::collection::vec(prop_oneof![Just(0_u8), Just(0xff), Just(b'a'), any::<u8>()], 0..max);
        (1..=9_u32, bytes(5), bytes(6)).prop_map(|(table, partition_key, sort_key)| RowKey {
            table: Table::try_from(table).unwrap(),
            partition_key: partition_key.into(),
            sort_key: sort_key.into(),
        })
    }

    proptest! {
        #[test]
        fn keys_differ_where_rows_do(a in row_key(), b in row_key()) {
            prop_assert_eq!(a == b, DiskKey::of(&a).as_bytes() == DiskKey::of(&b).as_bytes());
        }

        #[test]
        fn order_is_that_of_sort_keys(key in row_key(), other: Vec<u8>, stranger in row_key()) {
            let mut sibling = key.clone();
            sibling.sort_key = Bytes::from(other);
            let (a, b) = (DiskKey::of(&key), DiskKey::of(&sibling));
            prop_assert_eq!(a.as_bytes().cmp(b.as_bytes()), key.sort_key.cmp(&sibling.sort_key));
            prop_assert_eq!(a.prefix(), b.prefix());
            let related = (key.table, &key.partition_key) == (stranger.table, &stranger.partition_key);
            prop_assert_eq!(DiskKey::of(&stranger).as_bytes().starts_with(a.prefix()), related);
        }

        #[test]
        fn a_partition_is_one_range(key in row_key(), bits in 0_u8..=16) {
            prop_assert_eq!(Place::of(&key.partition_key).partition(bits), key.partition(bits));
        }
    }

    #[test]
    fn the_layout_stays_as_it_is() {
        let key = RowKey {
            table: Table::Object,
            partition_key: Bytes::from_static(b"bucket"),
            sort_key: Bytes::from_static(b"cat"),
        };
        let disk = DiskKey::of(&key);
        let place = Place::of(b"bucket").0.to_be_bytes();
        assert_eq!(disk.as_bytes(), [b"r".as_slice(), &place, &[5, 6], b"bucket", b"cat"].concat());
        assert_eq!(shard(disk.place, b"bucket"), [b"u".as_slice(), &place, &[5, 6], b"bucket"].concat());
        assert_eq!(partition(PartitionId(258)), b"p\x01\x02");
        assert_eq!(parse_partition(b"p\x01\x02"), Some(PartitionId(258)));
        assert_eq!(parse_partition(b"p\x01"), None);
    }
}
