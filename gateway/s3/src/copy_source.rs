//! `x-amz-copy-source`.

use cairn_types::BucketName;

use crate::error::{ErrorCode, S3Error};
use crate::key::{ObjectKey, VersionId};
use crate::uri::percent_decode;

/// The object a copy reads. Reading it needs a right of its own (SECURITY V7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopySource {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
}

impl CopySource {
    /// Reads `[/]bucket/key[?versionId=id]`, percent-encoded once. A `+` is a `+`; nothing is normalized (SECURITY V9).
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        if text.starts_with("arn:") {
            return Err(S3Error::not_implemented("x-amz-copy-source with an access point's ARN"));
        }
        let (path, version) = match text.split_once("?versionId=") {
            Some((path, version)) => (path, Some(VersionId::new(version)?)),
            None => (text, None),
        };
        let decoded = percent_decode(path.as_bytes()).ok_or_else(|| Self::malformed(text))?;
        let decoded = decoded.strip_prefix(b"/").unwrap_or(&decoded);
        let slash = decoded.iter().position(|byte| *byte == b'/').ok_or_else(|| Self::malformed(text))?;
        let bucket = std::str::from_utf8(&decoded[..slash])
            .ok()
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| S3Error::new(ErrorCode::InvalidBucketName))?;
        let key = decoded[slash + 1..].to_vec();
        if key.is_empty() {
            return Err(Self::malformed(text));
        }
        Ok(Self { bucket, key: ObjectKey::new(key)?, version })
    }

    fn malformed(text: &str) -> S3Error {
        S3Error::invalid_argument(
            "x-amz-copy-source",
            text,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_decoded_once_and_not_normalized() {
        for (text, key) in [
            ("bucket/key", "key"),
            ("/bucket/key", "key"),
            ("%2Fbucket/key", "key"),
            ("bucket/a%20b", "a b"),
            ("bucket/a+b", "a+b"),
            ("bucket//a", "/a"),
            ("bucket/../other/key", "../other/key"),
            ("bucket/%252e%252e", "%2e%2e"),
            ("bucket/a%3FversionId=x", "a?versionId=x"),
        ] {
            let source = CopySource::parse(text).unwrap();
            assert_eq!((source.bucket.as_str(), source.key.as_str()), ("bucket", key), "{text}");
            assert_eq!(source.version, None);
        }
    }

    #[test]
    fn versions_are_read() {
        let source = CopySource::parse("bucket/key?versionId=null").unwrap();
        assert_eq!(source.version, Some(VersionId::Null));
        assert!(CopySource::parse("bucket/key?versionId=").is_err());
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for (text, code) in [
            ("", ErrorCode::InvalidArgument),
            ("bucket", ErrorCode::InvalidArgument),
            ("bucket/", ErrorCode::InvalidArgument),
            ("bucket/%zz", ErrorCode::InvalidArgument),
            ("../key", ErrorCode::InvalidBucketName),
            ("bucket/%ff", ErrorCode::InvalidURI),
            ("arn:aws:s3:eu:1:accesspoint/a/object/k", ErrorCode::NotImplemented),
        ] {
            assert_eq!(CopySource::parse(text).unwrap_err().code(), code, "{text}");
        }
    }
}
