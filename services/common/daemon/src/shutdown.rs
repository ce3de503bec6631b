//! An orderly end: everything that runs hears of it, and is waited for within a grace period.

use std::future::Future;
use std::io::{self, Read as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tracing::info;

/// Exit status after a second signal, as shells count it for SIGINT.
const IMPATIENT: i32 = 130;

/// Handed to whatever runs: when to stop, and where tasks are kept. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    failure: Arc<OnceLock<String>>,
}

impl Shutdown {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins at SIGTERM or SIGINT; a second one ends the process at once. Inside a runtime only.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = shutdown.token();
        // Not among the tracked tasks: it waits for ever.
        drop(tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if token.is_cancelled() {
                    std::process::exit(IMPATIENT);
                }
                info!(signal = name, "stopping");
                token.cancel();
            }
        }));
        Ok(shutdown)
    }

    /// Begins when standard input ends: a child dies with the parent that holds its other end, however that dies.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn begin_at_end_of_stdin(&self) -> io::Result<()> {
        let token = self.token();
        // A thread and not a task: a blocked read would hold up the end of the runtime.
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            let mut byte = [0; 64];
            let mut stdin = io::stdin().lock();
            loop {
                match stdin.read(&mut byte) {
                    Ok(0) => break,
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                    Ok(_) | Err(_) => {}
                }
            }
            info!("standard input ended: stopping with the parent");
            token.cancel();
        })?;
        Ok(())
    }

    /// Tells everybody to stop. Can be said more than once.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Tells everybody to stop because this process must not go on; the first reason is kept.
    pub fn fail(&self, why: String) {
        drop(self.failure.set(why));
        self.begin();
    }

    /// Why the process must not go on.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves when it begins. Cancel safe.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// A token for code that takes one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs `task` until it ends by itself; it should end soon after [`Self::begun`].
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.tasks.spawn(task));
    }

    /// Begins, and waits for all tasks. False: some were still running after `grace`.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.begin();
        self.tasks.close();
        tokio::time::timeout(grace, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finish_waits_for_tasks_but_not_for_ever() {
        let shutdown = Shutdown::new();
        let inner = shutdown.clone();
        shutdown.spawn(async move { inner.begun().await });
        assert!(shutdown.finish(Duration::from_secs(10)).await);

        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending());
        assert!(!shutdown.finish(Duration::from_millis(20)).await);
    }
}
