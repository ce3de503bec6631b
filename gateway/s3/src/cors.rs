//! A bucket's CORS rules: what they may say, which one a request matches, and the headers it is answered with.
//!
//! - **C1** An origin is answered only where a rule of the bucket names it or has a pattern for it; it is echoed from
//!   the request's own typed header, never from a rule. Tested by `the_first_rule_that_matches_everything_counts`.
//! - **C2** Credentials are allowed only to an origin that was named or matched a pattern: never together with `*`,
//!   and never to `null`, which any sandboxed page has (SECURITY V13). Tested by `credentials_go_to_named_origins_only`.
//! - **C3** What stands in a header of an answer is a header name or an HTTP token: there is no way for a CR or LF of
//!   a rule into it. Tested by `rules_cannot_split_headers`.
//!
//! Pure: the gateway and the listener for web sites bring the rules and the request's headers.

mod check;
mod grant;
mod pattern;

pub use grant::{Grant, vary};

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::operation::Preflight;
use pattern::Pattern;

/// The most rules of a bucket.
pub const MAX_RULES: usize = 100;

/// A bucket's rules, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    rules: Vec<Rule>,
}

/// One rule. Checked: at least one origin and one method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    id: Option<String>,
    origins: Vec<Pattern>,
    methods: Vec<Method>,
    headers: Vec<Pattern>,
    /// Names of headers, in the case they were given.
    expose: Vec<String>,
    max_age_s: Option<u32>,
}

/// A rule as text: what stands in a document or a row, not checked yet.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RuleText {
    pub id: Option<String>,
    pub allowed_origins: Vec<String>,
    pub allowed_methods: Vec<String>,
    pub allowed_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age_s: Option<u32>,
}

impl Cors {
    /// The rules' text again, as it was given.
    #[must_use]
    pub fn to_texts(&self) -> Vec<RuleText> {
        self.rules.iter().map(Rule::to_text).collect()
    }

    /// What a preflight is allowed; `None`: nothing.
    ///
    /// The first rule counts that allows the origin, the method and every header asked for.
    #[must_use]
    pub fn preflight(&self, asked: &Preflight) -> Option<Grant> {
        let origin = HeaderValue::from_str(&asked.origin).ok().filter(|origin| origin.to_str().is_ok())?;
        let rule = self.rules.iter().find(|rule| {
            rule.allows(&asked.origin, &asked.method)
                && asked.headers.iter().all(|name| rule.headers.iter().any(|pattern| pattern.matches(name)))
        })?;
        // The names are the client's: they are answered only if they are names.
        let headers = asked.headers.iter().map(|name| name.parse().ok()).collect::<Option<Vec<HeaderName>>>()?;
        Some(rule.grant(origin, headers))
    }

    /// What the answer to a request itself says; `None`: it has no `Origin`, or no rule allows that origin the method.
    #[must_use]
    pub fn actual(&self, method: &Method, headers: &HeaderMap) -> Option<Grant> {
        let origin = headers.get(http::header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        let rule = self.rules.iter().find(|rule| rule.allows(text, method.as_str()))?;
        Some(rule.grant(origin.clone(), Vec::new()))
    }
}

impl Rule {
    fn allows(&self, origin: &str, method: &str) -> bool {
        self.methods.iter().any(|allowed| allowed.as_str() == method)
            && self.origins.iter().any(|pattern| pattern.matches_origin(origin))
    }

    fn grant(&self, origin: HeaderValue, headers: Vec<HeaderName>) -> Grant {
        let any = self.origins.iter().any(Pattern::is_any);
        Grant {
            origin: if any { HeaderValue::from_static("*") } else { origin },
            methods: self.methods.clone(),
            headers,
            expose: self.expose.clone(),
            max_age_s: self.max_age_s,
        }
    }

    fn to_text(&self) -> RuleText {
        let patterns = |patterns: &[Pattern]| patterns.iter().map(ToString::to_string).collect();
        RuleText {
            id: self.id.clone(),
            allowed_origins: patterns(&self.origins),
            allowed_methods: self.methods.iter().map(ToString::to_string).collect(),
            allowed_headers: patterns(&self.headers),
            expose_headers: self.expose.clone(),
            max_age_s: self.max_age_s,
        }
    }
}

#[cfg(test)]
mod tests;
