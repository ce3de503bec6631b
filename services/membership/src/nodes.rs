//! What is known of each daemon: its record, merged as a CRDT, and when it was last heard.
//!
//! - **N1** Of two records of one store the later one stays, whatever the order they arrive in (crate `crdt`).
//! - **N2** A daemon's own heartbeat is its newest word, even after its clock was set back
//!   (`a_heartbeat_is_always_the_newest_word`).

use std::collections::BTreeMap;
use std::time::Duration;

use cairn_crdt::{LwwMap, Stamp, Stamped};
use cairn_model::view::{decode_node_record, encode_node};
use cairn_model::wire::WireError;
use cairn_placement::{NodeInfo, Role};
use cairn_proto::membership::v1;
use cairn_types::{NodeName, StoreId};
use tokio::time::Instant;

use crate::liveness::Arrivals;

/// Nodes that are kept; a cluster that needs more is beyond this design.
pub(crate) const MAX_NODES: usize = cairn_model::view::MAX_NODES;
/// A gateway makes a store id per start: one not heard for so long is forgotten.
const FORGET_GATEWAYS: Duration = Duration::from_secs(600);
/// The same for others that have no place in the layout.
const FORGET_OTHERS: Duration = Duration::from_secs(7 * 24 * 3600);

/// A daemon's word on itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NodeRecord {
    pub(crate) stamp: Stamp,
    pub(crate) removed: bool,
    /// `alive`, `last_heard_ms` and `placed` are not used here.
    pub(crate) info: NodeInfo,
    pub(crate) boot_count: u64,
    /// Membership: the highest record number it has promised, accepted or learned.
    pub(crate) last_sequence: u64,
}

impl Stamped for NodeRecord {
    fn stamp(&self) -> Stamp {
        self.stamp
    }
}

impl NodeRecord {
    pub(crate) fn decode(wire: v1::NodeRecord) -> Result<Self, WireError> {
        let status = wire.status.unwrap_or_default();
        Ok(Self {
            stamp: Stamp { incarnation: wire.incarnation, version: wire.version },
            removed: wire.removed,
            boot_count: status.boot_count,
            last_sequence: status.last_sequence,
            info: decode_node_record(wire)?,
        })
    }

    pub(crate) fn encode(&self) -> v1::NodeRecord {
        let mut wire = encode_node(&self.info).record.unwrap_or_default();
        wire.incarnation = self.stamp.incarnation;
        wire.version = self.stamp.version;
        wire.removed = self.removed;
        let mut status = wire.status.unwrap_or_default();
        status.boot_count = self.boot_count;
        status.last_sequence = self.last_sequence;
        wire.status = Some(status);
        wire
    }

    pub(crate) fn is_storage(&self) -> bool {
        matches!(self.info.role, Role::Table | Role::Block)
    }

    /// Without what changes with every heartbeat: what is worth keeping on disk. Gateways are not.
    pub(crate) fn lasting(&self) -> Option<Self> {
        if self.info.role == Role::Gateway {
            return None;
        }
        let mut lasting = self.clone();
        lasting.info.status = cairn_placement::NodeStatus::default();
        lasting.stamp.version = 0;
        lasting.boot_count = 0;
        if self.info.role != Role::Membership {
            lasting.last_sequence = 0;
        }
        Some(lasting)
    }
}

/// Records, and signs of life.
#[derive(Default)]
pub(crate) struct Nodes {
    records: LwwMap<StoreId, NodeRecord>,
    arrivals: BTreeMap<StoreId, Arrivals>,
    /// When a store's own heartbeat last reached this daemon.
    direct: BTreeMap<StoreId, Instant>,
    /// When a store was first known here.
    since: BTreeMap<StoreId, Instant>,
}

impl Nodes {
    /// Takes in a record of somebody else's. Answers whether it was news.
    pub(crate) fn learn(&mut self, record: NodeRecord, now: Instant) -> bool {
        let store = record.info.store;
        if self.records.get(&store).is_none() && self.records.len() >= MAX_NODES {
            return false;
        }
        self.since.entry(store).or_insert(now);
        self.records.put(store, record)
    }

    /// A heartbeat arrived from the daemon itself. Answers whether it says anything new.
    pub(crate) fn heartbeat(&mut self, mut record: NodeRecord, now: Instant) -> bool {
        let store = record.info.store;
        if let Some(known) = self.records.get(&store) {
            let said = |record: &NodeRecord| NodeRecord { stamp: Stamp::default(), ..record.clone() };
            if known.stamp >= record.stamp && said(known) != said(&record) {
                let version = known.stamp.version.saturating_add(1);
                record.stamp = Stamp { version, ..known.stamp };
            }
        }
        self.direct.insert(store, now);
        self.heard(store, now);
        self.learn(record, now)
    }

    /// True where a table store that was started anew says less of itself than it said before (REGISTER D4). One
    /// process's own heartbeats may overtake each other on their way: they are not compared.
    pub(crate) fn went_back(&self, record: &NodeRecord) -> bool {
        record.info.role == Role::Table
            && self.records.get(&record.info.store).is_some_and(|known| {
                known.stamp.incarnation != record.stamp.incarnation
                    && (record.boot_count < known.boot_count || record.last_sequence < known.last_sequence)
            })
    }

    /// Somebody heard of the store.
    pub(crate) fn heard(&mut self, store: StoreId, now: Instant) {
        self.arrivals.entry(store).and_modify(|arrivals| arrivals.sign(now)).or_insert_with(|| Arrivals::first(now));
    }

    /// Stores whose heartbeat arrived here after `since`.
    pub(crate) fn heard_since(&self, since: Instant) -> Vec<StoreId> {
        self.direct.iter().filter(|(_, at)| **at > since).map(|(store, _)| *store).collect()
    }

    pub(crate) fn is_alive(&self, store: StoreId, now: Instant) -> bool {
        self.arrivals.get(&store).is_some_and(|arrivals| arrivals.is_alive(now))
    }

    /// How long ago it was last heard; none: never.
    pub(crate) fn silence(&self, store: StoreId, now: Instant) -> Option<Duration> {
        self.arrivals.get(&store).map(|arrivals| arrivals.silence(now))
    }

    pub(crate) fn get(&self, store: StoreId) -> Option<&NodeRecord> {
        self.records.get(&store)
    }

    /// All that are not removed, in order of store ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &NodeRecord> {
        self.records.values().filter(|record| !record.removed)
    }

    /// Records later than those in `sent`, which then names them.
    pub(crate) fn news(&self, sent: &mut BTreeMap<StoreId, Stamp>) -> Vec<NodeRecord> {
        let mut news = Vec::new();
        for (store, record) in self.records.iter() {
            if sent.get(store).is_none_or(|stamp| *stamp < record.stamp) {
                sent.insert(*store, record.stamp);
                news.push(record.clone());
            }
        }
        news
    }

    /// What is worth keeping on disk.
    pub(crate) fn lasting(&self) -> Vec<NodeRecord> {
        self.records.values().filter_map(NodeRecord::lasting).collect()
    }

    /// Of the daemons of this name and role, the one most likely meant: a living one, else the latest started.
    pub(crate) fn named(&self, name: &NodeName, role: Role, now: Instant) -> Option<&NodeRecord> {
        self.iter()
            .filter(|record| record.info.name == *name && record.info.role == role)
            .max_by_key(|record| (self.is_alive(record.info.store, now), record.stamp, record.info.store))
    }

    /// Drops what has not been heard for long and has no place, here alone. Answers whether there was any.
    pub(crate) fn forget(&mut self, now: Instant, has_place: impl Fn(StoreId) -> bool) -> bool {
        let old = |record: &NodeRecord| {
            let store = record.info.store;
            let known = self.since.get(&store).map_or(Duration::ZERO, |since| now - *since);
            let silence = self.silence(store, now).unwrap_or(known);
            let limit = if record.info.role == Role::Gateway { FORGET_GATEWAYS } else { FORGET_OTHERS };
            silence > limit && !has_place(store)
        };
        let gone: Vec<StoreId> =
            self.records.values().filter(|record| old(record)).map(|record| record.info.store).collect();
        for store in &gone {
            self.records.forget(store);
            self.arrivals.remove(store);
            self.direct.remove(store);
            self.since.remove(store);
        }
        !gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn records_round_trip() {
        let mut record = node(3, Role::Block);
        record.boot_count = 4;
        record.removed = true;
        assert_eq!(NodeRecord::decode(record.encode()), Ok(record));
    }

    #[test]
    fn a_heartbeat_is_always_the_newest_word() {
        let (mut nodes, now) = (Nodes::default(), Instant::now());
        let mut record = node(1, Role::Table);
        record.stamp = Stamp { incarnation: 100, version: 7 };
        assert!(nodes.heartbeat(record.clone(), now));
        assert!(!nodes.heartbeat(record.clone(), now), "the same again is no news");
        record.stamp = Stamp { incarnation: 50, version: 1 };
        record.info.address = "elsewhere:1".to_owned();
        assert!(nodes.heartbeat(record.clone(), now));
        let known = nodes.get(record.info.store).unwrap();
        assert_eq!((known.info.address.as_str(), known.stamp.version), ("elsewhere:1", 8));
    }

    #[test]
    fn an_older_copy_of_a_table_is_noticed() {
        let (mut nodes, now) = (Nodes::default(), Instant::now());
        let at = |incarnation, boot_count, last_sequence| NodeRecord {
            stamp: Stamp { incarnation, version: 1 },
            boot_count,
            last_sequence,
            ..node(1, Role::Table)
        };
        assert!(!nodes.went_back(&at(1, 3, 50)), "nothing is known of it");
        nodes.heartbeat(at(1, 3, 50), now);
        assert!(!nodes.went_back(&at(1, 3, 49)), "heartbeats of one process overtake each other");
        assert!(!nodes.went_back(&at(2, 4, 50)));
        assert!(nodes.went_back(&at(2, 4, 49)));
        assert!(nodes.went_back(&at(2, 2, 60)));
    }

    #[test]
    fn news_is_told_once() {
        let (mut nodes, now) = (Nodes::default(), Instant::now());
        nodes.learn(node(1, Role::Table), now);
        nodes.learn(node(2, Role::Block), now);
        let mut sent = BTreeMap::new();
        assert_eq!(nodes.news(&mut sent).len(), 2);
        assert_eq!(nodes.news(&mut sent).len(), 0);
        let mut later = node(2, Role::Block);
        later.stamp.version += 1;
        nodes.learn(later.clone(), now);
        assert_eq!(nodes.news(&mut sent), vec![later]);
    }

    #[test]
    fn silent_gateways_are_forgotten_and_placed_stores_are_not() {
        let (mut nodes, now) = (Nodes::default(), Instant::now());
        let (gateway, table) = (node(1, Role::Gateway), node(2, Role::Table));
        nodes.heartbeat(gateway.clone(), now);
        nodes.learn(table.clone(), now);
        let later = now + Duration::from_secs(700);
        assert!(nodes.forget(later, |_| false));
        assert!(nodes.get(gateway.info.store).is_none() && nodes.get(table.info.store).is_some());
        let much_later = now + FORGET_OTHERS * 2;
        assert!(!nodes.forget(much_later, |store| store == table.info.store));
        assert!(nodes.forget(much_later, |_| false));
    }

    #[test]
    fn heartbeats_pass_on_as_signs_of_life() {
        let (mut nodes, start) = (Nodes::default(), Instant::now());
        let record = node(1, Role::Block);
        assert!(!nodes.is_alive(record.info.store, start));
        let now = start + Duration::from_secs(1);
        nodes.heartbeat(record.clone(), now);
        assert!(nodes.is_alive(record.info.store, now));
        assert_eq!(nodes.heard_since(start), vec![record.info.store]);
        assert!(nodes.heard_since(now).is_empty());
    }
}
