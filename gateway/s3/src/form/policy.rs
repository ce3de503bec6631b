//! The policy of a form: what its signer allows whoever holds the form to upload.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::date::parse_iso_8601;
use crate::error::{ErrorCode, S3Error};

/// A policy, read and not held against anything yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    expires_ms: u64,
    conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Condition {
    /// Names are in lower case.
    Equals {
        field: String,
        value: String,
    },
    StartsWith {
        field: String,
        prefix: String,
    },
    /// Bytes of the file.
    Length(RangeInclusive<u64>),
}

impl Policy {
    /// Reads the form's `policy` field.
    ///
    /// # Errors
    /// `InvalidPolicyDocument`: not base64, not JSON, or a condition that is none. What is not understood is refused.
    pub fn parse(field: &str) -> Result<Self, S3Error> {
        // Some tools wrap base64 into lines; the signature is of the text as it stands.
        let text: String = field.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let json = STANDARD.decode(text).map_err(|_| invalid("Invalid base64 encoding."))?;
        let document: Value = serde_json::from_slice(&json).map_err(|_| invalid("Invalid JSON."))?;
        let Value::Object(mut members) = document else { return Err(invalid("Invalid JSON: it is no object.")) };
        let expiration = members.remove("expiration").ok_or_else(|| invalid("Policy missing expiration."))?;
        let conditions = members.remove("conditions").ok_or_else(|| invalid("Policy missing conditions."))?;
        if let Some((name, _)) = members.iter().next() {
            return Err(invalid(&format!("Unexpected: '{name}'.")));
        }
        let expires_ms = expiration.as_str().and_then(parse_iso_8601);
        let Value::Array(conditions) = conditions else { return Err(invalid("The conditions must be a list.")) };
        Ok(Self {
            expires_ms: expires_ms.ok_or_else(|| invalid("Invalid 'expiration' value."))?,
            conditions: conditions.iter().map(Condition::read).collect::<Result<_, _>>()?,
        })
    }

    /// Holds a form against the policy: `fields` are those that need a condition, `value` says what any field is.
    /// Returns the sizes the file may have.
    ///
    /// # Errors
    /// `AccessDenied`: expired, a condition that does not hold, a field without one.
    pub(super) fn check<'a>(
        &self,
        now_ms: u64,
        fields: impl Iterator<Item = &'a str>,
        value: impl Fn(&str) -> &'a str,
    ) -> Result<RangeInclusive<u64>, S3Error> {
        if now_ms >= self.expires_ms {
            return Err(denied("Policy expired."));
        }
        let mut covered = BTreeSet::new();
        let (mut least, mut most) = (0, u64::MAX);
        for condition in &self.conditions {
            let (field, holds) = match condition {
                Condition::Length(range) => {
                    // Several ranges all hold: their intersection.
                    (least, most) = (least.max(*range.start()), most.min(*range.end()));
                    continue;
                }
                Condition::Equals { field, value: wanted } => (field, value(field) == wanted),
                Condition::StartsWith { field, prefix } => (field, starts_with(field, value(field), prefix)),
            };
            if !holds {
                return Err(denied(&format!("Policy Condition failed: {}", condition.describe())));
            }
            covered.insert(field.as_str());
        }
        let extra: Vec<&str> = fields.filter(|field| !covered.contains(field)).collect();
        if !extra.is_empty() {
            return Err(denied(&format!("Extra input fields: {}", extra.join(", "))));
        }
        Ok(least..=most)
    }
}

/// AWS holds each of several content types against the condition.
fn starts_with(field: &str, value: &str, prefix: &str) -> bool {
    if field == "content-type" {
        return value.split(',').all(|item| item.trim().starts_with(prefix));
    }
    value.starts_with(prefix)
}

impl Condition {
    fn read(value: &Value) -> Result<Self, S3Error> {
        match value {
            Value::Object(members) => {
                let mut members = members.iter();
                let (Some((field, Value::String(value))), None) = (members.next(), members.next()) else {
                    return Err(invalid(
                        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                    ));
                };
                Ok(Self::Equals { field: field.to_ascii_lowercase(), value: value.clone() })
            }
            Value::Array(items) => Self::read_list(items),
            _ => Err(invalid("Invalid Condition: it is neither a list nor an object.")),
        }
    }

    fn read_list(items: &[Value]) -> Result<Self, S3Error> {
        let [Value::String(operation), first, second] = items else {
            return Err(invalid("Invalid Condition: a list has an operation and two arguments."));
        };
        let operation = operation.to_ascii_lowercase();
        if operation == "content-length-range" {
            let (Some(least), Some(most)) = (number(first), number(second)) else {
                return Err(invalid("Invalid Condition: content-length-range takes two numbers."));
            };
            return Ok(Self::Length(least..=most));
        }
        let (Value::String(field), Value::String(text)) = (first, second) else {
            return Err(invalid("Invalid Condition: a field and a value must be text."));
        };
        let field = field
            .strip_prefix('$')
            .ok_or_else(|| invalid(&format!("Invalid Condition: '{field}' does not begin with '$'.")))?
            .to_ascii_lowercase();
        match operation.as_str() {
            "eq" => Ok(Self::Equals { field, value: text.clone() }),
            "starts-with" => Ok(Self::StartsWith { field, prefix: text.clone() }),
            _ => Err(invalid(&format!("Invalid Condition: unknown operation '{operation}'."))),
        }
    }

    /// As AWS words it.
    fn describe(&self) -> String {
        let list = match self {
            Self::Equals { field, value } => [format!("${field}"), value.clone()],
            Self::StartsWith { field, prefix } => [format!("${field}"), prefix.clone()],
            Self::Length(range) => [range.start().to_string(), range.end().to_string()],
        };
        let operation = match self {
            Self::Equals { .. } => "eq",
            Self::StartsWith { .. } => "starts-with",
            Self::Length(_) => "content-length-range",
        };
        format!("[\"{operation}\", \"{}\", \"{}\"]", list[0], list[1])
    }
}

/// A whole number, as a number or as text.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

fn invalid(why: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidPolicyDocument, format!("Invalid Policy: {why}"))
}

fn denied(why: &str) -> S3Error {
    S3Error::with_message(ErrorCode::AccessDenied, format!("Invalid according to Policy: {why}"))
}
