//! Incremental hashing in any of the algorithms.

use crc_fast::{CrcAlgorithm, Digest as Crc};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::{Algorithm, Checksum};

/// Computes one checksum piece by piece. CPU-bound: off the async threads for more than a few KiB.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Crc32(Crc),
    Crc32c(Crc),
    Crc64Nvme(Crc),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Crc32 => State::Crc32(Crc::new(CrcAlgorithm::Crc32IsoHdlc)),
            Algorithm::Crc32c => State::Crc32c(Crc::new(CrcAlgorithm::Crc32Iscsi)),
            Algorithm::Crc64Nvme => State::Crc64Nvme(Crc::new(CrcAlgorithm::Crc64Nvme)),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
        })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32(crc) | State::Crc32c(crc) | State::Crc64Nvme(crc) => crc.update(bytes),
            State::Sha1(sha) => sha.update(bytes),
            State::Sha256(sha) => sha.update(bytes),
        }
    }

    #[must_use]
    pub fn finish(self) -> Checksum {
        match self.0 {
            State::Crc32(crc) => Checksum::Crc32(low_half(crc.finalize())),
            State::Crc32c(crc) => Checksum::Crc32c(low_half(crc.finalize())),
            State::Crc64Nvme(crc) => Checksum::Crc64Nvme(crc.finalize().to_be_bytes()),
            State::Sha1(sha) => Checksum::Sha1(sha.finalize().into()),
            State::Sha256(sha) => Checksum::Sha256(sha.finalize().into()),
        }
    }

    /// Of bytes that are all here.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// A 32-bit CRC stands in the low half of the library's 64 bits.
pub(super) fn low_half(crc: u64) -> [u8; 4] {
    let [_, _, _, _, a, b, c, d] = crc.to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the algorithms' catalogues, over "123456789".
    #[test]
    fn check_values() {
        let of = |algorithm| hex::encode(Hasher::of(algorithm, b"123456789").as_bytes());
        assert_eq!(of(Algorithm::Crc32), "cbf43926");
        assert_eq!(of(Algorithm::Crc32c), "e3069283");
        assert_eq!(of(Algorithm::Crc64Nvme), "ae8b14860a799888");
        assert_eq!(of(Algorithm::Sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        assert_eq!(of(Algorithm::Sha256), "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
    }

    #[test]
    fn pieces_make_the_same_value() {
        for algorithm in Algorithm::ALL {
            let mut hasher = Hasher::new(algorithm);
            for piece in [b"12".as_slice(), b"", b"3456", b"789"] {
                hasher.update(piece);
            }
            assert_eq!(hasher.finish(), Hasher::of(algorithm, b"123456789"));
        }
    }
}
