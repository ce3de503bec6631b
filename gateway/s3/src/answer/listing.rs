//! Listings of objects, versions and uploads. What the client asked is echoed from its own request (S3.md §8.7).

use super::{Owner, STORAGE_CLASS, common_prefixes, encoded, encoding_type};
use crate::checksum::{Algorithm, Kind};
use crate::date::iso_8601;
use crate::etag::ETag;
use crate::operation::{Encoding, ListMultipartUploads, ListObjectVersions, ListObjects, ListObjectsV2};
use crate::xml::Writer;

/// One object of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectEntry {
    pub key: String,
    pub modified_unix_ms: u64,
    pub etag: ETag,
    pub size_bytes: u64,
    pub checksum: Option<(Algorithm, Kind)>,
    /// V2 shows it only where `fetch-owner` asked.
    pub owner: Option<Owner>,
}

impl ObjectEntry {
    fn write(&self, xml: &mut Writer, encoding: Option<Encoding>) {
        xml.element("Contents", |xml| {
            xml.text("Key", &encoded(&self.key, encoding));
            self.write_facts(xml);
        });
    }

    fn write_facts(&self, xml: &mut Writer) {
        xml.text("LastModified", &iso_8601(self.modified_unix_ms));
        xml.text("ETag", &self.etag.quoted());
        if let Some((algorithm, kind)) = self.checksum {
            xml.text("ChecksumAlgorithm", algorithm.name());
            xml.text("ChecksumType", kind.name());
        }
        xml.value("Size", self.size_bytes);
        if let Some(owner) = &self.owner {
            xml.element("Owner", |xml| owner.write(xml));
        }
        xml.text("StorageClass", STORAGE_CLASS);
    }
}

/// The answer to `ListObjects`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListingV1<'a> {
    pub request: &'a ListObjects,
    pub objects: Vec<ObjectEntry>,
    pub common_prefixes: Vec<String>,
    pub is_truncated: bool,
    /// The last key or prefix shown; written only where the listing is truncated and has a delimiter, as AWS does.
    pub next_marker: Option<String>,
}

impl ListingV1<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        let request = self.request;
        let encoding = request.encoding;
        Writer::answer("ListBucketResult", |xml| {
            xml.text("Name", request.bucket.as_str());
            xml.text("Prefix", &encoded(&request.prefix, encoding));
            xml.text("Marker", &encoded(&request.marker, encoding));
            if let (true, Some(_), Some(next)) = (self.is_truncated, &request.delimiter, &self.next_marker) {
                xml.text("NextMarker", &encoded(next, encoding));
            }
            xml.value("MaxKeys", request.max_keys);
            write_delimiter(xml, request.delimiter.as_deref(), encoding);
            xml.value("IsTruncated", self.is_truncated);
            for object in &self.objects {
                object.write(xml, encoding);
            }
            common_prefixes(xml, &self.common_prefixes, encoding);
        })
    }
}

/// The answer to `ListObjectsV2`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListingV2<'a> {
    pub request: &'a ListObjectsV2,
    pub objects: Vec<ObjectEntry>,
    pub common_prefixes: Vec<String>,
    /// Where to go on; `None`: the listing is complete.
    pub next_token: Option<String>,
}

impl ListingV2<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        let request = self.request;
        let encoding = request.encoding;
        Writer::answer("ListBucketResult", |xml| {
            xml.text("Name", request.bucket.as_str());
            xml.text("Prefix", &encoded(&request.prefix, encoding));
            xml.optional("ContinuationToken", request.continuation_token.as_deref());
            xml.optional("NextContinuationToken", self.next_token.as_deref());
            if let Some(start_after) = &request.start_after {
                xml.text("StartAfter", &encoded(start_after, encoding));
            }
            xml.value("KeyCount", self.objects.len() + self.common_prefixes.len());
            xml.value("MaxKeys", request.max_keys);
            write_delimiter(xml, request.delimiter.as_deref(), encoding);
            xml.value("IsTruncated", self.next_token.is_some());
            for object in &self.objects {
                object.write(xml, encoding);
            }
            common_prefixes(xml, &self.common_prefixes, encoding);
        })
    }
}

/// The answer to `ListObjectVersions` of a bucket without versioning: each object as its version `null`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionListing<'a> {
    pub request: &'a ListObjectVersions,
    pub objects: Vec<ObjectEntry>,
    pub common_prefixes: Vec<String>,
    /// The last key or prefix shown, where there is more.
    pub next_key_marker: Option<String>,
}

impl VersionListing<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        let request = self.request;
        let encoding = request.encoding;
        Writer::answer("ListVersionsResult", |xml| {
            xml.text("Name", request.bucket.as_str());
            xml.text("Prefix", &encoded(&request.prefix, encoding));
            xml.text("KeyMarker", &encoded(&request.key_marker, encoding));
            xml.text("VersionIdMarker", request.version_id_marker.as_deref().unwrap_or_default());
            if let Some(next) = &self.next_key_marker {
                xml.text("NextKeyMarker", &encoded(next, encoding));
                xml.text("NextVersionIdMarker", "null");
            }
            xml.value("MaxKeys", request.max_keys);
            write_delimiter(xml, request.delimiter.as_deref(), encoding);
            xml.value("IsTruncated", self.next_key_marker.is_some());
            for object in &self.objects {
                xml.element("Version", |xml| {
                    xml.text("Key", &encoded(&object.key, encoding));
                    xml.text("VersionId", "null");
                    xml.text("IsLatest", "true");
                    object.write_facts(xml);
                });
            }
            common_prefixes(xml, &self.common_prefixes, encoding);
        })
    }
}

/// One open upload of an [`UploadListing`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadEntry {
    pub key: String,
    pub upload_id: String,
    pub initiator: Owner,
    pub owner: Owner,
    pub initiated_unix_ms: u64,
    pub checksum: Option<(Algorithm, Kind)>,
}

/// The answer to `ListMultipartUploads`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadListing<'a> {
    pub request: &'a ListMultipartUploads,
    pub uploads: Vec<UploadEntry>,
    pub common_prefixes: Vec<String>,
    /// The last key (or prefix) and upload id shown, where there is more.
    pub next: Option<(String, String)>,
}

impl UploadListing<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        let request = self.request;
        let encoding = request.encoding;
        Writer::answer("ListMultipartUploadsResult", |xml| {
            xml.text("Bucket", request.bucket.as_str());
            xml.text("KeyMarker", &encoded(&request.key_marker, encoding));
            xml.text("UploadIdMarker", request.upload_id_marker.as_deref().unwrap_or_default());
            if let Some((key, upload_id)) = &self.next {
                xml.text("NextKeyMarker", &encoded(key, encoding));
                xml.text("NextUploadIdMarker", upload_id);
            }
            xml.text("Prefix", &encoded(&request.prefix, encoding));
            write_delimiter(xml, request.delimiter.as_deref(), encoding);
            xml.value("MaxUploads", request.max_uploads);
            xml.value("IsTruncated", self.next.is_some());
            for upload in &self.uploads {
                upload.write(xml, encoding);
            }
            common_prefixes(xml, &self.common_prefixes, encoding);
        })
    }
}

impl UploadEntry {
    fn write(&self, xml: &mut Writer, encoding: Option<Encoding>) {
        xml.element("Upload", |xml| {
            xml.text("Key", &encoded(&self.key, encoding));
            xml.text("UploadId", &self.upload_id);
            xml.element("Initiator", |xml| self.initiator.write(xml));
            xml.element("Owner", |xml| self.owner.write(xml));
            xml.text("StorageClass", STORAGE_CLASS);
            xml.text("Initiated", &iso_8601(self.initiated_unix_ms));
            if let Some((algorithm, kind)) = self.checksum {
                xml.text("ChecksumAlgorithm", algorithm.name());
                xml.text("ChecksumType", kind.name());
            }
        });
    }
}

fn write_delimiter(xml: &mut Writer, delimiter: Option<&str>, encoding: Option<Encoding>) {
    if let Some(delimiter) = delimiter {
        xml.text("Delimiter", &encoded(delimiter, encoding));
    }
    encoding_type(xml, encoding);
}

#[cfg(test)]
mod tests;
