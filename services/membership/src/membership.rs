//! The daemon's parts, and what they share.
//!
//! - **M1** A store whose directory was restored from an older copy stops when another daemon shows it that it said
//!   more before (`a_rolled_back_directory_is_not_served`). Until it is told it may vote: D4 is a guard, not a proof.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cairn_crdt::Stamp;
use cairn_daemon::Node;
use cairn_placement::{ClusterView, LayoutRecord, NodeInfo, NodeStatus, Role, Step, Voter};
use cairn_proto::membership::v1;
use cairn_register::voters::Message;
use cairn_rpc::{CallError, ClusterSecret, Connector, ViewCell};
use cairn_types::{Clock, ClusterId, Entropy, Epoch, NodeName, OpId, StoreId, ZoneName};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::Config;
use crate::disk::{Disk, DiskError, Record, voters_record};
use crate::keeper::{Closed, Keeper};
use crate::nodes::{NodeRecord, Nodes};
use crate::peers::Channels;
use crate::wire::{Vote, VoteAnswer};

/// Why a daemon cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("cannot start the thread that keeps the membership state")]
    Thread(#[source] std::io::Error),
}

/// A store that is open but serves nobody yet: its id stands in the certificate that the daemon is opened with.
pub struct Prepared {
    disk: Disk,
    change_timeout: Duration,
}

impl Prepared {
    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.disk.store()
    }
}

/// Opens the store of a machine's membership daemon, or makes it; `init`: as the first of a new cluster.
///
/// On the machine's record it is called `NAME-membership`.
///
/// # Errors
/// The directory is not the one this machine has on record, is damaged, or is in use.
pub fn prepare(config: &Config, node: &Node, init: bool, entropy: &dyn Entropy) -> anyhow::Result<Prepared> {
    let name: NodeName = format!("{}-membership", node.name).parse().context("the node's name is too long")?;
    let directory = &config.directory;
    let found = match Disk::open(directory) {
        Ok(disk) => Some(disk),
        Err(DiskError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    node.machine.check(&name, directory, found.as_ref().map(Disk::store))?;
    let disk = match found {
        Some(disk) => disk,
        None => Disk::create(directory, StoreId::random(entropy), init || config.init)?,
    };
    node.machine.record(&name, directory, disk.store())?;
    Ok(Prepared { disk, change_timeout: config.change_timeout.0 })
}

/// What a daemon is made of.
pub struct Parts {
    pub name: NodeName,
    pub zone: ZoneName,
    /// Of this process's gRPC listener, as others reach it, host:port.
    pub address: String,
    /// Other membership daemons, host:port; this one's own address does no harm.
    pub peers: Vec<String>,
    pub secret: ClusterSecret,
    pub connector: Connector,
    /// Of this process: it is given every view this daemon makes.
    pub view: Arc<ViewCell>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// A membership daemon.
pub struct Membership {
    pub(crate) store: StoreId,
    pub(crate) cluster: ClusterId,
    pub(crate) parts: Parts,
    pub(crate) keeper: Keeper,
    pub(crate) nodes: Mutex<Nodes>,
    /// Counts what is worth telling others at once: records that changed, nodes that came to life or died.
    pub(crate) news: watch::Sender<u64>,
    /// This daemon's own view, as watchers get it.
    pub(crate) published: watch::Sender<Arc<ClusterView>>,
    pub(crate) channels: Channels,
    /// One change of the layout at a time is driven from here.
    pub(crate) applying: Semaphore,
    /// Streams and announcements; they end when `closing` is cancelled.
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    /// Others have heard more from this store than it knows: it must not vote.
    pub(crate) rolled_back: CancellationToken,
    /// Resolves when the state's thread has ended.
    pub(crate) ended: Mutex<Option<oneshot::Receiver<bool>>>,
    /// How long a change of the layout may stay open.
    pub(crate) change_timeout: Duration,
    /// Of this process's records.
    incarnation: u64,
}

impl Membership {
    /// Opens the daemon on its store. A founding store makes record 1 first: itself the only voter, no layout, epoch 0.
    ///
    /// # Errors
    /// The record cannot be written, or no thread can be started.
    pub fn open(prepared: Prepared, parts: Parts) -> Result<Arc<Self>, OpenError> {
        let Prepared { mut disk, change_timeout } = prepared;
        if disk.saved().founding {
            found(&mut disk, &parts)?;
        }
        let (store, cluster, now) = (disk.store(), parts.secret.cluster_id(), Instant::now());
        let mut nodes = Nodes::default();
        for record in &disk.saved().nodes {
            nodes.learn(record.clone(), now);
        }
        let incarnation = parts.clock.now_ms();
        let (keeper, ended) = Keeper::start(disk).map_err(OpenError::Thread)?;
        let channels = Channels::new(parts.connector.clone());
        let membership = Arc::new(Self {
            store,
            cluster,
            parts,
            keeper,
            nodes: Mutex::new(nodes),
            news: watch::Sender::new(0),
            published: watch::Sender::new(Arc::new(cairn_daemon::empty_view(cluster))),
            channels,
            applying: Semaphore::new(1),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            rolled_back: CancellationToken::new(),
            ended: Mutex::new(Some(ended)),
            change_timeout,
            incarnation,
        });
        membership.speak(now);
        membership.publish(now);
        Ok(membership)
    }

    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// What this daemon says of itself.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let saved = self.keeper.saved();
        let chosen = saved.voter.chosen.as_ref();
        NodeStatus {
            epoch: chosen.map_or(Epoch(0), |record| record.content.epoch),
            ready: chosen.is_some(),
            ..NodeStatus::default()
        }
    }

    /// This daemon's view.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        self.published.borrow().clone()
    }

    /// The newest record this daemon knows to be chosen.
    pub(crate) fn chosen(&self) -> Option<Record> {
        self.keeper.saved().voter.chosen.clone()
    }

    /// Says of itself what its certificate and its state say.
    pub(crate) fn speak(&self, now: Instant) {
        let info = NodeInfo {
            store: self.store,
            role: Role::Membership,
            name: self.parts.name.clone(),
            zone: self.parts.zone.clone(),
            address: self.parts.address.clone(),
            s3_url: String::new(),
            capacity_bytes: 0,
            tags: Vec::new(),
            status: self.status(),
            alive: false,
            last_heard_ms: 0,
            placed: false,
        };
        let stamp = Stamp { incarnation: self.incarnation, version: 1 };
        let last_sequence = self.sequence();
        let record = NodeRecord { stamp, removed: false, info, boot_count: 0, last_sequence };
        if self.nodes.lock().heartbeat(record, now) {
            self.tell();
        }
    }

    /// A heartbeat of a daemon that watches here. Membership daemons speak for themselves over `Exchange`; here they
    /// only show that they live.
    pub(crate) fn heartbeat(&self, wire: v1::NodeRecord, now: Instant) -> Result<(), CallError> {
        let record = NodeRecord::decode(wire).map_err(|error| CallError::Invalid(error.to_string()))?;
        let store = record.info.store;
        if record.info.role == Role::Membership {
            self.nodes.lock().heard(store, now);
        } else if self.nodes.lock().went_back(&record) {
            let (name, sequence) = (&record.info.name, record.last_sequence);
            error!(%name, %store, boots = record.boot_count, sequence, "a table store went back and is refused");
            return Err(CallError::WentBack(format!(
                "table store {store} of {name} went back: it has been further than start {} and sequence {sequence}. It \
                 is an older copy; move its directory away, and begin a new store in its place with --new-store",
                record.boot_count
            )));
        } else {
            self.note(store, |nodes| nodes.heartbeat(record, now));
        }
        Ok(())
    }

    /// What another membership daemon knows of nodes, and whom it heard.
    pub(crate) fn hear(&self, records: Vec<NodeRecord>, heard: impl Iterator<Item = StoreId>, now: Instant) {
        for store in heard {
            self.nodes.lock().heard(store, now);
        }
        for record in records {
            let store = record.info.store;
            // Of itself a daemon knows best; but it cannot have said what is beyond its state.
            if store != self.store {
                self.note(store, |nodes| nodes.learn(record, now));
            } else if record.last_sequence > self.sequence() {
                error!(here = self.sequence(), said = record.last_sequence, "this store was rolled back");
                self.rolled_back.cancel();
                self.closing.cancel();
            }
        }
    }

    /// How far the durable state has come; part of what this daemon says of itself, so that others would notice a
    /// directory restored from a copy (REGISTER D4).
    fn sequence(&self) -> u64 {
        let voter = &self.keeper.saved().voter;
        voter.promised.number.max(voter.chosen_number())
    }

    /// Changes what is known of a store, and tells others at once if they should know.
    fn note(&self, store: StoreId, change: impl FnOnce(&mut Nodes) -> bool) {
        let mut nodes = self.nodes.lock();
        let before = nodes.get(store).map(worth_telling);
        if change(&mut nodes) && before != nodes.get(store).map(worth_telling) {
            drop(nodes);
            self.tell();
        }
    }

    /// Wakes those who tell others.
    pub(crate) fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Votes here. Durable when it answers.
    pub(crate) async fn vote(&self, vote: Vote) -> Result<VoteAnswer, Closed> {
        if self.rolled_back.is_cancelled() {
            return Err(Closed);
        }
        vote_in(&self.keeper, vote).await
    }

    /// Keeps a record that is known to be chosen, if it is news.
    pub(crate) async fn learn(&self, chosen: Record) -> Result<(), Closed> {
        if self.chosen().is_some_and(|known| known.number >= chosen.number) {
            return Ok(());
        }
        self.vote(Message::Learn { chosen }).await.map(drop)
    }

    /// Where a membership daemon is reached: as it says itself, else as the record that made it a voter says.
    pub(crate) fn address_of(&self, store: StoreId, records: &[&LayoutRecord]) -> Option<String> {
        let known = self.nodes.lock().get(store).map(|record| record.info.address.clone());
        let voters = records.iter().flat_map(|record| &record.voters);
        known.or_else(|| voters.into_iter().find(|voter| voter.store == store).map(|voter| voter.address.clone()))
    }

    /// Stores with a place: in a ring, or among the voters.
    pub(crate) fn placed(&self) -> BTreeSet<StoreId> {
        self.chosen().map(|record| placed(&record.content)).unwrap_or_default()
    }
}

/// Judges a vote by the durable state.
pub(crate) async fn vote_in(keeper: &Keeper, vote: Vote) -> Result<VoteAnswer, Closed> {
    keeper
        .change(move |saved| {
            let judgement = cairn_register::voters::judge(&saved.voter, &vote);
            if let Some(state) = judgement.write {
                saved.voter = state;
            }
            judgement.answer
        })
        .await
}

/// Stores with a place in this record.
pub(crate) fn placed(record: &LayoutRecord) -> BTreeSet<StoreId> {
    let rings = record.layouts.iter().flat_map(|layout| [&layout.table, &layout.block]);
    let members = rings.flat_map(|ring| ring.members()).map(|member| member.store);
    members.chain(record.voters.iter().map(|voter| voter.store)).collect()
}

/// A record without what changes all the time and nobody waits for.
fn worth_telling(record: &NodeRecord) -> NodeRecord {
    let mut record = record.clone();
    record.stamp.version = 0;
    if record.info.role != Role::Membership {
        record.last_sequence = 0;
    }
    (record.info.status.bytes_used, record.info.status.bytes_free) = (0, 0);
    record
}

/// Makes record 1.
fn found(disk: &mut Disk, parts: &Parts) -> Result<(), DiskError> {
    let voter = Voter {
        store: disk.store(),
        name: parts.name.clone(),
        zone: parts.zone.clone(),
        address: parts.address.clone(),
    };
    let record = LayoutRecord {
        number: 1,
        epoch: Epoch(0),
        step: Step::Empty,
        layouts: Vec::new(),
        voters: vec![voter],
        op: OpId::random(&*parts.entropy),
    };
    let mut saved = disk.saved().clone();
    saved.voter.chosen = Some(voters_record(Arc::new(record)));
    saved.founding = false;
    disk.replace(saved)
}
