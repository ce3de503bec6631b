//! Reading one block: from this process's own replica first, then the nearest, hedged, and continued elsewhere when
//! a replica fails or stalls halfway.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_rpc::{CallContext, CallError};
use cairn_types::{BlockHash, StoreId};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};

use super::Refusals;
use crate::cluster::Cluster;
use crate::health::Watch;
use crate::routes::{BlockNode, Routes};
use crate::tally::everyone;
use crate::{BlockBody, Op, OpError};

/// A replica that has begun to answer and then says nothing for this long is given up.
const STALL: Duration = Duration::from_secs(2);

impl Cluster {
    /// A block, from byte `offset` on, `length` bytes of it (0: to the end); shorter where the block ends before.
    /// The body continues at another replica when one fails, and ends with an error only when none is left.
    ///
    /// # Errors
    /// [`OpError::NotReady`]; [`OpError::NotFound`] where every replica says that it does not have the block; else
    /// [`OpError::NoQuorum`].
    pub async fn get_block(&self, op: &Op, hash: BlockHash, offset: u32, length: u32) -> Result<BlockBody, OpError> {
        let routes = self.routes();
        let quorums = routes.block_quorums(hash.as_bytes()).ok_or(OpError::NotReady)?;
        let candidates: VecDeque<_> = routes.nearest_blocks(&quorums.accept).into();
        let unknown = everyone(&quorums.accept).len() - candidates.len();
        let cluster = self.clone();
        let mut reader = Reader { cluster, routes, op: *op, hash, offset, length, candidates, source: None, left: 0 };
        let mut why = Why { missing: 0, asked: unknown, refusals: Refusals::default() };
        reader.open(&mut why).await;
        let Some(source) = &reader.source else {
            return Err(if why.missing == why.asked { OpError::NotFound } else { why.refusals.into_error() });
        };
        let size = source.size;
        let rest = size.saturating_sub(offset);
        reader.left = if length == 0 { rest } else { length.min(rest) };
        let pieces = futures_util::stream::unfold(reader, async |mut reader| {
            let piece = reader.piece().await?;
            Some((piece, reader))
        });
        Ok(BlockBody { size, pieces: pieces.boxed() })
    }
}

/// Why no replica could be opened.
struct Why {
    /// Replicas that say they do not have it.
    missing: usize,
    asked: usize,
    refusals: Refusals,
}

struct Reader {
    cluster: Cluster,
    routes: Arc<Routes>,
    op: Op,
    hash: BlockHash,
    /// The next byte wanted, and how many (0: to the end).
    offset: u32,
    length: u32,
    /// Replicas not asked yet, best first.
    candidates: VecDeque<Arc<BlockNode>>,
    source: Option<Source>,
    /// Bytes still to deliver.
    left: u32,
}

/// The replica read from.
struct Source {
    store: StoreId,
    size: u32,
    pieces: BoxStream<'static, Result<Bytes, CallError>>,
    /// In flight until the body ends.
    watch: Watch,
}

type Opening = BoxFuture<'static, (StoreId, Result<Source, CallError>)>;

impl Reader {
    /// Asks the best replica, and the next whenever one fails or takes longer than usual, until one answers.
    async fn open(&mut self, why: &mut Why) {
        let mut calls: FuturesUnordered<Opening> = FuturesUnordered::new();
        let mut hedge = Duration::ZERO;
        loop {
            if calls.is_empty() || hedge.is_zero() {
                match self.candidates.pop_front() {
                    Some(node) => {
                        hedge = node.health.hedge();
                        why.asked += 1;
                        self.cluster.counters().block_round(1);
                        calls.push(self.call(node));
                    }
                    None if calls.is_empty() => return,
                    None => {}
                }
            }
            let patience = if self.candidates.is_empty() {
                self.op.deadline.duration_since(tokio::time::Instant::now())
            } else {
                hedge
            };
            let Ok(answer) = tokio::time::timeout(patience, calls.next()).await else {
                if self.candidates.is_empty() {
                    return; // the deadline
                }
                hedge = Duration::ZERO;
                continue;
            };
            match answer {
                Some((_, Ok(source))) => {
                    self.source = Some(source);
                    return;
                }
                Some((store, Err(error))) => {
                    why.missing += usize::from(matches!(error, CallError::NotFound(_)));
                    why.refusals.add(store, &error);
                    hedge = Duration::ZERO;
                }
                None => {}
            }
        }
    }

    fn call(&self, node: Arc<BlockNode>) -> Opening {
        let context: CallContext = self.routes.context(&self.op, node.store);
        let (hash, offset, length) = (self.hash, self.offset, self.length);
        Box::pin(async move {
            let mut watch = node.health.begin();
            let result = node.replica.get(&context, hash, offset, length).await;
            match &result {
                Err(CallError::Unreachable(_) | CallError::Deadline) => watch.failed(),
                Ok(_) => watch.answered(true),
                Err(_) => watch.answered(false),
            }
            let store = node.store;
            (store, result.map(|BlockBody { size, pieces }| Source { store, size, pieces, watch }))
        })
    }

    /// The next piece; none after the last.
    async fn piece(&mut self) -> Option<Result<Bytes, CallError>> {
        while self.left > 0 {
            let source = self.source.as_mut()?;
            let error = match tokio::time::timeout(STALL, source.pieces.next()).await {
                Ok(Some(Ok(piece))) => match u32::try_from(piece.len()) {
                    Ok(length) if length <= self.left => {
                        self.left -= length;
                        self.offset += length;
                        self.length = self.left;
                        return Some(Ok(piece));
                    }
                    _ => CallError::Corrupt("a replica sent more than was asked for".to_owned()),
                },
                Ok(Some(Err(error))) => error,
                Ok(None) => CallError::Corrupt("a replica sent less than was asked for".to_owned()),
                Err(_) => {
                    source.watch.failed();
                    CallError::Unreachable("a replica stalled".to_owned())
                }
            };
            tracing::warn!(block = %self.hash, store = %source.store, %error, "reading goes on at another replica");
            self.source = None;
            let mut why = Why { missing: 0, asked: 0, refusals: Refusals::default() };
            self.length = self.left;
            self.open(&mut why).await;
            if self.source.is_none() {
                self.left = 0;
                return Some(Err(error));
            }
        }
        None
    }
}
