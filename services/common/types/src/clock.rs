//! Time and chance, passed in. `SystemTime::now` is called here and nowhere else.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngCore;

/// Wall-clock time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC.
    fn now_ms(&self) -> u64;
}

/// The machine's clock.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that tests turn by hand.
#[derive(Default, Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    #[must_use]
    pub const fn at(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms))
    }

    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    pub fn advance(&self, by_ms: u64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Chance: ids, jitter, proposer numbers.
pub trait Entropy: Debug + Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);

    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The thread's cryptographically secure generator, seeded by the system.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// A hybrid clock (Kulkarni et al., 2014): 48 bits of milliseconds above a 16-bit counter.
///
/// Every reading is above all earlier readings and all times it has observed, so a ballot's time is never
/// reused inside a process.
#[derive(Default, Debug)]
pub struct HybridClock(AtomicU64);

impl HybridClock {
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A reading above every earlier one and above `at_least`.
    pub fn tick(&self, now_ms: u64, at_least: u64) -> u64 {
        let wall = now_ms << 16;
        let mut last = self.0.load(Ordering::SeqCst);
        loop {
            let next = wall.max(last.saturating_add(1)).max(at_least.saturating_add(1));
            match self.0.compare_exchange(last, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return next,
                Err(current) => last = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_clock_never_repeats_and_never_falls() {
        let clock = HybridClock::new();
        let first = clock.tick(5, 0);
        let second = clock.tick(5, 0);
        let third = clock.tick(4, 0);
        let above = clock.tick(4, 9 << 16);
        assert!(first < second && second < third && third < above);
        assert!(above > 9 << 16);
    }
}
