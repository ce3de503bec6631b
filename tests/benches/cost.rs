//! `cargo bench -p cairn-tests`: `cairn bench` on a fresh `cairn dev --nodes 3`, against the goals.

use anyhow::Result;
use cairn_tests::cluster::Cluster;
use cairn_tests::cost::measure;

fn main() -> Result<()> {
    let cluster = Cluster::three()?;
    for cost in measure(&cluster, 5_000)? {
        println!("{}", cost.line()?);
    }
    Ok(())
}
