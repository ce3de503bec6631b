//! The words every other crate speaks in: ids, hashes, names, ballots and time.
//!
//! Plain data only. Nothing here does I/O, blocks or awaits; time and chance come from [`Clock`] and
//! [`Entropy`], which the edge of each process implements once.

mod ballot;
mod clock;
#[cfg(test)]
mod fuzz;
mod ids;
mod names;
mod rows;

pub use ballot::{Ballot, Epoch};
pub use clock::{Clock, Entropy, HybridClock, ManualClock, SystemClock, SystemEntropy};
pub use ids::{BlockHash, BucketId, ClusterId, IdError, ManifestId, OpId, RequestId, StoreId, UploadId};
pub use names::{BucketName, NameError, NodeName, ZoneName};
pub use rows::{PARTITION_BITS, PartitionId, RowKey, Table, UnknownTable};
