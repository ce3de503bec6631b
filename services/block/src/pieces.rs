//! A block as pieces of 256 KiB, each with its own CRC-32C.
//!
//! One checksum a piece lets a reader verify what it asked for and no more, before the first byte of it leaves.

use std::ops::Range;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

/// Bytes of a block under one checksum; the last piece of a block may be shorter.
pub const PIECE_BYTES: u32 = 256 * 1024;

/// How many pieces a block of `size` bytes has.
#[must_use]
pub const fn count(size: u32) -> usize {
    size.div_ceil(PIECE_BYTES) as usize
}

/// The bytes of piece `index` in a block of `size` bytes; empty past the end.
#[must_use]
pub fn range(index: usize, size: u32) -> Range<u32> {
    let start =
        u32::try_from(index).ok().and_then(|index| index.checked_mul(PIECE_BYTES)).unwrap_or(u32::MAX).min(size);
    start..start.saturating_add(PIECE_BYTES).min(size)
}

/// CRC-32C (iSCSI) of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    narrow(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// Sums a block that arrives in parts of any size.
pub struct PieceSums {
    done: Vec<u32>,
    digest: Digest,
    /// Bytes of the piece that is open.
    open: u32,
}

impl Default for PieceSums {
    fn default() -> Self {
        Self { done: Vec::new(), digest: Digest::new(CrcAlgorithm::Crc32Iscsi), open: 0 }
    }
}

impl PieceSums {
    pub fn update(&mut self, mut part: &[u8]) {
        while !part.is_empty() {
            let room = (PIECE_BYTES - self.open) as usize;
            let (head, rest) = part.split_at(room.min(part.len()));
            self.digest.update(head);
            self.open = u32::try_from(head.len()).map_or(PIECE_BYTES, |length| self.open + length);
            if self.open == PIECE_BYTES {
                self.close();
            }
            part = rest;
        }
    }

    /// The checksum of each piece, in order.
    #[must_use]
    pub fn finish(mut self) -> Vec<u32> {
        if self.open > 0 {
            self.close();
        }
        self.done
    }

    fn close(&mut self) {
        self.done.push(narrow(self.digest.finalize_reset()));
        self.open = 0;
    }
}

/// The checksum of each piece of a block given in parts of any size.
#[must_use]
pub fn sums(parts: &[Bytes]) -> Vec<u32> {
    let mut sums = PieceSums::default();
    for part in parts {
        sums.update(part);
    }
    sums.finish()
}

/// A CRC-32 comes in 64 bits whose upper half is zero.
fn narrow(crc: u64) -> u32 {
    u32::try_from(crc & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_value_is_crc_32c() {
        // The check value of CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn ranges_cover_a_block() {
        assert_eq!((count(1), count(PIECE_BYTES), count(PIECE_BYTES + 1)), (1, 1, 2));
        assert_eq!(range(0, 5), 0..5);
        assert_eq!(range(1, PIECE_BYTES + 7), PIECE_BYTES..PIECE_BYTES + 7);
        assert!(range(2, PIECE_BYTES).is_empty());
        assert!(range(usize::MAX, PIECE_BYTES).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn cuts_do_not_change_sums(size in 1_usize..1_048_576, cuts in proptest::collection::vec(1_usize..300_000, 1..8)) {
            let data: Vec<u8> = (0..size).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect();
            let mut rest = Bytes::from(data.clone());
            let mut parts = Vec::new();
            for cut in cuts {
                parts.push(rest.split_to(cut.min(rest.len())));
            }
            parts.push(rest);
            let whole: Vec<u32> = data.chunks(PIECE_BYTES as usize).map(crc32c).collect();
            prop_assert_eq!(sums(&parts), whole);
        }
    }
}
