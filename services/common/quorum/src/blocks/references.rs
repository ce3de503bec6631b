//! References: added and dropped on a majority of each block's replicas, in few calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_rpc::{CallContext, CallError};
use cairn_types::{BlockHash, ManifestId, StoreId};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::Refusals;
use crate::call::watched;
use crate::cluster::Cluster;
use crate::routes::{BlockNode, Routes};
use crate::tally::{Tally, Verdict, everyone};
use crate::wire::MAX_REFERENCES;
use crate::{Op, OpError, Reference};

/// Answers the positions of blocks that are not there.
type Asked = BoxFuture<'static, (StoreId, Vec<usize>, Result<Vec<BlockHash>, CallError>)>;

impl Cluster {
    /// Adds references to blocks that are stored already; durable on a majority of each block's replicas on return.
    /// Answers the blocks for which that failed because they are not there: their bytes must be put again.
    ///
    /// # Errors
    /// [`OpError::NotReady`], [`OpError::NoQuorum`], [`OpError::Full`]. Some references may have been added then.
    pub async fn add_references(
        &self,
        op: &Op,
        references: Vec<(BlockHash, Reference)>,
    ) -> Result<Vec<BlockHash>, OpError> {
        self.on_blocks(op, references, |node, context, part| {
            Box::pin(async move { node.replica.add_references(&context, part).await })
        })
        .await
    }

    /// Drops references; durable on a majority of each block's replicas on return.
    ///
    /// # Errors
    /// [`OpError::NotReady`], [`OpError::NoQuorum`]. Some references may have been dropped then.
    pub async fn drop_references(&self, op: &Op, references: Vec<(BlockHash, ManifestId)>) -> Result<(), OpError> {
        let done = self.on_blocks(op, references, |node, context, part| {
            Box::pin(async move { node.replica.drop_references(&context, part).await.map(|()| Vec::new()) })
        });
        done.await.map(|_: Vec<BlockHash>| ())
    }

    /// Sends each of `items` to all replicas of its block, grouped by replica, until each has its majority.
    async fn on_blocks<T: Clone + Send + Sync + 'static>(
        &self,
        op: &Op,
        items: Vec<(BlockHash, T)>,
        call: impl Fn(
            Arc<BlockNode>,
            CallContext,
            Vec<(BlockHash, T)>,
        ) -> BoxFuture<'static, Result<Vec<BlockHash>, CallError>>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> Result<Vec<BlockHash>, OpError> {
        let routes = self.routes();
        let mut sets = Vec::with_capacity(items.len());
        for (hash, _) in &items {
            sets.push(routes.block_quorums(hash.as_bytes()).ok_or(OpError::NotReady)?.accept);
        }
        let mut stores: BTreeMap<StoreId, Vec<usize>> = BTreeMap::new();
        for (at, sets) in sets.iter().enumerate() {
            for store in everyone(sets) {
                stores.entry(store).or_default().push(at);
            }
        }
        let mut tallies: Vec<Tally<'_>> = sets.iter().map(|sets| Tally::new(sets)).collect();
        let mut missing = vec![false; items.len()];
        let mut why = Refusals::default();
        let mut calls: FuturesUnordered<Asked> = FuturesUnordered::new();
        for (store, positions) in stores {
            let Some(node) = routes.block(store) else {
                why.add(store, &CallError::Unreachable("no address is known".to_owned()));
                for at in positions {
                    tallies[at].on_failure(store);
                }
                continue;
            };
            for chunk in positions.chunks(MAX_REFERENCES) {
                let part = chunk.iter().map(|at| items[*at].clone()).collect();
                calls.push(ask(routes.clone(), node.clone(), *op, chunk.to_vec(), part, call.clone()));
            }
        }
        self.counters().block_round(calls.len());
        while tallies.iter().any(|tally| tally.verdict() == Verdict::Waiting) {
            let Ok(Some((store, positions, result))) = tokio::time::timeout_at(op.deadline, calls.next()).await else {
                return Err(OpError::NoQuorum("no answer before the deadline".to_owned()));
            };
            match result {
                Ok(absent) => {
                    for at in positions {
                        let absent = absent.contains(&items[at].0);
                        missing[at] |= absent;
                        if absent {
                            tallies[at].on_failure(store)
                        } else {
                            tallies[at].on_ack(store)
                        };
                    }
                }
                Err(error) => {
                    if let CallError::StaleEpoch { view } = &error {
                        self.learn_view(view.clone(), routes.epoch());
                    }
                    why.add(store, &error);
                    for at in positions {
                        tallies[at].on_failure(store);
                    }
                }
            }
        }
        if !calls.is_empty() && self.tail().finish(1, calls.for_each(|_| std::future::ready(()))).is_err() {
            tracing::debug!("no room to finish a change of references in the background");
        }
        let mut absent = Vec::new();
        for (at, tally) in tallies.iter().enumerate() {
            match tally.verdict() {
                Verdict::Reached => {}
                _ if missing[at] => absent.push(items[at].0),
                _ => return Err(why.into_error()),
            }
        }
        Ok(absent)
    }
}

fn ask<T: Clone + Send + Sync + 'static>(
    routes: Arc<Routes>,
    node: Arc<BlockNode>,
    op: Op,
    positions: Vec<usize>,
    part: Vec<(BlockHash, T)>,
    call: impl Fn(Arc<BlockNode>, CallContext, Vec<(BlockHash, T)>) -> BoxFuture<'static, Result<Vec<BlockHash>, CallError>>
    + Send
    + Sync
    + 'static,
) -> Asked {
    Box::pin(async move {
        let context = routes.context(&op, node.store);
        let once = |context: CallContext| call(node.clone(), context, part.clone());
        let result = watched(&node.health, false, &routes, context, once).await;
        (node.store, positions, result)
    })
}
