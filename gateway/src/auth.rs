//! Who asks, and whether they may: once, before any handler (SECURITY V5–V8).
//!
//! - **U1** A handler gets [`Granted`], which only [`authorize`] makes, which needs a [`Verified`] principal, which
//!   only a checked signature makes.
//! - **U2** What an operation may touch comes from `cairn_s3`'s table of operations and from nowhere else.
//! - **U3** Nothing is refused because of a cached row. *Tested by `tests/s3/access.rs`.*

use std::sync::Arc;

use cairn_quorum::Op;
use cairn_s3::auth::{Authorization, Rules, Signed, Verified, two_mechanisms};
use cairn_s3::form::Form;
use cairn_s3::operation::{Access, Action};
use cairn_s3::{ErrorCode, Request, S3Error};
use cairn_types::BucketName;
use http::request::Parts;

use crate::core::Core;
use crate::directory::{Bucket, Key};
use crate::failure::Failure;

/// Who signed the request.
#[derive(Clone)]
pub(crate) struct Principal(pub(crate) Arc<Key>);

/// An authorised request: what its handler may touch.
pub(crate) struct Granted {
    pub(crate) principal: Principal,
    /// The bucket the request names, where the operation needs it to exist.
    pub(crate) bucket: Option<Arc<Bucket>>,
    /// The bucket a copy reads from.
    pub(crate) source: Option<Arc<Bucket>>,
}

impl Granted {
    /// The bucket of an operation on one.
    pub(crate) fn bucket(&self) -> Result<&Arc<Bucket>, Failure> {
        self.bucket.as_ref().ok_or_else(|| Failure::internal("an operation on a bucket without one"))
    }

    /// The bucket a copy reads from.
    pub(crate) fn source(&self) -> Result<&Arc<Bucket>, Failure> {
        self.source.as_ref().ok_or_else(|| Failure::internal("a copy without a source"))
    }
}

/// Checks the request's signature.
///
/// # Errors
/// 403 for what does not verify against the key as a quorum has it now; 503 where no quorum can tell.
pub(crate) async fn authenticate(core: &Core, op: &Op, parts: &Parts) -> Result<Verified<Principal>, Failure> {
    prove(core, op, &claim(core, parts)?).await
}

/// Checks the signature of a form's policy. What the policy allows is checked with the form.
///
/// # Errors
/// As [`authenticate`]; 400 where the request has credentials outside the form too.
pub(crate) async fn authenticate_form(
    core: &Core,
    op: &Op,
    parts: &Parts,
    form: &Form,
) -> Result<Verified<Principal>, Failure> {
    if Authorization::is_in_head(parts)? {
        return Err(two_mechanisms().into());
    }
    prove(core, op, &form.claim(&rules(core))?).await
}

async fn prove(core: &Core, op: &Op, signed: &Signed) -> Result<Verified<Principal>, Failure> {
    let id = signed.access_key_id().to_owned();
    if let Some(key) = core.directory.known_key(&id)
        && let Ok(verified) = verify(core, signed, key)
    {
        return Ok(verified);
    }
    let key = core.directory.current_key(&core.cluster, &core.secret, op, &id).await?;
    let key = key.ok_or_else(|| S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id))?;
    Ok(verify(core, signed, key)?)
}

fn verify(core: &Core, signed: &Signed, key: Arc<Key>) -> Result<Verified<Principal>, S3Error> {
    if key.is_expired(core.clock.now_ms()) {
        return Err(S3Error::with_message(ErrorCode::AccessDenied, "The access key has expired."));
    }
    let signing_key = key.signing_key(signed.scope());
    signed.verify(&signing_key, Principal(key))
}

/// What the request claims. Anonymous requests reach nothing (S3.md §2).
fn claim(core: &Core, parts: &Parts) -> Result<Signed, S3Error> {
    match Authorization::parse(parts, &rules(core))? {
        Authorization::Signed(signed) => Ok(signed),
        Authorization::Anonymous => Err(S3Error::new(ErrorCode::AccessDenied)),
    }
}

fn rules(core: &Core) -> Rules<'_> {
    Rules {
        now_ms: core.clock.now_ms(),
        region: core.config.check_region.then_some(core.config.region.as_str()),
        refuse_unsigned_payload: false,
    }
}

/// Checks every right the operation needs: for a copy, that of its source too.
pub(crate) async fn authorize(
    core: &Core,
    op: &Op,
    principal: &Principal,
    request: &Request,
) -> Result<Granted, Failure> {
    let mut granted = Granted { principal: principal.clone(), bucket: None, source: None };
    for (index, access) in request.operation.accesses().enumerate() {
        let bucket = check(core, op, principal, &access).await?;
        let expected = if index == 0 { &request.expected_bucket_owner } else { &request.expected_source_bucket_owner };
        if let (Some(bucket), Some(expected)) = (&bucket, expected)
            && bucket.row.owner != *expected
        {
            return Err(ErrorCode::AccessDenied.into());
        }
        if index == 0 {
            granted.bucket = bucket;
        } else {
            granted.source = bucket;
        }
    }
    Ok(granted)
}

async fn check(
    core: &Core,
    op: &Op,
    principal: &Principal,
    access: &Access<'_>,
) -> Result<Option<Arc<Bucket>>, Failure> {
    match access.action {
        Action::Public | Action::Authenticated => Ok(None),
        Action::CreateBucket => {
            if principal.0.row.create_bucket {
                return Ok(None);
            }
            let now = core.directory.current_key(&core.cluster, &core.secret, op, &principal.0.id).await?;
            match now {
                Some(key) if key.row.create_bucket => Ok(None),
                Some(_) | None => {
                    Err(S3Error::with_message(ErrorCode::AccessDenied, "This access key may not create buckets.")
                        .into())
                }
            }
        }
        Action::List | Action::Read | Action::Write | Action::Owner => {
            let name = access.bucket.ok_or_else(|| Failure::internal("a bucket's right without a bucket"))?;
            reach(core, op, principal, access.action, name).await.map(Some)
        }
    }
}

/// The bucket, where the principal may do `action` with it.
async fn reach(
    core: &Core,
    op: &Op,
    principal: &Principal,
    action: Action,
    name: &BucketName,
) -> Result<Arc<Bucket>, Failure> {
    let id = principal.0.id.as_str();
    if let Some(bucket) = core.directory.known_bucket(name)
        && allows(&bucket, id, action)
    {
        return Ok(bucket);
    }
    let bucket = core.directory.current_bucket(&core.cluster, op, name).await?;
    let bucket = bucket.ok_or_else(|| S3Error::new(ErrorCode::NoSuchBucket).field("BucketName", name.as_str()))?;
    if allows(&bucket, id, action) { Ok(bucket) } else { Err(ErrorCode::AccessDenied.into()) }
}

fn allows(bucket: &Bucket, access_key: &str, action: Action) -> bool {
    let rights = bucket.rights(access_key);
    match action {
        Action::List | Action::Read => rights.read,
        Action::Write => rights.write,
        Action::Owner => rights.owner,
        Action::Public | Action::Authenticated | Action::CreateBucket => false,
    }
}
