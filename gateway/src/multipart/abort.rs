//! AbortMultipartUpload.

use cairn_s3::ErrorCode;
use cairn_s3::operation::AbortMultipartUpload;
use cairn_uploads::Aborted;
use http::StatusCode;

use super::Upload;
use crate::exchange::{Answer, Exchange, bare};

pub(crate) async fn abort(x: &Exchange, request: AbortMultipartUpload) -> Answer {
    let upload = Upload { bucket: x.bucket_id()?, key: &request.object.key, id: request.upload };
    match x.core.uploads().abort(x.op, &upload.named()).await? {
        Aborted::Done => Ok(bare(StatusCode::NO_CONTENT)),
        Aborted::Gone => Err(ErrorCode::NoSuchUpload.into()),
    }
}
