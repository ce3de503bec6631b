//! AbortMultipartUpload.

use cairn_model::rows::UploadState;
use cairn_s3::ErrorCode;
use cairn_s3::operation::AbortMultipartUpload;
use http::StatusCode;

use super::Upload;
use crate::exchange::{Answer, Exchange, bare};

/// Times an upload is looked at again after others moved it on.
const TRIES: u32 = 8;

/// Aborting twice is done once; an upload that is completing is completed first, and then is none any more.
pub(crate) async fn abort(x: &Exchange, request: AbortMultipartUpload) -> Answer {
    let upload = Upload { bucket: x.bucket_id()?, key: &request.object.key, id: request.upload };
    for _ in 0..TRIES {
        match x.core.upload(&x.op(), &upload).await?.state {
            UploadState::Aborted { .. } => return Ok(bare(StatusCode::NO_CONTENT)),
            UploadState::Done(_) => return Err(ErrorCode::NoSuchUpload.into()),
            UploadState::Completing(completing) => {
                x.core.finish_upload(x.op, &upload, *completing).await?;
            }
            UploadState::Open => {
                let (op, at_ms) = (x.op(), x.core.clock.now_ms());
                let aborted = x.core.step_upload(&op, &upload, |state| match state {
                    UploadState::Open => Some(UploadState::Aborted { at_ms }),
                    UploadState::Completing(_) | UploadState::Done(_) | UploadState::Aborted { .. } => None,
                });
                if aborted.await? {
                    return Ok(bare(StatusCode::NO_CONTENT));
                }
            }
        }
    }
    Err(ErrorCode::ConditionalRequestConflict.into())
}
