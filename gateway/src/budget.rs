//! The memory that bodies may hold, process-wide (S3.md §1.5).
//!
//! - **G1** A body buffer is filled only after its bytes were reserved here, and gives them back when its last byte
//!   is let go. *Tested by `a_reservation_waits_for_room`.*
//! - **G2** Whoever holds a reservation can finish without asking for more, so reservations never deadlock: a block
//!   is reserved whole before its first byte is taken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Reservations are counted in units of this many bytes.
const UNIT: usize = 4096;

/// A cap on bytes in flight. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    room: Arc<Semaphore>,
    units: u32,
    patience: Duration,
}

/// Bytes set aside; given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// There was no room for as long as one waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes are in flight")]
pub(crate) struct Exhausted;

impl Budget {
    /// `patience`: how long a reservation waits for room.
    pub(crate) fn new(bytes: usize, patience: Duration) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX >> 3))), units, patience }
    }

    /// A cap on a number of things, each reserved as one byte.
    pub(crate) fn of_units(count: usize, patience: Duration) -> Self {
        Self::new(count.saturating_mul(UNIT), patience)
    }

    /// Waits for room, in order of arrival. Cancel safe.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        let permit = self.room.clone().acquire_many_owned(units);
        match tokio::time::timeout(self.patience, permit).await {
            Ok(Ok(permit)) => Ok(Reservation(permit)),
            Ok(Err(_)) | Err(_) => Err(Exhausted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reservation_waits_for_room() {
        let budget = Budget::new(8 * UNIT, Duration::from_secs(1));
        let held = budget.reserve(8 * UNIT).await.unwrap();
        assert_eq!(budget.reserve(1).await.unwrap_err(), Exhausted);
        drop(held);
        let one = Budget::of_units(1, Duration::from_secs(1));
        let held = one.reserve(1).await.unwrap();
        assert!(one.reserve(1).await.is_err());
        drop(held);
        let whole = budget.reserve(usize::MAX).await;
        assert!(whole.is_ok(), "one that is larger than the budget gets all of it");
    }
}
