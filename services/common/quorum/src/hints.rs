//! Commit hints (REGISTER A7), kept back until a call to the same peer can carry them.

use std::time::Duration;

use cairn_model::Envelope;
use cairn_register::Message;
use cairn_types::{Ballot, RowKey};
use parking_lot::Mutex;

/// Hints one peer's queue holds; more are forgotten, for they are only hints.
const QUEUE: usize = 256;
/// How long a hint waits for a call to travel with.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_millis(75);

/// Hints for one peer, oldest first.
#[derive(Default)]
pub(crate) struct Hints(Mutex<Vec<(RowKey, Ballot)>>);

impl Hints {
    pub(crate) fn push(&self, key: RowKey, chosen: Ballot) {
        let mut queue = self.0.lock();
        if queue.len() < QUEUE {
            queue.push((key, chosen));
        }
    }

    /// Takes all hints, as messages of a batch.
    pub(crate) fn take(&self) -> Vec<(RowKey, Message<Envelope>)> {
        let taken = std::mem::take(&mut *self.0.lock());
        taken.into_iter().map(|(key, ballot)| (key, Message::Commit { ballot })).collect()
    }
}

#[cfg(test)]
mod tests {
    use cairn_types::Table;

    use super::*;

    #[test]
    fn the_queue_is_bounded() {
        let hints = Hints::default();
        let key = RowKey { table: Table::Object, partition_key: "p".into(), sort_key: "k".into() };
        for time in 1..2000 {
            hints.push(key.clone(), Ballot { epoch: 1, time, proposer: 1 });
        }
        assert_eq!(hints.take().len(), QUEUE);
        assert!(hints.take().is_empty());
    }
}
