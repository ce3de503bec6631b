//! POST forms, CORS and the access log on a real cluster, by clients that know nothing of it.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::{Cluster, Options, wait_until};
use cairn_tests::program::{Client, Program, script};
use cairn_tests::s3::S3;
use http::Method;

const PYTHON: Program = Program { name: "python3", get: "./test forms (makes a virtual environment)" };

/// One cluster for all tests of this file.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let options = Options { nodes: 3, log: Some("warn,access=info"), ..Options::default() };
    CLUSTER.get_or_init(|| Cluster::start(options).expect("a cluster"))
}

#[test]
fn boto3_uploads_by_forms_and_asks_across_origins() {
    let run = || -> Result<()> {
        let Some(program) = PYTHON.find()? else { return Ok(()) };
        let home = tempfile::tempdir()?;
        let python = Client { program, home: home.path(), ready: &cluster().ready };
        let script = script("forms_tour.py");
        println!("{}", python.run([script])?);
        Ok(())
    };
    if let Err(error) = run() {
        panic!("{error:?}");
    }
}

#[test]
fn each_request_is_one_line_without_secrets() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(check_access_log()) {
        panic!("{error:?}");
    }
}

async fn check_access_log() -> Result<()> {
    let ready = &cluster().ready;
    let mut s3 = S3::first(ready)?;
    s3.send(Method::PUT, "/access-log-bucket", &[], &[], "").await?.expect(200)?;
    let put = s3.put("access-log-bucket", "logged-key", vec![7; 10_000]).await?.expect(200)?;
    let read = s3.get("access-log-bucket", "logged-key").await?.expect(200)?;
    let missing = s3.get("access-log-bucket", "missing-key").await?.expect(404)?;
    // A key that would begin a line of its own, and credentials in a query.
    s3.put("access-log-bucket", "x\nFORGED line", "x").await?.expect(200)?;
    let secret = [("X-Amz-Signature", "5ec4e7"), ("X-Amz-Credential", "canary-credential")];
    let refused = s3.send(Method::GET, "/access-log-bucket/logged-key", &secret, &[], "").await?;
    ensure!(refused.status == 400, "credentials in two places: {}", refused.status);
    let line = |id: &str| log_lines().into_iter().find(|line| line.contains(" access: ") && line.contains(id));
    for (reply, expected) in [
        (&put, ["operation=\"PutObject\"", "status=200", "bytes_in=10000", "bytes_out=0"]),
        (&read, ["operation=\"GetObject\"", "key=\"logged-key\"", "bytes_out=10000", "whole=true"]),
        (&missing, ["error=\"NoSuchKey\"", "status=404", "bucket=\"access-log-bucket\"", "key=\"missing-key\""]),
        (&refused, ["error=\"InvalidArgument\"", "status=400", "access_key=\"-\"", "peer=127.0.0.1"]),
    ] {
        let id = reply.header("x-amz-request-id").to_owned();
        wait_until("the line is written", Duration::from_secs(10), || line(&id).is_some())?;
        let line = line(&id).context("a line")?;
        for part in expected {
            ensure!(line.contains(part), "{part} is not in: {line}");
        }
        ensure!(line.contains("took_us=") && line.contains("method="), "{line}");
    }
    let id = put.header("x-amz-request-id");
    ensure!(log_lines().iter().filter(|line| line.contains(id)).count() == 1, "one line a request");
    ensure!(line(id).is_some_and(|line| line.contains(&ready.access_key)), "who asked");
    for line in log_lines() {
        ensure!(!line.starts_with("FORGED"), "a key wrote a line: {line}");
        ensure!(!line.contains("5ec4e7") && !line.contains("canary-credential"), "credentials are logged: {line}");
        // `cairn dev` itself shows the secret it made, once, to whoever started it; no daemon may.
        let shown = line.trim_start().starts_with("secret") || line.contains("AWS_SECRET_ACCESS_KEY");
        ensure!(shown || !line.contains(&ready.secret_key), "a secret is logged: {line}");
    }
    Ok(())
}

/// The newest lines that the cluster's processes wrote.
fn log_lines() -> Vec<String> {
    cluster().log().lines().map(ToOwned::to_owned).collect()
}
