//! Block references held against what rows name: nothing live is missing anywhere, and nothing is kept for nobody.
//!
//! What a store should keep is read from settled rows: the heads of all buckets, with their pages and their parts'
//! pages, and the parts of uploads that are still open or completing. Every such block must be there, with its reference,
//! on *all* replicas of its partition. Every other reference must lead to the row that decides over it, and that row must
//! not name it: then a sweep by REGISTER B2 may drop it. One that leads nowhere is a leak for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{ManifestPage, ObjectData, PageEntries, Pages, PartRow, TypedRow as _, UploadRow, UploadState};
use cairn_placement::RingKind;
use cairn_quorum::Reference;
use cairn_types::{BlockHash, BucketId, ManifestId, PartitionId, StoreId, Table};

use crate::cluster::pause;
use crate::inside::Inside;

/// A block and the manifest it is kept under.
type Kept = (BlockHash, ManifestId);

/// What an audit found in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Audit {
    /// Blocks under manifests that rows name.
    pub live: usize,
    /// References of manifests that nothing names any more, each with an owner that says so.
    pub collectable: usize,
}

/// Audits until all is in order: what is sent to the last replica may still be on its way.
pub async fn audit(inside: &Inside, limit: Duration) -> Result<Audit> {
    let began = Instant::now();
    loop {
        match audit_once(inside).await {
            Err(error) if began.elapsed() > limit => return Err(error),
            Err(_) => pause(Duration::from_millis(200)),
            audited => return audited,
        }
    }
}

async fn audit_once(inside: &Inside) -> Result<Audit> {
    let live = live(inside).await?;
    let found = inside.references().await?;
    ensure!(!found.is_empty(), "there is no block store");
    check_live(inside, &live, &found).await?;
    let leftovers: BTreeMap<Kept, Reference> =
        found.into_values().flatten().filter(|(kept, _)| !live.contains(kept)).collect();
    for ((hash, manifest), reference) in &leftovers {
        check_collectable(inside, reference)
            .await
            .with_context(|| format!("block {hash} is kept under manifest {manifest} by nobody: {reference:?}"))?;
    }
    Ok(Audit { live: live.len(), collectable: leftovers.len() })
}

/// Everything rows name.
async fn live(inside: &Inside) -> Result<BTreeSet<Kept>> {
    let mut live = BTreeSet::new();
    let buckets = inside.rows(Table::Bucket, Bytes::from_static(keys::SMALL_TABLE)).await?;
    for bucket in buckets {
        let bucket = BucketId::try_from(bucket.sort_key.as_ref())?;
        for object in inside.rows(Table::Object, keys::shard(bucket, 0)).await? {
            match ObjectData::decode(&object.settled.envelope.data)? {
                ObjectData::Inline(_) => {}
                ObjectData::Blocks(blocks) => {
                    live.extend(blocks.blocks.iter().map(|block| (block.hash, blocks.manifest)));
                }
                ObjectData::Pages(pages) => keep_blocks(inside, &pages, &mut live).await?,
                ObjectData::Parts(pages) => keep_parts(inside, &pages, &mut live).await?,
            }
        }
        for upload in inside.rows(Table::Upload, keys::shard(bucket, 0)).await? {
            let (_, id) = keys::parse_upload(&upload.sort_key).context("a damaged upload key")?;
            let row = UploadRow::decode(&upload.settled.envelope.value)?;
            if matches!(row.state, UploadState::Open | UploadState::Completing(_)) {
                for part in inside.rows(Table::Part, id.to_bytes()).await? {
                    let part = PartRow::decode(&part.settled.envelope.value)?;
                    keep_blocks(inside, &part.pages, &mut live).await?;
                }
            }
        }
    }
    Ok(live)
}

async fn page(inside: &Inside, pages: &Pages, number: usize) -> Result<PageEntries> {
    let key = keys::manifest_page(pages.manifest, u32::try_from(number)?);
    let page: Option<ManifestPage> = inside.row(key).await?;
    Ok(page.with_context(|| format!("page {number} of manifest {} is missing", pages.manifest))?.entries)
}

async fn keep_blocks(inside: &Inside, pages: &Pages, live: &mut BTreeSet<Kept>) -> Result<()> {
    for number in 0..pages.page_bytes.len() {
        let PageEntries::Blocks(blocks) = page(inside, pages, number).await? else { bail!("parts inside a part") };
        live.extend(blocks.iter().map(|block| (block.hash, pages.manifest)));
    }
    Ok(())
}

async fn keep_parts(inside: &Inside, pages: &Pages, live: &mut BTreeSet<Kept>) -> Result<()> {
    for number in 0..pages.page_bytes.len() {
        let PageEntries::Parts(parts) = page(inside, pages, number).await? else { bail!("blocks where parts belong") };
        for part in parts {
            keep_blocks(inside, &part.pages, live).await?;
        }
    }
    Ok(())
}

/// Every replica of a live block has its bytes and its reference.
async fn check_live(
    inside: &Inside,
    live: &BTreeSet<Kept>,
    found: &BTreeMap<StoreId, BTreeMap<Kept, Reference>>,
) -> Result<()> {
    let view = inside.cluster.view();
    let bits = view.partition_bits(RingKind::Block).context("no layout")?;
    let mut wanted: BTreeMap<StoreId, Vec<BlockHash>> = BTreeMap::new();
    for (hash, manifest) in live {
        let partition = PartitionId::of_hash(hash.as_bytes(), bits);
        let quorums = view.quorums(RingKind::Block, partition).context("no layout")?;
        for store in quorums.accept.iter().flat_map(|set| set.stores()) {
            let here = found.get(store).is_some_and(|references| references.contains_key(&(*hash, *manifest)));
            ensure!(here, "block {hash} of the live manifest {manifest} is not referenced on {store}");
            wanted.entry(*store).or_default().push(*hash);
        }
    }
    for (store, mut hashes) in wanted {
        hashes.dedup();
        let missing = inside.missing(store, &hashes).await?;
        ensure!(missing.is_empty(), "{store} lacks live blocks: {missing:?}");
    }
    Ok(())
}

/// A reference that no row names must lead to the row that may say so.
async fn check_collectable(inside: &Inside, reference: &Reference) -> Result<()> {
    ensure!(!reference.key.is_empty(), "it names no key");
    let now_ms = inside.cluster.clock().now_ms();
    ensure!(reference.written_at_ms <= now_ms + 60_000, "it is of the future: B2's 24 hours would never be over");
    if let Some(upload) = reference.upload {
        let key = keys::upload(reference.bucket, &reference.key, upload);
        let row: Option<UploadRow> = inside.row(key).await?;
        // An open upload keeps what it will drop when it ends: parts that were replaced, cut or never kept.
        row.context("its upload has no row, which proves nothing")?;
    }
    // Of an object: its head was read settled and does not name the manifest, or there is none, and a write after 24
    // hours settles the question (B2 b).
    Ok(())
}
