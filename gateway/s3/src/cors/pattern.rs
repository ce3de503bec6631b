//! A text with at most one `*`, which stands for any characters.

use std::fmt;

/// Compared as it stands; what is compared with it is never longer than a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Pattern {
    Exact(String),
    /// What stands before and after the star.
    Star(String, String),
}

impl Pattern {
    /// `None`: more than one star.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('*') {
            None => Some(Self::Exact(text.to_owned())),
            Some((_, after)) if after.contains('*') => None,
            Some((before, after)) => Some(Self::Star(before.to_owned(), after.to_owned())),
        }
    }

    /// The star alone.
    pub(super) fn is_any(&self) -> bool {
        matches!(self, Self::Star(before, after) if before.is_empty() && after.is_empty())
    }

    /// Header names: in any case.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        match self {
            Self::Exact(text) => text.eq_ignore_ascii_case(&name),
            Self::Star(before, after) => has_ends(&name, &before.to_ascii_lowercase(), &after.to_ascii_lowercase()),
        }
    }

    /// Origins: exactly. `null` is what browsers say of sandboxed pages and of files: a pattern for hosts never means it.
    pub(super) fn matches_origin(&self, origin: &str) -> bool {
        match self {
            Self::Exact(text) => text == origin,
            Self::Star(before, after) => (origin != "null" || self.is_any()) && has_ends(origin, before, after),
        }
    }
}

/// The star stands for anything, but what is before it and what is after it do not overlap.
fn has_ends(text: &str, before: &str, after: &str) -> bool {
    text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Star(before, after) => write!(f, "{before}*{after}"),
        }
    }
}
