//! Who asks, and whether they may: once, before any handler (SECURITY V5–V8).
//!
//! - **U1** A handler gets [`Granted`], which only [`authorize`] makes, which needs a [`Verified`] principal, which
//!   only a checked signature makes.
//! - **U2** What an operation may touch comes from `cairn_s3`'s table of operations and from nowhere else.
//! - **U3** Nothing is refused because of a cached row. *Tested by `tests/s3/access.rs`.*
//! - **U4** A right limited to key prefixes reaches no other key, listing, copy source or setting. *Tested by
//!   `tests/s3/keys.rs`.*

use std::sync::Arc;

use cairn_model::rows::Rights;
use cairn_quorum::Op;
use cairn_s3::auth::{Authorization, Rules, Signed, Verified, two_mechanisms};
use cairn_s3::form::Form;
use cairn_s3::operation::{Access, Action, Keys};
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

    /// Whether the principal may write this key of the bucket: for keys that only the body names.
    pub(crate) fn may_write(&self, key: &[u8]) -> bool {
        let grant = self.bucket.as_ref().and_then(|bucket| bucket.grant(&self.principal.0.id));
        grant.is_some_and(|grant| grant.on(key).write)
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
    Ok(verify(core, signed, key.ok_or_else(|| no_such_key(&id))?)?)
}

fn no_such_key(id: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id)
}

fn verify(core: &Core, signed: &Signed, key: Arc<Key>) -> Result<Verified<Principal>, S3Error> {
    let now_ms = core.clock.now_ms();
    if key.is_expired(now_ms) {
        return Err(S3Error::with_message(ErrorCode::AccessDenied, "The access key has expired."));
    }
    let mut refused = S3Error::new(ErrorCode::SignatureDoesNotMatch);
    for signing_key in key.signing_keys(signed.scope(), now_ms) {
        match signed.verify(&signing_key, Principal(key.clone())) {
            Ok(verified) => return Ok(verified),
            Err(error) => refused = error,
        }
    }
    Err(refused)
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
            if current(core, op, principal).await?.row.create_bucket {
                return Ok(None);
            }
            Err(S3Error::with_message(ErrorCode::AccessDenied, "This access key may not create buckets.").into())
        }
        Action::List | Action::Read | Action::Write | Action::Owner => {
            let name = access.bucket.ok_or_else(|| Failure::internal("a bucket's right without a bucket"))?;
            reach(core, op, principal, access, name).await.map(Some)
        }
    }
}

/// The bucket, where the principal has the right that is asked for.
async fn reach(
    core: &Core,
    op: &Op,
    principal: &Principal,
    access: &Access<'_>,
    name: &BucketName,
) -> Result<Arc<Bucket>, Failure> {
    let id = principal.0.id.as_str();
    if let Some(bucket) = core.directory.known_bucket(name)
        && allows(&bucket, id, access, Freshness::Cached)
    {
        return Ok(bucket);
    }
    let bucket = core.directory.current_bucket(&core.cluster, op, name).await?;
    let bucket = bucket.ok_or_else(|| S3Error::new(ErrorCode::NoSuchBucket).field("BucketName", name.as_str()))?;
    if allows(&bucket, id, access, Freshness::Current) {
        return Ok(bucket);
    }
    // A key that has just been deleted lost its grants with it: what is wrong with it is that it is none.
    current(core, op, principal).await?;
    Err(ErrorCode::AccessDenied.into())
}

/// The principal's key as it is now: the one that verified may have come from the cache.
async fn current(core: &Core, op: &Op, principal: &Principal) -> Result<Arc<Key>, Failure> {
    let id = &principal.0.id;
    let key = core.directory.current_key(&core.cluster, &core.secret, op, id).await?;
    Ok(key.ok_or_else(|| no_such_key(id))?)
}

/// Where a bucket's row came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Cached,
    Current,
}

fn allows(bucket: &Bucket, access_key: &str, access: &Access<'_>, row: Freshness) -> bool {
    let Some(grant) = bucket.grant(access_key) else { return false };
    let rights = match access.keys {
        Keys::All => grant.whole,
        Keys::One(key) => grant.on(key.as_bytes()),
        Keys::Prefixed(prefix) => grant.on(prefix.as_bytes()),
        Keys::None => grant.anywhere(),
        // The handler refuses keys by this row: only a current one may do that (U3).
        Keys::InBody if row == Freshness::Cached => grant.whole,
        Keys::InBody => grant.anywhere(),
    };
    has(rights, access.action)
}

const fn has(rights: Rights, action: Action) -> bool {
    match action {
        Action::List | Action::Read => rights.read,
        Action::Write => rights.write,
        Action::Owner => rights.owner,
        Action::Public | Action::Authenticated | Action::CreateBucket => false,
    }
}
