//! `CORSConfiguration`.

use super::{MAX_CONFIGURATION_BYTES, malformed};
use crate::cors::{Cors, RuleText};
use crate::error::S3Error;
use crate::xml::tree::Element;

/// More than a document of 64 KiB with 100 sensible rules has.
const MAX_ELEMENTS: usize = 4096;

/// The body of `PutBucketCors`.
///
/// # Errors
/// `MalformedXML`; what [`Cors::new`] says of the rules.
pub fn cors(body: &[u8]) -> Result<Cors, S3Error> {
    let root = Element::parse(body, MAX_CONFIGURATION_BYTES, MAX_ELEMENTS)?.expect_root("CORSConfiguration")?;
    let mut rules = Vec::new();
    for child in root.children {
        match child.name.as_str() {
            "CORSRule" => rules.push(rule(child)?),
            _ => return Err(malformed()),
        }
    }
    Cors::new(rules)
}

fn rule(element: Element) -> Result<RuleText, S3Error> {
    element.expect_no_text()?;
    let mut rule = RuleText::default();
    for child in element.children {
        let name = child.name.clone();
        let text = child.into_text()?;
        match name.as_str() {
            "ID" if rule.id.is_none() => rule.id = Some(text),
            "AllowedOrigin" => rule.allowed_origins.push(text),
            "AllowedMethod" => rule.allowed_methods.push(text),
            "AllowedHeader" => rule.allowed_headers.push(text),
            "ExposeHeader" => rule.expose_headers.push(text),
            "MaxAgeSeconds" if rule.max_age_s.is_none() => rule.max_age_s = Some(seconds(&text)?),
            _ => return Err(malformed()),
        }
    }
    Ok(rule)
}

/// AWS's integers have 31 bits.
fn seconds(text: &str) -> Result<u32, S3Error> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|seconds| digits && i32::try_from(*seconds).is_ok()).ok_or_else(malformed)
}
