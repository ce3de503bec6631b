//! One block in a segment: its header, as bytes.

use bytes::{Buf, BufMut};
use cairn_quorum::Reference;
use cairn_types::{BlockHash, ManifestId};

use super::{PAGE, Tag, pages};
use crate::pieces::{self, crc32c};
use crate::reference::{self, DecodeError, array};

const MAGIC: &[u8; 4] = b"CBLK";
const VERSION: u8 = 1;
/// Magic, version, header length.
const PREFIX: usize = 4 + 1 + 2;
/// Magic, version, length, tag, offset, hash, size; then pieces, manifest and reference; then the checksum.
const SMALLEST: usize = PREFIX + 16 + 8 + 32 + 4 + 4 + 16 + 47 + 4;

/// The largest block a segment can hold, in bytes: its header fits one page, and a session one body of it.
pub(crate) const MAX_BLOCK_BYTES: u32 = 4 * 1024 * 1024;

const _: () = assert!(
    SMALLEST + 4 * (MAX_BLOCK_BYTES / pieces::PIECE_BYTES) as usize + reference::MAX_ENCODED <= PAGE,
    "a record's header fits one page"
);

/// What a record's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) hash: BlockHash,
    /// Bytes of the payload, 1 to [`MAX_BLOCK_BYTES`].
    pub(crate) size: u32,
    /// CRC-32C of each piece.
    pub(crate) crc32c: Vec<u32>,
    /// The reference the block came with.
    pub(crate) reference: Reference,
}

/// Why a page does not begin a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// No header of this segment: an empty page, or a page of a payload.
    #[error("no record begins here")]
    Foreign,
    /// A header of this segment whose bytes are damaged.
    #[error("a record's header is damaged: {0}")]
    Damaged(DecodeError),
}

impl Record {
    /// Appends the header of this record at `offset` of the segment with `tag`; answers its length.
    pub(crate) fn encode(&self, tag: Tag, offset: u64, out: &mut Vec<u8>) -> u16 {
        let start = out.len();
        let length = SMALLEST - 4 + 4 * self.crc32c.len() + self.reference.key.len();
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        out.put_slice(MAGIC);
        out.put_u8(VERSION);
        out.put_u16(length);
        out.put_slice(&tag.0);
        out.put_u64(offset);
        out.put_slice(self.hash.as_bytes());
        out.put_u32(self.size);
        for crc in &self.crc32c {
            out.put_u32(*crc);
        }
        out.put_slice(self.reference.manifest.as_bytes());
        reference::encode(&self.reference, out);
        let crc = crc32c(&out[start..]);
        out.put_u32(crc);
        debug_assert_eq!(out.len() - start, usize::from(length));
        length
    }

    /// Reads the header that begins at `bytes`, which may go on with payload; answers it and its length.
    pub(crate) fn decode(tag: Tag, offset: u64, bytes: &[u8]) -> Result<(Self, u16), RecordError> {
        let length = header_length(tag, bytes)?;
        let header = bytes.get(..usize::from(length)).ok_or(RecordError::Damaged(DecodeError::Short))?;
        let record = Self::decode_header(offset, header).map_err(RecordError::Damaged)?;
        Ok((record, length))
    }

    fn decode_header(offset: u64, header: &[u8]) -> Result<Self, DecodeError> {
        let (covered, mut crc) = header.split_at_checked(header.len().saturating_sub(4)).ok_or(DecodeError::Short)?;
        if crc.try_get_u32()? != crc32c(covered) {
            return Err(DecodeError::Shape("its checksum is wrong"));
        }
        let mut input = covered.get(PREFIX + 16..).ok_or(DecodeError::Short)?;
        if input.try_get_u64()? != offset {
            return Err(DecodeError::Shape("it belongs elsewhere"));
        }
        let hash = BlockHash(array(&mut input)?);
        let size = input.try_get_u32()?;
        if size == 0 || size > MAX_BLOCK_BYTES {
            return Err(DecodeError::Shape("its size is impossible"));
        }
        let crc32c = (0..pieces::count(size)).map(|_| input.try_get_u32()).collect::<Result<_, _>>()?;
        let manifest = ManifestId(array(&mut input)?);
        let reference = reference::decode(manifest, &mut input)?;
        if !input.is_empty() {
            return Err(DecodeError::Long(input.len()));
        }
        Ok(Self { hash, size, crc32c, reference })
    }
}

/// Bytes a record takes in its segment: header and payload, rounded up to pages.
pub(crate) fn span(header_length: u16, size: u32) -> u64 {
    pages(u64::from(header_length) + u64::from(size))
}

/// Checks magic, version and tag, so that anything else is [`RecordError::Foreign`].
fn header_length(tag: Tag, bytes: &[u8]) -> Result<u16, RecordError> {
    let mut input = bytes;
    let magic = array::<4>(&mut input).map_err(|_| RecordError::Foreign)?;
    let version = input.try_get_u8().map_err(|_| RecordError::Foreign)?;
    let length = input.try_get_u16().map_err(|_| RecordError::Foreign)?;
    let found = array::<16>(&mut input).map_err(|_| RecordError::Foreign)?;
    match (&magic == MAGIC, found == tag.0) {
        (_, false) => Err(RecordError::Foreign),
        (false, true) => Err(RecordError::Damaged(DecodeError::Shape("it does not begin like a record"))),
        (true, true) if version != VERSION => Err(RecordError::Damaged(DecodeError::Version(version))),
        (true, true) if usize::from(length) < SMALLEST => Err(RecordError::Damaged(DecodeError::Short)),
        (true, true) => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::tests::any_reference;
    use proptest::prelude::*;

    const TAG: Tag = Tag([9; 16]);

    prop_compose! {
        fn any_record()(
            hash in any::<[u8; 32]>(),
            size in 1..=MAX_BLOCK_BYTES,
            seed in any::<u32>(),
            reference in any_reference(),
        ) -> Record {
            let crc32c = (0..pieces::count(size)).map(|at| seed.rotate_left(u32::try_from(at).unwrap())).collect();
            Record { hash: BlockHash(hash), size, crc32c, reference }
        }
    }

    proptest! {
        #[test]
        fn headers_round_trip(record in any_record(), offset in 0_u64..1 << 40) {
            let mut out = Vec::new();
            let length = record.encode(TAG, offset, &mut out);
            prop_assert!(out.len() <= PAGE);
            out.extend_from_slice(b"payload");
            prop_assert_eq!(Record::decode(TAG, offset, &out), Ok((record, length)));
        }

        #[test]
        fn no_flipped_bit_is_believed(record in any_record(), bit in any::<prop::sample::Index>()) {
            let mut out = Vec::new();
            record.encode(TAG, 8192, &mut out);
            let bit = bit.index(out.len() * 8);
            out[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Record::decode(TAG, 8192, &out).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if bytes.len() > 24 {
                bytes[..4].copy_from_slice(MAGIC);
                bytes[7..23].copy_from_slice(&TAG.0);
            }
            prop_assert!(Record::decode(TAG, 0, &bytes).is_err());
        }
    }

    #[test]
    fn a_record_of_another_segment_or_place_is_not_believed() {
        let reference = Reference {
            manifest: ManifestId([1; 16]),
            bucket: cairn_types::BucketId([2; 16]),
            key: "key".into(),
            upload: None,
            written_at_ms: 3,
            epoch: cairn_types::Epoch(4),
        };
        let record = Record { hash: BlockHash([5; 32]), size: 1, crc32c: vec![6], reference };
        let mut out = Vec::new();
        record.encode(TAG, 8192, &mut out);
        assert_eq!(Record::decode(Tag([8; 16]), 8192, &out), Err(RecordError::Foreign));
        assert!(matches!(Record::decode(TAG, 4096, &out), Err(RecordError::Damaged(_))));
    }
}
