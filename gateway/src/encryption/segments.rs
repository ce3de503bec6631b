//! A body as sealed segments of 64 KiB, each opened by itself. Pure.
//!
//! A segment is 65,520 bytes of the body (the last one fewer, at least 1) and a tag of 16: AES-256-GCM with the
//! segment's number as its nonce, under a key that no other body has; number and "this is the last" are authenticated
//! (the STREAM construction). Sixteen sealed segments fill a block of 1 MiB exactly, so that a range of a body is a
//! range of whole segments in its blocks.
//!
//! - **G1** A segment opens only where it was sealed: a changed bit, another place, an early or missing end are told.
//!   *Tested by `what_was_tampered_with_does_not_open`.*
//! - **G2** Any range of the body is opened from the segments that hold it alone. *Tested by
//!   `ranges_take_the_segments_that_hold_them`.*

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use bytes::{Bytes, BytesMut};

use super::{CipherError, cipher_key};
use crate::body::digest::length;
use crate::body::write::BLOCK;

/// Bytes of a sealed segment, but for the last of a body.
pub(crate) const SEALED: usize = 64 << 10;
const TAG: usize = 16;
/// Bytes of the body in one segment.
const PLAIN: usize = SEALED - TAG;
const PER_BLOCK: usize = BLOCK / SEALED;
/// Bytes of the body in one block.
pub(crate) const PLAIN_BLOCK: usize = PER_BLOCK * PLAIN;

/// Bytes that a body of `plain` bytes becomes.
pub(crate) const fn sealed_length(plain: u64) -> u64 {
    plain.saturating_add(plain.div_ceil(PLAIN as u64).saturating_mul(TAG as u64))
}

/// Bytes of the body that became `sealed` bytes.
pub(crate) const fn plain_length(sealed: u64) -> u64 {
    sealed.saturating_sub(sealed.div_ceil(SEALED as u64).saturating_mul(TAG as u64))
}

/// The number of the first segment in a body's block.
pub(crate) const fn first_of_block(block: usize) -> u64 {
    block as u64 * PER_BLOCK as u64
}

/// The segments that hold a range of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cover {
    /// Number of the first of them.
    pub(crate) first: u64,
    /// Number of the body's last segment.
    pub(crate) last_of_body: u64,
    /// Where they lie in the sealed body.
    pub(crate) sealed: Range<u64>,
    /// Bytes of the first of them before the range.
    pub(crate) skip: usize,
}

impl Cover {
    /// `wanted` is not empty and inside the body of `size` bytes.
    pub(crate) fn of(wanted: &Range<u64>, size: u64) -> Self {
        let (first, last) = (wanted.start / PLAIN as u64, wanted.end.saturating_sub(1) / PLAIN as u64);
        let end = last.saturating_add(1).saturating_mul(SEALED as u64).min(sealed_length(size));
        Self {
            first,
            last_of_body: size.saturating_sub(1) / PLAIN as u64,
            sealed: first * SEALED as u64..end,
            skip: usize::try_from(wanted.start % PLAIN as u64).unwrap_or(PLAIN),
        }
    }
}

/// The key of one body. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BodyCipher(Arc<LessSafeKey>);

impl BodyCipher {
    pub(super) fn new(key: &[u8; 32]) -> Result<Self, CipherError> {
        cipher_key(key).map(Arc::new).map(Self)
    }

    /// Seals bytes that begin with segment number `first`; all segments are whole but, where the body `ends` here, the
    /// last.
    pub(crate) fn seal(&self, first: u64, plain: &[Bytes], ends: bool) -> Result<Bytes, CipherError> {
        let mut left = length(plain);
        debug_assert!(ends || left.is_multiple_of(PLAIN), "only the last segment of a body may be short");
        let mut out = Vec::with_capacity(left + left.div_ceil(PLAIN) * TAG);
        let (mut number, mut begin) = (first, 0);
        for piece in plain {
            let mut rest = piece.as_ref();
            while !rest.is_empty() {
                let room = PLAIN - (out.len() - begin);
                let (now, later) = rest.split_at(rest.len().min(room));
                out.extend_from_slice(now);
                left -= now.len();
                rest = later;
                if left == 0 || out.len() - begin == PLAIN {
                    let (nonce, aad) = place(number, ends && left == 0);
                    let tag = self.0.seal_in_place_separate_tag(nonce, aad, &mut out[begin..]);
                    out.extend_from_slice(tag.map_err(|_| CipherError)?.as_ref());
                    number += 1;
                    begin = out.len();
                }
            }
        }
        Ok(out.into())
    }

    /// Opens whole segments that begin with number `first`, of a body whose last one is `last_of_body`.
    pub(crate) fn open(
        &self,
        first: u64,
        last_of_body: u64,
        mut sealed: BytesMut,
    ) -> Result<VecDeque<Bytes>, CipherError> {
        let mut opened = VecDeque::with_capacity(sealed.len().div_ceil(SEALED));
        let mut number = first;
        while !sealed.is_empty() {
            let mut segment = sealed.split_to(sealed.len().min(SEALED));
            let (nonce, aad) = place(number, number == last_of_body);
            let plain = self.0.open_in_place(nonce, aad, &mut segment).map_err(|_| CipherError)?.len();
            segment.truncate(plain);
            opened.push_back(segment.freeze());
            number += 1;
        }
        Ok(opened)
    }
}

/// What ties a segment to its place.
fn place(number: u64, ends: bool) -> (Nonce, Aad<[u8; 9]>) {
    let mut nonce = [0; NONCE_LEN];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    let mut aad = [0; 9];
    aad[..8].copy_from_slice(&number.to_be_bytes());
    aad[8] = u8::from(ends);
    (Nonce::assume_unique_for_key(nonce), Aad::from(aad))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn cipher() -> BodyCipher {
        BodyCipher::new(&[5; 32]).unwrap()
    }

    fn body(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
    }

    fn seal(plain: &[u8]) -> Vec<u8> {
        cipher().seal(0, &[Bytes::copy_from_slice(plain)], true).unwrap().to_vec()
    }

    fn last_of(size: usize) -> u64 {
        Cover::of(&(0..size as u64), size as u64).last_of_body
    }

    fn open(sealed: &[u8], first: u64, last: u64) -> Result<Vec<u8>, CipherError> {
        Ok(cipher().open(first, last, BytesMut::from(sealed))?.into_iter().collect::<Vec<_>>().concat())
    }

    proptest! {
        #[test]
        fn lengths_turn_back(plain in 0_u64..1 << 45) {
            prop_assert_eq!(plain_length(sealed_length(plain)), plain);
            prop_assert!(sealed_length(plain) >= plain);
        }

        #[test]
        fn ranges_take_the_segments_that_hold_them(size in 1_usize..4 * PLAIN, from: u32, length: u32) {
            let plain = body(size);
            let sealed = seal(&plain);
            let start = from as usize % size;
            let end = start + 1 + length as usize % (size - start);
            let cover = Cover::of(&(start as u64..end as u64), size as u64);
            let taken = usize::try_from(cover.sealed.start).unwrap()..usize::try_from(cover.sealed.end).unwrap();
            prop_assert!(taken.len() <= end - start + 2 * SEALED);
            let opened = open(&sealed[taken], cover.first, cover.last_of_body).unwrap();
            prop_assert_eq!(&opened[cover.skip..cover.skip + end - start], &plain[start..end]);
        }
    }

    #[test]
    fn bodies_of_every_length_open() {
        for size in [1, 15, 16, PLAIN - 1, PLAIN, PLAIN + 1, 2 * PLAIN, PLAIN_BLOCK, PLAIN_BLOCK + 1] {
            let plain = body(size);
            let sealed = seal(&plain);
            assert_eq!(sealed.len() as u64, sealed_length(size as u64));
            assert!(open(&sealed, 0, last_of(size)).unwrap() == plain);
        }
        assert!(seal(&[]).is_empty());
        assert_eq!(sealed_length(PLAIN_BLOCK as u64), BLOCK as u64, "a block is whole segments");
    }

    #[test]
    fn how_bytes_arrive_changes_nothing() {
        let plain = body(2 * PLAIN + 5);
        let (a, b) = plain.split_at(PLAIN - 1);
        let pieces = [a, &b[..2], &[], &b[2..]].map(Bytes::copy_from_slice);
        assert!(cipher().seal(0, &pieces, true).unwrap() == seal(&plain));
        let (a, b) = plain.split_at(PLAIN);
        let blocks = [
            cipher().seal(0, &[Bytes::copy_from_slice(a)], false),
            cipher().seal(1, &[Bytes::copy_from_slice(b)], true),
        ];
        assert!(blocks.map(Result::unwrap).concat() == seal(&plain));
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let size = 3 * PLAIN + 10;
        let sealed = seal(&body(size));
        let last = last_of(size);
        for at in [0, PLAIN, SEALED - 1, SEALED, sealed.len() - 1] {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(open(&flipped, 0, last), Err(CipherError), "a flipped bit at {at}");
        }
        let segments: Vec<&[u8]> = sealed.chunks(SEALED).collect();
        let swapped = [segments[1], segments[0], segments[2], segments[3]].concat();
        assert_eq!(open(&swapped, 0, last), Err(CipherError));
        assert_eq!(open(segments[1], 0, last), Err(CipherError), "a segment at another's place");
        let cut = segments[..3].concat();
        assert_eq!(open(&cut, 0, 2), Err(CipherError), "an end where there was none");
        assert_eq!(open(&sealed, 0, last + 1), Err(CipherError), "an end that is not the end");
        assert_eq!(open(&sealed[..sealed.len() - 1], 0, last), Err(CipherError));
        assert_eq!(open(&sealed[..8], 0, 0), Err(CipherError));
        let other = BodyCipher::new(&[6; 32]).unwrap();
        assert_eq!(other.open(0, last, BytesMut::from(sealed.as_slice())), Err(CipherError));
    }
}
