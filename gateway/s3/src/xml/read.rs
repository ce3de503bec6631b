//! Reads the XML bodies of requests, strictly: a known root, known elements, bounded in every direction.

mod cors;
mod lifecycle;
mod website;

use super::tree::Element;
use crate::checksum::{Algorithm, Checksum};
use crate::conditions::ETagMatch;
use crate::error::{ErrorCode, S3Error};
use crate::etag::unquote;
use crate::key::{ObjectKey, VersionId};

pub use cors::cors;
pub use lifecycle::{MAX_LIFECYCLE_BYTES, lifecycle};
pub use website::{MAX_WEBSITE_BYTES, website};

/// The most bytes of a `CreateBucketConfiguration`, and of a bucket's setting.
pub const MAX_CONFIGURATION_BYTES: usize = 64 << 10;
/// The most bytes of a `Delete`: 1,000 keys of 1,024 bytes, each byte as a reference, with their frames.
pub const MAX_DELETE_BYTES: usize = 8 << 20;
/// The most bytes of a `CompleteMultipartUpload`: 10,000 parts with tags and checksums.
pub const MAX_COMPLETE_BYTES: usize = 8 << 20;

/// The most keys of one `DeleteObjects`.
const MAX_DELETE_KEYS: usize = 1000;
/// The most parts of an object, and the highest part number.
const MAX_PARTS: usize = 10_000;
/// The most elements inside one key or part, with itself.
const ELEMENTS_EACH: usize = 10;

/// The body of `DeleteObjects`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delete {
    /// 1 to 1,000.
    pub entries: Vec<DeleteEntry>,
    /// Answer errors only.
    pub quiet: bool,
}

/// One key of a [`Delete`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeleteEntry {
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    /// Delete only while the object has this tag.
    pub if_match: Option<ETagMatch>,
}

/// One part the client lists to complete an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompletedPart {
    /// 1 to 10,000, rising through the list.
    pub number: u16,
    /// Bare; it may be no tag of ours (`InvalidPart` then).
    pub etag: String,
    pub checksum: Option<Checksum>,
}

/// The location constraint of a `CreateBucketConfiguration`; an empty body has none.
pub fn create_bucket(body: &[u8]) -> Result<Option<String>, S3Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let root = Element::parse(body, MAX_CONFIGURATION_BYTES, 100)?.expect_root("CreateBucketConfiguration")?;
    let mut region = None;
    for child in root.children {
        match child.name.as_str() {
            "LocationConstraint" => put(&mut region, child.into_text()?)?,
            "Location" | "Bucket" | "Tags" => {
                return Err(S3Error::not_implemented(&format!("CreateBucketConfiguration.{}", child.name)));
            }
            _ => return Err(malformed()),
        }
    }
    Ok(region.filter(|region| !region.is_empty()))
}

/// The body of `DeleteObjects`. More than 1,000 keys are `MalformedXML`.
pub fn delete(body: &[u8]) -> Result<Delete, S3Error> {
    let max_elements = (MAX_DELETE_KEYS + 1) * ELEMENTS_EACH;
    let root = Element::parse(body, MAX_DELETE_BYTES, max_elements)?.expect_root("Delete")?;
    let (mut entries, mut quiet) = (Vec::new(), None);
    for child in root.children {
        match child.name.as_str() {
            "Quiet" => put(&mut quiet, boolean(&child.into_text()?)?)?,
            "Object" => entries.push(delete_entry(child)?),
            _ => return Err(malformed()),
        }
    }
    if entries.is_empty() || entries.len() > MAX_DELETE_KEYS {
        return Err(malformed());
    }
    Ok(Delete { entries, quiet: quiet.unwrap_or(false) })
}

fn delete_entry(object: Element) -> Result<DeleteEntry, S3Error> {
    object.expect_no_text()?;
    let (mut key, mut version, mut if_match) = (None, None, None);
    for child in object.children {
        match child.name.as_str() {
            "Key" => put(&mut key, ObjectKey::new(child.into_text()?.into_bytes())?)?,
            "VersionId" => put(&mut version, child.into_text()?)?,
            "ETag" => put(&mut if_match, child.into_text()?)?,
            "LastModifiedTime" | "Size" => {
                return Err(S3Error::not_implemented(&format!("Delete.Object.{}", child.name)));
            }
            _ => return Err(malformed()),
        }
    }
    Ok(DeleteEntry {
        key: key.ok_or_else(malformed)?,
        version: version.filter(|text| !text.is_empty()).map(|text| VersionId::new(&text)).transpose()?,
        if_match: if_match.filter(|text| !text.is_empty()).map(|text| ETagMatch::parse(&text)),
    })
}

/// The parts of a `CompleteMultipartUpload`: 1 to 10,000, in rising order, else `InvalidPartOrder`.
pub fn complete_multipart_upload(body: &[u8]) -> Result<Vec<CompletedPart>, S3Error> {
    let max_elements = (MAX_PARTS + 1) * ELEMENTS_EACH;
    let root = Element::parse(body, MAX_COMPLETE_BYTES, max_elements)?.expect_root("CompleteMultipartUpload")?;
    let mut parts: Vec<CompletedPart> = Vec::new();
    for child in root.children {
        if child.name != "Part" || parts.len() == MAX_PARTS {
            return Err(malformed());
        }
        let part = completed_part(child)?;
        if parts.last().is_some_and(|last| last.number >= part.number) {
            return Err(ErrorCode::InvalidPartOrder.into());
        }
        parts.push(part);
    }
    if parts.is_empty() { Err(malformed()) } else { Ok(parts) }
}

fn completed_part(part: Element) -> Result<CompletedPart, S3Error> {
    part.expect_no_text()?;
    let (mut number, mut etag, mut checksum) = (None, None, None);
    for child in part.children {
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.element() == child.name);
        match (child.name.as_str(), algorithm) {
            ("PartNumber", _) => put(&mut number, part_number(&child.into_text()?)?)?,
            ("ETag", _) => put(&mut etag, unquote(child.into_text()?.trim()).to_owned())?,
            (_, Some(algorithm)) => {
                let text = child.into_text()?;
                let value = Checksum::from_base64(algorithm, &text).ok_or_else(|| {
                    S3Error::with_message(
                        ErrorCode::InvalidRequest,
                        format!("Value for {} in a part is invalid.", algorithm.element()),
                    )
                })?;
                put(&mut checksum, value)?;
            }
            (name, None) if name.strip_prefix("Checksum").is_some_and(Algorithm::is_not_built) => {
                return Err(S3Error::not_implemented(&format!("CompleteMultipartUpload.Part.{name}")));
            }
            (_, None) => return Err(malformed()),
        }
    }
    Ok(CompletedPart { number: number.ok_or_else(malformed)?, etag: etag.ok_or_else(malformed)?, checksum })
}

/// A part number, wherever it stands: 1 to 10,000.
pub(crate) fn part_number(text: &str) -> Result<u16, S3Error> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=MAX_PARTS).contains(&usize::from(*number)));
    number.ok_or_else(|| {
        S3Error::invalid_argument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive")
    })
}

fn boolean(text: &str) -> Result<bool, S3Error> {
    match text.trim() {
        "true" | "True" | "TRUE" | "1" => Ok(true),
        "false" | "False" | "FALSE" | "0" | "" => Ok(false),
        _ => Err(malformed()),
    }
}

/// Keeps what may stand there once: of two, one would be dropped.
fn put<T>(place: &mut Option<T>, value: T) -> Result<(), S3Error> {
    if place.replace(value).is_some() { Err(malformed()) } else { Ok(()) }
}

fn malformed() -> S3Error {
    ErrorCode::MalformedXML.into()
}

#[cfg(test)]
mod tests;
