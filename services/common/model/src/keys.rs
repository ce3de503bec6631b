//! Where each row stands: the one place that makes a [`RowKey`] (DESIGN §5).
//!
//! - **K1** Rows of one bucket's shard that are judged or listed together share a partition key: objects, their
//!   gate and their uploads. *Tested by `gate_shares_the_objects_partition`.*
//! - **K2** Uploads sort by object key in byte order, then by upload id, whatever bytes a key holds.
//!   *Tested by `upload_keys_keep_order`.*

use bytes::{BufMut as _, Bytes, BytesMut};
use cairn_types::{BucketId, BucketName, ManifestId, RowKey, Table, UploadId};

/// The partition key of the small tables: one each, so that listing them is one range.
pub const SMALL_TABLE: &[u8] = b"all";

/// A part of a bucket's index; 0 until buckets can be split.
pub type Shard = u16;

/// Partition key of a bucket's shard: objects, gate and uploads.
#[must_use]
pub fn shard(bucket: BucketId, shard: Shard) -> Bytes {
    let mut key = BytesMut::with_capacity(BucketId::LEN + 2);
    key.put_slice(bucket.as_bytes());
    key.put_u16(shard);
    key.freeze()
}

#[must_use]
pub fn bucket_name(name: &BucketName) -> RowKey {
    small(Table::BucketName, Bytes::copy_from_slice(name.as_str().as_bytes()))
}

#[must_use]
pub fn bucket(id: BucketId) -> RowKey {
    small(Table::Bucket, id.to_bytes())
}

#[must_use]
pub fn access_key(id: &str) -> RowKey {
    small(Table::AccessKey, Bytes::copy_from_slice(id.as_bytes()))
}

/// The head of an object; `key` is stored as it came (SECURITY V9).
#[must_use]
pub fn object(bucket: BucketId, key: &[u8]) -> RowKey {
    RowKey { table: Table::Object, partition_key: shard(bucket, 0), sort_key: Bytes::copy_from_slice(key) }
}

/// The gate of a bucket's shard.
#[must_use]
pub fn gate(bucket: BucketId, at: Shard) -> RowKey {
    RowKey { table: Table::Gate, partition_key: shard(bucket, at), sort_key: Bytes::new() }
}

#[must_use]
pub fn manifest_page(manifest: ManifestId, page: u32) -> RowKey {
    let sort_key = Bytes::copy_from_slice(&page.to_be_bytes());
    RowKey { table: Table::Manifest, partition_key: manifest.to_bytes(), sort_key }
}

#[must_use]
pub fn upload(bucket: BucketId, key: &[u8], id: UploadId) -> RowKey {
    let mut sort_key = upload_prefix(key);
    sort_key.put_slice(&[0, 0]);
    sort_key.put_slice(id.as_bytes());
    RowKey { table: Table::Upload, partition_key: shard(bucket, 0), sort_key: sort_key.freeze() }
}

/// Sort keys of uploads whose object key begins with `key` begin with this.
///
/// Zero bytes are written as 00 FF and a key ends with 00 00, so that order and prefixes survive.
#[must_use]
pub fn upload_prefix(key: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(key.len() + 2 + UploadId::LEN);
    for byte in key {
        out.put_u8(*byte);
        if *byte == 0 {
            out.put_u8(0xff);
        }
    }
    out
}

/// The object key and upload id of a sort key made by [`upload`].
#[must_use]
pub fn parse_upload(sort_key: &[u8]) -> Option<(Vec<u8>, UploadId)> {
    let (escaped, id) = sort_key.split_at_checked(sort_key.len().checked_sub(UploadId::LEN)?)?;
    let escaped = escaped.strip_suffix(&[0, 0])?;
    let mut key = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        if *byte == 0 && bytes.next() != Some(&0xff) {
            return None;
        }
        key.push(*byte);
    }
    Some((key, UploadId::try_from(id).ok()?))
}

/// One part of an upload.
#[must_use]
pub fn part(id: UploadId, number: u16) -> RowKey {
    let sort_key = Bytes::copy_from_slice(&number.to_be_bytes());
    RowKey { table: Table::Part, partition_key: id.to_bytes(), sort_key }
}

/// The part number of a sort key made by [`part`].
#[must_use]
pub fn parse_part(sort_key: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(sort_key.try_into().ok()?))
}

/// How far the worker `name` has come with one shard of a bucket. In a small table, so that all of them are one range.
#[must_use]
pub fn worker(name: &str, bucket: BucketId, at: Shard) -> RowKey {
    let mut key = BytesMut::with_capacity(name.len() + 1 + BucketId::LEN + 2);
    key.put_slice(name.as_bytes());
    key.put_u8(0);
    key.put_slice(bucket.as_bytes());
    key.put_u16(at);
    small(Table::Worker, key.freeze())
}

/// The worker's name, bucket and shard of a sort key made by [`worker`].
#[must_use]
pub fn parse_worker(sort_key: &[u8]) -> Option<(&str, BucketId, Shard)> {
    let (rest, shard) = sort_key.split_last_chunk::<2>()?;
    let (name, bucket) = rest.split_last_chunk::<{ BucketId::LEN }>()?;
    let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
    Some((name, BucketId(*bucket), Shard::from_be_bytes(*shard)))
}

fn small(table: Table, sort_key: Bytes) -> RowKey {
    RowKey { table, partition_key: Bytes::from_static(SMALL_TABLE), sort_key }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    const BUCKET: BucketId = BucketId([9; 16]);

    #[test]
    fn gate_shares_the_objects_partition() {
        let object = object(BUCKET, b"cat.jpg");
        assert_eq!(object.partition_key, gate(BUCKET, 0).partition_key);
        assert_eq!(object.partition_key, upload(BUCKET, b"cat.jpg", UploadId([1; 16])).partition_key);
    }

    #[test]
    fn the_longest_keys_fit() {
        let key = upload(BUCKET, &[0; 1024], UploadId([0xff; 16]));
        assert!(key.sort_key.len() <= RowKey::MAX_SORT_KEY);
        assert!(key.partition_key.len() <= RowKey::MAX_PARTITION_KEY);
    }

    proptest! {
        #[test]
        fn upload_keys_keep_order(a: Vec<u8>, b: Vec<u8>, x: [u8; 16], y: [u8; 16]) {
            let first = upload(BUCKET, &a, UploadId(x));
            let second = upload(BUCKET, &b, UploadId(y));
            assert_eq!(first.sort_key.cmp(&second.sort_key), (&a, x).cmp(&(&b, y)));
            assert_eq!(parse_upload(&first.sort_key), Some((a.clone(), UploadId(x))));
            if b.starts_with(&a) {
                assert!(second.sort_key.starts_with(&upload_prefix(&a)));
            }
        }

        #[test]
        fn foreign_sort_keys_never_panic(bytes: Vec<u8>) {
            drop(parse_upload(&bytes));
            if let Some((name, bucket, at)) = parse_worker(&bytes) {
                assert_eq!(worker(name, bucket, at).sort_key, bytes);
            }
            assert_eq!(parse_part(&bytes).is_some(), bytes.len() == 2);
        }

        #[test]
        fn worker_keys_round_trip(name in "[a-z]{1,12}", bucket: [u8; 16], at: u16) {
            let key = worker(&name, BucketId(bucket), at);
            assert_eq!(parse_worker(&key.sort_key), Some((name.as_str(), BucketId(bucket), at)));
        }

        #[test]
        fn part_numbers_round_trip(number: u16) {
            assert_eq!(parse_part(&part(UploadId([1; 16]), number).sort_key), Some(number));
        }
    }
}
