//! Keeps one session to a peer alive.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cairn_proto::common::v1::{Frame, Hello};
use cairn_types::{ClusterId, Entropy as _, StoreId, SystemEntropy};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{Method, Request, StatusCode, Uri};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::ServiceExt as _;
use tracing::{debug, info};

use super::PeerService;
use super::session::{Frames, Session};
use crate::framing::{FrameReader, FrameWriter};
use crate::limits::{CONNECT_TIMEOUT, RETRY_DELAY_MAX, RETRY_DELAY_MIN, WIRE_VERSION};
use crate::{CallError, Connector, from_wire};

/// Whom to reach.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) connector: Connector,
    pub(super) service: PeerService,
    pub(super) address: Arc<str>,
    pub(super) store: StoreId,
    pub(super) cluster: ClusterId,
}

#[derive(Clone)]
enum State {
    /// Never tried, or the first attempt is under way: calls wait for its end.
    New,
    Up(Arc<Session>),
    /// Calls fail with this.
    Down(CallError),
}

/// One session's place: empty until the first call, then kept filled by a task of its own.
pub(super) struct Link {
    target: Target,
    calls_max: usize,
    state: watch::Sender<State>,
    driver: OnceLock<AbortOnDropHandle<()>>,
}

impl Link {
    pub(super) fn new(target: Target, calls_max: usize) -> Self {
        Self { target, calls_max, state: watch::Sender::new(State::New), driver: OnceLock::new() }
    }

    /// The live session. Waits only for the first attempt to connect.
    pub(super) async fn session(&self, deadline: Instant) -> Result<Arc<Session>, CallError> {
        match &*self.state.borrow() {
            State::Up(session) => return Ok(session.clone()),
            State::Down(error) => return Err(error.clone()),
            State::New => {}
        }
        self.driver.get_or_init(|| {
            let driver = drive(self.target.clone(), self.calls_max, self.state.clone());
            AbortOnDropHandle::new(tokio::spawn(driver))
        });
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::New));
        match timeout_at(deadline, known).await {
            Ok(Ok(state)) => match &*state {
                State::Up(session) => Ok(session.clone()),
                State::Down(error) => Err(error.clone()),
                State::New => Err(CallError::Deadline),
            },
            Ok(Err(_)) => Err(CallError::Unreachable("the peer was given up".to_owned())),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// Calls it could take at once; as many as allowed before the first attempt, none while down.
    pub(super) fn room(&self) -> usize {
        match &*self.state.borrow() {
            State::New => self.calls_max,
            State::Up(session) => session.room() + 1,
            State::Down(_) => 0,
        }
    }
}

/// Connects, serves the session until it dies, waits, connects again. Runs until the link is dropped.
async fn drive(target: Target, calls_max: usize, state: watch::Sender<State>) {
    let mut delay = RETRY_DELAY_MIN;
    loop {
        let attempt = timeout(CONNECT_TIMEOUT, open(&target, calls_max)).await;
        let error = match attempt.unwrap_or_else(|_| Err(unreachable(&target, "no answer to the handshake"))) {
            Ok((session, inbound)) => {
                let since = Instant::now();
                info!(peer = %target.address, store = %target.store, "session opened");
                state.send_replace(State::Up(session.clone()));
                let why = session.read(inbound).await;
                if since.elapsed() > RETRY_DELAY_MAX {
                    delay = RETRY_DELAY_MIN;
                }
                let error = unreachable(&target, &why);
                state.send_replace(State::Down(error.clone()));
                session.fail(&error);
                info!(peer = %target.address, store = %target.store, why, "session lost");
                error
            }
            Err(error) => error,
        };
        debug!(peer = %target.address, %error, ?delay, "peer is down");
        state.send_replace(State::Down(error));
        sleep(jittered(delay)).await;
        delay = (2 * delay).min(RETRY_DELAY_MAX);
    }
}

fn unreachable(target: &Target, why: &str) -> CallError {
    CallError::Unreachable(format!("{}: {why}", target.address))
}

/// Between half of `delay` and all of it.
fn jittered(delay: Duration) -> Duration {
    let half = delay / 2;
    let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(SystemEntropy.next_u64() % span)
}

/// Opens one session: connection, call, handshake.
async fn open(target: &Target, calls_max: usize) -> Result<(Arc<Session>, FrameReader), CallError> {
    let channel =
        target.connector.connect(&target.address).await.map_err(|error| unreachable(target, &with_sources(&error)))?;
    let session = Arc::new(Session::new(target.store, calls_max));
    session.say(Frame {
        hello: Some(Hello {
            wire_version: WIRE_VERSION,
            cluster_id: target.cluster.to_bytes(),
            store_id: target.store.to_bytes(),
            epoch: 0,
        }),
        ..Frame::default()
    });
    let mut inbound = call(target, channel, Frames::new(session.clone())).await?;
    match inbound.message().await.map_err(CallError::from)? {
        Some(Frame { error: Some(error), .. }) => Err(from_wire(error)),
        Some(Frame { hello: Some(hello), .. }) if hello.store_id == target.store.as_bytes().as_slice() => {
            Ok((session, inbound))
        }
        Some(_) | None => Err(unreachable(target, "the peer does not answer the handshake")),
    }
}

/// The gRPC call that carries the session.
async fn call(target: &Target, channel: Channel, frames: Frames) -> Result<FrameReader, CallError> {
    let mut request = Request::new(FrameWriter::request(frames));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(target.service.path());
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let answer = channel.oneshot(request).await.map_err(|error| unreachable(target, &with_sources(&error)))?;
    if answer.status() != StatusCode::OK {
        return Err(unreachable(target, &format!("HTTP status {}", answer.status())));
    }
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != Code::Ok => Err(status.into()),
        Some(_) | None => Ok(FrameReader::new(answer.into_body())),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
