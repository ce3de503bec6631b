//! One call to one replica: its health is watched, a view it lacks is attached, and `Busy` is tried again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::Envelope;
use cairn_register::{Message, Reply};
use cairn_rpc::{CallContext, CallError};
use cairn_types::RowKey;

use crate::health::Health;
use crate::routes::{Routes, TableNode};
use crate::traffic::Counters;
use crate::{Op, Range, RangeReply, Recount};

/// A replica that is busy is asked again this often, at most.
const BUSY_TRIES: u32 = 4;
/// The first wait before that; doubled each time.
const BUSY_DELAY: Duration = Duration::from_millis(20);

/// A register batch for `node`. Batches with writes take along the hints that wait for this peer.
pub(crate) async fn register(
    routes: Arc<Routes>,
    node: Arc<TableNode>,
    op: Op,
    batch: Vec<(RowKey, Message<Envelope>)>,
) -> Result<Vec<Reply<Envelope>>, CallError> {
    let writes = batch.iter().any(|(_, message)| !matches!(message, Message::Query));
    let mut hints = if writes { node.hints.take() } else { Vec::new() };
    hints.truncate(cairn_model::wire::MAX_CALLS.saturating_sub(batch.len()));
    let leading = hints.len();
    hints.extend(batch);
    let batch = hints;
    let expected = batch.len();
    let context = routes.context(&op, node.store);
    let ask = |context: CallContext| {
        let (replica, batch) = (node.replica.clone(), batch.clone());
        async move { replica.register(&context, batch).await }
    };
    let replies = watched(&node.health, !writes, &routes, context, ask).await?;
    if replies.store != node.store {
        return Err(CallError::WrongStore { actual: replies.store });
    }
    if replies.replies.len() != expected {
        return Err(CallError::Internal(format!("{} replies to {expected} calls", replies.replies.len())));
    }
    let mut replies = replies.replies;
    replies.drain(..leading);
    Ok(replies)
}

/// A range of `node`.
pub(crate) async fn range(
    routes: Arc<Routes>,
    node: Arc<TableNode>,
    op: Op,
    range: Range,
) -> Result<RangeReply, CallError> {
    let context = routes.context(&op, node.store);
    let ask = |context: CallContext| {
        let (replica, range) = (node.replica.clone(), range.clone());
        async move { replica.range(&context, range).await }
    };
    let reply = watched(&node.health, false, &routes, context, ask).await?;
    if reply.store == node.store { Ok(reply) } else { Err(CallError::WrongStore { actual: reply.store }) }
}

/// A recount by `node`, which takes as long as its rows are many.
pub(crate) async fn recount(
    routes: Arc<Routes>,
    node: Arc<TableNode>,
    op: Op,
    partition_key: Bytes,
) -> Result<Recount, CallError> {
    let context = routes.context(&op, node.store);
    let ask = |context: CallContext| {
        let (replica, key) = (node.replica.clone(), partition_key.clone());
        async move { replica.recount(&context, key).await }
    };
    watched(&node.health, false, &routes, context, ask).await
}

/// Makes a call, again with the view after `NeedsView`, again later after `Busy`, and tells `health` how it went;
/// `timed` where its latency is that of a read.
pub(crate) async fn watched<T, F: Future<Output = Result<T, CallError>>>(
    health: &Arc<Health>,
    timed: bool,
    routes: &Routes,
    mut context: CallContext,
    call: impl Fn(CallContext) -> F,
) -> Result<T, CallError> {
    let mut busy = 0;
    loop {
        let mut watch = health.begin();
        let result = call(context.clone()).await;
        match &result {
            Err(CallError::Unreachable(_) | CallError::Deadline) => watch.failed(),
            Ok(_) => watch.answered(timed),
            Err(_) => watch.answered(false),
        }
        match result {
            Err(CallError::NeedsView) if context.view.is_none() => context.view = Some(routes.encoded_view()),
            Err(CallError::Busy(_)) if busy < BUSY_TRIES => {
                tokio::time::sleep(BUSY_DELAY * (1 << busy)).await;
                busy += 1;
            }
            result => return result,
        }
    }
}

/// Sends `node` the hints that wait for it, if any.
pub(crate) async fn flush(traffic: &Counters, routes: Arc<Routes>, node: Arc<TableNode>, op: Op) {
    let hints = node.hints.take();
    if hints.is_empty() || node.health.suspect() {
        return;
    }
    traffic.hints();
    let context = routes.context(&op, node.store);
    let ask = |context: CallContext| {
        let (replica, hints) = (node.replica.clone(), hints.clone());
        async move { replica.register(&context, hints).await }
    };
    let sent = tokio::time::timeout_at(op.deadline, watched(&node.health, false, &routes, context, ask)).await;
    if let Ok(Err(error)) = sent {
        tracing::debug!(store = %node.store, %error, "hints were not taken");
    }
}
