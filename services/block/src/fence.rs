//! Whether a call may change anything here: it names this store, and its epoch is this store's (REGISTER A0, A1).
//!
//! - **F1** An epoch is persisted before anything is done under it, and never falls (`an_epoch_is_kept_over_restarts`).
//! - **F2** What was begun under an epoch is not acknowledged under a later one: who walks the blocks after the step
//!   sees all that was acknowledged before it (`a_step_during_a_put_is_noticed`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cairn_model::view::{decode_view_bytes, encode_view_bytes};
use cairn_placement::{ClusterView, RingKind};
use cairn_rpc::{CallContext, CallError, ViewCell};
use cairn_store::Durability;
use cairn_types::{BlockHash, Epoch, PartitionId, StoreId};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::blocks::internal;
use crate::index::{Changes, Index};

/// One store's epoch.
pub(crate) struct Fence {
    store: StoreId,
    view: Arc<ViewCell>,
    index: Index,
    persisted: AtomicU32,
    persisting: Mutex<()>,
}

/// A call that may change this store, under one view.
pub(crate) struct Admitted {
    view: Arc<ClusterView>,
    store: StoreId,
    bits: u8,
}

impl Admitted {
    /// Refuses blocks of partitions that this store does not hold.
    pub(crate) fn check_held(&self, hash: BlockHash) -> Result<(), CallError> {
        let partition = PartitionId::of_hash(hash.as_bytes(), self.bits);
        if self.view.holds(RingKind::Block, partition, self.store) {
            return Ok(());
        }
        let (store, epoch) = (self.store, self.view.epoch());
        Err(CallError::Invalid(format!("store {store} does not hold block partition {} in epoch {epoch}", partition.0)))
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.view.epoch()
    }
}

impl Fence {
    pub(crate) fn new(store: StoreId, view: Arc<ViewCell>, index: Index) -> Result<Self, cairn_store::Error> {
        let persisted = AtomicU32::new(index.epoch()?.0);
        Ok(Self { store, view, index, persisted, persisting: Mutex::new(()) })
    }

    /// The highest epoch this store has acted in, or knows of.
    pub(crate) fn epoch(&self) -> Epoch {
        self.view.current().epoch().max(self.persisted())
    }

    pub(crate) fn view(&self) -> Arc<ClusterView> {
        self.view.current()
    }

    /// Admits a call of any epoch that changes nothing.
    pub(crate) fn check_store(&self, context: &CallContext) -> Result<(), CallError> {
        if context.store == self.store { Ok(()) } else { Err(CallError::WrongStore { actual: self.store }) }
    }

    /// Admits a call that changes something. A newer epoch than ours needs its view.
    pub(crate) async fn admit(&self, context: &CallContext) -> Result<Admitted, CallError> {
        self.check_store(context)?;
        if context.epoch == Epoch(0) {
            return Err(CallError::Invalid("a call that changes something names its epoch".to_owned()));
        }
        if context.epoch > self.view.current().epoch() {
            self.adopt(context)?;
        }
        let view = self.view.current();
        if view.epoch() > self.persisted() {
            self.persist(view.epoch()).await?;
        }
        if view.epoch() < self.persisted() {
            let epoch = self.persisted();
            return Err(CallError::Unavailable(format!(
                "this store waits for the view of epoch {epoch}, which it knew"
            )));
        }
        if context.epoch < view.epoch() {
            return Err(CallError::StaleEpoch { view: encode_view_bytes(&view) });
        }
        let bits = view.partition_bits(RingKind::Block);
        let bits = bits.ok_or_else(|| CallError::Unavailable("the cluster has no layout yet".to_owned()))?;
        Ok(Admitted { view, store: self.store, bits })
    }

    /// Refuses to acknowledge what was admitted in an epoch that is over (F2). It is done all the same, and the caller
    /// does it again, which changes nothing more.
    pub(crate) fn check_current(&self, admitted: &Admitted) -> Result<(), CallError> {
        if self.epoch() == admitted.epoch() {
            return Ok(());
        }
        Err(CallError::StaleEpoch { view: encode_view_bytes(&self.view.current()) })
    }

    fn adopt(&self, context: &CallContext) -> Result<(), CallError> {
        let bytes = context.view.clone().ok_or(CallError::NeedsView)?;
        let view = decode_view_bytes(bytes).map_err(|error| CallError::Invalid(error.to_string()))?;
        if view.cluster != self.view.current().cluster {
            return Err(CallError::Invalid("the view is of another cluster".to_owned()));
        }
        self.view.offer(view);
        if self.view.current().epoch() < context.epoch { Err(CallError::NeedsView) } else { Ok(()) }
    }

    /// Persists every newer epoch the process hears of, so that a quiet store does not stay behind.
    pub(crate) async fn follow_views(&self, stop: CancellationToken) {
        let mut views = self.view.subscribe();
        loop {
            let epoch = views.borrow_and_update().epoch();
            if epoch > self.persisted()
                && let Err(error) = self.persist(epoch).await
            {
                warn!(%epoch, %error, "cannot persist the newest epoch");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = views.changed() => if changed.is_err() {
                    return stop.cancelled().await;
                }
            }
        }
    }

    async fn persist(&self, epoch: Epoch) -> Result<(), CallError> {
        let _one_at_a_time = self.persisting.lock().await;
        if epoch <= self.persisted() {
            return Ok(());
        }
        let index = self.index.clone();
        let write = move || {
            let mut changes = Changes::default();
            changes.set_epoch(epoch);
            index.commit(changes, Durability::Synced)
        };
        tokio::task::spawn_blocking(write).await.map_err(internal)?.map_err(internal)?;
        self.persisted.fetch_max(epoch.0, Ordering::AcqRel);
        Ok(())
    }

    /// The highest epoch that a restart would remember.
    pub(crate) fn persisted(&self) -> Epoch {
        Epoch(self.persisted.load(Ordering::Acquire))
    }
}
