//! The query of a request: decoded once for meaning, encoded again for its signature.

use crate::error::{ErrorCode, S3Error};
use crate::uri::{encode_component, percent_decode};

/// Names and values in the order sent. A `+` is a space, as AWS reads it; a `;` is only a character.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// `InvalidURI` where an escape is broken or the bytes are not UTF-8.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, S3Error> {
        let pairs = raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The first value of a parameter; an absent value is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The first value, where it is not empty.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// SigV4's canonical form: encoded, sorted by name and then by value, without the parameter `omitted`.
    pub(crate) fn canonical(&self, omitted: Option<&str>) -> String {
        let mut pairs: Vec<(String, String)> = self
            .iter()
            .filter(|(name, _)| Some(*name) != omitted)
            .map(|(name, value)| (encode_component(name.as_bytes()), encode_component(value.as_bytes())))
            .collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

fn decode(text: &str) -> Result<String, S3Error> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| S3Error::new(ErrorCode::InvalidURI))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form_is_sorted_by_name_and_value() {
        let query = Query::parse(Some("prefix=b&&acl&prefix=a;c&X-Amz-Signature=s&max-keys=1+%2B")).unwrap();
        assert_eq!(query.canonical(Some("X-Amz-Signature")), "acl=&max-keys=1%20%2B&prefix=a%3Bc&prefix=b");
        assert_eq!(query.get("prefix"), Some("b"));
        assert_eq!(query.get("acl"), Some(""));
        assert_eq!(query.non_empty("acl"), None);
    }

    #[test]
    fn broken_escapes_and_bad_utf8_are_refused() {
        for raw in ["a=%", "a=%f", "%zz", "a=%ff"] {
            assert_eq!(Query::parse(Some(raw)).unwrap_err().code(), ErrorCode::InvalidURI, "{raw}");
        }
    }
}
