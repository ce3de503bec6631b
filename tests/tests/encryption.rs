//! SSE-C on a real cluster: no disk and no log holds a byte of an encrypted object, or its key.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cairn_tests::cluster::Cluster;
use cairn_tests::pattern;
use cairn_tests::program::{Client, Program, script};
use cairn_tests::s3::S3;
use http::Method;
use md5::{Digest as _, Md5};
use sha2::Sha256;

const PYTHON: Program = Program { name: "python3", get: "./test encryption (makes a virtual environment)" };
const OWN: &str = "x-amz-server-side-encryption-customer";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer";
const PART: usize = 5 << 20;
/// Read at a time when a disk is searched.
const CHUNK: usize = 8 << 20;

/// One cluster for all tests of this file.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::three().expect("a cluster"))
}

fn run(test: impl AsyncFnOnce(&mut S3) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async { test(&mut S3::first(&cluster().ready)?).await });
    if let Err(error) = outcome {
        panic!("{error:?}");
    }
}

/// The three headers of a key.
fn key_headers(prefix: &str, key: &[u8]) -> Vec<(String, String)> {
    vec![
        (format!("{prefix}-algorithm"), "AES256".to_owned()),
        (format!("{prefix}-key"), STANDARD.encode(key)),
        (format!("{prefix}-key-md5"), STANDARD.encode(Md5::digest(key))),
    ]
}

/// What is searched for, and under which name a failure tells it.
struct Needle {
    name: String,
    bytes: Vec<u8>,
}

/// 24 bytes of each 20 KB of a content that repeats nowhere.
fn clues(name: &str, content: &[u8]) -> Vec<Needle> {
    let clue = |at: usize| Needle { name: format!("{name} at {at}"), bytes: content[at..at + 24].to_vec() };
    (0..content.len().saturating_sub(24)).step_by(20_000).map(clue).collect()
}

/// A key as it is, as clients write it, and hashed as nobody should keep it.
fn clues_of_key(key: &[u8]) -> Vec<Needle> {
    let needle = |name: &str, bytes: Vec<u8>| Needle { name: format!("the key, {name}"), bytes };
    vec![
        needle("raw", key.to_vec()),
        needle("in base64", STANDARD.encode(key).into_bytes()),
        needle("in hexadecimal", hex::encode(key).into_bytes()),
        needle("as MD5", Md5::digest(key).to_vec()),
        needle("as MD5 in base64", STANDARD.encode(Md5::digest(key)).into_bytes()),
        needle("as SHA-256", Sha256::digest(key).to_vec()),
    ]
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// The needles that some file under `directory` holds.
fn search(directory: &Path, needles: &[Needle]) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    files(directory, &mut paths)?;
    // By their first eight bytes: one look at each position of a disk.
    let mut heads: std::collections::HashMap<[u8; 8], Vec<&Needle>> = std::collections::HashMap::new();
    for needle in needles {
        heads.entry(needle.bytes[..8].try_into()?).or_default().push(needle);
    }
    let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
    let mut found = Vec::new();
    for path in paths {
        // A database removes files while it runs.
        let Ok(mut file) = fs::File::open(&path) else { continue };
        let mut window = Vec::new();
        loop {
            let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut window)?;
            for (at, head) in window.windows(8).enumerate() {
                for needle in heads.get(head).into_iter().flatten() {
                    if window[at..].starts_with(&needle.bytes) {
                        found.push(format!("{} in {}", needle.name, path.display()));
                    }
                }
            }
            if read == 0 {
                break;
            }
            window.drain(..window.len().saturating_sub(longest));
        }
    }
    Ok(found)
}

#[test]
fn nothing_of_an_encrypted_object_is_on_any_disk() {
    run(async |s3| {
        s3.send(Method::PUT, "/secrets", &[], &[], Bytes::new()).await?.expect(200)?;
        let key = pattern(77, 32);
        let own = key_headers(OWN, &key);
        let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let source = key_headers(SOURCE, &key);
        let source: Vec<_> = source.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

        let (small, large, part) = (pattern(1, 4000), pattern(2, 3 << 20), pattern(3, PART));
        let mut needles = clues_of_key(&key);
        for (name, content) in [("small", &small), ("large", &large), ("part", &part)] {
            needles.extend(clues(name, content));
        }
        for (name, content) in [("small", &small), ("large", &large)] {
            let path = format!("/secrets/{name}");
            s3.send(Method::PUT, &path, &[], &own, content.clone()).await?.expect(200)?;
            let got = s3.send(Method::GET, &path, &[], &own, Bytes::new()).await?.expect(200)?;
            ensure!(got.body == *content);
            let both: Vec<_> =
                own.iter().chain(&source).chain(&[("x-amz-copy-source", path.as_str())]).copied().collect();
            let copied = s3.send(Method::PUT, &format!("{path}-copy"), &[], &both, Bytes::new()).await?;
            copied.expect(200)?;
        }
        let created =
            s3.send(Method::POST, "/secrets/parts", &[("uploads", "")], &own, Bytes::new()).await?.expect(200)?;
        let id = created.element("UploadId").context("no upload id")?;
        let query = [("uploadId", id.as_str()), ("partNumber", "1")];
        s3.send(Method::PUT, "/secrets/parts", &query, &[], "x").await?.expect(400)?;
        let etag = s3.send(Method::PUT, "/secrets/parts", &query, &own, part.clone()).await?.expect(200)?;
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
            etag.header("etag")
        );
        s3.send(Method::POST, "/secrets/parts", &query[..1], &[], list).await?.expect(200)?;
        let got = s3.send(Method::GET, "/secrets/parts", &[], &own, Bytes::new()).await?.expect(200)?;
        ensure!(got.body == part);
        s3.send(Method::GET, "/secrets/parts", &[], &[], Bytes::new()).await?.expect(400)?;

        // What is not encrypted is found, or the search proves nothing.
        let (bare_small, bare_large) = (pattern(8, 4000), pattern(9, 2 << 20));
        s3.put("secrets", "bare-small", bare_small.clone()).await?.expect(200)?;
        s3.put("secrets", "bare-large", bare_large.clone()).await?.expect(200)?;
        let data = cluster().data_dir();
        let mut bare = clues("bare small", &bare_small);
        bare.extend(clues("bare large", &bare_large));
        let seen = search(data, &bare)?;
        let told = |needle: &Needle| seen.iter().any(|seen| seen.starts_with(&needle.name));
        ensure!(bare.iter().all(told), "the search finds only {} of {}", seen.len(), bare.len());

        let found = search(data, &needles)?;
        ensure!(found.is_empty(), "{found:#?}");
        let log = cluster().log();
        for needle in clues_of_key(&key).iter().filter_map(|needle| std::str::from_utf8(&needle.bytes).ok()) {
            ensure!(!log.contains(needle), "a log holds the key");
        }
        Ok(())
    });
}

#[test]
fn nothing_of_a_posted_object_is_on_any_disk() {
    run(async |s3| {
        s3.send(Method::PUT, "/posted", &[], &[], Bytes::new()).await?.expect(200)?;
        let (key, wrong) = (pattern(78, 32), pattern(79, 32));
        let (own, others) = (key_headers(OWN, &key), key_headers(OWN, &wrong));
        let own: Vec<_> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let others: Vec<_> = others.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut needles = clues_of_key(&key);
        for (name, content) in [("small", pattern(21, 4000)), ("large", pattern(22, 3 << 20))] {
            needles.extend(clues(name, &content));
            let form = s3.form("posted", name, &own, &content)?;
            s3.exchange(form).await?.expect(204)?;
            let path = format!("/posted/{name}");
            let got = s3.send(Method::GET, &path, &[], &own, Bytes::new()).await?.expect(200)?;
            ensure!(got.body == content);
            s3.send(Method::GET, &path, &[], &others, Bytes::new()).await?.expect(403)?;
            s3.send(Method::GET, &path, &[], &[], Bytes::new()).await?.expect(400)?;
        }
        // What no key encrypts is found, or the search proves nothing.
        let bare = pattern(23, 4000);
        let form = s3.form("posted", "bare", &[], &bare)?;
        s3.exchange(form).await?.expect(204)?;
        ensure!(!search(cluster().data_dir(), &clues("bare", &bare))?.is_empty(), "the search finds nothing");
        let found = search(cluster().data_dir(), &needles)?;
        ensure!(found.is_empty(), "{found:#?}");
        Ok(())
    });
}

#[test]
fn boto3_passes_its_script() {
    let test = || -> Result<()> {
        let Some(program) = PYTHON.find()? else { return Ok(()) };
        let home = tempfile::tempdir()?;
        let script = script("boto3_sse.py");
        let client = Client { program, home: home.path(), ready: &cluster().ready };
        println!("{}", client.run([script])?);
        Ok(())
    };
    if let Err(error) = test() {
        panic!("{error:?}");
    }
}
