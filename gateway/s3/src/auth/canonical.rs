//! The canonical request and the string to sign, shared by the verifier and the signer.

use http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::{ALGORITHM, Scope};
use crate::error::{ErrorCode, S3Error};
use crate::query::Query;
use crate::uri::{encode_path, percent_decode};

/// Builds the canonical request. Headers that are listed and absent are an error: nothing can have been signed.
pub(super) fn request(
    parts: &Parts,
    query: &Query,
    omitted: Option<&str>,
    signed_headers: &[String],
    payload_text: &str,
) -> Result<Vec<u8>, S3Error> {
    let path = percent_decode(parts.uri.path().as_bytes()).ok_or(ErrorCode::InvalidURI)?;
    let mut out = Vec::with_capacity(512);
    for line in [parts.method.as_str(), &encode_path(&path), &query.canonical(omitted)] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    for name in signed_headers {
        write_header(&mut out, parts, name)?;
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload_text.as_bytes());
    Ok(out)
}

/// The text the signature is of.
pub(super) fn string_to_sign(timestamp: &str, scope: &Scope, canonical_request: &[u8]) -> String {
    format!("{ALGORITHM}\n{timestamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical_request)))
}

/// `name:value\n`, the values of several lines joined by commas.
fn write_header(out: &mut Vec<u8>, parts: &Parts, name: &str) -> Result<(), S3Error> {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut values = parts.headers.get_all(name).iter().map(|value| value.as_bytes());
    match values.next() {
        Some(first) => fold_spaces(out, first),
        // HTTP/2 has no Host header; its authority is the same text.
        None if name == "host" => {
            let authority = parts.uri.authority().ok_or(ErrorCode::BadRequest)?;
            out.extend_from_slice(authority.as_str().as_bytes());
        }
        None => {
            return Err(S3Error::with_message(
                ErrorCode::SignatureDoesNotMatch,
                format!("The signed header {name} is not in the request."),
            ));
        }
    }
    for value in values {
        out.push(b',');
        fold_spaces(out, value);
    }
    out.push(b'\n');
    Ok(())
}

/// Trims, and folds runs of spaces and tabs into one space.
fn fold_spaces(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}
