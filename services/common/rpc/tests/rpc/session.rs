//! Sessions over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cairn_proto::block::v1::block_service_client::BlockServiceClient;
use cairn_proto::common::v1::{Error, Frame, Hello};
use cairn_rpc::limits::{MAX_BODY_BYTES, MAX_BULK_CALLS, WIRE_VERSION};
use cairn_rpc::{CallError, Lane, PeerRole, PeerService};
use cairn_types::StoreId;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::support::{
    Codec, Daemon, ECHO, FAIL, PANIC, PRODUCE, STORE, WAIT, collect, context, number, soon, wait_until,
};

#[tokio::test]
async fn thousands_of_calls_at_once_find_their_callers() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let calls = (0..5_000_u64).map(|call| {
        let peer = peer.clone();
        async move {
            let reply = peer.call(Lane::Control, &soon(), ECHO, number(call), vec![]).await.unwrap();
            assert_eq!(reply.head, number(call));
        }
    });
    join_all(calls).await;
}

#[tokio::test]
async fn replies_overtake_each_other() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let patient = soon();
    let slow = peer.call(Lane::Control, &patient, WAIT, number(2_000), vec![]);
    let quick = async {
        for call in 0..100 {
            peer.call(Lane::Control, &soon(), WAIT, number(call % 3), vec![]).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = slow => panic!("a slow call held up the quick ones"),
        () = quick => {}
    }
}

#[tokio::test]
async fn bodies_go_both_ways() {
    for codec in [Codec::Own, Codec::Tonic] {
        let daemon = Daemon::start_with("127.0.0.1:0", codec);
        check_bodies(&daemon.peer()).await;
    }
}

async fn check_bodies(peer: &Arc<cairn_rpc::Peer>) {
    let block: Bytes = (0..1_048_576_u32).map(|byte| byte.to_le_bytes()[byte as usize % 3]).collect();
    let calls = (0..64).map(|call| {
        let (peer, block) = (peer.clone(), block.clone());
        async move {
            let pieces = vec![block.slice(..call * 999), block.slice(call * 999..)];
            let reply = peer.call(Lane::Bulk, &soon(), ECHO, number(1), pieces).await.unwrap();
            assert_eq!(collect(reply.body).await.unwrap(), block);
        }
    });
    join_all(calls).await;
    let large = vec![Bytes::from(vec![0; MAX_BODY_BYTES + 1])];
    let refused = peer.call(Lane::Bulk, &soon(), ECHO, Bytes::new(), large).await;
    assert!(matches!(refused, Err(CallError::Invalid(_))));
}

#[tokio::test]
async fn errors_keep_their_type() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let head = Bytes::from_static(b"a view");
    match peer.call(Lane::Control, &soon(), FAIL, head.clone(), vec![]).await.map(|_| ()) {
        Err(CallError::StaleEpoch { view }) => assert_eq!(view, head),
        other => panic!("{other:?}"),
    }
    let unknown = peer.call(Lane::Control, &soon(), 99, Bytes::new(), vec![]).await;
    assert!(matches!(unknown, Err(CallError::Unimplemented(_))));
}

#[tokio::test]
async fn wrong_store_is_refused() {
    let daemon = Daemon::start();
    let connector = daemon.connector(PeerRole::Gateway);
    let other = StoreId([9; 16]);
    let peer = connector.peer(PeerService::Block, &daemon.address, other, daemon.cluster);
    let mut call = soon();
    call.store = other;
    match peer.call(Lane::Control, &call, ECHO, Bytes::new(), vec![]).await.map(|_| ()) {
        Err(CallError::WrongStore { actual }) => assert_eq!(actual, STORE),
        other => panic!("{other:?}"),
    }
    // A call that names another store than its peer's never leaves.
    let mismatched = daemon.peer().call(Lane::Control, &call, ECHO, Bytes::new(), vec![]).await;
    assert!(matches!(mismatched, Err(CallError::WrongStore { .. })));
}

#[tokio::test]
async fn deadlines_hold_on_both_sides() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let began = Instant::now();
    let late = peer.call(Lane::Control, &context(Duration::from_millis(200)), WAIT, number(60_000), vec![]).await;
    assert!(matches!(late, Err(CallError::Deadline)));
    assert!(began.elapsed() < Duration::from_secs(5));

    // The server gives up by itself: this caller never cancels.
    let mut frames = handshake(&daemon, vec![request(1, WAIT, 200, number(60_000))]).await.unwrap();
    let error = frames.message().await.unwrap().unwrap().error.unwrap();
    assert!(matches!(cairn_rpc::from_wire(error), CallError::Deadline));
}

#[tokio::test]
async fn server_death_fails_open_calls_at_once() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    peer.call(Lane::Control, &soon(), ECHO, Bytes::new(), vec![]).await.unwrap();
    let open = tokio::spawn({
        let peer = peer.clone();
        async move { peer.call(Lane::Control, &soon(), WAIT, number(60_000), vec![]).await.map(|_| ()) }
    });
    // A second call behind the first shows that the first was sent.
    peer.call(Lane::Control, &soon(), ECHO, Bytes::new(), vec![]).await.unwrap();
    let began = Instant::now();
    daemon.die().await;
    assert!(matches!(open.await.unwrap(), Err(CallError::Unreachable(_))));
    // While it is down, calls do not wait.
    let down = peer.call(Lane::Control, &soon(), ECHO, Bytes::new(), vec![]).await;
    assert!(matches!(down, Err(CallError::Unreachable(_))));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn peer_comes_back() {
    let daemon = Daemon::start();
    let (address, peer) = (daemon.address.clone(), daemon.peer());
    assert!(peer_answers(&peer).await);
    daemon.die().await;
    wait_until("the peer is seen as down", async || !peer_answers(&peer).await).await;
    let again = Daemon::start_at(&address);
    wait_until("the peer is reached again", async || peer_answers(&peer).await).await;
    again.stop().await;
    wait_until("an orderly stop ends the session", async || !peer_answers(&peer).await).await;
}

async fn peer_answers(peer: &cairn_rpc::Peer) -> bool {
    peer.call(Lane::Control, &soon(), ECHO, Bytes::new(), vec![]).await.is_ok()
}

#[tokio::test]
async fn orderly_stop_answers_open_calls() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    assert!(peer_answers(&peer).await);
    let open = tokio::spawn({
        let peer = peer.clone();
        async move { peer.call(Lane::Control, &soon(), WAIT, number(500), vec![]).await.map(|_| ()) }
    });
    assert!(peer_answers(&peer).await);
    daemon.stop().await;
    assert!(open.await.unwrap().is_ok());
}

#[tokio::test]
async fn slow_consumer_does_not_block_others() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let size = number(1 << 20);
    // Every place of one bulk session and half of the other is taken by bodies that nobody reads.
    let mut unread = vec![];
    for _ in 0..MAX_BULK_CALLS * 3 / 2 {
        unread.push(peer.call(Lane::Bulk, &soon(), PRODUCE, size.clone(), vec![]).await.unwrap());
    }
    for _ in 0..50 {
        let reply = peer.call(Lane::Bulk, &soon(), PRODUCE, size.clone(), vec![]).await.unwrap();
        assert_eq!(collect(reply.body).await.unwrap().len(), 1 << 20);
    }
    // Bodies given up free their places.
    drop(unread.split_off(MAX_BULK_CALLS));
    for reply in unread {
        assert_eq!(collect(reply.body).await.unwrap().len(), 1 << 20);
    }
    // All places taken: a call waits for one until its deadline, and nothing was sent.
    let mut all = vec![];
    for _ in 0..2 * MAX_BULK_CALLS {
        all.push(peer.call(Lane::Bulk, &soon(), PRODUCE, size.clone(), vec![]).await.unwrap());
    }
    let full = peer.call(Lane::Bulk, &context(Duration::from_millis(100)), PRODUCE, size.clone(), vec![]).await;
    assert!(matches!(full, Err(CallError::Busy(_))));
}

#[tokio::test]
async fn dropped_calls_free_their_places() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    for _ in 0..3 * MAX_BULK_CALLS {
        let patient = soon();
        let call = peer.call(Lane::Bulk, &patient, WAIT, number(60_000), vec![Bytes::from(vec![1; 600_000])]);
        drop(tokio::time::timeout(Duration::from_millis(2), call).await);
    }
    let reply = peer.call(Lane::Bulk, &soon(), PRODUCE, number(10), vec![]).await.unwrap();
    assert_eq!(collect(reply.body).await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_handler_that_panics_ends_only_its_session() {
    let daemon = Daemon::start();
    let peer = daemon.peer();
    let died = peer.call(Lane::Control, &soon(), PANIC, Bytes::new(), vec![]).await;
    assert!(matches!(died, Err(CallError::Unreachable(_))));
    wait_until("a new session is open", async || peer_answers(&peer).await).await;
}

/// A stopped process accepts, acknowledges in its kernel and says nothing.
#[tokio::test]
async fn peer_that_hangs_is_noticed() {
    let daemon = Daemon::start();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let frozen = Arc::new(AtomicBool::new(false));
    tokio::spawn(forward(proxy, daemon.address.clone(), frozen.clone()));
    let peer = daemon.peer_at(&address);
    assert!(peer_answers(&peer).await);
    frozen.store(true, Ordering::SeqCst);
    let began = Instant::now();
    let hung = peer.call(Lane::Control, &context(Duration::from_secs(60)), ECHO, Bytes::new(), vec![]).await;
    assert!(matches!(hung, Err(CallError::Unreachable(_))));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// Copies bytes both ways until `frozen`, then keeps the sockets open and moves nothing.
async fn forward(proxy: TcpListener, to: String, frozen: Arc<AtomicBool>) {
    loop {
        let (inner, _) = proxy.accept().await.unwrap();
        let outer = TcpStream::connect(&to).await.unwrap();
        let frozen = frozen.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            loop {
                let (from, to) = tokio::select! {
                    ready = inner.readable() => { ready.unwrap(); (&inner, &outer) }
                    ready = outer.readable() => { ready.unwrap(); (&outer, &inner) }
                };
                if frozen.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                match from.try_read(&mut buffer) {
                    Ok(0) => return,
                    Ok(size) => {
                        let mut sent = 0;
                        while sent < size {
                            to.writable().await.unwrap();
                            sent += to.try_write(&buffer[sent..size]).unwrap_or(0);
                        }
                    }
                    Err(_) => {}
                }
            }
        });
    }
}

#[tokio::test]
async fn garbage_frames_end_only_their_session() {
    let daemon = Daemon::start();
    let garbage: Vec<Vec<Frame>> = vec![
        vec![],
        vec![Frame { id: 5, method: ECHO, ..Frame::default() }],
        vec![Frame { id: 5, method: 0, last: true, ..Frame::default() }],
        vec![Frame { id: 5, method: ECHO, last: true, ..Frame::default() }],
        vec![Frame {
            id: 5,
            method: ECHO,
            deadline_ms: 9,
            request_id: Bytes::from_static(b"x"),
            last: true,
            ..Frame::default()
        }],
        vec![Frame { id: u64::MAX, method: u32::MAX, deadline_ms: u32::MAX, last: true, ..Frame::default() }],
        vec![Frame { id: 5, data: Bytes::from(vec![0; 300_000]), ..Frame::default() }; 40],
        vec![Frame { id: 5, error: Some(Error { reason: -7, ..Error::default() }), ..Frame::default() }; 5_000],
        (1..5_000).map(|id| Frame { id, ..Frame::default() }).collect(),
        (1..5_000).map(|id| request(id, WAIT, 1_000, number(900))).collect(),
        vec![Frame { id: 0, hello: Some(Hello::default()), ..Frame::default() }],
        vec![request(5, ECHO, 1_000, number(1)); 100],
    ];
    for frames in garbage {
        let sent = frames.len();
        let mut replies = handshake(&daemon, frames).await.unwrap();
        let mut answers = 0;
        while let Ok(Some(_)) = replies.message().await {
            answers += 1;
        }
        assert!(answers <= sent);
    }
    assert!(peer_answers(&daemon.peer()).await);
}

#[tokio::test]
async fn first_frame_must_be_a_handshake_that_fits() {
    let daemon = Daemon::start();
    let hello = |change: fn(&mut Hello)| {
        let mut hello = Hello {
            wire_version: WIRE_VERSION,
            cluster_id: daemon.cluster.to_bytes(),
            store_id: STORE.to_bytes(),
            epoch: 0,
        };
        change(&mut hello);
        Frame { hello: Some(hello), ..Frame::default() }
    };
    let refused = [
        hello(|hello| hello.wire_version = 2),
        hello(|hello| hello.cluster_id = Bytes::new()),
        hello(|hello| hello.store_id = Bytes::from_static(b"short")),
    ];
    for first in refused {
        let mut replies = open(&daemon, vec![first, request(1, ECHO, 500, number(1))]).await.unwrap();
        let answer = replies.message().await.unwrap().unwrap();
        assert!(answer.error.is_some() && answer.last);
        assert!(replies.message().await.unwrap().is_none());
    }
    let mut silent = open(&daemon, vec![request(1, ECHO, 500, number(1))]).await.unwrap();
    assert!(silent.message().await.unwrap().is_none());
}

fn request(id: u64, method: u32, deadline_ms: u32, head: Bytes) -> Frame {
    let request_id = Bytes::from_static(&[1; 16]);
    Frame { id, method, deadline_ms, head, request_id, last: true, ..Frame::default() }
}

/// A raw session: `frames` after a handshake that is right; answers what follows the daemon's hello.
async fn handshake(daemon: &Daemon, frames: Vec<Frame>) -> Result<Streaming<Frame>, Status> {
    let hello = Hello {
        wire_version: WIRE_VERSION,
        cluster_id: daemon.cluster.to_bytes(),
        store_id: STORE.to_bytes(),
        epoch: 0,
    };
    let mut all = vec![Frame { hello: Some(hello), ..Frame::default() }];
    all.extend(frames);
    let mut replies = open(daemon, all).await?;
    assert!(replies.message().await?.unwrap().hello.is_some());
    Ok(replies)
}

async fn open(daemon: &Daemon, frames: Vec<Frame>) -> Result<Streaming<Frame>, Status> {
    let channel = daemon.connector(PeerRole::Gateway).channel(&daemon.address);
    let replies = BlockServiceClient::new(channel).session(stream::iter(frames).boxed()).await?;
    Ok(replies.into_inner())
}
