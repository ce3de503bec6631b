//! Answers of the multipart operations.

use super::{Owner, STORAGE_CLASS, encoded, encoding_type};
use crate::checksum::{Algorithm, Checksum, Kind, ObjectChecksum};
use crate::date::iso_8601;
use crate::etag::ETag;
use crate::operation::{ListParts, ObjectRef};
use crate::xml::Writer;

/// The answer to `CreateMultipartUpload`; the checksum is echoed in headers, not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedUpload<'a> {
    pub object: &'a ObjectRef,
    pub upload_id: &'a str,
}

impl CreatedUpload<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("InitiateMultipartUploadResult", |xml| {
            xml.text("Bucket", self.object.bucket.as_str());
            xml.text("Key", self.object.key.as_str());
            xml.text("UploadId", self.upload_id);
        })
    }
}

/// One part of a [`PartListing`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartEntry {
    pub number: u16,
    pub modified_unix_ms: u64,
    pub etag: ETag,
    pub size_bytes: u64,
    pub checksum: Option<Checksum>,
}

/// The answer to `ListParts`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartListing<'a> {
    pub request: &'a ListParts,
    pub parts: Vec<PartEntry>,
    pub is_truncated: bool,
    pub initiator: Owner,
    pub owner: Owner,
    /// As the upload declared it.
    pub checksum: Option<(Algorithm, Kind)>,
}

impl PartListing<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        let request = self.request;
        // The marker to go on from is the last part shown; where none is, the one given.
        let next = self.parts.last().map_or(request.part_number_marker, |part| part.number.into());
        Writer::answer("ListPartsResult", |xml| {
            xml.text("Bucket", request.object.bucket.as_str());
            xml.text("Key", &encoded(request.object.key.as_str(), request.encoding));
            xml.text("UploadId", &request.upload.to_string());
            xml.value("PartNumberMarker", request.part_number_marker);
            xml.value("NextPartNumberMarker", next);
            xml.value("MaxParts", request.max_parts);
            encoding_type(xml, request.encoding);
            xml.value("IsTruncated", self.is_truncated);
            for part in &self.parts {
                part.write(xml);
            }
            xml.element("Initiator", |xml| self.initiator.write(xml));
            xml.element("Owner", |xml| self.owner.write(xml));
            xml.text("StorageClass", STORAGE_CLASS);
            if let Some((algorithm, kind)) = self.checksum {
                xml.text("ChecksumAlgorithm", algorithm.name());
                xml.text("ChecksumType", kind.name());
            }
        })
    }
}

impl PartEntry {
    fn write(&self, xml: &mut Writer) {
        xml.element("Part", |xml| {
            xml.value("PartNumber", self.number);
            xml.text("LastModified", &iso_8601(self.modified_unix_ms));
            xml.text("ETag", &self.etag.quoted());
            xml.value("Size", self.size_bytes);
            if let Some(checksum) = &self.checksum {
                xml.value(checksum.algorithm().element(), checksum);
            }
        });
    }
}

/// The answer to `CompleteMultipartUpload`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompletedUpload<'a> {
    pub object: &'a ObjectRef,
    /// The object's URL.
    pub location: &'a str,
    pub etag: ETag,
    pub checksum: Option<ObjectChecksum>,
}

impl CompletedUpload<'_> {
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("CompleteMultipartUploadResult", |xml| {
            xml.text("Location", self.location);
            xml.text("Bucket", self.object.bucket.as_str());
            xml.text("Key", self.object.key.as_str());
            xml.text("ETag", &self.etag.quoted());
            if let Some(checksum) = &self.checksum {
                xml.value(checksum.value.algorithm().element(), checksum);
                xml.text("ChecksumType", checksum.kind.name());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ObjectKey;

    fn object() -> ObjectRef {
        ObjectRef { bucket: "photos".parse().unwrap(), key: ObjectKey::new(b"a&b".to_vec()).unwrap() }
    }

    fn me() -> Owner {
        Owner { id: "me".into(), display_name: "me".into() }
    }

    #[test]
    fn created() {
        let xml = CreatedUpload { object: &object(), upload_id: "up" }.to_xml();
        assert!(xml.ends_with(
            "<Bucket>photos</Bucket><Key>a&amp;b</Key><UploadId>up</UploadId></InitiateMultipartUploadResult>"
        ));
    }

    #[test]
    fn completed() {
        let checksum = ObjectChecksum { value: Checksum::Crc32([0; 4]), kind: Kind::Composite, parts: Some(2) };
        let etag = ETag::Multipart { md5: [0; 16], parts: 2 };
        let xml =
            CompletedUpload { object: &object(), location: "http://h/b/k", etag, checksum: Some(checksum) }.to_xml();
        assert!(xml.ends_with(
            "<Location>http://h/b/k</Location><Bucket>photos</Bucket><Key>a&amp;b</Key>\
             <ETag>&quot;00000000000000000000000000000000-2&quot;</ETag>\
             <ChecksumCRC32>AAAAAA==-2</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType>\
             </CompleteMultipartUploadResult>"
        ));
    }

    #[test]
    fn parts() {
        let request = ListParts {
            object: object(),
            upload: cairn_types::UploadId([1; 16]),
            part_number_marker: 3,
            max_parts: 1,
            encoding: None,
        };
        let part = PartEntry {
            number: 5,
            modified_unix_ms: 0,
            etag: ETag::Md5([0; 16]),
            size_bytes: 9,
            checksum: Some(Checksum::Crc32([0; 4])),
        };
        let listing = PartListing {
            request: &request,
            parts: vec![part],
            is_truncated: true,
            initiator: me(),
            owner: me(),
            checksum: Some((Algorithm::Crc32, Kind::Composite)),
        };
        assert!(listing.to_xml().ends_with(
            "<Bucket>photos</Bucket><Key>a&amp;b</Key><UploadId>01010101010101010101010101010101</UploadId>\
             <PartNumberMarker>3</PartNumberMarker><NextPartNumberMarker>5</NextPartNumberMarker>\
             <MaxParts>1</MaxParts><IsTruncated>true</IsTruncated>\
             <Part><PartNumber>5</PartNumber><LastModified>1970-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;00000000000000000000000000000000&quot;</ETag><Size>9</Size>\
             <ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>\
             <Initiator><ID>me</ID><DisplayName>me</DisplayName></Initiator>\
             <Owner><ID>me</ID><DisplayName>me</DisplayName></Owner><StorageClass>STANDARD</StorageClass>\
             <ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType></ListPartsResult>"
        ));
    }
}
