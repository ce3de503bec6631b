//! Which bucket and key a request is about: path style and virtual-host style.

use http::request::Parts;

use cairn_types::BucketName;

use crate::error::{ErrorCode, S3Error};
use crate::key::ObjectKey;
use crate::operation::ObjectRef;
use crate::uri::percent_decode;

/// The domains whose subdomains are buckets (virtual-host style). Path style works on every host.
#[derive(Clone, Default, Debug)]
pub struct Addressing {
    /// Lower case, the longest first, so that `b.s3.example.com` beats `example.com`.
    roots: Vec<String>,
}

/// What a request's host and path name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Service,
    Bucket(BucketName),
    Object(ObjectRef),
}

impl Addressing {
    /// Domains without a port, in any case.
    pub fn new(roots: impl IntoIterator<Item = String>) -> Self {
        let mut roots: Vec<String> = roots.into_iter().map(|root| root.to_ascii_lowercase()).collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        Self { roots }
    }

    /// The bucket a request is about, where its host and path name one, whatever else is wrong with it.
    #[must_use]
    pub fn bucket(&self, parts: &Parts) -> Option<BucketName> {
        match self.target(parts).ok()? {
            Target::Service => None,
            Target::Bucket(bucket) => Some(bucket),
            Target::Object(object) => Some(object.bucket),
        }
    }

    /// Whether the host names the bucket (virtual-host style), and the path the key alone.
    #[must_use]
    pub fn is_by_host(&self, parts: &Parts) -> bool {
        self.bucket_of_host(parts).is_some()
    }

    /// `InvalidBucketName`, `InvalidURI` or `KeyTooLongError` where the names are not valid.
    pub(super) fn target(&self, parts: &Parts) -> Result<Target, S3Error> {
        let path = parts.uri.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        // The first slash as sent parts bucket and key: an encoded one belongs to a name.
        let (bucket, key) = match self.bucket_of_host(parts) {
            Some(bucket) => (bucket, path),
            None if path.is_empty() => return Ok(Target::Service),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (decode(bucket)?, key)
            }
        };
        let bucket = std::str::from_utf8(&bucket)
            .ok()
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| S3Error::new(ErrorCode::InvalidBucketName))?;
        if key.is_empty() {
            return Ok(Target::Bucket(bucket));
        }
        Ok(Target::Object(ObjectRef { bucket, key: ObjectKey::new(decode(key)?)? }))
    }

    /// The bucket in front of one of our domains.
    fn bucket_of_host(&self, parts: &Parts) -> Option<Vec<u8>> {
        let header = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = header.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))?;
        let host = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
        let host = host.to_ascii_lowercase();
        if self.roots.contains(&host) {
            return None;
        }
        let bucket = self.roots.iter().find_map(|root| host.strip_suffix(root.as_str())?.strip_suffix('.'))?;
        Some(bucket.as_bytes().to_vec())
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn decode(text: &str) -> Result<Vec<u8>, S3Error> {
    percent_decode(text.as_bytes()).ok_or_else(|| ErrorCode::InvalidURI.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, path: &str) -> Result<Target, S3Error> {
        let request = http::Request::builder().uri(path).header("host", host).body(()).unwrap();
        let addressing = Addressing::new(["s3.example.com".to_owned(), "Example.com".to_owned()]);
        addressing.target(&request.into_parts().0)
    }

    fn names(host: &str, path: &str) -> (String, String) {
        match target(host, path).unwrap() {
            Target::Service => (String::new(), String::new()),
            Target::Bucket(bucket) => (bucket.to_string(), String::new()),
            Target::Object(object) => (object.bucket.to_string(), object.key.to_string()),
        }
    }

    #[test]
    fn both_styles_name_the_same_object() {
        for (host, path) in [
            ("localhost:9000", "/photos/cat.jpg"),
            ("s3.example.com", "/photos/cat.jpg"),
            ("photos.s3.example.com", "/cat.jpg"),
            ("PHOTOS.S3.example.com:9000", "/cat.jpg"),
            ("photos.example.com", "/cat.jpg"),
            ("127.0.0.1", "/photos/cat.jpg"),
            ("[::1]:9000", "/photos/cat.jpg"),
        ] {
            assert_eq!(names(host, path), ("photos".into(), "cat.jpg".into()), "{host}{path}");
        }
    }

    #[test]
    fn buckets_and_the_service() {
        assert_eq!(target("localhost", "/").unwrap(), Target::Service);
        assert_eq!(target("s3.example.com", "/").unwrap(), Target::Service);
        for (host, path) in [("localhost", "/photos"), ("localhost", "/photos/"), ("photos.s3.example.com", "/")] {
            assert_eq!(names(host, path), ("photos".into(), String::new()), "{host}{path}");
        }
        assert_eq!(names("my.dotted.s3.example.com", "/k"), ("my.dotted".into(), "k".into()));
    }

    #[test]
    fn keys_are_never_normalized() {
        for (path, key) in [
            ("/photos//a", "/a"),
            ("/photos/a//b", "a//b"),
            ("/photos/./a", "./a"),
            ("/photos/a/../b", "a/../b"),
            ("/photos/%2e%2e%2fb", "../b"),
            ("/photos/%252e", "%2e"),
            ("/photos/a+b", "a+b"),
            ("/photos/a%2Bb%20c", "a+b c"),
            ("/photos/%5C", "\\"),
            ("/photos/%00", "\0"),
            ("/photos/a/", "a/"),
            ("/photos/%F0%9F%90%88", "🐈"),
        ] {
            assert_eq!(names("localhost", path), ("photos".into(), key.into()), "{path}");
        }
    }

    #[test]
    fn bad_names_are_refused() {
        let long = format!("/photos/{}", "k".repeat(1025));
        for (path, code) in [
            ("/Photos/a", ErrorCode::InvalidBucketName),
            ("/photos%2Fa/b", ErrorCode::InvalidBucketName),
            ("//a", ErrorCode::InvalidBucketName),
            ("/../etc/passwd", ErrorCode::InvalidBucketName),
            ("/photos/%ff", ErrorCode::InvalidURI),
            ("/photos/%f", ErrorCode::InvalidURI),
            (long.as_str(), ErrorCode::KeyTooLongError),
        ] {
            assert_eq!(target("localhost", path).unwrap_err().code(), code, "{path}");
        }
    }
}
