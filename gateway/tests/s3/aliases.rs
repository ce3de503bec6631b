//! Aliases: further names of buckets, which are races like every name.

use std::sync::Arc;
use std::time::Duration;

use cairn_model::rows::{BucketNameRow, TypedRow as _};
use cairn_model::{Envelope, keys};
use cairn_proto::admin::v1::{
    AddBucketAliasRequest, Bucket, CreateBucketRequest, GetBucketRequest, RemoveBucketAliasRequest,
};
use cairn_quorum::Op;
use cairn_types::{BucketId, OpId, RequestId, SystemClock, SystemEntropy};
use tonic::{Code, Status};

use crate::support::{Running, World};

async fn add(gateway: &Running, bucket: &str, alias: &str) -> Result<Bucket, Status> {
    let request = AddBucketAliasRequest { bucket: bucket.to_owned(), alias: alias.to_owned() };
    gateway.admin().add_bucket_alias(request).await.map(|reply| reply.into_inner().bucket.unwrap())
}

async fn remove(gateway: &Running, bucket: &str, alias: &str) -> Result<Bucket, Status> {
    let request = RemoveBucketAliasRequest { bucket: bucket.to_owned(), alias: alias.to_owned() };
    gateway.admin().remove_bucket_alias(request).await.map(|reply| reply.into_inner().bucket.unwrap())
}

async fn get(gateway: &Running, name: &str) -> Result<Bucket, Status> {
    let request = GetBucketRequest { name: name.to_owned() };
    gateway.admin().get_bucket(request).await.map(|reply| reply.into_inner().bucket.unwrap())
}

fn code<T>(outcome: Result<T, Status>) -> Code {
    outcome.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn a_bucket_works_under_all_its_names() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let client = one.client_with("photos").await;
    let far = client.at(two.address);
    assert_eq!(far.get("/www.example.org/cat").await.refusal(), (404, "NoSuchBucket"), "and two's cache knows it");
    let bucket = add(&one, "photos", "www.example.org").await.unwrap();
    assert_eq!((bucket.name.as_str(), bucket.aliases.as_slice()), ("photos", &["www.example.org".to_owned()][..]));
    far.put("/www.example.org/cat", "meow").await.ok();
    assert_eq!(client.get("/photos/cat").await.ok().text(), "meow");
    let listing = far.get("/www.example.org?list-type=2").await.ok();
    assert_eq!((listing.element("Name"), listing.all("Key").as_slice()), ("www.example.org", &["cat"][..]));
    assert_eq!(client.get("/").await.ok().all("Name"), ["photos"], "a bucket is listed once");
    assert_eq!(get(&two, "www.example.org").await.unwrap().name, "photos");
    let copied = crate::support::client::Draft::new(http::Method::PUT, "/photos/copy");
    far.send(copied.header("x-amz-copy-source", "www.example.org/cat")).await.ok();
    // What an alias leads to is judged as the bucket: its settings are one.
    let website = "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>";
    far.put("/www.example.org?website", website).await.ok();
    assert_eq!(client.get("/photos?website").await.ok().element("Suffix"), "i");
}

#[tokio::test]
async fn aliases_keep_the_rules_of_names() {
    let world = World::new();
    let gateway = world.gateway().await;
    gateway.client_with("photos").await;
    gateway.client_with("taken").await;
    add(&gateway, "photos", "alias").await.unwrap();
    assert_eq!(add(&gateway, "photos", "alias").await.unwrap().aliases, ["alias"], "again is no error");
    for (bucket, alias, expected) in [
        ("photos", "taken", Code::Aborted),
        ("taken", "alias", Code::Aborted),
        ("photos", "photos", Code::InvalidArgument),
        ("alias", "photos", Code::InvalidArgument),
        ("photos", "Bad_Name", Code::InvalidArgument),
        ("none", "other", Code::NotFound),
    ] {
        assert_eq!(code(add(&gateway, bucket, alias).await), expected, "{bucket} {alias}");
    }
    assert!(get(&gateway, "taken").await.unwrap().aliases.is_empty());
    let again = CreateBucketRequest { name: "alias".to_owned(), owner_key: String::new() };
    assert_eq!(code(gateway.admin().create_bucket(again).await), Code::Aborted, "an alias is taken like any name");
    for (bucket, alias, expected) in [
        ("photos", "photos", Code::InvalidArgument),
        ("photos", "taken", Code::NotFound),
        ("taken", "alias", Code::NotFound),
        ("photos", "never", Code::NotFound),
        ("photos", "alias", Code::Ok),
        ("photos", "alias", Code::NotFound),
    ] {
        assert_eq!(code(remove(&gateway, bucket, alias).await), expected, "{bucket} {alias}");
    }
    add(&gateway, "taken", "alias").await.unwrap();
}

#[tokio::test]
async fn of_many_takers_one_has_the_alias() {
    let world = World::new();
    let gateways = [Arc::new(world.gateway().await), Arc::new(world.gateway().await)];
    for bucket in ["b00", "b01", "b02", "b03"] {
        gateways[0].client_with(bucket).await;
    }
    for round in 0..5 {
        let alias = format!("wanted{round}");
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..4 {
            let (gateway, alias) = (gateways[racer % 2].clone(), alias.clone());
            racers.spawn(async move { (racer, code(add(&gateway, &format!("b0{racer}"), &alias).await)) });
        }
        // A bucket of that name runs too.
        let (gateway, name) = (gateways[1].clone(), alias.clone());
        racers.spawn(async move {
            let request = CreateBucketRequest { name, owner_key: String::new() };
            (4, code(gateway.admin().create_bucket(request).await))
        });
        let outcomes = racers.join_all().await;
        let winners: Vec<usize> =
            outcomes.iter().filter(|(_, code)| *code == Code::Ok).map(|(racer, _)| *racer).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|(_, code)| matches!(code, Code::Ok | Code::Aborted)), "{outcomes:?}");
        for gateway in &gateways {
            let expected = if winners[0] == 4 { alias.clone() } else { format!("b0{}", winners[0]) };
            assert_eq!(get(gateway, &alias).await.unwrap().name, expected);
            for bucket in (0..4).filter(|bucket| *bucket != winners[0]) {
                let aliases = get(gateway, &format!("b0{bucket}")).await.unwrap().aliases;
                assert!(!aliases.contains(&alias), "b0{bucket} lists {aliases:?}");
            }
        }
    }
}

#[tokio::test]
async fn aliases_end_with_their_bucket() {
    let world = World::new();
    let (one, two) = (world.gateway().await, world.gateway().await);
    let client = one.client_with("photos").await;
    add(&one, "photos", "first").await.unwrap();
    add(&one, "photos", "second").await.unwrap();
    let far = client.at(two.address);
    far.head("/first").await.ok();
    assert_eq!(client.delete("/second").await.status, 204, "the bucket is deleted by an alias");
    for name in ["photos", "first", "second"] {
        assert_eq!(client.get(&format!("/{name}?list-type=2")).await.refusal(), (404, "NoSuchBucket"), "{name}");
    }
    assert_eq!(far.put("/first/cat", "meow").await.refusal(), (404, "NoSuchBucket"), "in spite of two's cached row");
    far.put("/first", "").await.ok();
    assert_eq!(add(&two, "first", "photos").await.unwrap().aliases, ["photos"]);

    // A deletion that stopped after the bucket's own row leaves names that lead nowhere: they are free.
    let cluster = world.cluster(Arc::new(SystemClock));
    let op = Op::begin(RequestId::random(&SystemEntropy), &SystemClock).renewed(Duration::from_secs(5));
    let row = BucketNameRow { bucket: BucketId([3; 16]) };
    let envelope = Envelope { value: row.encode(), ..Envelope::default() };
    for name in ["left1", "left2"] {
        let key = keys::bucket_name(&name.parse().unwrap());
        cluster.write(&op, key, OpId::random(&SystemEntropy), Some(envelope.clone())).await.unwrap();
    }
    add(&one, "first", "left1").await.unwrap();
    client.put("/left2", "").await.ok();
    client.put("/left1/dog", "woof").await.ok();
    assert_eq!(far.get("/first/dog").await.ok().text(), "woof");
}
