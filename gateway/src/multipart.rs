//! Multipart uploads (DESIGN §5, REGISTER §12): one row an upload, one a part, and a head that is written once.
//!
//! - **U1** An upload id counts only together with its bucket and key: the row's key holds all three (SECURITY V24).
//!   *Tested by `tests/s3/multipart.rs`.*
//! - **U2** Once an upload is completing, everybody who meets it finishes the same Complete; nothing applies twice.
//!   *Tested by `tests/s3/multipart.rs`.*

pub(crate) mod abort;
pub(crate) mod assemble;
pub(crate) mod complete;
pub(crate) mod create;
pub(crate) mod finish;
pub(crate) mod list;
pub(crate) mod part;

use cairn_model::Envelope;
use cairn_model::keys;
use cairn_model::rows::{TypedRow as _, UploadRow, UploadState};
use cairn_quorum::{Op, UpdateError};
use cairn_s3::{ErrorCode, ObjectKey};
use cairn_types::{BucketId, UploadId};

use crate::core::Core;
use crate::directory::read_row;
use crate::failure::Failure;

/// The full name of an upload.
#[derive(Clone, Copy)]
pub(crate) struct Upload<'a> {
    pub(crate) bucket: BucketId,
    pub(crate) key: &'a ObjectKey,
    pub(crate) id: UploadId,
}

impl Upload<'_> {
    pub(crate) fn row_key(&self) -> cairn_types::RowKey {
        keys::upload(self.bucket, self.key.as_bytes(), self.id)
    }

    pub(crate) fn envelope(&self, row: &UploadRow) -> Envelope {
        let refs = match &row.state {
            UploadState::Completing(completing) => vec![completing.parts.manifest],
            UploadState::Done(done) => vec![done.manifest],
            UploadState::Open | UploadState::Aborted { .. } => Vec::new(),
        };
        Envelope { owner: self.bucket.to_bytes(), refs, value: row.encode(), ..Envelope::default() }
    }
}

impl Core {
    /// The upload as it stands, settled, or `NoSuchUpload`.
    pub(crate) async fn upload(&self, op: &Op, upload: &Upload<'_>) -> Result<UploadRow, Failure> {
        let row = read_row::<UploadRow>(&self.cluster, op, upload.row_key()).await?;
        row.ok_or_else(|| ErrorCode::NoSuchUpload.into())
    }

    /// The upload, while parts may be added to it.
    pub(crate) async fn open_upload(&self, op: &Op, upload: &Upload<'_>) -> Result<UploadRow, Failure> {
        let row = self.upload(op, upload).await?;
        match row.state {
            UploadState::Open => Ok(row),
            UploadState::Completing(_) | UploadState::Done(_) | UploadState::Aborted { .. } => {
                Err(ErrorCode::NoSuchUpload.into())
            }
        }
    }

    /// Changes the state of an upload if it is what `step` expects; false: it is not.
    pub(crate) async fn step_upload(
        &self,
        op: &Op,
        upload: &Upload<'_>,
        step: impl Fn(&UploadState) -> Option<UploadState> + Send,
    ) -> Result<bool, Failure> {
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
}
