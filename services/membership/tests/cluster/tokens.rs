use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use cairn_membership::{JoinError, TokenError, join};
use cairn_proto::membership::v1;
use cairn_rpc::{CallError, ClientCredentials, ClusterSecret, PeerRole};
use cairn_types::StoreId;

use crate::support::{Client, Cluster, wait_until};

fn refusal(outcome: Result<cairn_membership::Joined, JoinError>) -> CallError {
    match outcome {
        Err(JoinError::Call { source, .. }) => source,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[tokio::test]
async fn a_token_works_once_even_over_a_restart() {
    let mut cluster = Cluster::found().await;
    let (token, other) = (cluster.token(0).await, cluster.token(0).await);
    let joined = join(&token, "node2").await.unwrap();
    assert!(joined.secret == cluster.secret);
    assert_eq!(joined.peers, [cluster.machines[0].address.clone()]);
    let again = refusal(join(&token, "node2").await);
    assert!(matches!(&again, CallError::NotFound(why) if why.contains("used before")), "{again:?}");
    cluster.machines[0].stop().await;
    cluster.machines[0].start().await;
    let again = refusal(join(&token, "node2").await);
    assert!(matches!(&again, CallError::NotFound(why) if why.contains("used before")), "{again:?}");
    assert!(join(&other, "node3").await.is_ok(), "a token outlives a restart");
}

/// The first field of a token's contents.
fn serial_of(token: &str) -> [u8; 16] {
    let encoded = token.trim().strip_prefix("cairn-join-1.").unwrap();
    let contents = BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap();
    contents[2..18].try_into().unwrap()
}

/// Shows the token of `serial`, issued by machine 0, to machine 1.
async fn show_to_another(cluster: &Cluster, serial: [u8; 16], issuer: StoreId) -> Result<v1::JoinResponse, CallError> {
    let credentials = ClientCredentials::issue_for(&cluster.secret, PeerRole::Join, Some(StoreId(serial))).unwrap();
    let channel = credentials.connector().unwrap().channel(&cluster.machines[1].address);
    let request = v1::JoinRequest {
        serial: Bytes::copy_from_slice(&serial),
        node_name: "node3".to_owned(),
        issuer: issuer.to_bytes(),
    };
    Client::new(channel).join(request).await.map(tonic::Response::into_inner).map_err(CallError::from)
}

#[tokio::test]
async fn only_the_issuer_takes_a_token_and_others_relay() {
    let mut cluster = Cluster::of(2).await;
    let issuer = cluster.machines[0].daemon.as_ref().unwrap().store();
    wait_until("they know each other", async || cluster.alive(1, v1::Role::Membership) == 2).await;
    let never_issued = show_to_another(&cluster, [7; 16], issuer).await.unwrap_err();
    assert!(matches!(&never_issued, CallError::NotFound(why) if why.contains("never issued")), "{never_issued:?}");
    let serial = serial_of(&cluster.token(0).await);
    let joined = show_to_another(&cluster, serial, issuer).await.unwrap();
    assert!(ClusterSecret::from_bytes(&joined.cluster_secret) == Some(cluster.secret.clone()));
    let again = show_to_another(&cluster, serial, issuer).await.unwrap_err();
    assert!(matches!(&again, CallError::NotFound(why) if why.contains("used before")), "{again:?}");
    let nobody = show_to_another(&cluster, serial, StoreId([9; 16])).await.unwrap_err();
    assert!(matches!(&nobody, CallError::NotFound(why) if why.contains("not known here")), "{nobody:?}");
    cluster.machines[0].stop().await;
    let gone = show_to_another(&cluster, serial, issuer).await.unwrap_err();
    assert!(matches!(&gone, CallError::Unavailable(why) if why.contains("node1")), "{gone:?}");
}

#[tokio::test]
async fn a_token_cannot_redeem_another() {
    let cluster = Cluster::found().await;
    let address = &cluster.machines[0].address;
    let issuer = cluster.machines[0].daemon.as_ref().unwrap().store();
    let request = |serial: [u8; 16]| v1::JoinRequest {
        serial: Bytes::copy_from_slice(&serial),
        node_name: String::new(),
        issuer: issuer.to_bytes(),
    };
    let mine = ClientCredentials::issue_for(&cluster.secret, PeerRole::Join, Some(StoreId([1; 16]))).unwrap();
    let mut client = Client::new(mine.connector().unwrap().channel(address));
    let refused = CallError::from(client.join(request([2; 16])).await.unwrap_err());
    assert!(matches!(refused, CallError::Denied(_)), "{refused:?}");
    let unknown = CallError::from(client.join(request([1; 16])).await.unwrap_err());
    assert!(matches!(unknown, CallError::NotFound(_)), "never issued: {unknown:?}");
    // A joiner may do nothing else, and nobody else may join.
    assert!(client.get_view(v1::GetViewRequest {}).await.is_err());
    assert!(client.create_join_token(v1::CreateJoinTokenRequest { valid_ms: 0 }).await.is_err());
    assert!(cluster.admin(0).join(request([1; 16])).await.is_err());
}

#[tokio::test]
async fn wrong_tokens_are_refused() {
    let cluster = Cluster::found().await;
    assert!(matches!(join("something else", "x").await, Err(JoinError::Token(TokenError::Prefix))));
    let token = cluster.token(0).await;
    let cut = &token[..token.len() - 10];
    assert!(join(cut, "x").await.is_err());
    // Of another cluster: the daemon does not even answer.
    let stranger = ClusterSecret::from_bytes(&[9; 32]).unwrap();
    let credentials = ClientCredentials::issue(&stranger, PeerRole::Join).unwrap();
    let channel = credentials.connector().unwrap().channel(&cluster.machines[0].address);
    assert!(Client::new(channel).get_view(v1::GetViewRequest {}).await.is_err());
    let long = v1::CreateJoinTokenRequest { valid_ms: 3_600_001 };
    assert!(cluster.admin(0).create_join_token(long).await.is_err());
}
