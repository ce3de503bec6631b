//! Runs one session: a task that reads frames and polls handlers, and a stream of what they answer.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cairn_proto::common::v1::{Frame, Hello};
use cairn_types::{Epoch, RequestId};
use futures_util::future::OptionFuture;
use futures_util::stream::{BoxStream, FuturesUnordered, Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::assembly::{Assembly, Received};
use super::{SessionReply, SessionRequest, SessionService};
use crate::limits::{HANDSHAKE_TIMEOUT, MAX_PIECE_BYTES, MAX_QUEUED_BODY_BYTES, MAX_SERVED_CALLS, WIRE_VERSION};
use crate::outbox::Outbox;
use crate::server::Closing;
use crate::{CallContext, CallError, to_wire};

/// Frames read before handlers get their turn, and before the runtime does.
const FRAMES_PER_TURN: usize = 64;

/// What the reader, the handlers and the writer of one session share.
struct Replies {
    outbox: Outbox,
    /// Bytes of reply bodies that may still be queued.
    room: Semaphore,
    /// Calls whose callers left while their bodies were being sent: a hint, bounded.
    abandoned: Mutex<BTreeSet<u64>>,
}

/// Serves the session that `frames` begin; answers what goes back.
pub(super) fn start<F>(service: Arc<dyn SessionService>, frames: F, closing: Option<Closing>) -> Outbound
where
    F: Stream<Item = Result<Frame, Status>> + Send + Unpin + 'static,
{
    let replies = Arc::new(Replies {
        outbox: Outbox::default(),
        room: Semaphore::new(MAX_QUEUED_BODY_BYTES),
        abandoned: Mutex::default(),
    });
    let close = CloseOnDrop(replies.clone());
    let reader = tokio::spawn(async move {
        let replies = &close.0;
        run(service, frames, closing, replies).await;
    });
    Outbound { replies, _reader: AbortOnDropHandle::new(reader) }
}

/// Ends the outgoing stream however the reader ends.
struct CloseOnDrop(Arc<Replies>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.outbox.close();
    }
}

/// The frames that go to the peer. Dropped when the peer is gone, and the reader with it.
pub(super) struct Outbound {
    replies: Arc<Replies>,
    _reader: AbortOnDropHandle<()>,
}

impl Stream for Outbound {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.replies.outbox.poll_frame(cx);
        if let Poll::Ready(Some(frame)) = &next
            && !frame.data.is_empty()
        {
            self.replies.room.add_permits(frame.data.len());
        }
        next
    }
}

async fn run<F>(service: Arc<dyn SessionService>, mut frames: F, closing: Option<Closing>, replies: &Arc<Replies>)
where
    F: Stream<Item = Result<Frame, Status>> + Unpin,
{
    if !shake_hands(service.as_ref(), &mut frames, &replies.outbox).await {
        return;
    }
    let mut closing = pin!(OptionFuture::from(closing.map(|closing| closing.0.cancelled_owned())));
    let mut running = FuturesUnordered::new();
    let mut assembly = Assembly::new();
    let mut reading = true;
    std::future::poll_fn(|cx| {
        // No new calls once the server closes; those open are answered.
        if reading && closing.as_mut().poll(cx) == Poll::Ready(Some(())) {
            reading = false;
        }
        let mut read = 0;
        while reading && read < FRAMES_PER_TURN {
            match frames.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.id != 0 => {
                    read += 1;
                    if let Some((id, call)) = on_frame(&mut assembly, frame, running.len(), replies) {
                        running.push(answer(service.clone(), id, call, replies.clone()));
                    }
                }
                // A second handshake, or the end of what the peer has to say.
                Poll::Ready(Some(Ok(_)) | None) => reading = false,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {}
        if running.is_empty() {
            if !reading {
                return Poll::Ready(());
            }
            replies.abandoned.lock().clear();
        }
        if read == FRAMES_PER_TURN {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// Answers the first frame. False: this session serves nothing.
async fn shake_hands<F>(service: &dyn SessionService, frames: &mut F, outbox: &Outbox) -> bool
where
    F: Stream<Item = Result<Frame, Status>> + Unpin,
{
    let Ok(Some(Ok(Frame { id: 0, hello: Some(theirs), .. }))) = timeout(HANDSHAKE_TIMEOUT, frames.next()).await else {
        return false;
    };
    let error = if theirs.wire_version != WIRE_VERSION {
        Some(CallError::Invalid(format!("this daemon speaks version {WIRE_VERSION} of the session's frames")))
    } else if theirs.cluster_id != service.cluster().as_bytes().as_slice() {
        Some(CallError::Invalid("this is another cluster".to_owned()))
    } else if theirs.store_id != service.store().as_bytes().as_slice() {
        Some(CallError::WrongStore { actual: service.store() })
    } else {
        None
    };
    let hello = Hello {
        wire_version: WIRE_VERSION,
        cluster_id: service.cluster().to_bytes(),
        store_id: service.store().to_bytes(),
        epoch: service.epoch().0,
    };
    let fine = error.is_none();
    outbox.push(Frame { hello: Some(hello), error: error.as_ref().map(to_wire), last: !fine, ..Frame::default() });
    fine
}

/// A call that is complete; `running` others are being served.
fn on_frame(assembly: &mut Assembly, frame: Frame, running: usize, replies: &Replies) -> Option<(u64, Call)> {
    if frame.error.is_some() {
        assembly.forget(frame.id);
        let mut abandoned = replies.abandoned.lock();
        if abandoned.len() < MAX_SERVED_CALLS {
            abandoned.insert(frame.id);
        }
        return None;
    }
    let id = frame.id;
    let checked = match assembly.on_frame(frame) {
        Ok(None) => return None,
        Ok(Some((first, body))) if running < MAX_SERVED_CALLS => Call::check(first, body),
        Ok(Some(_)) => Err(CallError::Busy("too many calls are open".to_owned())),
        Err(error) => Err(error),
    };
    match checked {
        Ok(call) => Some((id, call)),
        Err(error) => {
            refuse(&replies.outbox, id, &error);
            None
        }
    }
}

fn refuse(outbox: &Outbox, id: u64, error: &CallError) {
    outbox.push(Frame { id, last: true, error: Some(to_wire(error)), ..Frame::default() });
}

/// A request whose frame was checked.
struct Call {
    method: u32,
    epoch: Epoch,
    request: RequestId,
    deadline: Instant,
    view: Option<Bytes>,
    head: Bytes,
    body: Received,
}

impl Call {
    fn check(first: Frame, body: Received) -> Result<Self, CallError> {
        let invalid = |why: &str| CallError::Invalid(why.to_owned());
        if first.method == 0 {
            return Err(invalid("a request names no method"));
        }
        if first.deadline_ms == 0 {
            return Err(invalid("a request has no deadline"));
        }
        let request = RequestId::try_from(first.request_id.as_ref()).map_err(|_| invalid("a request has no id"))?;
        Ok(Self {
            method: first.method,
            epoch: Epoch(first.epoch),
            request,
            deadline: Instant::now() + Duration::from_millis(first.deadline_ms.into()),
            view: (!first.view.is_empty()).then_some(first.view),
            head: first.head,
            body,
        })
    }
}

/// Runs one call to its last frame.
async fn answer(service: Arc<dyn SessionService>, id: u64, call: Call, replies: Arc<Replies>) {
    let deadline = call.deadline;
    let context =
        CallContext { store: service.store(), epoch: call.epoch, request: call.request, deadline, view: call.view };
    // Its share of the session's memory is given back at the end of this call.
    let mut received = call.body;
    let pieces = std::mem::take(&mut received.pieces);
    let body = if pieces.is_empty() {
        futures_util::stream::empty().boxed()
    } else {
        futures_util::stream::iter(pieces.into_iter().map(Ok)).boxed()
    };
    let request = SessionRequest { context, method: call.method, head: call.head, body };
    let answered = timeout_at(deadline, async {
        let SessionReply { head, body } = service.call(request).await?;
        let mut first = Frame { id, head, ..Frame::default() };
        match body {
            None => {
                first.last = true;
                replies.outbox.push(first);
                Ok(())
            }
            Some(body) => {
                replies.outbox.push(first);
                send_body(&replies, id, body).await
            }
        }
    })
    .await;
    if let Err(error) = answered.unwrap_or(Err(CallError::Deadline)) {
        refuse(&replies.outbox, id, &error);
    }
    drop(received);
}

/// Sends a reply's body within the session's budget, and its last frame.
async fn send_body(
    replies: &Replies,
    id: u64,
    mut body: BoxStream<'static, Result<Bytes, CallError>>,
) -> Result<(), CallError> {
    while let Some(piece) = body.next().await {
        let mut piece = piece?;
        while !piece.is_empty() {
            let data = piece.split_to(piece.len().min(MAX_PIECE_BYTES));
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
            match replies.room.acquire_many(size).await {
                Ok(room) => room.forget(),
                Err(_) => return Ok(()),
            }
            if replies.abandoned.lock().remove(&id) {
                replies.room.add_permits(data.len());
                return Ok(());
            }
            replies.outbox.push(Frame { id, data, ..Frame::default() });
        }
    }
    replies.outbox.push(Frame { id, last: true, ..Frame::default() });
    Ok(())
}
