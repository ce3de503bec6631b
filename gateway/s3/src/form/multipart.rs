//! Takes `multipart/form-data` apart as it arrives.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::head::{PartHead, malformed};
use crate::error::S3Error;

/// The most bytes of one part's headers.
const MAX_HEAD: usize = 8 << 10;
/// The most bytes between a boundary and the end of its line: white space some mail software adds.
const MAX_PADDING: usize = 64;

/// A reader of a form's body. It holds what was pushed and not yet given out: push when it asks for more.
#[derive(Debug)]
pub struct Multipart {
    /// `\r\n--` and the boundary.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// In front of the first boundary.
    Preamble,
    /// After a boundary: the end of its line, or of the form.
    Boundary,
    Head,
    Data,
    End,
}

/// What comes next in a form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// More must be pushed; where there is no more, the form was cut.
    NeedMore,
    /// A part begins.
    Part {
        name: String,
        filename: Option<String>,
    },
    /// Bytes of the part, never none.
    Data(Bytes),
    PartEnd,
    /// The form is whole; what follows means nothing.
    End,
}

impl Multipart {
    #[must_use]
    pub fn new(boundary: &str) -> Self {
        // The first boundary may stand at the very beginning: the line break in front of it is ours.
        Self {
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            buffer: BytesMut::from(b"\r\n".as_slice()),
            state: State::Preamble,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::End {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next event of what was pushed.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`.
    pub fn event(&mut self) -> Result<Event, S3Error> {
        loop {
            let event = match self.state {
                State::Preamble => self.preamble()?,
                State::Boundary => self.boundary()?,
                State::Head => self.head()?,
                State::Data => Some(self.data()),
                State::End => Some(Event::End),
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Nothing may stand in front of the first boundary: no client writes anything there.
    fn preamble(&mut self) -> Result<Option<Event>, S3Error> {
        let known = self.buffer.len().min(self.delimiter.len());
        if self.buffer[..known] != self.delimiter[..known] {
            return Err(malformed());
        }
        if known < self.delimiter.len() {
            return Ok(Some(Event::NeedMore));
        }
        self.skip(known);
        self.state = State::Boundary;
        Ok(None)
    }

    fn boundary(&mut self) -> Result<Option<Event>, S3Error> {
        if self.buffer.starts_with(b"--") {
            self.state = State::End;
            self.buffer.clear();
            return Ok(None);
        }
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if padding > MAX_PADDING {
            return Err(malformed());
        }
        match &self.buffer[padding..] {
            [b'\r', b'\n', ..] => {
                // The line break stays: the head may be empty, and ends with an empty line like any other.
                self.skip(padding);
                self.state = State::Head;
                Ok(None)
            }
            [] | [b'\r'] => Ok(Some(Event::NeedMore)),
            [b'-'] if padding == 0 => Ok(Some(Event::NeedMore)),
            _ => Err(malformed()),
        }
    }

    fn head(&mut self) -> Result<Option<Event>, S3Error> {
        const END: &[u8] = b"\r\n\r\n";
        let within = &self.buffer[..self.buffer.len().min(MAX_HEAD)];
        let Some(length) = within.windows(END.len()).position(|window| window == END) else {
            return if self.buffer.len() >= MAX_HEAD { Err(malformed()) } else { Ok(Some(Event::NeedMore)) };
        };
        let PartHead { name, filename } = PartHead::parse(&self.buffer[..length])?;
        self.skip(length + END.len());
        self.state = State::Data;
        Ok(Some(Event::Part { name, filename }))
    }

    fn data(&mut self) -> Event {
        if let Some(at) = memmem::find(&self.buffer, &self.delimiter) {
            if at > 0 {
                return Event::Data(self.buffer.split_to(at).freeze());
            }
            self.skip(self.delimiter.len());
            self.state = State::Boundary;
            return Event::PartEnd;
        }
        // What could be the beginning of a delimiter stays.
        let safe = (self.buffer.len() + 1).saturating_sub(self.delimiter.len());
        if safe == 0 { Event::NeedMore } else { Event::Data(self.buffer.split_to(safe).freeze()) }
    }

    fn skip(&mut self, bytes: usize) {
        drop(self.buffer.split_to(bytes));
    }
}
