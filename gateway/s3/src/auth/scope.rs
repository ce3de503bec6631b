//! The credential scope: access key id, date, region, service and terminator.

use std::fmt;

use super::Rules;

/// What a signing key is good for. Part of the key of a signing-key cache, with the access key id and its secret.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Scope {
    /// `20130524`
    pub(super) date: String,
    pub(super) region: String,
}

/// The only service there is.
const SERVICE: &str = "s3";
const TERMINATOR: &str = "aws4_request";
/// Longer access key ids are not ours; a bound keeps them out of caches and logs.
const MAX_ACCESS_KEY_ID: usize = 128;

/// Why a credential was refused, to be wrapped in the error of its place.
pub(super) enum Refused {
    Form(&'static str),
    /// With the region that is right.
    Region(String),
}

impl Scope {
    /// The scope a client signs with. `timestamp` is `20130524T000000Z` or longer.
    pub(super) fn new(timestamp: &str, region: &str) -> Self {
        Self { date: timestamp.chars().take(8).collect(), region: region.to_owned() }
    }

    /// The region the client believes in.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The day, as `YYYYMMDD`.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    pub(super) fn service(&self) -> &'static str {
        SERVICE
    }

    pub(super) fn terminator(&self) -> &'static str {
        TERMINATOR
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{SERVICE}/{TERMINATOR}", self.date, self.region)
    }
}

/// Reads `access-key-id/date/region/s3/aws4_request` and compares it with the request's own time and our region.
pub(super) fn read_credential(text: &str, timestamp: &str, rules: &Rules<'_>) -> Result<(String, Scope), Refused> {
    let mut fields = text.rsplitn(5, '/');
    let (terminator, service, region, date, id) =
        match (fields.next(), fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(terminator), Some(service), Some(region), Some(date), Some(id)) => {
                (terminator, service, region, date, id)
            }
            _ => {
                return Err(Refused::Form(
                    "the Credential must be \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"",
                ));
            }
        };
    if id.is_empty() || id.len() > MAX_ACCESS_KEY_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refused::Form("the access key id in the Credential is not valid"));
    }
    if terminator != TERMINATOR {
        return Err(Refused::Form("the Credential must end in \"aws4_request\""));
    }
    if service != SERVICE {
        return Err(Refused::Form("the service in the Credential must be \"s3\""));
    }
    if timestamp.get(..8) != Some(date) {
        return Err(Refused::Form("the date in the Credential is not the date of the request"));
    }
    if region.is_empty() {
        return Err(Refused::Form("the region in the Credential is empty"));
    }
    if let Some(expected) = rules.region.filter(|expected| *expected != region) {
        return Err(Refused::Region(expected.to_owned()));
    }
    Ok((id.to_owned(), Scope { date: date.to_owned(), region: region.to_owned() }))
}
