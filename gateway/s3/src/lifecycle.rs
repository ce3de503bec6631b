//! A bucket's lifecycle rules as their XML has them: what may be set, and what an answer says of them.
//!
//! - **L1** A rule that holds anything that is not built (tags, transitions, versions) is refused whole, by name: it is
//!   never kept without one of its filters or actions (S3.md §1.1). Tested by `what_is_not_built_is_named`.
//!
//! Pure. Reading is `xml::read::lifecycle`; who judges objects by rules has rows of its own.

use crate::date::{http_date, iso_8601};
use crate::error::{ErrorCode, S3Error};
use crate::uri::encode_component;
use crate::xml::Writer;

/// The most rules of a bucket.
pub const MAX_RULES: usize = 1000;
/// The longest id of a rule, in characters.
const MAX_ID: usize = 255;
/// The longest prefix of a rule, in bytes: that of a key.
const MAX_PREFIX: usize = 1024;
/// The largest object, in bytes: no size filter asks for more.
const MAX_OBJECT: u64 = 5 << 40;
/// One day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// The only value of `x-amz-transition-default-minimum-object-size` that asks for nothing which is not so anyway: it
/// is AWS's default, and nothing is ever moved to another storage class here.
pub const MINIMUM_SIZE_OF_TRANSITIONS: &str = "all_storage_classes_128K";

/// A `LifecycleConfiguration`: 1 to 1,000 rules, each checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lifecycle {
    pub rules: Vec<Rule>,
}

/// Which objects, and what becomes of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rule {
    pub id: String,
    pub enabled: bool,
    /// The prefix stands beside the actions, as in the first version of the API; there are no other filters then.
    pub legacy: bool,
    pub prefix: Option<String>,
    /// `ObjectSizeGreaterThan`
    pub size_above: Option<u64>,
    /// `ObjectSizeLessThan`
    pub size_below: Option<u64>,
    pub expiration: Option<Expiration>,
    /// `AbortIncompleteMultipartUpload`
    pub abort_after_days: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiration {
    Days(u32),
    /// A midnight UTC, milliseconds since 1970.
    DateMs(u64),
}

impl Rule {
    /// What AWS refuses of a rule, beyond its form.
    pub(crate) fn check(&self) -> Result<(), S3Error> {
        if self.id.chars().count() > MAX_ID {
            return Err(invalid("ID length should not exceed allowed limit of 255"));
        }
        if self.prefix.as_ref().is_some_and(|prefix| prefix.len() > MAX_PREFIX) {
            return Err(invalid_request("The maximum size of a prefix is 1024."));
        }
        if self.expiration.is_none() && self.abort_after_days.is_none() {
            return Err(invalid_request("At least one action needs to be specified in a rule"));
        }
        if self.size_above.is_some_and(|size| size > MAX_OBJECT)
            || self.size_below.is_some_and(|size| size > MAX_OBJECT)
        {
            return Err(invalid_request("A size filter is larger than the largest object."));
        }
        if let (Some(above), Some(below)) = (self.size_above, self.size_below)
            && above >= below
        {
            return Err(invalid_request("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'"));
        }
        if self.abort_after_days.is_some() && (self.size_above.is_some() || self.size_below.is_some()) {
            return Err(invalid_request("AbortIncompleteMultipartUpload cannot be specified with Object Size."));
        }
        match self.expiration {
            Some(Expiration::Days(0)) => Err(invalid("'Days' for Expiration action must be a positive integer")),
            Some(Expiration::DateMs(at)) if at % DAY_MS != 0 => Err(invalid("'Date' must be at midnight GMT")),
            _ if self.abort_after_days == Some(0) => Err(invalid(
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
            )),
            _ => Ok(()),
        }
    }

    fn write(&self, xml: &mut Writer) {
        xml.text("ID", &self.id);
        if self.legacy {
            xml.text("Prefix", self.prefix.as_deref().unwrap_or_default());
        } else {
            xml.element("Filter", |xml| self.write_filter(xml));
        }
        xml.text("Status", if self.enabled { "Enabled" } else { "Disabled" });
        if let Some(expiration) = self.expiration {
            xml.element("Expiration", |xml| match expiration {
                Expiration::Days(days) => xml.value("Days", days),
                Expiration::DateMs(at) => xml.text("Date", &iso_8601(at)),
            });
        }
        if let Some(days) = self.abort_after_days {
            xml.element("AbortIncompleteMultipartUpload", |xml| xml.value("DaysAfterInitiation", days));
        }
    }

    fn write_filter(&self, xml: &mut Writer) {
        let predicates = |xml: &mut Writer| {
            xml.optional("Prefix", self.prefix.as_deref());
            if let Some(size) = self.size_above {
                xml.value("ObjectSizeGreaterThan", size);
            }
            if let Some(size) = self.size_below {
                xml.value("ObjectSizeLessThan", size);
            }
        };
        if self.predicates() > 1 { xml.element("And", predicates) } else { predicates(xml) }
    }

    /// How many filters it has.
    pub(crate) fn predicates(&self) -> usize {
        let present = [self.prefix.is_some(), self.size_above.is_some(), self.size_below.is_some()];
        present.into_iter().filter(|present| *present).count()
    }
}

impl Lifecycle {
    /// A `LifecycleConfiguration` with the rules as they were given.
    #[must_use]
    pub fn to_xml(&self) -> String {
        Writer::answer("LifecycleConfiguration", |xml| {
            for rule in &self.rules {
                xml.element("Rule", |xml| rule.write(xml));
            }
        })
    }
}

/// The value of `x-amz-expiration`.
#[must_use]
pub fn expiration_header(at_ms: u64, rule: &str) -> String {
    format!("expiry-date=\"{}\", rule-id=\"{}\"", http_date(at_ms), encode_component(rule.as_bytes()))
}

pub(crate) fn invalid(message: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidArgument, message)
}

pub(crate) fn invalid_request(message: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_when_and_why() {
        assert_eq!(
            expiration_header(1_390_089_600_000, "my rule, \"1\""),
            "expiry-date=\"Sun, 19 Jan 2014 00:00:00 GMT\", rule-id=\"my%20rule%2C%20%221%22\""
        );
    }
}
