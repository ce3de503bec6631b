//! Fuzz targets: what stands on a disk. How to run and replay them: `gateway/s3/src/fuzz.rs`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bolero::{ValueGenerator, check, produce};
use bytes::Bytes;
use cairn_quorum::Reference;
use cairn_testkit::fuzz::{bytes, damaged, list};
use cairn_types::{BlockHash, BucketId, Epoch, ManifestId, StoreId, UploadId};

use crate::pieces;
use crate::reference::{self, MAX_ENCODED, MAX_KEY};
use crate::segment::{DirectoryId, FIRST_RECORD, PAGE, Record, SegmentHeader, Tag, pages, scan};

const TAG: Tag = Tag([7; 16]);

fn references() -> impl ValueGenerator<Output = Reference> {
    let key = bytes(&["\0", "a", "key", "CBLK", "/"], 8);
    (produce::<[u8; 16]>(), key, produce::<Option<[u8; 16]>>(), produce::<u64>(), produce::<u32>()).map_gen(
        |(id, key, upload, written_at_ms, epoch)| Reference {
            manifest: ManifestId(id),
            bucket: BucketId(id),
            key: Bytes::from(key.to_vec()),
            upload: upload.map(UploadId),
            written_at_ms,
            epoch: Epoch(epoch),
        },
    )
}

#[test]
fn references_are_read_as_they_were_written() {
    let raw = bytes(&["\0", "\u{1}", "0123456789abcdef", "key"], 12);
    check!().with_generator((references(), raw)).for_each(|(one, raw)| {
        let mut written = Vec::new();
        reference::encode(one, &mut written);
        assert!(written.len() <= MAX_ENCODED);
        written.extend_from_slice(raw);
        let mut rest = written.as_slice();
        assert_eq!(reference::decode(one.manifest, &mut rest).as_ref(), Ok(one));
        assert_eq!(rest, raw.as_slice(), "what follows is left");
        let mut rest = raw.as_slice();
        if let Ok(read) = reference::decode(one.manifest, &mut rest) {
            assert!(read.key.len() <= MAX_KEY);
            let mut again = Vec::new();
            reference::encode(&read, &mut again);
            assert_eq!(reference::decode(one.manifest, &mut again.as_slice()), Ok(read));
        }
    });
}

#[test]
fn segments_have_whole_headers_or_none() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..4);
    check!().with_generator((produce::<(u32, [u8; 16], u64)>(), damage)).for_each(
        |((number, id, created_ms), damage)| {
            let header = SegmentHeader {
                number: *number,
                store: StoreId(*id),
                directory: DirectoryId(*id),
                tag: TAG,
                created_ms: *created_ms,
            };
            let page = header.encode();
            assert_eq!(page.len(), PAGE);
            let first = damaged(&page, damage);
            let both = [first.as_slice(), &page].concat();
            assert_eq!(SegmentHeader::decode_either(&both).as_ref(), Ok(&header), "the second copy stands in");
            if let Ok(read) = SegmentHeader::decode_either(&first) {
                assert_eq!(read, header, "no damage makes another segment of it");
            }
        },
    );
}

/// A segment with these payloads, and where each record begins.
fn segment(payloads: &[(Vec<u8>, Reference)]) -> (Vec<u8>, Vec<Record>) {
    let mut file = vec![0; usize::try_from(FIRST_RECORD).unwrap()];
    let mut records = Vec::new();
    for (payload, reference) in payloads {
        let record = Record {
            hash: BlockHash::of(payload),
            size: u32::try_from(payload.len()).unwrap(),
            crc32c: pieces::sums(&[Bytes::copy_from_slice(payload)]),
            reference: reference.clone(),
        };
        record.encode(TAG, file.len() as u64, &mut file);
        file.extend_from_slice(payload);
        file.resize(usize::try_from(pages(file.len() as u64)).unwrap(), 0);
        records.push(record);
    }
    (file, records)
}

/// Of a damaged segment a scan finds some of the records that were written, in their order, and none that was not;
/// undamaged, it finds them all.
#[test]
fn a_scan_finds_what_was_written_and_nothing_else() {
    let payload = bytes(&["CBLK", "\u{1}", "\0", "payload", "\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}\u{7}"], 30);
    let payload = payload.map_gen(|bytes| if bytes.is_empty() { vec![1] } else { bytes.to_vec() });
    let blocks = list((payload, references()), 0..4);
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..4);
    let file: File = tempfile::tempfile().unwrap();
    check!().with_generator((blocks, damage, produce::<Option<u16>>())).for_each(|(blocks, damage, cut)| {
        let (whole, written) = segment(blocks);
        let mut bytes = damaged(&whole, damage);
        bytes.truncate(cut.map_or(usize::MAX, usize::from));
        file.set_len(0).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let mut found = Vec::new();
        let scanned = scan::<io::Error>(&file, TAG, 0, |one| {
            found.push(one.record);
            Ok(())
        })
        .unwrap();
        let mut left = written.iter();
        assert!(found.iter().all(|record| left.any(|own| own == record)), "it was never written");
        if bytes == whole {
            assert_eq!(found, written);
            assert!(scanned.damages.is_empty());
        }
        assert!(scanned.end <= pages(bytes.len() as u64).max(FIRST_RECORD) + PAGE as u64 || !found.is_empty());
    });
}
