//! The headers of a form's parts, and the one of the form itself.

use crate::error::{ErrorCode, S3Error};

/// The longest boundary RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

/// What a part is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PartHead {
    pub(super) name: String,
    /// As the client wrote it: a path, perhaps.
    pub(super) filename: Option<String>,
}

/// The boundary of a `Content-Type`; `None` where it is not `multipart/form-data`.
///
/// # Errors
/// `MalformedPOSTRequest` where there is no boundary, or none that is allowed.
pub fn boundary(content_type: &str) -> Result<Option<String>, S3Error> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let boundary = parameter(parameters, "boundary").ok_or_else(malformed)?;
    let allowed = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || !boundary.bytes().all(allowed) {
        return Err(malformed());
    }
    Ok(Some(boundary))
}

impl PartHead {
    /// Reads the lines between a boundary and the empty line.
    pub(super) fn parse(lines: &[u8]) -> Result<Self, S3Error> {
        let text = std::str::from_utf8(lines).map_err(|_| malformed())?;
        let mut disposition = None;
        for line in text.split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value.trim()).is_some() {
                return Err(malformed());
            }
            // Content-Type and the like describe the part; the object's are fields of the form.
        }
        let (kind, parameters) = disposition.and_then(|value| value.split_once(';')).ok_or_else(malformed)?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return Err(malformed());
        }
        let name = parameter(parameters, "name").ok_or_else(malformed)?;
        Ok(Self { name, filename: parameter(parameters, "filename") })
    }
}

/// The value of a parameter, quoted or not. In quotes only `\"` is an escape: a file's name may hold backslashes.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches([';', ' ', '\t']);
        let (value, left) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (value, left) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), left)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('"')?;
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        match before.strip_suffix('\\') {
            Some(before) => {
                value.push_str(before);
                value.push('"');
                rest = after;
            }
            None => {
                value.push_str(before);
                return Some((value, after));
            }
        }
    }
}

pub(super) fn malformed() -> S3Error {
    ErrorCode::MalformedPOSTRequest.into()
}
