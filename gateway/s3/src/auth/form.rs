//! The signature of a POST form: of its policy, which stands with it in the form's fields.

use super::scope::{Refused, read_credential};
use super::{ALGORITHM, MAX_EXPIRES_S, MAX_SKEW_MS, Rules, Signature, Signed, unsupported_mechanism};
use crate::date::parse_amz_date;
use crate::error::{ErrorCode, S3Error};

/// Reads the claim of a form; `field` gives a field that is there and not empty, by its lower-case name.
///
/// # Errors
/// `AccessDenied` without a policy, or at another time than its signing key is good for; 400 for SigV2, for session
/// tokens and for fields that are not what they must be.
pub(crate) fn policy_claim<'a>(field: impl Fn(&str) -> Option<&'a str>, rules: &Rules<'_>) -> Result<Signed, S3Error> {
    if field("awsaccesskeyid").is_some() || field("signature").is_some() {
        return Err(unsupported_mechanism());
    }
    if field("x-amz-security-token").is_some() {
        return Err(ErrorCode::InvalidToken.into());
    }
    let policy = field("policy").ok_or(ErrorCode::AccessDenied)?;
    let get = |name: &str| {
        field(name).ok_or_else(|| {
            let why = format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the \
                 fields."
            );
            S3Error::invalid_argument(name, "", why)
        })
    };
    match get("x-amz-algorithm")? {
        ALGORITHM => {}
        "AWS4-ECDSA-P256-SHA256" => return Err(S3Error::not_implemented("Signature Version 4A")),
        other => {
            return Err(refused("X-Amz-Algorithm", other, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
    }
    let timestamp = get("x-amz-date")?;
    check_time(timestamp, rules)?;
    let credential = get("x-amz-credential")?;
    let (access_key_id, scope) = read_credential(credential, timestamp, rules).map_err(|refusal| match refusal {
        Refused::Form(why) => refused("X-Amz-Credential", credential, why),
        Refused::Region(expected) => {
            refused("X-Amz-Credential", credential, &format!("the region is wrong; expecting '{expected}'"))
        }
    })?;
    let signature = Signature::parse(get("x-amz-signature")?)
        .ok_or_else(|| refused("X-Amz-Signature", "", "It must be 64 lower-case hexadecimal digits."))?;
    Ok(Signed::of_policy(access_key_id, scope, timestamp, policy, signature))
}

/// Signed by now, and no longer ago than a presigned request may be: the policy's own end is checked with the policy.
fn check_time(timestamp: &str, rules: &Rules<'_>) -> Result<(), S3Error> {
    let signed_ms = parse_amz_date(timestamp)
        .ok_or_else(|| refused("X-Amz-Date", timestamp, "X-Amz-Date must be formatted as \"yyyyMMdd'T'HHmmss'Z'\""))?
        .saturating_mul(1000);
    let denied = |why: &str| Err(S3Error::with_message(ErrorCode::AccessDenied, why));
    if signed_ms > rules.now_ms.saturating_add(MAX_SKEW_MS) {
        return denied("Request is not valid yet");
    }
    if rules.now_ms > signed_ms.saturating_add(MAX_EXPIRES_S * 1000) {
        return denied("Request has expired");
    }
    Ok(())
}

fn refused(field: &str, value: &str, why: &str) -> S3Error {
    S3Error::invalid_argument(field, value, why)
}
