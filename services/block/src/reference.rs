//! The one encoding of a reference on disk, in segment records and in the index.
//!
//! `bucket 16 | upload flag 1 | upload 16 | epoch 4 | written_at_ms 8 | key length 2 | key`, integers big-endian.
//! The manifest id stands before it (segments) or in the key (index).

use bytes::{Buf, BufMut, Bytes, TryGetError};
use cairn_quorum::Reference;
use cairn_types::{BucketId, Epoch, ManifestId, UploadId};

/// Longest object key, in bytes.
pub(crate) const MAX_KEY: usize = 1024;

/// Longest encoding, in bytes.
pub(crate) const MAX_ENCODED: usize = 16 + 1 + 16 + 4 + 8 + 2 + MAX_KEY;

/// Why stored bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("it ends too early")]
    Short,
    #[error("{0} bytes too many")]
    Long(usize),
    #[error("an object key of {0} bytes")]
    Key(usize),
    #[error("unknown version {0}")]
    Version(u8),
    #[error("{0}")]
    Shape(&'static str),
}

impl From<TryGetError> for DecodeError {
    fn from(_: TryGetError) -> Self {
        DecodeError::Short
    }
}

/// Appends `reference` without its manifest id. The key must not be longer than [`MAX_KEY`].
pub(crate) fn encode(reference: &Reference, out: &mut Vec<u8>) {
    debug_assert!(reference.key.len() <= MAX_KEY, "keys are checked where calls enter");
    out.put_slice(reference.bucket.as_bytes());
    out.put_u8(u8::from(reference.upload.is_some()));
    out.put_slice(reference.upload.unwrap_or_default().as_bytes());
    out.put_u32(reference.epoch.0);
    out.put_u64(reference.written_at_ms);
    out.put_u16(u16::try_from(reference.key.len()).unwrap_or(u16::MAX));
    out.put_slice(&reference.key);
}

/// Reads what [`encode`] wrote, leaving what follows it.
pub(crate) fn decode(manifest: ManifestId, input: &mut &[u8]) -> Result<Reference, DecodeError> {
    let bucket = BucketId(array(input)?);
    let has_upload = input.try_get_u8()?;
    let upload = UploadId(array(input)?);
    let epoch = Epoch(input.try_get_u32()?);
    let written_at_ms = input.try_get_u64()?;
    let length = usize::from(input.try_get_u16()?);
    if length > MAX_KEY {
        return Err(DecodeError::Key(length));
    }
    let (key, rest) = input.split_at_checked(length).ok_or(DecodeError::Short)?;
    *input = rest;
    Ok(Reference {
        manifest,
        bucket,
        key: Bytes::copy_from_slice(key),
        upload: (has_upload == 1).then_some(upload),
        written_at_ms,
        epoch,
    })
}

/// The next `N` bytes.
pub(crate) fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, rest) = input.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
    *input = rest;
    Ok(*head)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        pub(crate) fn any_reference()(
            manifest in any::<[u8; 16]>(),
            bucket in any::<[u8; 16]>(),
            key in proptest::collection::vec(any::<u8>(), 0..=MAX_KEY),
            upload in proptest::option::of(any::<[u8; 16]>()),
            written_at_ms in any::<u64>(),
            epoch in any::<u32>(),
        ) -> Reference {
            Reference {
                manifest: ManifestId(manifest),
                bucket: BucketId(bucket),
                key: key.into(),
                upload: upload.map(UploadId),
                written_at_ms,
                epoch: Epoch(epoch),
            }
        }
    }

    proptest! {
        #[test]
        fn references_round_trip(reference in any_reference()) {
            let mut out = Vec::new();
            encode(&reference, &mut out);
            prop_assert!(out.len() <= MAX_ENCODED);
            let mut input = out.as_slice();
            prop_assert_eq!(decode(reference.manifest, &mut input), Ok(reference));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(decode(ManifestId::default(), &mut bytes.as_slice()));
        }
    }
}
