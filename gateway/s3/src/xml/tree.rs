//! A small tree of a request's XML, built without recursion (S3.md §8.2).
//!
//! - **X1** Depth, bytes and elements are bounded before memory is used for them. Tested by `bombs_are_refused`.
//! - **X2** No document type, no processing instruction, no entity but XML's five and character references.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::error::{ErrorCode, S3Error};

/// The deepest document any operation has, with room for one more level.
const MAX_DEPTH: usize = 6;

/// One element: its local name, its own text, and its children in order.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Parses a whole document. Everything that is not well-formed, or past a bound, is `MalformedXML`.
    pub(super) fn parse(body: &[u8], max_bytes: usize, max_elements: usize) -> Result<Self, S3Error> {
        if body.len() > max_bytes {
            return Err(ErrorCode::MaxMessageLengthExceeded.into());
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut builder = Builder { open: Vec::new(), root: None, elements_left: max_elements };
        loop {
            match reader.read_event().map_err(|_| malformed())? {
                Event::Start(start) => builder.open(&start)?,
                Event::Empty(start) => {
                    builder.open(&start)?;
                    builder.close()?;
                }
                Event::End(_) => builder.close()?,
                Event::Text(text) => builder.text(&text.xml10_content())?,
                Event::CData(text) => builder.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => builder.reference(&reference)?,
                Event::Decl(_) | Event::Comment(_) => {}
                Event::PI(_) | Event::DocType(_) => return Err(malformed()),
                Event::Eof => return builder.finish(),
            }
        }
    }

    /// The root, if it has the name it must have and no text between its children.
    pub(super) fn expect_root(self, name: &str) -> Result<Self, S3Error> {
        if self.name != name {
            return Err(malformed());
        }
        self.expect_no_text()?;
        Ok(self)
    }

    /// White space between children is fine; anything else is not.
    pub(super) fn expect_no_text(&self) -> Result<(), S3Error> {
        if self.text.chars().all(char::is_whitespace) { Ok(()) } else { Err(malformed()) }
    }

    /// The text of an element without children, exactly as it stands.
    pub(super) fn into_text(self) -> Result<String, S3Error> {
        if self.children.is_empty() { Ok(self.text) } else { Err(malformed()) }
    }
}

/// The elements that are open, outermost first.
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    elements_left: usize,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), S3Error> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or_else(malformed)?;
        if self.open.len() == MAX_DEPTH || (self.open.is_empty() && self.root.is_some()) {
            return Err(malformed());
        }
        let name = start.local_name().as_ref().to_owned();
        self.open.push(Element { name, text: String::new(), children: Vec::new() });
        Ok(())
    }

    /// The reader has checked that the end tag is the open element's.
    fn close(&mut self) -> Result<(), S3Error> {
        let element = self.open.pop().ok_or_else(malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), S3Error> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.chars().all(char::is_whitespace) => {}
            None => return Err(malformed()),
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), S3Error> {
        match reference.resolve_char_ref().map_err(|_| malformed())? {
            Some(character) => self.text(character.encode_utf8(&mut [0; 4])),
            None => self.text(resolve_predefined_entity(&reference.xml10_content()).ok_or_else(malformed)?),
        }
    }

    fn finish(self) -> Result<Element, S3Error> {
        if self.open.is_empty() { self.root.ok_or_else(malformed) } else { Err(malformed()) }
    }
}

fn malformed() -> S3Error {
    ErrorCode::MalformedXML.into()
}
