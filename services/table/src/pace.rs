//! Whether reads that miss RocksDB's cache come from the page cache (microseconds) or from the disk itself.
//!
//! While they are fast, one is done on the async thread: handing it to another thread costs more than the read. After a
//! slow one the others go to threads for a while, so that the async thread waits for a disk ten times a second at most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A read that took longer came from a disk.
const SLOW: Duration = Duration::from_micros(100);
/// How long a slow read is remembered.
const REMEMBERED: Duration = Duration::from_millis(100);

/// Remembers the last slow read.
pub(crate) struct Pace {
    started: Instant,
    /// Microseconds after `started` until which reads count as slow.
    slow_until: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { started: Instant::now(), slow_until: AtomicU64::new(0) }
    }
}

impl Pace {
    pub(crate) fn is_fast(&self) -> bool {
        micros(self.started.elapsed()) >= self.slow_until.load(Ordering::Relaxed)
    }

    /// Does `read`, and remembers whether it was slow.
    pub(crate) fn time<T>(&self, read: impl FnOnce() -> T) -> T {
        let begun = self.started.elapsed();
        let outcome = read();
        let ended = self.started.elapsed();
        if ended.saturating_sub(begun) > SLOW {
            self.slow_until.store(micros(ended + REMEMBERED), Ordering::Relaxed);
        }
        outcome
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_read_is_remembered_for_a_while() {
        let pace = Pace::default();
        assert!(pace.is_fast());
        let slow = || {
            let begun = Instant::now();
            while begun.elapsed() <= SLOW {}
        };
        pace.time(slow);
        let ended = Instant::now();
        assert!(!pace.is_fast() || ended.elapsed() > REMEMBERED);
        while !pace.is_fast() {
            assert!(ended.elapsed() < Duration::from_secs(20), "remembered for ever");
            std::thread::yield_now();
        }
    }
}
