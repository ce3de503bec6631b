//! The calls open on one live session.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use cairn_proto::common::v1::{Error, Frame};
use cairn_types::StoreId;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::PeerReply;
use crate::framing::FrameReader;
use crate::limits::{MAX_BODY_BYTES, MAX_PIECE_BYTES};
use crate::outbox::{Outbox, Withdrawn};
use crate::{CallContext, CallError, from_wire};

type Piece = Result<Bytes, CallError>;

/// A session whose handshake is done. Whoever holds it may call until it fails.
pub(super) struct Session {
    store: StoreId,
    outbox: Outbox,
    open: Mutex<Open>,
    /// Places for open calls; a reply's body keeps its place.
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Open {
    calls: BTreeMap<u64, OpenCall>,
    last_id: u64,
    /// Why no call can be made any more.
    failed: Option<CallError>,
}

/// One call as the reader sees it.
enum OpenCall {
    /// Waits for its first frame.
    Head(oneshot::Sender<Result<First, CallError>>),
    /// Waits for more of its body, of which `bytes` came. The queue is bounded by [`MAX_BODY_BYTES`].
    Body { pieces: mpsc::UnboundedSender<Piece>, bytes: usize },
}

/// A reply's first frame, and where the rest of it will be.
struct First {
    head: Bytes,
    data: Bytes,
    rest: Option<mpsc::UnboundedReceiver<Piece>>,
}

impl Session {
    pub(super) fn new(store: StoreId, calls_max: usize) -> Self {
        Self { store, outbox: Outbox::default(), open: Mutex::default(), places: Arc::new(Semaphore::new(calls_max)) }
    }

    /// Calls that could begin now without waiting.
    pub(super) fn room(&self) -> usize {
        self.places.available_permits()
    }

    /// Queues a frame that belongs to no call: the handshake.
    pub(super) fn say(&self, frame: Frame) {
        self.outbox.push(frame);
    }

    pub(super) async fn call(
        self: &Arc<Self>,
        context: &CallContext,
        method: u32,
        head: Bytes,
        body: Vec<Bytes>,
    ) -> Result<PeerReply, CallError> {
        if context.store != self.store {
            return Err(CallError::WrongStore { actual: self.store });
        }
        let deadline = context.deadline;
        let place = self.place(deadline).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        if deadline_ms == 0 {
            return Err(CallError::Deadline);
        }
        let first = Frame {
            method,
            epoch: context.epoch.0,
            deadline_ms,
            request_id: context.request.to_bytes(),
            head,
            view: context.view.clone().unwrap_or_default(),
            ..Frame::default()
        };
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.begin(sender, first, body)?;
        match timeout_at(deadline, receiver).await {
            Ok(Ok(Ok(First { head, data, rest: None }))) => {
                waiting.done = true;
                Ok(PeerReply { head, body: whole(data) })
            }
            Ok(Ok(Ok(First { head, data, rest: Some(rest) }))) => {
                let body = Body { waiting, rest, deadline, _place: place };
                Ok(PeerReply { head, body: body.into_stream(data) })
            }
            Ok(Ok(Err(error))) => {
                waiting.done = true;
                Err(error)
            }
            Ok(Err(_)) => Err(CallError::Unreachable("the session was given up".to_owned())),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// A place among the open calls.
    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, CallError> {
        match self.places.clone().try_acquire_owned() {
            Ok(place) => return Ok(place),
            Err(TryAcquireError::Closed) => return Err(self.failure()),
            Err(TryAcquireError::NoPermits) => {}
        }
        match timeout_at(deadline, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(self.failure()),
            // Nothing was sent.
            Err(_) => Err(CallError::Busy("too many calls are open to this peer".to_owned())),
        }
    }

    /// Registers a call and queues its frames.
    fn begin(
        self: &Arc<Self>,
        reply: oneshot::Sender<Result<First, CallError>>,
        mut first: Frame,
        body: Vec<Bytes>,
    ) -> Result<Waiting, CallError> {
        let id = {
            let mut open = self.open.lock();
            if let Some(error) = &open.failed {
                return Err(error.clone());
            }
            open.last_id += 1;
            let id = open.last_id;
            open.calls.insert(id, OpenCall::Head(reply));
            id
        };
        first.id = id;
        if body.is_empty() {
            first.last = true;
            self.outbox.push(first);
        } else {
            self.outbox.push_all(std::iter::once(first).chain(pieces(id, body)));
        }
        Ok(Waiting { session: self.clone(), id, done: false })
    }

    /// Hands replies to their callers until the session dies; answers why it did.
    pub(super) async fn read(self: &Arc<Self>, mut inbound: FrameReader) -> String {
        let _end = FailOnDrop(self.clone());
        loop {
            match inbound.message().await {
                Ok(Some(frame)) => self.on_frame(frame),
                Ok(None) => return "the peer closed the session".to_owned(),
                Err(status) => return status.message().to_owned(),
            }
        }
    }

    /// Ends every open call with `error`, and every later one.
    pub(super) fn fail(&self, error: &CallError) {
        self.places.close();
        self.outbox.close();
        let calls = {
            let mut open = self.open.lock();
            open.failed.get_or_insert_with(|| error.clone());
            std::mem::take(&mut open.calls)
        };
        for call in calls.into_values() {
            call.end(error.clone());
        }
    }

    fn failure(&self) -> CallError {
        let failed = self.open.lock().failed.clone();
        failed.unwrap_or_else(|| CallError::Unreachable("the session was given up".to_owned()))
    }

    /// Frames of calls that nobody waits for are passed over.
    fn on_frame(&self, frame: Frame) {
        let mut open = self.open.lock();
        let Some(call) = open.calls.remove(&frame.id) else { return };
        if let Some(error) = frame.error {
            drop(open);
            call.end(from_wire(error));
            return;
        }
        match call {
            OpenCall::Head(reply) => {
                let rest = if frame.last {
                    None
                } else {
                    // Holds at most MAX_BODY_BYTES, counted below: the reader must not wait for a consumer (P1).
                    let (pieces, rest) = mpsc::unbounded_channel();
                    open.calls.insert(frame.id, OpenCall::Body { pieces, bytes: frame.data.len() });
                    Some(rest)
                };
                drop(open);
                // A caller that left in this moment cleans up by itself.
                drop(reply.send(Ok(First { head: frame.head, data: frame.data, rest })));
            }
            OpenCall::Body { pieces, bytes } => {
                let bytes = bytes + frame.data.len();
                if bytes > MAX_BODY_BYTES {
                    drop(open);
                    let why = "the peer's answer is longer than any body may be".to_owned();
                    OpenCall::Body { pieces, bytes }.end(CallError::Internal(why));
                    return;
                }
                if !frame.data.is_empty() {
                    drop(pieces.send(Ok(frame.data)));
                }
                if !frame.last {
                    open.calls.insert(frame.id, OpenCall::Body { pieces, bytes });
                }
            }
        }
    }
}

impl OpenCall {
    fn end(self, error: CallError) {
        // Whoever waited may have left.
        match self {
            OpenCall::Head(reply) => drop(reply.send(Err(error))),
            OpenCall::Body { pieces, .. } => drop(pieces.send(Err(error))),
        }
    }
}

/// Fails the session however its reader ends: also when the peer object is dropped.
struct FailOnDrop(Arc<Session>);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        self.0.fail(&CallError::Unreachable("the session ended".to_owned()));
    }
}

/// A call somebody waits for. Dropped early, it tells the peer.
struct Waiting {
    session: Arc<Session>,
    id: u64,
    done: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.done || self.session.open.lock().calls.remove(&self.id).is_none() {
            return;
        }
        if self.session.outbox.withdraw(self.id) == Withdrawn::Sent {
            let error = Some(Error::default());
            self.session.outbox.push(Frame { id: self.id, last: true, error, ..Frame::default() });
        }
    }
}

/// The rest of a reply.
struct Body {
    waiting: Waiting,
    rest: mpsc::UnboundedReceiver<Piece>,
    deadline: Instant,
    _place: OwnedSemaphorePermit,
}

impl Body {
    fn into_stream(self, first: Bytes) -> BoxStream<'static, Piece> {
        let rest = stream::unfold(Some(self), |body| async move {
            let mut body = body?;
            match timeout_at(body.deadline, body.rest.recv()).await {
                Ok(Some(Ok(piece))) => Some((Ok(piece), Some(body))),
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Ok(None) => {
                    body.waiting.done = true;
                    None
                }
                Err(_) => Some((Err(CallError::Deadline), None)),
            }
        });
        if first.is_empty() { rest.boxed() } else { stream::iter([Ok(first)]).chain(rest).boxed() }
    }
}

fn whole(data: Bytes) -> BoxStream<'static, Piece> {
    if data.is_empty() { stream::empty().boxed() } else { stream::iter([Ok(data)]).boxed() }
}

/// A body's frames, the last one marked.
fn pieces(id: u64, body: Vec<Bytes>) -> impl Iterator<Item = Frame> {
    let mut left: usize = body.iter().map(Bytes::len).sum();
    let mut parts = body.into_iter();
    let mut part = Bytes::new();
    let mut ended = false;
    std::iter::from_fn(move || {
        while part.is_empty() && left > 0 {
            part = parts.next()?;
        }
        if ended {
            return None;
        }
        let data = part.split_to(part.len().min(MAX_PIECE_BYTES));
        left -= data.len();
        ended = left == 0;
        Some(Frame { id, data, last: ended, ..Frame::default() })
    })
}

/// What is sent: the session's outbox.
pub(super) struct Frames(Arc<Session>);

impl Frames {
    pub(super) const fn new(session: Arc<Session>) -> Self {
        Self(session)
    }
}

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.0.outbox.poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_cut_into_pieces() {
        for (sizes, expected) in [
            (vec![0], vec![0]),
            (vec![5, 0, 6], vec![5, 6]),
            (vec![MAX_PIECE_BYTES + 1], vec![MAX_PIECE_BYTES, 1]),
            (vec![1, 2 * MAX_PIECE_BYTES], vec![1, MAX_PIECE_BYTES, MAX_PIECE_BYTES]),
        ] {
            let body = sizes.iter().map(|size| Bytes::from(vec![0; *size])).collect();
            let frames: Vec<_> = pieces(7, body).collect();
            assert_eq!(frames.iter().map(|frame| frame.data.len()).collect::<Vec<_>>(), expected);
            let (last, others) = frames.split_last().unwrap();
            assert!(last.last && others.iter().all(|frame| !frame.last && frame.id == 7));
        }
    }
}
