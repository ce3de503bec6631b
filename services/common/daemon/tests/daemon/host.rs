//! Health, reflection, and the order of a stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use cairn_daemon::{Host, Shutdown, empty_view};
use cairn_rpc::PeerRole;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ListServiceResponse, ServerReflectionRequest};

use crate::support::{Membership, identity, secret, start};

fn membership() -> Membership {
    Membership::new(empty_view(secret().cluster_id()))
}

#[tokio::test]
async fn services_report_their_health() {
    let running = start(membership()).await;
    let channel = identity(PeerRole::Admin).connector().channel(&running.address);
    let mut health = HealthClient::new(channel);
    for service in ["", "cairn.membership.v1.MembershipService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = HealthCheckRequest { service: "cairn.table.v1.TableService".to_owned() };
    assert!(health.check(unknown).await.is_err());
}

#[tokio::test]
async fn reflection_lists_what_is_hosted() {
    let running = start(membership()).await;
    let channel = identity(PeerRole::Admin).connector().channel(&running.address);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures_util::stream::iter([request]));
    let answer = answers.await.unwrap().into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(ListServiceResponse { service }) = answer else { panic!("{answer:?}") };
    let mut names: Vec<_> = service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["cairn.membership.v1.MembershipService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
    );
}

#[tokio::test]
async fn stop_reaches_the_role_and_its_failure_comes_back() {
    let running = start(membership()).await;
    *running.role.ending.lock() = Some(anyhow!("the store did not close"));
    running.shutdown.begin();
    let error = running.served.await.unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("the store did not close"), "{error:#}");
    assert!(running.role.stopped.has_begun());
}

#[tokio::test]
async fn a_role_that_fails_stops_the_process() {
    let mut broken = membership();
    broken.broken = true;
    let running = start(broken).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), running.served).await.unwrap();
    assert!(format!("{:#}", ended.unwrap().unwrap_err()).contains("broken from the start"));
    assert!(running.shutdown.has_begun());
}

#[tokio::test]
async fn roles_stop_last_first() {
    let (first, second) = (Arc::new(membership()), Arc::new(membership()));
    // The second role is behind the first in the list: it may use the first until it has ended.
    let order = Shutdown::new();
    let host = Host::bind("127.0.0.1:0", identity(PeerRole::Membership)).await.unwrap();
    let watched = (first.clone(), second.clone(), order.clone());
    tokio::spawn(async move {
        watched.1.stopped.begun().await;
        assert!(!watched.0.stopped.has_begun());
        watched.2.begin();
    });
    let shutdown = Shutdown::new();
    // Two roles of one kind cannot share a listener's routes: the second adds none.
    let silent = Arc::new(Silent(second));
    let served = tokio::spawn(host.serve(vec![first.clone(), silent], shutdown.clone()));
    shutdown.begin();
    served.await.unwrap().unwrap();
    order.begun().await;
    assert!(first.stopped.has_begun());
}

/// A role without services.
struct Silent(Arc<Membership>);

impl cairn_daemon::Hosted for Silent {
    fn service_names(&self) -> &'static [&'static str] {
        &[]
    }

    fn add_routes(self: Arc<Self>, routes: tonic::service::RoutesBuilder) -> tonic::service::RoutesBuilder {
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> {
        self.0.clone().run(shutdown)
    }
}
