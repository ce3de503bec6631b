//! GetObjectAttributes.

use cairn_model::rows::{ManifestPart, ObjectData};
use cairn_s3::ETag;
use cairn_s3::answer::{AttributeParts, Attributes, PartEntry};
use cairn_s3::date::http_date;
use cairn_s3::operation::GetObjectAttributes;
use http::header::LAST_MODIFIED;

use super::{Object, existing};
use crate::convert;
use crate::encryption::Secrecy;
use crate::encryption::read::part_length;
use crate::exchange::{Answer, Exchange, set, xml};
use crate::failure::Failure;

pub(crate) async fn attributes(x: &Exchange, read: GetObjectAttributes) -> Answer {
    let key = read.object.key.as_bytes();
    let object = existing(&x.core, &x.op(), x.bucket_id()?, key, read.version.as_ref()).await?;
    let secrecy = x.unlock(&object.head)?;
    let etag = convert::etag(&object.head.etag)?;
    read.conditions.check(&etag, object.head.last_modified_ms)?;
    let parts = if read.attributes.object_parts { list_parts(x, &object, &secrecy, &read).await? } else { None };
    let attributes = Attributes {
        wanted: read.attributes,
        etag,
        size_bytes: object.head.size,
        checksum: convert::object_checksum(&object.head, &secrecy)?,
        parts,
    };
    let mut response = xml(attributes.to_xml());
    set(response.headers_mut(), LAST_MODIFIED, &http_date(object.head.last_modified_ms));
    x.echo_key(response.headers_mut(), &secrecy);
    Ok(response)
}

/// One page of the parts above the marker.
async fn list_parts(
    x: &Exchange,
    object: &Object,
    secrecy: &Secrecy,
    read: &GetObjectAttributes,
) -> Result<Option<AttributeParts>, Failure> {
    let ObjectData::Parts(pages) = &object.data else { return Ok(None) };
    let wanted = usize::from(read.max_parts);
    let mut parts = Vec::new();
    let mut is_truncated = false;
    for page in 0..pages.page_bytes.len() {
        for part in x.core.parts_page(x.op(), pages, page).await? {
            if part.number <= read.part_number_marker {
                continue;
            }
            if parts.len() == wanted {
                is_truncated = wanted > 0;
                break;
            }
            parts.push(entry(object, secrecy, &part)?);
        }
        if is_truncated {
            break;
        }
    }
    Ok(Some(AttributeParts {
        total: object.head.parts,
        part_number_marker: read.part_number_marker,
        max_parts: read.max_parts,
        is_truncated,
        parts,
    }))
}

fn entry(object: &Object, secrecy: &Secrecy, part: &ManifestPart) -> Result<PartEntry, Failure> {
    Ok(PartEntry {
        number: u16::try_from(part.number).map_err(|_| Failure::internal("a part number that is too large"))?,
        modified_unix_ms: object.head.last_modified_ms,
        // Not shown in this answer.
        etag: ETag::Md5([0; 16]),
        size_bytes: part_length(part),
        checksum: part.checksum.as_ref().map(|stored| secrecy.open_checksum(stored)).transpose()?,
    })
}
