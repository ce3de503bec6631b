//! Random 128-bit ids, one type a kind, and the content hash of a block.

use std::fmt;
use std::str::FromStr;

use blake2::Digest as _;
use blake2::digest::consts::U32;

use crate::Entropy;

/// Why bytes or text are not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: expected {expected} bytes, in hexadecimal where it is text")]
pub struct IdError {
    kind: &'static str,
    expected: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            pub const LEN: usize = $len;

            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            #[must_use]
            pub fn is_zero(&self) -> bool {
                self.0.iter().all(|byte| *byte == 0)
            }

            /// For a wire field.
            #[must_use]
            pub fn to_bytes(&self) -> bytes::Bytes {
                bytes::Bytes::copy_from_slice(&self.0)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; $len]>::try_from(bytes)
                    .map(Self)
                    .map_err(|_| IdError { kind: stringify!($name), expected: $len })
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut out = [0; $len];
                hex::decode_to_slice(text, &mut out)
                    .map_err(|_| IdError { kind: stringify!($name), expected: $len })?;
                Ok(Self(out))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(self.0))
            }
        }
    };
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        id!($(#[$doc])* $name, 16);

        impl $name {
            #[must_use]
            pub fn random(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(bytes)
            }
        }
    };
}

random_id! {
    /// A cluster, derived from its secret.
    ClusterId
}
random_id! {
    /// One database or data directory's identity; made with it, never reused (DESIGN §2, REGISTER D3).
    StoreId
}
random_id! {
    /// One operation on a register (REGISTER §2 `op`).
    OpId
}
random_id! {
    /// One body's list of blocks; random per coordinator, never shared by a retry (REGISTER B2).
    ManifestId
}
random_id! {
    /// A bucket; never reused, whatever its name was.
    BucketId
}
random_id! {
    /// A multipart upload.
    UploadId
}
random_id! {
    /// One client request, from the S3 answer to the last daemon.
    RequestId
}

id! {
    /// BLAKE2b-256 of the bytes given to the block store (DESIGN §6).
    BlockHash, 32
}

impl BlockHash {
    /// Hashes `bytes`: about 1.1 GB/s a core, so not on an async thread for more than a few KiB.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake2b_256(bytes))
    }

    /// The hash of bytes that lie in several pieces.
    #[must_use]
    pub fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake2::Blake2b::<U32>::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Self(hasher.finalize().into())
    }
}

pub(crate) fn blake2b_256(bytes: &[u8]) -> [u8; 32] {
    blake2::Blake2b::<U32>::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let id = OpId([7; 16]);
        assert_eq!(id.to_string().parse::<OpId>(), Ok(id));
        assert_eq!(OpId::try_from(id.as_bytes().as_slice()), Ok(id));
        assert!("07".parse::<OpId>().is_err());
        assert!(OpId::try_from([1_u8; 15].as_slice()).is_err());
    }

    #[test]
    fn block_hash_is_blake2b_256() {
        // Computed with python: hashlib.blake2b(b"cairn", digest_size=32).hexdigest()
        assert_eq!(
            BlockHash::of(b"cairn").to_string(),
            "3b991a0445791cd81841e6e768c0db4c62b36f9f23ac1059bb41991ca224be38"
        );
        assert_eq!(BlockHash::of_pieces([b"ca".as_slice(), b"", b"irn"]), BlockHash::of(b"cairn"));
    }
}
