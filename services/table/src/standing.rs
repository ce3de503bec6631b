//! What a store acts on beside its rows: the view it has adopted, and the floors of its partitions.
//!
//! Everything here is durable before it stands here. It changes rarely, under the write half of one lock that is held
//! over the synced write; whoever reads rows holds the read half, so that what he reads of rows, floors, gates and the
//! epoch belongs together.

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::view::{decode_view_bytes, encode_view_bytes};
use cairn_model::wire::{decode_ballot, encode_ballot};
use cairn_placement::{ClusterView, RingKind, Step};
use cairn_proto::common::v1;
use cairn_register::{Gate, PartitionState};
use cairn_rpc::CallError;
use cairn_store::{Batch, Store};
use cairn_types::{Ballot, Epoch, PartitionId, StoreId};
use prost::Message as _;

use crate::keys::{self, Place};

/// The newest layout record this store acts on, and what it means for it.
pub(crate) struct Adopted {
    pub(crate) view: Arc<ClusterView>,
    /// For callers with an older epoch.
    pub(crate) encoded: Bytes,
    /// None: no layout yet.
    bits: Option<u8>,
    /// By partition.
    held: Vec<bool>,
}

impl Adopted {
    pub(crate) fn of(view: Arc<ClusterView>, store: StoreId) -> Self {
        let bits = match view.record.step {
            Step::Empty => None,
            Step::Stable | Step::ReadOld | Step::ReadNew => view.partition_bits(RingKind::Table),
        };
        let partitions = bits.map_or(0, |bits| 1_usize << bits.min(16));
        let holds = |number| view.holds(RingKind::Table, PartitionId(number), store);
        let held = (0..=u16::MAX).take(partitions).map(holds).collect();
        Self { encoded: encode_view_bytes(&view), bits, held, view }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.view.epoch()
    }

    fn holds(&self, partition: PartitionId) -> bool {
        self.held.get(usize::from(partition.0)).is_some_and(|held| *held)
    }
}

/// How a caller's epoch compares with a store's (REGISTER A1).
pub(crate) enum Fenced {
    /// The caller's is older, or there is no layout.
    Refused(CallError),
    /// The caller's is newer: adopt it or refuse.
    Newer,
}

/// One partition's floors, as they are durable.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Floors {
    /// Highest ballot ever forgotten by collection.
    pub(crate) floor: Ballot,
    /// (epoch of joining, 0, 0), REGISTER T6.
    pub(crate) joined: Ballot,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Standing {
    adopted: Option<Arc<Adopted>>,
    /// By partition; missing: none.
    floors: Vec<Floors>,
}

impl Standing {
    /// Reads what was kept.
    pub(crate) fn load(store: &dyn Store, id: StoreId) -> Result<Self, LoadError> {
        let mut standing = Self::default();
        if let Some(bytes) = store.get(&view_key())? {
            let view = decode_view_bytes(bytes).map_err(|error| LoadError::Damaged(error.to_string()))?;
            standing.adopted = Some(Arc::new(Adopted::of(Arc::new(view), id)));
        }
        let (from, to) = keys::partitions();
        let mut cursor = store.scan(&from, Some(&to));
        while let Some((key, value)) = cursor.next()? {
            let damaged = || LoadError::Damaged("the floors of a partition cannot be read".to_owned());
            let partition = keys::parse_partition(key).ok_or_else(damaged)?;
            let floors = StoredFloors::decode(value).map_err(|_| damaged())?;
            *standing.floors_mut(partition) = floors.into();
        }
        Ok(standing)
    }

    pub(crate) fn adopted(&self) -> Option<&Arc<Adopted>> {
        self.adopted.as_ref()
    }

    /// The epoch acted in; 0 before the first layout.
    pub(crate) fn epoch(&self) -> Epoch {
        self.adopted.as_ref().map_or(Epoch(0), |adopted| adopted.epoch())
    }

    /// A1. Epoch 0 means this store's own; who may say so is not decided here.
    pub(crate) fn fence(&self, caller: Epoch) -> Result<Epoch, Fenced> {
        let own = self.epoch();
        if caller > own {
            return Err(Fenced::Newer);
        }
        let refused = match &self.adopted {
            Some(adopted) if caller < own && caller != Epoch(0) => {
                CallError::StaleEpoch { view: adopted.encoded.clone() }
            }
            Some(adopted) if adopted.bits.is_some() => return Ok(own),
            Some(_) | None => CallError::Unavailable("this store has no layout yet".to_owned()),
        };
        Err(Fenced::Refused(refused))
    }

    /// What is kept of the partition of `place`, its gate left open; none: it is not held here.
    pub(crate) fn partition(&self, place: Place) -> Option<(PartitionId, PartitionState)> {
        let adopted = self.adopted.as_ref()?;
        let partition = place.partition(adopted.bits?);
        let Floors { floor, joined } = self.floors.get(usize::from(partition.0)).copied().unwrap_or_default();
        let state = PartitionState { epoch: adopted.epoch(), floor, joined, gate: Gate::Open };
        adopted.holds(partition).then_some((partition, state))
    }

    /// What to write before `next` is acted on (REGISTER E2), and the floors that come with it: a partition that was
    /// not held before is joined in the epoch of `next`. Nobody knows what was collected there before; in a cluster's
    /// first epoch there was nothing, and the joining floor lies below its every ballot.
    pub(crate) fn adoption(&self, next: &Adopted) -> (Batch, Vec<(PartitionId, Floors)>) {
        let mut batch = Batch::new();
        batch.put(view_key(), next.encoded.clone());
        let held_before = |partition| self.adopted.as_ref().is_some_and(|adopted| adopted.holds(partition));
        let joins = (0..=u16::MAX).zip(&next.held).filter(|(_, held)| **held).map(|(number, _)| PartitionId(number));
        let joined: Vec<_> = joins
            .filter(|partition| !held_before(*partition))
            .map(|partition| {
                let floor = self.floors.get(usize::from(partition.0)).copied().unwrap_or_default().floor;
                (partition, Floors { floor, joined: Ballot::joined(next.epoch()) })
            })
            .collect();
        for (partition, floors) in &joined {
            put_floors(&mut batch, *partition, *floors);
        }
        (batch, joined)
    }

    /// What [`Standing::adoption`] wrote is durable.
    pub(crate) fn adopt(&mut self, next: Arc<Adopted>, joined: Vec<(PartitionId, Floors)>) {
        for (partition, floors) in joined {
            *self.floors_mut(partition) = floors;
        }
        self.adopted = Some(next);
    }

    /// The floors of `partition` with `floor` taken in (REGISTER T4, T6: a floor never falls).
    pub(crate) fn raised(&self, partition: PartitionId, floor: Ballot) -> Floors {
        let floors = self.floors.get(usize::from(partition.0)).copied().unwrap_or_default();
        Floors { floor: floors.floor.max(floor), ..floors }
    }

    /// `floors`, written by [`put_floors`], are durable.
    pub(crate) fn set_floors(&mut self, partition: PartitionId, floors: Floors) {
        *self.floors_mut(partition) = floors;
    }

    fn floors_mut(&mut self, partition: PartitionId) -> &mut Floors {
        let at = usize::from(partition.0);
        if at >= self.floors.len() {
            self.floors.resize(at + 1, Floors::default());
        }
        &mut self.floors[at]
    }
}

/// Writes what [`Standing::load`] reads.
pub(crate) fn put_floors(batch: &mut Batch, partition: PartitionId, floors: Floors) {
    batch.put(keys::partition(partition), StoredFloors::from(floors).encode_to_vec());
}

/// Why a store's own records cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot read the database")]
    Store(#[from] cairn_store::Error),
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

fn view_key() -> Vec<u8> {
    keys::meta("view")
}

/// A partition's floors on disk. Field numbers are never reused.
#[derive(Clone, PartialEq, prost::Message)]
struct StoredFloors {
    #[prost(message, optional, tag = "1")]
    floor: Option<v1::Ballot>,
    #[prost(message, optional, tag = "2")]
    joined: Option<v1::Ballot>,
}

impl From<Floors> for StoredFloors {
    fn from(floors: Floors) -> Self {
        Self { floor: encode_ballot(floors.floor), joined: encode_ballot(floors.joined) }
    }
}

impl From<StoredFloors> for Floors {
    fn from(stored: StoredFloors) -> Self {
        Self { floor: decode_ballot(stored.floor), joined: decode_ballot(stored.joined) }
    }
}
