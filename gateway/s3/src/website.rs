//! A bucket's website configuration: what it may say, and its XML out. XML in is [`crate::xml::read::website`].
//!
//! - **W1** What is stored passed [`Website::check`]: later code may trust codes, names and numbers of rules.
//!   *Tested by `only_what_aws_takes_is_taken`.*

use http::Uri;
use http::uri::Authority;

use crate::error::{ErrorCode, S3Error};
use crate::xml::Writer;

/// The most routing rules of one site.
pub const MAX_RULES: usize = 50;

/// What a bucket is served as by the web listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Website {
    /// Every request is sent to another host.
    RedirectAll {
        host: String,
        /// None: the request's own.
        protocol: Option<Protocol>,
    },
    Pages(Pages),
}

/// A site of objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pages {
    /// What is appended to a path that ends with a slash: no slash in it, not empty.
    pub index_suffix: String,
    /// The object that is shown with an error of the class 4XX.
    pub error_key: Option<String>,
    /// At most [`MAX_RULES`]; the first that holds is taken.
    pub rules: Vec<Rule>,
}

/// A routing rule.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rule {
    pub condition: Condition,
    pub redirect: Redirect,
}

/// When a rule holds. Neither: always.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Condition {
    pub key_prefix: Option<String>,
    /// 4XX or 5XX. A rule without one is judged before anything is looked up.
    pub error_code: Option<u16>,
}

/// Where a rule leads.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Redirect {
    /// None: the request's own.
    pub host: Option<String>,
    /// None: the request's own.
    pub protocol: Option<Protocol>,
    /// 3XX but 300. None: 301.
    pub code: Option<u16>,
    /// None: the request's own key.
    pub key: Option<KeyChange>,
}

/// What a rule makes of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyChange {
    /// This stands instead of the condition's prefix, or before the key where there is none.
    Prefix(String),
    Whole(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Http,
    Https,
}

impl Protocol {
    /// As URLs and configurations write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, S3Error> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(invalid_request(
                "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected \
                 automatically.",
            )),
        }
    }
}

impl Website {
    /// Refuses what AWS refuses, and hosts that could not stand in a URL.
    pub fn check(&self) -> Result<(), S3Error> {
        match self {
            Self::RedirectAll { host, .. } => check_host(host),
            Self::Pages(pages) => pages.check(),
        }
    }

    /// The answer to `GetBucketWebsite`.
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("WebsiteConfiguration", |xml| match self {
            Self::RedirectAll { host, protocol } => xml.element("RedirectAllRequestsTo", |xml| {
                xml.text("HostName", host);
                xml.optional("Protocol", protocol.map(Protocol::name));
            }),
            Self::Pages(pages) => pages.write(xml),
        })
    }
}

impl Pages {
    fn check(&self) -> Result<(), S3Error> {
        if self.index_suffix.is_empty() || self.index_suffix.contains('/') {
            let message = "The IndexDocument Suffix is not well formed";
            return Err(S3Error::invalid_argument("IndexDocument", &self.index_suffix, message));
        }
        if self.error_key.as_deref().is_some_and(str::is_empty) {
            return Err(ErrorCode::MalformedXML.into());
        }
        if self.rules.len() > MAX_RULES {
            return Err(invalid_request(format!(
                "{} routing rules provided, the number of routing rules in a website configuration is limited to \
                 {MAX_RULES}.",
                self.rules.len()
            )));
        }
        self.rules.iter().try_for_each(Rule::check)
    }

    fn write(&self, xml: &mut Writer) {
        xml.element("IndexDocument", |xml| xml.text("Suffix", &self.index_suffix));
        if let Some(key) = &self.error_key {
            xml.element("ErrorDocument", |xml| xml.text("Key", key));
        }
        if !self.rules.is_empty() {
            xml.element("RoutingRules", |xml| self.rules.iter().for_each(|rule| rule.write(xml)));
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), S3Error> {
        if let Some(code) = self.condition.error_code.filter(|code| !(400..600).contains(code)) {
            return Err(invalid_request(format!(
                "The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX."
            )));
        }
        if let Some(code) = self.redirect.code.filter(|code| !(301..400).contains(code)) {
            return Err(invalid_request(format!(
                "The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300."
            )));
        }
        self.redirect.host.as_deref().map_or(Ok(()), check_host)
    }

    fn write(&self, xml: &mut Writer) {
        xml.element("RoutingRule", |xml| {
            let Condition { key_prefix, error_code } = &self.condition;
            if key_prefix.is_some() || error_code.is_some() {
                xml.element("Condition", |xml| {
                    xml.optional("HttpErrorCodeReturnedEquals", error_code.map(|code| code.to_string()).as_deref());
                    xml.optional("KeyPrefixEquals", key_prefix.as_deref());
                });
            }
            let Redirect { host, protocol, code, key } = &self.redirect;
            xml.element("Redirect", |xml| {
                xml.optional("HostName", host.as_deref());
                xml.optional("HttpRedirectCode", code.map(|code| code.to_string()).as_deref());
                xml.optional("Protocol", protocol.map(Protocol::name));
                match key {
                    Some(KeyChange::Prefix(prefix)) => xml.text("ReplaceKeyPrefixWith", prefix),
                    Some(KeyChange::Whole(key)) => xml.text("ReplaceKeyWith", key),
                    None => {}
                }
            });
        });
    }
}

/// A host may be followed by a port and, as many configurations have it, by a path.
fn check_host(host: &str) -> Result<(), S3Error> {
    if host.is_empty() {
        return Err(invalid_request(
            "The HostName cannot be blank. To redirect within the same domain, the element should not be present.",
        ));
    }
    let authority = host.split('/').next().unwrap_or_default();
    let plain = authority.parse::<Authority>().is_ok() && !authority.contains('@');
    if plain && format!("http://{host}").parse::<Uri>().is_ok() {
        return Ok(());
    }
    Err(S3Error::invalid_argument("HostName", host, "The HostName could not stand in a URL."))
}

/// The most bytes of a redirect location, as AWS has it.
const MAX_LOCATION_BYTES: usize = 2048;

/// Checks an object's `x-amz-website-redirect-location`: a path of its site, or a URL of the web.
pub(crate) fn check_redirect_location(location: &str) -> Result<(), S3Error> {
    let prefixed = ["/", "http://", "https://"].iter().any(|prefix| location.starts_with(prefix));
    if !prefixed {
        return Err(ErrorCode::InvalidRedirectLocation.into());
    }
    if location.len() > MAX_LOCATION_BYTES {
        let message = "The length of website redirect location cannot exceed 2,048 characters.";
        return Err(S3Error::with_message(ErrorCode::InvalidRedirectLocation, message));
    }
    Ok(())
}

pub(crate) fn invalid_request(message: impl Into<String>) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_paths_or_urls() {
        for good in ["/", "/a b", "http://example.com", "https://example.com/a?b#c", &format!("/{}", "a".repeat(2047))]
        {
            assert!(check_redirect_location(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "ftp://x/", "HTTP://x/", "javascript:x", &format!("/{}", "a".repeat(2048))] {
            let code = check_redirect_location(bad).unwrap_err().code();
            assert_eq!(code, ErrorCode::InvalidRedirectLocation, "{bad}");
        }
    }
}
