//! The thread that owns the durable state.
//!
//! - **K1** Changes happen one after the other; what a change answers is told only after it is synced, and changes that
//!   wait together share one sync (`answers_follow_the_disk`).
//! - **K2** After a failed write nothing is answered any more: nobody knows what the disk holds
//!   (`a_failed_write_ends_everything`).

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;

use crate::disk::{Disk, Saved};

/// Changes that wait for the disk; a caller waits for room.
const QUEUE: usize = 256;

/// A change; it answers what tells its caller.
type Change = Box<dyn FnOnce(&mut Saved) -> Box<dyn FnOnce() + Send> + Send>;

enum Job {
    Change(Change),
    Stop,
}

/// The state could not be written, or the daemon ends: nothing more can be promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the membership state cannot be written")]
pub(crate) struct Closed;

/// A handle on the thread, which ends with the last handle or when told to.
#[derive(Clone)]
pub(crate) struct Keeper {
    jobs: mpsc::Sender<Job>,
    saved: watch::Receiver<Arc<Saved>>,
}

impl Keeper {
    /// Takes over `disk`. The receiver resolves once the thread has ended and the disk is free: true, in order; false,
    /// after a failed write.
    pub(crate) fn start(disk: Disk) -> std::io::Result<(Self, oneshot::Receiver<bool>)> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (publish, saved) = watch::channel(Arc::new(disk.saved().clone()));
        let (ended, end) = oneshot::channel();
        thread::Builder::new().name("membership-state".to_owned()).spawn(move || {
            let orderly = keep(&disk, queue, &publish);
            drop(disk);
            // Nobody may be waiting for the end.
            ended.send(orderly).ok();
        })?;
        Ok((Self { jobs, saved }, end))
    }

    /// Applies `change`; answers when its effect is durable. If the caller goes away, the change happens all the same.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Saved) -> T + Send + 'static,
    ) -> Result<T, Closed> {
        let (tell, told) = oneshot::channel();
        let change: Change = Box::new(move |saved| {
            let answer = change(saved);
            // The caller may have gone.
            Box::new(move || drop(tell.send(answer)))
        });
        self.jobs.send(Job::Change(change)).await.map_err(|_| Closed)?;
        told.await.map_err(|_| Closed)
    }

    /// Ends the thread once it has done what waits; later changes answer [`Closed`].
    pub(crate) async fn stop(&self) {
        // It may have ended already.
        self.jobs.send(Job::Stop).await.ok();
    }

    /// The durable state.
    pub(crate) fn saved(&self) -> Arc<Saved> {
        self.saved.borrow().clone()
    }

    /// Wakes at every change of it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Saved>> {
        self.saved.clone()
    }
}

/// Runs until it is told to stop or all handles are gone (true), or a write fails (false).
fn keep(disk: &Disk, mut queue: mpsc::Receiver<Job>, publish: &watch::Sender<Arc<Saved>>) -> bool {
    let mut stop = false;
    while !stop && let Some(first) = queue.blocking_recv() {
        let mut saved = Saved::clone(&publish.borrow());
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                Job::Change(change) => answers.push(change(&mut saved)),
                Job::Stop => stop = true,
            }
            if !stop && answers.len() < QUEUE {
                next = queue.try_recv().ok();
            }
        }
        if saved != **publish.borrow() {
            if let Err(source) = disk.save(&saved) {
                error!(error = %source, "cannot write the membership state; this daemon must end");
                return false;
            }
            publish.send_replace(Arc::new(saved));
        }
        for answer in answers {
            answer();
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use cairn_types::StoreId;

    use super::*;
    use crate::disk::Issued;

    const ISSUED: Issued = Issued { expires_ms: 1, used: false };

    #[tokio::test]
    async fn answers_follow_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::create(directory.path(), StoreId([1; 16]), false).unwrap();
        let (keeper, end) = Keeper::start(disk).unwrap();
        let tokens = keeper.change(|saved| saved.tokens.insert([1; 16], ISSUED)).await;
        assert_eq!(tokens, Ok(None));
        assert_eq!(keeper.saved().tokens.len(), 1);
        let both = tokio::join!(
            keeper.change(|saved| saved.tokens.insert([2; 16], ISSUED)),
            keeper.change(|saved| saved.tokens.len()),
        );
        assert_eq!(both, (Ok(None), Ok(2)));
        keeper.stop().await;
        assert_eq!(end.await, Ok(true));
        assert_eq!(keeper.change(|saved| saved.tokens.len()).await, Err(Closed));
        assert_eq!(Disk::open(directory.path()).unwrap().saved().tokens.len(), 2);
    }

    #[tokio::test]
    async fn a_failed_write_ends_everything() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::create(&directory.path().join("state"), StoreId([1; 16]), false).unwrap();
        let (keeper, end) = Keeper::start(disk).unwrap();
        std::fs::remove_dir_all(directory.path().join("state")).unwrap();
        assert_eq!(keeper.change(|saved| saved.tokens.insert([1; 16], ISSUED)).await, Err(Closed));
        assert_eq!(end.await, Ok(false));
        assert_eq!(keeper.change(|saved| saved.tokens.len()).await, Err(Closed));
    }
}
