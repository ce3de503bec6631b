//! Writes the small, regular XML of S3 answers.

use std::fmt::{Display, Write as _};

/// The namespace of every answer that is not an error.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Builds one document in memory. Element names are constants; text is escaped here and nowhere else.
#[derive(Debug)]
pub struct Writer {
    out: String,
}

impl Writer {
    /// Begins with the XML declaration.
    #[must_use]
    pub fn document() -> Self {
        Self { out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") }
    }

    /// A whole document whose root is in S3's namespace.
    #[must_use]
    pub fn answer(root: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut writer = Self::document();
        writer.out.push('<');
        writer.out.push_str(root);
        writer.out.push_str(" xmlns=\"");
        writer.out.push_str(NAMESPACE);
        writer.out.push_str("\">");
        content(&mut writer);
        writer.close(root);
        writer.finish()
    }

    /// An element with children.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.open(name);
        content(self);
        self.close(name);
    }

    /// An element with attributes as they stand (constants of ours) and children.
    pub fn element_with(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Self)) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push(' ');
        self.out.push_str(attributes);
        self.out.push('>');
        content(self);
        self.close(name);
    }

    /// An element holding text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(&mut self.out, text);
        self.close(name);
    }

    /// An element holding a number or a boolean.
    pub fn value(&mut self, name: &str, value: impl Display) {
        self.open(name);
        // Writing to a string cannot fail.
        write!(self.out, "{value}").unwrap_or_default();
        self.close(name);
    }

    /// [`Self::text`], where there is any.
    pub fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Text where an element stands open.
    pub fn characters(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// Control characters become references, as AWS writes them: XML 1.0 readers refuse most of them in any form,
/// which is what `encoding-type=url` is for, but carriage returns and tabs survive only this way.
fn escape(out: &mut String, mut text: &str) {
    // Nearly all text is copied whole.
    while let Some(at) = text.bytes().position(|byte| matches!(byte, ..b' ' | b'&' | b'<' | b'>' | b'"')) {
        let (plain, rest) = text.split_at(at);
        out.push_str(plain);
        let mut rest = rest.chars();
        match rest.next() {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('"') => out.push_str("&quot;"),
            Some(control) => write!(out, "&#x{:X};", u32::from(control)).unwrap_or_default(),
            None => {}
        }
        text = rest.as_str();
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let xml = Writer::answer("R", |xml| {
            xml.text("Key", "a<b>&\"c\"\r\n\u{1}é");
            xml.value("N", 7);
            xml.optional("None", None);
        });
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Key>a&lt;b&gt;&amp;&quot;c&quot;&#xD;&#xA;&#x1;é</Key><N>7</N></R>"
        );
    }
}
