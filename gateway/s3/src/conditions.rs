//! Preconditions of reads, writes and copies (S3.md §4), in the order of RFC 9110 §13.2.2.
//!
//! - Dates are compared in whole seconds: an object is not newer than its own `Last-Modified`.
//! - A missing object never matches an `If-Match` of a write: that is `NoSuchKey`, as AWS answers.

use crate::date::parse_http_date;
use crate::error::{ErrorCode, S3Error};
use crate::etag::{ETag, unquote};

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ETagMatch {
    /// `*`
    Any,
    /// Bare texts; one that is no tag of ours just never matches.
    OneOf(Vec<String>),
}

impl ETagMatch {
    /// Reads the header: `*`, or tags separated by commas, quoted, weak or bare.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text == "*" {
            return Self::Any;
        }
        let bare = |tag: &str| {
            let tag = tag.trim();
            unquote(tag.strip_prefix("W/").unwrap_or(tag)).to_owned()
        };
        Self::OneOf(text.split(',').map(bare).collect())
    }

    #[must_use]
    pub fn matches(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => {
                let own = etag.to_string();
                tags.iter().any(|tag| tag.eq_ignore_ascii_case(&own))
            }
        }
    }
}

/// Preconditions on an object that is read, also as the source of a copy. Dates are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ReadConditions {
    pub if_match: Option<ETagMatch>,
    pub if_none_match: Option<ETagMatch>,
    pub if_modified_since: Option<u64>,
    pub if_unmodified_since: Option<u64>,
}

/// What a read's preconditions say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Proceed,
    NotModified,
    /// Names the header that did not hold.
    Failed(&'static str),
}

impl ReadConditions {
    /// Judges the object that is there.
    #[must_use]
    pub fn evaluate(&self, etag: &ETag, modified_unix_ms: u64) -> Verdict {
        let modified = modified_unix_ms / 1000;
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches(etag) => return Verdict::Failed("If-Match"),
            (None, Some(since)) if modified > since => return Verdict::Failed("If-Unmodified-Since"),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches(etag) => Verdict::NotModified,
            (None, Some(since)) if modified <= since => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }

    /// For GET and HEAD: `NotModified` (with the `ETag` the 304 carries) or `PreconditionFailed`.
    pub fn check(&self, etag: &ETag, modified_unix_ms: u64) -> Result<(), S3Error> {
        match self.evaluate(etag, modified_unix_ms) {
            Verdict::Proceed => Ok(()),
            Verdict::NotModified => Err(S3Error::new(ErrorCode::NotModified).field("ETag", etag.quoted())),
            Verdict::Failed(condition) => Err(S3Error::precondition_failed(condition)),
        }
    }

    /// For the source of a copy, where "not modified" is a failed precondition too.
    pub fn check_copy_source(&self, etag: &ETag, modified_unix_ms: u64) -> Result<(), S3Error> {
        match self.evaluate(etag, modified_unix_ms) {
            Verdict::Proceed => Ok(()),
            Verdict::NotModified if self.if_none_match.is_some() => {
                Err(S3Error::precondition_failed("x-amz-copy-source-If-None-Match"))
            }
            Verdict::NotModified => Err(S3Error::precondition_failed("x-amz-copy-source-If-Modified-Since")),
            Verdict::Failed("If-Match") => Err(S3Error::precondition_failed("x-amz-copy-source-If-Match")),
            Verdict::Failed(_) => Err(S3Error::precondition_failed("x-amz-copy-source-If-Unmodified-Since")),
        }
    }
}

/// `If-Range`: the range counts only while the object is still this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IfRange {
    ETag(String),
    /// Seconds since 1970.
    Date(u64),
}

impl IfRange {
    #[must_use]
    pub fn parse(text: &str) -> Self {
        parse_http_date(text).map_or_else(|| Self::ETag(text.trim().to_owned()), Self::Date)
    }

    /// Strong comparison, as RFC 9110 §13.1.5 asks: a weak tag never holds, a date only when it is the very second.
    #[must_use]
    pub fn holds(&self, etag: &ETag, modified_unix_ms: u64) -> bool {
        match self {
            Self::ETag(tag) => unquote(tag) == etag.to_string(),
            Self::Date(date) => *date == modified_unix_ms / 1000,
        }
    }
}

/// Preconditions of a write on what it would replace.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WriteConditions {
    pub if_match: Option<ETagMatch>,
    /// `If-None-Match: *`, the only form AWS has for writes.
    pub if_absent: bool,
}

impl WriteConditions {
    /// Whether there is nothing to judge: such a write may go blind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && !self.if_absent
    }

    /// Judges the settled current object; a delete marker counts as none.
    pub fn check(&self, current: Option<&ETag>) -> Result<(), S3Error> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(S3Error::new(ErrorCode::NoSuchKey)),
            (Some(tags), Some(etag)) if !tags.matches(etag) => return Err(S3Error::precondition_failed("If-Match")),
            _ => {}
        }
        if self.if_absent && current.is_some() {
            return Err(S3Error::precondition_failed("If-None-Match"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED_MS: u64 = 1_000_000_500;
    const MODIFIED: u64 = 1_000_000;

    fn tag() -> ETag {
        ETag::Md5([0xab; 16])
    }

    fn matching() -> Option<ETagMatch> {
        Some(ETagMatch::parse(&tag().quoted()))
    }

    fn other() -> Option<ETagMatch> {
        Some(ETagMatch::parse("\"nonsense\", W/\"more\""))
    }

    #[test]
    fn the_objects_own_second_is_not_newer() {
        let since = |seconds| ReadConditions { if_modified_since: Some(seconds), ..Default::default() };
        assert_eq!(since(MODIFIED).evaluate(&tag(), MODIFIED_MS), Verdict::NotModified);
        assert_eq!(since(MODIFIED - 1).evaluate(&tag(), MODIFIED_MS), Verdict::Proceed);
        let unless = |seconds| ReadConditions { if_unmodified_since: Some(seconds), ..Default::default() };
        assert_eq!(unless(MODIFIED).evaluate(&tag(), MODIFIED_MS), Verdict::Proceed);
        assert_eq!(unless(MODIFIED - 1).evaluate(&tag(), MODIFIED_MS), Verdict::Failed("If-Unmodified-Since"));
    }

    #[test]
    fn tags_outrank_dates() {
        let stale = ReadConditions {
            if_match: matching(),
            if_unmodified_since: Some(0),
            if_none_match: other(),
            if_modified_since: Some(MODIFIED),
        };
        assert_eq!(stale.evaluate(&tag(), MODIFIED_MS), Verdict::Proceed);
        let failed = ReadConditions { if_match: other(), if_none_match: matching(), ..Default::default() };
        assert_eq!(failed.evaluate(&tag(), MODIFIED_MS), Verdict::Failed("If-Match"));
        let unchanged = ReadConditions { if_none_match: matching(), if_modified_since: Some(0), ..Default::default() };
        assert_eq!(unchanged.evaluate(&tag(), MODIFIED_MS), Verdict::NotModified);
    }

    #[test]
    fn bare_and_starred_tags_match() {
        for text in [
            "*",
            "\"abababababababababababababababab\"",
            "abababababababababababababababab",
            "x, \"abababababababababababababababab\"",
        ] {
            assert!(ETagMatch::parse(text).matches(&tag()), "{text}");
        }
        assert!(!ETagMatch::parse("").matches(&tag()));
    }

    #[test]
    fn not_modified_carries_the_tag_and_no_body() {
        let conditions = ReadConditions { if_none_match: matching(), ..Default::default() };
        let answer = conditions.check(&tag(), MODIFIED_MS).unwrap_err().to_response("id", false);
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.headers()["etag"], tag().quoted());
        assert!(answer.body().is_empty());
    }

    #[test]
    fn a_copys_unmodified_source_is_a_failed_precondition() {
        let conditions = ReadConditions { if_none_match: matching(), ..Default::default() };
        let error = conditions.check_copy_source(&tag(), MODIFIED_MS).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PreconditionFailed);
    }

    #[test]
    fn writes_judge_the_current_object() {
        let code =
            |conditions: &WriteConditions, current: Option<&ETag>| conditions.check(current).err().map(|e| e.code());
        let absent = WriteConditions { if_match: None, if_absent: true };
        assert_eq!(code(&absent, None), None);
        assert_eq!(code(&absent, Some(&tag())), Some(ErrorCode::PreconditionFailed));
        let same = WriteConditions { if_match: matching(), if_absent: false };
        assert_eq!(code(&same, Some(&tag())), None);
        assert_eq!(code(&same, None), Some(ErrorCode::NoSuchKey));
        assert_eq!(code(&same, Some(&ETag::Md5([0; 16]))), Some(ErrorCode::PreconditionFailed));
        assert!(WriteConditions::default().is_empty());
    }

    #[test]
    fn if_range_compares_strongly() {
        assert!(IfRange::parse(&tag().quoted()).holds(&tag(), MODIFIED_MS));
        assert!(!IfRange::parse(&format!("W/{}", tag().quoted())).holds(&tag(), MODIFIED_MS));
        let date = crate::date::http_date(MODIFIED_MS);
        assert!(IfRange::parse(&date).holds(&tag(), MODIFIED_MS));
        assert!(!IfRange::parse(&date).holds(&tag(), MODIFIED_MS + 1000));
    }
}
