//! Where a row lives: its table, its keys and its partition (DESIGN §5).

use bytes::Bytes;

use crate::ids::blake2b_256;

/// Partitions a ring has: 2^10 (DESIGN §3; fixed when a cluster is made).
pub const PARTITION_BITS: u8 = 10;

/// One of the 2^k parts of a ring; a part's R replicas hold all its keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct PartitionId(pub u16);

impl PartitionId {
    /// The partition of a row: the top `bits` of BLAKE2b-256 of its partition key.
    #[must_use]
    pub fn of_key(partition_key: &[u8], bits: u8) -> Self {
        Self::of_hash(&blake2b_256(partition_key), bits)
    }

    /// The partition of a block: the top `bits` of its hash. `bits` is at most 16.
    #[must_use]
    pub const fn of_hash(hash: &[u8; 32], bits: u8) -> Self {
        let top = u16::from_be_bytes([hash[0], hash[1]]);
        Self(if bits == 0 { 0 } else { top >> (16 - bits) })
    }
}

/// The tables of DESIGN §5. Numbers stand on disk and on the wire for ever and are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Table {
    BucketName = 1,
    Bucket = 2,
    AccessKey = 3,
    AdminToken = 4,
    Object = 5,
    Manifest = 6,
    Gate = 7,
    Upload = 8,
    Part = 9,
    Worker = 10,
}

/// A table number nobody has given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown table {0}")]
pub struct UnknownTable(pub u32);

impl TryFrom<u32> for Table {
    type Error = UnknownTable;
    fn try_from(number: u32) -> Result<Self, UnknownTable> {
        Ok(match number {
            1 => Table::BucketName,
            2 => Table::Bucket,
            3 => Table::AccessKey,
            4 => Table::AdminToken,
            5 => Table::Object,
            6 => Table::Manifest,
            7 => Table::Gate,
            8 => Table::Upload,
            9 => Table::Part,
            10 => Table::Worker,
            other => return Err(UnknownTable(other)),
        })
    }
}

/// The full name of one register. Keys are bytes and are never normalized (SECURITY V9).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowKey {
    pub table: Table,
    /// At most 255 bytes; decides the partition.
    pub partition_key: Bytes,
    /// At most 4,096 bytes; ordered inside its partition key.
    pub sort_key: Bytes,
}

impl RowKey {
    pub const MAX_PARTITION_KEY: usize = 255;
    pub const MAX_SORT_KEY: usize = 4096;

    #[must_use]
    pub fn partition(&self, bits: u8) -> PartitionId {
        PartitionId::of_key(&self.partition_key, bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_the_top_bits() {
        let mut hash = [0; 32];
        hash[0] = 0b1010_1010;
        hash[1] = 0b1100_0000;
        assert_eq!(PartitionId::of_hash(&hash, 10), PartitionId(0b10_1010_1011));
        assert_eq!(PartitionId::of_hash(&hash, 0), PartitionId(0));
        assert_eq!(PartitionId::of_hash(&hash, 16), PartitionId(0b1010_1010_1100_0000));
    }

    #[test]
    fn table_numbers_round_trip() {
        for number in 1..=10 {
            assert_eq!(Table::try_from(number).map(|table| table as u32), Ok(number));
        }
        assert_eq!(Table::try_from(0), Err(UnknownTable(0)));
        assert_eq!(Table::try_from(11), Err(UnknownTable(11)));
    }
}
