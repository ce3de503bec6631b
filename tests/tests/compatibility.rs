//! The list of what is built, behind `docs/s3-compatibility.md`: it has all of AWS's model, what is not built answers
//! 501 and changes nothing, and what is built was seen to work and to be refused by boto3.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_s3::compatibility::{EVERY, EVERY_OF_A_BUCKET, Field, OPERATIONS, Operation, Place, Support, fields};
use cairn_tests::cluster::{Cluster, Options, with_cluster};
use cairn_tests::program::{Client, Program};
use cairn_tests::s3::{Reply, S3};
use http::Method;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

const PYTHON: Program =
    Program { name: "python3", get: "./test compatibility (makes a virtual environment), or pip install boto3" };
const CORS: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
                    </CORSRule></CORSConfiguration>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>a</ID><Filter/><Status>Enabled</Status><Expiration>\
                         <Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
const WEBSITE: &str = "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>";
const DELETE: &str = "<Delete><Object><Key>k</Key></Object></Delete>";

/// The list, for programs that are not Rust.
fn list() -> Value {
    let built = |support| match support {
        Support::Yes(_) => "yes",
        Support::Partly(..) => "partly",
        Support::No => "no",
    };
    let operation = |one: &Operation| {
        let difference = if let Support::Partly(difference, _) = one.support { difference } else { "" };
        json!({ "name": one.name, "request": one.request, "built": built(one.support), "difference": difference })
    };
    let field = |one: &Field| {
        let every = [EVERY, EVERY_OF_A_BUCKET].contains(&one.of);
        let of: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        json!({
            "topic": one.topic,
            "place": one.place.name(),
            "names": one.names,
            "every": every,
            "of": of.into_iter().filter(|name| one.belongs_to(name)).collect::<Vec<_>>(),
            "built": built(one.support),
            "lacking": one.lacking,
            "harmless": one.harmless,
        })
    };
    json!({
        "operations": OPERATIONS.iter().map(operation).collect::<Vec<_>>(),
        "fields": fields().map(field).collect::<Vec<_>>(),
    })
}

/// Runs a script of `clients/groups` with the list's file, which stays for runs by hand, and the web listener's address.
fn python(cluster: &Cluster, script: &str) -> Result<()> {
    let Some(program) = PYTHON.find()? else { return Ok(()) };
    let home = tempfile::tempdir()?;
    let rows = Path::new(env!("CARGO_TARGET_TMPDIR")).join("list.json");
    fs::write(&rows, serde_json::to_vec(&list())?)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/groups").join(script);
    let web = PathBuf::from(cluster.ready.web_endpoint.as_deref().context("no web listener")?);
    let client = Client { program, home: home.path(), ready: &cluster.ready };
    println!("{}", client.run([script, rows, web])?);
    Ok(())
}

#[test]
fn the_list_has_all_of_awss_model() {
    with_cluster(Options::default(), async |cluster| python(cluster, "model.py"));
}

/// Every row that is built worked at least once and was refused at least twice; `run.py` counts.
#[test]
fn boto3_passes_each_feature_group() {
    let options = Options { nodes: 3, lifecycle_period: Some("1s"), ..Options::default() };
    with_cluster(options, async |cluster| python(cluster, "run.py"));
}

/// A bucket with something in every place that a request could change.
struct Bucket {
    s3: S3,
    name: String,
    upload: String,
    part: String,
}

/// A request before it is sent.
struct Ask {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: String,
}

impl Bucket {
    async fn make(mut s3: S3, name: &str) -> Result<Self> {
        let path = format!("/{name}");
        let key = format!("/{name}/k");
        s3.send(Method::PUT, &path, &[], &[], "").await?.expect(200)?;
        s3.send(Method::PUT, &key, &[], &[], "as it was").await?.expect(200)?;
        for (setting, document) in [("cors", CORS), ("lifecycle", LIFECYCLE), ("website", WEBSITE)] {
            let md5 = content_md5(document);
            s3.send(Method::PUT, &path, &[(setting, "")], &[("content-md5", &md5)], document).await?.expect(200)?;
        }
        let made = s3.send(Method::POST, &key, &[("uploads", "")], &[], "").await?.expect(200)?;
        let upload = made.element("UploadId").context("no upload id")?;
        let part = s3.send(Method::PUT, &key, &[("uploadId", &upload), ("partNumber", "1")], &[], "part").await?;
        let part = part.expect(200)?.header("etag").to_owned();
        Ok(Self { s3, name: name.to_owned(), upload, part })
    }

    /// What the list says of an operation, with all it needs to succeed.
    fn ask(&self, operation: &Operation) -> Result<Ask> {
        let (method, target) = operation.request.split_once(' ').context("a method and a target")?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = match (operation.name, path.strip_prefix("/b")) {
            ("CreateBucket", _) => format!("/{}-other", self.name),
            ("CopyObject", _) => format!("/{}/copy", self.name),
            (_, Some(rest)) => format!("/{}{rest}", self.name),
            (_, None) => path.to_owned(),
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let upload = |value: &str| if value == "u" { self.upload.clone() } else { value.to_owned() };
        let query = pairs.map(|(name, value)| (name.to_owned(), upload(value))).collect();
        let body = match operation.name {
            "CompleteMultipartUpload" => format!(
                "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
                self.part
            ),
            "DeleteObjects" => DELETE.to_owned(),
            "PutBucketCors" => CORS.replace("GET", "PUT"),
            "PutBucketLifecycleConfiguration" => LIFECYCLE.replace('9', "8"),
            "PutBucketWebsite" => WEBSITE.replace("<Suffix>i", "<Suffix>j"),
            "PutObject" | "UploadPart" => "changed".to_owned(),
            _ if operation.support == Support::No => "<X/>".to_owned(),
            _ => String::new(),
        };
        let needed: &[(&str, &str)] = match operation.name {
            "CopyObject" | "UploadPartCopy" => &[("x-amz-copy-source", &format!("/{}/k", self.name))],
            "GetObjectAttributes" => &[("x-amz-object-attributes", "ETag")],
            _ => &[],
        };
        let headers = needed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Ask { method: method.parse()?, path, query, headers, body })
    }

    async fn send(&mut self, mut ask: Ask) -> Result<Reply> {
        if ask.body.starts_with('<') {
            ask.headers.push(("content-md5".to_owned(), content_md5(&ask.body)));
        }
        let query: Vec<(&str, &str)> = ask.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers: Vec<(&str, &str)> =
            ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.s3.send(ask.method, &ask.path, &query, &headers, ask.body).await
    }

    /// All that can be read of the bucket and of what is around it.
    async fn state(&mut self) -> Result<Vec<String>> {
        let (bucket, key) = (format!("/{}", self.name), format!("/{}/k", self.name));
        let upload = self.upload.clone();
        let parts = [("uploadId", upload.as_str())];
        let mut state = Vec::new();
        for (path, query) in [
            ("/", &[][..]),
            (&bucket, &[("list-type", "2")]),
            (&bucket, &[("uploads", "")]),
            (&bucket, &[("cors", "")]),
            (&bucket, &[("lifecycle", "")]),
            (&bucket, &[("website", "")]),
            (&key, &[]),
            (&key, &parts),
        ] {
            let reply = self.s3.send(Method::GET, path, query, &[], "").await?.expect(200)?;
            state.push(format!("{} {} {}", reply.header("etag"), reply.header("last-modified"), reply.text()));
        }
        Ok(state)
    }

    /// Adds a field that is not built; the words by which the answer must name it.
    fn add(ask: &mut Ask, operation: &Operation, field: &Field, name: &str, value: &str) -> Result<String> {
        match field.place {
            Place::Header => ask.headers.push((name.to_owned(), value.to_owned())),
            Place::Query => ask.query.push((name.to_owned(), value.to_owned())),
            Place::Form => anyhow::bail!("forms are walked by boto3"),
            Place::Element => {
                let root = match operation.name {
                    "CreateBucket" => "CreateBucketConfiguration",
                    "CompleteMultipartUpload" => "CompleteMultipartUpload",
                    "DeleteObjects" => "Delete",
                    "PutBucketLifecycleConfiguration" => "LifecycleConfiguration",
                    other => anyhow::bail!("what is the root of {other}?"),
                };
                ask.body = format!("<{root}>{value}</{root}>");
            }
        }
        Ok(name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase())
    }
}

fn content_md5(document: &str) -> String {
    STANDARD.encode(Md5::digest(document))
}

/// Whether an answer is the 501 it must be; what is wrong with it, where not.
fn lie(reply: &Reply, named: &str, head: bool) -> Option<String> {
    let text = reply.text();
    let honest = reply.status == 501
        && (head
            || (reply.element("Code").as_deref() == Some("NotImplemented")
                && text.to_ascii_lowercase().contains(named)));
    (!honest).then(|| format!("{} {text}", reply.status))
}

/// Every field that is not built, with each operation that has it and each of its values, sent as boto3 does not.
fn not_built() -> impl Iterator<Item = (&'static Operation, &'static Field, &'static str, &'static str)> {
    let all = OPERATIONS.iter().filter(|operation| operation.support != Support::No);
    all.flat_map(|operation| {
        let of = fields().filter(|field| field.belongs_to(operation.name) && field.place != Place::Form);
        of.flat_map(move |field| {
            // An element's values stand for one name each, in order.
            let pairs = field.lacking.iter().enumerate().flat_map(move |(index, value)| {
                let names = field.names.iter().enumerate();
                let own = names.filter(move |(at, _)| field.place != Place::Element || *at == index);
                own.map(move |(_, name)| (*name, *value))
            });
            pairs.map(move |(name, value)| (operation, field, name, value))
        })
    })
}

/// docs/s3-compatibility.md does not lie about what is missing.
#[test]
fn what_is_not_built_says_so_and_changes_nothing() {
    with_cluster(Options::default(), async |cluster| {
        let mut bucket = Bucket::make(S3::first(&cluster.ready)?, "listed").await?;
        let before = bucket.state().await?;
        let (mut walked, mut lies) = (0, Vec::new());
        for operation in OPERATIONS.iter().filter(|operation| operation.support == Support::No) {
            let ask = bucket.ask(operation)?;
            let named = ask.query.first().context("a sub-resource")?.0.to_ascii_lowercase();
            let reply = bucket.send(ask).await?;
            lies.extend(lie(&reply, &named, false).map(|why| format!("{}: {why}", operation.name)));
            walked += 1;
        }
        for (operation, field, name, value) in not_built() {
            let mut ask = bucket.ask(operation)?;
            let head = ask.method == Method::HEAD;
            let named = Bucket::add(&mut ask, operation, field, name, value)?;
            let reply = bucket.send(ask).await?;
            lies.extend(lie(&reply, &named, head).map(|why| format!("{} {name}: {value}: {why}", operation.name)));
            walked += 1;
        }
        println!("MEASURED {walked} requests for what is not built");
        ensure!(walked > 250, "the list was not walked: {walked}");
        ensure!(lies.is_empty(), "{} lies:\n{}", lies.len(), lies.join("\n"));
        ensure!(bucket.state().await? == before, "something changed");
        control(cluster).await
    });
}

/// The same requests succeed without the field: it alone was refused.
async fn control(cluster: &Cluster) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for (operation, ..) in not_built() {
        if seen.contains(&operation.name) {
            continue;
        }
        seen.push(operation.name);
        let mut bucket = Bucket::make(S3::first(&cluster.ready)?, &format!("control-{}", seen.len())).await?;
        let ask = bucket.ask(operation)?;
        let reply = bucket.send(ask).await?;
        ensure!((200..300).contains(&reply.status), "{}: {} {}", operation.name, reply.status, reply.text());
    }
    ensure!(seen.len() > 8, "{seen:?}");
    Ok(())
}
