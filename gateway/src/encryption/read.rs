//! From stored bytes to an object's own: plain ones as they are, sealed ones opened segment by segment.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use cairn_model::rows::{ManifestPart, ObjectData, Pages};
use cairn_quorum::Op;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::segments::{BodyCipher, Cover, SEALED, plain_length};
use super::{CipherError, Secrecy};
use crate::body::digest::HashPool;
use crate::body::extents::overlapping;
use crate::body::read::{Bytestream, Purpose};
use crate::budget::Reservation;
use crate::core::Core;
use crate::failure::Failure;
use crate::objects::Object;

/// Sealed bytes that are opened at a time.
const RUN: usize = 4 * SEALED;
/// What a reader holds at most: a run that was opened, and what was gathered for the next one.
const HELD: usize = 3 * RUN;

/// Bytes of the object in one of its parts.
pub(crate) fn part_length(part: &ManifestPart) -> u64 {
    let stored = part.pages.size();
    if part.salt.is_some() { plain_length(stored) } else { stored }
}

impl Core {
    /// Begins to read `wanted`, a range inside the object. Returns with the first bytes at hand, so that what cannot
    /// be read at all is still an error and not half an answer.
    pub(crate) async fn open(
        self: &Arc<Self>,
        op: Op,
        object: Object,
        secrecy: &Secrecy,
        wanted: Range<u64>,
        purpose: Purpose,
    ) -> Result<Bytestream, Failure> {
        if object.head.encryption != secrecy.encryption() {
            return Err(Failure::internal("an object read with the secret of another"));
        }
        if !secrecy.is_encrypted() {
            return self.open_stored(op, object.data, wanted, purpose).await;
        }
        if wanted.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let mut bytes = match object.data {
            ObjectData::Parts(pages) => self.open_parts(op, pages, secrecy.clone(), wanted, purpose),
            body @ (ObjectData::Inline(_) | ObjectData::Blocks(_) | ObjectData::Pages(_)) => {
                let cipher = secrecy.body()?.cipher.ok_or(CipherError)?;
                self.open_body(op, body, cipher, object.head.size, wanted, purpose).await?
            }
        };
        match bytes.next().await {
            Some(Ok(first)) => Ok(stream::once(std::future::ready(Ok(first))).chain(bytes).boxed()),
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::internal("an object's blocks are shorter than its head says")),
        }
    }

    /// One sealed body of `size` bytes.
    async fn open_body(
        self: &Arc<Self>,
        op: Op,
        data: ObjectData,
        cipher: BodyCipher,
        size: u64,
        wanted: Range<u64>,
        purpose: Purpose,
    ) -> Result<Bytestream, Failure> {
        let cover = Cover::of(&wanted, size);
        let held = usize::try_from(cover.sealed.end - cover.sealed.start).unwrap_or(HELD).min(HELD);
        // Before any block's memory, and from another budget: so nobody waits for it while holding the other.
        let memory = match purpose {
            Purpose::Answer => Some(self.opened.reserve(held).await?),
            Purpose::Copy => None,
        };
        let sealed = self.open_stored(op, data, cover.sealed.clone(), purpose).await?;
        let opening = Opening {
            sealed: Some(sealed),
            pool: self.pool.clone(),
            cipher,
            next: cover.first,
            last_of_body: cover.last_of_body,
            gathered: BytesMut::new(),
            opened: VecDeque::new(),
            skip: cover.skip,
            left: wanted.end - wanted.start,
            _memory: memory,
        };
        let next = |mut opening: Opening| async move { Ok(opening.next().await?.map(|bytes| (bytes, opening))) };
        Ok(stream::try_unfold(opening, next).boxed())
    }

    /// The sealed bodies of an object's parts, one after the other.
    fn open_parts(
        self: &Arc<Self>,
        op: Op,
        pages: Pages,
        secrecy: Secrecy,
        wanted: Range<u64>,
        purpose: Purpose,
    ) -> Bytestream {
        let wanted_pages: Vec<_> = overlapping(pages.page_bytes.iter().copied(), wanted).collect();
        let core = self.clone();
        let parts = stream::iter(wanted_pages)
            .then(move |(number, inside)| {
                let (core, pages) = (core.clone(), pages.clone());
                async move {
                    let parts = core.parts_page(op, &pages, number).await?;
                    let touched: Vec<_> = overlapping(parts.iter().map(part_length), inside).collect();
                    let touched = touched.into_iter().map(move |(at, inside)| Ok((parts[at].clone(), inside)));
                    Ok::<_, Failure>(stream::iter(touched))
                }
            })
            .try_flatten();
        let core = self.clone();
        parts
            .and_then(move |(part, inside)| {
                let (core, secrecy) = (core.clone(), secrecy.clone());
                async move {
                    let cipher = secrecy.part(part.salt.as_ref())?.cipher.ok_or(CipherError)?;
                    let size = part_length(&part);
                    core.open_body(op, ObjectData::Pages(part.pages), cipher, size, inside, purpose).await
                }
            })
            .try_flatten()
            .boxed()
    }
}

/// A sealed body on its way to the reader.
struct Opening {
    /// None: it has ended.
    sealed: Option<Bytestream>,
    pool: HashPool,
    cipher: BodyCipher,
    /// Number of the next segment to open.
    next: u64,
    last_of_body: u64,
    gathered: BytesMut,
    opened: VecDeque<Bytes>,
    /// Bytes of the next segment that are before the range.
    skip: usize,
    /// Bytes of the range to come.
    left: u64,
    _memory: Option<Reservation>,
}

impl Opening {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        while self.left > 0 {
            let Some(mut bytes) = self.opened.pop_front() else {
                self.open_more().await?;
                continue;
            };
            drop(bytes.split_to(std::mem::take(&mut self.skip).min(bytes.len())));
            bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= bytes.len() as u64;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Opens the next segments, off this thread where they are many.
    async fn open_more(&mut self) -> Result<(), Failure> {
        while let Some(sealed) = self.sealed.as_mut().filter(|_| self.gathered.len() < RUN) {
            match sealed.next().await.transpose()? {
                Some(piece) => self.gathered.extend_from_slice(&piece),
                None => self.sealed = None,
            }
        }
        let whole = self.gathered.len() / SEALED * SEALED;
        let ready = if self.sealed.is_some() { whole } else { self.gathered.len() };
        if ready == 0 {
            return Err(Failure::internal("a sealed body is shorter than its head says"));
        }
        let run = self.gathered.split_to(ready);
        let (cipher, first, last_of_body) = (self.cipher.clone(), self.next, self.last_of_body);
        self.opened = self.pool.run(ready, move || cipher.open(first, last_of_body, run)).await??;
        self.next += self.opened.len() as u64;
        Ok(())
    }
}
