//! From a stream of bytes to durable blocks: cut, hash, send, with a bounded number of blocks in flight.

use std::time::Duration;

use bytes::Bytes;
use cairn_model::rows::{BlockRef, Blocks, ManifestPage, ObjectData, PageEntries, Pages, TypedRow as _};
use cairn_model::{Envelope, keys};
use cairn_quorum::{Cluster, Op, PutBlock, Reference};
use cairn_s3::body::Digests;
use cairn_s3::{ErrorCode, S3Error};
use cairn_types::{BucketId, Epoch, ManifestId, UploadId};
use tokio::task::JoinSet;

use super::digest::{HashPool, Pieces, Running, Wanted, length};
use crate::budget::Reservation;
use crate::core::Core;
use crate::encryption::{AtRest, BodySeal};
use crate::failure::Failure;

/// Bytes of a block (DESIGN §6).
pub(crate) const BLOCK: usize = 1 << 20;

/// Where bytes come from: a request's body, or another object.
pub(crate) trait Source: Send {
    /// The next bytes, never none; none at the end, after everything that could be verified was.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;
}

/// Whose blocks these will be.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) bucket: BucketId,
    pub(crate) key: Bytes,
    /// Of a part.
    pub(crate) upload: Option<UploadId>,
    pub(crate) manifest: ManifestId,
    pub(crate) epoch: Epoch,
}

impl Target {
    pub(crate) fn reference(&self, written_at_ms: u64) -> Reference {
        Reference {
            manifest: self.manifest,
            bucket: self.bucket,
            key: self.key.clone(),
            upload: self.upload,
            written_at_ms,
            epoch: self.epoch,
        }
    }
}

/// A body that is durable; nothing names it yet.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) digests: Digests,
    pub(crate) data: ObjectData,
}

impl Core {
    /// Stores a body of `length` bytes, as `seal` has it. A small one of an object is only read: its head will hold it.
    ///
    /// # Errors
    /// What the source says; `IncompleteBody` where it is shorter or longer than `length`; what replicas say.
    pub(crate) async fn store_body(
        &self,
        op: Op,
        target: &Target,
        length: u64,
        wanted: Wanted,
        seal: &BodySeal,
        source: &mut impl Source,
    ) -> Result<Stored, Failure> {
        if target.upload.is_none() && seal.stored_length(length) <= ObjectData::INLINE_MAX as u64 {
            return self.read_inline(length, wanted, seal, source).await;
        }
        let mut pipeline = Pipeline::new(self, op, target, wanted, seal.clone());
        let mut cutter = Cutter::new(source);
        let mut left = length;
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(seal.block_length());
            let reservation = self.budget.reserve(seal.memory(size)).await?;
            let pieces = cutter.take(size).await?;
            left -= size as u64;
            pipeline.push(pieces, left == 0, reservation).await?;
        }
        cutter.end().await?;
        let (digests, blocks) = pipeline.finish().await?;
        let data = self.list_blocks(op, target, blocks).await?;
        Ok(Stored { size: length, digests, data })
    }

    /// Stores a body whose length only its end shows, a block at a time. A small one is only read: its head will hold it.
    /// The source bounds it.
    ///
    /// # Errors
    /// What the source says; what replicas say.
    pub(crate) async fn store_until_end(
        &self,
        op: Op,
        target: &Target,
        wanted: Wanted,
        seal: &BodySeal,
        source: &mut impl Source,
    ) -> Result<Stored, Failure> {
        let mut cutter = Cutter::new(source);
        let mut pipeline = Pipeline::new(self, op, target, wanted, seal.clone());
        let (mut total, mut ends) = (0, false);
        while !ends {
            let reservation = self.budget.reserve(seal.memory(seal.block_length())).await?;
            let pieces = cutter.take_up_to(seal.block_length()).await?;
            ends = cutter.at_end().await?;
            let size = length(&pieces) as u64;
            let inline = total == 0 && ends && seal.stored_length(size) <= ObjectData::INLINE_MAX as u64;
            if inline && target.upload.is_none() {
                return self.keep_inline(wanted, seal, pieces).await;
            }
            total += size;
            pipeline.push(pieces, ends, reservation).await?;
        }
        let (digests, blocks) = pipeline.finish().await?;
        let data = self.list_blocks(op, target, blocks).await?;
        Ok(Stored { size: total, digests, data })
    }

    async fn read_inline(
        &self,
        length: u64,
        wanted: Wanted,
        seal: &BodySeal,
        source: &mut impl Source,
    ) -> Result<Stored, Failure> {
        let size = usize::try_from(length).unwrap_or(ObjectData::INLINE_MAX);
        let _reservation = self.budget.reserve(seal.memory(size)).await?;
        let mut cutter = Cutter::new(source);
        let pieces = cutter.take(size).await?;
        cutter.end().await?;
        self.keep_inline(wanted, seal, pieces).await
    }

    async fn keep_inline(&self, wanted: Wanted, seal: &BodySeal, pieces: Pieces) -> Result<Stored, Failure> {
        let size = length(&pieces) as u64;
        let body = seal.apply(&self.pool, 0, pieces.clone(), true).await?.into_bytes();
        let digests = Running::new(wanted).update(self.pool.clone(), pieces).await?.finish();
        Ok(Stored { size, digests, data: ObjectData::Inline(body) })
    }

    /// Blocks as the head lists them: themselves where they are few, else in pages, settled on return. Parts always
    /// use pages, which outlive the part's row.
    pub(crate) async fn list_blocks(
        &self,
        op: Op,
        target: &Target,
        blocks: Vec<BlockRef>,
    ) -> Result<ObjectData, Failure> {
        if target.upload.is_none() && blocks.len() <= ObjectData::BLOCKS_MAX {
            return Ok(ObjectData::Blocks(Blocks { manifest: target.manifest, blocks }));
        }
        let pages = blocks.chunks(ManifestPage::ENTRIES_MAX).map(|page| {
            let bytes = page.iter().map(|block| u64::from(block.size)).sum();
            (bytes, PageEntries::Blocks(page.to_vec()))
        });
        Ok(ObjectData::Pages(self.write_pages(op, target, pages.collect()).await?))
    }

    /// Writes a manifest's pages, each with the bytes it stands for; all are settled on return.
    pub(crate) async fn write_pages(
        &self,
        op: Op,
        target: &Target,
        pages: Vec<(u64, PageEntries)>,
    ) -> Result<Pages, Failure> {
        let page_bytes = pages.iter().map(|(bytes, _)| *bytes).collect();
        let owner = target.upload.map_or_else(|| target.bucket.to_bytes(), |upload| upload.to_bytes());
        let rows = (0_u32..).zip(pages).map(|(number, (_, entries))| {
            let page = ManifestPage {
                bucket: target.bucket,
                key: target.key.clone(),
                upload: target.upload,
                written_at_ms: op.written_at_ms,
                entries,
            };
            let envelope = Envelope { owner: owner.clone(), value: page.encode(), ..Envelope::default() };
            (keys::manifest_page(target.manifest, number), self.new_op(), Some(envelope))
        });
        let op = op.renewed(self.operation_timeout());
        for written in self.cluster.write_many(&op, rows.collect()).await? {
            written?;
        }
        Ok(Pages { manifest: target.manifest, page_bytes })
    }
}

/// Takes exact numbers of bytes from a source, without copying them.
struct Cutter<'a, S> {
    source: &'a mut S,
    rest: Bytes,
}

impl<'a, S: Source> Cutter<'a, S> {
    const fn new(source: &'a mut S) -> Self {
        Self { source, rest: Bytes::new() }
    }

    async fn take(&mut self, size: usize) -> Result<Pieces, Failure> {
        let pieces = self.take_up_to(size).await?;
        if length(&pieces) < size {
            return Err(ErrorCode::IncompleteBody.into());
        }
        Ok(pieces)
    }

    /// Fewer bytes only at the end.
    async fn take_up_to(&mut self, size: usize) -> Result<Pieces, Failure> {
        let mut pieces = Vec::new();
        let mut missing = size;
        while missing > 0 {
            if self.rest.is_empty() {
                let Some(next) = self.source.next().await? else { break };
                self.rest = next;
            }
            let piece = self.rest.split_to(self.rest.len().min(missing));
            missing -= piece.len();
            pieces.push(piece);
        }
        Ok(pieces.into())
    }

    /// Whether nothing follows: reads ahead one piece at most.
    async fn at_end(&mut self) -> Result<bool, Failure> {
        if self.rest.is_empty() {
            self.rest = self.source.next().await?.unwrap_or_default();
        }
        Ok(self.rest.is_empty())
    }

    /// Nothing may follow.
    async fn end(self) -> Result<(), Failure> {
        if self.rest.is_empty() && self.source.next().await?.is_none() {
            return Ok(());
        }
        Err(S3Error::with_message(ErrorCode::IncompleteBody, "The body is longer than was declared.").into())
    }
}

/// Blocks of one body on their way to replicas. Dropping it stops what has not been sent.
struct Pipeline {
    cluster: Cluster,
    pool: HashPool,
    op: Op,
    patience: Duration,
    reference: Reference,
    seal: BodySeal,
    in_flight_max: usize,
    in_flight: JoinSet<Result<(usize, BlockRef), Failure>>,
    blocks: Vec<Option<BlockRef>>,
    /// The digests up to the last block pushed.
    digests: JoinSet<Result<Running, Failure>>,
}

impl Pipeline {
    fn new(core: &Core, op: Op, target: &Target, wanted: Wanted, seal: BodySeal) -> Self {
        let mut chain = JoinSet::new();
        chain.spawn(std::future::ready(Ok(Running::new(wanted))));
        Self {
            cluster: core.cluster.clone(),
            pool: core.pool.clone(),
            op,
            patience: core.operation_timeout(),
            reference: target.reference(op.written_at_ms),
            seal,
            in_flight_max: core.config.limits.upload_blocks.max(1),
            in_flight: JoinSet::new(),
            blocks: Vec::new(),
            digests: chain,
        }
    }

    /// Waits until there is room, then sends the next block on its way; `ends`: it is the last.
    async fn push(&mut self, pieces: Pieces, ends: bool, reservation: Reservation) -> Result<(), Failure> {
        while self.in_flight.len() >= self.in_flight_max {
            self.reap().await?;
        }
        let digests = self.digests_so_far().await?;
        let (pool, shared) = (self.pool.clone(), pieces.clone());
        self.digests.spawn(async move { Ok(digests.update(pool, shared).await?) });
        let index = self.blocks.len();
        self.blocks.push(None);
        let (cluster, pool, op) = (self.cluster.clone(), self.pool.clone(), self.op.renewed(self.patience));
        let (reference, seal) = (self.reference.clone(), self.seal.clone());
        self.in_flight.spawn(async move {
            let block = seal.apply(&pool, index, pieces, ends).await?;
            let block = send(&cluster, &pool, &op, reference, block).await?;
            drop(reservation);
            Ok((index, block))
        });
        Ok(())
    }

    async fn finish(mut self) -> Result<(Digests, Vec<BlockRef>), Failure> {
        let digests = self.digests_so_far().await?;
        while !self.in_flight.is_empty() {
            self.reap().await?;
        }
        let blocks = self.blocks.into_iter().collect::<Option<Vec<_>>>();
        Ok((digests.finish(), blocks.ok_or_else(|| Failure::internal("a block was lost on its way"))?))
    }

    async fn reap(&mut self) -> Result<(), Failure> {
        if let Some(done) = self.in_flight.join_next().await {
            let (index, block) = done.map_err(|error| Failure::internal(error.to_string()))??;
            self.blocks[index] = Some(block);
        }
        Ok(())
    }

    async fn digests_so_far(&mut self) -> Result<Running, Failure> {
        let done = self.digests.join_next().await.ok_or_else(|| Failure::internal("the digests were lost"))?;
        done.map_err(|error| Failure::internal(error.to_string()))?
    }
}

/// Names a block and makes it durable. Its bytes are [`AtRest`]: nothing else reaches a disk.
async fn send(
    cluster: &Cluster,
    pool: &HashPool,
    op: &Op,
    reference: Reference,
    block: AtRest,
) -> Result<BlockRef, Failure> {
    let (hash, crc32c) = pool.block(block.pieces().clone()).await?;
    let data = block.pieces().to_vec();
    cluster.put_block(op, PutBlock { hash, crc32c, reference, data }).await?;
    Ok(BlockRef { hash, size: u32::try_from(block.length()).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<&'static [u8]>);

    impl Source for Fixed {
        async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
            Ok((!self.0.is_empty()).then(|| Bytes::from_static(self.0.remove(0))))
        }
    }

    #[tokio::test]
    async fn pieces_are_cut_to_size() {
        let mut source = Fixed(vec![b"ab", b"cdef", b"g"]);
        let mut cutter = Cutter::new(&mut source);
        assert_eq!(cutter.take(3).await.unwrap().concat(), b"abc");
        assert_eq!(cutter.take(4).await.unwrap().concat(), b"defg");
        assert!(cutter.end().await.is_ok());
    }

    #[tokio::test]
    async fn bodies_of_unknown_length_end_where_they_end() {
        let mut source = Fixed(vec![b"ab", b"cd"]);
        let mut cutter = Cutter::new(&mut source);
        assert_eq!(cutter.take_up_to(3).await.unwrap().concat(), b"abc");
        assert_eq!(cutter.take_up_to(3).await.unwrap().concat(), b"d");
        assert!(cutter.at_end().await.unwrap());
        assert!(cutter.take_up_to(3).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn short_and_long_bodies_are_refused() {
        let mut source = Fixed(vec![b"ab"]);
        let error = Cutter::new(&mut source).take(3).await.unwrap_err();
        assert_eq!(error.error.code(), ErrorCode::IncompleteBody);
        let mut source = Fixed(vec![b"abc"]);
        let mut cutter = Cutter::new(&mut source);
        cutter.take(2).await.unwrap();
        assert_eq!(cutter.end().await.unwrap_err().error.code(), ErrorCode::IncompleteBody);
    }
}
