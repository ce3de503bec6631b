//! Makes this daemon's view and hands it to watchers: at once for a new layout record, else a few times a second at
//! most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_placement::{ClusterView, LayoutRecord, NodeInfo};
use cairn_types::StoreId;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use crate::disk::voters_record;
use crate::membership::{Membership, placed};

/// Between views that bring no new layout record.
const VIEW_INTERVAL: Duration = Duration::from_millis(250);
/// How often the daemon speaks, listens who lives, and counts what changed slowly.
pub(crate) const TICK: Duration = Duration::from_secs(1);
/// Ticks after which a view goes out even if nothing but disk usage changed.
const SLOW_TICKS: u32 = 10;

impl Membership {
    /// Publishes views until the daemon closes.
    pub(crate) async fn publish_views(self: Arc<Self>) {
        let (mut saved, mut news) = (self.keeper.subscribe(), self.news.subscribe());
        loop {
            let last = Instant::now();
            self.publish(last);
            tokio::select! {
                () = self.closing.cancelled() => return,
                changed = saved.changed() => if changed.is_err() { return },
                _ = news.changed() => {}
            }
            // Wait for more to come, but not with a new record.
            while !self.has_new_record() {
                tokio::select! {
                    () = self.closing.cancelled() => return,
                    () = sleep_until(last + VIEW_INTERVAL) => break,
                    changed = saved.changed() => if changed.is_err() { return },
                }
            }
        }
    }

    fn has_new_record(&self) -> bool {
        let published = self.published.borrow().record.number;
        self.chosen().is_some_and(|record| record.number > published)
    }

    /// Makes the view of this moment.
    pub(crate) fn publish(&self, now: Instant) {
        let record = self.chosen().map_or_else(LayoutRecord::none, |record| LayoutRecord::clone(&record.content));
        let places = placed(&record);
        let before = self.published.borrow().revision;
        let view = ClusterView {
            cluster: self.cluster,
            nodes: self.node_infos(&places, now),
            record,
            revision: self.parts.clock.now_ms().max(before + 1),
        };
        self.parts.view.adopt(view.clone());
        self.published.send_replace(Arc::new(view));
    }

    fn node_infos(&self, places: &BTreeSet<StoreId>, now: Instant) -> BTreeMap<StoreId, NodeInfo> {
        let nodes = self.nodes.lock();
        let info = |store: StoreId, info: &NodeInfo| NodeInfo {
            alive: nodes.is_alive(store, now),
            last_heard_ms: nodes
                .silence(store, now)
                .map_or(u64::MAX, |silence| u64::try_from(silence.as_millis()).unwrap_or(u64::MAX)),
            placed: places.contains(&store),
            ..info.clone()
        };
        nodes.iter().map(|record| (record.info.store, info(record.info.store, &record.info))).collect()
    }

    /// Speaks, watches who lives, forgets who is gone, and keeps what is worth keeping, until the daemon closes.
    pub(crate) async fn tick(self: Arc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut alive, mut count) = (BTreeSet::new(), 0_u32);
        loop {
            tokio::select! {
                () = self.closing.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = Instant::now();
            self.speak(now);
            let changed = self.look_who_lives(&mut alive, now);
            count = count.wrapping_add(1);
            if changed || count.is_multiple_of(SLOW_TICKS) {
                self.tell();
            }
            if self.learn_from_process().await.is_err() || self.remember().await.is_err() {
                return;
            }
        }
    }

    fn look_who_lives(&self, alive: &mut BTreeSet<StoreId>, now: Instant) -> bool {
        let places = self.placed();
        let mut nodes = self.nodes.lock();
        let forgotten = nodes.forget(now, |store| places.contains(&store) || store == self.store);
        let living: BTreeSet<StoreId> =
            nodes.iter().map(|record| record.info.store).filter(|store| nodes.is_alive(*store, now)).collect();
        for record in nodes.iter() {
            let info = &record.info;
            match (alive.contains(&info.store), living.contains(&info.store)) {
                (false, true) => info!(name = %info.name, role = ?info.role, store = %info.store, "node is alive"),
                (true, false) => warn!(name = %info.name, role = ?info.role, store = %info.store, "node is silent"),
                _ => {}
            }
        }
        let changed = forgotten || *alive != living;
        *alive = living;
        changed
    }

    /// Another role of this process, or its cache, may have a newer chosen record: everybody passes on the newest.
    async fn learn_from_process(&self) -> Result<(), crate::keeper::Closed> {
        let seen = self.parts.view.current();
        if seen.record.voters.is_empty() || self.chosen().is_some_and(|known| known.number >= seen.record.number) {
            return Ok(());
        }
        self.learn(voters_record(Arc::new(seen.record.clone()))).await
    }

    /// Writes down who is there, if that changed.
    async fn remember(&self) -> Result<(), crate::keeper::Closed> {
        let lasting = self.nodes.lock().lasting();
        if self.keeper.saved().nodes == lasting {
            return Ok(());
        }
        self.keeper.change(move |saved| saved.nodes = lasting).await
    }
}
