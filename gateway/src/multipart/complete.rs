//! CompleteMultipartUpload: open → completing, after everything was checked; then [`super::finish`].

use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{
    Checksum, Completing, Condition, ManifestPage, ObjectHead, PageEntries, Pages, UploadRow, UploadState,
};
use cairn_register::Base;
use cairn_s3::answer::CompletedUpload;
use cairn_s3::checksum::ObjectChecksum;
use cairn_s3::operation::CompleteMultipartUpload;
use cairn_s3::xml::read::{self, CompletedPart};
use cairn_s3::{ErrorCode, S3Error};
use cairn_types::ManifestId;
use cairn_uploads::Finished;

use super::assemble::{Assembled, assemble, digest};
use super::part::unlock;
use super::{ALL_PARTS, Upload};
use crate::body::write::Target;
use crate::convert;
use crate::encryption::Secrecy;
use crate::encryption::read::part_length;
use crate::exchange::{Answer, Exchange, xml};
use crate::failure::Failure;
use crate::objects::{judge, judge_early};
use crate::payload::Payload;

/// Times an upload is looked at again after others moved it on.
const TRIES: u32 = 16;

pub(crate) async fn complete(x: &Exchange, request: CompleteMultipartUpload, body: &mut Payload<'_>) -> Answer {
    let document = body.read_all(read::MAX_COMPLETE_BYTES).await?;
    let listed = read::complete_multipart_upload(&document)?;
    let condition = convert::stored_condition(&request.conditions)?;
    let upload = Upload { bucket: x.bucket_id()?, key: &request.object.key, id: request.upload };
    let wanted = digest(&listed);
    for _ in 0..TRIES {
        let row = x.core.upload(&x.op(), &upload).await?;
        let completing = match row.state {
            UploadState::Aborted { .. } => return Err(ErrorCode::NoSuchUpload.into()),
            UploadState::Done(done) if done.parts_digest == wanted => return answer(x, &request, &done.head),
            UploadState::Done(_) => return Err(ErrorCode::NoSuchUpload.into()),
            UploadState::Completing(completing) => *completing,
            UploadState::Open => {
                let begun = begin(x, &upload, &row, &listed, &request, condition.clone()).await?;
                let Some(completing) = begun else { continue };
                completing
            }
        };
        let is_this = completing.parts_digest == wanted;
        let head = completing.head.clone();
        match x.core.finish_upload(x.op, &upload, completing).await? {
            Finished::Done if is_this => return answer(x, &request, &head),
            Finished::Reopened { current } if is_this => {
                let etag = current.as_deref().map(convert::etag).transpose()?;
                request.conditions.check(etag.as_ref())?;
            }
            Finished::Done | Finished::Reopened { .. } | Finished::Changed => {}
        }
    }
    Err(ErrorCode::ConditionalRequestConflict.into())
}

fn answer(x: &Exchange, request: &CompleteMultipartUpload, head: &ObjectHead) -> Answer {
    // A repeat may come without the key; then the checksum is not shown.
    let secrecy = match &head.encryption {
        Some(_) if x.customer_key.is_none() => None,
        _ => Some(x.unlock(head)?),
    };
    let checksum = secrecy.as_ref().map(|secrecy| convert::object_checksum(head, secrecy)).transpose()?.flatten();
    let object = &request.object;
    let location = x.location(object.bucket.as_str(), object.key.as_str());
    let completed = CompletedUpload { object, location: &location, etag: convert::etag(&head.etag)?, checksum };
    let mut response = xml(completed.to_xml());
    if let Some(secrecy) = &secrecy {
        x.echo_key(response.headers_mut(), secrecy);
    }
    x.set_expiration(response.headers_mut(), object.key.as_bytes(), head.size, head.last_modified_ms);
    Ok(response)
}

/// Checks the list, settles the pages, judges the condition, and writes down what will be done. None: somebody else
/// moved the upload on meanwhile.
async fn begin(
    x: &Exchange,
    upload: &Upload<'_>,
    row: &UploadRow,
    listed: &[CompletedPart],
    request: &CompleteMultipartUpload,
    condition: Condition,
) -> Result<Option<Completing>, Failure> {
    judge_early(x, upload.key.as_bytes(), &request.conditions).await?;
    let stored: BTreeMap<_, _> = x.core.parts(&x.op(), upload.id, 0, ALL_PARTS).await?.into_iter().collect();
    let declared = row.checksum.map(|(algorithm, kind)| (convert::algorithm(algorithm), convert::kind(kind)));
    let secrecy = secrecy(x, row, listed)?;
    let made = assemble(listed, &stored, declared, &secrecy)?;
    compare(&made, request)?;
    x.check_quota(upload.key.as_bytes(), made.size, None).await?;
    let parts = write_pages(x, upload, &made).await?;

    let found = x.core.cluster.read_row(&x.op(), keys::object(upload.bucket, upload.key.as_bytes())).await?;
    let current = found.row.as_ref().and_then(|row| row.value.as_ref());
    judge(&request.conditions, current)?;
    let op = x.core.new_op();
    let completing = Completing {
        op,
        written_at_ms: x.op.written_at_ms,
        parts_digest: digest(listed),
        head: ObjectHead {
            version: op,
            size: made.size,
            etag: made.etag.to_string(),
            last_modified_ms: x.core.clock.now_ms(),
            headers: row.headers.clone(),
            checksum: made.checksum.map(|sum| stored_checksum(x, &secrecy, &sum)).transpose()?,
            parts: u32::try_from(listed.len()).unwrap_or(u32::MAX),
            encryption: row.encryption,
        },
        parts,
        base: Base::of(&found),
        condition,
    };
    let (op, next) = (x.op(), completing.clone());
    let begun = x.core.step_upload(&op, upload, move |state| match state {
        UploadState::Open => Some(UploadState::Completing(Box::new(next.clone()))),
        UploadState::Completing(_) | UploadState::Done(_) | UploadState::Aborted { .. } => None,
    });
    Ok(begun.await?.then_some(completing))
}

/// A Complete needs an encrypted upload's key only where checksums must be read.
fn secrecy(x: &Exchange, row: &UploadRow, listed: &[CompletedPart]) -> Result<Secrecy, Failure> {
    let compares = row.checksum.is_some() || listed.iter().any(|part| part.checksum.is_some());
    if x.customer_key.is_some() || compares { unlock(x, row) } else { Ok(Secrecy::PLAIN) }
}

fn stored_checksum(x: &Exchange, secrecy: &Secrecy, checksum: &ObjectChecksum) -> Result<Checksum, Failure> {
    Ok(secrecy.seal_checksum(&checksum.value, checksum.kind, x.core.entropy.as_ref())?)
}

/// What the client says of the whole object must be so.
fn compare(made: &Assembled, request: &CompleteMultipartUpload) -> Result<(), S3Error> {
    if request.object_size.is_some_and(|size| size != made.size) {
        let message = format!("The object has {} bytes, which is not what x-amz-mp-object-size says.", made.size);
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    if let Some(kind) = request.checksum_kind
        && made.checksum.is_none_or(|checksum| checksum.kind != kind)
    {
        let message = format!("The upload was not created with the checksum type {}.", kind.name());
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message));
    }
    if let Some(declared) = request.checksum
        && made.checksum.is_none_or(|checksum| checksum.value != declared)
    {
        let name = declared.algorithm().name();
        return Err(S3Error::with_message(
            ErrorCode::BadDigest,
            format!("The {name} you specified did not match the calculated checksum."),
        ));
    }
    Ok(())
}

/// The pages of the object's own manifest, one for each 1,000 parts; no block moves.
async fn write_pages(x: &Exchange, upload: &Upload<'_>, made: &Assembled) -> Result<Pages, Failure> {
    let target = Target {
        bucket: upload.bucket,
        key: Bytes::copy_from_slice(upload.key.as_bytes()),
        upload: Some(upload.id),
        manifest: ManifestId::random(x.core.entropy.as_ref()),
        epoch: x.core.epoch(),
    };
    let pages = made.parts.chunks(ManifestPage::ENTRIES_MAX).map(|page| {
        let bytes = page.iter().map(part_length).sum();
        (bytes, PageEntries::Parts(page.to_vec()))
    });
    x.core.write_pages(x.op, &target, pages.collect()).await
}
