//! Rows of buckets and gates.

use std::collections::{BTreeMap, BTreeSet};

use cairn_proto::model::v1;
use cairn_register::Gate;
use cairn_types::BucketId;

use super::grant::Grant;
use super::{Cors, Lifecycle, RowError, Settings, TypedRow, Website};

/// `bucket_name`: who has this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketNameRow {
    pub bucket: BucketId,
}

impl TypedRow for BucketNameRow {
    type Proto = v1::BucketNameRow;

    fn to_proto(&self) -> v1::BucketNameRow {
        v1::BucketNameRow { bucket_id: self.bucket.to_bytes() }
    }

    fn from_proto(proto: v1::BucketNameRow) -> Result<Self, RowError> {
        Ok(Self { bucket: BucketId::try_from(proto.bucket_id.as_ref())? })
    }
}

/// `bucket`: owner, grants and settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketRow {
    pub name: String,
    pub created_at_ms: u64,
    /// The access key that made it; empty: nobody's yet.
    pub owner: String,
    /// By access key; no entry is [`Grant::is_none`].
    pub grants: BTreeMap<String, Grant>,
    pub settings: Settings,
    pub quota: Quota,
    /// Other names whose rows lead here, and maybe some that no longer do: a hint for whoever deletes the bucket.
    pub aliases: BTreeSet<String>,
}

/// What a bucket may hold at most; by default anything.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Quota {
    /// Bytes of all objects together.
    pub max_bytes: Option<u64>,
    pub max_objects: Option<u64>,
}

impl Quota {
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.max_bytes.is_none() && self.max_objects.is_none()
    }
}

impl TypedRow for BucketRow {
    /// 2: with settings, a quota, or rights within prefixes.
    const FORMAT: u8 = 2;
    type Proto = v1::BucketRow;

    fn format(&self) -> u8 {
        let within = self.grants.values().any(|grant| !grant.within.is_empty());
        if self.settings.is_empty() && self.quota.is_none() && !within { 1 } else { 2 }
    }

    fn to_proto(&self) -> v1::BucketRow {
        v1::BucketRow {
            name: self.name.clone(),
            created_at_ms: self.created_at_ms,
            owner: self.owner.clone(),
            grants: self.grants.iter().map(|(access_key, grant)| grant.to_proto(access_key)).collect(),
            cors: self.settings.cors.as_ref().map(Cors::to_proto),
            website: self.settings.website.as_ref().map(Website::to_proto),
            lifecycle: self.settings.lifecycle.as_ref().map(Lifecycle::to_proto),
            quota: (!self.quota.is_none())
                .then_some(v1::Quota { max_bytes: self.quota.max_bytes, max_objects: self.quota.max_objects }),
            aliases: self.aliases.iter().cloned().collect(),
        }
    }

    fn from_proto(proto: v1::BucketRow) -> Result<Self, RowError> {
        let grants = proto.grants.into_iter().map(Grant::from_proto).filter(|(_, grant)| !grant.is_none()).collect();
        let settings = Settings {
            cors: proto.cors.map(Cors::from_proto),
            lifecycle: proto.lifecycle.map(Lifecycle::from_proto).transpose()?,
            website: proto.website.map(Website::from_proto).transpose()?,
        };
        let quota = proto.quota.unwrap_or_default();
        let quota = Quota { max_bytes: quota.max_bytes, max_objects: quota.max_objects };
        let aliases = proto.aliases.into_iter().collect();
        Ok(Self {
            name: proto.name,
            created_at_ms: proto.created_at_ms,
            owner: proto.owner,
            grants,
            settings,
            quota,
            aliases,
        })
    }
}

/// `gate`: whether a bucket's shard takes new values (REGISTER §12). No row: open, number 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GateRow {
    Open(u64),
    Closing(u64),
    Sealed,
}

impl GateRow {
    /// The gate as a replica judges by it.
    #[must_use]
    pub const fn gate(self) -> Gate {
        match self {
            GateRow::Open(_) => Gate::Open,
            GateRow::Closing(number) => Gate::Closing(number),
            GateRow::Sealed => Gate::Sealed,
        }
    }

    /// The number; a sealed gate has none.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            GateRow::Open(number) | GateRow::Closing(number) => number,
            GateRow::Sealed => 0,
        }
    }
}

impl TypedRow for GateRow {
    type Proto = v1::GateRow;

    fn to_proto(&self) -> v1::GateRow {
        let state = match self {
            GateRow::Open(_) => v1::GateState::Open,
            GateRow::Closing(_) => v1::GateState::Closing,
            GateRow::Sealed => v1::GateState::Sealed,
        };
        v1::GateRow { state: state.into(), number: self.number() }
    }

    fn from_proto(proto: v1::GateRow) -> Result<Self, RowError> {
        match v1::GateState::try_from(proto.state) {
            Ok(v1::GateState::Open) => Ok(GateRow::Open(proto.number)),
            Ok(v1::GateState::Closing) => Ok(GateRow::Closing(proto.number)),
            Ok(v1::GateState::Sealed) => Ok(GateRow::Sealed),
            Ok(v1::GateState::Unspecified) | Err(_) => Err(RowError::Field("gate state")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::{Strategy as _, any, prop_oneof, proptest};

    use super::super::settings::tests::settings;
    use super::*;
    use crate::rows::grant::tests::grant;

    proptest! {
        #[test]
        fn bucket_round_trip(
            name in ".*", owner in ".*", created_at_ms: u64,
            grants in proptest::collection::btree_map(".{0,20}", grant(), 0..8), settings in settings(),
            max_bytes: Option<u64>, max_objects: Option<u64>,
            aliases in proptest::collection::btree_set(".{0,20}", 0..4),
        ) {
            let quota = Quota { max_bytes, max_objects };
            let row = BucketRow { name, created_at_ms, owner, grants, settings, quota, aliases };
            assert_eq!(BucketRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn gate_round_trip(row in prop_oneof![
            any::<u64>().prop_map(GateRow::Open), any::<u64>().prop_map(GateRow::Closing), proptest::prelude::Just(GateRow::Sealed)
        ]) {
            assert_eq!(GateRow::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            drop(BucketRow::decode(&bytes));
            drop(GateRow::decode(&bytes));
        }
    }

    #[test]
    fn only_settings_and_prefixes_need_the_newer_format() {
        let name = "b".to_owned();
        let mut row = BucketRow {
            name,
            created_at_ms: 0,
            owner: String::new(),
            grants: BTreeMap::new(),
            settings: Settings::default(),
            quota: Quota { max_bytes: Some(1), max_objects: None },
            aliases: BTreeSet::new(),
        };
        assert_eq!(row.encode()[0], 2);
        row.quota = Quota::default();
        assert_eq!(row.encode()[0], 1);
        row.settings.cors = Some(Cors { rules: Vec::new() });
        assert_eq!(row.encode()[0], 2, "a build that does not know settings must not rewrite this");
        row.settings.cors = None;
        let mut grant = Grant::default();
        grant.add_within("in/", super::super::Rights::ALL);
        row.grants.insert("k".to_owned(), grant);
        assert_eq!(row.encode()[0], 2, "nor one that does not know prefixes this");
    }
}
