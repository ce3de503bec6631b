//! The format of a segment file, version 1.
//!
//! A segment is a file named by its number (`00000000.seg`, hexadecimal) in `segments/` of a data directory:
//!
//! ```text
//! 0      header, one page          4 KiB pages; integers are big-endian
//! 4096   the same header again     so that one bad sector does not cost the segment
//! 8192   record, record, …         each begins on a page; zero pages between are holes or not written yet
//!
//! header "CAIRNSEG" 8 | version 2 | number 4 | store 16 | directory 16 | tag 16 | created_ms 8 | CRC-32C 4
//! record "CBLK" 4 | version 1 | header length 2 | tag 16 | offset 8 | hash 32 | size 4 | CRC-32C of each
//!        256 KiB piece 4 × n | manifest 16 | first reference (see `reference`) | CRC-32C of the above 4
//!        | payload, `size` bytes | zeros to the next page
//! ```
//!
//! - A record is believed only with the random `tag` of its segment, its own offset and a right CRC-32C: bytes of a
//!   payload that look like a record (somebody stored a segment file as an object) are never taken for one
//!   (`a_payload_that_looks_like_a_record_is_not_one`).
//! - Nothing is ever written over: a segment only grows, and what is deleted is punched out, its header too.
//! - A segment is written by one process run only; the next run begins a new one behind a torn tail.

mod record;
mod scan;

pub(crate) use record::{MAX_BLOCK_BYTES, Record, RecordError, span};
pub(crate) use scan::{Found, scan};

use bytes::{Buf, BufMut};
use cairn_types::StoreId;

use crate::pieces::crc32c;
use crate::reference::{DecodeError, array};

/// Records begin on multiples of it, as O_DIRECT and hole punching ask.
pub(crate) const PAGE: usize = 4096;

/// Where the first record begins.
pub(crate) const FIRST_RECORD: u64 = 2 * PAGE as u64;

const MAGIC: &[u8; 8] = b"CAIRNSEG";
const VERSION: u16 = 1;
const HEADER_LENGTH: usize = 8 + 2 + 4 + 16 + 16 + 16 + 8 + 4;

/// A data directory's identity inside a store; made with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct DirectoryId(pub(crate) [u8; 16]);

/// Random per segment; proves that a record was written as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tag(pub(crate) [u8; 16]);

/// The first two pages of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) store: StoreId,
    pub(crate) directory: DirectoryId,
    pub(crate) tag: Tag,
    pub(crate) created_ms: u64,
}

impl SegmentHeader {
    /// One page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PAGE);
        out.put_slice(MAGIC);
        out.put_u16(VERSION);
        out.put_u32(self.number);
        out.put_slice(self.store.as_bytes());
        out.put_slice(&self.directory.0);
        out.put_slice(&self.tag.0);
        out.put_u64(self.created_ms);
        let crc = crc32c(&out);
        out.put_u32(crc);
        out.resize(PAGE, 0);
        out
    }

    /// Reads the first whole copy among the pages given.
    pub(crate) fn decode_either(pages: &[u8]) -> Result<Self, DecodeError> {
        let mut failure = DecodeError::Short;
        for page in pages.chunks(PAGE) {
            match Self::decode(page) {
                Ok(header) => return Ok(header),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn decode(page: &[u8]) -> Result<Self, DecodeError> {
        let bytes = page.get(..HEADER_LENGTH).ok_or(DecodeError::Short)?;
        let (covered, mut crc) = bytes.split_at(HEADER_LENGTH - 4);
        let mut input = covered;
        if &array::<8>(&mut input)? != MAGIC {
            return Err(DecodeError::Shape("it does not begin like a segment"));
        }
        if crc.try_get_u32()? != crc32c(covered) {
            return Err(DecodeError::Shape("its header's checksum is wrong"));
        }
        let version = input.try_get_u16()?;
        if version != VERSION {
            return Err(DecodeError::Version(u8::try_from(version).unwrap_or(u8::MAX)));
        }
        Ok(Self {
            number: input.try_get_u32()?,
            store: StoreId(array(&mut input)?),
            directory: DirectoryId(array(&mut input)?),
            tag: Tag(array(&mut input)?),
            created_ms: input.try_get_u64()?,
        })
    }
}

/// The file name of segment `number`.
pub(crate) fn file_name(number: u32) -> String {
    format!("{number:08x}.seg")
}

/// The number in a segment's file name.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// `length` rounded up to whole pages.
pub(crate) const fn pages(length: u64) -> u64 {
    length.next_multiple_of(PAGE as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            number: 7,
            store: StoreId([1; 16]),
            directory: DirectoryId([2; 16]),
            tag: Tag([3; 16]),
            created_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn headers_round_trip_and_survive_one_bad_copy() {
        let page = header().encode();
        assert_eq!(page.len(), PAGE);
        let mut twice = [page.clone(), page.clone()].concat();
        assert_eq!(SegmentHeader::decode_either(&twice), Ok(header()));
        for bit in 0..HEADER_LENGTH * 8 {
            twice[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode_either(&twice), Ok(header()), "bit {bit}");
            assert!(SegmentHeader::decode_either(&twice[..PAGE]).is_err(), "bit {bit}");
            twice[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(SegmentHeader::decode_either(&[]).is_err());
    }

    #[test]
    fn file_names_round_trip() {
        assert_eq!(number_of(&file_name(0xABC)), Some(0xABC));
        for bad in ["", ".seg", "1.seg", "zzzzzzzz.seg", "00000001.tmp", "000000001.seg"] {
            assert_eq!(number_of(bad), None, "{bad}");
        }
    }
}
