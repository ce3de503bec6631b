//! The multipart operations.

use http::Method;

use cairn_types::UploadId;

use super::bucket::{encoding, page};
use super::object::{checksum_algorithm, part_number_marker};
use super::{Head, conditions};
use crate::body::checksum_header;
use crate::checksum::{Algorithm, Kind};
use crate::error::{ErrorCode, S3Error};
use crate::headers::{Metadata, ObjectHeaders};
use crate::operation::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, ListParts, ObjectRef, Operation, PutObject,
    UploadPart, UploadPartCopy,
};
use crate::range::ByteRange;
use crate::xml::read::part_number;

impl Head<'_> {
    pub(super) fn create_upload(&self, object: ObjectRef) -> Result<CreateMultipartUpload, S3Error> {
        conditions::refuse_all(&self.fields)?;
        Ok(CreateMultipartUpload {
            object,
            headers: ObjectHeaders::read(&self.fields)?,
            metadata: Metadata::read(&self.fields)?,
            checksum: self.declared_checksum()?,
        })
    }

    /// The checksum an upload declares: its algorithm, and how the object's value is made of its parts'.
    fn declared_checksum(&self) -> Result<Option<(Algorithm, Kind)>, S3Error> {
        match (checksum_algorithm(&self.fields)?, self.checksum_kind()?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(S3Error::with_message(
                ErrorCode::InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
            (Some(algorithm), kind) => {
                let kind = kind.unwrap_or_else(|| algorithm.default_kind());
                if algorithm.supports(kind) {
                    return Ok(Some((algorithm, kind)));
                }
                let (algorithm, kind) = (algorithm.name(), kind.name());
                Err(S3Error::with_message(
                    ErrorCode::InvalidRequest,
                    format!("The {kind} checksum type cannot be used with the {algorithm} checksum algorithm."),
                ))
            }
        }
    }

    fn checksum_kind(&self) -> Result<Option<Kind>, S3Error> {
        let Some(text) = self.fields.amz("x-amz-checksum-type")? else { return Ok(None) };
        Kind::from_name(&text).map(Some).ok_or_else(|| {
            S3Error::with_message(ErrorCode::InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
        })
    }

    /// The operations on an open upload. An id that is none of ours is `NoSuchUpload`.
    pub(super) fn upload(&self, method: &Method, object: ObjectRef) -> Result<Operation, S3Error> {
        let text = self.fields.query().get("uploadId").unwrap_or_default();
        let upload: UploadId =
            text.parse().map_err(|_| S3Error::new(ErrorCode::NoSuchUpload).field("UploadId", text))?;
        match *method {
            Method::PUT if self.copies()? => self.copy_part(object, upload).map(Operation::UploadPartCopy),
            Method::PUT => self.upload_part(object, upload).map(Operation::UploadPart),
            Method::GET => self.list_parts(object, upload).map(Operation::ListParts),
            Method::POST => self.complete(object, upload).map(Operation::CompleteMultipartUpload),
            Method::DELETE => {
                conditions::refuse_all(&self.fields)?;
                Ok(Operation::AbortMultipartUpload(AbortMultipartUpload { object, upload }))
            }
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }

    fn upload_part(&self, object: ObjectRef, upload: UploadId) -> Result<UploadPart, S3Error> {
        conditions::refuse_all(&self.fields)?;
        self.refuse_copy_fields()?;
        self.refuse_content_range()?;
        self.body.require_announced_checksum(&self.fields)?;
        Ok(UploadPart {
            object,
            upload,
            part_number: self.part_number()?,
            length: PutObject::checked_length(self.body)?,
            body: self.body.clone(),
        })
    }

    fn copy_part(&self, object: ObjectRef, upload: UploadId) -> Result<UploadPartCopy, S3Error> {
        conditions::refuse_all(&self.fields)?;
        let range = self.fields.amz("x-amz-copy-source-range")?;
        Ok(UploadPartCopy {
            object,
            upload,
            part_number: self.part_number()?,
            source: self.copy_source()?,
            source_range: range.map(|text| ByteRange::parse_copy_source(&text)).transpose()?,
            source_conditions: conditions::of_copy_source(&self.fields)?,
        })
    }

    fn list_parts(&self, object: ObjectRef, upload: UploadId) -> Result<ListParts, S3Error> {
        let query = self.fields.query();
        Ok(ListParts {
            object,
            upload,
            part_number_marker: query.non_empty("part-number-marker").map_or(Ok(0), part_number_marker)?,
            max_parts: page(query, "max-parts")?,
            encoding: encoding(query)?,
        })
    }

    fn complete(&self, object: ObjectRef, upload: UploadId) -> Result<CompleteMultipartUpload, S3Error> {
        Ok(CompleteMultipartUpload {
            object,
            upload,
            conditions: conditions::of_write(&self.fields)?,
            checksum: checksum_header(&self.fields, without_part_count)?,
            checksum_kind: self.checksum_kind()?,
            object_size: self.fields.number("x-amz-mp-object-size")?,
        })
    }

    fn part_number(&self) -> Result<u16, S3Error> {
        part_number(self.fields.query().get("partNumber").unwrap_or_default())
    }
}

/// A composite checksum as answers write it, `base64-N`, without its `-N`: base64 has no `-`.
fn without_part_count(text: &str) -> &str {
    text.split_once('-').map_or(text, |(value, _)| value)
}
