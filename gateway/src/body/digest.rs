//! Hashing off the async thread, in parallel, within a bound (LIBRARIES §1: MD5 is the ceiling of a PUT).

use std::sync::Arc;

use bytes::Bytes;
use cairn_s3::body::Digests;
use cairn_s3::checksum::{Algorithm, Checksum, Hasher};
use cairn_types::BlockHash;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::{Digest as _, Md5};
use tokio::sync::Semaphore;

/// A block has one CRC-32C for each piece of this many bytes (DESIGN §6).
const PIECE: usize = 256 << 10;
/// Bodies up to this long are hashed where they are: handing them over costs more.
const INLINE: usize = 64 << 10;

/// A body or a block: its bytes in order, as they arrived.
pub(crate) type Pieces = Arc<[Bytes]>;

/// Bytes in all pieces together.
pub(crate) fn length(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// Runs hash jobs on blocking threads, as many at once as there are cores. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct HashPool(Arc<Semaphore>);

/// A hash job was lost: the process is ending, or the job had a bug.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a hash job was lost")]
pub(crate) struct Lost;

impl HashPool {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Arc::new(Semaphore::new(cores.max(2))))
    }

    /// Runs `job`, which reads `bytes` bytes. Dropping the future lets a job that has begun finish unseen.
    pub(crate) async fn run<T, F>(&self, bytes: usize, job: F) -> Result<T, Lost>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        if bytes <= INLINE {
            return Ok(job());
        }
        let permit = self.0.clone().acquire_owned().await.map_err(|_| Lost)?;
        let job = move || {
            let done = job();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(job).await.map_err(|_| Lost)
    }

    /// The name of a block and the CRCs of its pieces.
    pub(crate) async fn block(&self, pieces: Pieces) -> Result<(BlockHash, Vec<u32>), Lost> {
        self.run(length(&pieces), move || (BlockHash::of_pieces(pieces.iter().map(AsRef::as_ref)), piece_crcs(&pieces)))
            .await
    }
}

/// What to compute beside MD5.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wanted {
    /// The payload's own SHA-256, where it was signed.
    pub(crate) sha256: bool,
    pub(crate) checksum: Option<Algorithm>,
}

/// The running digests of a whole body.
pub(crate) struct Running {
    wanted: Wanted,
    md5: Md5,
    /// Each algorithm that is wanted, once.
    others: Vec<(Algorithm, Hasher)>,
}

impl Running {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let mut algorithms: Vec<Algorithm> = wanted.sha256.then_some(Algorithm::Sha256).into_iter().collect();
        algorithms.extend(wanted.checksum.filter(|algorithm| !algorithms.contains(algorithm)));
        let others = algorithms.into_iter().map(|algorithm| (algorithm, Hasher::new(algorithm))).collect();
        Self { wanted, md5: Md5::new(), others }
    }

    /// Adds the next bytes of the body: MD5 beside the others.
    pub(crate) async fn update(self, pool: HashPool, pieces: Pieces) -> Result<Self, Lost> {
        let Self { wanted, mut md5, mut others } = self;
        let bytes = length(&pieces);
        let shared = pieces.clone();
        let md5 = pool.run(bytes, move || {
            shared.iter().for_each(|piece| md5.update(piece));
            md5
        });
        if others.is_empty() {
            return Ok(Self { wanted, md5: md5.await?, others });
        }
        let others = pool.run(bytes, move || {
            for (_, hasher) in &mut others {
                pieces.iter().for_each(|piece| hasher.update(piece));
            }
            others
        });
        let (md5, others) = tokio::join!(md5, others);
        Ok(Self { wanted, md5: md5?, others: others? })
    }

    pub(crate) fn finish(self) -> Digests {
        let done: Vec<Checksum> = self.others.into_iter().map(|(_, hasher)| hasher.finish()).collect();
        let of = |algorithm| done.iter().find(|checksum| checksum.algorithm() == algorithm).copied();
        let sha256 = match of(Algorithm::Sha256) {
            Some(Checksum::Sha256(digest)) if self.wanted.sha256 => Some(digest),
            _ => None,
        };
        Digests { md5: self.md5.finalize().into(), sha256, checksum: self.wanted.checksum.and_then(of) }
    }
}

/// CRC-32C of each [`PIECE`] of the concatenation of `pieces`.
fn piece_crcs(pieces: &[Bytes]) -> Vec<u32> {
    let mut crcs = Vec::with_capacity(length(pieces).div_ceil(PIECE));
    let mut crc = Crc::new(CrcAlgorithm::Crc32Iscsi);
    let mut room = PIECE;
    for piece in pieces {
        let mut rest = piece.as_ref();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(room));
            crc.update(now);
            room -= now.len();
            rest = later;
            if room == 0 {
                crcs.push(low_half(crc.finalize()));
                crc = Crc::new(CrcAlgorithm::Crc32Iscsi);
                room = PIECE;
            }
        }
    }
    if room < PIECE {
        crcs.push(low_half(crc.finalize()));
    }
    crcs
}

/// A 32-bit CRC stands in the low half of the library's 64 bits.
fn low_half(crc: u64) -> u32 {
    u32::try_from(crc & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(parts: &[&[u8]]) -> Pieces {
        parts.iter().map(|part| Bytes::copy_from_slice(part)).collect()
    }

    #[test]
    fn crcs_do_not_depend_on_how_bytes_arrive() {
        let body: Vec<u8> = (0..PIECE * 2 + 77).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let expected: Vec<u32> = body.chunks(PIECE).map(crc_fast::crc32_iscsi).collect();
        assert_eq!(piece_crcs(&pieces(&[&body])), expected);
        let (a, b) = body.split_at(PIECE - 1);
        let (b, c) = b.split_at(2);
        assert_eq!(piece_crcs(&pieces(&[a, b, b"", c])), expected);
        assert_eq!(piece_crcs(&pieces(&[])), Vec::<u32>::new());
        assert_eq!(piece_crcs(&pieces(&[&body[..PIECE]])).len(), 1);
    }

    #[tokio::test]
    async fn digests_run_over_all_updates() {
        let pool = HashPool::new();
        let long = vec![7; INLINE + 1];
        let running = Running::new(Wanted { sha256: true, checksum: Some(Algorithm::Crc32) });
        let running = running.update(pool.clone(), pieces(&[b"ab", b"c"])).await.unwrap();
        let running = running.update(pool, pieces(&[&long])).await.unwrap();
        let whole = [b"abc".as_slice(), &long].concat();
        let done = running.finish();
        assert_eq!(done.md5, <[u8; 16]>::from(Md5::digest(&whole)));
        assert_eq!(done.sha256.map(Checksum::Sha256), Some(Hasher::of(Algorithm::Sha256, &whole)));
        assert_eq!(done.checksum, Some(Hasher::of(Algorithm::Crc32, &whole)));
    }

    #[test]
    fn one_hash_serves_two_uses() {
        let both = Running::new(Wanted { sha256: true, checksum: Some(Algorithm::Sha256) });
        assert_eq!(both.others.len(), 1);
        let done = both.finish();
        assert_eq!(done.sha256.map(Checksum::Sha256), done.checksum);
        assert_eq!(Running::new(Wanted::default()).finish().checksum, None);
    }
}
