//! PutObject.

use cairn_model::keys;
use cairn_model::rows::ObjectData;
use cairn_s3::checksum::ObjectChecksum;
use cairn_s3::operation::PutObject;
use http::StatusCode;
use http::header::ETAG;

use super::{New, judge_early, write_if};
use crate::convert;
use crate::exchange::{Answer, Exchange, bare, set, set_checksum};
use crate::payload::Payload;

pub(crate) async fn put(x: &Exchange, put: PutObject, body: &mut Payload<'_>) -> Answer {
    let key = put.object.key.as_bytes();
    judge_early(x, key, &put.conditions).await?;
    let row = keys::object(x.bucket_id()?, key);
    // W1: the Query runs while the body flows.
    let mut pending =
        if put.conditions.is_empty() { Some(x.core.cluster.begin_write(&x.op(), row).await?) } else { None };
    x.check_quota(key, put.length, pending.as_mut()).await?;
    let (target, secrecy) = (x.target(key)?, x.new_secrecy());
    let stored = x.core.store_body(x.op, &target, put.length, body.wanted(None), &secrecy.body()?, body).await?;
    body.verify(&stored.digests)?;
    if !matches!(stored.data, ObjectData::Inline(_)) {
        // While these bytes came, others may have filled the bucket.
        x.check_quota(key, stored.size, None).await?;
    }

    let checksum = stored.digests.checksum.map(ObjectChecksum::whole);
    let headers = convert::stored_headers(put.headers, &put.metadata);
    let new = New::of_body(stored, headers, &secrecy, x.core.entropy.as_ref())?;
    let etag = convert::etag(&new.etag)?;
    let version = x.core.new_op();
    let (size, now_ms) = (new.size, x.core.clock.now_ms());
    let envelope = new.object(version, now_ms).encode(target.bucket);
    match pending {
        Some(pending) => drop(pending.commit(version, Some(envelope)).await?),
        None => write_if(x, key, version, &put.conditions, Some(envelope)).await?,
    }
    let mut response = bare(StatusCode::OK);
    set(response.headers_mut(), ETAG, &etag.quoted());
    x.set_expiration(response.headers_mut(), key, size, now_ms);
    if let Some(checksum) = &checksum {
        set_checksum(response.headers_mut(), checksum);
    }
    x.echo_key(response.headers_mut(), &secrecy);
    Ok(response)
}
