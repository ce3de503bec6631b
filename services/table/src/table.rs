//! A store that is open: what its own process calls directly, and others over the wire.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_daemon::{MachineError, Mark, Watermark};
use cairn_model::Envelope;
use cairn_model::view::decode_view_bytes;
use cairn_model::wire::MAX_CALLS;
use cairn_placement::NodeStatus;
use cairn_quorum::{Range, RangeReply, Recount, RegisterReplies, TableReplica};
use cairn_register::{Message, Reply};
use cairn_rpc::{CallContext, CallError, ViewCell};
use cairn_store::{Options, Rocks, Store};
use cairn_types::{Clock, ClusterId, Entropy, Epoch, RowKey, StoreId};
use parking_lot::RwLock;
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::Config;
use crate::identity::{self, Identity, IdentityError};
use crate::keys;
use crate::pace::Pace;
use crate::range::rows::RowSink;
use crate::range::{self, Sink};
use crate::recount::Counted;
use crate::room::{self, Room};
use crate::round::{self, Call};
use crate::rows::{Depth, Miss, Rows};
use crate::standing::{Fenced, LoadError, Standing};
use crate::writer::{Answer, Correction, Shared, Writer};

/// Reads that may block on the disk at once; more wait, up to their deadlines.
const MAX_DISK_READS: usize = 8;
/// Rows read from a disk that is fast on the async thread.
const READS_INLINE: usize = 2;
/// Rows read on the async thread before others get their turn.
const READS_A_TURN: usize = 32;

/// What a store is given by its process.
pub struct Parts {
    pub view: Arc<ViewCell>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The store that was recorded for this role outside its directory (DESIGN §2): empty or other ones are refused.
    /// None: a new store may be made.
    pub expected: Option<StoreId>,
    /// Where it is noted how far the store has come (REGISTER D4). None: nowhere, in tests.
    pub watermark: Option<Watermark>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot make the directory {path}")]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot open the database in {path}")]
    Database {
        path: PathBuf,
        #[source]
        source: cairn_store::Error,
    },
    #[error("this is not the store to open")]
    Identity(#[from] IdentityError),
    #[error("what the store knew cannot be read: {0}")]
    Damaged(String),
    #[error("cannot read how far the store had come")]
    Watermark(#[source] MachineError),
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// How far a store has come; membership refuses one that falls behind what it said before (REGISTER D4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Progress {
    /// Starts of this store, this one included.
    pub boots: u64,
    /// Of the last write that is durable.
    pub sequence: u64,
}

/// One store of rows.
pub struct Table {
    shared: Arc<Shared>,
    writer: Writer,
    view: Arc<ViewCell>,
    clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    boots: u64,
    watermark: Option<Watermark>,
    directory: Option<PathBuf>,
    disk_reads: Arc<Semaphore>,
    /// Held by the one recount that runs.
    recounting: Arc<Mutex<()>>,
    pace: Pace,
}

impl Table {
    /// Opens the store in `config.directory`, or makes it. Replays the tail of the log; the work does not grow with
    /// the data.
    ///
    /// # Errors
    /// The directory is not usable, or holds another store than `parts.expected`.
    pub async fn open(config: Config, parts: Parts) -> Result<Arc<Self>, OpenError> {
        let opened = tokio::task::spawn_blocking(move || {
            let store = open_database(&config)?;
            Self::start(Arc::new(store), Some(config.directory), config.reserve.bytes(), parts)
        });
        opened.await.map_err(|error| OpenError::Thread(std::io::Error::other(error)))?
    }

    /// A table on any [`Store`]: simulations give one that can forget.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn on(store: Arc<dyn Store>, parts: Parts) -> Result<Arc<Self>, OpenError> {
        Self::start(store, None, 0, parts)
    }

    /// Blocks. Afterwards the store acts on the view that it kept; a newer one that the process knows is adopted by the
    /// first call in its epoch, or when the store is run.
    fn start(
        store: Arc<dyn Store>,
        directory: Option<PathBuf>,
        reserve_bytes: u64,
        parts: Parts,
    ) -> Result<Arc<Self>, OpenError> {
        let Parts { view, clock, entropy, expected, watermark } = parts;
        let noted = watermark.as_ref().map_or(Ok(None), Watermark::read).map_err(OpenError::Watermark)?;
        let Identity { id, boots } = identity::open(&*store, expected, noted, &*entropy)?;
        let standing = Standing::load(&*store, id).map_err(|error| match error {
            LoadError::Store(source) => OpenError::Identity(source.into()),
            LoadError::Damaged(why) => OpenError::Damaged(why),
        })?;
        if let Some(adopted) = standing.adopted() {
            view.offer(adopted.view.as_ref().clone());
        }
        let sequence = AtomicU64::new(store.sequence());
        let epoch = AtomicU32::new(standing.epoch().0);
        let (rows, standing) = (Rows::new(store), RwLock::new(standing));
        let shared = Arc::new(Shared { id, rows, standing, epoch, sequence, progressed: Notify::new() });
        let room = Room::new(directory.clone(), reserve_bytes);
        let writer = Writer::start(shared.clone(), clock.clone(), room).map_err(OpenError::Thread)?;
        let disk_reads = Arc::new(Semaphore::new(MAX_DISK_READS));
        Ok(Arc::new(Self {
            shared,
            writer,
            view,
            clock,
            entropy,
            boots,
            watermark,
            directory,
            disk_reads,
            recounting: Arc::default(),
            pace: Pace::default(),
        }))
    }

    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.view.current().cluster
    }

    /// The epoch this store has persisted and acts in; 0: none yet.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.shared.epoch.load(Ordering::Acquire))
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { boots: self.boots, sequence: self.shared.sequence.load(Ordering::Acquire) }
    }

    /// Notes how far the store has come, after every write but at most once in `every`, for ever.
    pub(crate) async fn keep_watermark(&self, every: Duration) {
        loop {
            self.shared.progressed.notified().await;
            self.note_watermark().await;
            tokio::time::sleep(every).await;
        }
    }

    /// Notes how far the store has come. Where that fails the guard stands at an older mark, and says so.
    async fn note_watermark(&self) {
        let Some(watermark) = self.watermark.clone() else { return };
        let Progress { boots, sequence } = self.progress();
        let mark = Mark { store: self.shared.id, boots, sequence };
        match tokio::task::spawn_blocking(move || watermark.write(&mark)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot note how far the store has come"),
            Err(error) => tracing::warn!(%error, "cannot note how far the store has come"),
        }
    }

    /// What this store says of itself to membership. Looks at the disk.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let store = &self.shared.rows.store;
        // Persisted, and read before the look for data: with none, no call of an older epoch can bring any.
        let epoch = self.epoch();
        // Where the store cannot say, there is data: nothing may be done that needs an empty store.
        let has_data = store.scan(&keys::ROWS, Some(&keys::ROWS_END)).next().map_or(true, |row| row.is_some());
        let bytes_free = self.directory.as_ref().and_then(room::space).map_or(0, |(_, free)| free);
        NodeStatus { bytes_used: store.bytes_on_disk(), bytes_free, has_data, epoch, ready: true }
    }

    /// Bytes of the file system the store is on; 0: it is on none.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.directory.as_ref().and_then(room::space).map_or(0, |(all, _)| all)
    }

    /// An estimate of the rows held, and of their bytes on disk.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.shared.rows.store.approximate_keys(), self.shared.rows.store.bytes_on_disk())
    }

    /// Acts on the newest view that the process knows; what it says is durable on return.
    ///
    /// # Errors
    /// The store cannot write, or is closed.
    pub async fn adopt_current(&self) -> Result<(), CallError> {
        self.writer.adopt(self.view.current()).await
    }

    /// Resolves when nothing can be written any more.
    pub(crate) async fn ended(&self) {
        self.writer.ended().await;
    }

    pub(crate) fn views(&self) -> &ViewCell {
        &self.view
    }

    /// Finishes what is queued and makes the next start short. Later calls that write are refused.
    ///
    /// # Errors
    /// The store cannot flush: what was acknowledged is safe in its log.
    pub async fn close(&self) -> Result<(), cairn_store::Error> {
        self.writer.close().await?;
        self.note_watermark().await;
        Ok(())
    }

    /// REGISTER A0, A1: the call names this store, and a newer epoch than this store's is adopted with the view that
    /// the process knows or the call brings. An older one is refused by whoever judges the call.
    async fn admit(&self, context: &CallContext) -> Result<(), CallError> {
        if context.store != self.shared.id {
            return Err(CallError::WrongStore { actual: self.shared.id });
        }
        if context.epoch <= self.epoch() {
            return Ok(());
        }
        if self.view.current().epoch() < context.epoch {
            let bytes = context.view.clone().ok_or(CallError::NeedsView)?;
            let view = decode_view_bytes(bytes).map_err(|error| CallError::Invalid(error.to_string()))?;
            if view.cluster != self.cluster() {
                return Err(CallError::Invalid("the view is of another cluster".to_owned()));
            }
            self.view.offer(view);
        }
        self.adopt_current().await?;
        if context.epoch <= self.epoch() { Ok(()) } else { Err(CallError::NeedsView) }
    }

    /// A range, read by a thread that may wait for the disk: a thousand rows take a good part of a millisecond even
    /// where all is cached.
    pub(crate) async fn scan<S: Sink>(
        &self,
        context: &CallContext,
        range: Range,
        mut sink: S,
    ) -> Result<S::Reply, CallError>
    where
        S::Reply: 'static,
    {
        range::check(&range)?;
        let caller = context.epoch;
        let scanned = async {
            self.admit(context).await?;
            self.on_disk(move |shared| {
                let standing = shared.standing.read();
                let epoch = standing.fence(caller).map_err(late)?;
                let scanned = range::scan(&shared.rows, &standing, &range, &mut sink)?;
                drop(standing);
                sink.finish(shared.id, epoch, scanned)
            })
            .await
        };
        tokio::time::timeout_at(context.deadline, scanned).await.map_err(|_| CallError::Deadline)?
    }

    /// Rows that are in memory are read at once, with a pause for others now and then; the rest by a thread that may
    /// wait for the disk.
    async fn read(&self, epoch: Epoch, calls: Vec<Call>) -> Answer {
        let mut replies: Vec<Reply<Envelope>> = Vec::with_capacity(calls.len());
        let mut judged_in = None;
        while replies.len() < calls.len() {
            let turn = &calls[replies.len()..calls.len().min(replies.len() + READS_A_TURN)];
            match self.read_turn(epoch, turn) {
                Ok((epoch, read)) => {
                    replies.extend(read);
                    // One answer is made in one epoch.
                    if *judged_in.get_or_insert(epoch) != epoch {
                        return Err(CallError::Busy("the layout changed meanwhile".to_owned()));
                    }
                }
                Err(Miss::Failed(error)) => return Err(error),
                Err(Miss::OnDisk) => {
                    let now_ms = self.clock.now_ms();
                    let read = move |shared: &Shared| {
                        let standing = shared.standing.read();
                        read_under(shared, &standing, epoch, now_ms, &calls, Depth::Disk).map_err(Miss::failed)
                    };
                    return self.on_disk(read).await;
                }
            }
            if replies.len() < calls.len() {
                tokio::task::yield_now().await;
            }
        }
        Ok((judged_in.unwrap_or(epoch), replies))
    }

    /// What can be read without waiting, but for a few rows of a disk that is fast.
    fn read_turn(&self, epoch: Epoch, turn: &[Call]) -> Result<(Epoch, Vec<Reply<Envelope>>), Miss> {
        let standing = self.shared.standing.try_read().ok_or(Miss::OnDisk)?;
        let read = |depth| read_under(&self.shared, &standing, epoch, self.clock.now_ms(), turn, depth);
        match read(Depth::Memory) {
            Err(Miss::OnDisk) if turn.len() <= READS_INLINE && self.pace.is_fast() => {
                self.pace.time(|| read(Depth::Disk))
            }
            outcome => outcome,
        }
    }

    /// Runs `read` on one of a bounded number of threads.
    async fn on_disk<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let closed = |_| CallError::Unavailable("the store is closed".to_owned());
        let permit = self.disk_reads.clone().acquire_owned().await.map_err(closed)?;
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || {
            let outcome = read(&shared);
            drop(permit);
            outcome
        });
        read.await.map_err(|error| CallError::Internal(error.to_string()))?
    }
}

/// Fences and judges calls that change nothing, under one state of the store.
fn read_under(
    shared: &Shared,
    standing: &Standing,
    epoch: Epoch,
    now_ms: u64,
    calls: &[Call],
    depth: Depth,
) -> Result<(Epoch, Vec<Reply<Envelope>>), Miss> {
    let epoch = standing.fence(epoch).map_err(|fenced| Miss::Failed(late(fenced)))?;
    Ok((epoch, round::read(&shared.rows, standing, now_ms, calls, depth)?))
}

/// A call that was admitted and found another epoch when it was judged.
fn late(fenced: Fenced) -> CallError {
    match fenced {
        Fenced::Refused(error) => error,
        Fenced::Newer => CallError::NeedsView,
    }
}

fn open_database(config: &Config) -> Result<Rocks, OpenError> {
    let path = config.directory.clone();
    cairn_daemon::make_directory(&path).map_err(|source| OpenError::Directory { path: path.clone(), source })?;
    let memory_bytes = usize::try_from(config.memory.bytes()).unwrap_or(usize::MAX);
    let options = Options { memory_bytes, ..Options::default() };
    Rocks::open(&path, &options).map_err(|source| OpenError::Database { path, source })
}

#[async_trait]
impl TableReplica for Table {
    fn store(&self) -> StoreId {
        self.shared.id
    }

    /// Dropped early, a batch that writes may still be carried out.
    async fn register(
        &self,
        context: &CallContext,
        batch: Vec<(RowKey, Message<Envelope>)>,
    ) -> Result<RegisterReplies, CallError> {
        if !(1..=MAX_CALLS).contains(&batch.len()) {
            return Err(CallError::Invalid(format!(
                "a batch of {} messages; 1 to {MAX_CALLS} are allowed",
                batch.len()
            )));
        }
        if context.epoch == Epoch(0) && batch.iter().any(|(_, message)| !matches!(message, Message::Query)) {
            return Err(CallError::Invalid("a call that is more than a read names its epoch".to_owned()));
        }
        let calls: Vec<Call> =
            batch.into_iter().map(|(key, message)| Call::new(&key, message)).collect::<Result<_, _>>()?;
        let read = calls.iter().all(Call::is_read);
        let judged = async {
            self.admit(context).await?;
            if read { self.read(context.epoch, calls).await } else { self.writer.judge(context.epoch, calls).await }
        };
        let judged = tokio::time::timeout_at(context.deadline, judged).await;
        let (epoch, replies) = judged.map_err(|_| CallError::Deadline)??;
        Ok(RegisterReplies { store: self.shared.id, epoch, replies })
    }

    async fn recount(&self, context: &CallContext, partition_key: Bytes) -> Result<Recount, CallError> {
        let counted = Counted::of(partition_key)?;
        let shard = counted.shard.clone();
        let caller = context.epoch;
        let recounted = async {
            self.admit(context).await?;
            let turn = self.recounting.clone().lock_owned().await;
            let recount = self
                .on_disk(move |shared| {
                    let standing = shared.standing.read();
                    standing.fence(caller).map_err(late)?;
                    if standing.partition(counted.place()).is_none() {
                        return Err(CallError::Invalid("the bucket is not kept here".to_owned()));
                    }
                    // A count takes long: whoever adopts a layout does not wait for it.
                    drop(standing);
                    counted.count(&shared.rows)
                })
                .await?;
            self.writer.correct(Correction { shard, recount, turn }).await?;
            Ok(recount)
        };
        tokio::time::timeout_at(context.deadline, recounted).await.map_err(|_| CallError::Deadline)?
    }

    async fn range(&self, context: &CallContext, range: Range) -> Result<RangeReply, CallError> {
        let sink = RowSink::new(range.with_data);
        self.scan(context, range, sink).await
    }
}
