//! `LifecycleConfiguration`.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::malformed;
use crate::error::S3Error;
use crate::lifecycle::{Expiration, Lifecycle, MAX_RULES, Rule, invalid, invalid_request};
use crate::xml::tree::Element;

/// The most bytes of the body of `PutBucketLifecycleConfiguration`: 1,000 rules of a sensible size. The rules stand in
/// the bucket's row, which every gateway reads.
pub const MAX_LIFECYCLE_BYTES: usize = 512 << 10;
/// The most elements of one rule, with itself.
const ELEMENTS_EACH: usize = 20;

/// The body of `PutBucketLifecycleConfiguration`.
///
/// # Errors
/// `MalformedXML`; `NotImplemented` naming the element that is not built; `InvalidArgument` and `InvalidRequest` for
/// what AWS refuses of rules. Of several faults the first in the document is told.
pub fn lifecycle(body: &[u8]) -> Result<Lifecycle, S3Error> {
    let max_elements = (MAX_RULES + 2) * ELEMENTS_EACH;
    let root = Element::parse(body, MAX_LIFECYCLE_BYTES, max_elements)?.expect_root("LifecycleConfiguration")?;
    let mut rules = Vec::new();
    for (index, child) in root.children.into_iter().enumerate() {
        if child.name != "Rule" {
            return Err(malformed());
        }
        if index == MAX_RULES {
            return Err(invalid_request(
                "The number of lifecycle rules must not exceed the allowed limit of 1000 rules",
            ));
        }
        rules.push(rule(child, index)?);
    }
    if rules.is_empty() {
        return Err(malformed());
    }
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    if ids.len() < rules.len() {
        return Err(invalid("Rule ID must be unique. Found same ID for more than one rule"));
    }
    Ok(Lifecycle { rules })
}

fn rule(element: Element, index: usize) -> Result<Rule, S3Error> {
    element.expect_no_text()?;
    let mut rule = Rule::default();
    let (mut status, mut filtered) = (None, false);
    for child in element.children {
        match child.name.as_str() {
            "ID" if rule.id.is_empty() => rule.id = child.into_text()?,
            "Status" if status.is_none() => status = Some(is_enabled(&child.into_text()?)?),
            "Prefix" if !filtered => {
                (filtered, rule.legacy) = (true, true);
                rule.prefix = Some(child.into_text()?);
            }
            "Filter" if !filtered => {
                filtered = true;
                filter(child, &mut rule)?;
            }
            "Expiration" if rule.expiration.is_none() => rule.expiration = Some(expiration(child)?),
            "AbortIncompleteMultipartUpload" if rule.abort_after_days.is_none() => {
                rule.abort_after_days = Some(abort(child)?);
            }
            name @ ("Transition" | "NoncurrentVersionTransition" | "NoncurrentVersionExpiration") => {
                return Err(not_built(name));
            }
            _ => return Err(malformed()),
        }
    }
    let (true, Some(enabled)) = (filtered, status) else { return Err(malformed()) };
    rule.enabled = enabled;
    if rule.id.is_empty() {
        rule.id = made_id(&rule, index);
    }
    rule.check()?;
    Ok(rule)
}

/// The id of a rule that came without one: the same document has the same ids.
fn made_id(rule: &Rule, index: usize) -> String {
    let digest = Sha256::digest(format!("{index} {rule:?}"));
    hex::encode(digest.get(..16).unwrap_or_default())
}

/// None, or one of them; several stand inside `And`.
fn filter(element: Element, rule: &mut Rule) -> Result<(), S3Error> {
    element.expect_no_text()?;
    if element.children.len() > 1 {
        return Err(malformed());
    }
    for child in element.children {
        if child.name != "And" {
            predicate(child, rule)?;
            continue;
        }
        child.expect_no_text()?;
        child.children.into_iter().try_for_each(|child| predicate(child, rule))?;
        if rule.predicates() < 2 {
            return Err(malformed());
        }
    }
    Ok(())
}

fn predicate(element: Element, rule: &mut Rule) -> Result<(), S3Error> {
    match element.name.as_str() {
        "Prefix" if rule.prefix.is_none() => rule.prefix = Some(element.into_text()?),
        "ObjectSizeGreaterThan" if rule.size_above.is_none() => rule.size_above = Some(size(&element.into_text()?)?),
        "ObjectSizeLessThan" if rule.size_below.is_none() => {
            let size = size(&element.into_text()?)?;
            if size == 0 {
                return Err(invalid_request("'ObjectSizeLessThan' must be larger than 0."));
            }
            rule.size_below = Some(size);
        }
        // No object has tags yet.
        "Tag" => return Err(not_built("Filter.Tag")),
        _ => return Err(malformed()),
    }
    Ok(())
}

/// Exactly one of its forms.
fn expiration(element: Element) -> Result<Expiration, S3Error> {
    element.expect_no_text()?;
    let mut found = None;
    for child in element.children {
        let expiration = match child.name.as_str() {
            "Days" => Expiration::Days(days(&child.into_text()?)?),
            "Date" => Expiration::DateMs(date(&child.into_text()?)?),
            // There are no delete markers without versioning.
            "ExpiredObjectDeleteMarker" => return Err(not_built("Expiration.ExpiredObjectDeleteMarker")),
            _ => return Err(malformed()),
        };
        if found.replace(expiration).is_some() {
            return Err(malformed());
        }
    }
    found.ok_or_else(malformed)
}

fn abort(element: Element) -> Result<u32, S3Error> {
    element.expect_no_text()?;
    let mut children = element.children.into_iter();
    match (children.next(), children.next()) {
        (Some(child), None) if child.name == "DaysAfterInitiation" => days(&child.into_text()?),
        _ => Err(malformed()),
    }
}

fn is_enabled(text: &str) -> Result<bool, S3Error> {
    match text.trim() {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err(malformed()),
    }
}

/// AWS's integers have 31 bits; what is not above 0 is told as 0, which [`Rule::check`] words.
fn days(text: &str) -> Result<u32, S3Error> {
    let days: i32 = text.trim().parse().map_err(|_| malformed())?;
    Ok(u32::try_from(days).unwrap_or(0))
}

fn size(text: &str) -> Result<u64, S3Error> {
    let size: i64 = text.trim().parse().map_err(|_| malformed())?;
    u64::try_from(size).map_err(|_| invalid_request("A size filter must not be negative."))
}

/// ISO 8601, with a time or without one; milliseconds since 1970.
fn date(text: &str) -> Result<u64, S3Error> {
    let text = text.trim();
    let parsed = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339))
        .map_err(|_| malformed())?;
    u64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).map_err(|_| malformed())
}

/// 501 for what a rule would do or ask that is not built: were it dropped, the rule would do something else.
fn not_built(element: &str) -> S3Error {
    S3Error::not_implemented(&format!("LifecycleConfiguration.Rule.{element}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorCode;

    const ONE: &str = "<Status>Enabled</Status><Expiration><Days>1</Days></Expiration>";

    fn read(rules: &str) -> Result<Lifecycle, S3Error> {
        lifecycle(format!("<LifecycleConfiguration xmlns=\"x\">{rules}</LifecycleConfiguration>").as_bytes())
    }

    fn one(rule: &str) -> Result<Rule, S3Error> {
        read(&format!("<Rule>{rule}</Rule>")).map(|lifecycle| lifecycle.rules[0].clone())
    }

    #[track_caller]
    fn refused(rule: &str, code: ErrorCode, says: &str) {
        let error = one(rule).expect_err(rule);
        assert_eq!(error.code(), code, "{rule}: {error}");
        assert!(error.message().contains(says), "{rule}: {error}");
    }

    #[test]
    fn every_form_is_read_and_written_back() {
        let given = "<Rule><ID>a &amp; b</ID><Filter><And><Prefix>logs/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>\
                     <ObjectSizeLessThan>70</ObjectSizeLessThan></And></Filter><Status>Enabled</Status>\
                     <Expiration><Days>30</Days></Expiration></Rule>\
                     <Rule><ID>b</ID><Prefix>tmp/</Prefix><Status>Disabled</Status>\
                     <Expiration><Date>2030-01-02T00:00:00.000Z</Date></Expiration></Rule>\
                     <Rule><ID>c</ID><Filter></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload>\
                     <DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
                     <Rule><ID>d</ID><Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter><Status>Enabled</Status>\
                     <Expiration><Days>1</Days></Expiration></Rule>";
        let lifecycle = read(given).unwrap();
        let written = lifecycle.to_xml();
        let rules = written.split_once("/\">").unwrap().1.strip_suffix("</LifecycleConfiguration>").unwrap();
        assert_eq!(rules, given);
        let first = &lifecycle.rules[0];
        assert_eq!((first.prefix.as_deref(), first.size_above, first.size_below), (Some("logs/"), Some(5), Some(70)));
        assert!(first.enabled && !first.legacy && lifecycle.rules[1].legacy && !lifecycle.rules[1].enabled);
        assert_eq!(lifecycle.rules[1].expiration, Some(Expiration::DateMs(1_893_542_400_000)));
        assert_eq!(lifecycle.rules[2].abort_after_days, Some(7));
    }

    #[test]
    fn dates_come_in_several_forms() {
        for text in ["2030-01-02", "2030-01-02T00:00:00Z", "2030-01-02T00:00:00.000Z", "2030-01-02T01:00:00+01:00"] {
            let rule = one(&format!("<Prefix/><Status>Enabled</Status><Expiration><Date>{text}</Date></Expiration>"));
            assert_eq!(rule.unwrap().expiration, Some(Expiration::DateMs(1_893_542_400_000)), "{text}");
        }
        for text in ["", "tomorrow", "2030-13-01", "1960-01-01"] {
            let rule = format!("<Prefix/><Status>Enabled</Status><Expiration><Date>{text}</Date></Expiration>");
            refused(&rule, ErrorCode::MalformedXML, "");
        }
    }

    #[test]
    fn what_is_not_built_is_named() {
        let not_built = |rule: &str, what: &str| refused(rule, ErrorCode::NotImplemented, what);
        let tag = "<Tag><Key>a</Key><Value>b</Value></Tag>";
        not_built(&format!("<Filter>{tag}</Filter>{ONE}"), "Filter.Tag");
        not_built(&format!("<Filter><And><Prefix>a</Prefix>{tag}</And></Filter>{ONE}"), "Filter.Tag");
        let marker = "<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>";
        not_built(
            &format!("<Filter/><Status>Enabled</Status><Expiration>{marker}</Expiration>"),
            "ExpiredObjectDeleteMarker",
        );
        for element in ["Transition", "NoncurrentVersionTransition", "NoncurrentVersionExpiration"] {
            not_built(&format!("<Filter/>{ONE}<{element}><Days>1</Days></{element}>"), element);
        }
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        use ErrorCode::{InvalidArgument, InvalidRequest, MalformedXML};
        let days =
            |days: &str| format!("<Filter/><Status>Enabled</Status><Expiration><Days>{days}</Days></Expiration>");
        refused(&days("0"), InvalidArgument, "positive integer");
        refused(&days("-1"), InvalidArgument, "positive integer");
        refused(&days("x"), MalformedXML, "");
        refused(&days("2147483648"), MalformedXML, "");
        refused(&format!("<ID>{}</ID><Filter/>{ONE}", "x".repeat(256)), InvalidArgument, "255");
        assert!(one(&format!("<ID>{}</ID><Filter/>{ONE}", "é".repeat(255))).is_ok());
        refused(&format!("<Prefix>{}</Prefix>{ONE}", "x".repeat(1025)), InvalidRequest, "1024");
        refused("<Filter/><Status>Enabled</Status>", InvalidRequest, "action");
        refused(
            "<Filter/><Status>Enabled</Status><Expiration><Date>2030-01-02T03:00:00Z</Date></Expiration>",
            InvalidArgument,
            "midnight",
        );
        let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
        let sized = "<Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter><Status>Enabled</Status>";
        refused(&format!("{sized}{abort}"), InvalidRequest, "AbortIncompleteMultipartUpload");
        refused(&format!("<Filter/><Status>Enabled</Status>{}", abort.replace('1', "0")), InvalidArgument, "positive");
        let sizes = |above: &str, below: &str| {
            format!(
                "<Filter><And><ObjectSizeGreaterThan>{above}</ObjectSizeGreaterThan><ObjectSizeLessThan>{below}\
                 </ObjectSizeLessThan></And></Filter>{ONE}"
            )
        };
        refused(&sizes("5", "5"), InvalidRequest, "greater than");
        refused(&sizes("-1", "5"), InvalidRequest, "negative");
        refused(&sizes("1", "9999999999999999"), InvalidRequest, "largest object");
        refused(&sizes("0", "0"), InvalidRequest, "larger than 0");
    }

    #[test]
    fn malformed_documents_are_refused() {
        let no_filter = ONE.to_owned();
        let both = format!("<Prefix/><Filter/>{ONE}");
        let two = format!("<Filter><Prefix>a</Prefix><ObjectSizeLessThan>1</ObjectSizeLessThan></Filter>{ONE}");
        let thin_and = format!("<Filter><And><Prefix>a</Prefix></And></Filter>{ONE}");
        let twice = format!("<Filter/>{ONE}<Expiration><Days>1</Days></Expiration>");
        let forms = "<Filter/><Status>Enabled</Status><Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>"
            .to_owned();
        let nothing = "<Filter/><Status>Enabled</Status><Expiration/>".to_owned();
        let status = "<Filter/><Status>enabled</Status><Expiration><Days>1</Days></Expiration>".to_owned();
        let unknown = format!("<Filter/>{ONE}<Colour>red</Colour>");
        for rule in [no_filter, both, two, thin_and, twice, forms, nothing, status, unknown] {
            refused(&rule, ErrorCode::MalformedXML, "");
        }
        assert!(read("").is_err() && read("<Rules/>").is_err() && lifecycle(b"").is_err());
        assert!(lifecycle(b"<Lifecycle><Rule/></Lifecycle>").is_err());
    }

    #[test]
    fn a_thousand_rules_and_no_more() {
        let rules = |count: usize| format!("<Rule><Filter/>{ONE}</Rule>").repeat(count);
        let read_ids = read(&rules(1000)).unwrap();
        let ids: BTreeSet<_> = read_ids.rules.iter().map(|rule| &rule.id).collect();
        assert_eq!(ids.len(), 1000, "ids are made for rules without one");
        assert_eq!(read(&rules(1000)).unwrap(), read_ids, "and are the same for the same document");
        assert_eq!(read(&rules(1001)).unwrap_err().code(), ErrorCode::InvalidRequest);
        let same = format!("<Rule><ID>a</ID><Filter/>{ONE}</Rule>").repeat(2);
        assert_eq!(read(&same).unwrap_err().code(), ErrorCode::InvalidArgument);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in "[<>/A-Za-z0-9 ]{0,200}") {
            drop(read(&text));
            drop(one(&format!("<Filter>{text}</Filter>{ONE}")));
        }
    }
}
