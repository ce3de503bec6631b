//! What goes on after its operation was answered: the sends a majority did not need, and hints.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Memory that sends still on their way may hold, in KiB.
const BUDGET_KIB: u32 = 64 * 1024;
/// How long an answered operation's send may go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs leftovers within a bound on their number, memory and time.
#[derive(Clone)]
pub(crate) struct Tail {
    tracker: TaskTracker,
    budget: Arc<Semaphore>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        let budget = Arc::new(Semaphore::new(BUDGET_KIB as usize));
        Self { tracker: TaskTracker::new(), budget }
    }

    /// Lets `rest` go on while it holds `kib` of memory; gives it back where the budget is spent. What is dropped then
    /// is repaired like any other loss.
    pub(crate) fn finish<F: Future<Output = ()> + Send + 'static>(&self, kib: u32, rest: F) -> Result<(), F> {
        let Ok(permit) = self.budget.clone().try_acquire_many_owned(kib.clamp(1, BUDGET_KIB)) else {
            return Err(rest);
        };
        self.tracker.spawn(async move {
            if tokio::time::timeout(PATIENCE, rest).await.is_err() {
                tracing::debug!("a replica did not take what its peers have");
            }
            drop(permit);
        });
        Ok(())
    }

    /// Runs one short housekeeping task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Waits until nothing is left, or `patience` is over.
    pub(crate) async fn drain(&self, patience: Duration) {
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            tracing::debug!("background sends were cut short by the shutdown");
        }
        self.tracker.reopen();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leftovers_are_bounded_in_memory_and_time() {
        let tail = Tail::new();
        assert!(tail.finish(BUDGET_KIB, std::future::pending()).is_ok());
        assert!(tail.finish(1, std::future::ready(())).is_err(), "the budget is spent");
        tail.drain(PATIENCE * 2).await;
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        assert!(tail.finish(1, async move { sender.send(()).unwrap() }).is_ok(), "free again after the patience");
        assert!(receiver.await.is_ok());
    }
}
