//! A bound on how fast work goes: so that it is spread over time, and others get their turn.

use std::time::Duration;

use tokio::time::Instant;

/// Lets so many units a second pass.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u32,
    /// When what has passed so far was due.
    free_at: Instant,
}

impl Pace {
    /// At least one unit a second passes.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), free_at: Instant::now() }
    }

    /// Waits as long as `units` take that were done just now. A rest before them is not saved up.
    pub(crate) async fn spend(&mut self, units: usize) {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let takes = Duration::from_secs_f64(f64::from(units) / f64::from(self.per_second));
        self.free_at = self.free_at.max(Instant::now()) + takes;
        tokio::time::sleep_until(self.free_at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_spread_over_time() {
        let began = Instant::now();
        let mut pace = Pace::new(100);
        for _ in 0..5 {
            pace.spend(50).await;
        }
        pace.spend(0).await;
        assert_eq!(began.elapsed().as_millis(), 2500);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let rested = Instant::now();
        pace.spend(100).await;
        assert_eq!(rested.elapsed().as_secs(), 1, "a rest is not saved up");
    }
}
