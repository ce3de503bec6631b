//! The page that is shown where a site has none of its own for an error.

use http::StatusCode;

/// A whole HTML document. Every argument is escaped, though none of them comes from a request.
#[must_use]
pub fn error_page(status: StatusCode, code: &str, message: &str, request_id: &str) -> String {
    let title = escape(&format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()));
    let (code, message, request_id) = (escape(code), escape(message), escape(request_id));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n\
         <h1>{title}</h1>\n<ul>\n<li>Code: {code}</li>\n<li>Message: {message}</li>\n\
         <li>RequestId: {request_id}</li>\n</ul>\n<hr>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
