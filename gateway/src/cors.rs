//! CORS: the rules of a request's bucket, before authentication for a preflight, on every answer for the rest.
//!
//! - **R1** A preflight reads the bucket's rules and nothing else; where there are none it is refused in the same words as
//!   where there is no bucket, so that strangers learn no names. *Tested by `tests/s3/cors.rs`.*
//! - **R2** Like a right, a rule that allows may be two seconds old; nothing is refused by a cached row.

use std::sync::Arc;

use cairn_quorum::Op;
use cairn_s3::cors::{Cors, Grant, vary};
use cairn_s3::operation::Preflight;
use cairn_s3::{ErrorCode, S3Error};
use cairn_types::BucketName;
use http::header::ORIGIN;
use http::request::Parts;
use http::{Response, StatusCode};

use crate::convert;
use crate::core::Core;
use crate::directory::Bucket;
use crate::exchange::{Answer, bare};
use crate::failure::Failure;
use crate::http::Body;

/// Answers a preflight about `name`.
///
/// # Errors
/// 403 `AccessForbidden`.
pub(crate) async fn preflight(core: &Core, op: &Op, name: Option<&BucketName>, asked: &Preflight) -> Answer {
    let Some(name) = name else { return Err(ErrorCode::AccessForbidden.into()) };
    let (grant, any) = ask(core, op, name, |cors| cors.preflight(asked)).await?;
    if let Some(grant) = grant {
        let mut response = bare(StatusCode::OK);
        grant.apply(response.headers_mut());
        return Ok(response);
    }
    let why = if any {
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method \
         / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS \
         spec."
    } else {
        ErrorCode::AccessForbidden.message()
    };
    Err(S3Error::with_message(ErrorCode::AccessForbidden, why).field("Method", &asked.method).into())
}

/// Adds what the rules of `name` say to the answer of a request, whatever it is: a page may read errors too.
pub(crate) async fn decorate(
    core: &Core,
    op: &Op,
    name: Option<&BucketName>,
    parts: &Parts,
    response: &mut Response<Body>,
) {
    let Some(name) = name else { return };
    if !parts.headers.contains_key(ORIGIN) {
        if core.directory.known_bucket(name).is_some_and(|bucket| bucket.row.settings.cors.is_some()) {
            vary(response.headers_mut());
        }
        return;
    }
    // Without a quorum the answer says so itself, and a page need not know it.
    let Ok((grant, any)) = ask(core, op, name, |cors| cors.actual(&parts.method, &parts.headers)).await else { return };
    match grant {
        Some(grant) => grant.apply(response.headers_mut()),
        None if any => vary(response.headers_mut()),
        None => {}
    }
}

/// What the rules of a bucket grant, and whether it has any.
async fn ask(
    core: &Core,
    op: &Op,
    name: &BucketName,
    judge: impl Fn(&Cors) -> Option<Grant>,
) -> Result<(Option<Grant>, bool), Failure> {
    if let Some(bucket) = core.directory.known_bucket(name)
        && let Some(cors) = rules(&bucket)?
        && let Some(grant) = judge(&cors)
    {
        return Ok((Some(grant), true));
    }
    let op = op.renewed(core.operation_timeout());
    let bucket: Option<Arc<Bucket>> = core.directory.current_bucket(&core.cluster, &op, name).await?;
    let cors = bucket.map(|bucket| rules(&bucket)).transpose()?.flatten();
    Ok((cors.as_ref().and_then(judge), cors.is_some()))
}

fn rules(bucket: &Bucket) -> Result<Option<Cors>, Failure> {
    bucket.row.settings.cors.as_ref().map(convert::cors).transpose()
}
