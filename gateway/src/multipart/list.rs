//! ListParts and ListMultipartUploads.

use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{PartRow, TypedRow as _, UploadRow, UploadState};
use cairn_quorum::{ListRequest, Op};
use cairn_s3::answer::{PartEntry, PartListing, UploadEntry, UploadListing};
use cairn_s3::operation::{ListMultipartUploads, ListParts};
use cairn_s3::{ErrorCode, S3Error};
use cairn_types::{Table, UploadId};

use super::Upload;
use super::part::unlock;
use crate::convert;
use crate::core::Core;
use crate::encryption::Secrecy;
use crate::exchange::{Answer, Exchange, owner, xml};
use crate::failure::Failure;
use crate::list::successor;

/// Rows of one call.
const PAGE: usize = 1000;

pub(crate) async fn parts(x: &Exchange, request: ListParts) -> Answer {
    let upload = Upload { bucket: x.bucket_id()?, key: &request.object.key, id: request.upload };
    let row = x.core.open_upload(&x.op(), &upload).await?;
    let max = usize::from(request.max_parts);
    let mut found = if max == 0 {
        Vec::new()
    } else {
        x.core.parts(&x.op(), upload.id, request.part_number_marker, max + 1).await?
    };
    let is_truncated = found.len() > max;
    found.truncate(max);
    // Who only counts parts may do without the key: their checksums are encrypted, and left out.
    let secrecy = x.customer_key.is_some().then(|| unlock(x, &row)).transpose()?;
    let shown = secrecy.as_ref().or(row.encryption.is_none().then_some(&Secrecy::PLAIN));
    // What the upload did not declare was for each part's transfer, and is no property of the upload.
    let shown = shown.filter(|_| row.checksum.is_some());
    let parts = found.iter().map(|(number, part)| entry(*number, part, shown)).collect::<Result<_, _>>()?;
    let listing = PartListing {
        request: &request,
        parts,
        is_truncated,
        initiator: owner(&row.initiator, &row.initiator),
        owner: x.bucket_owner()?,
        checksum: row.checksum.map(|(algorithm, kind)| (convert::algorithm(algorithm), convert::kind(kind))),
    };
    let mut response = xml(listing.to_xml());
    x.set_abort(response.headers_mut(), upload.key.as_bytes(), row.created_at_ms);
    Ok(response)
}

fn entry(number: u16, part: &PartRow, secrecy: Option<&Secrecy>) -> Result<PartEntry, Failure> {
    let checksum = part.checksum.as_ref().zip(secrecy).map(|(stored, secrecy)| secrecy.open_checksum(stored));
    Ok(PartEntry {
        number,
        modified_unix_ms: part.last_modified_ms,
        etag: convert::etag(&part.etag)?,
        size_bytes: part.size,
        checksum: checksum.transpose()?,
    })
}

impl Core {
    /// Up to `max` parts with numbers above `marker`, in order.
    pub(crate) async fn parts(
        &self,
        op: &Op,
        upload: UploadId,
        marker: u32,
        max: usize,
    ) -> Result<Vec<(u16, PartRow)>, Failure> {
        let mut parts = Vec::new();
        let Ok(first) = u16::try_from(marker.saturating_add(1)) else { return Ok(parts) };
        let mut start = keys::part(upload, first).sort_key;
        while parts.len() < max {
            let request = ListRequest {
                table: Table::Part,
                partition_key: upload.to_bytes(),
                prefix: Bytes::new(),
                start,
                limit: (max - parts.len()).min(PAGE),
                delimiter: Bytes::new(),
                with_data: false,
            };
            let listing = self.cluster.list(op, request).await?;
            for entry in listing.entries {
                let number =
                    keys::parse_part(&entry.sort_key).ok_or_else(|| Failure::internal("a damaged part key"))?;
                parts.push((number, PartRow::decode(&entry.settled.envelope.value)?));
            }
            match listing.next {
                Some(next) => start = next,
                None => break,
            }
        }
        Ok(parts)
    }
}

/// Open uploads, folded here: an upload's sort key holds its id, in which no delimiter may be found.
pub(crate) async fn uploads(x: &Exchange, request: ListMultipartUploads) -> Answer {
    let max = usize::from(request.max_uploads);
    let mut page = UploadPage { uploads: Vec::new(), prefixes: Vec::new(), last: None };
    let mut is_truncated = false;
    let mut start = Some(begin(&request)?);
    let prefix = keys::upload_prefix(request.prefix.as_bytes()).freeze();
    let owner = x.bucket_owner()?;
    let op = x.op();
    while let Some(from) = start.take().filter(|_| max > 0) {
        let list = ListRequest {
            table: Table::Upload,
            partition_key: keys::shard(x.bucket_id()?, 0),
            prefix: prefix.clone(),
            start: if from.as_ref() <= prefix.as_ref() { Bytes::new() } else { from },
            limit: PAGE,
            delimiter: Bytes::new(),
            with_data: false,
        };
        let listing = x.core.cluster.list(&op, list).await?;
        for row in &listing.entries {
            let upload = UploadRow::decode(&row.settled.envelope.value)?;
            if !matches!(upload.state, UploadState::Open) {
                continue;
            }
            let (key, id) =
                keys::parse_upload(&row.sort_key).ok_or_else(|| Failure::internal("a damaged upload key"))?;
            let key = String::from_utf8(key).map_err(|_| Failure::internal("a stored key is not UTF-8"))?;
            let folded = fold(&key, &request);
            if folded.is_some() && folded == page.prefixes.last().map(String::as_str) {
                continue;
            }
            if page.len() == max {
                is_truncated = true;
                break;
            }
            match folded {
                Some(prefix) => page.push_prefix(prefix),
                None => page.push_upload(entry_of(key, id, &upload, &owner)),
            }
        }
        start = listing.next.filter(|_| !is_truncated);
    }
    let UploadPage { uploads, prefixes, last } = page;
    let next = last.filter(|_| is_truncated);
    Ok(xml(UploadListing { request: &request, uploads, common_prefixes: prefixes, next }.to_xml()))
}

struct UploadPage {
    uploads: Vec<UploadEntry>,
    prefixes: Vec<String>,
    /// What was shown last: a key and an upload id, or a prefix.
    last: Option<(String, String)>,
}

impl UploadPage {
    fn len(&self) -> usize {
        self.uploads.len() + self.prefixes.len()
    }

    fn push_prefix(&mut self, prefix: &str) {
        self.last = Some((prefix.to_owned(), String::new()));
        self.prefixes.push(prefix.to_owned());
    }

    fn push_upload(&mut self, entry: UploadEntry) {
        self.last = Some((entry.key.clone(), entry.upload_id.clone()));
        self.uploads.push(entry);
    }
}

fn entry_of(key: String, id: UploadId, upload: &UploadRow, bucket_owner: &cairn_s3::answer::Owner) -> UploadEntry {
    UploadEntry {
        key,
        upload_id: id.to_string(),
        initiator: owner(&upload.initiator, &upload.initiator),
        owner: bucket_owner.clone(),
        initiated_unix_ms: upload.created_at_ms,
        checksum: upload.checksum.map(|(algorithm, kind)| (convert::algorithm(algorithm), convert::kind(kind))),
    }
}

/// The common prefix a key is shown as, where it has the delimiter.
fn fold<'a>(key: &'a str, request: &ListMultipartUploads) -> Option<&'a str> {
    let delimiter = request.delimiter.as_deref()?;
    let rest = key.strip_prefix(&request.prefix)?;
    let at = rest.find(delimiter)?;
    key.get(..request.prefix.len() + at + delimiter.len())
}

/// Where the page begins: behind the marker's uploads or, with an upload id, behind that one.
fn begin(request: &ListMultipartUploads) -> Result<Bytes, S3Error> {
    let marker = request.key_marker.as_str();
    if marker.is_empty() {
        return Ok(Bytes::new());
    }
    let mut start = keys::upload_prefix(marker.as_bytes());
    if fold(marker, request) == Some(marker) {
        return Ok(successor(&start));
    }
    match request.upload_id_marker.as_deref().filter(|id| !id.is_empty()) {
        None => start.extend_from_slice(&[0, 1]),
        Some(id) => {
            let parsed: UploadId =
                id.parse().map_err(|_| S3Error::with_message(ErrorCode::InvalidArgument, "Invalid uploadId marker"))?;
            start.extend_from_slice(&[0, 0]);
            start.extend_from_slice(parsed.as_bytes());
            start.extend_from_slice(&[0]);
        }
    }
    Ok(start.freeze())
}

#[cfg(test)]
mod tests {
    use cairn_types::BucketId;

    use super::*;

    fn request(marker: &str, id: Option<&str>, delimiter: Option<&str>) -> ListMultipartUploads {
        ListMultipartUploads {
            bucket: "bucket".parse().unwrap(),
            prefix: String::new(),
            delimiter: delimiter.map(Into::into),
            key_marker: marker.into(),
            upload_id_marker: id.map(Into::into),
            max_uploads: 1000,
            encoding: None,
        }
    }

    #[test]
    fn pages_begin_behind_their_marker() {
        let at = |key: &str, id: u8| keys::upload(BucketId([1; 16]), key.as_bytes(), UploadId([id; 16])).sort_key;
        let from = begin(&request("b", None, None)).unwrap();
        assert!(at("b", 0xff) < from && from < at("b\0", 0) && from < at("ba", 0));
        let id = UploadId([5; 16]).to_string();
        let from = begin(&request("b", Some(&id), None)).unwrap();
        assert!(at("b", 5) < from && from < at("b", 6));
        let from = begin(&request("b/", None, Some("/"))).unwrap();
        assert!(at("b/zzz", 0xff) < from && from < at("b0", 0));
        assert!(begin(&request("b", Some("nonsense"), None)).is_err());
        assert_eq!(begin(&request("", None, None)).unwrap(), "");
    }

    #[test]
    fn keys_fold_at_the_first_delimiter() {
        assert_eq!(fold("a/b/c", &request("", None, Some("/"))), Some("a/"));
        assert_eq!(fold("abc", &request("", None, Some("/"))), None);
        assert_eq!(fold("a/b", &request("", None, None)), None);
    }
}
