//! POST form uploads: what a policy allows, what it does not, and bodies whose length nobody announces.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_gateway::Config;
use cairn_s3::auth::Signer;
use cairn_types::{Clock as _, SystemClock};
use http::Method;
use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::World;
use crate::support::client::{Client, Draft, Reply};

const BOUNDARY: &str = "----boundary";
const TYPE: &str = "multipart/form-data; boundary=----boundary";

/// A form: fields, and conditions for all of them.
struct Form {
    fields: Vec<(String, String)>,
    conditions: Vec<String>,
    expires: &'static str,
}

impl Form {
    fn new(key: &str) -> Self {
        let form = Self {
            fields: Vec::new(),
            conditions: vec![r#"{"bucket":"photos"}"#.into()],
            expires: "2099-01-01T00:00:00Z",
        };
        form.field("key", key)
    }

    fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self.condition(&format!("[\"starts-with\",\"${name}\",\"\"]"))
    }

    fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// Everything in front of the file's bytes.
    fn head(&self, client: &Client) -> String {
        let mut conditions = self.conditions.clone();
        for name in ["x-amz-algorithm", "x-amz-credential", "x-amz-date"] {
            conditions.push(format!("[\"starts-with\",\"${name}\",\"\"]"));
        }
        let policy = format!("{{\"expiration\":\"{}\",\"conditions\":[{}]}}", self.expires, conditions.join(","));
        let signer = Signer { access_key_id: &client.access_key, secret: &client.secret, region: "us-east-1" };
        let proof = signer.sign_policy(&policy, SystemClock.now_ms());
        let proof = proof.iter().map(|(name, value)| (*name, value.as_str()));
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let part = |(name, value)| {
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let head: String = fields.chain(proof).map(part).collect();
        format!("{head}--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.jpg\"\r\n\r\n")
    }

    fn body(&self, client: &Client, file: &[u8]) -> Vec<u8> {
        [self.head(client).as_bytes(), file, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
    }

    async fn post(&self, client: &Client, file: &[u8]) -> Reply {
        send(client, self.body(client, file)).await
    }
}

async fn send(client: &Client, body: Vec<u8>) -> Reply {
    let draft = Draft::new(Method::POST, "/photos").header("content-type", TYPE);
    client.exchange(client.parts(draft, body.len()), body.into()).await
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251) % 256).unwrap()).collect()
}

#[tokio::test]
async fn forms_store_what_their_policy_allows() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    for length in [0, 1, 8 << 10, (8 << 10) + 1, 1 << 20, (1 << 20) + 1, (3 << 20) - 5] {
        let file = noise(length);
        let posted = Form::new("up/${filename}").field("Content-Type", "image/jpeg").field("x-amz-meta-a", "1");
        let posted = posted.post(&owner, &file).await.ok();
        assert_eq!((posted.status, posted.body.len()), (204, 0), "{length}");
        let got = owner.get("/photos/up/cat.jpg").await.ok();
        assert_eq!(got.body, file, "{length}");
        assert_eq!((got.header("content-type"), got.header("x-amz-meta-a")), ("image/jpeg", "1"));
        assert_eq!(got.header("etag"), posted.header("etag"));
        assert_eq!(posted.header("location"), format!("http://{}/photos/up/cat.jpg", gateway.address));
    }
}

#[tokio::test]
async fn forms_are_answered_as_they_ask() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let created = Form::new("a").field("success_action_status", "201").post(&owner, b"meow").await;
    assert_eq!((created.status, created.element("Key"), created.element("Bucket")), (201, "a", "photos"));
    assert_eq!(created.element("ETag"), "&quot;4a4be40c96ac6314e91d93f38043a634&quot;");
    let to = "https://page.example/done?x=1";
    let redirected = Form::new("a b").field("success_action_redirect", to).post(&owner, b"meow").await;
    assert_eq!(redirected.status, 303);
    assert_eq!(
        redirected.header("location"),
        format!("{to}&bucket=photos&key=a%20b&etag=%224a4be40c96ac6314e91d93f38043a634%22")
    );
    assert_eq!(Form::new("a").field("success_action_status", "200").post(&owner, b"meow").await.status, 200);
}

#[tokio::test]
async fn the_location_is_in_the_style_of_the_request() {
    let world = World::new();
    let config = Config { root_domain: Some("s3.example".to_owned()), ..Config::default() };
    let gateway = world.gateway_with(config).await;
    let owner = gateway.client_with("photos").await;
    for (host, target, location) in [
        ("photos.s3.example", "/", "http://photos.s3.example/a%20b/cat.jpg"),
        ("Photos.S3.example:9000", "/", "http://Photos.S3.example:9000/a%20b/cat.jpg"),
        ("s3.example", "/photos", "http://s3.example/photos/a%20b/cat.jpg"),
        ("127.0.0.1", "/photos", "http://127.0.0.1/photos/a%20b/cat.jpg"),
    ] {
        let form = Form::new("a b/${filename}").field("success_action_status", "201").body(&owner, b"meow");
        let mut parts = owner.parts(Draft::new(Method::POST, target).header("content-type", TYPE), form.len());
        parts.headers.insert("host", host.parse().unwrap());
        let posted = owner.exchange(parts, form.into()).await;
        assert_eq!((posted.status, posted.header("location")), (201, location));
        assert_eq!(posted.element("Location"), location);
        owner.get("/photos/a%20b/cat.jpg").await.ok();
    }
}

#[tokio::test]
async fn forms_store_under_a_customers_key() {
    const PREFIX: &str = "x-amz-server-side-encryption-customer";
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let fields = |key: &str, md5: &str| {
        let form = Form::new("cat").field(&format!("{PREFIX}-algorithm"), "AES256");
        form.field(&format!("{PREFIX}-key"), key).field(&format!("{PREFIX}-key-MD5"), md5)
    };
    let (key, md5) = (STANDARD.encode([7; 32]), STANDARD.encode(Md5::digest([7; 32])));
    let read = |key: [u8; 32]| {
        Draft::new(Method::GET, "/photos/cat")
            .header(&format!("{PREFIX}-algorithm"), "AES256")
            .header(&format!("{PREFIX}-key"), STANDARD.encode(key))
            .header(&format!("{PREFIX}-key-md5"), STANDARD.encode(Md5::digest(key)))
    };
    for length in [1, 4000, (2 << 20) + 5] {
        let file: Vec<u8> = (0..length).map(|at| u8::try_from((at * 7 + at / 13 + length) % 255).unwrap()).collect();
        let posted = fields(&key, &md5).post(&owner, &file).await;
        assert_eq!((posted.status, posted.header(&format!("{PREFIX}-algorithm"))), (204, "AES256"));
        assert_eq!(posted.header(&format!("{PREFIX}-key-md5")), md5);
        assert!(owner.send(read([7; 32])).await.ok().body == file, "{length}");
        assert_eq!(owner.send(read([8; 32])).await.refusal(), (403, "AccessDenied"));
        assert_eq!(owner.get("/photos/cat").await.refusal(), (400, "InvalidRequest"));
        assert!(length < 32 || !world.holds(&file[length / 2..length / 2 + 32]), "plaintext stands on a disk");
    }
    assert!(!world.holds(&[7; 32]) && !world.holds(key.as_bytes()), "the key stands on a disk");
    // Keys that are none store nothing, and nothing without its encryption.
    let before = owner.send(read([7; 32])).await.ok().body;
    for (key, md5, code) in [
        (key.as_str(), "", "InvalidArgument"),
        ("", md5.as_str(), "InvalidArgument"),
        (&STANDARD.encode([7; 16]), &md5, "InvalidArgument"),
        (&key, &STANDARD.encode(Md5::digest([8; 32])), "InvalidArgument"),
    ] {
        let refused = fields(key, md5).post(&owner, b"other").await;
        assert_eq!(refused.refusal(), (400, code));
        assert!(key.is_empty() || !refused.text().contains(key), "the key is repeated");
    }
    let uncovered = Form { conditions: Form::new("cat").conditions, ..fields(&key, &md5) };
    assert_eq!(uncovered.post(&owner, b"other").await.refusal(), (403, "AccessDenied"));
    assert_eq!(owner.send(read([7; 32])).await.ok().body, before);
}

#[tokio::test]
async fn what_a_policy_does_not_allow_stores_nothing() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let reader = gateway.client().await;
    gateway.allow(&reader, "photos", true, false).await;
    let form = || Form::new("cat");
    let range = |range: &str| form().condition(&format!("[\"content-length-range\",{range}]"));
    assert_eq!(range("1,3").post(&owner, b"meow").await.refusal(), (400, "EntityTooLarge"));
    assert_eq!(range("5,9").post(&owner, b"meow").await.refusal(), (400, "EntityTooSmall"));
    assert_eq!(range("0,2000000").post(&owner, &noise(3_000_000)).await.refusal(), (400, "EntityTooLarge"));
    assert_eq!(form().condition(r#"{"acl":"private"}"#).post(&owner, b"meow").await.refusal(), (403, "AccessDenied"));
    assert_eq!(
        form().condition(r#"["ne","$key","x"]"#).post(&owner, b"").await.refusal(),
        (400, "InvalidPolicyDocument")
    );
    let uncovered = Form { fields: vec![("key".into(), "cat".into()), ("x".into(), "y".into())], ..form() };
    assert_eq!(uncovered.post(&owner, b"meow").await.refusal(), (403, "AccessDenied"));
    let expired = Form { expires: "2020-01-01T00:00:00Z", ..form() };
    assert_eq!(expired.post(&owner, b"meow").await.refusal(), (403, "AccessDenied"));
    assert_eq!(form().post(&reader, b"meow").await.refusal(), (403, "AccessDenied"), "the key may not write");
    let forged = Client { secret: "wrong".to_owned(), ..owner.clone() };
    assert_eq!(form().post(&forged, b"meow").await.refusal(), (403, "SignatureDoesNotMatch"));
    let nobody = Client { access_key: "AKNOBODY".to_owned(), ..owner.clone() };
    assert_eq!(form().post(&nobody, b"meow").await.refusal(), (403, "InvalidAccessKeyId"));
    assert_eq!(form().field("acl", "public-read").post(&owner, b"meow").await.refusal(), (501, "NotImplemented"));
    assert_eq!(form().field("tagging", "<x/>").post(&owner, b"meow").await.refusal(), (501, "NotImplemented"));
    assert_eq!(form().field("if-none-match", "*").post(&owner, b"meow").await.refusal(), (501, "NotImplemented"));
    let wrong = form().field("x-amz-checksum-crc32", "AAAAAA==");
    assert_eq!(wrong.post(&owner, b"meow").await.refusal(), (400, "BadDigest"));
    assert_eq!(Form::new(&"k".repeat(1025)).post(&owner, b"meow").await.refusal(), (400, "KeyTooLongError"));
    assert_eq!(owner.get("/photos/cat").await.refusal(), (404, "NoSuchKey"), "nothing was stored");
    assert_eq!(form().post(&owner, b"meow").await.status, 204);
}

#[tokio::test]
async fn what_is_no_form_stores_nothing() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let whole = Form::new("cat").body(&owner, b"meow");
    let cut = whole[..whole.len() - BOUNDARY.len() - 8].to_vec();
    assert_eq!(send(&owner, cut).await.refusal(), (400, "MalformedPOSTRequest"), "the file has no end");
    let text = String::from_utf8(whole.clone()).unwrap();
    let renamed = text.replace("name=\"file\"", "name=\"other\"").into_bytes();
    assert_eq!(send(&owner, renamed).await.refusal(), (400, "IncorrectNumberOfFilesInPostRequest"));
    let anonymous = text.replace("name=\"policy\"", "name=\"x-ignore-policy\"").into_bytes();
    assert_eq!(send(&owner, anonymous).await.refusal(), (403, "AccessDenied"));
    let large = Form::new("cat").field("x-amz-meta-a", &"y".repeat(30_000)).body(&owner, b"meow");
    assert_eq!(send(&owner, large).await.refusal(), (400, "MaxPostPreDataLengthExceededError"));
    let draft =
        Draft::new(Method::POST, "/photos").header("content-type", TYPE).header("authorization", "AWS4-HMAC-SHA256 x");
    let both = owner.exchange(owner.parts(draft, whole.len()), whole.clone().into()).await;
    assert_eq!(both.refusal(), (400, "InvalidArgument"), "credentials in two places");
    let plain = owner.send(Draft::new(Method::POST, "/photos").body("key=cat")).await;
    assert_eq!(plain.refusal(), (412, "PreconditionFailed"));
    assert_eq!(owner.get("/photos/cat").await.refusal(), (404, "NoSuchKey"));
}

#[tokio::test]
async fn a_form_that_breaks_off_leaves_the_object_as_it_was() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    owner.put("/photos/cat", "whole").await.ok();
    let head = Form::new("cat").head(&owner);
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!(
        "POST /photos HTTP/1.1\r\nhost: {}\r\ncontent-type: {TYPE}\r\ncontent-length: 9000000\r\n\r\n{head}",
        gateway.address
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    tcp.write_all(&noise(2_500_000)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(tcp);
    assert_eq!(owner.get("/photos/cat").await.ok().text(), "whole");
}

#[tokio::test]
async fn quotas_hold_for_forms() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    let quota = cairn_proto::admin::v1::SetBucketQuotaRequest {
        bucket: "photos".to_owned(),
        quota: Some(cairn_proto::admin::v1::BucketQuota { max_bytes: Some(100_000), max_objects: None }),
    };
    gateway.admin().set_bucket_quota(quota).await.unwrap();
    Form::new("cat").post(&owner, &noise(60_000)).await.ok();
    assert_eq!(Form::new("dog").post(&owner, &noise(60_000)).await.refusal(), (403, "QuotaExceeded"));
    assert_eq!(owner.get("/photos/dog").await.status, 404);
}
