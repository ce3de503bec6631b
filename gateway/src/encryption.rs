//! SSE-C: objects encrypted with keys that only their customers have (ADR 0012).
//!
//! A customer's key and an object's random salt make the object's own secret (HKDF-SHA256); the secret makes the key
//! of its body, or with another salt that of each part, and the key of its checksum. A check value that the same
//! derivation gives tells a wrong key. The salt and the check are all that is stored.
//!
//! - **E1** What goes to a disk is [`AtRest`], which only [`BodySeal`] makes: of an encrypted object, ciphertext
//!   (SECURITY V19). *Tested by `tests/s3/encryption.rs` and, on real disks, by `tests/tests/encryption.rs`.*
//! - **E2** An object's bytes are read with the [`Secrecy`] of its own head, which exists only where the request's key
//!   was right: no caller can hand out ciphertext, or read without the key. *Tested by `tests/s3/encryption.rs`.*
//! - **E3** No body key seals two texts under one nonce: every body has a salt of its own, and its segments are
//!   numbered (see [`segments`]). *Tested by `every_body_has_a_key_of_its_own`.*
//! - **E4** Keys and secrets are erased when dropped, compared in constant time, and never printed.

pub(crate) mod read;
pub(crate) mod segments;

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use bytes::{Bytes, BytesMut};
use cairn_model::rows;
use cairn_model::rows::Encryption;
use cairn_s3::checksum::{Checksum, Kind};
use cairn_s3::{CustomerKey, ETag, ErrorCode, S3Error};
use cairn_types::Entropy;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use self::segments::{BodyCipher, PLAIN_BLOCK, sealed_length};
use crate::body::digest::{HashPool, Pieces, length};
use crate::body::write::BLOCK;
use crate::convert;
use crate::failure::Failure;

/// The cipher refused. Reading, the bytes are not what was stored; else a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encrypted bytes do not open: they are damaged")]
pub(crate) struct CipherError;

impl From<CipherError> for Failure {
    fn from(error: CipherError) -> Self {
        Self::internal(error.to_string())
    }
}

/// How one object is kept: plain, or under a secret that this request has shown it may use. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Secrecy(Option<Arc<ObjectSecret>>);

struct ObjectSecret {
    secret: Zeroizing<[u8; 32]>,
    encryption: Encryption,
}

/// What a key must be compared with, and how its absence is worded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Locked {
    /// An object that is read.
    Object,
    /// An upload that parts are added to.
    Upload,
}

impl Secrecy {
    /// Of an object that is not encrypted.
    pub(crate) const PLAIN: Self = Self(None);

    /// Of a new object: encrypted where the request brings a key.
    pub(crate) fn of_new(key: Option<&CustomerKey>, entropy: &dyn Entropy) -> Self {
        Self(key.map(|key| {
            let mut salt = [0; 32];
            entropy.fill(&mut salt);
            let (secret, check) = open(key, &salt);
            Arc::new(ObjectSecret { secret, encryption: Encryption { salt, check } })
        }))
    }

    /// Of an object or upload that is there.
    ///
    /// # Errors
    /// As AWS: `InvalidRequest` for a key where there is nothing to open and for none where there is, `AccessDenied`
    /// for a wrong one (`InvalidRequest` for an upload's).
    pub(crate) fn unlock(
        what: Locked,
        encryption: Option<&Encryption>,
        key: Option<&CustomerKey>,
    ) -> Result<Self, S3Error> {
        let invalid = |message| S3Error::with_message(ErrorCode::InvalidRequest, message);
        let (encryption, key) = match (encryption, key) {
            (None, None) => return Ok(Self(None)),
            (None, Some(_)) => return Err(invalid("The encryption parameters are not applicable to this object.")),
            (Some(_), None) => {
                return Err(invalid(match what {
                    Locked::Object => {
                        "The object was stored using a form of Server Side Encryption. The correct parameters must be \
                         provided to retrieve the object."
                    }
                    Locked::Upload => {
                        "The multipart upload initiate requested encryption. Subsequent part requests must include the \
                         appropriate encryption parameters."
                    }
                }));
            }
            (Some(encryption), Some(key)) => (encryption, key),
        };
        let (secret, check) = open(key, &encryption.salt);
        if bool::from(check.ct_eq(&encryption.check)) {
            return Ok(Self(Some(Arc::new(ObjectSecret { secret, encryption: *encryption }))));
        }
        Err(match what {
            Locked::Object => ErrorCode::AccessDenied.into(),
            Locked::Upload => invalid("The provided encryption parameters did not match the ones used originally."),
        })
    }

    pub(crate) const fn is_encrypted(&self) -> bool {
        self.0.is_some()
    }

    /// What the head says of it.
    pub(crate) fn encryption(&self) -> Option<Encryption> {
        self.0.as_ref().map(|object| object.encryption)
    }

    /// How the bytes of an object that is one body are kept.
    pub(crate) fn body(&self) -> Result<BodySeal, CipherError> {
        let Some(object) = &self.0 else { return Ok(BodySeal { cipher: None, salt: None }) };
        let key = derive(object.secret.as_slice(), &[], "body");
        Ok(BodySeal { cipher: Some(BodyCipher::new(&key)?), salt: None })
    }

    /// How a new part is kept.
    pub(crate) fn new_part(&self, entropy: &dyn Entropy) -> Result<BodySeal, CipherError> {
        if self.0.is_none() {
            return self.body();
        }
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        self.part(Some(&salt))
    }

    /// How a part that is there is kept.
    fn part(&self, salt: Option<&[u8; 32]>) -> Result<BodySeal, CipherError> {
        match (&self.0, salt) {
            (None, None) => self.body(),
            (Some(object), Some(salt)) => {
                let key = derive(object.secret.as_slice(), salt, "part");
                Ok(BodySeal { cipher: Some(BodyCipher::new(&key)?), salt: Some(*salt) })
            }
            (None, Some(_)) | (Some(_), None) => Err(CipherError),
        }
    }

    /// The tag of a new body: of an encrypted one it says nothing of the bytes.
    pub(crate) fn etag(&self, md5: [u8; 16], entropy: &dyn Entropy) -> ETag {
        let mut tag = md5;
        if self.is_encrypted() {
            entropy.fill(&mut tag);
        }
        ETag::Md5(tag)
    }

    /// A checksum as its row keeps it: what it says of an encrypted object's bytes is encrypted too.
    pub(crate) fn seal_checksum(
        &self,
        checksum: &Checksum,
        kind: Kind,
        entropy: &dyn Entropy,
    ) -> Result<rows::Checksum, CipherError> {
        let mut stored = convert::stored_checksum(checksum, kind);
        if let Some(object) = &self.0 {
            let mut nonce = [0; NONCE_LEN];
            entropy.fill(&mut nonce);
            let mut text = stored.value.to_vec();
            object
                .checksum_key()?
                .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
                .map_err(|_| CipherError)?;
            stored.value = [nonce.as_slice(), &text].concat().into();
        }
        Ok(stored)
    }

    /// The checksum itself.
    pub(crate) fn open_checksum(&self, stored: &rows::Checksum) -> Result<Checksum, Failure> {
        let Some(object) = &self.0 else { return convert::checksum(stored) };
        let (nonce, text) = stored.value.split_first_chunk::<NONCE_LEN>().ok_or(CipherError)?;
        let mut text = text.to_vec();
        let value = object
            .checksum_key()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut text)
            .map_err(|_| CipherError)?;
        convert::checksum(&rows::Checksum { value: Bytes::copy_from_slice(value), ..*stored })
    }
}

impl ObjectSecret {
    fn checksum_key(&self) -> Result<LessSafeKey, CipherError> {
        cipher_key(&derive(self.secret.as_slice(), &[], "checksum"))
    }
}

/// The secret of the object with this salt, and its check.
fn open(key: &CustomerKey, salt: &[u8; 32]) -> (Zeroizing<[u8; 32]>, [u8; 16]) {
    (derive(key.reveal(), salt, "object"), *derive(key.reveal(), salt, "check"))
}

fn cipher_key(key: &[u8; 32]) -> Result<LessSafeKey, CipherError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| CipherError)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256. `N` is 16 or 32, which it always gives.
fn derive<const N: usize>(secret: &[u8], salt: &[u8], purpose: &'static str) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    let info = [b"cairn sse-c 1 ".as_slice(), purpose.as_bytes()];
    let made = Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&info, Length(N))
        .and_then(|material| material.fill(key.as_mut_slice()));
    assert!(made.is_ok(), "HKDF-SHA256 gives up to 8160 bytes");
    key
}

/// Bytes as a disk may have them: ciphertext, or those of an object that nobody wants encrypted.
pub(crate) struct AtRest(Pieces);

impl AtRest {
    pub(crate) fn pieces(&self) -> &Pieces {
        &self.0
    }

    pub(crate) fn length(&self) -> usize {
        length(&self.0)
    }

    /// All in one piece; copied where there are several.
    pub(crate) fn into_bytes(self) -> Bytes {
        if let [whole] = self.0.as_ref() {
            return whole.clone();
        }
        let mut bytes = BytesMut::with_capacity(self.length());
        self.0.iter().for_each(|piece| bytes.extend_from_slice(piece));
        bytes.freeze()
    }
}

/// What one body goes through on its way to the disk.
#[derive(Clone)]
pub(crate) struct BodySeal {
    cipher: Option<BodyCipher>,
    salt: Option<[u8; 32]>,
}

impl BodySeal {
    /// Of a part: what its row keeps.
    pub(crate) const fn salt(&self) -> Option<[u8; 32]> {
        self.salt
    }

    /// Bytes of the body that make one block.
    pub(crate) const fn block_length(&self) -> usize {
        if self.cipher.is_some() { PLAIN_BLOCK } else { BLOCK }
    }

    /// Bytes that `plain` bytes of the body become.
    pub(crate) fn stored_length(&self, plain: u64) -> u64 {
        if self.cipher.is_some() { sealed_length(plain) } else { plain }
    }

    /// Memory that a block of `plain` bytes takes on its way.
    pub(crate) const fn memory(&self, plain: usize) -> usize {
        if self.cipher.is_some() { plain.saturating_mul(2) } else { plain }
    }

    /// Block number `block` of the body, the last where `ends`: its own bytes, or their ciphertext.
    pub(crate) async fn apply(
        &self,
        pool: &HashPool,
        block: usize,
        plain: Pieces,
        ends: bool,
    ) -> Result<AtRest, Failure> {
        let Some(cipher) = self.cipher.clone() else { return Ok(AtRest(plain)) };
        let first = segments::first_of_block(block);
        let sealed = pool.run(length(&plain), move || cipher.seal(first, &plain, ends)).await??;
        Ok(AtRest([sealed].into()))
    }
}

#[cfg(test)]
mod tests {
    use cairn_s3::checksum::{Algorithm, Hasher};
    use cairn_types::SystemEntropy;

    use super::*;

    fn key(byte: u8) -> CustomerKey {
        CustomerKey::new(&[byte; 32])
    }

    fn code(what: Locked, encryption: Option<&Encryption>, key: Option<&CustomerKey>) -> Option<ErrorCode> {
        Secrecy::unlock(what, encryption, key).err().map(|error| error.code())
    }

    #[test]
    fn only_the_right_key_unlocks() {
        let made = Secrecy::of_new(Some(&key(1)), &SystemEntropy);
        let kept = made.encryption().unwrap();
        assert_eq!(code(Locked::Object, Some(&kept), Some(&key(1))), None);
        assert_eq!(code(Locked::Object, Some(&kept), Some(&key(2))), Some(ErrorCode::AccessDenied));
        assert_eq!(code(Locked::Upload, Some(&kept), Some(&key(2))), Some(ErrorCode::InvalidRequest));
        for what in [Locked::Object, Locked::Upload] {
            assert_eq!(code(what, Some(&kept), None), Some(ErrorCode::InvalidRequest));
            assert_eq!(code(what, None, Some(&key(1))), Some(ErrorCode::InvalidRequest));
            assert_eq!(code(what, None, None), None);
        }
        assert!(!Secrecy::of_new(None, &SystemEntropy).is_encrypted());
    }

    #[test]
    fn every_body_has_a_key_of_its_own() {
        let plain = [Bytes::from_static(b"the same text")];
        let sealed = |seal: BodySeal| seal.cipher.unwrap().seal(0, &plain, true).unwrap();
        let (one, two) =
            (Secrecy::of_new(Some(&key(1)), &SystemEntropy), Secrecy::of_new(Some(&key(1)), &SystemEntropy));
        assert_eq!(sealed(one.body().unwrap()), sealed(one.body().unwrap()), "of one object, always the same");
        assert_ne!(sealed(one.body().unwrap()), sealed(two.body().unwrap()));
        let part = one.new_part(&SystemEntropy).unwrap();
        let again = one.part(part.salt().as_ref()).unwrap();
        let part = sealed(part);
        assert_eq!(part, sealed(again));
        assert_ne!(part, sealed(one.new_part(&SystemEntropy).unwrap()));
        assert_ne!(part, sealed(one.body().unwrap()));
        assert!(one.part(None).is_err(), "a part without its salt is none of an encrypted object");
    }

    #[test]
    fn checksums_and_tags_say_nothing_of_encrypted_bytes() {
        let checksum = Hasher::of(Algorithm::Crc32, b"text");
        let plain = Secrecy::of_new(None, &SystemEntropy);
        let kept = plain.seal_checksum(&checksum, Kind::FullObject, &SystemEntropy).unwrap();
        assert_eq!(kept.value.as_ref(), checksum.as_bytes());
        assert_eq!(plain.etag([3; 16], &SystemEntropy), ETag::Md5([3; 16]));

        let secret = Secrecy::of_new(Some(&key(1)), &SystemEntropy);
        let kept = secret.seal_checksum(&checksum, Kind::FullObject, &SystemEntropy).unwrap();
        assert!(!kept.value.windows(4).any(|window| window == checksum.as_bytes()));
        assert_eq!(secret.open_checksum(&kept).unwrap(), checksum);
        let other = Secrecy::of_new(Some(&key(1)), &SystemEntropy);
        assert!(other.open_checksum(&kept).is_err());
        let tag = secret.etag([3; 16], &SystemEntropy);
        assert_ne!(tag, ETag::Md5([3; 16]));
        assert_ne!(tag, secret.etag([3; 16], &SystemEntropy));
    }
}
