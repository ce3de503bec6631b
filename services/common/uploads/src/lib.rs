//! How a multipart upload moves on (DESIGN §5, REGISTER §12): open → completing → done, or open → aborted.
//!
//! It knows the upload's row and the head that a completion writes, and nothing of S3 requests: gateways complete and
//! abort for their clients, the lifecycle worker aborts what its bucket's rules let go, and both take the same steps.
//! It keeps nothing.
//!
//! - **U1** An upload id counts only together with its bucket and key: the row's key holds all three (SECURITY V24).
//!   *Tested by `tests/s3/multipart.rs` of the gateway.*
//! - **U2** Once an upload is completing, everybody who meets it finishes the same Complete; nothing applies twice.
//!   *Tested by `tests/s3/multipart.rs` of the gateway and by `races`.*
//! - **U3** An upload ends once: every step is a CAS on its state, so of a Complete and an abort that race, one wins.
//!   *Tested by `races`.*

mod finish;

use std::time::Duration;

use cairn_model::rows::{RowError, TypedRow as _, UploadRow, UploadState};
use cairn_model::{Envelope, keys};
use cairn_quorum::{Cluster, Op, OpError, UpdateError};
use cairn_types::{BucketId, OpId, RowKey, UploadId};

pub use finish::Finished;

/// Times an upload that is to be aborted is looked at again after others moved it on.
const TRIES: u32 = 8;

/// Why an upload could not be moved on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Op(#[from] OpError),
    #[error("a damaged row")]
    Row(#[from] RowError),
}

/// The full name of an upload.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    pub bucket: BucketId,
    /// The object's key.
    pub key: &'a [u8],
    pub id: UploadId,
}

impl Upload<'_> {
    #[must_use]
    pub fn row_key(&self) -> RowKey {
        keys::upload(self.bucket, self.key, self.id)
    }

    /// The row as tables keep it; the manifest of a Complete is named by it while the head may not name it yet.
    #[must_use]
    pub fn envelope(&self, row: &UploadRow) -> Envelope {
        let refs = match &row.state {
            UploadState::Completing(completing) => vec![completing.parts.manifest],
            UploadState::Done(done) => vec![done.manifest],
            UploadState::Open | UploadState::Aborted { .. } => Vec::new(),
        };
        Envelope { owner: self.bucket.to_bytes(), refs, value: row.encode(), ..Envelope::default() }
    }
}

/// What an abort found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aborted {
    /// The upload is aborted, by this call or by one before it.
    Done,
    /// There is no such upload any more: it was completed, or never was.
    Gone,
}

/// Moves uploads on through a cluster.
#[derive(Clone, Copy)]
pub struct Uploads<'a> {
    cluster: &'a Cluster,
    /// What each operation on a row gets.
    patience: Duration,
}

impl<'a> Uploads<'a> {
    #[must_use]
    pub const fn new(cluster: &'a Cluster, patience: Duration) -> Self {
        Self { cluster, patience }
    }

    /// The upload as it stands, settled.
    ///
    /// # Errors
    /// No quorum, or a damaged row.
    pub async fn read(&self, op: &Op, upload: &Upload<'_>) -> Result<Option<UploadRow>, UploadError> {
        let found = self.cluster.read(op, upload.row_key()).await?;
        Ok(found.map(|row| UploadRow::decode(&row.envelope.value)).transpose()?)
    }

    /// Changes the state of an upload if it is what `step` expects; false: it is not.
    ///
    /// # Errors
    /// As [`Cluster::update`].
    pub async fn step(
        &self,
        op: &Op,
        upload: &Upload<'_>,
        step: impl Fn(&UploadState) -> Option<UploadState> + Send,
    ) -> Result<bool, UploadError> {
        let change = |current: Option<&Envelope>| {
            let row = current.and_then(|envelope| UploadRow::decode(&envelope.value).ok()).ok_or(())?;
            let state = step(&row.state).ok_or(())?;
            Ok(Some(upload.envelope(&UploadRow { state, ..row })))
        };
        match self.cluster.update(op, upload.row_key(), self.new_op(), change).await {
            Ok(_) => Ok(true),
            Err(UpdateError::Refused(())) => Ok(false),
            Err(UpdateError::Failed(error)) => Err(error.into()),
        }
    }

    /// Aborting twice is done once; an upload that is completing is completed first, and then is none any more.
    ///
    /// # Errors
    /// As [`Cluster::update`]; [`OpError::Contended`] where others kept moving the upload on.
    pub async fn abort(&self, op: Op, upload: &Upload<'_>) -> Result<Aborted, UploadError> {
        for _ in 0..TRIES {
            let now = op.renewed(self.patience);
            match self.read(&now, upload).await?.map(|row| row.state) {
                None | Some(UploadState::Done(_)) => return Ok(Aborted::Gone),
                Some(UploadState::Aborted { .. }) => return Ok(Aborted::Done),
                Some(UploadState::Completing(completing)) => {
                    self.finish(op, upload, *completing).await?;
                }
                Some(UploadState::Open) => {
                    let at_ms = self.cluster.clock().now_ms();
                    let aborted = self.step(&now, upload, |state| match state {
                        UploadState::Open => Some(UploadState::Aborted { at_ms }),
                        UploadState::Completing(_) | UploadState::Done(_) | UploadState::Aborted { .. } => None,
                    });
                    if aborted.await? {
                        return Ok(Aborted::Done);
                    }
                }
            }
        }
        Err(OpError::Contended.into())
    }

    /// An id for one write.
    fn new_op(&self) -> OpId {
        OpId::random(self.cluster.entropy())
    }
}
