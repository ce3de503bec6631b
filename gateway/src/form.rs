//! The body of a POST form: its fields first, then its file as a stream whose length nobody knows before its end.
//!
//! - **P1** Fields are bounded as they arrive; of the file no more is held than a connection's read buffer and the
//!   blocks in flight. *Tested by `tests/s3/forms.rs`.*
//! - **P2** The file ends at its boundary or not at all: a body that is cut stores nothing. *Tested by
//!   `tests/s3/forms.rs`.*

use std::ops::RangeInclusive;

use bytes::Bytes;
use cairn_s3::form::{Event, Form, Multipart};
use cairn_s3::{ErrorCode, S3Error};

use crate::body::write::Source;
use crate::failure::Failure;
use crate::http::{Inbound, InboundError};

/// The field that is the upload; what follows it is ignored, as with AWS.
const FILE: &str = "file";

/// A form as it arrives.
pub(crate) struct FormBody<'a> {
    inbound: &'a mut Inbound,
    parts: Multipart,
}

impl<'a> FormBody<'a> {
    pub(crate) fn new(inbound: &'a mut Inbound, boundary: &str) -> Self {
        Self { inbound, parts: Multipart::new(boundary) }
    }

    /// The fields in front of the file; the file's name stands in them already.
    pub(crate) async fn fields(&mut self) -> Result<Form, Failure> {
        let mut form = Form::default();
        loop {
            match self.event().await? {
                Event::Part { name, filename } if name.eq_ignore_ascii_case(FILE) => {
                    form.name_file(filename.as_deref())?;
                    return Ok(form);
                }
                Event::Part { name, .. } => {
                    let value = self.value(form.room(&name)?).await?;
                    form.add(&name, value)?;
                }
                Event::End => return Err(ErrorCode::IncorrectNumberOfFilesInPostRequest.into()),
                Event::Data(_) | Event::PartEnd | Event::NeedMore => return Err(out_of_order()),
            }
        }
    }

    /// The file, after the fields.
    pub(crate) const fn file(self, size: RangeInclusive<u64>) -> File<'a> {
        File { body: self, size, read: 0, ended: false }
    }

    async fn value(&mut self, room: usize) -> Result<Vec<u8>, Failure> {
        let mut value = Vec::new();
        loop {
            match self.event().await? {
                Event::Data(bytes) if value.len() + bytes.len() > room => {
                    return Err(ErrorCode::MaxPostPreDataLengthExceededError.into());
                }
                Event::Data(bytes) => value.extend_from_slice(&bytes),
                Event::PartEnd => return Ok(value),
                Event::Part { .. } | Event::End | Event::NeedMore => return Err(out_of_order()),
            }
        }
    }

    async fn event(&mut self) -> Result<Event, Failure> {
        loop {
            match self.parts.event()? {
                Event::NeedMore => match self.inbound.chunk().await {
                    Ok(Some(bytes)) => self.parts.push(&bytes),
                    Ok(None) => return Err(ErrorCode::MalformedPOSTRequest.into()),
                    Err(InboundError::Stalled) => return Err(ErrorCode::RequestTimeout.into()),
                    Err(InboundError::Cut) => return Err(ErrorCode::IncompleteBody.into()),
                },
                event => return Ok(event),
            }
        }
    }
}

/// The file of a form: exactly as long as the form's policy allows.
pub(crate) struct File<'a> {
    body: FormBody<'a>,
    size: RangeInclusive<u64>,
    read: u64,
    ended: bool,
}

impl Source for File<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.ended {
            return Ok(None);
        }
        match self.body.event().await? {
            Event::Data(bytes) => {
                self.read = self.read.saturating_add(bytes.len() as u64);
                if self.read > *self.size.end() {
                    return Err(out_of_range(ErrorCode::EntityTooLarge, self.read, "MaxSizeAllowed", *self.size.end()));
                }
                Ok(Some(bytes))
            }
            Event::PartEnd if self.read < *self.size.start() => {
                Err(out_of_range(ErrorCode::EntityTooSmall, self.read, "MinSizeAllowed", *self.size.start()))
            }
            Event::PartEnd => {
                self.ended = true;
                Ok(None)
            }
            Event::Part { .. } | Event::End | Event::NeedMore => Err(out_of_order()),
        }
    }
}

fn out_of_range(code: ErrorCode, size: u64, bound: &'static str, limit: u64) -> Failure {
    S3Error::new(code).field("ProposedSize", size.to_string()).field(bound, limit.to_string()).into()
}

fn out_of_order() -> Failure {
    Failure::internal("the parts of a form came out of order")
}
