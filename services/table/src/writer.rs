//! The one thread that writes (REGISTER D1, E2).
//!
//! It takes everything that waits, judges it in one round, writes one synced batch and answers all: however many
//! callers, an fsync is shared by those that came while the last one ran. A round that changed nothing writes nothing.
//!
//! - **W1** No reply leaves before what it relies on is durable (`tests/table/durability.rs`:
//!   `nothing_acknowledged_is_ever_unsynced`).
//! - **W2** A newer layout record is durable before anything is judged under it, and nothing admitted under an older
//!   epoch is judged after it (`an_epoch_is_durable_before_it_is_acted_on`).
//! - **W3** Concurrent writers share fsyncs (`many_writers_share_syncs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use cairn_model::Envelope;
use cairn_placement::ClusterView;
use cairn_quorum::Recount;
use cairn_register::Reply;
use cairn_rpc::CallError;
use cairn_store::{Batch, Durability};
use cairn_types::{Clock, Epoch, StoreId};
use parking_lot::RwLock;
use tokio::sync::{Notify, OwnedMutexGuard, mpsc, oneshot};

use crate::room::Room;
use crate::round::{Call, Outcome, Round};
use crate::rows::{Depth, Miss, Rows, store_failed};
use crate::standing::{Adopted, Fenced, Standing};

/// Requests that may wait for the writer; beyond, `Busy`.
const MAX_QUEUED: usize = 1024;
/// Bytes of requests that may wait for the writer; beyond, `Busy`.
const MAX_QUEUED_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of requests judged in one round: what one fsync writes at most, but for a last request.
const MAX_ROUND_BYTES: usize = 4 * 1024 * 1024;

/// What readers and the writer share.
pub(crate) struct Shared {
    pub(crate) id: StoreId,
    pub(crate) rows: Rows,
    pub(crate) standing: RwLock<Standing>,
    /// Of `standing`, for those who cannot wait for its lock.
    pub(crate) epoch: AtomicU32,
    /// Of the last durable write (REGISTER D4).
    pub(crate) sequence: AtomicU64,
    /// Told when `sequence` rose.
    pub(crate) progressed: Notify,
}

/// Replies, and the epoch they were made in.
pub(crate) type Answer = Result<(Epoch, Vec<Reply<Envelope>>), CallError>;

enum Work {
    Judge(Request),
    Adopt(Arc<ClusterView>, oneshot::Sender<Result<(), CallError>>),
    Correct(Correction, oneshot::Sender<Result<(), CallError>>),
    Close(oneshot::Sender<Result<(), cairn_store::Error>>),
}

/// What a count of a (bucket, shard) found.
pub(crate) struct Correction {
    pub(crate) shard: Vec<u8>,
    pub(crate) recount: Recount,
    /// Nobody else counts until this is durable: another count of the same rows would correct the same again.
    pub(crate) turn: OwnedMutexGuard<()>,
}

struct Request {
    epoch: Epoch,
    calls: Vec<Call>,
    answer: oneshot::Sender<Answer>,
    size_bytes: usize,
}

/// Where work for the writer is handed in.
pub(crate) struct Writer {
    queue: mpsc::Sender<Work>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the thread; it ends at [`Writer::close`], or when the writer is dropped.
    pub(crate) fn start(shared: Arc<Shared>, clock: Arc<dyn Clock>, room: Room) -> std::io::Result<Self> {
        let (queue, work) = mpsc::channel(MAX_QUEUED);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let thread = Thread { shared, clock, room, work, queued_bytes: queued_bytes.clone() };
        std::thread::Builder::new().name("table-writer".to_owned()).spawn(move || thread.run())?;
        Ok(Self { queue, queued_bytes })
    }

    /// Judges `calls`, which were admitted under `epoch`; answers when the outcome is durable. Dropped before it was
    /// judged, nothing happens; later, everything does.
    pub(crate) async fn judge(&self, epoch: Epoch, calls: Vec<Call>) -> Answer {
        let size_bytes = calls.iter().map(Call::size_bytes).sum();
        let (answer, answered) = oneshot::channel();
        let request = Request { epoch, calls, answer, size_bytes };
        let waiting = self.queued_bytes.fetch_add(size_bytes, Ordering::AcqRel);
        if waiting > MAX_QUEUED_BYTES {
            self.queued_bytes.fetch_sub(size_bytes, Ordering::AcqRel);
            return Err(CallError::Busy("too many bytes wait to be written".to_owned()));
        }
        if let Err(refused) = self.queue.try_send(Work::Judge(request)) {
            self.queued_bytes.fetch_sub(size_bytes, Ordering::AcqRel);
            return Err(match refused {
                mpsc::error::TrySendError::Full(_) => CallError::Busy("too many writes wait".to_owned()),
                mpsc::error::TrySendError::Closed(_) => CallError::Unavailable("the store is closed".to_owned()),
            });
        }
        answered.await.unwrap_or_else(|_| Err(CallError::Internal("the store closed meanwhile".to_owned())))
    }

    /// Acts on `view` from now on, if its layout record is newer; it is durable on return.
    pub(crate) async fn adopt(&self, view: Arc<ClusterView>) -> Result<(), CallError> {
        let (done, wait) = oneshot::channel();
        let closed = || CallError::Unavailable("the store is closed".to_owned());
        self.queue.send(Work::Adopt(view, done)).await.map_err(|_| closed())?;
        wait.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Puts a usage right; durable on return.
    pub(crate) async fn correct(&self, correction: Correction) -> Result<(), CallError> {
        let (done, wait) = oneshot::channel();
        let closed = || CallError::Unavailable("the store is closed".to_owned());
        self.queue.send(Work::Correct(correction, done)).await.map_err(|_| closed())?;
        wait.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Resolves when the thread has ended.
    pub(crate) async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Finishes what is queued, flushes the store and ends the thread. Later requests are refused.
    pub(crate) async fn close(&self) -> Result<(), cairn_store::Error> {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Work::Close(done)).await.is_err() {
            return Ok(());
        }
        wait.await.unwrap_or(Ok(()))
    }
}

struct Thread {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    room: Room,
    work: mpsc::Receiver<Work>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Thread {
    fn run(mut self) {
        while let Some(work) = self.work.blocking_recv() {
            let mut next = Some(work);
            while let Some(work) = next.take() {
                match work {
                    Work::Judge(first) => {
                        let (requests, other) = self.gather(first);
                        self.round(requests);
                        next = other;
                    }
                    Work::Adopt(view, done) => answer(done, self.adopt(view)),
                    Work::Correct(correction, done) => answer(done, self.correct(correction)),
                    Work::Close(done) => return answer(done, self.shared.rows.store.flush()),
                }
            }
        }
    }

    /// Everything that waits, up to a round's bound; and what stopped the gathering, to be done after it.
    fn gather(&mut self, first: Request) -> (Vec<Request>, Option<Work>) {
        let mut size_bytes = first.size_bytes;
        let mut requests = vec![first];
        while size_bytes < MAX_ROUND_BYTES {
            match self.work.try_recv() {
                Ok(Work::Judge(request)) => {
                    size_bytes += request.size_bytes;
                    requests.push(request);
                }
                Ok(other) => return (requests, Some(other)),
                Err(_) => break,
            }
        }
        (requests, None)
    }

    fn round(&mut self, requests: Vec<Request>) {
        let taken = requests.iter().map(|request| request.size_bytes).sum();
        self.queued_bytes.fetch_sub(taken, Ordering::AcqRel);
        let full = self.room.is_short();

        let standing = self.shared.standing.read();
        let mut round = Round::new(&self.shared.rows, &standing, self.clock.now_ms());
        let mut answers: Vec<(oneshot::Sender<Answer>, Answer)> = Vec::with_capacity(requests.len());
        for request in requests {
            // Whoever stopped waiting gets nothing done: shed first what nobody wants.
            if !request.answer.is_closed() {
                let judged = judge(&mut round, &standing, full.as_deref(), &request);
                answers.push((request.answer, judged));
            }
        }
        let outcome = round.finish();
        drop(standing);

        let written = self.write(outcome);
        for (sender, judged) in answers {
            let result = match (&written, judged) {
                (Err(error), Ok(_)) => Err(error.clone()),
                (_, judged) => judged,
            };
            answer(sender, result);
        }
    }

    /// Makes `outcome` durable. A failure leaves it unknown whether it is.
    fn write(&self, outcome: Outcome) -> Result<(), CallError> {
        if outcome.batch.is_empty() {
            return Ok(());
        }
        let mut exclusive = outcome.exclusive.then(|| self.shared.standing.write());
        let written = self.shared.rows.store.write(outcome.batch, Durability::Synced);
        written.map_err(|error| CallError::Internal(format!("the write's outcome is unknown: {error}")))?;
        if let Some(standing) = &mut exclusive {
            for (partition, floors) in outcome.floors {
                standing.set_floors(partition, floors);
            }
        }
        self.note_sequence();
        Ok(())
    }

    fn adopt(&self, view: Arc<ClusterView>) -> Result<(), CallError> {
        let mut standing = self.shared.standing.write();
        let newer = |adopted: &Arc<Adopted>| view.record.number > adopted.view.record.number;
        if !standing.adopted().is_none_or(newer) {
            return Ok(());
        }
        let next = Arc::new(Adopted::of(view, self.shared.id));
        let (batch, joined) = standing.adoption(&next);
        self.shared.rows.store.write(batch, Durability::Synced).map_err(store_failed)?;
        tracing::info!(epoch = %next.epoch(), record = next.view.record.number, joined = joined.len(), "layout adopted");
        let epoch = next.epoch().0;
        standing.adopt(next, joined);
        self.shared.epoch.store(epoch, Ordering::Release);
        drop(standing);
        self.note_sequence();
        Ok(())
    }

    fn correct(&self, correction: Correction) -> Result<(), CallError> {
        let Correction { shard: key, recount: Recount { before, counted }, turn } = correction;
        if before != counted {
            let mut shard = self.shared.rows.shard(&key, Depth::Disk).map_err(Miss::failed)?;
            shard.correct(before, counted);
            let mut batch = Batch::new();
            batch.put(key, shard.encode());
            self.shared.rows.store.write(batch, Durability::Synced).map_err(store_failed)?;
            self.note_sequence();
            tracing::warn!(?before, ?counted, "the usage of a bucket was put right");
        }
        drop(turn);
        Ok(())
    }

    fn note_sequence(&self) {
        self.shared.sequence.store(self.shared.rows.store.sequence(), Ordering::Release);
        self.shared.progressed.notify_one();
    }
}

/// `full` says why nothing that grows may be stored.
fn judge(round: &mut Round<'_>, standing: &Standing, full: Option<&str>, request: &Request) -> Answer {
    let epoch = standing.fence(request.epoch).map_err(|fenced| match fenced {
        Fenced::Refused(error) => error,
        Fenced::Newer => CallError::NeedsView,
    })?;
    if let Some(why) = full
        && request.calls.iter().any(Call::stores_value)
    {
        return Err(CallError::Full(why.to_owned()));
    }
    Ok((epoch, round.judge(&request.calls)?))
}

/// Nobody may be waiting any more; then nobody needs the answer.
fn answer<T>(to: oneshot::Sender<T>, with: T) {
    drop(to.send(with));
}
