//! The signature in the query: presigned requests.

use http::request::Parts;

use super::scope::{Refused, read_credential};
use super::{ALGORITHM, Claim, MAX_EXPIRES_S, MAX_SKEW_MS, Payload, Rules, Signature, read_signed_headers};
use crate::date::{iso_8601, parse_amz_date};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::query::Query;

/// The parameters that make a request presigned; each must be there exactly once, written exactly so.
const REQUIRED: [&str; 6] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", SIGNATURE];
const SIGNATURE: &str = "X-Amz-Signature";

/// Whether a parameter of this name claims credentials, in whatever case it is written.
pub(super) fn is_credential(name: &str) -> bool {
    REQUIRED.iter().any(|required| required.eq_ignore_ascii_case(name))
}

/// Reads the claim of a presigned request.
pub(super) fn read(query: &Query, parts: &Parts, rules: &Rules<'_>) -> Result<Claim, S3Error> {
    refuse_duplicates(query)?;
    let get = |name: &'static str| {
        query.non_empty(name).ok_or_else(|| {
            refused(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        })
    };
    match get("X-Amz-Algorithm")? {
        ALGORITHM => {}
        "AWS4-ECDSA-P256-SHA256" => return Err(S3Error::not_implemented("Signature Version 4A")),
        _ => return Err(refused("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")),
    }
    let timestamp = get("X-Amz-Date")?.to_owned();
    let signed_headers = read_signed_headers(get("X-Amz-SignedHeaders")?, refused)?;
    let signature = Signature::parse(get(SIGNATURE)?)
        .ok_or_else(|| refused("X-Amz-Signature must be 64 lower-case hexadecimal digits"))?;
    let (access_key_id, scope) =
        read_credential(get("X-Amz-Credential")?, &timestamp, rules).map_err(|refusal| match refusal {
            Refused::Form(why) => refused(&format!("Error parsing the X-Amz-Credential parameter; {why}.")),
            Refused::Region(expected) => refused(&format!(
                "Error parsing the X-Amz-Credential parameter; the region is wrong; expecting '{expected}'"
            ))
            .field("Region", expected),
        })?;
    check_life(&timestamp, get("X-Amz-Expires")?, rules)?;
    let payload = Payload::read(&Fields::new(&parts.headers, query))?.unwrap_or(Payload::Unsigned);
    Ok(Claim {
        access_key_id,
        scope,
        signed_headers,
        signature,
        timestamp,
        payload_text: payload.to_string(),
        payload,
        omitted: Some(SIGNATURE),
    })
}

/// Two values of an `X-Amz-*` parameter, in any case, are an attempt to be read in two ways.
fn refuse_duplicates(query: &Query) -> Result<(), S3Error> {
    let mut seen: Vec<String> = Vec::new();
    for (name, _) in query.iter() {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") {
            if seen.contains(&name) {
                return Err(refused(&format!("The parameter {name} is there twice.")));
            }
            seen.push(name);
        }
    }
    Ok(())
}

/// The request must be valid by now and not expired: from its own time on, for at most seven days.
fn check_life(timestamp: &str, expires: &str, rules: &Rules<'_>) -> Result<(), S3Error> {
    let start_ms = parse_amz_date(timestamp)
        .ok_or_else(|| refused("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?
        .saturating_mul(1000);
    let digits = expires.bytes().all(|byte| byte.is_ascii_digit());
    let expires_s =
        expires.parse().ok().filter(|_| digits).ok_or_else(|| refused("X-Amz-Expires should be a number"))?;
    if !(1..=MAX_EXPIRES_S).contains(&expires_s) {
        return Err(refused("X-Amz-Expires must be between 1 and 604800 seconds (a week)"));
    }
    let end_ms = start_ms.saturating_add(expires_s * 1000);
    if start_ms > rules.now_ms.saturating_add(MAX_SKEW_MS) {
        return Err(S3Error::with_message(ErrorCode::AccessDenied, "Request is not valid yet")
            .field("ServerTime", iso_8601(rules.now_ms)));
    }
    if rules.now_ms > end_ms {
        return Err(S3Error::with_message(ErrorCode::AccessDenied, "Request has expired")
            .field("X-Amz-Expires", expires)
            .field("Expires", iso_8601(end_ms))
            .field("ServerTime", iso_8601(rules.now_ms)));
    }
    Ok(())
}

fn refused(why: &str) -> S3Error {
    S3Error::with_message(ErrorCode::AuthorizationQueryParametersError, why)
}
