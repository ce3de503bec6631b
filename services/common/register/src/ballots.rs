//! Where fresh ballots come from.

use cairn_types::{Ballot, Epoch, HybridClock};

use crate::replica::FUTURE_MS;

/// One per process, shared by all its coordinators: ballots it makes are unique and rise.
#[derive(Debug)]
pub struct Proposer {
    id: u64,
    clock: HybridClock,
}

impl Proposer {
    /// `id` is random per process start (§1).
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id, clock: HybridClock::new() }
    }

    /// A ballot of `epoch` above `above`. None where `above` is of a later epoch, or further ahead of `now_ms` than
    /// replicas allow (A2): such a ballot would be refused, and would drag this process's clock along.
    #[must_use]
    pub fn fresh(&self, now_ms: u64, epoch: Epoch, above: Ballot) -> Option<Ballot> {
        if above.epoch > epoch.0 || above.millis() > now_ms.saturating_add(FUTURE_MS) {
            return None;
        }
        Some(Ballot { epoch: epoch.0, time: self.clock.tick(now_ms, above.time), proposer: self.id })
    }
}

/// What a coordinator may know of the world when something happens.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// This machine's clock, in milliseconds since 1970.
    pub ms: u64,
    pub proposer: &'a Proposer,
}

impl Now<'_> {
    /// A2, the coordinator's half: whether `ballot` is further ahead than replicas allow.
    pub(crate) fn is_future(&self, ballot: Ballot) -> bool {
        ballot.millis() > self.ms.saturating_add(FUTURE_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ballots_rise_and_stay_in_their_epoch() {
        let proposer = Proposer::new(9);
        let first = proposer.fresh(1_000, Epoch(2), Ballot::ZERO).unwrap();
        let second = proposer.fresh(1_000, Epoch(2), first).unwrap();
        let third = proposer.fresh(900, Epoch(3), second).unwrap();
        assert!(first < second && second < third);
        assert_eq!((third.epoch, third.proposer), (3, 9));
        assert_eq!(proposer.fresh(1_000, Epoch(2), third), None, "the epoch is behind what was seen");
    }

    #[test]
    fn a_ballot_from_the_future_does_not_drag_the_clock_along() {
        let proposer = Proposer::new(9);
        let future = Ballot { epoch: 1, time: (1_000 + FUTURE_MS + 1) << 16, proposer: 1 };
        assert_eq!(proposer.fresh(1_000, Epoch(1), future), None);
        let fresh = proposer.fresh(1_000, Epoch(1), Ballot::ZERO).unwrap();
        assert_eq!(fresh.millis(), 1_000);
    }
}
