//! User metadata: `x-amz-meta-*`.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName};

use super::header_value;
use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;

/// The prefix of the headers that carry user metadata.
pub(crate) const PREFIX: &str = "x-amz-meta-";

/// Names (without their prefix, in lower case, in order) and values of user metadata, at most 2 KiB together.
///
/// Values come back byte for byte as they went: plain UTF-8 as such, and RFC 2047's encoded words, in which SDKs wrap
/// what is not ASCII, as those words.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Metadata(Vec<(String, String)>);

impl Metadata {
    /// The most bytes names and values may have together.
    pub const MAX_BYTES: usize = 2048;

    /// Takes pairs as they stand in a row or a request; sorts them by name.
    #[must_use]
    pub fn from_pairs(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort();
        Self(pairs)
    }

    /// [`Self::from_pairs`] with the limit AWS has.
    pub fn checked(pairs: Vec<(String, String)>) -> Result<Self, S3Error> {
        let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > Self::MAX_BYTES {
            return Err(S3Error::new(ErrorCode::MetadataTooLarge)
                .field("Size", size.to_string())
                .field("MaxSizeAllowed", Self::MAX_BYTES.to_string()));
        }
        Ok(Self::from_pairs(pairs))
    }

    /// Reads the headers of a request, and those hoisted into its query. An empty value is a value here.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, S3Error> {
        let names: BTreeSet<String> = fields.all_amz_names().filter(|name| name.starts_with(PREFIX)).collect();
        let pairs = names.into_iter().map(|name| {
            let value = fields.amz(&name)?.unwrap_or_default();
            if header_value(&value).is_none() {
                return Err(S3Error::invalid_argument(&name, &value, "The value cannot stand in a header."));
            }
            Ok((name[PREFIX.len()..].to_owned(), value))
        });
        Self::checked(pairs.collect::<Result<_, _>>()?)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds them to an answer.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in self.iter() {
            let name = HeaderName::try_from(format!("{PREFIX}{name}"));
            if let (Ok(name), Some(value)) = (name, header_value(value)) {
                headers.append(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::query::Query;

    #[test]
    fn two_kibibytes_and_no_more() {
        let of = |length: usize| Metadata::checked(vec![("k".repeat(48), "v".repeat(length - 48))]);
        assert!(of(2048).is_ok());
        assert_eq!(of(2049).unwrap_err().code(), ErrorCode::MetadataTooLarge);
    }

    /// RFC 2047's own examples (§8), and what else may stand in a value: nothing is decoded, so that no charset, no
    /// encoding and no space between words can be lost, and SDKs that decode get what SDKs that encode sent.
    #[test]
    fn encoded_words_come_back_as_they_went() {
        for value in [
            "=?ISO-8859-1?Q?a?=",
            "=?ISO-8859-1?Q?a?= b",
            "=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=",
            "=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=",
            "=?ISO-8859-1?Q?a_b?=",
            "=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=",
            "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
            "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=",
            "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "=?UTF-8?B?w6U=?=",
            "=?utf-8?q?=C3=A5?=",
            "=?x-unknown?Q?a?=",
            "=?UTF-8?X?a?=",
            "=?UTF-8?Q?not ended",
            "å ü 猫",
        ] {
            let headers = HeaderMap::from_iter([(
                "x-amz-meta-a".parse().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )]);
            let query = Query::default();
            let read = Metadata::read(&Fields::new(&headers, &query)).unwrap();
            assert_eq!(read.get("a"), Some(value));
            let mut answer = HeaderMap::new();
            read.write(&mut answer);
            assert_eq!(answer, headers);
        }
        let latin =
            HeaderMap::from_iter([("x-amz-meta-a".parse().unwrap(), HeaderValue::from_bytes(b"\xe5").unwrap())]);
        let query = Query::default();
        let refused = Metadata::read(&Fields::new(&latin, &query)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidArgument, "bytes of another charset would not come back");
    }

    #[test]
    fn values_come_back_as_they_went() {
        let pairs =
            vec![("plain".to_owned(), "å ü 猫".to_owned()), ("encoded".to_owned(), "=?UTF-8?B?w6U=?=".to_owned())];
        let mut headers = HeaderMap::new();
        Metadata::checked(pairs).unwrap().write(&mut headers);
        assert_eq!(headers["x-amz-meta-plain"].as_bytes(), "å ü 猫".as_bytes());
        assert_eq!(headers["x-amz-meta-encoded"], "=?UTF-8?B?w6U=?=");
    }
}
