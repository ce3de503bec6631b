//! Heads of requests made of words.

use bolero::ValueGenerator;
use cairn_testkit::fuzz::{Raw, bytes, list};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};

/// The head of a request; `None` where HTTP itself does not let it through.
pub(super) fn head(method: &str, uri: &str, headers: &[(&'static str, Raw)]) -> Option<Parts> {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.method = method.parse::<Method>().ok()?;
    parts.uri = uri.parse::<Uri>().ok()?;
    for (name, value) in headers {
        // The server trims values.
        let value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
        parts.headers.append(HeaderName::from_static(name), value);
    }
    Some(parts)
}

/// Headers with these names and values of these words.
pub(super) fn headers(
    names: &'static [&'static str],
    words: &'static [&'static str],
    most: usize,
) -> impl ValueGenerator<Output = Vec<(&'static str, Raw)>> {
    let name = (0..names.len()).map_gen(|at| names[at]);
    list((name, bytes(words, 3)), 0..most + 1)
}
