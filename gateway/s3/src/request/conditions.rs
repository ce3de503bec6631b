//! Preconditions in headers.

use crate::conditions::{ETagMatch, IfRange, ReadConditions, WriteConditions};
use crate::date::parse_http_date;
use crate::error::S3Error;
use crate::fields::Fields;

/// The conditions of a read.
pub(super) fn of_read(fields: &Fields<'_>) -> Result<ReadConditions, S3Error> {
    Ok(ReadConditions {
        if_match: fields.header("if-match")?.map(|text| ETagMatch::parse(&text)),
        if_none_match: fields.header("if-none-match")?.map(|text| ETagMatch::parse(&text)),
        if_modified_since: date(fields.header("if-modified-since")?, "If-Modified-Since")?,
        if_unmodified_since: date(fields.header("if-unmodified-since")?, "If-Unmodified-Since")?,
    })
}

/// `If-Range` of a read.
pub(super) fn if_range(fields: &Fields<'_>) -> Result<Option<IfRange>, S3Error> {
    Ok(fields.header("if-range")?.map(|text| IfRange::parse(&text)))
}

/// The conditions on the source of a copy.
pub(super) fn of_copy_source(fields: &Fields<'_>) -> Result<ReadConditions, S3Error> {
    const MODIFIED: &str = "x-amz-copy-source-if-modified-since";
    const UNMODIFIED: &str = "x-amz-copy-source-if-unmodified-since";
    Ok(ReadConditions {
        if_match: fields.amz("x-amz-copy-source-if-match")?.map(|text| ETagMatch::parse(&text)),
        if_none_match: fields.amz("x-amz-copy-source-if-none-match")?.map(|text| ETagMatch::parse(&text)),
        if_modified_since: date(fields.amz(MODIFIED)?, MODIFIED)?,
        if_unmodified_since: date(fields.amz(UNMODIFIED)?, UNMODIFIED)?,
    })
}

/// The conditions of a write: `If-Match`, and `If-None-Match: *`. AWS has no others, so they are 501.
pub(super) fn of_write(fields: &Fields<'_>) -> Result<WriteConditions, S3Error> {
    refuse(fields, &["if-modified-since", "if-unmodified-since"])?;
    let if_absent = match fields.header("if-none-match")?.as_deref().map(ETagMatch::parse) {
        None => false,
        Some(ETagMatch::Any) => true,
        Some(ETagMatch::OneOf(_)) => return Err(S3Error::not_implemented("If-None-Match with an entity tag")),
    };
    Ok(WriteConditions { if_match: fields.header("if-match")?.map(|text| ETagMatch::parse(&text)), if_absent })
}

/// The condition of a delete: `If-Match`.
pub(super) fn of_delete(fields: &Fields<'_>) -> Result<WriteConditions, S3Error> {
    refuse(fields, &["if-none-match", "if-modified-since", "if-unmodified-since"])?;
    of_write(fields)
}

/// For writes that know no condition: to drop one could overwrite what the client meant to keep.
pub(crate) fn refuse_all(fields: &Fields<'_>) -> Result<(), S3Error> {
    refuse(fields, &["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])
}

fn refuse(fields: &Fields<'_>, names: &[&str]) -> Result<(), S3Error> {
    for name in names {
        if fields.header(name)?.is_some() {
            return Err(S3Error::not_implemented(&format!("{name} in this operation")));
        }
    }
    Ok(())
}

/// A date that cannot be read is an error: as a condition that is not judged it would be dropped in silence.
fn date(text: Option<String>, name: &str) -> Result<Option<u64>, S3Error> {
    let Some(text) = text else { return Ok(None) };
    let seconds = parse_http_date(&text);
    seconds.map(Some).ok_or_else(|| S3Error::invalid_argument(name, &text, "The date is not an HTTP date."))
}
