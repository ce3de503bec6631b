//! Names that people choose, checked where they enter.

use std::fmt;
use std::str::FromStr;

/// Why text is not a name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{what} must be {min} to {max} characters long")]
    Length { what: &'static str, min: usize, max: usize },
    #[error("{what} may hold only {allowed}")]
    Character { what: &'static str, allowed: &'static str },
    #[error("{what} {why}")]
    Shape { what: &'static str, why: &'static str },
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

name! {
    /// A bucket's name by AWS's rules for general purpose buckets:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
    BucketName, check_bucket
}
name! {
    /// A node's place in the layout, chosen by the operator.
    NodeName, check_node
}
name! {
    /// A failure zone: a house, a room, a data centre.
    ZoneName, check_zone
}

fn check_bucket(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "a bucket name";
    if !(3..=63).contains(&text.len()) {
        return Err(NameError::Length { what: WHAT, min: 3, max: 63 });
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !text.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'.') {
        return Err(NameError::Character { what: WHAT, allowed: "a-z, 0-9, '-' and '.'" });
    }
    let bytes = text.as_bytes();
    if !plain(bytes[0]) || !plain(bytes[bytes.len() - 1]) {
        return Err(NameError::Shape { what: WHAT, why: "must begin and end with a letter or digit" });
    }
    if text.contains("..") {
        return Err(NameError::Shape { what: WHAT, why: "may not hold two dots in a row" });
    }
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err(NameError::Shape { what: WHAT, why: "may not look like an IP address" });
    }
    let reserved = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| text.starts_with(prefix))
        || ["-s3alias", "--ol-s3", ".mrap", "--x-s3"].iter().any(|suffix| text.ends_with(suffix));
    if reserved {
        return Err(NameError::Shape { what: WHAT, why: "has a prefix or suffix that is reserved" });
    }
    Ok(())
}

fn check_node(text: &str) -> Result<(), NameError> {
    check_label("a node name", text)
}

fn check_zone(text: &str) -> Result<(), NameError> {
    check_label("a zone name", text)
}

fn check_label(what: &'static str, text: &str) -> Result<(), NameError> {
    if !(1..=64).contains(&text.len()) {
        return Err(NameError::Length { what, min: 1, max: 64 });
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(NameError::Character { what, allowed: "letters, digits, '-', '_' and '.'" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_aws() {
        for good in ["abc", "my-bucket", "a.b.c", "0-9", &"a".repeat(63)] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
        for bad in ["ab", "Abc", "a_b", "-abc", "abc-", "a..b", "10.0.0.1", "xn--abc", "abc-s3alias", &"a".repeat(64)] {
            assert!(bad.parse::<BucketName>().is_err(), "{bad}");
        }
    }
}
