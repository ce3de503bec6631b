//! POST form uploads: a PUT whose headers are the fields of a form, and whose length its end shows.

use cairn_model::keys;
use cairn_model::rows::ObjectData;
use cairn_s3::form::{PostedObject, Success, Upload};
use http::header::{ETAG, LOCATION};
use http::{Response, StatusCode};

use super::New;
use crate::body::digest::Wanted;
use crate::convert;
use crate::exchange::{Answer, Exchange, bare, set, xml};
use crate::form::FormBody;
use crate::http::Body;

pub(crate) async fn post(x: &Exchange, upload: Upload, form: FormBody<'_>) -> Answer {
    let key = upload.object.key.as_bytes();
    // W1: the Query runs while the body flows.
    let mut pending = x.core.cluster.begin_write(&x.op(), keys::object(x.bucket_id()?, key)).await?;
    x.check_quota(key, *upload.size.start(), Some(&mut pending)).await?;
    let (target, secrecy) = (x.target(key)?, x.new_secrecy());
    let wanted = Wanted { sha256: upload.body.sha256.is_some(), checksum: upload.body.checksum_algorithm() };
    let mut file = form.file(upload.size.clone());
    let stored = x.core.store_until_end(x.op, &target, wanted, &secrecy.body()?, &mut file).await?;
    upload.body.verify(&stored.digests, None)?;
    if !matches!(stored.data, ObjectData::Inline(_)) || stored.size > *upload.size.start() {
        // Only now is it known how many bytes there are.
        x.check_quota(key, stored.size, None).await?;
    }

    let headers = convert::stored_headers(upload.headers, &upload.metadata);
    let new = New::of_body(stored, headers, &secrecy, x.core.entropy.as_ref())?;
    let etag = convert::etag(&new.etag)?;
    let version = x.core.new_op();
    let (size, now_ms) = (new.size, x.core.clock.now_ms());
    let envelope = new.object(version, now_ms).encode(target.bucket);
    pending.commit(version, Some(envelope)).await?;

    let (bucket, name) = (upload.object.bucket.as_str(), upload.object.key.as_str());
    let location = x.location(bucket, name);
    let mut response = answer(&upload.success, &PostedObject { location: &location, bucket, key: name, etag: &etag });
    set(response.headers_mut(), ETAG, &etag.quoted());
    x.set_expiration(response.headers_mut(), key, size, now_ms);
    x.echo_key(response.headers_mut(), &secrecy);
    Ok(response)
}

fn answer(success: &Success, object: &PostedObject<'_>) -> Response<Body> {
    match success {
        Success::Redirect(address) => {
            let mut response = bare(StatusCode::SEE_OTHER);
            set(response.headers_mut(), LOCATION, &object.redirect(address));
            response
        }
        Success::Empty(status) => {
            let mut response = bare(*status);
            set(response.headers_mut(), LOCATION, object.location);
            response
        }
        Success::Document => {
            let mut response = xml(object.to_xml());
            *response.status_mut() = StatusCode::CREATED;
            set(response.headers_mut(), LOCATION, object.location);
            response
        }
    }
}
