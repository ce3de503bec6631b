//! The body of `PutBucketWebsite`.

use super::super::tree::Element;
use super::{malformed, put};
use crate::error::{ErrorCode, S3Error};
use crate::website::{Condition, KeyChange, MAX_RULES, Pages, Protocol, Redirect, Rule, Website, invalid_request};

/// The most bytes of a website configuration, as AWS has it.
pub const MAX_WEBSITE_BYTES: usize = 128 << 10;
/// The most elements of one rule, with itself.
const ELEMENTS_EACH: usize = 10;

/// Reads and checks a website configuration.
pub fn website(body: &[u8]) -> Result<Website, S3Error> {
    // A rule too many is an error of its own, and not one of an XML that grows without bound.
    let max_elements = (2 * MAX_RULES + 2) * ELEMENTS_EACH;
    let root = Element::parse(body, MAX_WEBSITE_BYTES, max_elements)?.expect_root("WebsiteConfiguration")?;
    let (mut all, mut index_suffix, mut error_key, mut rules) = (None, None, None, None);
    for child in root.children {
        child.expect_no_text()?;
        match child.name.as_str() {
            "RedirectAllRequestsTo" => put(&mut all, redirect_all(child)?)?,
            "IndexDocument" => put(&mut index_suffix, only_child(child, "Suffix")?)?,
            "ErrorDocument" => put(&mut error_key, only_child(child, "Key")?)?,
            "RoutingRules" => put(&mut rules, routing_rules(child)?)?,
            _ => return Err(malformed()),
        }
    }
    let website = match (all, index_suffix) {
        (Some(all), None) if error_key.is_none() && rules.is_none() => all,
        (Some(_), _) => {
            let message = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
            return Err(S3Error::with_message(ErrorCode::InvalidArgument, message));
        }
        (None, Some(index_suffix)) => {
            Website::Pages(Pages { index_suffix, error_key, rules: rules.unwrap_or_default() })
        }
        (None, None) => {
            let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
            return Err(S3Error::invalid_argument("IndexDocument", "null", message));
        }
    };
    website.check()?;
    Ok(website)
}

fn redirect_all(element: Element) -> Result<Website, S3Error> {
    let (mut host, mut protocol) = (None, None);
    for child in element.children {
        match child.name.as_str() {
            "HostName" => put(&mut host, child.into_text()?)?,
            "Protocol" => put(&mut protocol, Protocol::parse(&child.into_text()?)?)?,
            _ => return Err(malformed()),
        }
    }
    Ok(Website::RedirectAll { host: host.ok_or_else(malformed)?, protocol })
}

fn routing_rules(element: Element) -> Result<Vec<Rule>, S3Error> {
    if element.children.is_empty() {
        return Err(malformed());
    }
    element.children.into_iter().map(routing_rule).collect()
}

fn routing_rule(element: Element) -> Result<Rule, S3Error> {
    if element.name != "RoutingRule" {
        return Err(malformed());
    }
    element.expect_no_text()?;
    let (mut found, mut redirect) = (None, None);
    for child in element.children {
        child.expect_no_text()?;
        match child.name.as_str() {
            "Condition" => put(&mut found, condition(child)?)?,
            "Redirect" => put(&mut redirect, redirect_to(child)?)?,
            _ => return Err(malformed()),
        }
    }
    Ok(Rule { condition: found.unwrap_or_default(), redirect: redirect.ok_or_else(malformed)? })
}

fn condition(element: Element) -> Result<Condition, S3Error> {
    let (mut key_prefix, mut error_code) = (None, None);
    for child in element.children {
        match child.name.as_str() {
            "KeyPrefixEquals" => put(&mut key_prefix, child.into_text()?)?,
            "HttpErrorCodeReturnedEquals" => put(&mut error_code, number(&child.into_text()?)?)?,
            _ => return Err(malformed()),
        }
    }
    if key_prefix.is_none() && error_code.is_none() {
        return Err(invalid_request(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't \
             be present.",
        ));
    }
    Ok(Condition { key_prefix, error_code })
}

fn redirect_to(element: Element) -> Result<Redirect, S3Error> {
    if element.children.is_empty() {
        return Err(malformed());
    }
    let mut redirect = Redirect::default();
    for child in element.children {
        match child.name.as_str() {
            "HostName" => put(&mut redirect.host, child.into_text()?)?,
            "Protocol" => put(&mut redirect.protocol, Protocol::parse(&child.into_text()?)?)?,
            "HttpRedirectCode" => put(&mut redirect.code, number(&child.into_text()?)?)?,
            "ReplaceKeyPrefixWith" => change_key(&mut redirect.key, KeyChange::Prefix(child.into_text()?))?,
            "ReplaceKeyWith" => change_key(&mut redirect.key, KeyChange::Whole(child.into_text()?))?,
            _ => return Err(malformed()),
        }
    }
    Ok(redirect)
}

fn change_key(place: &mut Option<KeyChange>, change: KeyChange) -> Result<(), S3Error> {
    match place.replace(change) {
        None => Ok(()),
        Some(_) => Err(invalid_request("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")),
    }
}

/// The text of an element's one child.
fn only_child(element: Element, name: &str) -> Result<String, S3Error> {
    let mut text = None;
    for child in element.children {
        if child.name != name {
            return Err(malformed());
        }
        put(&mut text, child.into_text()?)?;
    }
    text.ok_or_else(malformed)
}

/// Three digits; whether they are a code that fits is [`Website::check`]'s to say.
fn number(text: &str) -> Result<u16, S3Error> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(malformed)
}

#[cfg(test)]
mod tests;
