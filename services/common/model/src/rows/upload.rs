//! Rows of multipart uploads and their parts (DESIGN §5, REGISTER §12 "Completing an upload").

use bytes::Bytes;
use cairn_proto::common::v1 as common;
use cairn_proto::model::v1;
use cairn_register::Base;
use cairn_types::{Ballot, ManifestId, OpId};

use super::object::{
    Checksum, ChecksumAlgorithm, ChecksumType, ENCRYPTED, Encryption, Headers, ObjectHead, Pages, salt_from_proto,
    salt_to_proto,
};
use super::{RowError, TypedRow};

/// `upload`: one multipart upload, from its creation to 7 days after its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadRow {
    pub created_at_ms: u64,
    /// The access key that began it.
    pub initiator: String,
    pub headers: Headers,
    /// What every part must carry, and how the object's is made of them.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub state: UploadState,
    /// Every part is encrypted with the key this tells, and the object's head says the same.
    pub encryption: Option<Encryption>,
}

/// open → completing → done, or open → aborted; completing → open again when its condition fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UploadState {
    Open,
    Completing(Box<Completing>),
    Done(Box<Completed>),
    Aborted { at_ms: u64 },
}

/// All that anyone needs to finish a Complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completing {
    pub op: OpId,
    /// When the Complete that is written here began; no ballot of it is later than this + 24 h.
    pub written_at_ms: u64,
    /// Of the list of parts asked for; a repeat with the same list is the same Complete.
    pub parts_digest: [u8; 32],
    /// The head to write.
    pub head: ObjectHead,
    /// Its data: pages of parts.
    pub parts: Pages,
    /// The settled head on which the object is written.
    pub base: Base,
    pub condition: Condition,
}

/// Of a conditional write.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Condition {
    #[default]
    Always,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match`, without quotes, one of several between commas; `*`: any.
    Etag(String),
}

impl Condition {
    /// Judges the entity tag of the object that is there, without quotes; none: there is no object.
    #[must_use]
    pub fn holds(&self, current: Option<&str>) -> bool {
        match (self, current) {
            (Condition::Always, _) => true,
            (Condition::Absent, current) => current.is_none(),
            (Condition::Etag(_), None) => false,
            (Condition::Etag(wanted), Some(etag)) => {
                wanted == "*" || wanted.split(',').any(|tag| tag.trim().eq_ignore_ascii_case(etag))
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completed {
    pub op: OpId,
    pub manifest: ManifestId,
    pub parts_digest: [u8; 32],
    /// The head that was written: what a repeated Complete answers from.
    pub head: ObjectHead,
    pub at_ms: u64,
}

/// `part`: the newest upload of one part number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartRow {
    pub size: u64,
    /// 32 hexadecimal digits.
    pub etag: String,
    pub last_modified_ms: u64,
    pub checksum: Option<Checksum>,
    /// The part's own manifest; kept alive by the upload row, not by this one.
    pub pages: Pages,
    /// Of an encrypted part: random. Its checksum's value is ciphertext then, and `pages` counts ciphertext.
    pub salt: Option<[u8; 32]>,
}

impl TypedRow for UploadRow {
    const FORMAT: u8 = ENCRYPTED;
    type Proto = v1::UploadRow;

    fn format(&self) -> u8 {
        if self.encryption.is_some() { ENCRYPTED } else { 1 }
    }

    fn to_proto(&self) -> v1::UploadRow {
        use v1::upload_row::State;
        let state = match &self.state {
            UploadState::Open => State::Open(v1::UploadOpen {}),
            UploadState::Completing(completing) => State::Completing(completing.to_proto()),
            UploadState::Done(done) => State::Done(done.to_proto()),
            UploadState::Aborted { at_ms } => State::Aborted(v1::UploadAborted { aborted_at_ms: *at_ms }),
        };
        v1::UploadRow {
            created_at_ms: self.created_at_ms,
            initiator: self.initiator.clone(),
            headers: Some(self.headers.to_proto()),
            checksum_algorithm: self.checksum.map_or(0, |(algorithm, _)| algorithm.to_proto().into()),
            checksum_type: self.checksum.map_or(0, |(_, kind)| kind.to_proto().into()),
            state: Some(state),
            encryption: self.encryption.map(Encryption::to_proto),
        }
    }

    fn from_proto(proto: v1::UploadRow) -> Result<Self, RowError> {
        use v1::upload_row::State;
        let state = match proto.state.ok_or(RowError::Field("upload state"))? {
            State::Open(_) => UploadState::Open,
            State::Completing(completing) => UploadState::Completing(Box::new(Completing::from_proto(completing)?)),
            State::Done(done) => UploadState::Done(Box::new(Completed::from_proto(done)?)),
            State::Aborted(aborted) => UploadState::Aborted { at_ms: aborted.aborted_at_ms },
        };
        let algorithm = ChecksumAlgorithm::from_proto(proto.checksum_algorithm)?;
        let kind = ChecksumType::from_proto(proto.checksum_type)?;
        let checksum = match (algorithm, kind) {
            (Some(algorithm), Some(kind)) => Some((algorithm, kind)),
            (None, None) => None,
            _ => return Err(RowError::Field("checksum type")),
        };
        Ok(Self {
            created_at_ms: proto.created_at_ms,
            initiator: proto.initiator,
            headers: Headers::from_proto(proto.headers.unwrap_or_default()),
            checksum,
            state,
            encryption: proto.encryption.map(Encryption::from_proto).transpose()?,
        })
    }
}

impl Completing {
    fn to_proto(&self) -> v1::UploadCompleting {
        v1::UploadCompleting {
            op: self.op.to_bytes(),
            written_at_ms: self.written_at_ms,
            parts_digest: Bytes::copy_from_slice(&self.parts_digest),
            head: Some(self.head.to_proto()),
            parts: Some(self.parts.to_proto()),
            base: Some(base_to_proto(self.base)),
            condition: self.condition.to_proto(),
        }
    }

    fn from_proto(proto: v1::UploadCompleting) -> Result<Self, RowError> {
        Ok(Self {
            op: OpId::try_from(proto.op.as_ref())?,
            written_at_ms: proto.written_at_ms,
            parts_digest: digest(&proto.parts_digest)?,
            head: ObjectHead::from_proto(proto.head.ok_or(RowError::Field("head"))?)?,
            parts: Pages::from_proto(proto.parts.ok_or(RowError::Field("parts"))?)?,
            base: base_from_proto(proto.base.ok_or(RowError::Field("base"))?)?,
            condition: Condition::from_proto(proto.condition),
        })
    }
}

impl Completed {
    fn to_proto(&self) -> v1::UploadDone {
        v1::UploadDone {
            op: self.op.to_bytes(),
            manifest_id: self.manifest.to_bytes(),
            parts_digest: Bytes::copy_from_slice(&self.parts_digest),
            head: Some(self.head.to_proto()),
            done_at_ms: self.at_ms,
        }
    }

    fn from_proto(proto: v1::UploadDone) -> Result<Self, RowError> {
        Ok(Self {
            op: OpId::try_from(proto.op.as_ref())?,
            manifest: ManifestId::try_from(proto.manifest_id.as_ref())?,
            parts_digest: digest(&proto.parts_digest)?,
            head: ObjectHead::from_proto(proto.head.ok_or(RowError::Field("head"))?)?,
            at_ms: proto.done_at_ms,
        })
    }
}

fn base_to_proto(base: Base) -> v1::UploadBase {
    match base {
        Base::Head { root, op, since } => {
            v1::UploadBase { root: Some(ballot_to_proto(root)), op: op.to_bytes(), since: Some(ballot_to_proto(since)) }
        }
        Base::Missing { floor } => v1::UploadBase { root: Some(ballot_to_proto(floor)), op: Bytes::new(), since: None },
    }
}

fn base_from_proto(proto: v1::UploadBase) -> Result<Base, RowError> {
    let root = ballot_from_proto(proto.root.unwrap_or_default());
    if proto.op.is_empty() {
        return Ok(Base::Missing { floor: root });
    }
    let since = ballot_from_proto(proto.since.ok_or(RowError::Field("base"))?);
    Ok(Base::Head { root, op: OpId::try_from(proto.op.as_ref())?, since })
}

const fn ballot_to_proto(ballot: Ballot) -> common::Ballot {
    common::Ballot { epoch: ballot.epoch, time: ballot.time, proposer: ballot.proposer }
}

const fn ballot_from_proto(proto: common::Ballot) -> Ballot {
    Ballot { epoch: proto.epoch, time: proto.time, proposer: proto.proposer }
}

impl Condition {
    fn to_proto(&self) -> Option<v1::Condition> {
        match self {
            Condition::Always => None,
            Condition::Absent => Some(v1::Condition { absent: true, etag: String::new() }),
            Condition::Etag(etag) => Some(v1::Condition { absent: false, etag: etag.clone() }),
        }
    }

    fn from_proto(proto: Option<v1::Condition>) -> Self {
        match proto {
            None => Condition::Always,
            Some(condition) if condition.absent => Condition::Absent,
            Some(condition) => Condition::Etag(condition.etag),
        }
    }
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], RowError> {
    <[u8; 32]>::try_from(bytes).map_err(|_| RowError::Field("digest"))
}

impl TypedRow for PartRow {
    const FORMAT: u8 = ENCRYPTED;
    type Proto = v1::PartRow;

    fn format(&self) -> u8 {
        if self.salt.is_some() { ENCRYPTED } else { 1 }
    }

    fn to_proto(&self) -> v1::PartRow {
        v1::PartRow {
            size: self.size,
            etag: self.etag.clone(),
            last_modified_ms: self.last_modified_ms,
            checksum: self.checksum.as_ref().map(Checksum::to_proto),
            pages: Some(self.pages.to_proto()),
            salt: salt_to_proto(self.salt),
        }
    }

    fn from_proto(proto: v1::PartRow) -> Result<Self, RowError> {
        Ok(Self {
            size: proto.size,
            etag: proto.etag,
            last_modified_ms: proto.last_modified_ms,
            checksum: proto.checksum.map(Checksum::from_proto).transpose()?,
            pages: Pages::from_proto(proto.pages.ok_or(RowError::Field("pages"))?)?,
            salt: salt_from_proto(&proto.salt)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::*;

    fn head() -> impl Strategy<Value = ObjectHead> {
        (any::<[u8; 16]>(), any::<u64>(), ".{0,40}", any::<u32>()).prop_map(|(id, size, etag, parts)| ObjectHead {
            version: OpId(id),
            size,
            etag,
            last_modified_ms: size / 2,
            headers: Headers::default(),
            checksum: None,
            parts,
            encryption: None,
        })
    }

    fn base() -> impl Strategy<Value = Base> {
        let ballot = any::<(u32, u64, u64)>().prop_map(|(epoch, time, proposer)| Ballot { epoch, time, proposer });
        (ballot.clone(), ballot, any::<Option<[u8; 16]>>()).prop_map(|(root, since, op)| match op {
            Some(op) => Base::Head { root, op: OpId(op), since },
            None => Base::Missing { floor: root },
        })
    }

    fn condition() -> impl Strategy<Value = Condition> {
        prop_oneof![Just(Condition::Always), Just(Condition::Absent), ".*".prop_map(Condition::Etag)]
    }

    fn state() -> impl Strategy<Value = UploadState> {
        let completing = (any::<([u8; 16], u64, [u8; 32], Vec<u64>)>(), head(), base(), condition()).prop_map(
            |((op, written_at_ms, parts_digest, page_bytes), head, base, condition)| {
                let parts = Pages { manifest: ManifestId(op), page_bytes };
                let op = OpId(op);
                UploadState::Completing(Box::new(Completing {
                    op,
                    written_at_ms,
                    parts_digest,
                    head,
                    parts,
                    base,
                    condition,
                }))
            },
        );
        let done = (any::<([u8; 16], [u8; 16], [u8; 32], u64)>(), head()).prop_map(
            |((op, manifest, parts_digest, at_ms), head)| {
                let (op, manifest) = (OpId(op), ManifestId(manifest));
                UploadState::Done(Box::new(Completed { op, manifest, parts_digest, head, at_ms }))
            },
        );
        let aborted = any::<u64>().prop_map(|at_ms| UploadState::Aborted { at_ms });
        prop_oneof![Just(UploadState::Open), completing, done, aborted]
    }

    proptest! {
        #[test]
        fn upload_round_trip(
            created_at_ms: u64, initiator in ".*", summed: bool, state in state(),
            encryption: Option<([u8; 32], [u8; 16])>,
        ) {
            let encryption = encryption.map(|(salt, check)| Encryption { salt, check });
            let checksum = summed.then_some((ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject));
            let headers = Headers::default();
            let row = UploadRow { created_at_ms, initiator, headers, checksum, state, encryption };
            assert_eq!(UploadRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn part_round_trip(
            size: u64, etag in ".*", last_modified_ms: u64, id: [u8; 16], page_bytes: Vec<u64>, salt: Option<[u8; 32]>,
        ) {
            let pages = Pages { manifest: ManifestId(id), page_bytes };
            let row = PartRow { size, etag, last_modified_ms, checksum: None, pages, salt };
            assert_eq!(PartRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            drop(UploadRow::decode(&bytes));
            drop(PartRow::decode(&bytes));
        }
    }
}
