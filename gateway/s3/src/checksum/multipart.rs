//! A multipart object's checksum from its parts' (S3.md §3).

use crc_fast::{CrcAlgorithm, checksum_combine};

use super::hasher::low_half;
use super::{Algorithm, Checksum, Hasher, Kind, ObjectChecksum};

/// The checksum of the parts' checksums, in part order.
#[derive(Clone)]
pub struct Composite {
    hasher: Hasher,
    parts: u32,
}

impl Composite {
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self { hasher: Hasher::new(algorithm), parts: 0 }
    }

    pub fn push(&mut self, part: &Checksum) {
        self.hasher.update(part.as_bytes());
        self.parts += 1;
    }

    #[must_use]
    pub fn finish(self) -> ObjectChecksum {
        ObjectChecksum { value: self.hasher.finish(), kind: Kind::Composite, parts: Some(self.parts) }
    }
}

/// The checksum of all bytes, joined from the parts' CRCs without reading them.
#[derive(Clone, Debug)]
pub struct FullObject(Checksum);

impl FullObject {
    /// `None` for SHA, which cannot be joined. The CRC of no bytes is 0 in all three algorithms.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Crc32 => Some(Self(Checksum::Crc32([0; 4]))),
            Algorithm::Crc32c => Some(Self(Checksum::Crc32c([0; 4]))),
            Algorithm::Crc64Nvme => Some(Self(Checksum::Crc64Nvme([0; 8]))),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }

    /// Adds the next part; `false` where its checksum is of another algorithm, and nothing changes.
    #[must_use]
    pub fn push(&mut self, part: &Checksum, part_bytes: u64) -> bool {
        self.0 = match (self.0, *part) {
            (Checksum::Crc32(left), Checksum::Crc32(right)) => {
                Checksum::Crc32(join_32(CrcAlgorithm::Crc32IsoHdlc, left, right, part_bytes))
            }
            (Checksum::Crc32c(left), Checksum::Crc32c(right)) => {
                Checksum::Crc32c(join_32(CrcAlgorithm::Crc32Iscsi, left, right, part_bytes))
            }
            (Checksum::Crc64Nvme(left), Checksum::Crc64Nvme(right)) => {
                let (left, right) = (u64::from_be_bytes(left), u64::from_be_bytes(right));
                Checksum::Crc64Nvme(checksum_combine(CrcAlgorithm::Crc64Nvme, left, right, part_bytes).to_be_bytes())
            }
            _ => return false,
        };
        true
    }

    #[must_use]
    pub fn finish(self) -> ObjectChecksum {
        ObjectChecksum::whole(self.0)
    }
}

fn join_32(algorithm: CrcAlgorithm, left: [u8; 4], right: [u8; 4], right_bytes: u64) -> [u8; 4] {
    let (left, right) = (u32::from_be_bytes(left), u32::from_be_bytes(right));
    low_half(checksum_combine(algorithm, left.into(), right.into(), right_bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joined_crcs_equal_the_crc_of_all_bytes(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
            for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
                let mut joined = FullObject::new(algorithm).unwrap();
                for part in &parts {
                    prop_assert!(joined.push(&Hasher::of(algorithm, part), part.len() as u64));
                }
                let whole = Hasher::of(algorithm, &parts.concat());
                prop_assert_eq!(joined.finish(), ObjectChecksum::whole(whole));
            }
        }
    }

    #[test]
    fn sha_cannot_be_joined_and_algorithms_do_not_mix() {
        assert!(FullObject::new(Algorithm::Sha1).is_none());
        assert!(FullObject::new(Algorithm::Sha256).is_none());
        let mut crc = FullObject::new(Algorithm::Crc32).unwrap();
        assert!(!crc.push(&Hasher::of(Algorithm::Crc32c, b"x"), 1));
    }

    #[test]
    fn composite_is_the_checksum_of_checksums() {
        let mut composite = Composite::new(Algorithm::Sha256);
        let (a, b) = (Hasher::of(Algorithm::Sha256, b"a"), Hasher::of(Algorithm::Sha256, b"b"));
        composite.push(&a);
        composite.push(&b);
        let expected = Hasher::of(Algorithm::Sha256, &[a.as_bytes(), b.as_bytes()].concat());
        assert_eq!(composite.finish().to_string(), format!("{expected}-2"));
    }
}
