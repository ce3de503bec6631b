//! Which bucket a host is the site of.

use cairn_types::BucketName;

/// The names sites have: `BUCKET.root`, where there is a root, and buckets' own names and aliases.
#[derive(Clone, Default, Debug)]
pub struct Hosts {
    root: Option<String>,
}

impl Hosts {
    /// `root`: a domain without a port, in any case.
    #[must_use]
    pub fn new(root: Option<&str>) -> Self {
        Self { root: root.map(|root| root.trim_matches('.').to_ascii_lowercase()) }
    }

    /// The name of the bucket that would be served for a `Host`, which may have a port. None: no bucket can have it.
    #[must_use]
    pub fn bucket(&self, authority: &str) -> Option<BucketName> {
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let host = authority.rsplit_once(':').filter(|(_, port)| digits(port)).map_or(authority, |(host, _)| host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let below_root = self.root.as_deref().and_then(|root| host.strip_suffix(root));
        match below_root {
            Some("") => None,
            Some(below) => match below.strip_suffix('.') {
                Some(bucket) => bucket.parse().ok(),
                None => host.parse().ok(),
            },
            None => host.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_name_buckets() {
        let hosts = Hosts::new(Some("Web.Example"));
        for (authority, bucket) in [
            ("photos.web.example", Some("photos")),
            ("Photos.WEB.example:3902", Some("photos")),
            ("photos.web.example.", Some("photos")),
            ("my.photos.web.example", Some("my.photos")),
            ("www.example.org", Some("www.example.org")),
            ("www.example.org:80", Some("www.example.org")),
            ("photosweb.example", Some("photosweb.example")),
            ("photos", Some("photos")),
            ("web.example", None),
            (".web.example", None),
            ("web.example:80", None),
            ("127.0.0.1:3902", None),
            ("[::1]:3902", None),
            ("", None),
            ("a b.web.example", None),
            ("photos/../x.web.example", None),
            ("user@photos.web.example", None),
        ] {
            assert_eq!(hosts.bucket(authority).as_ref().map(BucketName::as_str), bucket, "{authority}");
        }
        assert_eq!(Hosts::new(None).bucket("photos.web.example").unwrap().as_str(), "photos.web.example");
    }
}
