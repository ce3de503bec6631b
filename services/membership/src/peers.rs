//! Channels to other membership daemons, and a conversation kept up with each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_placement::Role;
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_rpc::limits::{MAX_MESSAGE_BYTES, RETRY_DELAY_MAX, RETRY_DELAY_MIN};
use cairn_rpc::{CallError, Connector};
use cairn_types::Entropy;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tracing::debug;

use crate::exchange::{self, Ended};
use crate::membership::Membership;
use crate::publish::TICK;

/// Membership daemons one daemon keeps conversations with.
const MAX_PEERS: usize = 64;

pub(crate) type Client = MembershipServiceClient<Channel>;

/// Open channels by address; each connects by itself at its first call.
pub(crate) struct Channels {
    connector: Connector,
    open: Mutex<BTreeMap<String, Client>>,
}

impl Channels {
    pub(crate) const fn new(connector: Connector) -> Self {
        Self { connector, open: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn client(&self, address: &str) -> Client {
        let mut open = self.open.lock();
        if let Some(client) = open.get(address) {
            return client.clone();
        }
        if open.len() >= MAX_PEERS {
            open.clear();
        }
        let client = Client::new(self.connector.channel(address)).max_decoding_message_size(MAX_MESSAGE_BYTES);
        open.insert(address.to_owned(), client.clone());
        client
    }
}

impl Membership {
    /// Keeps a conversation with every membership daemon it knows of, until the daemon closes.
    pub(crate) async fn keep_peers(self: Arc<Self>) {
        let mut talks: BTreeMap<String, CancellationToken> = BTreeMap::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut news = self.news.subscribe();
        loop {
            tokio::select! {
                () = self.closing.cancelled() => return,
                _ = ticks.tick() => {}
                _ = news.changed() => {}
            }
            let wanted = self.peer_addresses();
            talks.retain(|address, talk| {
                let keep = wanted.contains(address);
                if !keep {
                    talk.cancel();
                }
                keep
            });
            for address in wanted {
                talks.entry(address.clone()).or_insert_with(|| {
                    let stop = self.closing.child_token();
                    drop(self.tasks.spawn(self.clone().talk(address, stop.clone())));
                    stop
                });
            }
        }
    }

    /// Addresses of others: as they say, as the record says, as configured.
    fn peer_addresses(&self) -> BTreeSet<String> {
        let chosen = self.chosen();
        let mut addresses = BTreeSet::new();
        let mut spoken = BTreeSet::new();
        for record in self.nodes.lock().iter().filter(|record| record.info.role == Role::Membership) {
            addresses.insert(record.info.address.clone());
            spoken.insert(record.info.store);
        }
        let voters = chosen.iter().flat_map(|record| &record.content.voters);
        addresses.extend(voters.filter(|voter| !spoken.contains(&voter.store)).map(|voter| voter.address.clone()));
        addresses.extend(self.parts.peers.iter().cloned());
        addresses.remove(&self.parts.address);
        addresses.remove("");
        addresses.into_iter().take(MAX_PEERS).collect()
    }

    /// Talks to one address, again and again, until `stop`.
    async fn talk(self: Arc<Self>, address: String, stop: CancellationToken) {
        let mut delay = RETRY_DELAY_MIN;
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = exchange::call(&self, &address) => ended,
            };
            match ended {
                Ended::Myself => {
                    // Another name of this process. Asked again only if the address is taken up anew.
                    stop.cancelled().await;
                    return;
                }
                Ended::Broken { spoke, why } => {
                    debug!(%address, %why, "conversation ended");
                    delay = if spoke { RETRY_DELAY_MIN } else { (delay * 2).min(RETRY_DELAY_MAX) };
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jittered(delay, &*self.parts.entropy)) => {}
            }
        }
    }
}

/// Between half of `delay` and all of it.
pub(crate) fn jittered(delay: Duration, entropy: &dyn Entropy) -> Duration {
    let half = delay / 2;
    let most = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(entropy.next_u64() % most)
}

/// Something that is not what it should be.
pub(crate) fn invalid(error: impl ToString) -> CallError {
    CallError::Invalid(error.to_string())
}
