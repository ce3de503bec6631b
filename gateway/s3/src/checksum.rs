//! The checksums clients send and ask for (S3.md §3): values, incremental hashing, and joining parts.

mod hasher;
mod multipart;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use hasher::Hasher;
pub use multipart::{Composite, FullObject};

/// An algorithm of `x-amz-checksum-*`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// Algorithms of AWS that are not built here.
const NOT_BUILT: [&str; 5] = ["MD5", "SHA512", "XXHASH128", "XXHASH3", "XXHASH64"];

impl Algorithm {
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// The header or trailer that carries a value of this algorithm.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The element that carries a value of this algorithm.
    #[must_use]
    pub const fn element(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "ChecksumCRC32",
            Algorithm::Crc32c => "ChecksumCRC32C",
            Algorithm::Crc64Nvme => "ChecksumCRC64NVME",
            Algorithm::Sha1 => "ChecksumSHA1",
            Algorithm::Sha256 => "ChecksumSHA256",
        }
    }

    /// The name in `x-amz-checksum-algorithm` and in XML.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    /// Whether AWS has an algorithm of this name, in either case, and we have not.
    #[must_use]
    pub fn is_not_built(name: &str) -> bool {
        NOT_BUILT.into_iter().any(|missing| missing.eq_ignore_ascii_case(name))
    }

    /// By its name, in either case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// By its header or trailer, in lower case.
    #[must_use]
    pub fn from_header(header: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header() == header)
    }

    /// How a multipart object's checksum is made where the client does not say.
    #[must_use]
    pub const fn default_kind(self) -> Kind {
        match self {
            Algorithm::Crc64Nvme => Kind::FullObject,
            Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Sha1 | Algorithm::Sha256 => Kind::Composite,
        }
    }

    /// Whether AWS has this algorithm in this kind: CRC-64 is never composite, SHA never of the full object.
    #[must_use]
    pub const fn supports(self, kind: Kind) -> bool {
        match (self, kind) {
            (Algorithm::Crc64Nvme, Kind::Composite) | (Algorithm::Sha1 | Algorithm::Sha256, Kind::FullObject) => false,
            (Algorithm::Crc32 | Algorithm::Crc32c, _)
            | (Algorithm::Crc64Nvme, Kind::FullObject)
            | (Algorithm::Sha1 | Algorithm::Sha256, Kind::Composite) => true,
        }
    }
}

/// What a multipart object's checksum is of: its parts' checksums, or all its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Composite,
    FullObject,
}

impl Kind {
    /// The text of `x-amz-checksum-type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Composite => "COMPOSITE",
            Kind::FullObject => "FULL_OBJECT",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "COMPOSITE" => Some(Kind::Composite),
            "FULL_OBJECT" => Some(Kind::FullObject),
            _ => None,
        }
    }
}

/// One value. `Display` is its base64, as headers carry it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    Crc32([u8; 4]),
    Crc32c([u8; 4]),
    Crc64Nvme([u8; 8]),
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

impl Checksum {
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Checksum::Crc32(_) => Algorithm::Crc32,
            Checksum::Crc32c(_) => Algorithm::Crc32c,
            Checksum::Crc64Nvme(_) => Algorithm::Crc64Nvme,
            Checksum::Sha1(_) => Algorithm::Sha1,
            Checksum::Sha256(_) => Algorithm::Sha256,
        }
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Checksum::Crc32(bytes) | Checksum::Crc32c(bytes) => bytes,
            Checksum::Crc64Nvme(bytes) => bytes,
            Checksum::Sha1(bytes) => bytes,
            Checksum::Sha256(bytes) => bytes,
        }
    }

    /// `None` where the length is not the algorithm's.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Crc32 => Checksum::Crc32(bytes.try_into().ok()?),
            Algorithm::Crc32c => Checksum::Crc32c(bytes.try_into().ok()?),
            Algorithm::Crc64Nvme => Checksum::Crc64Nvme(bytes.try_into().ok()?),
            Algorithm::Sha1 => Checksum::Sha1(bytes.try_into().ok()?),
            Algorithm::Sha256 => Checksum::Sha256(bytes.try_into().ok()?),
        })
    }

    /// Reads a header's base64; `None` where it is not that, or of the wrong length.
    #[must_use]
    pub fn from_base64(algorithm: Algorithm, text: &str) -> Option<Self> {
        Self::from_bytes(algorithm, &STANDARD.decode(text).ok()?)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.algorithm().name())
    }
}

/// An object's checksum as it is stored and answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ObjectChecksum {
    pub value: Checksum,
    pub kind: Kind,
    /// How many parts a composite value is of; such a value is written `base64-N`.
    pub parts: Option<u32>,
}

impl ObjectChecksum {
    /// Of a body sent in one piece.
    #[must_use]
    pub const fn whole(value: Checksum) -> Self {
        Self { value, kind: Kind::FullObject, parts: None }
    }
}

impl fmt::Display for ObjectChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.parts) {
            (Kind::Composite, Some(parts)) => write!(f, "{}-{parts}", self.value),
            (Kind::Composite, None) | (Kind::FullObject, _) => write!(f, "{}", self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::from_header(algorithm.header()), Some(algorithm));
            assert!(algorithm.supports(algorithm.default_kind()));
        }
    }

    #[test]
    fn only_exact_base64_is_a_value() {
        let value = Checksum::from_base64(Algorithm::Crc32, "AAAAAA==").unwrap();
        assert_eq!(value, Checksum::Crc32([0; 4]));
        assert_eq!(value.to_string(), "AAAAAA==");
        for bad in ["", "AAAA", "AAAAAA=", "AAAAAAAA", "????????"] {
            assert_eq!(Checksum::from_base64(Algorithm::Crc32, bad), None, "{bad}");
        }
    }

    #[test]
    fn composite_values_end_in_their_part_count() {
        let value = Checksum::Crc32([0; 4]);
        let composite = ObjectChecksum { value, kind: Kind::Composite, parts: Some(3) };
        assert_eq!(composite.to_string(), "AAAAAA==-3");
        assert_eq!(ObjectChecksum::whole(value).to_string(), "AAAAAA==");
    }
}
