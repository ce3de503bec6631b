//! What owners set on their buckets: checked when it is set, kept typed, never interpreted here.

use cairn_proto::model::v1;

use super::{Lifecycle, Website};

/// The settings of a bucket. None: not set.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    pub cors: Option<Cors>,
    pub lifecycle: Option<Lifecycle>,
    pub website: Option<Website>,
}

impl Settings {
    /// Nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// CORS rules, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    pub rules: Vec<CorsRule>,
}

/// One rule, as it was given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CorsRule {
    pub id: Option<String>,
    pub allowed_origins: Vec<String>,
    pub allowed_methods: Vec<String>,
    pub allowed_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age_s: Option<u32>,
}

impl Cors {
    pub(super) fn to_proto(&self) -> v1::Cors {
        let rule = |rule: &CorsRule| v1::CorsRule {
            id: rule.id.clone(),
            allowed_origins: rule.allowed_origins.clone(),
            allowed_methods: rule.allowed_methods.clone(),
            allowed_headers: rule.allowed_headers.clone(),
            expose_headers: rule.expose_headers.clone(),
            max_age_seconds: rule.max_age_s,
        };
        v1::Cors { rules: self.rules.iter().map(rule).collect() }
    }

    pub(super) fn from_proto(proto: v1::Cors) -> Self {
        let rule = |rule: v1::CorsRule| CorsRule {
            id: rule.id,
            allowed_origins: rule.allowed_origins,
            allowed_methods: rule.allowed_methods,
            allowed_headers: rule.allowed_headers,
            expose_headers: rule.expose_headers,
            max_age_s: rule.max_age_seconds,
        };
        Self { rules: proto.rules.into_iter().map(rule).collect() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any};

    use super::super::lifecycle::tests::any_lifecycle;
    use super::super::website::tests::any_website;
    use super::*;

    fn rule() -> impl Strategy<Value = CorsRule> {
        let words = || vec(".{0,12}", 0..4);
        (any::<Option<String>>(), words(), words(), words(), words(), any::<Option<u32>>()).prop_map(
            |(id, allowed_origins, allowed_methods, allowed_headers, expose_headers, max_age_s)| CorsRule {
                id,
                allowed_origins,
                allowed_methods,
                allowed_headers,
                expose_headers,
                max_age_s,
            },
        )
    }

    pub(in crate::rows) fn settings() -> impl Strategy<Value = Settings> {
        let cors = proptest::option::of(vec(rule(), 0..4).prop_map(|rules| Cors { rules }));
        let lifecycle = proptest::option::of(any_lifecycle());
        let website = proptest::option::of(any_website());
        (cors, lifecycle, website).prop_map(|(cors, lifecycle, website)| Settings { cors, lifecycle, website })
    }
}
