//! CopyObject: the target shares the source's blocks; only where some are missing, another checksum is asked for, or
//! the two are encrypted differently, are bytes read and stored again.
//!
//! - **Y1** A copy onto itself changes the very object it read: between the two nobody else has written or deleted it.
//!   *Tested by `tests/tests/quotas.rs`.* So it is a conditional write, whose outcome others may leave unknown.

use cairn_model::rows::{BlockRef, Headers, ManifestPage, ObjectData, ObjectHead, TypedRow as _};
use cairn_model::{Envelope, keys};
use cairn_quorum::{OpError, UpdateError};
use cairn_s3::answer::CopyResult;
use cairn_s3::checksum::Algorithm;
use cairn_s3::operation::{CopyObject, CopySource};
use cairn_s3::{ErrorCode, S3Error};
use cairn_types::OpId;

use super::{New, Object, existing, judge, judge_early, write_if};
use crate::body::digest::Wanted;
use crate::body::read::Copied;
use crate::body::write::Target;
use crate::convert;
use crate::encryption::{Locked, Secrecy};
use crate::exchange::{Answer, Exchange, xml};
use crate::failure::Failure;

/// The largest source of one copy, in bytes: AWS's limit.
const MAX_SOURCE: u64 = 5 << 30;
/// Times a copy onto itself begins again after somebody else wrote the object.
const TRIES: u32 = 8;

pub(crate) async fn copy(x: &Exchange, copy: CopyObject) -> Answer {
    let onto_itself = copy.source.bucket == copy.object.bucket && copy.source.key == copy.object.key;
    for _ in 0..TRIES {
        let (source, source_secrecy) = source(x, &copy.source).await?;
        let read = source.head.version;
        let made = make(x, &copy, source, source_secrecy).await?;
        if onto_itself {
            if !replace(x, &copy, read, &made).await? {
                continue;
            }
        } else {
            write(x, &copy, &made).await?;
        }
        return answer(x, copy.object.key.as_bytes(), &made);
    }
    Err(OpError::Contended.into())
}

/// The target as it will be written.
struct Made {
    object: Object,
    secrecy: Secrecy,
}

/// Checks the source and makes the target's bytes durable under its name.
async fn make(x: &Exchange, copy: &CopyObject, source: Object, source_secrecy: Secrecy) -> Result<Made, Failure> {
    let source_etag = convert::etag(&source.head.etag)?;
    copy.source_conditions.check_copy_source(&source_etag, source.head.last_modified_ms)?;
    if source.head.size > MAX_SOURCE {
        let message =
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120";
        return Err(S3Error::with_message(ErrorCode::InvalidRequest, message).into());
    }
    let key = copy.object.key.as_bytes();
    judge_early(x, key, &copy.conditions).await?;
    x.check_quota(key, source.head.size, None).await?;
    let target = x.target(key)?;
    let headers = headers(copy, source.head.headers.clone());
    let (new, secrecy) = duplicate(x, &target, source, source_secrecy, headers, copy.checksum_algorithm).await?;
    Ok(Made { object: new.object(x.core.new_op(), x.core.clock.now_ms()), secrecy })
}

async fn write(x: &Exchange, copy: &CopyObject, made: &Made) -> Result<(), Failure> {
    let (bucket, key, version) = (x.bucket_id()?, copy.object.key.as_bytes(), made.object.head.version);
    let envelope = Some(made.object.encode(bucket));
    if !copy.conditions.is_empty() {
        return write_if(x, key, version, &copy.conditions, envelope).await;
    }
    x.core.cluster.write(&x.op(), keys::object(bucket, key), version, envelope).await?;
    Ok(())
}

/// Writes the target where the object is still the one that was read. False: it is not.
async fn replace(x: &Exchange, copy: &CopyObject, read: OpId, made: &Made) -> Result<bool, Failure> {
    let (bucket, key) = (x.bucket_id()?, copy.object.key.as_bytes());
    let envelope = made.object.encode(bucket);
    let change = |current: Option<&Envelope>| -> Result<_, Option<S3Error>> {
        judge(&copy.conditions, current).map_err(|failure| Some(failure.error))?;
        let now = current.and_then(|current| ObjectHead::decode(&current.value).ok());
        if now.is_some_and(|now| now.version == read) { Ok(Some(envelope.clone())) } else { Err(None) }
    };
    match x.core.cluster.update(&x.op(), keys::object(bucket, key), made.object.head.version, change).await {
        Ok(_) => Ok(true),
        Err(UpdateError::Refused(None)) => Ok(false),
        Err(UpdateError::Refused(Some(error))) => Err(error.into()),
        Err(UpdateError::Failed(error)) => Err(error.into()),
    }
}

fn answer(x: &Exchange, key: &[u8], made: &Made) -> Answer {
    let head = &made.object.head;
    let result = CopyResult {
        etag: convert::etag(&head.etag)?,
        modified_unix_ms: head.last_modified_ms,
        checksum: convert::object_checksum(head, &made.secrecy)?,
    };
    let mut response = xml(result.to_xml());
    x.echo_key(response.headers_mut(), &made.secrecy);
    x.set_expiration(response.headers_mut(), key, head.size, head.last_modified_ms);
    Ok(response)
}

/// The settled object a copy reads, and its secrecy; the right to read it was checked with the request's others
/// (SECURITY V7).
pub(crate) async fn source(x: &Exchange, source: &CopySource) -> Result<(Object, Secrecy), Failure> {
    let bucket = x.granted.source()?.id;
    let object = existing(&x.core, &x.op(), bucket, source.key.as_bytes(), source.version.as_ref()).await?;
    let secrecy = Secrecy::unlock(Locked::Object, object.head.encryption.as_ref(), x.source_key.as_ref())?;
    Ok((object, secrecy))
}

fn headers(copy: &CopyObject, source: Headers) -> Headers {
    let mut headers = match &copy.replace {
        Some((headers, metadata)) => convert::stored_headers(headers.clone(), metadata),
        None => source,
    };
    headers.website_redirect.clone_from(&copy.website_redirect_location);
    headers
}

/// The source's bytes under the target's name, and how they are kept there.
async fn duplicate(
    x: &Exchange,
    target: &Target,
    source: Object,
    source_secrecy: Secrecy,
    headers: Headers,
    algorithm: Option<Algorithm>,
) -> Result<(New, Secrecy), Failure> {
    let kept = source.head.checksum.as_ref().map(|kept| convert::algorithm(kept.algorithm));
    let recompute = algorithm.filter(|wanted| kept != Some(*wanted));
    if recompute.is_none()
        && may_share(x, &source)
        && let Some(data) = share(x, target, &source.data).await?
    {
        let ObjectHead { size, etag, checksum, parts, encryption, .. } = source.head;
        return Ok((New { size, etag, headers, checksum, parts, data, encryption }, source_secrecy));
    }
    let secrecy = x.new_secrecy();
    let wanted = Wanted { sha256: false, checksum: recompute.or(kept) };
    let new = store_again(x, target, source, &source_secrecy, &secrecy, headers, wanted).await?;
    Ok((new, secrecy))
}

/// Whether the target's bytes at rest are the source's: both plain, or both under one customer's key. Then the target
/// has the source's salt, too. Parts of an encrypted object have keys of their own, which a list of blocks loses.
fn may_share(x: &Exchange, source: &Object) -> bool {
    match &source.head.encryption {
        None => x.customer_key.is_none(),
        Some(_) => x.customer_key == x.source_key && !matches!(source.data, ObjectData::Parts(_)),
    }
}

/// References the source's blocks for the target. None: some of them are not where they should be.
pub(crate) async fn share(x: &Exchange, target: &Target, data: &ObjectData) -> Result<Option<ObjectData>, Failure> {
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
    source_secrecy: &Secrecy,
    secrecy: &Secrecy,
    headers: Headers,
    wanted: Wanted,
) -> Result<New, Failure> {
    let size = source.head.size;
    let mut bytes = Copied::open(&x.core, x.op, source, source_secrecy, 0..size).await?;
    let stored = x.core.store_body(x.op, target, size, wanted, &secrecy.body()?, &mut bytes).await?;
    New::of_body(stored, headers, secrecy, x.core.entropy.as_ref())
}

#[cfg(test)]
mod tests {
    use cairn_s3::ObjectKey;
    use cairn_s3::operation::ObjectRef;

    use super::*;

    #[test]
    fn the_redirect_is_never_copied() {
        let key = ObjectKey::new(b"k".to_vec()).unwrap();
        let bucket: cairn_types::BucketName = "bucket".parse().unwrap();
        let copy = CopyObject {
            object: ObjectRef { bucket: bucket.clone(), key: key.clone() },
            source: CopySource { bucket, key, version: None },
            source_conditions: Default::default(),
            conditions: Default::default(),
            replace: None,
            website_redirect_location: None,
            checksum_algorithm: None,
        };
        let source = Headers {
            website_redirect: Some("/old".into()),
            content_type: Some("text/plain".into()),
            ..Headers::default()
        };
        let copied = headers(&copy, source);
        assert_eq!(copied.website_redirect, None);
        assert_eq!(copied.content_type.as_deref(), Some("text/plain"));
    }
}
