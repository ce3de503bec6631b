//! Entity tags: what we give out, and what conditions compare with.

use std::fmt;
use std::str::FromStr;

use md5::{Digest as _, Md5};

/// An object's entity tag. `Display` is the bare text; [`ETag::quoted`] is what answers carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ETag {
    /// The MD5 of a body.
    Md5([u8; 16]),
    /// The MD5 of the parts' MD5s, and how many parts there were.
    Multipart { md5: [u8; 16], parts: u32 },
}

/// Text that is not one of our entity tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entity tag")]
pub struct NotAnETag;

impl ETag {
    /// The tag of an object made of parts with these MD5s.
    #[must_use]
    pub fn of_parts<'a>(part_md5s: impl IntoIterator<Item = &'a [u8; 16]>) -> Self {
        let mut hasher = Md5::new();
        let mut parts = 0;
        for md5 in part_md5s {
            hasher.update(md5);
            parts += 1;
        }
        Self::Multipart { md5: hasher.finalize().into(), parts }
    }

    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{self}\"")
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ETag::Md5(md5) | ETag::Multipart { md5, .. }) = self;
        let mut digits = [0; 32];
        hex::encode_to_slice(md5, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)?;
        match self {
            ETag::Md5(_) => Ok(()),
            ETag::Multipart { parts, .. } => write!(f, "-{parts}"),
        }
    }
}

impl FromStr for ETag {
    type Err = NotAnETag;

    /// Accepts quoted and bare text.
    fn from_str(text: &str) -> Result<Self, NotAnETag> {
        let bare = unquote(text);
        let (digest, parts) = match bare.split_once('-') {
            Some((digest, parts)) => (digest, Some(count(parts).ok_or(NotAnETag)?)),
            None => (bare, None),
        };
        let mut md5 = [0; 16];
        hex::decode_to_slice(digest, &mut md5).map_err(|_| NotAnETag)?;
        Ok(parts.map_or(ETag::Md5(md5), |parts| ETag::Multipart { md5, parts }))
    }
}

/// A number of parts, written as we write it.
fn count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|parts: &u32| parts.to_string() == text)
}

/// The text between double quotes, or the text itself.
#[must_use]
pub fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_are_read() {
        let tag: ETag = "d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
        assert_eq!("\"d41d8cd98f00b204e9800998ecf8427e\"".parse(), Ok(tag));
        assert_eq!(tag.quoted(), "\"d41d8cd98f00b204e9800998ecf8427e\"");
        let multipart: ETag = "d41d8cd98f00b204e9800998ecf8427e-12".parse().unwrap();
        assert_eq!(multipart.to_string(), "d41d8cd98f00b204e9800998ecf8427e-12");
        for bad in [
            "",
            "\"",
            "abc",
            "d41d8cd98f00b204e9800998ecf8427e-",
            "d41d8cd98f00b204e9800998ecf8427e-x",
            "d41d8cd98f00b204e9800998ecf8427e-+2",
            "d41d8cd98f00b204e9800998ecf8427e-02",
        ] {
            assert_eq!(bad.parse::<ETag>(), Err(NotAnETag), "{bad}");
        }
    }

    #[test]
    fn multipart_tag_is_md5_of_md5s() {
        // python: hashlib.md5(hashlib.md5(b"a").digest() + hashlib.md5(b"b").digest()).hexdigest()
        let parts = [Md5::digest(b"a").into(), Md5::digest(b"b").into()];
        assert_eq!(ETag::of_parts(&parts).to_string(), "96e024ba2074fe77e8e965ba43a704be-2");
    }
}
