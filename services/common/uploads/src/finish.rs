//! From completing to done: everything needed stands in the upload's row, and whoever meets it may do it
//! (REGISTER §12 "Completing an upload").

use cairn_model::keys;
use cairn_model::rows::{Completed as Done, Completing, Condition, ObjectData, ObjectHead, TypedRow as _, UploadState};
use cairn_quorum::{Op, OpError};
use cairn_register::{Base, Completed};

use crate::{Upload, UploadError, Uploads};

/// Times a completion follows its object's head on to another base.
const TRIES: u32 = 16;

/// How helping a completion ended.
#[derive(Debug)]
pub enum Finished {
    Done,
    /// Its condition no longer held of the object with this entity tag (none: there was no object): the upload is
    /// open again.
    Reopened {
        current: Option<String>,
    },
    /// Somebody else moved the upload on: look again.
    Changed,
}

impl Uploads<'_> {
    /// Writes the head that `completing` describes, and the upload's end. Several may do this at once.
    ///
    /// # Errors
    /// As [`cairn_quorum::Cluster::complete_head`]; [`OpError::Contended`] where the object's head kept changing.
    pub async fn finish(
        &self,
        op: Op,
        upload: &Upload<'_>,
        mut completing: Completing,
    ) -> Result<Finished, UploadError> {
        let row = keys::object(upload.bucket, upload.key);
        let envelope = completing.head.envelope(upload.bucket, &ObjectData::Parts(completing.parts.clone()));
        let conditional = completing.condition != Condition::Always;
        for _ in 0..TRIES {
            // B2 counts from the Complete that is written in the row.
            let op = Op { written_at_ms: completing.written_at_ms, ..op.renewed(self.patience) };
            let (id, base) = (completing.op, completing.base);
            let completed =
                self.cluster.complete_head(&op, row.clone(), id, base, envelope.clone(), conditional).await?;
            let onto = match completed {
                Completed::Applied { .. } | Completed::Overwritten { .. } => {
                    return self.close(&op, upload, &completing).await;
                }
                Completed::Moved { onto } => onto,
            };
            let found = self.cluster.read_row(&op, row.clone()).await?;
            let current = found.row.as_ref().and_then(|row| row.value.as_ref());
            let current = current.map(|envelope| ObjectHead::decode(&envelope.value)).transpose()?;
            let current = current.map(|head| head.etag);
            if !completing.condition.holds(current.as_deref()) {
                let reopened = self.step(&op, upload, |state| on_base(state, &completing, |_| UploadState::Open));
                return Ok(if reopened.await? { Finished::Reopened { current } } else { Finished::Changed });
            }
            if found.row.as_ref().is_none_or(|row| (row.root, row.op) != (onto.root, onto.op)) {
                // What was met is gone or overwritten: the condition was not judged of it, so the base stays.
                continue;
            }
            let base = completing.base.moved_to(&onto);
            let moved = self.step(&op, upload, |state| on_base(state, &completing, |now| moved(now, base)));
            if !moved.await? {
                return Ok(Finished::Changed);
            }
            completing.base = base;
        }
        Err(OpError::Contended.into())
    }

    /// Marks the upload done; a repeat of its Complete is answered from there.
    async fn close(&self, op: &Op, upload: &Upload<'_>, completing: &Completing) -> Result<Finished, UploadError> {
        let done = Done {
            op: completing.op,
            manifest: completing.parts.manifest,
            parts_digest: completing.parts_digest,
            head: completing.head.clone(),
            at_ms: self.cluster.clock().now_ms(),
        };
        // Where the step is refused, another has taken it: the head is written either way.
        self.step(op, upload, |state| match state {
            UploadState::Completing(now) if now.op == completing.op => Some(UploadState::Done(Box::new(done.clone()))),
            UploadState::Completing(_) | UploadState::Open | UploadState::Done(_) | UploadState::Aborted { .. } => None,
        })
        .await?;
        Ok(Finished::Done)
    }
}

/// The next state, where the upload is still completing this operation from this very base.
fn on_base(
    state: &UploadState,
    expected: &Completing,
    next: impl FnOnce(&Completing) -> UploadState,
) -> Option<UploadState> {
    match state {
        UploadState::Completing(now) if now.op == expected.op && now.base == expected.base => Some(next(now)),
        UploadState::Completing(_) | UploadState::Open | UploadState::Done(_) | UploadState::Aborted { .. } => None,
    }
}

fn moved(completing: &Completing, base: Base) -> UploadState {
    UploadState::Completing(Box::new(Completing { base, ..completing.clone() }))
}
