//! What every handler works with.

use std::sync::Arc;
use std::time::Duration;

use cairn_quorum::{Cluster, Op};
use cairn_rpc::ClusterSecret;
use cairn_s3::Addressing;
use cairn_types::{Clock, Entropy, Epoch, HybridClock, OpId, RequestId, UploadId};
use tokio_util::task::TaskTracker;

use crate::body::digest::HashPool;
use crate::budget::Budget;
use crate::config::Config;
use crate::directory::Directory;

/// The parts of a running gateway. Nothing in it outlives a request but caches.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) cluster: Cluster,
    pub(crate) secret: ClusterSecret,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) addressing: Addressing,
    /// Never repeats, so that uploads have an order.
    pub(crate) upload_times: HybridClock,
    pub(crate) budget: Budget,
    /// Copies that read and store at the same time: few, for what they read ahead is not in `budget`.
    pub(crate) copies: Budget,
    /// What readers of encrypted objects hold of opened bytes, beside the blocks in `budget`.
    pub(crate) opened: Budget,
    pub(crate) pool: HashPool,
    pub(crate) directory: Directory,
    /// Work of requests that runs beside their handlers.
    pub(crate) tasks: TaskTracker,
}

impl Core {
    /// An operation of `request` that begins now.
    pub(crate) fn begin(&self, request: RequestId) -> Op {
        Op::begin(request, self.clock.as_ref()).renewed(self.operation_timeout())
    }

    /// How long one metadata operation may take.
    pub(crate) const fn operation_timeout(&self) -> Duration {
        self.config.limits.operation_timeout.0
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.cluster.view().epoch()
    }

    /// An id for one write.
    pub(crate) fn new_op(&self) -> OpId {
        OpId::random(self.entropy.as_ref())
    }

    /// A new upload's id: 64 bits of time, so that uploads of one key list in the order they began, and 64 of chance.
    pub(crate) fn upload_id(&self, now_ms: u64) -> UploadId {
        let mut id = UploadId::random(self.entropy.as_ref());
        id.0[..8].copy_from_slice(&self.upload_times.tick(now_ms, 0).to_be_bytes());
        id
    }
}
