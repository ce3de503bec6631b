//! CreateMultipartUpload.

use cairn_model::rows::{UploadRow, UploadState};
use cairn_s3::answer::CreatedUpload;
use cairn_s3::operation::CreateMultipartUpload;
use http::HeaderName;

use super::Upload;
use crate::convert;
use crate::exchange::{Answer, Exchange, set, xml};

const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

pub(crate) async fn create(x: &Exchange, create: CreateMultipartUpload) -> Answer {
    let created_at_ms = x.core.clock.now_ms();
    let id = x.core.upload_id(created_at_ms);
    let upload = Upload { bucket: x.bucket_id()?, key: &create.object.key, id };
    let (checksum, secrecy) = (create.checksum, x.new_secrecy());
    let row = UploadRow {
        created_at_ms,
        initiator: x.granted.principal.0.id.clone(),
        headers: convert::stored_headers(create.headers, &create.metadata),
        checksum: checksum.map(|(algorithm, kind)| (convert::stored_algorithm(algorithm), convert::stored_kind(kind))),
        state: UploadState::Open,
        encryption: secrecy.encryption(),
    };
    let envelope = upload.envelope(&row);
    x.core.cluster.write(&x.op(), upload.row_key(), x.core.new_op(), Some(envelope)).await?;
    let mut response = xml(CreatedUpload { object: &create.object, upload_id: &id.to_string() }.to_xml());
    x.set_abort(response.headers_mut(), create.object.key.as_bytes(), created_at_ms);
    if let Some((algorithm, kind)) = checksum {
        set(response.headers_mut(), CHECKSUM_ALGORITHM, algorithm.name());
        set(response.headers_mut(), CHECKSUM_TYPE, kind.name());
    }
    x.echo_key(response.headers_mut(), &secrecy);
    Ok(response)
}
