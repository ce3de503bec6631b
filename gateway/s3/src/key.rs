//! Object keys and version ids, as requests name them.

use std::fmt;

use crate::error::{ErrorCode, S3Error};

/// An object's key: 1 to 1,024 bytes of UTF-8, never normalized (SECURITY V9). The signed bytes are the stored bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Takes decoded bytes. `KeyTooLongError` past the limit, `InvalidURI` where they are not UTF-8 or empty.
    pub fn new(bytes: Vec<u8>) -> Result<Self, S3Error> {
        if bytes.len() > Self::MAX_LEN {
            return Err(S3Error::new(ErrorCode::KeyTooLongError)
                .field("Size", bytes.len().to_string())
                .field("MaxSizeAllowed", Self::MAX_LEN.to_string()));
        }
        match String::from_utf8(bytes) {
            Ok(text) if !text.is_empty() => Ok(Self(text)),
            Ok(_) => Err(S3Error::with_message(ErrorCode::InvalidURI, "A key must not be empty.")),
            Err(_) => Err(S3Error::with_message(ErrorCode::InvalidURI, "A key must be UTF-8.")),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A `versionId` a request names. Without versioning only `null`, the current object, exists.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum VersionId {
    Null,
    Other(String),
}

impl VersionId {
    /// `InvalidArgument` where the text is empty, as AWS answers.
    pub fn new(text: &str) -> Result<Self, S3Error> {
        match text {
            "" => Err(S3Error::invalid_argument("versionId", "", "Version id cannot be the empty string")),
            "null" => Ok(Self::Null),
            other => Ok(Self::Other(other.to_owned())),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            VersionId::Null => "null",
            VersionId::Other(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_utf8() {
        assert!(ObjectKey::new(vec![b'k'; 1024]).is_ok());
        assert_eq!(ObjectKey::new(vec![b'k'; 1025]).unwrap_err().code(), ErrorCode::KeyTooLongError);
        assert_eq!(ObjectKey::new(vec![0xff, 0xfe]).unwrap_err().code(), ErrorCode::InvalidURI);
        assert_eq!(ObjectKey::new(Vec::new()).unwrap_err().code(), ErrorCode::InvalidURI);
        for strange in ["/a", "a//b", "..", "a/../b", "\0", " ", "\u{10FFFF}"] {
            assert_eq!(ObjectKey::new(strange.into()).unwrap().as_str(), strange);
        }
    }

    #[test]
    fn only_null_is_a_version() {
        assert_eq!(VersionId::new("null"), Ok(VersionId::Null));
        assert_eq!(VersionId::new("Null"), Ok(VersionId::Other("Null".into())));
        assert!(VersionId::new("").is_err());
    }
}
