//! The view a process acts on, shared by its roles.

use std::sync::Arc;

use cairn_placement::ClusterView;
use tokio::sync::watch;

/// Holds the newest view seen; readers never wait. A layout record only ever gives way to a later one.
#[derive(Debug)]
pub struct ViewCell(watch::Sender<Arc<ClusterView>>);

impl ViewCell {
    #[must_use]
    pub fn new(view: ClusterView) -> Self {
        Self(watch::Sender::new(Arc::new(view)))
    }

    #[must_use]
    pub fn current(&self) -> Arc<ClusterView> {
        self.0.borrow().clone()
    }

    /// Takes `view` if its layout record is newer, or is the same and its revision is newer. Answers whether it did.
    pub fn offer(&self, view: ClusterView) -> bool {
        self.0.send_if_modified(|current| {
            let newer = (view.record.number, view.revision) > (current.record.number, current.revision);
            if newer {
                *current = Arc::new(view);
            }
            newer
        })
    }

    /// Wakes at every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.0.subscribe()
    }
}
