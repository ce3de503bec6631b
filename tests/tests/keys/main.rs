//! Access keys and grants on real clusters: what is taken stops everywhere within two seconds, what is given works
//! everywhere at once, rights reach what they name and nothing else, and no secret is told.

mod life;
mod revocation;
mod rights;
mod secrets;

use std::sync::OnceLock;

use anyhow::{Result, ensure};
use bytes::Bytes;
use cairn_tests::cluster::Cluster;
use cairn_tests::operator::{Key, Operator};
use cairn_tests::s3::{Reply, S3};
use http::Method;

const NOTHING: Bytes = Bytes::new();

/// One cluster of three nodes for the tests that leave it whole; each uses buckets and keys of its own.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::three().expect("a cluster"))
}

fn run(test: impl AsyncFnOnce(&Cluster, &Operator) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(test(cluster(), &Operator::of(cluster()))) {
        panic!("{error:?}\nthe processes wrote:\n{}", cluster().log());
    }
}

/// The key of `cairn dev` at every gateway: the owner of the tests' buckets.
fn owners(cluster: &Cluster) -> Vec<S3> {
    cluster.endpoints().iter().map(|endpoint| S3::new(endpoint, &cluster.ready)).collect()
}

/// A key at every gateway.
fn everywhere(cluster: &Cluster, key: &Key) -> Vec<S3> {
    owners(cluster).iter().map(|s3| s3.by(&key.id, &key.secret)).collect()
}

async fn create(s3: &mut S3, bucket: &str) -> Result<()> {
    s3.send(Method::PUT, &format!("/{bucket}"), &[], &[], NOTHING).await?.expect(200)?;
    Ok(())
}

/// Refused with 403 and this code. Answers to HEAD have no body, so no code.
fn refused(reply: &Reply, code: &str) -> Result<()> {
    let said = reply.element("Code");
    let fits = reply.status == 403 && (said.as_deref() == Some(code) || reply.body.is_empty());
    ensure!(fits, "expected 403 {code}, got {} {}", reply.status, reply.text());
    Ok(())
}
