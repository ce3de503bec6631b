//! Batches: what several operations have for one replica travels together.

use std::sync::Arc;

use cairn_model::Envelope;
use cairn_register::coordinator::Operation;
use cairn_register::{Message, Reply};
use cairn_rpc::CallError;
use cairn_types::{Epoch, StoreId};
use futures_util::future::BoxFuture;

use super::Slot;
use crate::routes::{Routes, TableNode};
use crate::{Op, call};

/// A batch on its way.
pub(crate) type Sent = BoxFuture<'static, Answer>;

/// The answer to a batch.
pub(crate) struct Answer {
    pub(crate) store: StoreId,
    /// The epoch it was sent in.
    pub(crate) epoch: Epoch,
    /// The slot and round of each message.
    pub(crate) posts: Vec<(usize, u32)>,
    /// A value was among them.
    pub(crate) stores: bool,
    pub(crate) result: Result<Vec<Reply<Envelope>>, CallError>,
}

/// One message of one slot; round 0 belongs to no round, and nobody waits for its reply.
pub(crate) struct Post {
    pub(crate) at: usize,
    pub(crate) round: u32,
    message: Message<Envelope>,
}

impl Post {
    /// It carries a value.
    pub(crate) const fn stores(&self) -> bool {
        matches!(self.message, Message::Accept { .. })
    }
}

/// Messages by replica, until they are sent.
#[derive(Default)]
pub(crate) struct Outgoing(Vec<(StoreId, Vec<Post>)>);

impl Outgoing {
    pub(crate) fn post(&mut self, store: StoreId, at: usize, round: u32, message: Message<Envelope>) {
        let post = Post { at, round, message };
        match self.0.iter_mut().find(|(to, _)| *to == store) {
            Some((_, posts)) => posts.push(post),
            None => self.0.push((store, vec![post])),
        }
    }

    pub(crate) fn next_batch(&mut self) -> Option<(StoreId, Vec<Post>)> {
        self.0.pop()
    }
}

/// The call that carries `posts` to `node`; whether it writes.
pub(crate) fn batch<O: Operation<Envelope>>(
    routes: &Arc<Routes>,
    node: Arc<TableNode>,
    op: Op,
    slots: &[Slot<O>],
    posts: Vec<Post>,
) -> (bool, Sent) {
    let writes = posts.iter().any(|post| !matches!(post.message, Message::Query));
    let stores = posts.iter().any(Post::stores);
    let mut rounds = Vec::with_capacity(posts.len());
    let mut messages = Vec::with_capacity(posts.len());
    for Post { at, round, message } in posts {
        rounds.push((at, round));
        messages.push((slots[at].key.clone(), message));
    }
    let routes = routes.clone();
    let sent = Box::pin(async move {
        let (store, epoch) = (node.store, routes.epoch());
        let result = call::register(routes, node, op, messages).await;
        Answer { store, epoch, posts: rounds, stores, result }
    });
    (writes, sent)
}
