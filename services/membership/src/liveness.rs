//! Whether a node is alive: a phi-accrual detector (Hayashibara et al., 2004) over the times between its signs of life.
//!
//! Nothing that matters depends on it: it decides what people are shown, whom a default choice of voters takes, and
//! nothing else.

use std::time::Duration;

use tokio::time::Instant;

/// Suspicion above which a node counts as dead: a living one is this late once in 10^8 signs.
const THRESHOLD: f64 = 8.0;
/// What is expected before anything was measured: a sign a second.
const FIRST_MEAN_MS: f64 = 1000.0;
/// Signs are never taken to be more regular than this.
const LEAST_DEVIATION_MS: f64 = 400.0;
/// Weight of the newest interval.
const WEIGHT: f64 = 1.0 / 16.0;
/// An interval counts as at most this long, so that one long silence does not make the detector patient.
const LONGEST_MS: f64 = 5000.0;

/// When a node's signs of life arrived: the last one, and mean and variance of the intervals, older ones fading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrivals {
    last: Instant,
    mean_ms: f64,
    variance: f64,
}

impl Arrivals {
    pub(crate) const fn first(now: Instant) -> Self {
        Self { last: now, mean_ms: FIRST_MEAN_MS, variance: LEAST_DEVIATION_MS * LEAST_DEVIATION_MS }
    }

    pub(crate) fn sign(&mut self, now: Instant) {
        let interval_ms = (millis(now - self.last)).min(LONGEST_MS);
        let off = interval_ms - self.mean_ms;
        self.mean_ms += WEIGHT * off;
        self.variance = (1.0 - WEIGHT) * (self.variance + WEIGHT * off * off);
        self.last = now;
    }

    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.phi(now) < THRESHOLD
    }

    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now - self.last
    }

    /// -log10 of the probability that a living node is silent for so long, under a normal distribution of intervals
    /// (its tail by the logistic approximation).
    fn phi(&self, now: Instant) -> f64 {
        // Signs that come together through a slow relay would make the mean too small to be fair.
        let mean = self.mean_ms.max(FIRST_MEAN_MS);
        let deviation = self.variance.sqrt().max(LEAST_DEVIATION_MS);
        let y = (millis(self.silence(now)) - mean) / deviation;
        let e = (-y * 0.070_566f64.mul_add(y * y, 1.5976)).exp();
        let later = e / (1.0 + e);
        -later.max(f64::MIN_POSITIVE).log10()
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn regular_signs_are_life_and_silence_is_death() {
        let start = Instant::now();
        let mut arrivals = Arrivals::first(start);
        for second in 1..60 {
            assert!(arrivals.is_alive(after(start, second * 1000)), "before sign {second}");
            arrivals.sign(after(start, second * 1000));
        }
        assert!(arrivals.is_alive(after(start, 61_500)));
        assert!(!arrivals.is_alive(after(start, 65_000)));
    }

    #[test]
    fn suspicion_grows_with_silence() {
        let start = Instant::now();
        let arrivals = Arrivals::first(start);
        let mut before = -1.0;
        for second in 0..30 {
            let phi = arrivals.phi(after(start, second * 1000));
            assert!(phi.is_finite() && phi >= before, "{phi} after {before}");
            before = phi;
        }
    }

    #[test]
    fn irregular_signs_are_waited_for_longer() {
        let start = Instant::now();
        let (mut regular, mut irregular) = (Arrivals::first(start), Arrivals::first(start));
        for step in 1..50 {
            regular.sign(after(start, step * 1000));
            irregular.sign(after(start, step * 1000 + (step % 2) * 2500));
        }
        let late = after(start, 53_500);
        assert!(!regular.is_alive(late) && irregular.is_alive(late));
    }

    #[test]
    fn one_long_silence_does_not_make_it_patient() {
        let start = Instant::now();
        let mut arrivals = Arrivals::first(start);
        arrivals.sign(after(start, 3_600_000));
        assert!(!arrivals.is_alive(after(start, 3_600_000 + 15_000)));
    }
}
