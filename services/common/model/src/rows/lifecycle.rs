//! A bucket's lifecycle rules, and the one judge of what they let go. Pure.
//!
//! - **L1** A rule acts only on what matches *all* of its filters; what a rule says is stored whole or not at all, and a
//!   build that met a filter it does not know would refuse the row by its format ([`super`]).
//!   *Tested by `every_filter_must_match`.*
//! - **L2** Nothing goes before the midnight UTC that answers announce: days are counted from the creation and rounded
//!   up to the next midnight, as AWS does. *Tested by `days_end_at_the_next_midnight`.*

use cairn_proto::model::v1;

use super::RowError;

/// One day, in milliseconds: days of lifecycle rules know no leap seconds.
pub const DAY_MS: u64 = 86_400_000;

/// The rules of one bucket, as they were given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Lifecycle {
    /// 1 to 1,000.
    pub rules: Vec<LifecycleRule>,
}

/// Which objects and uploads, and what becomes of them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LifecycleRule {
    /// Unique in the bucket.
    pub id: String,
    pub enabled: bool,
    /// The prefix stood beside the actions, not in a filter: for those who read the rule back.
    pub legacy: bool,
    pub prefix: Option<String>,
    /// The object has more bytes than this.
    pub size_above: Option<u64>,
    /// The object has fewer bytes than this.
    pub size_below: Option<u64>,
    pub expiration: Option<Expiration>,
    /// Open uploads end after this many days, at least 1.
    pub abort_after_days: Option<u32>,
}

/// When an object goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiration {
    /// At the first midnight UTC after this many days, at least 1.
    Days(u32),
    /// From this midnight UTC on, in milliseconds since 1970, also objects that are written later.
    DateMs(u64),
}

/// What a rule has in store for an object or an upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due<'a> {
    /// Milliseconds since 1970, a midnight UTC.
    pub at_ms: u64,
    /// The id of the rule that says so.
    pub rule: &'a str,
}

impl Due<'_> {
    #[must_use]
    pub const fn has_come(&self, now_ms: u64) -> bool {
        self.at_ms <= now_ms
    }
}

impl Lifecycle {
    /// Whether any rule does anything.
    #[must_use]
    pub fn acts(&self) -> bool {
        self.rules.iter().any(|rule| rule.enabled)
    }

    /// When an object goes, by the rule that lets it go first; none: it stays.
    #[must_use]
    pub fn expiry(&self, key: &[u8], size: u64, last_modified_ms: u64) -> Option<Due<'_>> {
        self.first(|rule| {
            let at_ms = match rule.expiration? {
                Expiration::Days(days) => midnight_after(last_modified_ms, days),
                Expiration::DateMs(date_ms) => date_ms,
            };
            rule.matches(key, size).then_some(at_ms)
        })
    }

    /// When an upload that is still open is aborted; none: it stays.
    #[must_use]
    pub fn abort(&self, key: &[u8], created_at_ms: u64) -> Option<Due<'_>> {
        self.first(|rule| {
            let days = rule.abort_after_days?;
            rule.matches_upload(key).then(|| midnight_after(created_at_ms, days))
        })
    }

    fn first(&self, due: impl Fn(&LifecycleRule) -> Option<u64>) -> Option<Due<'_>> {
        let dues = self.rules.iter().filter(|rule| rule.enabled);
        let dues = dues.filter_map(|rule| Some(Due { at_ms: due(rule)?, rule: &rule.id }));
        dues.min_by_key(|due| due.at_ms)
    }

    pub(super) fn to_proto(&self) -> v1::Lifecycle {
        v1::Lifecycle { rules: self.rules.iter().map(LifecycleRule::to_proto).collect() }
    }

    pub(super) fn from_proto(proto: v1::Lifecycle) -> Result<Self, RowError> {
        let rules = proto.rules.into_iter().map(LifecycleRule::from_proto).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }
}

impl LifecycleRule {
    fn matches(&self, key: &[u8], size: u64) -> bool {
        self.matches_prefix(key)
            && self.size_above.is_none_or(|bound| size > bound)
            && self.size_below.is_none_or(|bound| size < bound)
    }

    /// An upload has no size yet: a rule that asks for one says nothing of it.
    fn matches_upload(&self, key: &[u8]) -> bool {
        self.matches_prefix(key) && self.size_above.is_none() && self.size_below.is_none()
    }

    fn matches_prefix(&self, key: &[u8]) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_bytes()))
    }

    fn to_proto(&self) -> v1::LifecycleRule {
        use v1::lifecycle_rule::Expiration as Proto;
        let expiration = self.expiration.map(|expiration| match expiration {
            Expiration::Days(days) => Proto::Days(days),
            Expiration::DateMs(date_ms) => Proto::DateMs(date_ms),
        });
        v1::LifecycleRule {
            id: self.id.clone(),
            enabled: self.enabled,
            legacy: self.legacy,
            prefix: self.prefix.clone(),
            size_above: self.size_above,
            size_below: self.size_below,
            abort_after_days: self.abort_after_days.unwrap_or(0),
            expiration,
        }
    }

    fn from_proto(proto: v1::LifecycleRule) -> Result<Self, RowError> {
        use v1::lifecycle_rule::Expiration as Proto;
        let expiration = match proto.expiration {
            None => None,
            Some(Proto::Days(0)) => return Err(RowError::Field("number of days")),
            Some(Proto::Days(days)) => Some(Expiration::Days(days)),
            Some(Proto::DateMs(date_ms)) => Some(Expiration::DateMs(date_ms)),
        };
        Ok(Self {
            id: proto.id,
            enabled: proto.enabled,
            legacy: proto.legacy,
            prefix: proto.prefix,
            size_above: proto.size_above,
            size_below: proto.size_below,
            expiration,
            abort_after_days: (proto.abort_after_days != 0).then_some(proto.abort_after_days),
        })
    }
}

/// `days` after `from_ms`, and on to the next midnight UTC.
fn midnight_after(from_ms: u64, days: u32) -> u64 {
    let passed = (from_ms / DAY_MS).saturating_add(u64::from(days)).saturating_add(1);
    passed.saturating_mul(DAY_MS)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};

    use super::*;

    pub(in crate::rows) fn any_lifecycle() -> impl Strategy<Value = Lifecycle> {
        let expiration =
            prop_oneof![(1..u32::MAX).prop_map(Expiration::Days), any::<u64>().prop_map(Expiration::DateMs)];
        let rule = (
            ".{0,20}",
            any::<(bool, bool, Option<u64>, Option<u64>)>(),
            proptest::option::of(".{0,20}"),
            proptest::option::of(expiration),
            proptest::option::of(1..u32::MAX),
        )
            .prop_map(|(id, (enabled, legacy, above, below), prefix, expiration, abort)| LifecycleRule {
                id,
                enabled,
                legacy,
                prefix,
                size_above: above,
                size_below: below,
                expiration,
                abort_after_days: abort,
            });
        proptest::collection::vec(rule, 0..5).prop_map(|rules| Lifecycle { rules })
    }

    fn rule(id: &str, days: u32) -> LifecycleRule {
        let expiration = Some(Expiration::Days(days));
        LifecycleRule { id: id.to_owned(), enabled: true, expiration, ..LifecycleRule::default() }
    }

    fn expires(rule: LifecycleRule, key: &str, size: u64) -> bool {
        Lifecycle { rules: vec![rule] }.expiry(key.as_bytes(), size, 0).is_some()
    }

    /// AWS's example: created on 15 January 2014 at 10:30, 3 days → gone on 19 January at midnight.
    #[test]
    fn days_end_at_the_next_midnight() {
        const JANUARY_15_10_30: u64 = 1_389_781_800_000;
        const JANUARY_19: u64 = 1_390_089_600_000;
        let lifecycle = Lifecycle { rules: vec![rule("a", 3)] };
        let due = lifecycle.expiry(b"k", 1, JANUARY_15_10_30).unwrap();
        assert_eq!((due.at_ms, due.rule), (JANUARY_19, "a"));
        assert!(!due.has_come(JANUARY_19 - 1) && due.has_come(JANUARY_19));
        // Never early: not even what was made at midnight itself.
        assert_eq!(lifecycle.expiry(b"k", 1, 0).unwrap().at_ms, 4 * DAY_MS);
        let forever = Lifecycle { rules: vec![rule("a", u32::MAX)] };
        assert!(!forever.expiry(b"k", 1, u64::MAX).unwrap().has_come(u64::MAX - 1));
    }

    #[test]
    fn every_filter_must_match() {
        let base = || rule("a", 1);
        assert!(expires(base(), "any", 0));
        let prefix = || LifecycleRule { prefix: Some("logs/".into()), ..base() };
        assert!(expires(prefix(), "logs/1", 0) && !expires(prefix(), "log", 0) && !expires(prefix(), "a/logs/", 0));
        let sizes = || LifecycleRule { size_above: Some(10), size_below: Some(20), ..base() };
        assert!(!expires(sizes(), "k", 10) && expires(sizes(), "k", 11));
        assert!(expires(sizes(), "k", 19) && !expires(sizes(), "k", 20));
        let both = || LifecycleRule { prefix: Some("a".into()), size_above: Some(10), ..base() };
        assert!(expires(both(), "ab", 11) && !expires(both(), "ab", 10) && !expires(both(), "b", 11));
        assert!(!expires(LifecycleRule { enabled: false, ..base() }, "k", 1));
        assert!(!expires(LifecycleRule { expiration: None, ..base() }, "k", 1));
    }

    #[test]
    fn the_first_of_several_rules_counts() {
        let date = LifecycleRule { expiration: Some(Expiration::DateMs(2 * DAY_MS)), ..rule("date", 1) };
        let lifecycle = Lifecycle { rules: vec![rule("late", 9), date, rule("later", 30)] };
        assert_eq!(lifecycle.expiry(b"k", 0, 0), Some(Due { at_ms: 2 * DAY_MS, rule: "date" }));
        // A date that has passed goes on working on what is written later.
        assert!(lifecycle.expiry(b"k", 0, 50 * DAY_MS).unwrap().has_come(50 * DAY_MS));
    }

    #[test]
    fn uploads_end_by_their_own_action() {
        let expiring = rule("a", 1);
        let aborting =
            LifecycleRule { abort_after_days: Some(2), prefix: Some("p".into()), expiration: None, ..rule("b", 1) };
        let lifecycle = Lifecycle { rules: vec![expiring, aborting.clone()] };
        assert_eq!(lifecycle.abort(b"p/x", 5), Some(Due { at_ms: 3 * DAY_MS, rule: "b" }));
        assert_eq!(lifecycle.abort(b"q", 5), None);
        let sized = LifecycleRule { size_above: Some(1), ..aborting };
        assert_eq!(Lifecycle { rules: vec![sized] }.abort(b"p", 5), None);
    }

    #[test]
    fn only_enabled_rules_act() {
        assert!(!Lifecycle::default().acts());
        assert!(!Lifecycle { rules: vec![LifecycleRule { enabled: false, ..rule("a", 1) }] }.acts());
        assert!(Lifecycle { rules: vec![rule("a", 1)] }.acts());
    }

    proptest! {
        #[test]
        fn lifecycle_round_trip(lifecycle in any_lifecycle()) {
            assert_eq!(Lifecycle::from_proto(lifecycle.to_proto()), Ok(lifecycle));
        }

        #[test]
        fn nothing_goes_before_its_days(from_ms in 0..u64::MAX / 2, days in 1..100_000_u32) {
            let at = midnight_after(from_ms, days);
            assert!(at > from_ms.saturating_add(u64::from(days) * DAY_MS));
            assert!(at <= from_ms.saturating_add((u64::from(days) + 1) * DAY_MS) && at.is_multiple_of(DAY_MS));
        }
    }
}
