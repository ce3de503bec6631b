//! GetObject and HeadObject: the same answer, with and without its bytes.

use std::ops::Range;
use std::sync::Arc;

use cairn_model::rows::{ManifestPage, ManifestPart, ObjectData};
use cairn_quorum::Op;
use cairn_s3::checksum::ObjectChecksum;
use cairn_s3::date::http_date;
use cairn_s3::operation::ReadObject;
use cairn_s3::range::Span;
use cairn_s3::{ErrorCode, S3Error};
use futures_util::StreamExt as _;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::{Object, existing};
use crate::body::read::Purpose;
use crate::convert;
use crate::core::Core;
use crate::encryption::Secrecy;
use crate::encryption::read::part_length;
use crate::exchange::{Answer, Exchange, set, set_checksum};
use crate::failure::Failure;
use crate::http::{Body, BodyError, empty, stream};

const PARTS_COUNT: HeaderName = HeaderName::from_static("x-amz-mp-parts-count");

/// What of an object is sent.
pub(crate) struct Selection {
    bytes: Range<u64>,
    /// Of a 206.
    span: Option<Span>,
    /// The checksum of exactly these bytes, where there is one.
    checksum: Option<ObjectChecksum>,
}

pub(crate) async fn get(x: &Exchange, read: ReadObject) -> Answer {
    let (object, secrecy, selection) = select(x, &read).await?;
    let response = answer(x, &read, &object, &secrecy, &selection)?;
    let body = body(&x.core, x.op, object, &secrecy, selection).await?;
    Ok(response.map(|_| body))
}

pub(crate) async fn head(x: &Exchange, read: ReadObject) -> Answer {
    let (object, secrecy, selection) = select(x, &read).await?;
    answer(x, &read, &object, &secrecy, &selection)
}

/// The bytes selected, read while they are sent.
pub(crate) async fn body(
    core: &Arc<Core>,
    op: Op,
    object: Object,
    secrecy: &Secrecy,
    selection: Selection,
) -> Result<Body, Failure> {
    let bytes = core.open(op, object, secrecy, selection.bytes, Purpose::Answer).await?;
    Ok(stream(
        bytes.map(|piece| {
            piece.map_err(|failure| BodyError(failure.cause.unwrap_or_else(|| failure.error.to_string())))
        }),
    ))
}

async fn select(x: &Exchange, read: &ReadObject) -> Result<(Object, Secrecy, Selection), Failure> {
    let key = read.object.key.as_bytes();
    let object = existing(&x.core, &x.op(), x.bucket_id()?, key, read.version.as_ref()).await?;
    let secrecy = x.unlock(&object.head)?;
    let etag = convert::etag(&object.head.etag)?;
    read.conditions.check(&etag, object.head.last_modified_ms)?;
    let selection = match read.part_number {
        Some(number) => part(x, &object, &secrecy, number).await?,
        None => span(read, &object, &secrecy)?,
    };
    Ok((object, secrecy, selection))
}

/// The range that was asked for, or the whole object.
pub(crate) fn span(read: &ReadObject, object: &Object, secrecy: &Secrecy) -> Result<Selection, Failure> {
    let head = &object.head;
    Ok(match read.span(&convert::etag(&head.etag)?, head.last_modified_ms, head.size)? {
        Some(span) => Selection { bytes: span.offset..span.offset + span.length, span: Some(span), checksum: None },
        None => Selection { bytes: 0..head.size, span: None, checksum: convert::object_checksum(head, secrecy)? },
    })
}

/// One part, as it was uploaded; an object that was not uploaded in parts is its own part 1.
async fn part(x: &Exchange, object: &Object, secrecy: &Secrecy, number: u16) -> Result<Selection, Failure> {
    let size = object.head.size;
    let (bytes, checksum) = match &object.data {
        ObjectData::Parts(pages) => {
            let mut begin = 0;
            let mut found = None;
            // Part n is at the latest the n-th: later pages cannot hold it.
            let last_page = usize::from(number.saturating_sub(1)) / ManifestPage::ENTRIES_MAX;
            for page in 0..pages.page_bytes.len().min(last_page + 1) {
                let parts = x.core.parts_page(x.op(), pages, page).await?;
                found = locate(&parts, number, &mut begin);
                if found.is_some() {
                    break;
                }
            }
            found.ok_or(ErrorCode::InvalidPartNumber)?
        }
        ObjectData::Inline(_) | ObjectData::Blocks(_) | ObjectData::Pages(_) if number == 1 => (0..size, None),
        ObjectData::Inline(_) | ObjectData::Blocks(_) | ObjectData::Pages(_) => {
            return Err(ErrorCode::InvalidPartNumber.into());
        }
    };
    let checksum = match checksum {
        Some(stored) => Some(ObjectChecksum::whole(secrecy.open_checksum(&stored)?)),
        None if bytes == (0..size) => convert::object_checksum(&object.head, secrecy)?,
        None => None,
    };
    let span = (!bytes.is_empty()).then(|| Span { offset: bytes.start, length: bytes.end - bytes.start });
    Ok(Selection { bytes, span, checksum })
}

type Located = (Range<u64>, Option<cairn_model::rows::Checksum>);

/// The bytes of part `number`, where it is on this page; `begin` moves past the parts before it.
fn locate(parts: &[ManifestPart], number: u16, begin: &mut u64) -> Option<Located> {
    for part in parts {
        let end = begin.saturating_add(part_length(part));
        if part.number == u32::from(number) {
            return Some((*begin..end, part.checksum.clone()));
        }
        *begin = end;
    }
    None
}

/// Status and headers, as both GET and HEAD have them.
fn answer(
    x: &Exchange,
    read: &ReadObject,
    object: &Object,
    secrecy: &Secrecy,
    selection: &Selection,
) -> Result<Response<Body>, Failure> {
    let head = &object.head;
    let mut response = describe(read, object, selection)?;
    x.echo_key(response.headers_mut(), secrecy);
    x.set_expiration(response.headers_mut(), read.object.key.as_bytes(), head.size, head.last_modified_ms);
    Ok(response)
}

/// What an answer says of the object alone.
pub(crate) fn describe(read: &ReadObject, object: &Object, selection: &Selection) -> Result<Response<Body>, Failure> {
    let head = &object.head;
    let mut response = Response::new(empty());
    let headers = response.headers_mut();
    let (kept, metadata) = convert::answered_headers(head.headers.clone());
    kept.write(&read.overrides, headers);
    metadata.write(headers);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(selection.bytes.end - selection.bytes.start));
    set(headers, ETAG, &convert::etag(&head.etag)?.quoted());
    set(headers, LAST_MODIFIED, &http_date(head.last_modified_ms));
    if let (true, Some(checksum)) = (read.with_checksum, &selection.checksum) {
        set_checksum(headers, checksum);
    }
    // A copy of such an object is one part, whatever its tag says.
    if read.part_number.is_some() && matches!(object.data, ObjectData::Parts(_)) {
        headers.insert(PARTS_COUNT, HeaderValue::from(head.parts));
    }
    if let Some(span) = selection.span {
        set(headers, CONTENT_RANGE, &span.content_range(head.size));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    if selection.bytes.end > head.size {
        return Err(S3Error::new(ErrorCode::InternalError).into());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use cairn_model::rows::Pages;
    use cairn_types::ManifestId;

    use super::*;

    #[test]
    fn parts_are_found_by_the_number_the_client_gave() {
        let part = |number, size| ManifestPart {
            number,
            pages: Pages { manifest: ManifestId([0; 16]), page_bytes: vec![size] },
            checksum: None,
            salt: None,
        };
        let parts = [part(2, 10), part(5, 20), part(9, 1)];
        let find = |number| {
            let mut begin = 100;
            locate(&parts, number, &mut begin).map(|(bytes, _)| bytes)
        };
        assert_eq!(find(2), Some(100..110));
        assert_eq!(find(5), Some(110..130));
        assert_eq!(find(9), Some(130..131));
        assert_eq!(find(1), None);
    }
}
