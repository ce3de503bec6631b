//! PutObject.

use cairn_model::keys;
use cairn_s3::ETag;
use cairn_s3::checksum::{Kind, ObjectChecksum};
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
    let pending = if put.conditions.is_empty() { Some(x.core.cluster.begin_write(&x.op(), row).await?) } else { None };
    let target = x.target(key)?;
    let stored = x.core.store_body(x.op, &target, put.length, body.wanted(None), body).await?;
    body.verify(&stored.digests)?;

    let etag = ETag::Md5(stored.digests.md5);
    let checksum = stored.digests.checksum.map(ObjectChecksum::whole);
    let new = New {
        size: stored.size,
        etag: etag.to_string(),
        headers: convert::stored_headers(put.headers, &put.metadata),
        checksum: stored.digests.checksum.map(|value| convert::stored_checksum(&value, Kind::FullObject)),
        parts: 0,
        data: stored.data,
    };
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
    Ok(response)
}
