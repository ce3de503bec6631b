//! UploadPart and UploadPartCopy.

use std::ops::Range;

use cairn_model::rows::{ChecksumType, ObjectData, PartRow, TypedRow as _, UploadRow};
use cairn_model::{Envelope, keys};
use cairn_s3::answer::CopyResult;
use cairn_s3::body::Digests;
use cairn_s3::checksum::{Checksum, Kind, ObjectChecksum};
use cairn_s3::operation::{UploadPart, UploadPartCopy};
use cairn_s3::{ETag, ErrorCode, S3Error};
use http::StatusCode;
use http::header::ETAG;

use super::Upload;
use crate::body::digest::Wanted;
use crate::body::read::Copied;
use crate::body::write::{Stored, Target};
use crate::convert;
use crate::encryption::{Locked, Secrecy};
use crate::exchange::{Answer, Exchange, bare, set, set_checksum, xml};
use crate::failure::Failure;
use crate::objects::{Object, copy};
use crate::payload::Payload;

/// The largest part, in bytes.
const MAX_PART: u64 = 5 << 30;

pub(crate) async fn upload(x: &Exchange, part: UploadPart, body: &mut Payload<'_>) -> Answer {
    let upload = Upload { bucket: x.bucket_id()?, key: &part.object.key, id: part.upload };
    let row = x.core.open_upload(&x.op(), &upload).await?;
    let declared = row.checksum.map(|(algorithm, _)| convert::algorithm(algorithm));
    if let (Some(declared), Some(sent)) = (declared, part.body.checksum_algorithm())
        && declared != sent
    {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                declared.name().to_lowercase(),
                sent.name().to_lowercase()
            ),
        )
        .into());
    }
    let secrecy = unlock(x, &row)?;
    x.check_part_quota(&upload, part.part_number, part.length).await?;
    let seal = secrecy.new_part(x.core.entropy.as_ref())?;
    let target = target(x, &upload)?;
    let stored = x.core.store_body(x.op, &target, part.length, body.wanted(declared), &seal, body).await?;
    body.verify(&stored.digests)?;
    let place = Place { upload: &upload, number: part.part_number };
    let (etag, checksum, _) = keep(x, &place, &secrecy, seal.salt(), stored).await?;
    let mut response = bare(StatusCode::OK);
    set(response.headers_mut(), ETAG, &etag.quoted());
    if let Some(checksum) = checksum {
        set_checksum(response.headers_mut(), &ObjectChecksum::whole(checksum));
    }
    x.echo_key(response.headers_mut(), &secrecy);
    Ok(response)
}

/// A whole object becomes a part by sharing its blocks where its tag is what the part's must be. Else the bytes are read,
/// for their MD5 is the part's tag, and stored as the part's own; blocks that are there already are not stored twice.
pub(crate) async fn copy(x: &Exchange, part: UploadPartCopy) -> Answer {
    let upload = Upload { bucket: x.bucket_id()?, key: &part.object.key, id: part.upload };
    let row = x.core.open_upload(&x.op(), &upload).await?;
    let secrecy = unlock(x, &row)?;
    let (source, source_secrecy) = copy::source(x, &part.source).await?;
    let source_etag = convert::etag(&source.head.etag)?;
    part.source_conditions.check_copy_source(&source_etag, source.head.last_modified_ms)?;
    let size = source.head.size;
    let wanted = match part.source_range {
        Some(range) => {
            let span = range.resolve_copy_source(size)?;
            span.offset..span.offset + span.length
        }
        None => 0..size,
    };
    let length = wanted.end - wanted.start;
    if length > MAX_PART {
        return Err(ErrorCode::EntityTooLarge.into());
    }
    x.check_part_quota(&upload, part.part_number, length).await?;
    let target = target(x, &upload)?;
    let seal = secrecy.new_part(x.core.entropy.as_ref())?;
    let stored = match share_whole(x, &target, &source, &row, &wanted).await? {
        Some(stored) => stored,
        None => {
            let mut bytes = Copied::open(&x.core, x.op, source, &source_secrecy, wanted).await?;
            let checksum = row.checksum.map(|(algorithm, _)| convert::algorithm(algorithm));
            let wanted = Wanted { sha256: false, checksum };
            x.core.store_body(x.op, &target, length, wanted, &seal, &mut bytes).await?
        }
    };
    let place = Place { upload: &upload, number: part.part_number };
    let (etag, checksum, modified_unix_ms) = keep(x, &place, &secrecy, seal.salt(), stored).await?;
    let result = CopyResult { etag, modified_unix_ms, checksum: checksum.map(ObjectChecksum::whole) };
    let mut response = xml(result.to_part_xml());
    x.echo_key(response.headers_mut(), &secrecy);
    Ok(response)
}

/// The source as a part without reading it: all of it, in the clear, with the MD5 and the checksum the part needs.
async fn share_whole(
    x: &Exchange,
    target: &Target,
    source: &Object,
    row: &UploadRow,
    wanted: &Range<u64>,
) -> Result<Option<Stored>, Failure> {
    let head = &source.head;
    let in_clear = head.encryption.is_none() && row.encryption.is_none();
    if *wanted != (0..head.size) || !in_clear || matches!(source.data, ObjectData::Inline(_)) {
        return Ok(None);
    }
    let ETag::Md5(md5) = convert::etag(&head.etag)? else { return Ok(None) };
    let checksum = match (row.checksum, &head.checksum) {
        (None, _) => None,
        (Some((algorithm, _)), Some(kept)) if kept.algorithm == algorithm && kept.kind == ChecksumType::FullObject => {
            Some(convert::checksum(kept)?)
        }
        (Some(_), _) => return Ok(None),
    };
    let Some(data) = copy::share(x, target, &source.data).await? else { return Ok(None) };
    Ok(Some(Stored { size: head.size, digests: Digests { md5, sha256: None, checksum }, data }))
}

/// Every part of an encrypted upload brings its key again.
pub(super) fn unlock(x: &Exchange, row: &UploadRow) -> Result<Secrecy, Failure> {
    Ok(Secrecy::unlock(Locked::Upload, row.encryption.as_ref(), x.customer_key.as_ref())?)
}

/// The place of a part.
struct Place<'a> {
    upload: &'a Upload<'a>,
    number: u16,
}

fn target(x: &Exchange, upload: &Upload<'_>) -> Result<Target, Failure> {
    Ok(Target { upload: Some(upload.id), ..x.target(upload.key.as_bytes())? })
}

/// Writes the part's row over any earlier one of its number.
async fn keep(
    x: &Exchange,
    place: &Place<'_>,
    secrecy: &Secrecy,
    salt: Option<[u8; 32]>,
    stored: Stored,
) -> Result<(ETag, Option<Checksum>, u64), Failure> {
    let ObjectData::Pages(pages) = stored.data else {
        return Err(Failure::internal("a part's blocks are not in pages"));
    };
    let (upload, entropy) = (place.upload, x.core.entropy.as_ref());
    let etag = secrecy.etag(stored.digests.md5, entropy);
    let last_modified_ms = x.core.clock.now_ms();
    // Also what the upload did not declare: a Complete may list it, and it is compared then.
    let checksum = stored.digests.checksum;
    let part = PartRow {
        size: stored.size,
        etag: etag.to_string(),
        last_modified_ms,
        checksum: checksum.map(|value| secrecy.seal_checksum(&value, Kind::FullObject, entropy)).transpose()?,
        pages,
        salt,
    };
    let envelope = Envelope { owner: upload.id.to_bytes(), value: part.encode(), ..Envelope::default() };
    let key = keys::part(upload.id, place.number);
    x.core.cluster.write(&x.op(), key, x.core.new_op(), Some(envelope)).await?;
    Ok((etag, checksum, last_modified_ms))
}
