//! The cluster as one process sees it: where calls go, whose clock makes the ballots, what goes on in the background.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use cairn_model::view::decode_view_bytes;
use cairn_placement::ClusterView;
use cairn_register::{Now, Proposer};
use cairn_rpc::ViewCell;
use cairn_types::{Ballot, Clock, Entropy, Epoch, RequestId, RowKey, StoreId, ZoneName};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::hints::FLUSH_AFTER;
use crate::routes::{Dial, Here, Routes};
use crate::tail::Tail;
use crate::traffic::{Counters, Traffic};
use crate::{BlockReplica, Op, TableReplica, call};

/// What a [`Cluster`] is made of.
pub struct ClusterParts {
    pub view: Arc<ViewCell>,
    /// Opens replicas in other processes: an `Arc` of a `cairn_rpc::Connector`.
    pub dial: Arc<dyn Dial>,
    /// The table in this process, called without a socket.
    pub local_table: Option<Arc<dyn TableReplica>>,
    /// The block store in this process, likewise.
    pub local_block: Option<Arc<dyn BlockReplica>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Where this process stands; replicas in the same zone are preferred for reading blocks.
    pub zone: Option<ZoneName>,
}

/// Runs operations against the replicas of their keys. Cheap to clone; all clones share connections and the clock that
/// makes ballots, so a process has one of them.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    view: Arc<ViewCell>,
    here: Here,
    dial: Arc<dyn Dial>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    proposer: Proposer,
    routes: ArcSwap<Routes>,
    /// Held while new routes are made.
    rerouting: Mutex<()>,
    tail: Tail,
    traffic: Counters,
    /// A flush of hints is on its way.
    flushing: AtomicBool,
    /// Conditional writes of one process to one key wait for each other instead of duelling; by a hash of the key.
    turns: Vec<Turn>,
}

/// Held by a conditional write while it runs.
type Turn = tokio::sync::Mutex<()>;

/// Conditional writes of different keys that share a turn wait for nothing; with this many it is rare.
const TURNS: u64 = 256;
/// Who waits longer for a turn goes on without.
const TURN_PATIENCE: Duration = Duration::from_secs(1);

impl Cluster {
    #[must_use]
    pub fn new(parts: ClusterParts) -> Self {
        let ClusterParts { view, dial, local_table, local_block, clock, entropy, zone } = parts;
        let here = Here { table: local_table, block: local_block, zone };
        let routes = Routes::new(view.current(), &here, dial.as_ref(), None);
        let proposer = Proposer::new(entropy.next_u64());
        Self(Arc::new(Inner {
            view,
            here,
            dial,
            clock,
            entropy,
            proposer,
            routes: ArcSwap::from_pointee(routes),
            rerouting: Mutex::new(()),
            tail: Tail::new(),
            traffic: Counters::default(),
            flushing: AtomicBool::new(false),
            turns: (0..TURNS).map(|_| Turn::default()).collect(),
        }))
    }

    /// The view operations act on now.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        self.0.view.current()
    }

    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }

    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        self.0.entropy.as_ref()
    }

    /// Waits until sends that nobody waits for are done, at most `patience`. For an orderly stop.
    pub async fn drain(&self, patience: Duration) {
        self.flush_hints().await;
        self.0.tail.drain(patience).await;
    }

    /// What this process has sent since it began.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.0.traffic.read()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.traffic
    }

    /// Where calls go under the newest view.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        let view = self.0.view.current();
        let routes = self.0.routes.load_full();
        if Arc::ptr_eq(&routes.view, &view) {
            return routes;
        }
        let _guard = self.0.rerouting.lock();
        let (view, before) = (self.0.view.current(), self.0.routes.load_full());
        if Arc::ptr_eq(&before.view, &view) {
            return before;
        }
        let routes = Arc::new(Routes::new(view, &self.0.here, self.0.dial.as_ref(), Some(&before)));
        self.0.routes.store(routes.clone());
        routes
    }

    /// Takes the view that came with `Stale`. Answers whether there is now a newer epoch than `than`.
    pub(crate) fn learn_view(&self, encoded: Bytes, than: Epoch) -> bool {
        let current = self.view();
        match decode_view_bytes(encoded) {
            Ok(view) if view.cluster != current.cluster => {
                tracing::warn!(cluster = %view.cluster, "a replica sent the view of another cluster");
            }
            Ok(mut view) if view.record.number > current.record.number => {
                if view.nodes.is_empty() {
                    view.nodes.clone_from(&current.nodes);
                }
                self.0.view.offer(view);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a replica sent a view that cannot be read"),
        }
        self.routes().epoch() > than
    }

    pub(crate) fn now(&self) -> Now<'_> {
        Now { ms: self.0.clock.now_ms(), proposer: &self.0.proposer }
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.0.tail
    }

    /// A random time below `bound`.
    pub(crate) fn jitter(&self, bound: Duration) -> Duration {
        let bound_us = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.0.entropy.next_u64() % bound_us)
    }

    /// Waits a random time below `bound`; false if `op` has no time left.
    pub(crate) async fn pause(&self, op: &Op, bound: Duration) -> bool {
        let until = Instant::now() + self.jitter(bound);
        tokio::time::sleep_until(until.min(op.deadline)).await;
        until < op.deadline
    }

    /// Waits until no other conditional write of this process is at work on `key`, within bounds.
    pub(crate) async fn turn(&self, key: &RowKey) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let mut hasher = std::hash::DefaultHasher::new();
        key.hash(&mut hasher);
        let turn = usize::try_from(hasher.finish() % TURNS).ok().and_then(|at| self.0.turns.get(at))?;
        tokio::time::timeout(TURN_PATIENCE, turn.lock()).await.ok()
    }

    /// Tells `targets` when convenient that `chosen` is (REGISTER A7).
    pub(crate) fn hint(&self, routes: &Routes, targets: &[StoreId], key: &RowKey, chosen: Ballot) {
        for node in targets.iter().filter_map(|store| routes.table(*store)) {
            node.hints.push(key.clone(), chosen);
        }
        if !self.0.flushing.swap(true, Ordering::AcqRel) {
            let cluster = self.clone();
            self.0.tail.spawn(async move {
                tokio::time::sleep(FLUSH_AFTER).await;
                cluster.0.flushing.store(false, Ordering::Release);
                cluster.flush_hints().await;
            });
        }
    }

    /// Sends the hints that found no call to travel with.
    async fn flush_hints(&self) {
        let routes = self.routes();
        let op = Op {
            request: RequestId::default(),
            deadline: Instant::now() + Duration::from_secs(2),
            written_at_ms: self.0.clock.now_ms(),
        };
        let calls = routes.tables().map(|node| call::flush(&self.0.traffic, routes.clone(), node.clone(), op));
        futures_util::future::join_all(calls).await;
    }
}
