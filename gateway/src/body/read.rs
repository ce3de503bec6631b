//! From blocks to a stream of bytes: in order, with a bounded number of blocks fetched ahead.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::{BlockRef, ManifestPage, ManifestPart, ObjectData, PageEntries, Pages, TypedRow as _};
use cairn_quorum::{Op, OpError};
use cairn_types::ManifestId;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;

use super::extents::{Extent, of_blocks, overlapping};
use super::write::Source;
use crate::budget::Reservation;
use crate::core::Core;
use crate::encryption::Secrecy;
use crate::failure::Failure;
use crate::objects::Object;

/// Pieces of a block that wait for the client: a whole block of 256 KiB pieces, wherever it is cut, so that a slow
/// client never holds up a replica.
const PIECES: usize = 6;

/// What bytes are read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// An answer: what waits for the client counts against the budget.
    Answer,
    /// To be stored again. What is stored is reserved; that its source was too could make two copies wait for each
    /// other, so copies are limited in number instead ([`Core::copies`]).
    Copy,
}

/// Bytes of an object, in order. It ends after an error.
pub(crate) type Bytestream = BoxStream<'static, Result<Bytes, Failure>>;

/// Where a fetched block's pieces go.
type Pipe = mpsc::Sender<Result<Bytes, Failure>>;

/// Why a reader's background work ends early.
enum Stop {
    /// Nobody reads any more.
    Unread,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl Core {
    /// Begins to read `wanted`, a range of what is stored: what an encrypted object's bytes are made of is no answer
    /// (see [`Core::open`]). Returns with the first bytes at hand.
    pub(crate) async fn open_stored(
        self: &Arc<Self>,
        op: Op,
        data: ObjectData,
        wanted: Range<u64>,
        purpose: Purpose,
    ) -> Result<Bytestream, Failure> {
        if wanted.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let extents = match &data {
            ObjectData::Inline(bytes) => {
                let range = usize::try_from(wanted.start).ok().zip(usize::try_from(wanted.end).ok());
                let bytes = range.filter(|(_, end)| *end <= bytes.len()).map(|(start, end)| bytes.slice(start..end));
                let bytes = bytes.ok_or_else(|| Failure::internal("an inline body is shorter than its head says"))?;
                return Ok(stream::once(std::future::ready(Ok(bytes))).boxed());
            }
            ObjectData::Blocks(list) => of_blocks(&list.blocks, wanted.clone()),
            ObjectData::Pages(_) | ObjectData::Parts(_) => Vec::new(),
        };
        let mut bytes = match extents.as_slice() {
            [extent] => self.fetch(op, *extent, purpose).await?.into_stream(),
            _ => self.read_ahead(op, data, wanted, purpose),
        };
        match bytes.next().await {
            Some(Ok(first)) => Ok(stream::once(std::future::ready(Ok(first))).chain(bytes).boxed()),
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::internal("an object's blocks are shorter than its head says")),
        }
    }

    /// One block's bytes, fetched by a task of its own.
    async fn fetch(self: &Arc<Self>, op: Op, extent: Extent, purpose: Purpose) -> Result<Fetched, Failure> {
        let reservation = match purpose {
            Purpose::Answer => Some(self.budget.reserve(extent.length as usize).await?),
            Purpose::Copy => None,
        };
        let (pipe, pieces) = mpsc::channel(PIECES);
        drop(self.tasks.spawn(fetch(self.clone(), op, extent, pipe)));
        Ok(Fetched { pieces, _reservation: reservation })
    }

    /// Walks the lists of blocks in a task, which keeps a bounded number of fetches ahead of the reader.
    fn read_ahead(self: &Arc<Self>, op: Op, data: ObjectData, wanted: Range<u64>, purpose: Purpose) -> Bytestream {
        let ahead = self.config.limits.download_blocks.max(1);
        let (queue, blocks) = mpsc::channel(ahead);
        let walk = Walk { core: self.clone(), op, purpose, queue };
        drop(self.tasks.spawn(walk.run(data, wanted)));
        drain(blocks)
            .flat_map(|block: Result<Fetched, Failure>| match block {
                Ok(fetched) => fetched.into_stream(),
                Err(failure) => stream::once(std::future::ready(Err(failure))).boxed(),
            })
            .boxed()
    }

    /// One page of a manifest; pages never change once written.
    pub(crate) async fn page(&self, op: Op, manifest: ManifestId, number: usize) -> Result<PageEntries, Failure> {
        let number = u32::try_from(number).map_err(|_| Failure::internal("a manifest with too many pages"))?;
        let op = op.renewed(self.operation_timeout());
        let row = self.cluster.read(&op, keys::manifest_page(manifest, number)).await?;
        let row = row.ok_or_else(|| Failure::internal(format!("page {number} of manifest {manifest} is gone")))?;
        Ok(ManifestPage::decode(&row.envelope.value)?.entries)
    }

    /// A page that lists parts.
    pub(crate) async fn parts_page(&self, op: Op, pages: &Pages, number: usize) -> Result<Vec<ManifestPart>, Failure> {
        match self.page(op, pages.manifest, number).await? {
            PageEntries::Parts(parts) => Ok(parts),
            PageEntries::Blocks(_) => Err(Failure::internal("a page of blocks where one of parts belongs")),
        }
    }

    /// A page that lists blocks.
    pub(crate) async fn blocks_page(&self, op: Op, pages: &Pages, number: usize) -> Result<Vec<BlockRef>, Failure> {
        match self.page(op, pages.manifest, number).await? {
            PageEntries::Blocks(blocks) => Ok(blocks),
            PageEntries::Parts(_) => Err(Failure::internal("a page of parts where one of blocks belongs")),
        }
    }
}

/// A block that is being fetched; its memory is given back when the last piece is taken.
struct Fetched {
    pieces: mpsc::Receiver<Result<Bytes, Failure>>,
    _reservation: Option<Reservation>,
}

impl Fetched {
    fn into_stream(self) -> Bytestream {
        let next = |mut fetched: Self| async move { fetched.pieces.recv().await.map(|piece| (piece, fetched)) };
        stream::unfold(self, next).boxed()
    }
}

/// What arrives, until the sender is done.
fn drain<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) })
}

/// Streams one extent into `pipe`. The cluster goes on at another replica where one fails.
async fn fetch(core: Arc<Core>, op: Op, extent: Extent, pipe: Pipe) {
    match fetch_into(&core, op, extent, &pipe).await {
        Ok(()) | Err(Stop::Unread) => {}
        // Nobody may be left to hear of it.
        Err(Stop::Failed(failure)) => drop(pipe.send(Err(failure)).await),
    }
}

async fn fetch_into(core: &Core, op: Op, extent: Extent, pipe: &Pipe) -> Result<(), Stop> {
    let op = op.renewed(core.operation_timeout());
    let Extent { block, offset, length } = extent;
    let mut body = core.cluster.get_block(&op, block.hash, offset, length).await.map_err(Failure::from)?;
    let mut missing = u64::from(length);
    while let Some(piece) = body.pieces.next().await {
        let piece = piece.map_err(|error| Failure::from(OpError::NoQuorum(error.to_string())))?;
        missing = missing.saturating_sub(piece.len() as u64);
        pipe.send(Ok(piece)).await.map_err(|_| Stop::Unread)?;
    }
    if missing > 0 {
        return Err(Failure::internal(format!("block {} is shorter than its list says", block.hash)).into());
    }
    Ok(())
}

/// Goes through an object's lists and begins fetches in order.
struct Walk {
    core: Arc<Core>,
    op: Op,
    purpose: Purpose,
    queue: mpsc::Sender<Result<Fetched, Failure>>,
}

impl Walk {
    async fn run(self, data: ObjectData, wanted: Range<u64>) {
        let walked = match &data {
            ObjectData::Inline(_) => Ok(()),
            ObjectData::Blocks(list) => self.blocks(&list.blocks, wanted).await,
            ObjectData::Pages(pages) => self.pages(pages, wanted).await,
            ObjectData::Parts(pages) => self.parts(pages, wanted).await,
        };
        if let Err(Stop::Failed(failure)) = walked {
            // Nobody may be left to hear of it.
            drop(self.queue.send(Err(failure)).await);
        }
    }

    async fn parts(&self, pages: &Pages, wanted: Range<u64>) -> Result<(), Stop> {
        for (number, inside) in overlapping(pages.page_bytes.iter().copied(), wanted) {
            let parts = self.core.parts_page(self.op, pages, number).await?;
            let sizes: Vec<u64> = parts.iter().map(|part| part.pages.size()).collect();
            for (at, inside) in overlapping(sizes, inside) {
                self.pages(&parts[at].pages, inside).await?;
            }
        }
        Ok(())
    }

    async fn pages(&self, pages: &Pages, wanted: Range<u64>) -> Result<(), Stop> {
        for (number, inside) in overlapping(pages.page_bytes.iter().copied(), wanted) {
            let blocks = self.core.blocks_page(self.op, pages, number).await?;
            self.blocks(&blocks, inside).await?;
        }
        Ok(())
    }

    async fn blocks(&self, blocks: &[BlockRef], wanted: Range<u64>) -> Result<(), Stop> {
        for extent in of_blocks(blocks, wanted) {
            let place = self.queue.reserve().await.map_err(|_| Stop::Unread)?;
            place.send(Ok(self.core.fetch(self.op, extent, self.purpose).await?));
        }
        Ok(())
    }
}

/// An object that is read to be stored again.
pub(crate) struct Copied {
    bytes: Bytestream,
    _place: Reservation,
}

impl Copied {
    /// Waits for a place among the copies.
    pub(crate) async fn open(
        core: &Arc<Core>,
        op: Op,
        object: Object,
        secrecy: &Secrecy,
        wanted: Range<u64>,
    ) -> Result<Self, Failure> {
        let place = core.copies.reserve(1).await?;
        let bytes = core.open(op, object, secrecy, wanted, Purpose::Copy).await?;
        Ok(Self { bytes, _place: place })
    }
}

impl Source for Copied {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        self.bytes.next().await.transpose()
    }
}
