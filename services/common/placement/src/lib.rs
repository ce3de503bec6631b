//! Which nodes own a key: layouts, assignments and the cluster's view, as pure functions of plain data.

mod assign;
mod layout;
mod view;

pub use assign::{AssignError, RingRequest, assign};
pub use layout::{Layout, LayoutError, Member, Ring, RingKind};
pub use view::{ClusterView, LayoutRecord, NodeInfo, NodeStatus, Quorums, ReplicaSet, Role, Step, Voter};
