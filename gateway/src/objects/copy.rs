//! CopyObject: the target shares the source's blocks; only where some are missing, or another checksum is asked for,
//! are bytes read and stored again.

use cairn_model::keys;
use cairn_model::rows::{BlockRef, Checksum, Headers, ManifestPage, ObjectData};
use cairn_s3::answer::CopyResult;
use cairn_s3::checksum::{Algorithm, Kind};
use cairn_s3::operation::{CopyObject, CopySource};
use cairn_s3::{ETag, ErrorCode, S3Error};

use super::{New, Object, existing, judge_early, write_if};
use crate::body::digest::Wanted;
use crate::body::read::Copied;
use crate::body::write::Target;
use crate::convert;
use crate::exchange::{Answer, Exchange, xml};
use crate::failure::Failure;

/// The largest source of one copy, in bytes: AWS's limit.
const MAX_SOURCE: u64 = 5 << 30;

pub(crate) async fn copy(x: &Exchange, copy: CopyObject) -> Answer {
    refuse_unchanged(&copy)?;
    let source = source(x, &copy.source).await?;
    let source_etag = convert::etag(&source.head.etag)?;
    copy.source_conditions.check_copy_source(&source_etag, source.head.last_modified_ms)?;
    if source.head.size > MAX_SOURCE {
        let message =
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message).into());
    }
    let key = copy.object.key.as_bytes();
    judge_early(x, key, &copy.conditions).await?;

    let target = x.target(key)?;
    let headers = headers(&copy, source.head.headers.clone());
    let new = duplicate(x, &target, source, headers, copy.checksum_algorithm).await?;
    let version = x.core.new_op();
    let object = new.object(version, x.core.clock.now_ms());
    let envelope = Some(object.encode(target.bucket));
    if copy.conditions.is_empty() {
        x.core.cluster.write(&x.op(), keys::object(target.bucket, key), version, envelope).await?;
    } else {
        write_if(x, key, version, &copy.conditions, envelope).await?;
    }
    let result = CopyResult {
        etag: convert::etag(&object.head.etag)?,
        modified_unix_ms: object.head.last_modified_ms,
        checksum: convert::object_checksum(&object.head)?,
    };
    let mut response = xml(result.to_xml());
    x.set_expiration(response.headers_mut(), key, object.head.size, object.head.last_modified_ms);
    Ok(response)
}

/// The settled object a copy reads; the right to read it was checked with the request's others (SECURITY V7).
pub(crate) async fn source(x: &Exchange, source: &CopySource) -> Result<Object, Failure> {
    let bucket = x.granted.source()?.id;
    existing(&x.core, &x.op(), bucket, source.key.as_bytes(), source.version.as_ref()).await
}

fn refuse_unchanged(copy: &CopyObject) -> Result<(), S3Error> {
    let onto_itself = copy.source.bucket == copy.object.bucket && copy.source.key == copy.object.key;
    let changed =
        copy.replace.is_some() || copy.website_redirect_location.is_some() || copy.checksum_algorithm.is_some();
    if onto_itself && !changed {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    Ok(())
}

fn headers(copy: &CopyObject, source: Headers) -> Headers {
    let mut headers = match &copy.replace {
        Some((headers, metadata)) => convert::stored_headers(headers.clone(), metadata),
        None => source,
    };
    headers.website_redirect.clone_from(&copy.website_redirect_location);
    headers
}

/// The source's bytes under the target's name.
async fn duplicate(
    x: &Exchange,
    target: &Target,
    source: Object,
    headers: Headers,
    algorithm: Option<Algorithm>,
) -> Result<New, Failure> {
    let kept = source.head.checksum.as_ref();
    let recompute = algorithm.filter(|wanted| kept.map(|kept| convert::algorithm(kept.algorithm)) != Some(*wanted));
    if recompute.is_none()
        && let Some(data) = share(x, target, &source.data).await?
    {
        let head = source.head;
        return Ok(New { size: head.size, etag: head.etag, headers, checksum: head.checksum, parts: head.parts, data });
    }
    store_again(x, target, source, headers, recompute).await
}

/// References the source's blocks for the target. None: some of them are not where they should be.
async fn share(x: &Exchange, target: &Target, data: &ObjectData) -> Result<Option<ObjectData>, Failure> {
    if let ObjectData::Inline(bytes) = data {
        return Ok(Some(ObjectData::Inline(bytes.clone())));
    }
    let blocks = list_blocks(x, data).await?;
    let reference = target.reference(x.op.written_at_ms);
    for page in blocks.chunks(ManifestPage::ENTRIES_MAX) {
        let mut hashes: Vec<_> = page.iter().map(|block| block.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let references = hashes.into_iter().map(|hash| (hash, reference.clone())).collect();
        let missing = x.core.cluster.add_references(&x.op(), references).await?;
        if !missing.is_empty() {
            tracing::warn!(missing = missing.len(), "blocks of a copy's source are not where they should be");
            return Ok(None);
        }
    }
    Ok(Some(x.core.list_blocks(x.op, target, blocks).await?))
}

/// All blocks of an object of at most [`MAX_SOURCE`] bytes.
async fn list_blocks(x: &Exchange, data: &ObjectData) -> Result<Vec<BlockRef>, Failure> {
    let lists = match data {
        ObjectData::Inline(_) => Vec::new(),
        ObjectData::Blocks(list) => return Ok(list.blocks.clone()),
        ObjectData::Pages(pages) => vec![pages.clone()],
        ObjectData::Parts(pages) => {
            let mut lists = Vec::new();
            for page in 0..pages.page_bytes.len() {
                lists.extend(x.core.parts_page(x.op, pages, page).await?.into_iter().map(|part| part.pages));
            }
            lists
        }
    };
    let mut blocks = Vec::new();
    for pages in &lists {
        for page in 0..pages.page_bytes.len() {
            blocks.extend(x.core.blocks_page(x.op, pages, page).await?);
        }
    }
    Ok(blocks)
}

async fn store_again(
    x: &Exchange,
    target: &Target,
    source: Object,
    headers: Headers,
    recompute: Option<Algorithm>,
) -> Result<New, Failure> {
    let size = source.head.size;
    let kept = source.head.checksum.as_ref().map(|kept: &Checksum| convert::algorithm(kept.algorithm));
    let mut bytes = Copied::open(&x.core, x.op, source.data, 0..size).await?;
    let wanted = Wanted { sha256: false, checksum: recompute.or(kept) };
    let stored = x.core.store_body(x.op, target, size, wanted, &mut bytes).await?;
    Ok(New {
        size,
        etag: ETag::Md5(stored.digests.md5).to_string(),
        headers,
        checksum: stored.digests.checksum.map(|value| convert::stored_checksum(&value, Kind::FullObject)),
        parts: 0,
        data: stored.data,
    })
}

#[cfg(test)]
mod tests {
    use cairn_s3::ObjectKey;
    use cairn_s3::headers::{Metadata, ObjectHeaders};
    use cairn_s3::operation::ObjectRef;

    use super::*;

    fn onto_itself() -> CopyObject {
        let key = ObjectKey::new(b"k".to_vec()).unwrap();
        let bucket: cairn_types::BucketName = "bucket".parse().unwrap();
        CopyObject {
            object: ObjectRef { bucket: bucket.clone(), key: key.clone() },
            source: CopySource { bucket, key, version: None },
            source_conditions: Default::default(),
            conditions: Default::default(),
            replace: None,
            website_redirect_location: None,
            checksum_algorithm: None,
        }
    }

    #[test]
    fn a_copy_onto_itself_must_change_something() {
        let error = refuse_unchanged(&onto_itself()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest);
        let replace = Some((ObjectHeaders::default(), Metadata::default()));
        assert!(refuse_unchanged(&CopyObject { replace, ..onto_itself() }).is_ok());
        let mut elsewhere = onto_itself();
        elsewhere.object.bucket = "other".parse().unwrap();
        assert!(refuse_unchanged(&elsewhere).is_ok());
    }

    #[test]
    fn the_redirect_is_never_copied() {
        let source = Headers {
            website_redirect: Some("/old".into()),
            content_type: Some("text/plain".into()),
            ..Headers::default()
        };
        let copied = headers(&onto_itself(), source);
        assert_eq!(copied.website_redirect, None);
        assert_eq!(copied.content_type.as_deref(), Some("text/plain"));
    }
}
