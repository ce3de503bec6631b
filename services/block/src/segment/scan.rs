//! Walks a segment and answers what records it holds, for an index that is missing or behind.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use cairn_types::BlockHash;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::record::span;
use super::{FIRST_RECORD, PAGE, Record, RecordError, Tag};
use crate::pieces::{self, PIECE_BYTES, crc32c};

/// A whole record: its header and every piece of its payload have the right checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) header_length: u16,
    pub(crate) record: Record,
}

impl Found {
    /// Where the next record may begin.
    pub(crate) fn end(&self) -> u64 {
        self.offset + span(self.header_length, self.record.size)
    }
}

/// Bytes that are not a whole record: a torn tail, or damage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    /// Known where the header is whole.
    pub(crate) hash: Option<BlockHash>,
    pub(crate) what: String,
}

/// What a scan met, but for the records it handed out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Scan {
    /// Behind the last page that is not empty.
    pub(crate) end: u64,
    pub(crate) damages: Vec<Damage>,
}

/// Damages kept per scan; the rest is only counted in the log of who reads them.
const MAX_DAMAGES: usize = 1000;

/// Hands every whole record from `from` on to `found`, in the order of the file. Reads every payload.
///
/// # Errors
/// The file cannot be read, or `found` failed.
pub(crate) fn scan<E>(
    file: &File,
    tag: Tag,
    from: u64,
    mut found: impl FnMut(Found) -> Result<(), E>,
) -> Result<Scan, E>
where
    E: From<io::Error>,
{
    let mut scan = Scan { end: from.max(FIRST_RECORD), damages: Vec::new() };
    let mut page = [0; PAGE];
    let mut piece = vec![0; PIECE_BYTES as usize];
    // Whether the page before this one was already reported.
    let mut in_damage = false;
    let mut at = from.max(FIRST_RECORD).next_multiple_of(PAGE as u64);
    while let Some(next) = next_data(file, at)? {
        at = next;
        let length = read_up_to(file, &mut page, at)?;
        let header = &page[..length];
        match Record::decode(tag, at, header) {
            Ok((record, header_length)) => {
                let whole = check_payload(file, at + u64::from(header_length), &record, &mut piece)?;
                let hash = record.hash;
                let one = Found { offset: at, header_length, record };
                let end = one.end();
                match whole {
                    Ok(()) => found(one)?,
                    Err(what) => scan.report(Damage { offset: at, hash: Some(hash), what }),
                }
                in_damage = false;
                at = end;
                scan.end = end;
                continue;
            }
            Err(RecordError::Foreign) if header.iter().all(|byte| *byte == 0) => in_damage = false,
            Err(error) => {
                if !in_damage || matches!(error, RecordError::Damaged(_)) {
                    scan.report(Damage { offset: at, hash: None, what: error.to_string() });
                }
                in_damage = true;
                scan.end = at + PAGE as u64;
            }
        }
        at += PAGE as u64;
    }
    Ok(scan)
}

impl Scan {
    fn report(&mut self, damage: Damage) {
        if self.damages.len() < MAX_DAMAGES {
            self.damages.push(damage);
        }
    }
}

/// The first page at or after `at` that may hold data; none behind the last one.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data.max(at) / PAGE as u64 * PAGE as u64)),
        Err(Errno::NXIO) => Ok(None),
        // A file system without holes: every page is looked at.
        Err(Errno::INVAL | Errno::NOTSUP) => Ok((at < file.metadata()?.len()).then_some(at)),
        Err(error) => Err(error.into()),
    }
}

/// Fills `buffer` from `offset`, short only at the end of the file; answers how much.
fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Compares every piece with its checksum; the inner error says which one is wrong.
fn check_payload(file: &File, offset: u64, record: &Record, buffer: &mut [u8]) -> io::Result<Result<(), String>> {
    for (index, expected) in record.crc32c.iter().enumerate() {
        let range = pieces::range(index, record.size);
        let bytes = &mut buffer[..range.len()];
        let read = read_up_to(file, bytes, offset + u64::from(range.start))?;
        if read < range.len() {
            return Ok(Err(format!("piece {index} is cut off")));
        }
        if crc32c(bytes) != *expected {
            return Ok(Err(format!("piece {index} does not match its checksum")));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::pages;
    use bytes::Bytes;
    use cairn_quorum::Reference;
    use cairn_types::{BucketId, Epoch, ManifestId};

    const TAG: Tag = Tag([7; 16]);

    fn append(out: &mut Vec<u8>, payload: &[u8]) -> Record {
        let offset = out.len() as u64;
        let record = Record {
            hash: BlockHash::of(payload),
            size: u32::try_from(payload.len()).unwrap(),
            crc32c: pieces::sums(&[Bytes::copy_from_slice(payload)]),
            reference: Reference {
                manifest: ManifestId([1; 16]),
                bucket: BucketId([2; 16]),
                key: Bytes::from_static(b"key"),
                upload: None,
                written_at_ms: 3,
                epoch: Epoch(1),
            },
        };
        record.encode(TAG, offset, out);
        out.extend_from_slice(payload);
        out.resize(usize::try_from(pages(out.len() as u64)).unwrap(), 0);
        record
    }

    fn run(bytes: &[u8], from: u64) -> (Vec<Record>, Scan) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let mut records = Vec::new();
        let scan = scan::<io::Error>(&file, TAG, from, |found| {
            records.push(found.record);
            Ok(())
        })
        .unwrap();
        (records, scan)
    }

    fn segment(payloads: &[&[u8]]) -> (Vec<u8>, Vec<Record>) {
        let mut out = vec![0; usize::try_from(FIRST_RECORD).unwrap()];
        let records = payloads.iter().map(|payload| append(&mut out, payload)).collect();
        (out, records)
    }

    #[test]
    fn records_are_found_behind_holes() {
        let (mut bytes, records) = segment(&[b"one", &[2; 300_000], b"three"]);
        let end = bytes.len() as u64;
        bytes.resize(bytes.len() + 64 * PAGE, 0);
        let (found, scan) = run(&bytes, 0);
        assert_eq!(found, records);
        assert_eq!(scan, Scan { end, damages: Vec::new() });
        // What collection leaves behind.
        bytes[8192..8192 + PAGE].fill(0);
        assert_eq!(run(&bytes, 0).0, records[1..]);
        assert_eq!(run(&bytes, FIRST_RECORD + PAGE as u64).0, records[1..]);
    }

    #[test]
    fn damage_costs_one_record_and_is_reported() {
        let (bytes, records) = segment(&[b"one", &[2; 300_000], b"three"]);
        let second = 8192 + PAGE;
        for (at, hash) in [(second + 40, None), (second + 200_000, Some(records[1].hash))] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let (found, scan) = run(&damaged, 0);
            assert_eq!(found, [records[0].clone(), records[2].clone()], "byte {at}");
            assert_eq!(scan.damages.len(), 1, "{:?}", scan.damages);
            assert_eq!(scan.damages[0].hash, hash);
        }
    }

    #[test]
    fn a_torn_tail_is_no_record() {
        let (bytes, records) = segment(&[b"one", &[2; 300_000]]);
        for keep in (8192 + PAGE + 100..bytes.len() - PAGE).step_by(10_007) {
            let (found, scan) = run(&bytes[..keep], 0);
            assert_eq!(found, records[..1], "{keep} bytes");
            assert_eq!(scan.damages.len(), 1);
        }
    }

    /// A damaged record whose payload holds, on a page, a record made with `tag` for just that place.
    fn forged(tag: Tag) -> Vec<u8> {
        let (_, records) = segment(&[b"inner"]);
        let header = 8192 + usize::from(records[0].encode(TAG, 8192, &mut Vec::new()));
        let mut payload = vec![1; 8192 + PAGE - header];
        records[0].encode(tag, (8192 + PAGE) as u64, &mut payload);
        payload.extend_from_slice(b"inner");
        let (mut bytes, _) = segment(&[&payload]);
        bytes[8192 + 30] ^= 1;
        bytes
    }

    #[test]
    fn a_payload_that_looks_like_a_record_is_not_one() {
        let (found, scan) = run(&forged(Tag([8; 16])), 0);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(scan.damages.len(), 1);
        // Who knew the tag could do it: the test looks at the right place.
        assert_eq!(run(&forged(TAG), 0).0.len(), 1);
    }
}
