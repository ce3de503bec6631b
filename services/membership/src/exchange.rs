//! What membership daemons tell each other: nodes' records, signs of life, staged changes, the newest chosen record.
//!
//! - **X1** All of it merges in any order: records and staged changes as last-writer-wins values, chosen records by
//!   number. An open record is never passed on (REGISTER E1).
//! - **X2** A peer that does not keep up is dropped, and told everything when it comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_crdt::Stamp;
use cairn_model::view::encode_record;
use cairn_proto::membership::v1::{
    ExchangeRequest, ExchangeResponse, LayoutRecord, NodeRecord as WireRecord, StagedLayout,
};
use cairn_rpc::CallError;
use cairn_types::StoreId;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tracing::warn;

use crate::disk::Record;
use crate::membership::Membership;
use crate::nodes::NodeRecord;
use crate::peers::invalid;
use crate::publish::TICK;
use crate::staged::Staged;
use crate::wire::votable;

/// Messages that wait for a peer.
const QUEUE: usize = 8;
/// Between messages that bring no new layout record.
const INTERVAL: Duration = Duration::from_millis(50);
/// A clock that is further off is reported.
const CLOCK_TOLERANCE_MS: u64 = 5_000;

/// One message, either way.
#[derive(Default)]
pub(crate) struct News {
    /// First message only.
    store: Option<StoreId>,
    records: Vec<NodeRecord>,
    chosen: Option<Record>,
    now_ms: u64,
    heard: Vec<StoreId>,
    staged: Option<Staged>,
}

/// Why a conversation ended.
pub(crate) enum Ended {
    /// The peer is this very daemon.
    Myself,
    /// `spoke`: the peer said something.
    Broken { spoke: bool, why: CallError },
}

/// Calls the daemon at `address` and talks until the stream breaks.
pub(crate) async fn call(membership: &Arc<Membership>, address: &str) -> Ended {
    let (send, queue) = mpsc::channel(QUEUE);
    let mut talk = Talk::new(membership.clone(), send);
    if let Err(why) = talk.say() {
        return Ended::Broken { spoke: false, why };
    }
    let requests = ReceiverStream::new(queue).map(News::into_request);
    match membership.channels.client(address).exchange(requests).await {
        Ok(answers) => {
            let answers = answers.into_inner().map(|answer| News::decode(as_request(answer.map_err(CallError::from)?)));
            talk.run(answers).await
        }
        Err(status) => Ended::Broken { spoke: false, why: status.into() },
    }
}

/// Answers a daemon that called; the stream ends with the conversation.
pub(crate) fn answer(
    membership: &Arc<Membership>,
    requests: impl Stream<Item = Result<ExchangeRequest, tonic::Status>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<ExchangeResponse, tonic::Status>> + Send + 'static {
    let (send, queue) = mpsc::channel(QUEUE);
    let mut talk = Talk::new(membership.clone(), send);
    drop(membership.tasks.spawn(async move {
        if talk.say().is_ok() {
            talk.run(requests.map(|request| News::decode(request.map_err(CallError::from)?))).await;
        }
    }));
    ReceiverStream::new(queue).map(|news| Ok(news.into_response()))
}

/// One side of a conversation.
struct Talk {
    membership: Arc<Membership>,
    send: mpsc::Sender<News>,
    said: Said,
    peer: Option<StoreId>,
}

/// What the peer was told already.
#[derive(Default)]
struct Said {
    records: BTreeMap<StoreId, Stamp>,
    chosen: u64,
    staged: u64,
    /// Signs of life up to here.
    heard: Option<Instant>,
}

impl Talk {
    fn new(membership: Arc<Membership>, send: mpsc::Sender<News>) -> Self {
        Self { membership, send, said: Said::default(), peer: None }
    }

    async fn run(mut self, mut incoming: impl Stream<Item = Result<News, CallError>> + Unpin) -> Ended {
        let closing = self.membership.closing.clone();
        let (mut saved, mut news) = (self.membership.keeper.subscribe(), self.membership.news.subscribe());
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut due) = (Instant::now(), None::<Instant>);
        let why = loop {
            let pending = due.unwrap_or_else(|| Instant::now() + TICK);
            tokio::select! {
                () = closing.cancelled() => break CallError::Unavailable("this daemon stops".to_owned()),
                message = incoming.next() => match message {
                    Some(Ok(news)) => match self.hear(news).await {
                        Ok(()) if self.peer == Some(self.membership.store) => return Ended::Myself,
                        Ok(()) => {}
                        Err(why) => break why,
                    },
                    Some(Err(why)) => break why,
                    None => break CallError::Unreachable("the peer closed the stream".to_owned()),
                },
                changed = saved.changed() => match changed {
                    Ok(()) if saved.borrow_and_update().voter.chosen_number() > self.said.chosen => due = Some(last),
                    Ok(()) => due = due.or(Some(last + INTERVAL)),
                    Err(_) => break CallError::Unavailable("this daemon stops".to_owned()),
                },
                _ = news.changed() => due = due.or(Some(last + INTERVAL)),
                _ = ticks.tick() => due = Some(last),
                () = sleep_until(pending), if due.is_some() => {
                    (last, due) = (Instant::now(), None);
                    if let Err(why) = self.say() {
                        break why;
                    }
                }
            }
        };
        Ended::Broken { spoke: self.peer.is_some(), why }
    }

    /// Tells what is new since the last message.
    fn say(&mut self) -> Result<(), CallError> {
        let membership = &self.membership;
        let (saved, now) = (membership.keeper.saved(), Instant::now());
        let mut news = News { now_ms: membership.parts.clock.now_ms(), ..News::default() };
        let first = self.said.heard.is_none();
        {
            let nodes = membership.nodes.lock();
            news.records = nodes.news(&mut self.said.records);
            news.heard = self.said.heard.map(|since| nodes.heard_since(since)).unwrap_or_default();
        }
        self.said.heard = Some(now);
        if first {
            news.store = Some(membership.store);
        }
        if let Some(chosen) = saved.voter.chosen.as_ref().filter(|chosen| chosen.number > self.said.chosen) {
            self.said.chosen = chosen.number;
            news.chosen = Some(chosen.clone());
        }
        if saved.staged.version > self.said.staged {
            self.said.staged = saved.staged.version;
            news.staged = Some(saved.staged.clone());
        }
        self.send.try_send(news).map_err(|_| CallError::Busy("the peer does not keep up".to_owned()))
    }

    /// Takes in what the peer tells.
    async fn hear(&mut self, news: News) -> Result<(), CallError> {
        let membership = &self.membership;
        let first = self.peer.is_none();
        self.peer = self.peer.or(news.store);
        let Some(peer) = self.peer else {
            return Err(CallError::Invalid("the first message must say who speaks".to_owned()));
        };
        if peer == membership.store {
            return Ok(());
        }
        let off = membership.parts.clock.now_ms().abs_diff(news.now_ms);
        if first && off > CLOCK_TOLERANCE_MS {
            warn!(%peer, off_ms = off, "clocks differ");
        }
        for record in &news.records {
            self.said.records.insert(record.info.store, record.stamp);
        }
        let heard = news.heard.into_iter().chain([peer]).filter(|store| *store != membership.store);
        membership.hear(news.records, heard, Instant::now());
        let unavailable = |error: crate::keeper::Closed| CallError::Unavailable(error.to_string());
        if let Some(chosen) = news.chosen {
            membership.learn(chosen).await.map_err(unavailable)?;
        }
        if let Some(staged) = news.staged.filter(|staged| *staged > membership.keeper.saved().staged) {
            membership.keeper.change(move |saved| saved.staged.join(staged)).await.map_err(unavailable)?;
        }
        Ok(())
    }
}

impl News {
    fn decode(wire: ExchangeRequest) -> Result<Self, CallError> {
        let store = |bytes: &bytes::Bytes| StoreId::try_from(bytes.as_ref()).map_err(invalid);
        Ok(Self {
            store: if wire.store_id.is_empty() { None } else { Some(store(&wire.store_id)?) },
            records: wire.records.into_iter().map(NodeRecord::decode).collect::<Result<_, _>>().map_err(invalid)?,
            chosen: wire.chosen.map(votable).transpose().map_err(invalid)?,
            now_ms: wire.now_ms,
            heard: wire.heard.iter().map(store).collect::<Result<_, _>>()?,
            staged: wire.staged.map(Staged::decode).transpose().map_err(invalid)?,
        })
    }

    fn into_request(self) -> ExchangeRequest {
        let records: Vec<WireRecord> = self.records.iter().map(NodeRecord::encode).collect();
        let chosen: Option<LayoutRecord> = self.chosen.as_ref().map(|record| encode_record(&record.content));
        let staged: Option<StagedLayout> = self.staged.as_ref().map(Staged::encode);
        ExchangeRequest {
            store_id: self.store.map(|store| store.to_bytes()).unwrap_or_default(),
            records,
            chosen,
            now_ms: self.now_ms,
            heard: self.heard.iter().map(StoreId::to_bytes).collect(),
            staged,
        }
    }

    fn into_response(self) -> ExchangeResponse {
        let ExchangeRequest { store_id, records, chosen, now_ms, heard, staged } = self.into_request();
        ExchangeResponse { records, chosen, now_ms, store_id, heard, staged }
    }
}

/// Both directions carry the same.
fn as_request(response: ExchangeResponse) -> ExchangeRequest {
    let ExchangeResponse { records, chosen, now_ms, store_id, heard, staged } = response;
    ExchangeRequest { store_id, records, chosen, now_ms, heard, staged }
}
