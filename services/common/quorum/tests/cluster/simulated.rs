//! The same histories over the real wire: sessions of tonic over HTTP/2 and mutual TLS, on a simulated network (turmoil)
//! that delays, parts and holds back, between hosts that crash and come back.
//!
//! A seed repeats what the network and the clients do; TLS draws chances of its own.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::wire::{decode_bytes, decode_register_request, encode_register_response};
use cairn_proto::common::v1::Frame;
use cairn_proto::table::v1;
use cairn_proto::table::v1::table_service_server::{TableService, TableServiceServer};
use cairn_quorum::{Cluster, ClusterParts, TableReplica as _};
use cairn_register::Mutation;
use cairn_rpc::{
    CallError, ClusterSecret, Connector, Identity, Listen, Network, PeerRole, SessionReply, SessionRequest,
    SessionService, Socket, ViewCell, WithSession,
};
use cairn_types::{Clock, ClusterId, Epoch, StoreId};
use futures_util::stream::BoxStream;
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use turmoil::net::{TcpListener, TcpStream};

use crate::histories::{History, Stopwatch, client, judge};
use crate::support::tables::MemoryTable;
use crate::support::{RuntimeClock, Seeded, World};

const TABLES: u8 = 3;
const CLIENTS: u64 = 4;
/// As in `support::views`.
const PORT: u16 = 1;
/// Simulated; a run that is not over by then hangs.
const LONGEST: Duration = Duration::from_secs(600);

/// Every host's wall clock.
#[derive(Debug)]
struct SimulatedClock;

impl Clock for SimulatedClock {
    fn now_ms(&self) -> u64 {
        RuntimeClock::START_MS + micros() / 1000
    }
}

fn micros() -> u64 {
    u64::try_from(turmoil::sim_elapsed().unwrap_or_default().as_micros()).unwrap()
}

struct Turmoil;

#[async_trait]
impl Network for Turmoil {
    async fn connect(&self, address: &str) -> io::Result<Box<dyn Socket>> {
        Ok(Box::new(TcpStream::connect(address).await?))
    }
}

struct Accepting(TcpListener);

#[async_trait]
impl Listen for Accepting {
    type Socket = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        self.0.accept().await.map(|(socket, _)| socket)
    }
}

/// A table in memory behind a session. What it judged is what it had synced: it survives the host.
#[derive(Clone)]
struct Served {
    table: Arc<MemoryTable>,
    cluster: ClusterId,
}

#[async_trait]
impl SessionService for Served {
    fn store(&self) -> StoreId {
        self.table.store()
    }

    fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn epoch(&self) -> Epoch {
        Epoch(1)
    }

    async fn call(&self, request: SessionRequest) -> Result<SessionReply, CallError> {
        if request.method != v1::Method::Register as u32 {
            return Err(CallError::Unimplemented(format!("method {}", request.method)));
        }
        let message = decode_bytes("register request", request.head).unwrap();
        let answer = self.table.register(&request.context, decode_register_request(message).unwrap()).await?;
        let reply = encode_register_response(answer.store, answer.epoch, &answer.replies);
        Ok(SessionReply::head(Bytes::from(reply.encode_to_vec())))
    }
}

/// Nobody calls outside a session here.
#[tonic::async_trait]
impl TableService for Served {
    type SessionStream = BoxStream<'static, Result<Frame, Status>>;

    async fn session(&self, _: Request<Streaming<Frame>>) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn register(&self, _: Request<v1::RegisterRequest>) -> Result<Response<v1::RegisterResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn range(&self, _: Request<v1::RangeRequest>) -> Result<Response<v1::RangeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn recount_usage(
        &self,
        _: Request<v1::RecountUsageRequest>,
    ) -> Result<Response<v1::RecountUsageResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn info(&self, _: Request<v1::InfoRequest>) -> Result<Response<v1::InfoResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn secret() -> ClusterSecret {
    ClusterSecret::from_bytes(&[1; 32]).unwrap()
}

fn identity(role: PeerRole, store: Option<StoreId>) -> Identity {
    Identity::derive(&secret(), &[(role, store)], &[]).unwrap()
}

async fn serve(served: Served) -> turmoil::Result {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let identity = identity(PeerRole::Table, Some(served.table.store()));
    let routes = Routes::new(WithSession::new(TableServiceServer::new(served.clone()), Arc::new(served)));
    cairn_rpc::serve(Accepting(listener), &identity, routes, std::future::pending(), Duration::ZERO).await?;
    Ok(())
}

fn gateway(world: &World, connector: Connector, seed: u64) -> Cluster {
    Cluster::new(ClusterParts {
        view: Arc::new(ViewCell::new(world.view.clone())),
        dial: Arc::new(connector),
        local_table: None,
        local_block: None,
        clock: Arc::new(SimulatedClock),
        entropy: Arc::new(Seeded::new(seed)),
        zone: None,
    })
}

fn node(index: u8) -> String {
    format!("node-{index}")
}

fn client_name(at: u64) -> String {
    format!("client-{at}")
}

/// What ends a trouble.
type Undo = Box<dyn Fn(&mut turmoil::Sim<'_>)>;

/// One thing that happens to the hosts.
fn trouble(sim: &mut turmoil::Sim<'_>, random: &mut StdRng) -> Undo {
    let victim = node(random.random_range(0..TABLES));
    let (one, other) = (client_name(random.random_range(0..CLIENTS)), victim.clone());
    match random.random_range(0..3) {
        0 => {
            sim.crash(victim.as_str());
            Box::new(move |sim| sim.bounce(victim.as_str()))
        }
        1 => {
            sim.partition(one.as_str(), other.as_str());
            Box::new(move |sim| sim.repair(one.as_str(), other.as_str()))
        }
        _ => {
            sim.hold(one.as_str(), other.as_str());
            Box::new(move |sim| sim.release(one.as_str(), other.as_str()))
        }
    }
}

/// One run: clients, crashes, parted and held links; then the history is judged. Answers how many operations ended.
fn run(seed: u64, dropped: Option<Mutation>) -> Result<usize, String> {
    cairn_rpc::install_crypto_provider();
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(LONGEST)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(25))
        .build();
    let world = Arc::new(World::with_clock(seed, TABLES, Arc::new(SimulatedClock)));
    world.network.hurt(Duration::ZERO, 0);
    if let Some(rule) = dropped {
        world.tables.iter().for_each(|table| table.drop_rule(rule));
    }
    for index in 0..TABLES {
        let served = Served { table: world.tables[usize::from(index)].clone(), cluster: world.view.cluster };
        sim.host(node(index), move || serve(served.clone()));
    }
    let (history, stopwatch) = (History::default(), Arc::new(micros) as Stopwatch);
    for at in 0..CLIENTS {
        let (world, history, stopwatch) = (world.clone(), history.clone(), stopwatch.clone());
        sim.client(client_name(at), async move {
            let connector = identity(PeerRole::Gateway, None).connector().over(Arc::new(Turmoil));
            let seed = seed.wrapping_mul(100).wrapping_add(at);
            let cluster = gateway(&world, connector, seed);
            client(world, cluster, seed, stopwatch, history).await;
            Ok(())
        });
    }
    let mut random = StdRng::seed_from_u64(!seed);
    let mut undo: Option<Undo> = None;
    let mut next = 0;
    for step in 0_u64.. {
        if step == next {
            next += random.random_range(20..400);
            undo = match undo.take() {
                Some(undo) => {
                    undo(&mut sim);
                    None
                }
                None => Some(trouble(&mut sim, &mut random)),
            };
        }
        if sim.step().map_err(|error| format!("seed {seed}: {error}"))? {
            break;
        }
    }
    judge(seed, &history).map(|()| answered(&history))
}

fn answered(history: &History) -> usize {
    history.lock().iter().filter(|(_, operation)| operation.returned.is_some()).count()
}

#[test]
fn histories_over_the_wire_are_linearizable() {
    let seeds = if std::env::var_os("CAIRN_FULL").is_some() { 200 } else { 12 };
    let ended: usize = (0..seeds).map(|seed| run(seed, None).unwrap()).sum();
    println!("MEASURED {seeds} simulations over tonic: {ended} operations, all linearizable");
    assert!(ended as u64 > seeds * CLIENTS * 6, "most operations should end: {ended}");
}

/// A harness that never failed proves nothing.
#[test]
fn a_dropped_rule_is_noticed_over_the_wire() {
    let mut seed = 0;
    while run(seed, Some(Mutation::AcceptBelowPromise)).is_ok() {
        seed += 1;
        assert!(seed < 300, "the rule was dropped, and nobody noticed");
    }
}
