//! Operations on objects, but multipart ones.

use http::Method;

use super::bucket::{PAGE, not_built, page_size};
use super::{Head, conditions};
use crate::checksum::Algorithm;
use crate::copy_source::CopySource;
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::headers::{Metadata, ObjectHeaders, ResponseOverrides, redirect_location};
use crate::key::VersionId;
use crate::operation::{
    CopyObject, DeleteObject, GetObjectAttributes, ObjectAttributes, ObjectRef, Operation, PutObject, ReadObject,
    ReadUnset, Unset,
};
use crate::range::ByteRange;
use crate::xml::read::part_number;

impl Head<'_> {
    pub(super) fn object(&self, object: ObjectRef) -> Result<Operation, S3Error> {
        match (self.method, self.sub_resource) {
            (&Method::GET, None) => self.read_object(object).map(Operation::GetObject),
            (&Method::HEAD, None) => self.read_object(object).map(Operation::HeadObject),
            (&Method::PUT, None) if self.copies()? => self.copy_object(object).map(Operation::CopyObject),
            (&Method::PUT, None) => self.put_object(object).map(Operation::PutObject),
            (&Method::DELETE, None) => self.delete_object(object).map(Operation::DeleteObject),
            (&Method::POST, Some("uploads")) => self.create_upload(object).map(Operation::CreateMultipartUpload),
            (method, Some("uploadId")) => self.upload(method, object),
            (&Method::GET, Some("attributes")) => self.attributes(object).map(Operation::GetObjectAttributes),
            (&Method::GET, Some(name)) => match unset(name) {
                Some(what) => {
                    let ObjectRef { bucket, key } = object;
                    let version = self.version()?;
                    Ok(Operation::ReadUnset(ReadUnset { bucket, key: Some(key), version, what }))
                }
                None => not_built("GET", name),
            },
            (method @ (&Method::PUT | &Method::DELETE | &Method::POST), Some(name)) => not_built(method.as_str(), name),
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }

    fn read_object(&self, object: ObjectRef) -> Result<ReadObject, S3Error> {
        let query = self.fields.query();
        let range = self.fields.header("range")?;
        let part_number = query.non_empty("partNumber").map(part_number).transpose()?;
        if part_number.is_some() && range.is_some() {
            return Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        let with_checksum = match self.fields.amz("x-amz-checksum-mode")? {
            None => false,
            Some(mode) if mode.eq_ignore_ascii_case("ENABLED") => true,
            Some(mode) => {
                return Err(S3Error::invalid_argument("x-amz-checksum-mode", &mode, "The checksum mode is unknown."));
            }
        };
        Ok(ReadObject {
            object,
            version: self.version()?,
            range: range.and_then(|text| ByteRange::parse(&text)),
            if_range: conditions::if_range(&self.fields)?,
            part_number,
            conditions: conditions::of_read(&self.fields)?,
            with_checksum,
            overrides: ResponseOverrides::read(query)?,
        })
    }

    fn put_object(&self, object: ObjectRef) -> Result<PutObject, S3Error> {
        self.refuse_unused_parameters(&["partNumber", "versionId"])?;
        self.refuse_copy_fields()?;
        self.refuse_content_range()?;
        self.body.require_announced_checksum(&self.fields)?;
        Ok(PutObject {
            object,
            headers: ObjectHeaders::read(&self.fields)?,
            metadata: Metadata::read(&self.fields)?,
            conditions: conditions::of_write(&self.fields)?,
            length: PutObject::checked_length(self.body)?,
            body: self.body.clone(),
        })
    }

    fn delete_object(&self, object: ObjectRef) -> Result<DeleteObject, S3Error> {
        Ok(DeleteObject { object, version: self.version()?, conditions: conditions::of_delete(&self.fields)? })
    }

    fn copy_object(&self, object: ObjectRef) -> Result<CopyObject, S3Error> {
        self.refuse_unused_parameters(&["partNumber", "versionId"])?;
        if self.fields.amz("x-amz-copy-source-range")?.is_some() {
            return Err(S3Error::not_implemented("x-amz-copy-source-range in CopyObject"));
        }
        let copy = CopyObject {
            object,
            source: self.copy_source()?,
            source_conditions: conditions::of_copy_source(&self.fields)?,
            conditions: conditions::of_write(&self.fields)?,
            replace: self.replacement()?,
            website_redirect_location: redirect_location(&self.fields)?,
            checksum_algorithm: checksum_algorithm(&self.fields)?,
        };
        let same = copy.source.bucket == copy.object.bucket && copy.source.key == copy.object.key;
        let changes = copy.replace.is_some()
            || copy.website_redirect_location.is_some()
            || copy.checksum_algorithm.is_some()
            || copy.source.version.is_some()
            || self.fields.amz("x-amz-storage-class")?.is_some()
            || self.fields.amz("x-amz-server-side-encryption-customer-algorithm")?.is_some();
        if same && !changes {
            return Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        Ok(copy)
    }

    fn replacement(&self) -> Result<Option<(ObjectHeaders, Metadata)>, S3Error> {
        match self.fields.amz("x-amz-metadata-directive")?.as_deref() {
            None | Some("COPY") => Ok(None),
            Some("REPLACE") => Ok(Some((ObjectHeaders::read(&self.fields)?, Metadata::read(&self.fields)?))),
            Some(other) => {
                Err(S3Error::invalid_argument("x-amz-metadata-directive", other, "Unknown metadata directive."))
            }
        }
    }

    fn attributes(&self, object: ObjectRef) -> Result<GetObjectAttributes, S3Error> {
        let marker = match self.fields.amz("x-amz-part-number-marker")? {
            None => 0,
            Some(text) => part_number_marker(&text)?,
        };
        let max_parts = self.fields.amz("x-amz-max-parts")?;
        Ok(GetObjectAttributes {
            object,
            version: self.version()?,
            conditions: conditions::of_read(&self.fields)?,
            attributes: wanted_attributes(self.fields.amz("x-amz-object-attributes")?.as_deref())?,
            max_parts: max_parts.map_or(Ok(PAGE), |text| page_size("max-parts", &text))?,
            part_number_marker: marker,
        })
    }

    /// Whether a PUT reads its data from another object.
    pub(super) fn copies(&self) -> Result<bool, S3Error> {
        Ok(self.fields.amz("x-amz-copy-source")?.is_some())
    }

    pub(super) fn copy_source(&self) -> Result<CopySource, S3Error> {
        CopySource::parse(&self.fields.amz("x-amz-copy-source")?.unwrap_or_default())
    }

    /// A write that copies nothing has no use for these; a client that sends them means something else.
    pub(super) fn refuse_copy_fields(&self) -> Result<(), S3Error> {
        match self.fields.amz_names().find(|name| name.starts_with("x-amz-copy-source")) {
            None => Ok(()),
            Some(name) => {
                let message = format!("{name} is there without x-amz-copy-source.");
                Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
            }
        }
    }

    /// `Content-Range`: the body is meant for a part of what is there, and would replace it whole.
    pub(super) fn refuse_content_range(&self) -> Result<(), S3Error> {
        match self.fields.header("content-range")? {
            None => Ok(()),
            Some(_) => Err(S3Error::not_implemented("Content-Range")),
        }
    }

    pub(super) fn refuse_unused_parameters(&self, names: &[&str]) -> Result<(), S3Error> {
        match names.iter().find_map(|name| self.fields.query().get(name).map(|value| (name, value))) {
            None => Ok(()),
            Some((name, value)) => {
                let message = format!("This operation does not accept the query parameter {name}.");
                Err(S3Error::invalid_argument(name, value, message))
            }
        }
    }

    fn version(&self) -> Result<Option<VersionId>, S3Error> {
        self.fields.query().get("versionId").map(VersionId::new).transpose()
    }
}

fn unset(name: &str) -> Option<Unset> {
    match name {
        "acl" => Some(Unset::ObjectAcl),
        "tagging" => Some(Unset::ObjectTagging),
        "retention" => Some(Unset::ObjectRetention),
        "legal-hold" => Some(Unset::ObjectLegalHold),
        _ => None,
    }
}

/// `x-amz-checksum-algorithm`, of copies and new uploads.
pub(super) fn checksum_algorithm(fields: &Fields<'_>) -> Result<Option<Algorithm>, S3Error> {
    let Some(name) = fields.amz("x-amz-checksum-algorithm")? else { return Ok(None) };
    if Algorithm::is_not_built(&name) {
        return Err(S3Error::not_implemented(&format!("x-amz-checksum-algorithm: {name}")));
    }
    Algorithm::from_name(&name).map(Some).ok_or_else(|| {
        S3Error::with_message(
            ErrorCode::InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
             CRC64NVME, SHA1, SHA256]",
        )
    })
}

/// A part number to go on from: any number.
pub(super) fn part_number_marker(text: &str) -> Result<u32, S3Error> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(|| {
        S3Error::invalid_argument("part-number-marker", text, "Argument part-number-marker must be an integer")
    })
}

fn wanted_attributes(text: Option<&str>) -> Result<ObjectAttributes, S3Error> {
    let mut wanted = ObjectAttributes::default();
    let text = text.ok_or_else(|| {
        S3Error::with_message(
            ErrorCode::InvalidRequest,
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        )
    })?;
    for name in text.split(',') {
        match name.trim() {
            "ETag" => wanted.etag = true,
            "Checksum" => wanted.checksum = true,
            "ObjectParts" => wanted.object_parts = true,
            "StorageClass" => wanted.storage_class = true,
            "ObjectSize" => wanted.object_size = true,
            other => {
                return Err(S3Error::invalid_argument(
                    "x-amz-object-attributes",
                    other,
                    "Invalid attribute name specified.",
                ));
            }
        }
    }
    Ok(wanted)
}
