//! Multipart uploads (DESIGN §5, REGISTER §12): one row an upload, one a part, and a head that is written once. How
//! an upload moves from one state to the next is `cairn_uploads`' to know; here is what clients see of it.

pub(crate) mod abort;
pub(crate) mod assemble;
pub(crate) mod complete;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod part;

use cairn_model::Envelope;
use cairn_model::rows::{Completing, UploadRow, UploadState};
use cairn_quorum::Op;
use cairn_s3::{ErrorCode, ObjectKey};
use cairn_types::{BucketId, UploadId};
use cairn_uploads::{Finished, Uploads};

use crate::core::Core;
use crate::failure::Failure;

/// More parts than any upload has: their numbers end at 10,000.
pub(crate) const ALL_PARTS: usize = 10_001;

/// The full name of an upload.
#[derive(Clone, Copy)]
pub(crate) struct Upload<'a> {
    pub(crate) bucket: BucketId,
    pub(crate) key: &'a ObjectKey,
    pub(crate) id: UploadId,
}

impl Upload<'_> {
    pub(crate) fn named(&self) -> cairn_uploads::Upload<'_> {
        cairn_uploads::Upload { bucket: self.bucket, key: self.key.as_bytes(), id: self.id }
    }

    pub(crate) fn row_key(&self) -> cairn_types::RowKey {
        self.named().row_key()
    }

    pub(crate) fn envelope(&self, row: &UploadRow) -> Envelope {
        self.named().envelope(row)
    }
}

impl Core {
    pub(crate) const fn uploads(&self) -> Uploads<'_> {
        Uploads::new(&self.cluster, self.operation_timeout())
    }

    /// The upload as it stands, settled, or `NoSuchUpload`.
    pub(crate) async fn upload(&self, op: &Op, upload: &Upload<'_>) -> Result<UploadRow, Failure> {
        self.uploads().read(op, &upload.named()).await?.ok_or_else(|| ErrorCode::NoSuchUpload.into())
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
        Ok(self.uploads().step(op, &upload.named(), step).await?)
    }

    /// Writes the head that `completing` describes, and the upload's end.
    pub(crate) async fn finish_upload(
        &self,
        op: Op,
        upload: &Upload<'_>,
        completing: Completing,
    ) -> Result<Finished, Failure> {
        Ok(self.uploads().finish(op, &upload.named(), completing).await?)
    }
}
