//! Ballots and epochs (REGISTER §1).

use std::fmt;

/// The number of a layout step; it rises by one with every step of a layout change (REGISTER §10).
/// Epoch 0 is "no layout yet"; on the wire it also means "yours", for reads only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A proposal number, compared as (epoch, time, proposer).
///
/// `time` is a reading of a [`crate::HybridClock`]: 48 bits of milliseconds since 1970 above a 16-bit counter.
/// `proposer` is random per process start. [`Ballot::ZERO`] means "none" and is below every ballot made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Ballot {
    pub epoch: u32,
    pub time: u64,
    pub proposer: u64,
}

impl Ballot {
    pub const ZERO: Ballot = Ballot { epoch: 0, time: 0, proposer: 0 };

    /// The floor of a replica that joined its partition in `epoch` (REGISTER T6).
    #[must_use]
    pub const fn joined(epoch: Epoch) -> Self {
        Ballot { epoch: epoch.0, time: 0, proposer: 0 }
    }

    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.epoch == 0 && self.time == 0 && self.proposer == 0
    }

    /// The wall-clock part of `time`, in milliseconds since 1970.
    #[must_use]
    pub const fn millis(&self) -> u64 {
        self.time >> 16
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}.{:x}", self.epoch, self.time, self.proposer)
    }
}
