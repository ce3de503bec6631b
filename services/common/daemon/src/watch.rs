//! The `Watch` stream to a membership daemon: heartbeats up, views down (DESIGN §3).
//!
//! - **W1** A view is offered only if it is of this process's cluster (`views_of_other_clusters_are_ignored`).
//! - **W2** When the stream breaks the next membership daemon is asked; the list is what was configured and what the
//!   view names (`watch_fails_over`). No request ever waits for this.
//! - **W3** A store that membership has known further than it is stops the process (REGISTER D4,
//!   `a_store_that_went_back_is_stopped`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cairn_model::view::decode_view;
use cairn_placement::{ClusterView, Role};
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_proto::membership::v1::{NodeRecord, WatchRequest, WatchResponse};
use cairn_rpc::limits::MAX_MESSAGE_BYTES;
use cairn_rpc::{CallError, Connector, ViewCell};
use cairn_types::Clock;
use futures_util::future::try_join_all;
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use crate::{Shutdown, store_view};

/// A node says that it lives this often.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// A node's record is looked at this often, and sent at once when it changed.
const LOOK: Duration = Duration::from_millis(250);
/// Waits between attempts.
const RETRY: Duration = Duration::from_millis(500);
/// Views that bring no new layout record are written to disk at most this often.
const CACHE_EVERY: Duration = Duration::from_secs(10);

/// Says what a node is at this moment. Cheap: asked several times a second. `incarnation` and `version` are filled in.
pub type NodeSource = Arc<dyn Fn() -> NodeRecord + Send + Sync>;

/// A process's part in membership: one stream for each of its nodes, all to the same daemon.
pub struct Watch {
    /// Membership daemons, `host:port`, tried in order.
    pub addresses: Vec<String>,
    pub connector: Connector,
    pub view: Arc<ViewCell>,
    /// At least one.
    pub nodes: Vec<NodeSource>,
    /// Where views are kept for the next start.
    pub cache: Option<PathBuf>,
    pub clock: Arc<dyn Clock>,
}

/// Watches until `shutdown` begins.
pub async fn run(watch: Watch, shutdown: Shutdown) {
    let incarnation = watch.clock.now_ms();
    let reports: Vec<_> = watch.nodes.iter().map(|node| Report::new(node.clone(), incarnation)).collect();
    let watching = async {
        let mut turn = 0;
        loop {
            let addresses = watch.candidates();
            if let Some(address) = addresses.get(turn % addresses.len().max(1)) {
                let why = watch.follow(address, &reports).await;
                debug!(address, %why, "membership stream ended");
                if let CallError::WentBack(why) = CallError::from(why) {
                    return shutdown.fail(why);
                }
            }
            turn += 1;
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = shutdown.begun() => {}
        () = watching => {}
    }
    if let Some(path) = &watch.cache {
        cache(path.clone(), watch.view.current()).await;
    }
}

impl Watch {
    /// Configured addresses, then those of membership daemons in the view.
    fn candidates(&self) -> Vec<String> {
        let mut addresses = self.addresses.clone();
        let view = self.view.current();
        let known = view.nodes.values().filter(|node| node.role == Role::Membership).map(|node| &node.address);
        for address in known.chain(view.record.voters.iter().map(|voter| &voter.address)) {
            if !address.is_empty() && !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }

    /// Keeps all streams to one daemon until one of them breaks; answers why.
    async fn follow(&self, address: &str, reports: &[Report]) -> Status {
        let channel = self.connector.channel(address);
        let streams = reports.iter().enumerate().map(|(index, report)| {
            let (channel, report) = (channel.clone(), report.clone());
            async move { self.stream(channel, report, index == 0, address).await }
        });
        match try_join_all(streams).await {
            Ok(_) => Status::unavailable("the daemon closed the stream"),
            Err(status) => status,
        }
    }

    /// One node's stream. Every stream brings the same views: one of them is listened to.
    async fn stream(&self, channel: Channel, report: Report, listen: bool, address: &str) -> Result<(), Status> {
        let mut client = MembershipServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let record_number = self.view.current().record.number;
        // Dropping the answers does not end the requests: heartbeats would go on for as long as the connection does.
        let left = CancellationToken::new();
        let _leave = left.clone().drop_guard();
        let heartbeats = report.requests(record_number).take_until(left.cancelled_owned());
        let mut views = client.watch(heartbeats).await?.into_inner();
        if listen {
            info!(address, "watching membership");
        }
        let mut cached = Cached::default();
        while let Some(response) = views.message().await? {
            if listen && let Some(view) = self.take(response) {
                self.keep(&mut cached, view).await;
            }
        }
        Err(Status::unavailable("the daemon closed the stream"))
    }

    /// Offers a view to the process. None: nothing new.
    fn take(&self, response: WatchResponse) -> Option<ClusterView> {
        let view = match decode_view(response.view?) {
            Ok(view) => view,
            Err(error) => {
                warn!(%error, "a view cannot be read");
                return None;
            }
        };
        if view.cluster != self.view.current().cluster {
            warn!(cluster = %view.cluster, "a view of another cluster was ignored");
            return None;
        }
        self.view.adopt(view.clone()).then_some(view)
    }

    async fn keep(&self, cached: &mut Cached, view: ClusterView) {
        let Some(path) = &self.cache else { return };
        let due = cached.at.is_none_or(|at| at.elapsed() >= CACHE_EVERY);
        if view.record.number != cached.number || due {
            *cached = Cached { number: view.record.number, at: Some(Instant::now()) };
            cache(path.clone(), Arc::new(view)).await;
        }
    }
}

/// What the cache file holds.
#[derive(Default)]
struct Cached {
    number: u64,
    at: Option<Instant>,
}

async fn cache(path: PathBuf, view: Arc<ClusterView>) {
    let written = tokio::task::spawn_blocking(move || store_view(&path, &view).map_err(|error| (path, error))).await;
    match written {
        Ok(Ok(())) => {}
        Ok(Err((path, error))) => warn!(path = %path.display(), %error, "the view cannot be cached"),
        Err(error) => warn!(%error, "the view cannot be cached"),
    }
}

/// A node's heartbeats, numbered across streams.
#[derive(Clone)]
struct Report {
    node: NodeSource,
    incarnation: u64,
    last: Arc<parking_lot::Mutex<(u64, NodeRecord)>>,
}

impl Report {
    fn new(node: NodeSource, incarnation: u64) -> Self {
        Self { node, incarnation, last: Arc::default() }
    }

    /// The node's record with its number, and whether it differs from the one before.
    fn look(&self) -> (NodeRecord, bool) {
        let mut record = (self.node)();
        (record.incarnation, record.version) = (self.incarnation, 0);
        let mut last = self.last.lock();
        let changed = last.0 == 0 || last.1 != record;
        if changed {
            last.0 += 1;
            last.1 = record.clone();
        }
        record.version = last.0;
        (record, changed)
    }

    /// The first request at once; then one at every change, and one a heartbeat.
    fn requests(self, record_number: u64) -> impl Stream<Item = WatchRequest> + Send + 'static {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        stream::unfold((self, ticks, None::<Instant>), move |(report, mut ticks, sent)| async move {
            loop {
                let now = ticks.tick().await;
                let (node, changed) = report.look();
                if changed || sent.is_none_or(|sent| now.duration_since(sent) >= HEARTBEAT) {
                    let request = WatchRequest { node: Some(node), record_number };
                    return Some((request, (report, ticks, Some(now))));
                }
            }
        })
        .boxed()
    }
}
