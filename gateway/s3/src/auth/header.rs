//! The `Authorization` header.

use http::HeaderValue;
use http::request::Parts;

use super::scope::{Refused, read_credential};
use super::{ALGORITHM, Claim, MAX_SKEW_MS, Payload, Rules, Signature, read_signed_headers, unsupported_mechanism};
use crate::date::{amz_date, iso_8601, parse_amz_date, parse_http_date};
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::query::Query;

/// Reads the claim of an `Authorization` header.
pub(super) fn read(value: &HeaderValue, query: &Query, parts: &Parts, rules: &Rules<'_>) -> Result<Claim, S3Error> {
    let text = value.to_str().map_err(|_| malformed("it is not ASCII"))?;
    let components = Components::read(text)?;
    let fields = Fields::new(&parts.headers, query);
    let timestamp = request_time(&fields, rules)?;
    let (access_key_id, scope) =
        read_credential(components.credential, &timestamp, rules).map_err(|refused| match refused {
            Refused::Form(why) => malformed(why),
            Refused::Region(expected) => {
                malformed(&format!("the region in the Credential is wrong; expecting '{expected}'"))
                    .field("Region", expected)
            }
        })?;
    let payload = Payload::read(&fields)?.ok_or_else(|| {
        S3Error::with_message(
            ErrorCode::InvalidRequest,
            "Missing required header for this request: x-amz-content-sha256",
        )
    })?;
    Ok(Claim {
        access_key_id,
        scope,
        signed_headers: read_signed_headers(components.signed_headers, malformed)?,
        signature: Signature::parse(components.signature)
            .ok_or_else(|| malformed("the Signature must be 64 lower-case hexadecimal digits"))?,
        timestamp,
        payload_text: payload.to_string(),
        payload,
        omitted: None,
    })
}

/// The three parts of the header.
struct Components<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Components<'a> {
    fn read(text: &'a str) -> Result<Self, S3Error> {
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        match scheme {
            ALGORITHM => {}
            "AWS" => return Err(unsupported_mechanism()),
            "AWS4-ECDSA-P256-SHA256" => return Err(S3Error::not_implemented("Signature Version 4A")),
            _ => return Err(S3Error::invalid_argument("Authorization", scheme, "Unsupported Authorization Type")),
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for component in rest.split(',') {
            let (name, value) = component.trim().split_once('=').ok_or_else(|| malformed("a component has no '='"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(malformed("it has an unknown component")),
            };
            if slot.replace(value).is_some() {
                return Err(malformed("it has a component twice"));
            }
        }
        match (credential, signed_headers, signature) {
            (Some(credential), Some(signed_headers), Some(signature)) => {
                Ok(Self { credential, signed_headers, signature })
            }
            _ => Err(malformed("it must have Credential, SignedHeaders and Signature")),
        }
    }
}

/// The request's time from `x-amz-date`, or from `Date` where that is absent; no more than 15 minutes from ours.
fn request_time(fields: &Fields<'_>, rules: &Rules<'_>) -> Result<String, S3Error> {
    let missing = || {
        S3Error::with_message(ErrorCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    };
    let seconds = match fields.header("x-amz-date")? {
        Some(text) => parse_amz_date(&text).ok_or_else(missing)?,
        None => {
            let text = fields.header("date")?.ok_or_else(missing)?;
            parse_http_date(&text).or_else(|| parse_amz_date(&text)).ok_or_else(missing)?
        }
    };
    let request_ms = seconds.saturating_mul(1000);
    if request_ms.abs_diff(rules.now_ms) > MAX_SKEW_MS {
        return Err(S3Error::new(ErrorCode::RequestTimeTooSkewed)
            .field("RequestTime", amz_date(request_ms))
            .field("ServerTime", iso_8601(rules.now_ms))
            .field("MaxAllowedSkewMilliseconds", MAX_SKEW_MS.to_string()));
    }
    Ok(amz_date(request_ms))
}

fn malformed(why: &str) -> S3Error {
    S3Error::with_message(
        ErrorCode::AuthorizationHeaderMalformed,
        format!("The authorization header is malformed; {why}."),
    )
}
