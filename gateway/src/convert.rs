//! Between what rows keep and what S3 says. Pure.

mod website;

use bytes::Bytes;
use cairn_model::rows;
use cairn_s3::checksum::{Algorithm, Checksum, Kind, ObjectChecksum};
use cairn_s3::conditions::{ETagMatch, WriteConditions};
use cairn_s3::cors::{Cors, RuleText};
use cairn_s3::headers::{Metadata, ObjectHeaders};
use cairn_s3::lifecycle::{Expiration, Lifecycle, Rule};
use cairn_s3::{ETag, S3Error};

use crate::encryption::Secrecy;
use crate::failure::Failure;

pub(crate) use website::{stored_website, website};

pub(crate) fn stored_headers(headers: ObjectHeaders, metadata: &Metadata) -> rows::Headers {
    rows::Headers {
        content_type: headers.content_type,
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        expires: headers.expires,
        website_redirect: headers.website_redirect_location,
        metadata: metadata.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

pub(crate) fn answered_headers(headers: rows::Headers) -> (ObjectHeaders, Metadata) {
    let metadata = Metadata::from_pairs(headers.metadata);
    let headers = ObjectHeaders {
        content_type: headers.content_type,
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        expires: headers.expires,
        website_redirect_location: headers.website_redirect,
    };
    (headers, metadata)
}

pub(crate) const fn stored_algorithm(algorithm: Algorithm) -> rows::ChecksumAlgorithm {
    match algorithm {
        Algorithm::Crc32 => rows::ChecksumAlgorithm::Crc32,
        Algorithm::Crc32c => rows::ChecksumAlgorithm::Crc32c,
        Algorithm::Crc64Nvme => rows::ChecksumAlgorithm::Crc64Nvme,
        Algorithm::Sha1 => rows::ChecksumAlgorithm::Sha1,
        Algorithm::Sha256 => rows::ChecksumAlgorithm::Sha256,
    }
}

pub(crate) const fn algorithm(stored: rows::ChecksumAlgorithm) -> Algorithm {
    match stored {
        rows::ChecksumAlgorithm::Crc32 => Algorithm::Crc32,
        rows::ChecksumAlgorithm::Crc32c => Algorithm::Crc32c,
        rows::ChecksumAlgorithm::Crc64Nvme => Algorithm::Crc64Nvme,
        rows::ChecksumAlgorithm::Sha1 => Algorithm::Sha1,
        rows::ChecksumAlgorithm::Sha256 => Algorithm::Sha256,
    }
}

pub(crate) const fn stored_kind(kind: Kind) -> rows::ChecksumType {
    match kind {
        Kind::Composite => rows::ChecksumType::Composite,
        Kind::FullObject => rows::ChecksumType::FullObject,
    }
}

pub(crate) const fn kind(stored: rows::ChecksumType) -> Kind {
    match stored {
        rows::ChecksumType::Composite => Kind::Composite,
        rows::ChecksumType::FullObject => Kind::FullObject,
    }
}

pub(crate) fn stored_checksum(checksum: &Checksum, kind: Kind) -> rows::Checksum {
    rows::Checksum {
        algorithm: stored_algorithm(checksum.algorithm()),
        kind: stored_kind(kind),
        value: Bytes::copy_from_slice(checksum.as_bytes()),
    }
}

/// The value alone; an error where the row is damaged.
pub(crate) fn checksum(stored: &rows::Checksum) -> Result<Checksum, Failure> {
    Checksum::from_bytes(algorithm(stored.algorithm), &stored.value)
        .ok_or_else(|| Failure::internal("a stored checksum of the wrong length"))
}

/// An object's checksum, as answers show it.
pub(crate) fn object_checksum(head: &rows::ObjectHead, secrecy: &Secrecy) -> Result<Option<ObjectChecksum>, Failure> {
    let Some(stored) = &head.checksum else { return Ok(None) };
    let kind = kind(stored.kind);
    let parts = (kind == Kind::Composite).then_some(head.parts);
    Ok(Some(ObjectChecksum { value: secrecy.open_checksum(stored)?, kind, parts }))
}

pub(crate) fn etag(text: &str) -> Result<ETag, Failure> {
    text.parse().map_err(|_| Failure::internal("a stored entity tag is damaged"))
}

/// A write's conditions, as an upload's row keeps them. AWS knows one of the two at a time.
pub(crate) fn stored_condition(conditions: &WriteConditions) -> Result<rows::Condition, S3Error> {
    match (&conditions.if_match, conditions.if_absent) {
        (None, false) => Ok(rows::Condition::Always),
        (None, true) => Ok(rows::Condition::Absent),
        (Some(ETagMatch::Any), false) => Ok(rows::Condition::Etag("*".to_owned())),
        (Some(ETagMatch::OneOf(tags)), false) => Ok(rows::Condition::Etag(tags.join(","))),
        (Some(_), true) => Err(S3Error::not_implemented("If-Match together with If-None-Match")),
    }
}

pub(crate) fn stored_cors(cors: &Cors) -> rows::Cors {
    let rule = |rule: RuleText| rows::CorsRule {
        id: rule.id,
        allowed_origins: rule.allowed_origins,
        allowed_methods: rule.allowed_methods,
        allowed_headers: rule.allowed_headers,
        expose_headers: rule.expose_headers,
        max_age_s: rule.max_age_s,
    };
    rows::Cors { rules: cors.to_texts().into_iter().map(rule).collect() }
}

/// An error where the row is damaged.
pub(crate) fn cors(stored: &rows::Cors) -> Result<Cors, Failure> {
    let rule = |rule: &rows::CorsRule| RuleText {
        id: rule.id.clone(),
        allowed_origins: rule.allowed_origins.clone(),
        allowed_methods: rule.allowed_methods.clone(),
        allowed_headers: rule.allowed_headers.clone(),
        expose_headers: rule.expose_headers.clone(),
        max_age_s: rule.max_age_s,
    };
    Cors::new(stored.rules.iter().map(rule).collect())
        .map_err(|error| Failure::internal(format!("stored CORS rules are damaged: {error}")))
}

pub(crate) fn stored_lifecycle(lifecycle: Lifecycle) -> rows::Lifecycle {
    let rule = |rule: Rule| rows::LifecycleRule {
        id: rule.id,
        enabled: rule.enabled,
        legacy: rule.legacy,
        prefix: rule.prefix,
        size_above: rule.size_above,
        size_below: rule.size_below,
        expiration: rule.expiration.map(|expiration| match expiration {
            Expiration::Days(days) => rows::Expiration::Days(days),
            Expiration::DateMs(at) => rows::Expiration::DateMs(at),
        }),
        abort_after_days: rule.abort_after_days,
    };
    rows::Lifecycle { rules: lifecycle.rules.into_iter().map(rule).collect() }
}

pub(crate) fn lifecycle(stored: &rows::Lifecycle) -> Lifecycle {
    let rule = |rule: &rows::LifecycleRule| Rule {
        id: rule.id.clone(),
        enabled: rule.enabled,
        legacy: rule.legacy,
        prefix: rule.prefix.clone(),
        size_above: rule.size_above,
        size_below: rule.size_below,
        expiration: rule.expiration.map(|expiration| match expiration {
            rows::Expiration::Days(days) => Expiration::Days(days),
            rows::Expiration::DateMs(at) => Expiration::DateMs(at),
        }),
        abort_after_days: rule.abort_after_days,
    };
    Lifecycle { rules: stored.rules.iter().map(rule).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_round_trip() {
        for algorithm_ in Algorithm::ALL {
            assert_eq!(algorithm(stored_algorithm(algorithm_)), algorithm_);
            let value = cairn_s3::checksum::Hasher::of(algorithm_, b"cairn");
            assert_eq!(checksum(&stored_checksum(&value, Kind::FullObject)).unwrap(), value);
        }
        let damaged = rows::Checksum {
            algorithm: rows::ChecksumAlgorithm::Crc32,
            kind: rows::ChecksumType::Composite,
            value: Bytes::from_static(b"abc"),
        };
        assert!(checksum(&damaged).is_err());
    }

    /// What an upload's row says of its condition is what the request said of it.
    #[test]
    fn stored_conditions_judge_as_requests_do() {
        let tags = ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef-2"];
        let given = [
            WriteConditions::default(),
            WriteConditions { if_match: None, if_absent: true },
            WriteConditions { if_match: Some(ETagMatch::parse("*")), if_absent: false },
            WriteConditions { if_match: Some(ETagMatch::parse(tags[0])), if_absent: false },
            WriteConditions {
                if_match: Some(ETagMatch::parse("\"x\", W/\"0123456789ABCDEF0123456789ABCDEF-2\"")),
                if_absent: false,
            },
        ];
        for conditions in given {
            let stored = stored_condition(&conditions).unwrap();
            for current in [None, Some(tags[0]), Some(tags[1])] {
                let parsed = current.map(|text| etag(text).unwrap());
                assert_eq!(stored.holds(current), conditions.check(parsed.as_ref()).is_ok(), "{stored:?} {current:?}");
            }
        }
    }

    #[test]
    fn cors_rules_round_trip() {
        let list = |text: &str| vec![text.to_owned()];
        let rule = RuleText {
            id: Some("1".to_owned()),
            allowed_origins: list("https://*.example"),
            allowed_methods: list("PUT"),
            allowed_headers: list("X-*"),
            expose_headers: list("ETag"),
            max_age_s: Some(5),
        };
        let given = Cors::new(vec![rule.clone()]).unwrap();
        assert_eq!(cors(&stored_cors(&given)).unwrap().to_texts(), [rule]);
        assert!(cors(&rows::Cors { rules: Vec::new() }).is_err());
    }

    #[test]
    fn lifecycle_rules_round_trip() {
        let rule = Rule { id: "a".into(), enabled: true, prefix: Some("p".into()), ..Rule::default() };
        let given = Lifecycle {
            rules: vec![
                Rule { legacy: true, expiration: Some(Expiration::Days(3)), ..rule.clone() },
                Rule {
                    size_above: Some(1),
                    size_below: Some(9),
                    expiration: Some(Expiration::DateMs(5)),
                    ..rule.clone()
                },
                Rule { enabled: false, prefix: None, abort_after_days: Some(7), ..rule },
            ],
        };
        assert_eq!(lifecycle(&stored_lifecycle(given.clone())), given);
    }

    #[test]
    fn headers_round_trip() {
        let headers = ObjectHeaders { content_type: Some("text/plain".into()), ..Default::default() };
        let metadata = Metadata::from_pairs(vec![("a".into(), "1".into()), ("b".into(), "å".into())]);
        let stored = stored_headers(headers.clone(), &metadata);
        assert_eq!(answered_headers(stored), (headers, metadata));
    }
}
