//! The typed rows of DESIGN §5, and their one encoding.
//!
//! A value is one byte, the row's format, and then the message of `cairn.model.v1` with the row's name.
//!
//! - **M1** A format this build does not know is refused ([`RowError::Format`]), never half understood.
//!   *Tested by `a_newer_format_is_refused`.*
//! - **M2** What decodes, encodes again to a row that is equal. *Tested by the `*_round_trip` properties.*
//!
//! **Upgrades.** Decoding drops protobuf fields it does not know, so a daemon that rewrites a row would lose what a
//! newer one put there. Therefore a field whose loss matters comes with a new format number, and nobody writes that
//! format before every daemon of the cluster can read it. Fields that an older writer may safely drop (hints) need
//! no new format. Field numbers and format numbers are never reused. A row is written in the lowest format that holds
//! all of it ([`TypedRow::format`]): what uses no newer field stays readable for older daemons.

mod access_key;
mod bucket;
mod grant;
mod lifecycle;
mod object;
mod settings;
mod upload;
mod website;
mod worker;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;

pub use access_key::{AccessKeyRow, PreviousSecret};
pub use bucket::{BucketNameRow, BucketRow, GateRow, Quota};
pub use grant::{Grant, Rights};
pub use lifecycle::{DAY_MS, Due, Expiration, Lifecycle, LifecycleRule};
pub use object::{
    BlockRef, Blocks, Checksum, ChecksumAlgorithm, ChecksumType, Encryption, Headers, ManifestPage, ManifestPart,
    ObjectData, ObjectHead, PageEntries, Pages,
};
pub use settings::{Cors, CorsRule, Settings};
pub use upload::{Completed, Completing, Condition, PartRow, UploadRow, UploadState};
pub use website::{Website, WebsiteKey, WebsitePages, WebsiteProtocol, WebsiteRule};
pub use worker::{Phase, WorkerRow};

/// Why bytes are not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("a row of format {found}; this build reads {known}")]
    Format { found: u8, known: u8 },
    #[error("an empty row")]
    Empty,
    #[error("malformed row")]
    Malformed(#[from] prost::DecodeError),
    #[error("a row with an impossible {0}")]
    Field(&'static str),
}

impl From<cairn_types::IdError> for RowError {
    fn from(_: cairn_types::IdError) -> Self {
        RowError::Field("id")
    }
}

/// A row that stands in an envelope's value or data.
pub trait TypedRow: Sized {
    /// The newest format this build reads.
    const FORMAT: u8 = 1;
    #[doc(hidden)]
    type Proto: Message + Default;

    #[doc(hidden)]
    fn to_proto(&self) -> Self::Proto;
    #[doc(hidden)]
    fn from_proto(proto: Self::Proto) -> Result<Self, RowError>;

    /// The format this row is written in: the oldest that holds all of it, so that a reader of that format loses
    /// nothing by rewriting it.
    fn format(&self) -> u8 {
        1
    }

    /// The bytes that stand in the envelope.
    fn encode(&self) -> Bytes {
        let proto = self.to_proto();
        let mut out = BytesMut::with_capacity(1 + proto.encoded_len());
        out.put_u8(self.format());
        proto.encode_raw(&mut out);
        out.freeze()
    }

    /// Reads what [`TypedRow::encode`] wrote; `bytes` fields share its memory.
    fn decode(bytes: &Bytes) -> Result<Self, RowError> {
        let found = *bytes.first().ok_or(RowError::Empty)?;
        if found == 0 || found > Self::FORMAT {
            return Err(RowError::Format { found, known: Self::FORMAT });
        }
        Self::from_proto(Self::Proto::decode(bytes.slice(1..))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused() {
        let row = BucketNameRow { bucket: cairn_types::BucketId([1; 16]) };
        let mut bytes = row.encode().to_vec();
        bytes[0] = 2;
        assert_eq!(BucketNameRow::decode(&bytes.into()), Err(RowError::Format { found: 2, known: 1 }));
        assert_eq!(BucketNameRow::decode(&Bytes::new()), Err(RowError::Empty));
        assert!(matches!(BucketNameRow::decode(&Bytes::from_static(&[1, 0xff])), Err(RowError::Malformed(_))));
        assert!(matches!(BucketNameRow::decode(&Bytes::from_static(&[1])), Err(RowError::Field(_))));
    }
}
