//! What recent calls say about one peer: how long it usually takes, and whether it is worth waiting for.
//!
//! - **H1** A peer that did not answer is *suspect* until it answers again; nobody waits for a suspect while others
//!   will do (`silence_makes_suspect_and_an_answer_clears`).
//! - **H2** The time to wait before asking another peer lies between [`HEDGE_MIN`] and [`HEDGE_MAX`]
//!   (`hedges_are_bounded`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Nobody hedges sooner: on a busy machine that would only add work.
pub(crate) const HEDGE_MIN: Duration = Duration::from_millis(25);
/// Nobody waits longer before asking another peer.
pub(crate) const HEDGE_MAX: Duration = Duration::from_millis(500);
/// Calls given up in a row, without an answer between them, that make a peer suspect.
const MISSES: u32 = 3;
/// Silence this long makes it suspect at once.
const SILENCE: Duration = Duration::from_secs(1);
/// A suspect is asked again, without anybody waiting, this often.
const PROBE: Duration = Duration::from_secs(1);
/// Before anything is known.
const FIRST_GUESS: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    in_flight: AtomicUsize,
}

#[derive(Debug)]
struct State {
    /// Moving average of the answers' latencies.
    usual: Duration,
    misses: u32,
    suspect: bool,
    probed: Option<Instant>,
}

impl Health {
    pub(crate) const fn new() -> Self {
        let state = State { usual: FIRST_GUESS, misses: 0, suspect: false, probed: None };
        Self { state: Mutex::new(state), in_flight: AtomicUsize::new(0) }
    }

    /// A call begins; it is in flight until the guard is dropped. Without [`Watch::answered`] or [`Watch::failed`]
    /// that counts as a miss if the peer had longer than its hedge.
    pub(crate) fn begin(self: &Arc<Self>) -> Watch {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Watch { health: self.clone(), since: Instant::now(), done: false }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn usual(&self) -> Duration {
        self.state.lock().usual
    }

    /// How long to wait for this peer before another is asked too.
    pub(crate) fn hedge(&self) -> Duration {
        self.usual().saturating_mul(4).clamp(HEDGE_MIN, HEDGE_MAX)
    }

    pub(crate) fn suspect(&self) -> bool {
        self.state.lock().suspect
    }

    /// True at most once a second while the peer is suspect: then it may be asked beside those that are waited for.
    pub(crate) fn probe_due(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock();
        let due = state.suspect && state.probed.is_none_or(|at| now.duration_since(at) >= PROBE);
        if due {
            state.probed = Some(now);
        }
        due
    }

    fn record(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        match outcome {
            Outcome::Answered(latency) => {
                state.usual = (state.usual * 7 + latency) / 8;
                state.misses = 0;
                state.suspect = false;
            }
            Outcome::Alive => {
                state.misses = 0;
                state.suspect = false;
            }
            Outcome::Failed => state.suspect = true,
            Outcome::Missed(silence) => {
                state.misses += 1;
                state.suspect |= state.misses >= MISSES || silence >= SILENCE;
            }
        }
    }
}

enum Outcome {
    /// A read answered: its latency counts.
    Answered(Duration),
    /// A write answered: its latency is the disk's and says nothing of reads.
    Alive,
    Failed,
    Missed(Duration),
}

/// One call under way.
pub(crate) struct Watch {
    health: Arc<Health>,
    since: Instant,
    done: bool,
}

impl Watch {
    /// The peer answered; `timed` where the latency is that of a read.
    pub(crate) fn answered(&mut self, timed: bool) {
        self.done = true;
        self.health.record(if timed { Outcome::Answered(self.since.elapsed()) } else { Outcome::Alive });
    }

    /// The peer could not be reached or did not answer in time.
    pub(crate) fn failed(&mut self) {
        self.done = true;
        self.health.record(Outcome::Failed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.health.in_flight.fetch_sub(1, Ordering::Relaxed);
        let silence = self.since.elapsed();
        if !self.done && silence >= self.health.hedge() {
            self.health.record(Outcome::Missed(silence));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_makes_suspect_and_an_answer_clears() {
        let health = Arc::new(Health::new());
        for _ in 0..MISSES {
            assert!(!health.suspect());
            let call = health.begin();
            tokio::time::advance(HEDGE_MAX).await;
            drop(call);
        }
        assert!(health.suspect());
        assert!(health.probe_due() && !health.probe_due());
        tokio::time::advance(PROBE).await;
        assert!(health.probe_due());
        health.begin().answered(true);
        assert!(!health.suspect() && !health.probe_due());
        let call = health.begin();
        tokio::time::advance(SILENCE).await;
        drop(call);
        assert!(health.suspect());
        assert_eq!(health.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_given_up_early_is_no_miss() {
        let health = Arc::new(Health::new());
        for _ in 0..10 {
            drop(health.begin());
        }
        assert!(!health.suspect());
    }

    #[tokio::test(start_paused = true)]
    async fn hedges_are_bounded() {
        let health = Arc::new(Health::new());
        for _ in 0..100 {
            health.begin().answered(true);
        }
        assert_eq!(health.hedge(), HEDGE_MIN);
        for _ in 0..100 {
            let mut call = health.begin();
            tokio::time::advance(Duration::from_secs(9)).await;
            call.answered(true);
        }
        assert_eq!(health.hedge(), HEDGE_MAX);
    }
}
