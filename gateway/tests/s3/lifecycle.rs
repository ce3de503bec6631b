//! Lifecycle rules: set and read back, told on answers, and applied by the worker.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{
    BucketNameRow, DAY_MS, Headers, ObjectData, ObjectHead, Phase, TypedRow as _, UploadRow, UploadState, WorkerRow,
};
use cairn_quorum::{Cluster, Op};
use cairn_types::{BucketId, Clock as _, ManualClock, OpId, RequestId, SystemClock, SystemEntropy, UploadId};
use cairn_workers::{LIFECYCLE, Lifecycle, LifecycleConfig, Walked};
use http::Method;
use md5::{Digest as _, Md5};

use crate::support::client::{Client, Draft, Reply};
use crate::support::{World, table_store};

const DATE: &str = "<Expiration><Date>2020-01-01T00:00:00Z</Date></Expiration>";

/// One rule with a filter and an action.
fn rule(id: &str, filter: &str, action: &str) -> String {
    format!("<Rule><ID>{id}</ID><Filter>{filter}</Filter><Status>Enabled</Status>{action}</Rule>")
}

fn days(days: u32) -> String {
    format!("<Expiration><Days>{days}</Days></Expiration>")
}

async fn set(client: &Client, rules: &str) -> Reply {
    let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    let md5 = STANDARD.encode(Md5::digest(&document));
    client.send(Draft::new(Method::PUT, "/photos?lifecycle").header("content-md5", md5).body(document)).await
}

fn op() -> Op {
    Op::begin(RequestId::random(&SystemEntropy), &SystemClock)
}

/// The bucket `photos` and a worker that walks it whenever it is told to.
struct Fixture {
    world: World,
    cluster: Cluster,
    owner: Client,
    bucket: BucketId,
}

impl Fixture {
    async fn new() -> Self {
        let world = World::new();
        let gateway = world.gateway().await;
        let owner = gateway.client_with("photos").await;
        // The gateway goes on while the runtime does.
        std::mem::forget(gateway);
        let cluster = world.cluster(Arc::new(SystemClock));
        let name = keys::bucket_name(&"photos".parse().unwrap());
        let row = cluster.read(&op(), name).await.unwrap().unwrap();
        let bucket = BucketNameRow::decode(&row.envelope.value).unwrap().bucket;
        Self { world, cluster, owner, bucket }
    }

    fn worker(&self, config: LifecycleConfig) -> Lifecycle {
        Lifecycle::new(self.cluster.clone(), table_store(0), config)
    }

    /// One walk over everything.
    async fn walk(&self) -> Walked {
        self.worker(eager()).step().await
    }

    /// Objects as they were written `age_days` ago, with `size` bytes by their heads.
    async fn write_old(&self, keys: &[String], size: u64, age_days: u64) {
        let last_modified_ms = SystemClock.now_ms() - age_days * DAY_MS;
        for keys in keys.chunks(500) {
            let row = |key: &String| {
                let version = OpId::random(&SystemEntropy);
                let head = ObjectHead {
                    version,
                    size,
                    etag: "0123456789abcdef0123456789abcdef".to_owned(),
                    last_modified_ms,
                    headers: Headers::default(),
                    checksum: None,
                    parts: 0,
                    encryption: None,
                };
                let envelope = head.envelope(self.bucket, &ObjectData::Inline(Bytes::new()));
                (keys::object(self.bucket, key.as_bytes()), version, Some(envelope))
            };
            for written in self.cluster.write_many(&op(), keys.iter().map(row).collect()).await.unwrap() {
                written.unwrap();
            }
        }
    }

    async fn keys(&self) -> Vec<String> {
        let listing = self.owner.get("/photos?list-type=2").await.ok();
        listing.all("Key").into_iter().map(str::to_owned).collect()
    }

    async fn progress(&self) -> Option<WorkerRow> {
        let row = self.cluster.read(&op(), keys::worker(LIFECYCLE, self.bucket, 0)).await.unwrap()?;
        Some(WorkerRow::decode(&row.envelope.value).unwrap())
    }
}

/// Every millisecond is a period of its own.
fn eager() -> LifecycleConfig {
    let period = "1ms".parse().unwrap();
    LifecycleConfig { period, judged_per_second: 1_000_000, ended_per_second: 1_000_000 }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:05}")).collect()
}

#[tokio::test]
async fn rules_come_back_as_they_were_put() {
    let world = World::new();
    let gateway = world.gateway().await;
    let owner = gateway.client_with("photos").await;
    assert_eq!(owner.get("/photos?lifecycle").await.refusal(), (404, "NoSuchLifecycleConfiguration"));
    let rules = rule("a", "<Prefix>logs/</Prefix>", &days(3));
    let put = set(&owner, &rules).await.ok();
    assert_eq!(put.header("x-amz-transition-default-minimum-object-size"), "all_storage_classes_128K");
    let read = owner.get("/photos?lifecycle").await.ok();
    assert!(read.text().contains(&rules), "{}", read.text());
    assert_eq!(read.header("x-amz-transition-default-minimum-object-size"), "all_storage_classes_128K");
    // Nothing of what cannot be honoured is kept, and what was there stays.
    let tag = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    let tagged = rule("b", tag, &days(1));
    assert_eq!(set(&owner, &format!("{rules}{tagged}")).await.refusal(), (501, "NotImplemented"));
    assert_eq!(set(&owner, "").await.refusal(), (400, "MalformedXML"));
    assert_eq!(owner.get("/photos?lifecycle").await.ok().text(), read.text());
    let sized = Draft::new(Method::PUT, "/photos?lifecycle")
        .header("x-amz-transition-default-minimum-object-size", "varies_by_storage_class");
    let refused = owner.send(sized.body("<LifecycleConfiguration/>")).await;
    assert_eq!(refused.refusal(), (501, "NotImplemented"));
    assert_eq!(owner.delete("/photos?lifecycle").await.status, 204);
    assert_eq!(owner.get("/photos?lifecycle").await.refusal(), (404, "NoSuchLifecycleConfiguration"));
}

#[tokio::test]
async fn answers_say_when_objects_go() {
    let fixture = Fixture::new().await;
    let owner = &fixture.owner;
    let abort =
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    let rules = [
        rule("my logs", "<Prefix>logs/</Prefix>", &days(3)),
        rule("big", "<ObjectSizeGreaterThan>10</ObjectSizeGreaterThan>", &days(1)),
        rule("uploads", "<Prefix>logs/</Prefix>", abort),
    ];
    set(owner, &rules.concat()).await.ok();
    let at = |days: u64| {
        let midnight = (SystemClock.now_ms() / DAY_MS + days + 1) * DAY_MS;
        cairn_s3::date::http_date(midnight)
    };
    let logs = format!("expiry-date=\"{}\", rule-id=\"my%20logs\"", at(3));
    let big = format!("expiry-date=\"{}\", rule-id=\"big\"", at(1));
    for (key, body, expected) in
        [("logs/1", "small", logs.as_str()), ("logs/2", "larger than that", &big), ("other", "small", "")]
    {
        let target = format!("/photos/{key}");
        for reply in [owner.put(&target, body).await, owner.get(&target).await, owner.head(&target).await] {
            assert_eq!(reply.ok().header("x-amz-expiration"), expected, "{key}");
        }
        let copy = Draft::new(Method::PUT, "/photos/logs/copy").header("x-amz-copy-source", format!("photos/{key}"));
        let copied = owner.send(copy).await.ok();
        assert_eq!(copied.header("x-amz-expiration"), if body == "small" { &logs } else { &big }, "{key}");
    }
    let begun = owner.post("/photos/logs/big?uploads", "").await.ok();
    assert_eq!((begun.header("x-amz-abort-date"), begun.header("x-amz-abort-rule-id")), (at(2).as_str(), "uploads"));
    assert_eq!(owner.post("/photos/other?uploads", "").await.ok().header("x-amz-abort-date"), "");
}

#[tokio::test]
async fn what_is_due_goes_and_nothing_else() {
    let fixture = Fixture::new().await;
    let owner = &fixture.owner;
    fixture.write_old(&["logs/old".into(), "other/old".into()], 5, 10).await;
    fixture.write_old(&["logs/large".into()], 5000, 10).await;
    owner.put("/photos/logs/new", "x").await.ok();
    assert_eq!(fixture.walk().await, Walked::default(), "no rules, nothing to walk");
    assert_eq!(fixture.progress().await, None);

    let filter = "<And><Prefix>logs/</Prefix><ObjectSizeLessThan>100</ObjectSizeLessThan></And>";
    set(owner, &rule("a", filter, &days(5))).await.ok();
    let walked = fixture.walk().await;
    assert_eq!((walked.buckets, walked.objects_judged, walked.objects_expired), (1, 4, 1));
    assert_eq!(fixture.keys().await, ["logs/large", "logs/new", "other/old"]);
    let progress = fixture.progress().await.unwrap();
    assert_eq!((progress.phase, progress.bucket_name.as_str()), (Phase::Done, "photos"));
    assert!(progress.ended_at_ms.unwrap() >= progress.began_at_ms);

    // By date, whatever their age; and a disabled rule does nothing.
    set(owner, &rule("a", "", DATE).replace("Enabled", "Disabled")).await.ok();
    assert_eq!(fixture.walk().await, Walked::default());
    set(owner, &rule("a", "<Prefix>o</Prefix>", DATE)).await.ok();
    assert_eq!(fixture.walk().await.objects_expired, 1);
    assert_eq!(fixture.keys().await, ["logs/large", "logs/new"]);
    assert_eq!(owner.delete("/photos?lifecycle").await.status, 204);
    assert_eq!(fixture.walk().await, Walked::default());
    assert_eq!(fixture.progress().await, None, "the row of a bucket without rules is dropped");
}

#[tokio::test]
async fn a_bucket_is_walked_once_a_period_and_by_one_node() {
    let fixture = Fixture::new().await;
    set(&fixture.owner, &rule("a", "", &days(1))).await.ok();
    for other in [1, 2] {
        let worker = Lifecycle::new(fixture.cluster.clone(), table_store(other), eager());
        assert_eq!(worker.step().await, Walked::default(), "the first replica is alive");
    }
    let daily = || fixture.worker(LifecycleConfig { judged_per_second: 1_000_000, ..LifecycleConfig::default() });
    assert_eq!(daily().step().await.buckets, 1, "never walked before");
    assert_eq!(daily().step().await.buckets, 0, "today it was");
    assert_eq!(fixture.walk().await.buckets, 1);
}

#[tokio::test]
async fn old_uploads_are_aborted_and_no_others() {
    let fixture = Fixture::new().await;
    let owner = &fixture.owner;
    let begin = |key: &str| {
        let target = format!("/photos/{key}?uploads");
        async move { owner.post(&target, "").await.ok().element("UploadId").to_owned() }
    };
    let (old, new, elsewhere) = (begin("tmp/old").await, begin("tmp/new").await, begin("kept").await);
    owner.put(&format!("/photos/tmp/old?partNumber=1&uploadId={old}"), "part").await.ok();
    for (key, id) in [("tmp/old", &old), ("kept", &elsewhere)] {
        let row_key = keys::upload(fixture.bucket, key.as_bytes(), id.parse::<UploadId>().unwrap());
        let row = fixture.cluster.read(&op(), row_key.clone()).await.unwrap().unwrap();
        let mut upload = UploadRow::decode(&row.envelope.value).unwrap();
        upload.created_at_ms -= 9 * DAY_MS;
        let envelope = cairn_model::Envelope { value: upload.encode(), ..row.envelope };
        fixture.cluster.write(&op(), row_key, OpId::random(&SystemEntropy), Some(envelope)).await.unwrap();
    }
    let action =
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    set(owner, &rule("a", "<Prefix>tmp/</Prefix>", action)).await.ok();
    let walked = fixture.walk().await;
    assert_eq!((walked.uploads_judged, walked.uploads_aborted), (3, 1));
    assert_eq!(owner.get(&format!("/photos/tmp/old?uploadId={old}")).await.refusal(), (404, "NoSuchUpload"));
    owner.get(&format!("/photos/tmp/new?uploadId={new}")).await.ok();
    owner.get(&format!("/photos/kept?uploadId={elsewhere}")).await.ok();
    let key = keys::upload(fixture.bucket, b"tmp/old", old.parse::<UploadId>().unwrap());
    let row = fixture.cluster.read(&op(), key).await.unwrap().unwrap();
    let row = UploadRow::decode(&row.envelope.value).unwrap();
    assert!(matches!(row.state, UploadState::Aborted { .. }), "as AbortMultipartUpload leaves it");
    assert_eq!(fixture.walk().await.uploads_judged, 2, "an aborted upload is judged no more");
}

#[tokio::test]
async fn a_run_that_stopped_goes_on_where_it_was() {
    let fixture = Fixture::new().await;
    fixture.write_old(&names("a", 2300), 1, 10).await;
    set(&fixture.owner, &rule("a", "<Prefix>a</Prefix>", &days(5))).await.ok();
    // The first page, and then it rests for long.
    let slow = LifecycleConfig { judged_per_second: 1, ..eager() };
    let stopped = tokio::time::timeout(Duration::from_millis(1500), fixture.worker(slow).step()).await;
    assert!(stopped.is_err(), "it has more to do");
    let progress = fixture.progress().await.unwrap();
    assert_eq!((progress.phase, progress.objects_expired), (Phase::Objects, 1000));
    assert_eq!(progress.cursor, names("a", 1001)[1000].as_bytes());
    // Objects behind the cursor are not looked at again in this run.
    fixture.write_old(&["a00000".to_owned()], 1, 10).await;
    let walked = fixture.walk().await;
    assert_eq!((walked.objects_judged, walked.objects_expired), (1300, 1300));
    assert_eq!(fixture.keys().await, ["a00000"]);
    let progress = fixture.progress().await.unwrap();
    assert_eq!((progress.phase, progress.objects_judged), (Phase::Done, 2300));
    assert_eq!(fixture.walk().await.objects_expired, 1, "the next run begins at the beginning");
}

#[tokio::test]
async fn rules_that_are_taken_back_stop_the_run() {
    let fixture = Fixture::new().await;
    fixture.write_old(&names("a", 2300), 1, 10).await;
    set(&fixture.owner, &rule("a", "", DATE)).await.ok();
    let worker = fixture.worker(LifecycleConfig { judged_per_second: 2000, ..eager() });
    let taken_back = async {
        while fixture.progress().await.is_none_or(|progress| progress.cursor.is_empty()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(fixture.owner.delete("/photos?lifecycle").await.status, 204);
    };
    let (walked, ()) = tokio::join!(worker.step(), taken_back);
    assert!((1000..2300).contains(&walked.objects_expired), "{walked:?}");
    assert_eq!(fixture.keys().await.len(), 1000.min(2300 - usize::try_from(walked.objects_expired).unwrap()));
}

/// W1: small objects are due, large ones are not; while the worker judges the small one, the large one takes its place.
#[tokio::test]
async fn what_is_written_meanwhile_stays() {
    let fixture = Fixture::new().await;
    let owner = &fixture.owner;
    set(owner, &rule("a", "<ObjectSizeLessThan>10</ObjectSizeLessThan>", DATE)).await.ok();
    let worker = fixture.worker(eager());
    let (mut taken, mut kept) = (0, 0);
    // Either waits a while for the other, longer and longer, until both have been first.
    for round in 0..2000_u64 {
        if round >= 100 && taken > 0 && kept > 0 {
            return;
        }
        owner.put("/photos/a", "small").await.ok();
        let (walk_waits, put_waits) = if round % 2 == 0 { (0, round) } else { (round, 0) };
        let walk = async {
            pass(walk_waits).await;
            worker.step().await
        };
        let replaced = async {
            pass(put_waits).await;
            owner.put("/photos/a", "larger than that").await.ok();
        };
        let (walked, ()) = tokio::join!(walk, replaced);
        taken += walked.objects_expired;
        kept += 1 - walked.objects_expired;
        assert_eq!(owner.get("/photos/a").await.ok().text(), "larger than that", "round {round}");
        worker.step().await;
        assert_eq!(owner.get("/photos/a").await.ok().text(), "larger than that", "round {round}, later");
    }
    panic!("{taken} taken, {kept} kept: there was no race");
}

/// Lets others go first, so many times.
async fn pass(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// W5: a clock that runs days ahead finds everything due, and replicas with right clocks refuse what it wants.
#[tokio::test]
async fn a_wrong_clock_deletes_nothing() {
    let fixture = Fixture::new().await;
    fixture.owner.put("/photos/a", "x").await.ok();
    set(&fixture.owner, &rule("a", "", &days(1))).await.ok();
    let clock = Arc::new(ManualClock::at(SystemClock.now_ms() + 30 * DAY_MS));
    let ahead = fixture.world.cluster(clock);
    let walked = Lifecycle::new(ahead, table_store(0), eager()).step().await;
    assert_eq!(walked.objects_expired, 0);
    assert_eq!(fixture.keys().await, ["a"]);
}
