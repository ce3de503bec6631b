//! What keys may do with buckets.
//!
//! - **G1** A right limited to a prefix is a right on the keys that begin so and on no others; it never reaches the
//!   bucket itself. *Tested by `a_prefix_reaches_its_keys_only`.*

use std::collections::BTreeMap;

use cairn_proto::model::v1;

/// What may be done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rights {
    pub read: bool,
    pub write: bool,
    /// May change the bucket's settings and delete it.
    pub owner: bool,
}

impl Rights {
    pub const ALL: Rights = Rights { read: true, write: true, owner: true };

    #[must_use]
    pub const fn is_none(self) -> bool {
        !(self.read || self.write || self.owner)
    }

    /// These and `other`.
    #[must_use]
    pub const fn with(self, other: Rights) -> Self {
        Rights { read: self.read || other.read, write: self.write || other.write, owner: self.owner || other.owner }
    }

    /// These but `other`.
    #[must_use]
    pub const fn without(self, other: Rights) -> Self {
        Rights { read: self.read && !other.read, write: self.write && !other.write, owner: self.owner && !other.owner }
    }
}

/// What one key may do with one bucket.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Grant {
    /// On everything in the bucket, and on the bucket itself.
    pub whole: Rights,
    /// On keys that begin so, on top of `whole`; never [`Rights::is_none`], never as owner.
    pub within: BTreeMap<String, Rights>,
}

impl Grant {
    /// Rights on a whole bucket.
    #[must_use]
    pub const fn whole(rights: Rights) -> Self {
        Self { whole: rights, within: BTreeMap::new() }
    }

    #[must_use]
    pub fn is_none(&self) -> bool {
        self.whole.is_none() && self.within.is_empty()
    }

    /// Rights on every key that begins with `text`: on the key `text`, and on a listing of that prefix.
    #[must_use]
    pub fn on(&self, text: &[u8]) -> Rights {
        let matching = self.within.iter().filter(|(prefix, _)| text.starts_with(prefix.as_bytes()));
        matching.fold(self.whole, |held, (_, rights)| held.with(*rights))
    }

    /// Rights on some key or other.
    #[must_use]
    pub fn anywhere(&self) -> Rights {
        self.within.values().fold(self.whole, |held, rights| held.with(*rights))
    }

    /// Adds rights on keys with a prefix. The right of an owner is none of them.
    pub fn add_within(&mut self, prefix: &str, rights: Rights) {
        self.change_within(prefix, |held| held.with(Rights { owner: false, ..rights }));
    }

    /// Takes rights on keys with a prefix; those on the whole bucket and on other prefixes stay.
    pub fn remove_within(&mut self, prefix: &str, rights: Rights) {
        self.change_within(prefix, |held| held.without(rights));
    }

    /// Takes rights wherever they are.
    pub fn remove(&mut self, rights: Rights) {
        self.whole = self.whole.without(rights);
        self.within.values_mut().for_each(|held| *held = held.without(rights));
        self.within.retain(|_, held| !held.is_none());
    }

    fn change_within(&mut self, prefix: &str, change: impl FnOnce(Rights) -> Rights) {
        let rights = change(self.within.get(prefix).copied().unwrap_or_default());
        if rights.is_none() {
            self.within.remove(prefix);
        } else {
            self.within.insert(prefix.to_owned(), rights);
        }
    }

    pub(super) fn to_proto(&self, access_key: &str) -> v1::Grant {
        let prefixes = self.within.iter().map(|(prefix, rights)| v1::PrefixRights {
            prefix: prefix.clone(),
            read: rights.read,
            write: rights.write,
        });
        v1::Grant {
            access_key: access_key.to_owned(),
            read: self.whole.read,
            write: self.whole.write,
            owner: self.whole.owner,
            prefixes: prefixes.collect(),
        }
    }

    /// The access key, and its grant. An empty prefix would be the whole bucket: it is dropped.
    pub(super) fn from_proto(proto: v1::Grant) -> (String, Self) {
        let within = proto
            .prefixes
            .into_iter()
            .map(|within| (within.prefix, Rights { read: within.read, write: within.write, owner: false }))
            .filter(|(prefix, rights)| !prefix.is_empty() && !rights.is_none())
            .collect();
        let whole = Rights { read: proto.read, write: proto.write, owner: proto.owner };
        (proto.access_key, Self { whole, within })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::{Strategy, any};

    use super::*;

    const READ: Rights = Rights { read: true, write: false, owner: false };
    const WRITE: Rights = Rights { read: false, write: true, owner: false };

    /// Any grant that is one.
    pub(in crate::rows) fn grant() -> impl Strategy<Value = Grant> {
        let rights = any::<(bool, bool, bool)>().prop_map(|(read, write, owner)| Rights { read, write, owner });
        let within = any::<bool>().prop_map(|read| Rights { read, write: !read, owner: false });
        (rights, proptest::collection::btree_map(".{1,8}", within, 0..4))
            .prop_map(|(whole, within)| Grant { whole, within })
            .prop_filter("some right", |grant| !grant.is_none())
    }

    #[test]
    fn rights_add_and_subtract() {
        assert_eq!(Rights::ALL.without(READ), Rights { read: false, write: true, owner: true });
        assert_eq!(Rights::default().with(READ), READ);
        assert!(READ.without(Rights::ALL).is_none());
    }

    #[test]
    fn a_prefix_reaches_its_keys_only() {
        let mut grant = Grant::whole(READ);
        grant.add_within("in/", Rights::ALL);
        for (text, rights) in [
            ("in/", READ.with(WRITE)),
            ("in/a", READ.with(WRITE)),
            ("in", READ),
            ("", READ),
            ("inn/a", READ),
            ("In/a", READ),
        ] {
            assert_eq!(grant.on(text.as_bytes()), rights, "{text}");
        }
        assert_eq!(grant.whole, READ, "the bucket itself");
        assert_eq!(grant.anywhere(), READ.with(WRITE), "and never its owner");
    }

    #[test]
    fn rights_are_taken_where_it_is_said() {
        let mut grant = Grant::whole(READ);
        grant.add_within("in/", WRITE);
        grant.add_within("out/", READ.with(WRITE));
        grant.remove_within("out/", WRITE);
        assert_eq!((grant.on(b"out/x"), grant.on(b"in/x")), (READ, READ.with(WRITE)));
        grant.remove(WRITE);
        assert_eq!(grant.within.keys().collect::<Vec<_>>(), ["out/"]);
        grant.remove(Rights::ALL);
        assert!(grant.is_none());
    }

    #[test]
    fn an_empty_prefix_grants_nothing() {
        let prefixes = vec![v1::PrefixRights { prefix: String::new(), read: true, write: true }];
        let (_, grant) = Grant::from_proto(v1::Grant { prefixes, ..v1::Grant::default() });
        assert!(grant.is_none());
    }
}
