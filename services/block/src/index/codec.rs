//! Values and keys of the index, as bytes.

use bytes::{Buf, BufMut};
use cairn_quorum::Reference;
use cairn_store::Error;
use cairn_types::{BlockHash, ManifestId};

use super::{Hole, Mark};
use crate::directory::DirectoryNumber;
use crate::pieces;
use crate::reference::{self, DecodeError, array};
use crate::segment::{MAX_BLOCK_BYTES, span};

/// Version of a block's value.
const VERSION: u8 = 1;

const FLAG_DAMAGED: u8 = 1;

/// Where a block's record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Location {
    pub(crate) directory: DirectoryNumber,
    pub(crate) segment: u32,
    /// Of the record; its payload begins behind the header.
    pub(crate) offset: u64,
    pub(crate) header_length: u16,
}

/// A block that is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block {
    pub(crate) location: Location,
    pub(crate) size: u32,
    /// CRC-32C of each piece.
    pub(crate) crc32c: Vec<u32>,
    /// Since nobody references it: when collection may take it.
    pub(crate) doomed_ms: Option<u64>,
    /// A read met wrong bytes: never served again, replaced by the next put of the same hash.
    pub(crate) damaged: bool,
}

impl Block {
    /// The space its record takes.
    pub(crate) fn hole(&self) -> Hole {
        let Location { directory, segment, offset, header_length } = self.location;
        Hole { directory, segment, offset, length: span(header_length, self.size) }
    }
}

/// `version 1 | flags 1 | directory 2 | segment 4 | offset 8 | header length 2 | size 4 | doomed_ms 8, zero for none |
/// CRC-32C 4 × pieces`
pub(super) fn encode_block(block: &Block) -> Vec<u8> {
    let mut out = Vec::with_capacity(30 + 4 * block.crc32c.len());
    out.put_u8(VERSION);
    out.put_u8(if block.damaged { FLAG_DAMAGED } else { 0 });
    out.put_u16(block.location.directory.0);
    out.put_u32(block.location.segment);
    out.put_u64(block.location.offset);
    out.put_u16(block.location.header_length);
    out.put_u32(block.size);
    out.put_u64(block.doomed_ms.unwrap_or(0));
    for crc in &block.crc32c {
        out.put_u32(*crc);
    }
    out
}

pub(super) fn decode_block(value: &[u8]) -> Result<Block, Error> {
    block(value).map_err(|error| damaged("a block", &error))
}

fn block(mut input: &[u8]) -> Result<Block, DecodeError> {
    let version = input.try_get_u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let flags = input.try_get_u8()?;
    let location = Location {
        directory: DirectoryNumber(input.try_get_u16()?),
        segment: input.try_get_u32()?,
        offset: input.try_get_u64()?,
        header_length: input.try_get_u16()?,
    };
    let size = input.try_get_u32()?;
    if size == 0 || size > MAX_BLOCK_BYTES {
        return Err(DecodeError::Shape("its size is impossible"));
    }
    let doomed_ms = Some(input.try_get_u64()?).filter(|deadline| *deadline != 0);
    let crc32c = (0..pieces::count(size)).map(|_| input.try_get_u32()).collect::<Result<_, _>>()?;
    if !input.is_empty() {
        return Err(DecodeError::Long(input.len()));
    }
    Ok(Block { location, size, crc32c, doomed_ms, damaged: flags & FLAG_DAMAGED != 0 })
}

/// `hash 32 | manifest 16` and a reference.
pub(super) fn decode_reference_of(key: &[u8], value: &[u8]) -> Result<(BlockHash, Reference), Error> {
    let mut rest = key;
    let hash = array(&mut rest).map_err(|error| damaged("a reference's key", &error))?;
    Ok((BlockHash(hash), decode_reference(rest, value)?))
}

pub(super) fn decode_reference(manifest: &[u8], mut value: &[u8]) -> Result<Reference, Error> {
    let manifest = ManifestId::try_from(manifest).map_err(|error| Error::Corrupt(error.to_string()))?;
    reference::decode(manifest, &mut value).map_err(|error| damaged("a reference", &error))
}

/// `deadline_ms 8 | hash 32`
pub(super) fn decode_doomed(mut key: &[u8]) -> Result<(u64, BlockHash), Error> {
    let mut read = || Ok::<_, DecodeError>((key.try_get_u64()?, BlockHash(array(&mut key)?)));
    read().map_err(|error| damaged("an entry of the doomed queue", &error))
}

/// `directory 2 | segment 4 | offset 8` and `length 8`.
pub(super) fn decode_hole(mut key: &[u8], mut value: &[u8]) -> Result<Hole, Error> {
    let mut read = || {
        Ok::<_, DecodeError>(Hole {
            directory: DirectoryNumber(key.try_get_u16()?),
            segment: key.try_get_u32()?,
            offset: key.try_get_u64()?,
            length: value.try_get_u64()?,
        })
    };
    read().map_err(|error| damaged("a hole", &error))
}

/// `segment 4 | offset 8`
pub(super) fn encode_mark(mark: Mark) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    out.put_u32(mark.segment);
    out.put_u64(mark.offset);
    out
}

pub(super) fn decode_mark(mut value: &[u8]) -> Result<Mark, Error> {
    let mut read = || Ok::<_, DecodeError>(Mark { segment: value.try_get_u32()?, offset: value.try_get_u64()? });
    read().map_err(|error| damaged("a mark", &error))
}

/// A big-endian number of 4 or 8 bytes.
pub(super) fn number(value: &[u8]) -> Result<u64, Error> {
    match value.len() {
        4 | 8 => Ok(value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))),
        _ => Err(damaged("a number", &DecodeError::Short)),
    }
}

fn damaged(what: &str, error: &DecodeError) -> Error {
    Error::Corrupt(format!("the index's entry of {what} is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_block()(
            (directory, segment, offset, header_length) in any::<(u16, u32, u64, u16)>(),
            size in 1..=MAX_BLOCK_BYTES,
            crc in any::<u32>(),
            doomed_ms in proptest::option::of(1..u64::MAX),
            damaged in any::<bool>(),
        ) -> Block {
            let location = Location { directory: DirectoryNumber(directory), segment, offset, header_length };
            Block { location, size, crc32c: vec![crc; pieces::count(size)], doomed_ms, damaged }
        }
    }

    proptest! {
        #[test]
        fn blocks_round_trip(block in any_block()) {
            prop_assert_eq!(decode_block(&encode_block(&block)), Ok(block));
        }

        #[test]
        fn marks_round_trip(segment in any::<u32>(), offset in any::<u64>()) {
            let mark = Mark { segment, offset };
            prop_assert_eq!(decode_mark(&encode_mark(mark)), Ok(mark));
        }

        #[test]
        fn arbitrary_bytes_never_panic(key in proptest::collection::vec(any::<u8>(), 0..60), mut value in proptest::collection::vec(any::<u8>(), 0..60)) {
            drop((decode_doomed(&key), decode_hole(&key, &value), decode_mark(&value)));
            drop((number(&value), decode_reference(&key, &value)));
            if let Some(first) = value.first_mut() {
                *first = VERSION;
            }
            drop(decode_block(&value));
        }
    }
}
