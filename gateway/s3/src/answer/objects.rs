//! Answers about single objects, and of `DeleteObjects`.

use super::{PartEntry, STORAGE_CLASS};
use crate::checksum::ObjectChecksum;
use crate::date::iso_8601;
use crate::error::S3Error;
use crate::etag::ETag;
use crate::operation::ObjectAttributes;
use crate::xml::Writer;

/// The answer to `CopyObject` and `UploadPartCopy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyResult {
    pub etag: ETag,
    pub modified_unix_ms: u64,
    pub checksum: Option<ObjectChecksum>,
}

impl CopyResult {
    /// The body of `CopyObject`.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.write("CopyObjectResult")
    }

    /// The body of `UploadPartCopy`.
    #[must_use]
    pub fn to_part_xml(&self) -> String {
        self.write("CopyPartResult")
    }

    fn write(&self, root: &str) -> String {
        Writer::answer(root, |xml| {
            xml.text("LastModified", &iso_8601(self.modified_unix_ms));
            xml.text("ETag", &self.etag.quoted());
            if let Some(checksum) = &self.checksum {
                xml.value(checksum.value.algorithm().element(), checksum);
                xml.text("ChecksumType", checksum.kind.name());
            }
        })
    }
}

/// What became of one key of `DeleteObjects`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deleted {
    pub key: String,
    /// As the request named it.
    pub version: Option<String>,
    pub result: Result<(), S3Error>,
}

/// The answer to `DeleteObjects`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeletedObjects {
    pub entries: Vec<Deleted>,
    /// Only errors are wanted.
    pub quiet: bool,
}

impl DeletedObjects {
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("DeleteResult", |xml| {
            for entry in &self.entries {
                match &entry.result {
                    Ok(()) if self.quiet => {}
                    Ok(()) => xml.element("Deleted", |xml| entry.write_name(xml)),
                    Err(error) => xml.element("Error", |xml| {
                        entry.write_name(xml);
                        xml.text("Code", error.code().as_str());
                        xml.text("Message", error.message());
                    }),
                }
            }
        })
    }
}

impl Deleted {
    fn write_name(&self, xml: &mut Writer) {
        xml.text("Key", &self.key);
        xml.optional("VersionId", self.version.as_deref());
    }
}

/// The answer to `GetObjectAttributes`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attributes {
    pub wanted: ObjectAttributes,
    pub etag: ETag,
    pub size_bytes: u64,
    pub checksum: Option<ObjectChecksum>,
    /// Only of an object that was uploaded in parts.
    pub parts: Option<AttributeParts>,
}

/// One page of an object's parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttributeParts {
    pub total: u32,
    pub part_number_marker: u32,
    pub max_parts: u16,
    pub is_truncated: bool,
    /// AWS shows them only where they have checksums.
    pub parts: Vec<PartEntry>,
}

impl Attributes {
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("GetObjectAttributesResponse", |xml| {
            if self.wanted.etag {
                xml.value("ETag", self.etag);
            }
            if let (true, Some(checksum)) = (self.wanted.checksum, &self.checksum) {
                xml.element("Checksum", |xml| {
                    // Here AWS writes composite values without their part count.
                    xml.value(checksum.value.algorithm().element(), checksum.value);
                    xml.text("ChecksumType", checksum.kind.name());
                });
            }
            if let (true, Some(parts)) = (self.wanted.object_parts, &self.parts) {
                xml.element("ObjectParts", |xml| parts.write(xml));
            }
            if self.wanted.storage_class {
                xml.text("StorageClass", STORAGE_CLASS);
            }
            if self.wanted.object_size {
                xml.value("ObjectSize", self.size_bytes);
            }
        })
    }
}

impl AttributeParts {
    fn write(&self, xml: &mut Writer) {
        let next = self.parts.last().map_or(self.part_number_marker, |part| part.number.into());
        xml.value("PartsCount", self.total);
        xml.value("PartNumberMarker", self.part_number_marker);
        xml.value("NextPartNumberMarker", next);
        xml.value("MaxParts", self.max_parts);
        xml.value("IsTruncated", self.is_truncated);
        for part in self.parts.iter().filter(|part| part.checksum.is_some()) {
            xml.element("Part", |xml| {
                xml.value("PartNumber", part.number);
                xml.value("Size", part.size_bytes);
                if let Some(checksum) = &part.checksum {
                    xml.value(checksum.algorithm().element(), checksum);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Checksum, Kind};
    use crate::error::ErrorCode;

    #[test]
    fn copies() {
        let copy = CopyResult { etag: ETag::Md5([0; 16]), modified_unix_ms: 0, checksum: None };
        let facts = "<LastModified>1970-01-01T00:00:00.000Z</LastModified>\
                     <ETag>&quot;00000000000000000000000000000000&quot;</ETag>";
        assert!(copy.to_xml().ends_with(&format!("{facts}</CopyObjectResult>")));
        assert!(copy.to_part_xml().ends_with(&format!("{facts}</CopyPartResult>")));
    }

    #[test]
    fn quiet_deletes_show_only_errors() {
        let deleted = |key: &str, result| Deleted { key: key.into(), version: None, result };
        let entries =
            vec![deleted("a", Ok(())), deleted("b", Err(S3Error::with_message(ErrorCode::AccessDenied, "no")))];
        let error = "<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
        let loud = DeletedObjects { entries: entries.clone(), quiet: false }.to_xml();
        assert!(loud.ends_with(&format!("<Deleted><Key>a</Key></Deleted>{error}")));
        let quiet = DeletedObjects { entries, quiet: true }.to_xml();
        assert!(quiet.ends_with(error) && !quiet.contains("Deleted>"));
    }

    #[test]
    fn attributes_show_what_was_asked_for() {
        let part = PartEntry {
            number: 1,
            modified_unix_ms: 0,
            etag: ETag::Md5([0; 16]),
            size_bytes: 5,
            checksum: Some(Checksum::Crc32([0; 4])),
        };
        let mut attributes = Attributes {
            wanted: ObjectAttributes { etag: true, ..Default::default() },
            etag: ETag::Multipart { md5: [0; 16], parts: 1 },
            size_bytes: 5,
            checksum: Some(ObjectChecksum { value: Checksum::Crc32([0; 4]), kind: Kind::Composite, parts: Some(1) }),
            parts: Some(AttributeParts {
                total: 1,
                part_number_marker: 0,
                max_parts: 1000,
                is_truncated: false,
                parts: vec![part],
            }),
        };
        assert!(
            attributes
                .to_xml()
                .ends_with("<ETag>00000000000000000000000000000000-1</ETag></GetObjectAttributesResponse>")
        );
        attributes.wanted = ObjectAttributes {
            etag: false,
            checksum: true,
            object_parts: true,
            storage_class: true,
            object_size: true,
        };
        assert!(attributes.to_xml().ends_with(
            "<Checksum><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumType>COMPOSITE</ChecksumType></Checksum>\
             <ObjectParts><PartsCount>1</PartsCount><PartNumberMarker>0</PartNumberMarker>\
             <NextPartNumberMarker>1</NextPartNumberMarker><MaxParts>1000</MaxParts><IsTruncated>false</IsTruncated>\
             <Part><PartNumber>1</PartNumber><Size>5</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></ObjectParts>\
             <StorageClass>STANDARD</StorageClass><ObjectSize>5</ObjectSize></GetObjectAttributesResponse>"
        ));
    }
}
