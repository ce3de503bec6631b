//! Brings staged changes into force.
//!
//! - **C1** A record is proposed on the newest one, confirmed by its voters, and on nothing else: of two applies at
//!   once one answers CONFLICT (`tests/cluster.rs`, `concurrent_applies_do_not_fork`).
//! - **C2** Replicas change places only while the cluster holds nothing. Record n+1 (step `Empty`) stops all data calls;
//!   once every store of the old layout has *persisted* its epoch and then still holds nothing, no older call can bring
//!   data any more, and record n+2 has the new layout. Else n+2 puts the old layout back
//!   (`tests/cluster.rs`, `a_cluster_with_data_keeps_its_layout`). Nothing in this rests on a clock: time only decides
//!   when to give up.
//! - **C3** A change whose coordinator died is ended by another daemon: the old layout comes back
//!   (`tests/cluster.rs`, `an_abandoned_change_is_undone`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_placement::{LayoutRecord, Role, Step};
use cairn_rpc::CallError;
use cairn_types::{Epoch, NodeName, OpId, StoreId};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::disk::Record;
use crate::membership::Membership;
use crate::plan::{Plan, PlanError, RINGS, Situation, Way, plan};
use crate::staged::Staged;
use crate::votes::{closed, no_record};

/// For finding and choosing one record.
const RECORD_LIMIT: Duration = Duration::from_secs(8);
/// For all stores to say that they are empty behind the fence.
const FENCE_LIMIT: Duration = Duration::from_secs(8);
/// For membership daemons of machines that just came up.
const VOTERS_LIMIT: Duration = Duration::from_secs(3);
/// How often a daemon looks for a change that nobody ends.
const LOOK: Duration = Duration::from_millis(500);

/// What an operator asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Apply {
    /// The record the operator looked at; 0: whatever is in force.
    pub(crate) expected_number: u64,
    pub(crate) all_waiting: bool,
}

impl Membership {
    /// What applying the staged changes would do, on the newest record this daemon knows of.
    pub(crate) fn preview(&self) -> Result<Plan, CallError> {
        let base = self.chosen().ok_or_else(no_record)?;
        self.plan(&base, &self.keeper.saved().staged, false)
    }

    /// Applies the staged changes; answers the record that is in force then.
    pub(crate) async fn apply(self: &Arc<Self>, apply: Apply) -> Result<(Record, Vec<String>), CallError> {
        let Ok(_permit) = self.applying.try_acquire() else {
            return Err(CallError::Conflict("another change of the layout is being applied here".to_owned()));
        };
        let base = self.read_newest(Instant::now() + RECORD_LIMIT).await?;
        if apply.expected_number != 0 && apply.expected_number != base.number {
            return Err(CallError::Conflict(format!(
                "record {} is in force, not {}: look at the layout again",
                base.number, apply.expected_number
            )));
        }
        if apply.all_waiting {
            self.wait_for_voters().await;
        }
        let staged = self.keeper.saved().staged.clone();
        let plan = self.plan(&base, &staged, apply.all_waiting)?;
        let chosen = match plan.way {
            Way::Direct => self.propose(&base, plan.record, Instant::now() + RECORD_LIMIT).await?,
            Way::Guarded => self.replace(&base, plan.record).await?,
        };
        info!(number = chosen.number, epoch = %chosen.content.epoch, "layout record applied");
        // What was staged meanwhile stays.
        let cleared = move |saved: &mut crate::disk::Saved| {
            if saved.staged == staged && staged != Staged::default() {
                saved.staged.clear();
            }
        };
        self.keeper.change(cleared).await.map_err(closed)?;
        Ok((chosen, plan.notes))
    }

    /// Machines that came up together are heard of one role after the other: gives three membership daemons a moment
    /// where there are storage nodes in three zones, so that one apply makes three voters.
    async fn wait_for_voters(&self) {
        let deadline = Instant::now() + VOTERS_LIMIT;
        let mut news = self.news.subscribe();
        while self.zones_of(Role::Membership) < self.zones_of(Role::Table).min(3) {
            if !matches!(timeout_at(deadline, news.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// Zones with a living daemon of this role.
    fn zones_of(&self, role: Role) -> usize {
        let (nodes, now) = (self.nodes.lock(), Instant::now());
        let living = nodes.iter().filter(|record| record.info.role == role && nodes.is_alive(record.info.store, now));
        living.map(|record| &record.info.zone).collect::<BTreeSet<_>>().len()
    }

    fn plan(&self, base: &Record, staged: &Staged, all_waiting: bool) -> Result<Plan, CallError> {
        let nodes = self.nodes.lock();
        let situation = Situation {
            record: &base.content,
            staged: &staged.changes,
            all_waiting,
            nodes: &nodes,
            now: Instant::now(),
        };
        Ok(plan(&situation, self.new_op())?)
    }

    fn new_op(&self) -> OpId {
        OpId::random(&*self.parts.entropy)
    }

    /// Replaces the layout of a cluster that holds nothing (C2).
    async fn replace(self: &Arc<Self>, base: &Record, next: LayoutRecord) -> Result<Record, CallError> {
        self.check_empty(&base.content, None)?;
        let fence = LayoutRecord {
            number: base.number + 1,
            epoch: Epoch(base.content.epoch.0 + 1),
            step: Step::Empty,
            op: self.new_op(),
            ..LayoutRecord::clone(&base.content)
        };
        let fence = self.propose(base, fence, Instant::now() + RECORD_LIMIT).await?;
        info!(number = fence.number, epoch = %fence.content.epoch, "data calls stopped to change the layout");
        match self.wait_until_empty(&fence.content).await {
            Ok(()) => self.propose(&fence, next, Instant::now() + RECORD_LIMIT).await,
            Err(error) => {
                warn!(%error, "the layout cannot be changed; the old one comes back");
                self.put_back(&fence).await?;
                Err(error)
            }
        }
    }

    /// Ends a change with the layout that was in force before it.
    async fn put_back(self: &Arc<Self>, fence: &Record) -> Result<Record, CallError> {
        let old = LayoutRecord {
            number: fence.number + 1,
            epoch: Epoch(fence.content.epoch.0 + 1),
            step: Step::Stable,
            op: self.new_op(),
            ..LayoutRecord::clone(&fence.content)
        };
        self.propose(fence, old, Instant::now() + RECORD_LIMIT).await
    }

    /// Waits until every store of the layout is empty behind the fence.
    async fn wait_until_empty(&self, fence: &LayoutRecord) -> Result<(), CallError> {
        let deadline = Instant::now() + FENCE_LIMIT;
        let mut news = self.news.subscribe();
        loop {
            match self.check_empty(fence, Some(fence.epoch)) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(error),
            }
            match timeout_at(deadline, news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => {
                    return Err(CallError::Unavailable(format!(
                        "the layout cannot be changed: not all storage nodes said in time that they hold nothing ({})",
                        self.unheard(fence).join(", ")
                    )));
                }
            }
        }
    }

    /// Whether all stores of the layout say that they are empty, behind the fence of `epoch` if there is one.
    ///
    /// # Errors
    /// One has data, or without a fence, is not heard: it cannot be known to be empty.
    fn check_empty(&self, record: &LayoutRecord, epoch: Option<Epoch>) -> Result<bool, CallError> {
        let (nodes, now) = (self.nodes.lock(), Instant::now());
        let mut all = true;
        for (store, name) in stores(record) {
            let status = nodes.get(store).map(|record| &record.info.status);
            if status.is_some_and(|status| status.has_data) {
                return Err(CallError::Conflict(format!(
                    "{name} holds data: changing the layout of a cluster that holds any row or block is not built yet"
                )));
            }
            match epoch {
                None if !nodes.is_alive(store, now) => {
                    return Err(CallError::Unavailable(format!(
                        "{name} does not answer, so it cannot be known to hold nothing: the layout stays as it is"
                    )));
                }
                None => {}
                Some(epoch) => all &= status.is_some_and(|status| status.epoch >= epoch),
            }
        }
        Ok(all)
    }

    /// Names of stores that have not reported the record's epoch.
    fn unheard(&self, record: &LayoutRecord) -> Vec<String> {
        let nodes = self.nodes.lock();
        let behind = |store| nodes.get(store).is_none_or(|known| known.info.status.epoch < record.epoch);
        stores(record).into_iter().filter(|(store, _)| behind(*store)).map(|(_, name)| name.to_string()).collect()
    }

    /// Ends changes that lost their coordinator, until the daemon closes (C3).
    pub(crate) async fn end_abandoned_changes(self: Arc<Self>) {
        let mut seen: Option<(u64, Instant)> = None;
        // Not all daemons at once.
        let patience = self.change_timeout + crate::peers::jittered(self.change_timeout / 3, &*self.parts.entropy);
        loop {
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            let open = self.chosen().filter(|record| is_open(&record.content));
            seen = open.as_ref().map(|record| match seen {
                Some((number, since)) if number == record.number => (number, since),
                _ => (record.number, Instant::now()),
            });
            let (Some(fence), Some((_, since))) = (open, seen) else { continue };
            if since.elapsed() < patience {
                continue;
            }
            let Ok(_permit) = self.applying.try_acquire() else { continue };
            match self.put_back(&fence).await {
                Ok(record) => {
                    warn!(number = record.number, "a change of the layout was abandoned; the old one is back")
                }
                Err(error) => warn!(%error, "an abandoned change of the layout cannot be ended yet"),
            }
        }
    }
}

/// A change of an empty cluster's layout that has begun.
fn is_open(record: &LayoutRecord) -> bool {
    record.step == Step::Empty && !record.layouts.is_empty()
}

/// Every store with a place in a ring, and its name.
fn stores(record: &LayoutRecord) -> BTreeMap<StoreId, NodeName> {
    let rings = record.layouts.iter().flat_map(|layout| RINGS.map(|(kind, _)| layout.ring(kind)));
    rings.flat_map(|ring| ring.members()).map(|member| (member.store, member.name.clone())).collect()
}

impl From<PlanError> for CallError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::UnderWay => CallError::Conflict(error.to_string()),
            PlanError::NoRecord => CallError::Unavailable(error.to_string()),
            PlanError::Nothing
            | PlanError::UnknownNode(_)
            | PlanError::NotPlaced(_)
            | PlanError::NoCapacity(_)
            | PlanError::UnknownVoter(_)
            | PlanError::EmptyRing(_)
            | PlanError::Assign { .. } => CallError::Invalid(error.to_string()),
        }
    }
}
