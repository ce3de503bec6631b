//! Blocks: written to all replicas, answered at a majority; read from the nearest, and from the next when that is
//! slow or fails (DESIGN §6).
//!
//! - **B1** A block counts as stored only when a majority of every active block layout said it is durable
//!   (`a_block_needs_a_majority`).

mod read;
mod references;

use std::sync::Arc;
use std::time::Duration;

use cairn_placement::ReplicaSet;
use cairn_rpc::{CallContext, CallError};
use cairn_types::StoreId;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::call::watched;
use crate::cluster::Cluster;
use crate::routes::{BlockNode, Routes};
use crate::tally::{Tally, Verdict, everyone};
use crate::{Op, OpError, PutBlock};

/// Times a block is offered to its replicas before the operation fails.
const TRIES: u32 = 5;
/// The longest wait between them; drawn at random below it.
const RETRY_DELAY: Duration = Duration::from_millis(300);

/// Where the background has no room for the last send, the caller waits for it, so that a replica that is merely slower
/// than its peers slows writers down and misses nothing; but no longer than this.
const NO_ROOM_PATIENCE: Duration = Duration::from_secs(1);

type Sent = BoxFuture<'static, (StoreId, Result<bool, CallError>)>;

/// How one round of sends ended.
enum Round {
    Stored,
    /// There is a newer view: the block may belong elsewhere.
    Moved,
    Failed(OpError),
}

impl Cluster {
    /// Stores a block and its reference on all replicas; returns once both are durable on a majority of every active
    /// block layout. What remains goes on within a bound of memory and time.
    ///
    /// # Errors
    /// [`OpError::NotReady`], [`OpError::NoQuorum`], [`OpError::Full`], [`OpError::Invalid`]. After any of them some
    /// replica may have the block, which harms nobody.
    pub async fn put_block(&self, op: &Op, block: PutBlock) -> Result<(), OpError> {
        let mut tries = 0;
        loop {
            let routes = self.routes();
            let quorums = routes.block_quorums(block.hash.as_bytes()).ok_or(OpError::NotReady)?;
            tries += 1;
            match self.put_once(op, &routes, &quorums.accept, &block).await {
                Round::Stored => return Ok(()),
                Round::Moved if tries < TRIES => {}
                Round::Moved => return Err(OpError::NoQuorum("the layout keeps changing".to_owned())),
                Round::Failed(OpError::NoQuorum(_)) if tries < TRIES && self.pause(op, RETRY_DELAY).await => {}
                Round::Failed(error) => return Err(error),
            }
        }
    }

    async fn put_once(&self, op: &Op, routes: &Arc<Routes>, sets: &[ReplicaSet], block: &PutBlock) -> Round {
        let mut tally = Tally::new(sets);
        let mut why = Refusals::default();
        let mut sends: FuturesUnordered<Sent> = FuturesUnordered::new();
        for store in everyone(sets) {
            match routes.block(store) {
                Some(node) => sends.push(send(routes.clone(), node.clone(), *op, block.clone())),
                None => {
                    why.add(store, &CallError::Unreachable("no address is known".to_owned()));
                    tally.on_failure(store);
                }
            }
        }
        self.counters().block_round(sends.len());
        let mut verdict = tally.verdict();
        let deadline = tokio::time::sleep_until(op.deadline);
        tokio::pin!(deadline);
        while verdict == Verdict::Waiting {
            let (store, result) = tokio::select! {
                Some(sent) = sends.next() => sent,
                () = &mut deadline => return Round::Failed(OpError::NoQuorum("no answer before the deadline".to_owned())),
                else => break,
            };
            verdict = match result {
                Ok(_) => tally.on_ack(store),
                Err(error) => {
                    if let CallError::StaleEpoch { view } = &error
                        && self.learn_view(view.clone(), routes.epoch())
                    {
                        return Round::Moved;
                    }
                    why.add(store, &error);
                    tally.on_failure(store)
                }
            };
        }
        if verdict != Verdict::Reached {
            return Round::Failed(why.into_error());
        }
        if !sends.is_empty() {
            let bytes: usize = block.data.iter().map(bytes::Bytes::len).sum();
            let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
            let rest = sends.for_each(|_| std::future::ready(()));
            if let Err(rest) = self.tail().finish(kib, rest)
                && tokio::time::timeout(NO_ROOM_PATIENCE, rest).await.is_err()
            {
                tracing::debug!(block = %block.hash, "a replica is too slow for this block");
            }
        }
        Round::Stored
    }
}

fn send(routes: Arc<Routes>, node: Arc<BlockNode>, op: Op, block: PutBlock) -> Sent {
    Box::pin(async move {
        let context = routes.context(&op, node.store);
        let put = |context: CallContext| {
            let (replica, block) = (node.replica.clone(), block.clone());
            async move { replica.put(&context, block).await }
        };
        (node.store, watched(&node.health, false, &routes, context, put).await)
    })
}

/// Why replicas did not do what was asked, to answer the most telling reason.
#[derive(Default)]
pub(crate) struct Refusals {
    full: Option<String>,
    invalid: Option<String>,
    other: Vec<String>,
}

impl Refusals {
    pub(crate) fn add(&mut self, store: StoreId, error: &CallError) {
        tracing::debug!(%store, %error, "a replica did not do its part");
        match error {
            CallError::Full(why) => self.full = Some(why.clone()),
            CallError::Invalid(why) | CallError::ChecksumMismatch(why) => self.invalid = Some(why.clone()),
            error => self.other.push(format!("{store}: {error}")),
        }
    }

    pub(crate) fn into_error(self) -> OpError {
        match (self.invalid, self.full) {
            (Some(why), _) => OpError::Invalid(why),
            (None, Some(why)) => OpError::Full(why),
            (None, None) => OpError::NoQuorum(self.other.join("; ")),
        }
    }
}
