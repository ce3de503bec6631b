//! What AWS accepts as rules, and how it words what it does not.

use http::{HeaderName, Method};

use super::pattern::Pattern;
use super::{Cors, MAX_RULES, Rule, RuleText};
use crate::error::{ErrorCode, S3Error};

/// The longest id of a rule, in bytes.
const MAX_ID_BYTES: usize = 255;
const METHODS: [Method; 5] = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD];

impl Cors {
    /// Checks what a client or a row says.
    ///
    /// # Errors
    /// `MalformedXML` where something needed is missing, `InvalidRequest` where it is not allowed.
    pub fn new(rules: Vec<RuleText>) -> Result<Self, S3Error> {
        if rules.is_empty() {
            return Err(ErrorCode::MalformedXML.into());
        }
        if rules.len() > MAX_RULES {
            return Err(invalid(format!(
                "The number of CORS rules should not exceed allowed limit of {MAX_RULES} rules."
            )));
        }
        Ok(Self { rules: rules.into_iter().map(Rule::new).collect::<Result<_, _>>()? })
    }
}

impl Rule {
    fn new(text: RuleText) -> Result<Self, S3Error> {
        if text.allowed_origins.is_empty() || text.allowed_methods.is_empty() {
            return Err(ErrorCode::MalformedXML.into());
        }
        if text.id.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
            return Err(invalid(format!("The ID of a CORS rule should not exceed allowed limit of {MAX_ID_BYTES}.")));
        }
        Ok(Self {
            id: text.id,
            origins: each(&text.allowed_origins, |text| pattern("AllowedOrigin", text, is_printable))?,
            methods: each(&text.allowed_methods, method)?,
            headers: each(&text.allowed_headers, |text| pattern("AllowedHeader", text, is_token))?,
            expose: each(&text.expose_headers, expose)?,
            max_age_s: text.max_age_s,
        })
    }
}

fn each<T>(texts: &[String], check: impl Fn(&str) -> Result<T, S3Error>) -> Result<Vec<T>, S3Error> {
    texts.iter().map(|text| check(text)).collect()
}

fn method(text: &str) -> Result<Method, S3Error> {
    METHODS
        .into_iter()
        .find(|method| method.as_str() == text)
        .ok_or_else(|| invalid(format!("Found unsupported HTTP method in CORS config. Unsupported method is {text}")))
}

fn pattern(element: &str, text: &str, may_hold: fn(u8) -> bool) -> Result<Pattern, S3Error> {
    if text.is_empty() || !text.bytes().all(may_hold) {
        return Err(invalid(format!("{element} \"{text}\" is not valid.")));
    }
    Pattern::parse(text).ok_or_else(|| invalid(format!("{element} \"{text}\" can not have more than one wildcard.")))
}

fn expose(text: &str) -> Result<String, S3Error> {
    if text.contains('*') {
        return Err(invalid(format!(
            "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        )));
    }
    match text.parse::<HeaderName>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(invalid(format!("ExposeHeader \"{text}\" is not the name of a header."))),
    }
}

/// What an `Origin` may hold.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// What the name of a header may hold; `*` is one of them.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn invalid(message: String) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}
