//! What operations cost on the wire: rounds, which are waited for, and the calls they are made of.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the process began; all of it only grows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Times that calls to table replicas were sent out together: a round trip of an operation on rows, or a hedge.
    pub table_rounds: u64,
    /// Calls to table replicas, this process's own among them.
    pub table_calls: u64,
    /// Calls that carried nothing but commit hints; nobody waits for them.
    pub hint_calls: u64,
    /// Times that calls to block replicas were sent out together.
    pub block_rounds: u64,
    /// Calls to block replicas, this process's own among them.
    pub block_calls: u64,
}

/// Counts [`Traffic`].
#[derive(Default)]
pub(crate) struct Counters {
    table_rounds: AtomicU64,
    table_calls: AtomicU64,
    hint_calls: AtomicU64,
    block_rounds: AtomicU64,
    block_calls: AtomicU64,
}

impl Counters {
    /// `calls` to table replicas are sent together; nothing is counted where there are none.
    pub(crate) fn table_round(&self, calls: usize) {
        count(&self.table_rounds, &self.table_calls, calls);
    }

    pub(crate) fn block_round(&self, calls: usize) {
        count(&self.block_rounds, &self.block_calls, calls);
    }

    pub(crate) fn hints(&self) {
        self.hint_calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            table_rounds: read(&self.table_rounds),
            table_calls: read(&self.table_calls),
            hint_calls: read(&self.hint_calls),
            block_rounds: read(&self.block_rounds),
            block_calls: read(&self.block_calls),
        }
    }
}

fn count(rounds: &AtomicU64, all: &AtomicU64, calls: usize) {
    if calls > 0 {
        rounds.fetch_add(1, Ordering::Relaxed);
        all.fetch_add(calls as u64, Ordering::Relaxed);
    }
}
