//! `cargo bench -p cairn-tests`: CPU-ms per operation of all daemons of `cairn dev --nodes 3`, 8 requests at a time.

use anyhow::Result;
use cairn_tests::cluster::Cluster;
use cairn_tests::cost::measure;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::three()?;
        for cost in measure(&cluster, 5_000).await? {
            println!("{}", cost.line());
        }
        Ok(())
    })
}
