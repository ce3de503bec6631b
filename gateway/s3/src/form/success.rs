//! What a form is answered when its file is stored.

use http::{HeaderValue, StatusCode, Uri};

use crate::ETag;
use crate::uri::encode_component;
use crate::xml::Writer;

/// The answer a form asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Success {
    /// 303 to this address, with bucket, key and etag added to its query.
    Redirect(String),
    /// 200 or 204, without a body.
    Empty(StatusCode),
    /// 201 with a `PostResponse`.
    Document,
}

/// A stored object, as a form's answer names it.
#[derive(Clone, Copy, Debug)]
pub struct PostedObject<'a> {
    /// Its URL.
    pub location: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    pub etag: &'a ETag,
}

impl Success {
    /// As AWS does: an address that cannot be followed is as none, a status that is not known is 204.
    pub(super) fn read<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let address = field("success_action_redirect").or_else(|| field("redirect"));
        if let Some(address) = address.filter(|address| is_address(address)) {
            return Self::Redirect(address.to_owned());
        }
        match field("success_action_status") {
            Some("200") => Self::Empty(StatusCode::OK),
            Some("201") => Self::Document,
            _ => Self::Empty(StatusCode::NO_CONTENT),
        }
    }
}

/// An absolute HTTP address that can stand in a header.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let http = uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
    http && uri.authority().is_some() && HeaderValue::from_str(text).is_ok()
}

impl PostedObject<'_> {
    /// Where the browser goes next.
    #[must_use]
    pub fn redirect(&self, address: &str) -> String {
        // A fragment is the browser's and stays at the end.
        let (address, fragment) =
            address.split_once('#').map_or((address, None), |(before, after)| (before, Some(after)));
        let mark = if address.contains('?') { '&' } else { '?' };
        let part = |text: &str| encode_component(text.as_bytes());
        let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        let etag = part(&self.etag.quoted());
        format!("{address}{mark}bucket={}&key={}&etag={etag}{fragment}", part(self.bucket), part(self.key))
    }

    /// The body of a 201.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = Writer::document();
        xml.element("PostResponse", |xml| {
            xml.text("Location", self.location);
            xml.text("Bucket", self.bucket);
            xml.text("Key", self.key);
            xml.text("ETag", &self.etag.quoted());
        });
        xml.finish()
    }
}
