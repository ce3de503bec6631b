//! Writers that note what was acknowledged, for tests that then take everything away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::pattern;
use crate::s3::S3;

/// What a key may hold after everything was lost but the disks.
#[derive(Clone, Debug)]
pub struct Expected {
    pub key: String,
    /// (seed, size) of the newest acknowledged body; none: nothing was acknowledged.
    acknowledged: Option<(u64, usize)>,
    /// Sent later, and never answered.
    open: Vec<(u64, usize)>,
}

impl Expected {
    fn new(key: String) -> Self {
        Self { key, acknowledged: None, open: Vec::new() }
    }

    /// Reads the key and checks that it holds the last acknowledged body or one sent after it.
    pub async fn check(&self, s3: &mut S3, bucket: &str) -> Result<()> {
        let got = s3.get(bucket, &self.key).await?;
        if got.status == 404 {
            ensure!(self.acknowledged.is_none(), "{} was acknowledged and is gone", self.key);
            return Ok(());
        }
        let got = got.expect(200)?;
        let mut candidates = self.acknowledged.iter().chain(&self.open);
        let whole = candidates.any(|(seed, size)| *size == got.body.len() && got.body == pattern(*seed, *size));
        ensure!(whole, "{} holds {} bytes that nobody wrote since the last 200: {self:?}", self.key, got.body.len());
        Ok(())
    }

    #[must_use]
    pub const fn was_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }
}

/// Sizes that take every path: inline, one block, several blocks.
const SIZES: [usize; 6] = [0, 100, 8192, 70_000, 1 << 20, (5 << 20) / 2];

/// Writes to `cluster` from `writers` connections until it is told to stop; each writer has keys of its own and
/// rewrites each a few times.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    notes: Arc<Mutex<Vec<Expected>>>,
    tasks: JoinSet<()>,
}

impl Load {
    pub fn start(cluster: &Cluster, bucket: &str, writers: u64, round: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let notes = Arc::new(Mutex::new(Vec::new()));
        let endpoints = cluster.endpoints();
        let mut tasks = JoinSet::new();
        for writer in 0..writers {
            let at = usize::try_from(writer).unwrap_or(0) % endpoints.len();
            let mut s3 = S3::new(&endpoints[at], &cluster.ready);
            s3.patience = Duration::from_secs(10);
            let (stop, notes, bucket) = (Arc::clone(&stop), Arc::clone(&notes), bucket.to_owned());
            tasks.spawn(async move { write_until(&stop, &notes, &mut s3, &bucket, writer, round).await });
        }
        Self { stop, notes, tasks }
    }

    /// Keys that were acknowledged at least once so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.notes.lock().iter().filter(|note| note.was_acknowledged()).count()
    }

    /// Stops the writers and answers what each key may hold.
    pub async fn finish(mut self) -> Vec<Expected> {
        self.stop.store(true, Ordering::SeqCst);
        while self.tasks.join_next().await.is_some() {}
        let notes = self.notes.lock();
        notes.clone()
    }
}

async fn write_until(
    stop: &AtomicBool,
    notes: &Mutex<Vec<Expected>>,
    s3: &mut S3,
    bucket: &str,
    writer: u64,
    round: u64,
) {
    let mut name = 0;
    for count in 0_u64.. {
        let key = format!("round{round}/writer{writer}/{name}");
        let seed = (round << 40) | (writer << 32) | count;
        let size = SIZES[usize::try_from(seed.wrapping_mul(0x9e37_79b9) >> 7).unwrap_or(0) % SIZES.len()];
        let slot = note(notes, &key, |expected| expected.open.push((seed, size)));
        if stop.load(Ordering::SeqCst) {
            return;
        }
        match s3.put(bucket, &key, pattern(seed, size)).await {
            Ok(reply) if reply.status == 200 => {
                let mut notes = notes.lock();
                notes[slot].acknowledged = Some((seed, size));
                notes[slot].open.clear();
                name += u64::from(count % 3 == 2);
            }
            // Not answered, or refused: it may still happen, even after a later write, so the key is left alone.
            Ok(_) | Err(_) => {
                name += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Changes the note of `key`, made where it is missing; answers its place.
fn note(notes: &Mutex<Vec<Expected>>, key: &str, change: impl FnOnce(&mut Expected)) -> usize {
    let mut notes = notes.lock();
    let slot = notes.iter().rposition(|expected| expected.key == key).unwrap_or_else(|| {
        notes.push(Expected::new(key.to_owned()));
        notes.len() - 1
    });
    change(&mut notes[slot]);
    slot
}
