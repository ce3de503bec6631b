//! One range, asked of a majority: the nearest first, others when those are slow or fail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cairn_placement::{Quorums, ReplicaSet};
use cairn_register::Gate;
use cairn_rpc::CallError;
use cairn_types::StoreId;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::blocks::Refusals;
use crate::cluster::Cluster;
use crate::routes::{Routes, TableNode};
use crate::tally::{Tally, Verdict, everyone, first_majority};
use crate::{Op, OpError, Range, RangeReply, call};

/// A scan may take longer than a read of one row; who needs more than this is not waited for.
const HEDGE: Duration = Duration::from_millis(400);
/// Times a majority is looked for.
const TRIES: u32 = 16;
/// The longest wait between them; drawn at random below it.
const RETRY_DELAY: Duration = Duration::from_millis(400);

type Asked = BoxFuture<'static, (StoreId, Result<RangeReply, CallError>)>;

/// The replies of a majority.
pub(crate) struct Ranges {
    pub(crate) replies: Vec<RangeReply>,
    /// Sets in which a row must have its majority to be chosen.
    pub(crate) accept: Vec<ReplicaSet>,
}

enum Round {
    Replies(Vec<RangeReply>),
    Moved,
    Failed(OpError),
}

impl Cluster {
    /// Asks a majority; with `closing`, only replicas whose gate is closing with that number count.
    pub(crate) async fn ranges(&self, op: &Op, range: &Range, closing: Option<u64>) -> Result<Ranges, OpError> {
        let mut tries = 0;
        loop {
            let routes = self.routes();
            let quorums = routes.row_quorums(&range.partition_key).ok_or(OpError::NotReady)?;
            tries += 1;
            match self.ranges_once(op, &routes, &quorums, range, closing).await {
                Round::Replies(replies) => return Ok(Ranges { replies, accept: quorums.accept }),
                Round::Moved if tries < TRIES => {}
                Round::Moved => return Err(OpError::NoQuorum("the layout keeps changing".to_owned())),
                Round::Failed(OpError::NoQuorum(_)) if tries < TRIES && self.pause(op, RETRY_DELAY).await => {}
                Round::Failed(error) => return Err(error),
            }
        }
    }

    async fn ranges_once(
        &self,
        op: &Op,
        routes: &Arc<Routes>,
        quorums: &Quorums,
        range: &Range,
        closing: Option<u64>,
    ) -> Round {
        let mut tally = Tally::new(&quorums.query);
        let mut why = Refusals::default();
        let mut replies = Vec::new();
        let (first, rest) = first_majority(&quorums.query, &routes.nearest_tables(&everyone(&quorums.query)));
        let mut rest: VecDeque<StoreId> = rest.into();
        let mut calls: FuturesUnordered<Asked> = FuturesUnordered::new();
        let mut to_ask: VecDeque<StoreId> = first.into();
        loop {
            let before = calls.len();
            while let Some(store) = to_ask.pop_front() {
                match routes.table(store) {
                    Some(node) => calls.push(ask(routes.clone(), node.clone(), *op, range.clone())),
                    None => {
                        why.add(store, &CallError::Unreachable("no address is known".to_owned()));
                        tally.on_failure(store);
                        to_ask.extend(rest.pop_front());
                    }
                }
            }
            self.counters().table_round(calls.len() - before);
            match tally.verdict() {
                Verdict::Reached => return Round::Replies(replies),
                Verdict::Unreachable => return Round::Failed(why.into_error()),
                Verdict::Waiting => {}
            }
            let hedge = tokio::time::Instant::now() + HEDGE;
            let until = if rest.is_empty() { op.deadline } else { hedge.min(op.deadline) };
            let (store, result) = match tokio::time::timeout_at(until, calls.next()).await {
                Ok(Some(answer)) => answer,
                _ if tokio::time::Instant::now() >= op.deadline => {
                    return Round::Failed(OpError::NoQuorum("no answer before the deadline".to_owned()));
                }
                Ok(None) | Err(_) => {
                    to_ask.extend(rest.drain(..));
                    continue;
                }
            };
            match result {
                Ok(reply) if closing.is_none_or(|number| reply.gate == Gate::Closing(number)) => {
                    replies.push(reply);
                    tally.on_ack(store);
                }
                Ok(_) => {
                    why.add(store, &CallError::Unavailable("the gate is not here yet".to_owned()));
                    tally.on_failure(store);
                    to_ask.extend(rest.pop_front());
                }
                Err(error) => {
                    if let CallError::StaleEpoch { view } = &error
                        && self.learn_view(view.clone(), routes.epoch())
                    {
                        return Round::Moved;
                    }
                    why.add(store, &error);
                    tally.on_failure(store);
                    to_ask.extend(rest.pop_front());
                }
            }
        }
    }
}

fn ask(routes: Arc<Routes>, node: Arc<TableNode>, op: Op, range: Range) -> Asked {
    Box::pin(async move {
        let store = node.store;
        (store, call::range(routes, node, op, range).await)
    })
}
