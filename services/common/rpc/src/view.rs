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

    /// Takes a view that came with an answer, if its layout record is newer, or is the same and its revision is newer.
    /// Answers whether it did.
    pub fn offer(&self, view: ClusterView) -> bool {
        self.take(view, |new, current| (new.record.number, new.revision) > (current.record.number, current.revision))
    }

    /// Takes a view from the membership daemon this process watches, unless its layout record is older. Revisions are
    /// each daemon's own count and its views come in order, so the last one counts. Answers whether anything changed.
    pub fn adopt(&self, view: ClusterView) -> bool {
        self.take(view, |new, current| new.record.number >= current.record.number && new != current)
    }

    /// Wakes at every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.0.subscribe()
    }

    fn take(&self, view: ClusterView, wanted: impl FnOnce(&ClusterView, &ClusterView) -> bool) -> bool {
        self.0.send_if_modified(|current| {
            let wanted = wanted(&view, current);
            if wanted {
                *current = Arc::new(view);
            }
            wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use cairn_placement::{LayoutRecord, Step};
    use cairn_types::{ClusterId, Epoch, OpId};

    use super::*;

    fn view(number: u64, revision: u64) -> ClusterView {
        let record = LayoutRecord {
            number,
            epoch: Epoch(1),
            step: Step::Empty,
            layouts: vec![],
            voters: vec![],
            op: OpId::default(),
        };
        ClusterView { cluster: ClusterId::default(), record, nodes: Default::default(), revision }
    }

    #[test]
    fn records_never_go_back() {
        let cell = ViewCell::new(view(5, 50));
        assert!(!cell.offer(view(4, 99)) && !cell.offer(view(5, 49)) && !cell.offer(view(5, 50)));
        assert!(cell.offer(view(5, 51)) && cell.offer(view(6, 1)));
        // Another daemon counts its own revisions.
        assert!(!cell.adopt(view(5, 99)) && !cell.adopt(view(6, 1)));
        assert!(cell.adopt(view(6, 0)));
        assert_eq!(cell.current().revision, 0);
    }
}
