//! Wire <-> domain of `cairn.membership.v1`; decides nothing. Who may call what is decided before (`cairn_rpc::RIGHTS`).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::view::{encode_record, encode_view};
use cairn_placement::{ClusterView, LayoutRecord};
use cairn_proto::membership::v1;
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_proto::membership::v1::membership_service_server::{MembershipService, MembershipServiceServer};
use cairn_rpc::limits::MAX_MESSAGE_BYTES;
use cairn_rpc::{CallError, ClientCredentials, PeerIdentity, PeerRole};
use cairn_types::StoreId;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

use crate::apply::Apply;
use crate::exchange;
use crate::membership::Membership;
use crate::peers::invalid;
use crate::plan::waiting;
use crate::staged::Change;
use crate::token::{JoinToken, LONGEST_MS, Redeemed, Serial, issue, redeem};
use crate::votes::closed;
use crate::wire::{decode_vote, encode_answer, encode_preview};

/// Views that wait for one watcher: it gets the newest, not all.
const VIEWS: usize = 1;

pub(crate) struct Service(Arc<Membership>);

impl Service {
    pub(crate) fn server(membership: Arc<Membership>) -> MembershipServiceServer<Self> {
        MembershipServiceServer::new(Self(membership)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

/// On a join request that another daemon passed on: it goes no further.
const RELAYED: &str = "cairn-relayed";
/// How long the issuer of a token may take.
const RELAY_PATIENCE: Duration = Duration::from_secs(10);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl MembershipService for Service {
    type WatchStream = Answers<v1::WatchResponse>;
    type ExchangeStream = Answers<v1::ExchangeResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<v1::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (send, queue) = mpsc::channel(VIEWS);
        drop(self.0.tasks.spawn(follow(self.0.clone(), request.into_inner(), send)));
        Ok(Response::new(ReceiverStream::new(queue).boxed()))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<v1::ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        Ok(Response::new(exchange::answer(&self.0, request.into_inner()).boxed()))
    }

    async fn get_view(&self, _: Request<v1::GetViewRequest>) -> Result<Response<v1::GetViewResponse>, Status> {
        Ok(Response::new(v1::GetViewResponse { view: Some(encode_view(&self.0.view())) }))
    }

    async fn create_join_token(
        &self,
        request: Request<v1::CreateJoinTokenRequest>,
    ) -> Result<Response<v1::CreateJoinTokenResponse>, Status> {
        let valid_ms = match request.into_inner().valid_ms {
            0 => LONGEST_MS,
            valid if valid <= LONGEST_MS => valid,
            _ => return Err(CallError::Invalid("a join token is valid for an hour at most".to_owned()).into()),
        };
        let membership = &self.0;
        let mut serial = Serial::default();
        membership.parts.entropy.fill(&mut serial);
        let token = JoinToken::new(&membership.parts.secret, serial, membership.store, membership.addresses())
            .map_err(|error| CallError::Internal(error.to_string()))?;
        let now_ms = membership.parts.clock.now_ms();
        let issued = membership.keeper.change(move |saved| issue(saved, serial, now_ms, valid_ms)).await;
        if !issued.map_err(closed)? {
            return Err(CallError::Busy("too many join tokens are open".to_owned()).into());
        }
        Ok(Response::new(v1::CreateJoinTokenResponse { token: token.to_text().to_string() }))
    }

    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::JoinResponse>, Status> {
        let peer = request.extensions().get::<PeerIdentity>().cloned();
        let relayed = request.metadata().contains_key(RELAYED);
        let request = request.into_inner();
        let serial = Serial::try_from(request.serial.as_ref()).map_err(invalid)?;
        let issuer = StoreId::try_from(request.issuer.as_ref()).map_err(invalid)?;
        if !peer.is_some_and(|peer| peer.roles().contains(&(PeerRole::Join, Some(StoreId(serial))))) {
            return Err(CallError::Denied("this certificate belongs to another join token".to_owned()).into());
        }
        let membership = &self.0;
        if issuer != membership.store {
            return membership.relay_join(request, serial, issuer, relayed).await;
        }
        let now_ms = membership.parts.clock.now_ms();
        let redeemed = membership.keeper.change(move |saved| redeem(saved, &serial, now_ms)).await.map_err(closed)?;
        let refused = match redeemed {
            Redeemed::Good => {
                info!(node = %printable(&request.node_name), "a machine joined the cluster");
                let cluster_secret = Bytes::copy_from_slice(&membership.parts.secret.reveal());
                return Ok(Response::new(v1::JoinResponse { cluster_secret, peers: membership.addresses() }));
            }
            Redeemed::Used => "this join token was used before: each is for one machine, once",
            Redeemed::Expired => "this join token has expired: make a new one",
            Redeemed::Unknown => "this join token is not known here: it was never issued, or expired long ago",
        };
        Err(CallError::NotFound(refused.to_owned()).into())
    }

    async fn get_layout(&self, _: Request<v1::GetLayoutRequest>) -> Result<Response<v1::GetLayoutResponse>, Status> {
        let record = self.0.chosen().map_or_else(|| Arc::new(LayoutRecord::none()), |record| record.content);
        let mut names: Vec<String> = {
            let nodes = self.0.nodes.lock();
            let layout = record.layouts.last().map(AsRef::as_ref);
            waiting(&nodes, layout, Instant::now()).map(|info| info.name.to_string()).collect()
        };
        names.sort();
        names.dedup();
        Ok(Response::new(v1::GetLayoutResponse {
            record: Some(encode_record(&record)),
            staged: self.0.keeper.saved().staged.encode().changes,
            waiting: names,
        }))
    }

    async fn stage_layout(
        &self,
        request: Request<v1::StageLayoutRequest>,
    ) -> Result<Response<v1::StageLayoutResponse>, Status> {
        let changes: Vec<Change> =
            request.into_inner().changes.into_iter().map(Change::decode).collect::<Result<_, _>>().map_err(invalid)?;
        let staged = self.0.keeper.change(move |saved| saved.staged.add(changes).map(|()| saved.staged.clone())).await;
        let staged = staged.map_err(closed)?.map_err(invalid)?;
        Ok(Response::new(v1::StageLayoutResponse { staged: staged.encode().changes }))
    }

    async fn revert_layout(
        &self,
        _: Request<v1::RevertLayoutRequest>,
    ) -> Result<Response<v1::RevertLayoutResponse>, Status> {
        self.0.keeper.change(|saved| saved.staged.clear()).await.map_err(closed)?;
        Ok(Response::new(v1::RevertLayoutResponse {}))
    }

    async fn preview_layout(
        &self,
        _: Request<v1::PreviewLayoutRequest>,
    ) -> Result<Response<v1::PreviewLayoutResponse>, Status> {
        let plan = self.0.preview()?;
        Ok(Response::new(v1::PreviewLayoutResponse {
            proposed: Some(encode_record(&plan.record)),
            nodes: plan.nodes.iter().map(encode_preview).collect(),
            notes: plan.notes,
        }))
    }

    async fn apply_layout(
        &self,
        request: Request<v1::ApplyLayoutRequest>,
    ) -> Result<Response<v1::ApplyLayoutResponse>, Status> {
        let v1::ApplyLayoutRequest { expected_number, all_waiting } = request.into_inner();
        // A change once begun is ended even if the operator goes away.
        let membership = self.0.clone();
        let applying =
            self.0.tasks.spawn(async move { membership.apply(Apply { expected_number, all_waiting }).await });
        let (record, notes) = applying.await.map_err(|error| CallError::Internal(error.to_string()))??;
        Ok(Response::new(v1::ApplyLayoutResponse { record: Some(encode_record(&record.content)), notes }))
    }

    async fn vote(&self, request: Request<v1::VoteRequest>) -> Result<Response<v1::VoteResponse>, Status> {
        let v1::VoteRequest { store_id, vote } = request.into_inner();
        let meant = StoreId::try_from(store_id.as_ref()).map_err(invalid)?;
        if meant != self.0.store {
            return Err(CallError::WrongStore { actual: self.0.store }.into());
        }
        let vote = vote.ok_or_else(|| CallError::Invalid("a vote must say what is asked".to_owned()))?;
        let answer = self.0.vote(decode_vote(vote).map_err(invalid)?).await.map_err(closed)?;
        Ok(Response::new(encode_answer(self.0.store, &answer)))
    }

    async fn info(&self, _: Request<v1::InfoRequest>) -> Result<Response<v1::InfoResponse>, Status> {
        let chosen = self.0.chosen();
        Ok(Response::new(v1::InfoResponse {
            store_id: self.0.store.to_bytes(),
            cluster_id: self.0.cluster.to_bytes(),
            record_number: chosen.as_ref().map_or(0, |record| record.number),
            votes: chosen.is_some_and(|record| record.voters.contains(self.0.store)),
        }))
    }
}

/// One watcher: its heartbeats in, views out, until either side ends.
async fn follow(
    membership: Arc<Membership>,
    mut heartbeats: Streaming<v1::WatchRequest>,
    send: mpsc::Sender<Result<v1::WatchResponse, Status>>,
) {
    let mut views = WatchStream::new(membership.published.subscribe());
    let mut waiting: Option<Arc<ClusterView>> = None;
    loop {
        tokio::select! {
            () = membership.closing.cancelled() => return,
            heartbeat = heartbeats.message() => match heartbeat {
                Ok(Some(request)) => {
                    let node = request.node.ok_or_else(|| CallError::Invalid("a heartbeat names its node".to_owned()));
                    if let Err(error) = node.and_then(|node| membership.heartbeat(node, Instant::now())) {
                        // The watcher may be gone already.
                        send.try_send(Err(error.into())).ok();
                        return;
                    }
                }
                Ok(None) => return,
                Err(status) => return debug!(%status, "a watcher's stream ended"),
            },
            view = views.next() => match view {
                Some(view) => waiting = Some(view),
                None => return,
            },
            permit = send.reserve(), if waiting.is_some() => match permit {
                Ok(permit) => {
                    if let Some(view) = waiting.take() {
                        permit.send(Ok(v1::WatchResponse { view: Some(encode_view(&view)) }));
                    }
                }
                Err(_) => return,
            },
        }
    }
}

impl Membership {
    /// Membership daemons to ask, host:port, this one first.
    fn addresses(&self) -> Vec<String> {
        let nodes = self.nodes.lock();
        let others = nodes.iter().filter(|record| record.info.role == cairn_placement::Role::Membership);
        let mut addresses = vec![self.parts.address.clone()];
        for record in others {
            if !addresses.contains(&record.info.address) {
                addresses.push(record.info.address.clone());
            }
        }
        addresses
    }

    /// Hands a joiner's request to the daemon that issued its token, which alone may take it. The joiner showed the
    /// certificate of `serial` here; this daemon shows one of its own for the same.
    async fn relay_join(
        &self,
        request: v1::JoinRequest,
        serial: Serial,
        issuer: StoreId,
        relayed: bool,
    ) -> Result<Response<v1::JoinResponse>, Status> {
        let address = self.nodes.lock().get(issuer).map(|record| record.info.address.clone());
        let Some(address) = address.filter(|_| !relayed) else {
            return Err(CallError::NotFound(self.name_issuer(issuer)).into());
        };
        let credentials = ClientCredentials::issue_for(&self.parts.secret, PeerRole::Join, Some(StoreId(serial)))
            .map_err(|error| CallError::Internal(error.to_string()))?;
        let connector = credentials.connector().map_err(|error| CallError::Internal(error.to_string()))?;
        let mut request = Request::new(request);
        request.metadata_mut().insert(RELAYED, MetadataValue::from_static("1"));
        request.set_timeout(RELAY_PATIENCE);
        match MembershipServiceClient::new(connector.channel(&address)).join(request).await {
            Ok(answer) => Ok(answer),
            Err(status) => match CallError::from(status) {
                CallError::Unreachable(_) | CallError::Deadline => {
                    Err(CallError::Unavailable(self.name_issuer(issuer)).into())
                }
                refused => Err(refused.into()),
            },
        }
    }

    /// Says which daemon issued a token.
    fn name_issuer(&self, issuer: StoreId) -> String {
        match self.nodes.lock().get(issuer) {
            Some(record) => {
                let (name, address) = (&record.info.name, &record.info.address);
                format!("this join token was issued by {name}, which alone can take it: reach it at {address}")
            }
            None => format!("this join token was issued by a membership daemon not known here (store {issuer})"),
        }
    }
}

/// A stranger's text, fit for a log.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
