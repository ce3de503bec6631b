//! Who gets in, and how far (SECURITY V1).

use std::sync::Arc;
use std::time::Duration;

use cairn_proto::block::v1::block_service_client::BlockServiceClient;
use cairn_proto::block::v1::{GetBlockRequest, InfoRequest, StatBlocksRequest};
use cairn_rpc::{CallError, ClientCredentials, ClusterSecret, PeerRole, RIGHTS, Right, SecretError, export_client};
use cairn_types::SystemEntropy;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;

use crate::support::{Daemon, STORE, identity, secret, soon};

async fn info(connector: &cairn_rpc::Connector, address: &str) -> Result<(), tonic::Status> {
    let mut client = BlockServiceClient::new(connector.channel(address));
    client.info(InfoRequest {}).await.map(|reply| assert_eq!(reply.into_inner().store_id, STORE.to_bytes()))
}

#[tokio::test]
async fn members_of_the_cluster_get_in() {
    let daemon = Daemon::start();
    for role in [PeerRole::Gateway, PeerRole::Admin] {
        info(&daemon.connector(role), &daemon.address).await.unwrap();
    }
}

#[tokio::test]
async fn exported_credentials_get_in() {
    let daemon = Daemon::start();
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("tls");
    export_client(&secret(1), &into).unwrap();
    export_client(&secret(1), &into).unwrap();
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(into.join("client.key")).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let connector = ClientCredentials::load(&into).unwrap().connector().unwrap();
    info(&connector, &daemon.address).await.unwrap();
}

#[tokio::test]
async fn foreign_clusters_are_refused_both_ways() {
    let daemon = Daemon::start();
    let foreign = identity(&secret(2), PeerRole::Gateway).connector();
    let refused = info(&foreign, &daemon.address).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}

/// Each method with each role: the layer's answer is the table's, and no handler runs.
#[tokio::test]
async fn roles_are_checked_before_handlers() {
    let daemon = Daemon::start();
    for role in
        [PeerRole::Membership, PeerRole::Table, PeerRole::Block, PeerRole::Gateway, PeerRole::Admin, PeerRole::Join]
    {
        let channel = daemon.connector(role).channel(&daemon.address);
        for (path, right) in RIGHTS {
            let expected = match right {
                Right::Daemon => role.is_daemon(),
                Right::Admin => role == PeerRole::Admin,
                Right::DaemonOrAdmin => role.is_daemon() || role == PeerRole::Admin,
                Right::Join => role == PeerRole::Join,
            };
            assert_eq!(layer_lets_through(channel.clone(), path).await, expected, "{role:?} {path}");
        }
        assert!(!layer_lets_through(channel.clone(), "/cairn.block.v1.BlockService/Unheard").await);
        assert!(!layer_lets_through(channel.clone(), "/").await);
    }
}

/// Calls `path` without a message, which every handler and tonic itself refuse in other words than the layer.
async fn layer_lets_through(channel: tonic::transport::Channel, path: &str) -> bool {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<InfoRequest, InfoRequest>::default();
    let path = http::uri::PathAndQuery::try_from(path).unwrap();
    let messages = tonic::Request::new(futures_util::stream::empty());
    match client.streaming(messages, path, codec).await {
        Ok(_) => true,
        Err(status) => !status.message().contains("certificate's roles"),
    }
}

#[tokio::test]
async fn statuses_carry_typed_errors() {
    let daemon = Daemon::start();
    let mut client = BlockServiceClient::new(daemon.connector(PeerRole::Gateway).channel(&daemon.address));
    let missing = client.get_block(GetBlockRequest::default()).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(matches!(CallError::from(missing), CallError::NotFound(_)));
    let plain = client.stat_blocks(StatBlocksRequest::default()).await.unwrap_err();
    assert!(matches!(CallError::from(plain), CallError::Unimplemented(_)));
}

#[tokio::test]
async fn without_a_certificate_there_is_only_an_alert() {
    let daemon = Daemon::start();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots())
                .with_no_client_auth();
        let socket = TcpStream::connect(&daemon.address).await.unwrap();
        let connected =
            TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("cairn.internal").unwrap(), socket).await;
        // In TLS 1.3 the client believes in the connection until it reads.
        let refused = match connected {
            Err(error) => error,
            Ok(mut stream) => {
                drop(stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await);
                let mut answer = vec![];
                stream.read_to_end(&mut answer).await.expect_err("an alert")
            }
        };
        assert!(refused.to_string().contains("alert"), "{refused}");
    }
}

#[tokio::test]
async fn plaintext_and_garbage_are_closed() {
    let daemon = Daemon::start();
    for bytes in
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), b"GET / HTTP/1.1\r\n\r\n", &[0xff; 5_000], &[0x16, 3, 1]]
    {
        let mut socket = TcpStream::connect(&daemon.address).await.unwrap();
        drop(socket.write_all(bytes).await);
        let mut answer = vec![];
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await;
        drop(read.expect("the listener closes the connection"));
        // At most one TLS alert record: type 21.
        assert!(answer.is_empty() || (answer[0] == 21 && answer.len() == 7), "{answer:?}");
    }
    info(&daemon.connector(PeerRole::Admin), &daemon.address).await.unwrap();
}

/// Many silent connections do not keep a member out.
#[tokio::test]
async fn silent_connections_are_closed_in_time() {
    let daemon = Daemon::start();
    let mut silent = vec![];
    for _ in 0..cairn_rpc::limits::MAX_HANDSHAKES + 50 {
        silent.push(TcpStream::connect(&daemon.address).await.unwrap());
    }
    let peer = daemon.peer();
    crate::support::wait_until("a member gets in", async || {
        peer.call(cairn_rpc::Lane::Control, &soon(), 1, bytes::Bytes::new(), vec![]).await.is_ok()
    })
    .await;
}

fn roots() -> rustls::RootCertStore {
    let ca = ClientCredentials::issue(&secret(1), PeerRole::Join).unwrap().ca_pem;
    let mut roots = rustls::RootCertStore::empty();
    let der = rustls_pki_types::pem::PemObject::from_pem_slice(ca.as_bytes()).unwrap();
    roots.add(der).unwrap();
    roots
}

#[test]
fn careless_files_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    assert!(matches!(ClusterSecret::load(&path), Err(SecretError::Read { .. })));

    let secret = ClusterSecret::random(&SystemEntropy);
    secret.create(&path).unwrap();
    assert!(ClusterSecret::load(&path).unwrap() == secret);
    assert!(matches!(secret.create(&path), Err(SecretError::Write { .. })));

    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(ClusterSecret::load(&path), Err(SecretError::Exposed { .. })));
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for text in ["", "\n", "abc", &"a".repeat(62), &"a".repeat(66), &"x".repeat(64)] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(ClusterSecret::load(&path), Err(SecretError::Malformed { .. })), "{text:?}");
    }
    std::fs::write(&path, "0".repeat(64)).unwrap();
    assert!(matches!(ClusterSecret::load(&path), Err(SecretError::Trivial { .. })));
}

#[test]
fn sealed_data_opens_only_as_it_was_sealed() {
    let (secret, other) = (secret(1), secret(2));
    let sealed = secret.seal("s3 secret", 1, b"key id", b"plain", &SystemEntropy).unwrap();
    let open = |of: &ClusterSecret, label, generation, context: &[u8], sealed: &[u8]| {
        of.open(label, generation, context, sealed).map(|plain| plain.to_vec())
    };
    assert_eq!(open(&secret, "s3 secret", 1, b"key id", &sealed).unwrap(), b"plain");
    assert!(!sealed.windows(5).any(|window| window == b"plain"));
    assert!(open(&other, "s3 secret", 1, b"key id", &sealed).is_err());
    assert!(open(&secret, "other", 1, b"key id", &sealed).is_err());
    assert!(open(&secret, "s3 secret", 2, b"key id", &sealed).is_err());
    assert!(open(&secret, "s3 secret", 1, b"other id", &sealed).is_err());
    for bit in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[bit] ^= 1;
        assert!(open(&secret, "s3 secret", 1, b"key id", &damaged).is_err());
        assert!(open(&secret, "s3 secret", 1, b"key id", &sealed[..bit]).is_err());
    }
}
