//! The `Watch` client against membership daemons that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_daemon::{NodeSource, Shutdown, Watch, empty_view, load_view, watch};
use cairn_placement::ClusterView;
use cairn_proto::membership::v1::{NodeRecord, Role, Status};
use cairn_rpc::{PeerRole, ViewCell};
use cairn_types::{ClusterId, ManualClock};

use crate::support::{Membership, identity, secret, start, wait_until};

fn view(number: u64, revision: u64) -> ClusterView {
    let mut view = empty_view(secret().cluster_id());
    view.record.number = number;
    view.revision = revision;
    view
}

/// A node whose used bytes a test turns by hand.
fn node(used: Arc<AtomicU64>) -> NodeSource {
    Arc::new(move || NodeRecord {
        store_id: vec![7; 16].into(),
        role: Role::Table.into(),
        name: "oslo".to_owned(),
        status: Some(Status { bytes_used: used.load(Ordering::SeqCst), ..Status::default() }),
        ..NodeRecord::default()
    })
}

fn watching(addresses: Vec<String>, view: Arc<ViewCell>, used: Arc<AtomicU64>) -> Watch {
    Watch {
        addresses,
        connector: identity(PeerRole::Table).connector(),
        view,
        nodes: vec![node(used)],
        cache: None,
        clock: Arc::new(ManualClock::at(1_000)),
    }
}

#[tokio::test]
async fn heartbeats_go_up_and_views_come_down() {
    let daemon = start(Membership::new(view(1, 1))).await;
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("view");
    let (cell, used, shutdown) = (Arc::new(ViewCell::new(view(0, 0))), Arc::default(), Shutdown::new());
    let mut watch = watching(vec![daemon.address.clone()], cell.clone(), Arc::clone(&used));
    watch.cache = Some(cache.clone());
    let running = tokio::spawn(watch::run(watch, shutdown.clone()));

    wait_until("the first view is here", async || cell.current().record.number == 1).await;
    daemon.role.view.offer(view(2, 2));
    wait_until("the next view is here", async || cell.current().record.number == 2).await;
    wait_until("the view is cached", async || load_view(&cache).is_some_and(|view| view.record.number == 2)).await;

    used.store(5, Ordering::SeqCst);
    let seen = |bytes: u64| {
        let heard = daemon.role.heard.lock();
        heard.iter().filter(|node| node.status.as_ref().unwrap().bytes_used == bytes).cloned().collect::<Vec<_>>()
    };
    wait_until("changes are told, and told again", async || seen(5).len() >= 2).await;
    let (before, after) = (seen(0), seen(5));
    assert!(before.iter().all(|node| node.incarnation == 1_000 && node.version == 1));
    assert!(after.iter().all(|node| node.incarnation == 1_000 && node.version == 2));

    shutdown.begin();
    running.await.unwrap();
}

#[tokio::test]
async fn watch_fails_over() {
    let (one, other) = (start(Membership::new(view(3, 900))).await, start(Membership::new(view(3, 1))).await);
    let (cell, shutdown) = (Arc::new(ViewCell::new(view(0, 0))), Shutdown::new());
    let addresses = vec!["127.0.0.1:1".to_owned(), one.address.clone(), other.address.clone()];
    let running = tokio::spawn(watch::run(watching(addresses, cell.clone(), Arc::default()), shutdown.clone()));
    wait_until("the first view is here", async || cell.current().revision == 900).await;
    one.shutdown.begin();
    one.served.await.unwrap().unwrap();
    // The other daemon counts its own revisions; its view counts all the same.
    wait_until("the other daemon's view is here", async || cell.current().revision == 1).await;
    shutdown.begin();
    running.await.unwrap();
}

#[tokio::test]
async fn views_of_other_clusters_are_ignored() {
    let mut foreign = view(9, 9);
    foreign.cluster = ClusterId([9; 16]);
    let daemon = start(Membership::new(foreign)).await;
    let (cell, shutdown) = (Arc::new(ViewCell::new(view(0, 0))), Shutdown::new());
    let addresses = vec![daemon.address.clone()];
    let running = tokio::spawn(watch::run(watching(addresses, cell.clone(), Arc::default()), shutdown.clone()));
    wait_until("the daemon was heard", async || daemon.role.heard.lock().len() > 1).await;
    daemon.role.view.adopt(view(9, 10));
    wait_until("its own cluster's view is here", async || cell.current().record.number == 9).await;
    assert_eq!(cell.current().cluster, secret().cluster_id());
    shutdown.begin();
    running.await.unwrap();
}

#[tokio::test]
async fn a_store_that_went_back_is_stopped() {
    let daemon = start(Membership { refuses: true, ..Membership::new(view(1, 1)) }).await;
    let (cell, shutdown) = (Arc::new(ViewCell::new(view(0, 0))), Shutdown::new());
    let running =
        tokio::spawn(watch::run(watching(vec![daemon.address.clone()], cell, Arc::default()), shutdown.clone()));
    wait_until("the process stops", async || shutdown.has_begun()).await;
    assert_eq!(shutdown.failure(), Some("it went back"));
    running.await.unwrap();
}

#[test]
fn damaged_caches_are_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("view");
    assert!(load_view(&path).is_none());
    std::fs::write(&path, b"\xff\xff\xff").unwrap();
    assert!(load_view(&path).is_none());
    cairn_daemon::store_view(&path, &view(4, 4)).unwrap();
    assert_eq!(load_view(&path), Some(view(4, 4)));
}
