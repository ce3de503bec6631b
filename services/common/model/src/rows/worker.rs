//! Rows of background work.

use bytes::Bytes;
use cairn_proto::model::v1;

use super::{RowError, TypedRow};

/// `worker`: how far a worker has come with one bucket's shard; whoever is responsible next goes on from here.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WorkerRow {
    /// The bucket's name when the run began.
    pub bucket_name: String,
    /// When the newest run began.
    pub began_at_ms: u64,
    /// When the newest complete run ended.
    pub ended_at_ms: Option<u64>,
    pub phase: Phase,
    /// The sort key the run goes on at, in its phase's table.
    pub cursor: Bytes,
    /// Of the newest run, so far.
    pub objects_judged: u64,
    pub objects_expired: u64,
    pub uploads_judged: u64,
    pub uploads_aborted: u64,
}

/// What a run is at: objects first, then uploads.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Phase {
    #[default]
    Objects,
    Uploads,
    Done,
}

impl Phase {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Objects => "objects",
            Phase::Uploads => "uploads",
            Phase::Done => "done",
        }
    }
}

impl TypedRow for WorkerRow {
    type Proto = v1::WorkerRow;

    fn to_proto(&self) -> v1::WorkerRow {
        let phase = match self.phase {
            Phase::Objects => v1::WorkerPhase::Objects,
            Phase::Uploads => v1::WorkerPhase::Uploads,
            Phase::Done => v1::WorkerPhase::Done,
        };
        v1::WorkerRow {
            began_at_ms: self.began_at_ms,
            ended_at_ms: self.ended_at_ms.unwrap_or(0),
            phase: phase.into(),
            cursor: self.cursor.clone(),
            objects_judged: self.objects_judged,
            objects_expired: self.objects_expired,
            uploads_judged: self.uploads_judged,
            uploads_aborted: self.uploads_aborted,
            bucket_name: self.bucket_name.clone(),
        }
    }

    fn from_proto(proto: v1::WorkerRow) -> Result<Self, RowError> {
        let phase = match v1::WorkerPhase::try_from(proto.phase) {
            Ok(v1::WorkerPhase::Objects) => Phase::Objects,
            Ok(v1::WorkerPhase::Uploads) => Phase::Uploads,
            Ok(v1::WorkerPhase::Done) => Phase::Done,
            Ok(v1::WorkerPhase::Unspecified) | Err(_) => return Err(RowError::Field("phase")),
        };
        Ok(Self {
            bucket_name: proto.bucket_name,
            began_at_ms: proto.began_at_ms,
            ended_at_ms: (proto.ended_at_ms != 0).then_some(proto.ended_at_ms),
            phase,
            cursor: proto.cursor,
            objects_judged: proto.objects_judged,
            objects_expired: proto.objects_expired,
            uploads_judged: proto.uploads_judged,
            uploads_aborted: proto.uploads_aborted,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, prop_oneof, proptest};

    use super::*;

    proptest! {
        #[test]
        fn worker_round_trip(
            bucket_name in "[a-z]{0,9}", began_at_ms: u64, ended in 1..u64::MAX, cursor: Vec<u8>, counts: [u64; 4],
            phase in prop_oneof![Just(Phase::Objects), Just(Phase::Uploads), Just(Phase::Done)],
        ) {
            let [objects_judged, objects_expired, uploads_judged, uploads_aborted] = counts;
            let (ended_at_ms, cursor) = (Some(ended), Bytes::from(cursor));
            let row = WorkerRow {
                bucket_name, began_at_ms, ended_at_ms, phase, cursor,
                objects_judged, objects_expired, uploads_judged, uploads_aborted,
            };
            assert_eq!(WorkerRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            drop(WorkerRow::decode(&Bytes::from(bytes)));
        }
    }
}
