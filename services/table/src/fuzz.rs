//! Fuzz targets: what stands in a table's database. How to run and replay them: `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use cairn_register::{Gate, Usage};
use cairn_testkit::fuzz::bytes;
use cairn_types::{RowKey, Table};

use crate::keys::{DiskKey, parse_partition, partition};
use crate::shard::Shard;

#[test]
fn shards_are_read_as_they_were_written() {
    let raw = bytes(&["\u{1}", "\0\0\0\0\0\0\0\0", "\0", "\u{2}"], 8);
    check!().with_generator((produce::<(u64, u64, u8, u64)>(), raw)).for_each(
        |((objects, used, gate, number), raw)| {
            let gate = [Gate::Open, Gate::Closing(*number), Gate::Sealed][usize::from(gate % 3)];
            let shard = Shard { usage: Usage { objects: *objects, bytes: *used }, gate };
            assert_eq!(Shard::decode(&shard.encode()), Ok(shard));
            assert!(Shard::decode(&[&shard.encode(), raw.as_slice()].concat()).is_err() || raw.is_empty());
            if let Ok(read) = Shard::decode(raw) {
                assert_eq!(Shard::decode(&read.encode()), Ok(read));
            }
        },
    );
}

/// Rows of one partition key are one range, in the order of their sort keys, and no two rows share a key.
#[test]
fn keys_keep_their_order() {
    let key = || {
        let part = bytes(&["a", "\0", "\u{7f}", "bucket"], 4);
        (1_u32..11, part, bytes(&["a", "\0", "\u{7f}", "key"], 4))
    };
    check!().with_generator((key(), key(), produce::<Vec<u8>>().with().len(0_usize..4))).for_each(|(a, b, raw)| {
        let row = |(table, partition, sort): &(u32, cairn_testkit::fuzz::Raw, cairn_testkit::fuzz::Raw)| RowKey {
            table: Table::try_from(*table).unwrap(),
            partition_key: partition.to_vec().into(),
            sort_key: sort.to_vec().into(),
        };
        let (a, b) = (row(a), row(b));
        let (first, second) = (DiskKey::of(&a), DiskKey::of(&b));
        assert_eq!(a == b, first.as_bytes() == second.as_bytes());
        let related = (a.table, &a.partition_key) == (b.table, &b.partition_key);
        assert_eq!(second.as_bytes().starts_with(first.prefix()), related);
        if related {
            assert_eq!(first.as_bytes().cmp(second.as_bytes()), a.sort_key.cmp(&b.sort_key));
        }
        if let Some(found) = parse_partition(raw) {
            assert_eq!(partition(found), *raw);
        }
    });
}
