//! What a rule allows, as headers of an answer.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// What of a request an answer under CORS rules depends on.
const VARIES: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method");

/// What an origin may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The request's own, or `*`.
    pub(super) origin: HeaderValue,
    pub(super) methods: Vec<Method>,
    /// Those asked for; none but in a preflight.
    pub(super) headers: Vec<HeaderName>,
    pub(super) expose: Vec<String>,
    pub(super) max_age_s: Option<u32>,
}

/// Says that the answer depends on who asks: on every answer of a bucket that has rules, allowed or not, or a cache
/// would give one origin what another may see.
pub fn vary(headers: &mut HeaderMap) {
    if !headers.get_all(VARY).iter().any(|own| *own == VARIES) {
        headers.append(VARY, VARIES);
    }
}

impl Grant {
    /// Adds the headers of CORS, [`vary`] among them.
    pub fn apply(&self, headers: &mut HeaderMap) {
        vary(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        set_list(headers, ACCESS_CONTROL_ALLOW_METHODS, self.methods.iter().map(Method::as_str));
        set_list(headers, ACCESS_CONTROL_ALLOW_HEADERS, self.headers.iter().map(HeaderName::as_str));
        set_list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.iter().map(String::as_str));
        if let Some(seconds) = self.max_age_s {
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
        if self.origin != "*" && self.origin != "null" {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// Nothing where the list is empty. Names and methods are tokens, so the value is one too.
fn set_list<'a>(headers: &mut HeaderMap, name: HeaderName, items: impl Iterator<Item = &'a str>) {
    let list = items.collect::<Vec<_>>().join(", ");
    if let Some(value) = HeaderValue::from_str(&list).ok().filter(|value| !value.is_empty()) {
        headers.insert(name, value);
    }
}
