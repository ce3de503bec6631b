//! Who may call what: one table, asked before any handler; a method without a row is refused (SECURITY V1, V6).

use crate::PeerIdentity;

/// What a method asks of its caller's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Daemons of the cluster.
    Daemon,
    /// Operators alone.
    Admin,
    /// Both.
    DaemonOrAdmin,
    /// A machine that wants to join.
    Join,
}

impl Right {
    fn allows(self, peer: &PeerIdentity) -> bool {
        use crate::PeerRole::{Admin, Join};
        match self {
            Right::Daemon => peer.is_daemon(),
            Right::Admin => peer.has_role(Admin),
            Right::DaemonOrAdmin => peer.is_daemon() || peer.has_role(Admin),
            Right::Join => peer.has_role(Join),
        }
    }
}

/// Every method a daemon serves. Health and reflection say nothing that a daemon or an operator may not know.
pub const RIGHTS: &[(&str, Right)] = &[
    ("/cairn.table.v1.TableService/Session", Right::Daemon),
    ("/cairn.table.v1.TableService/Register", Right::Daemon),
    ("/cairn.table.v1.TableService/Range", Right::DaemonOrAdmin),
    ("/cairn.table.v1.TableService/RecountUsage", Right::Daemon),
    ("/cairn.table.v1.TableService/Info", Right::DaemonOrAdmin),
    ("/cairn.block.v1.BlockService/Session", Right::Daemon),
    ("/cairn.block.v1.BlockService/PutBlock", Right::Daemon),
    ("/cairn.block.v1.BlockService/GetBlock", Right::DaemonOrAdmin),
    ("/cairn.block.v1.BlockService/AddReferences", Right::Daemon),
    ("/cairn.block.v1.BlockService/DropReferences", Right::Daemon),
    ("/cairn.block.v1.BlockService/StatBlocks", Right::DaemonOrAdmin),
    ("/cairn.block.v1.BlockService/ListReferences", Right::DaemonOrAdmin),
    ("/cairn.block.v1.BlockService/Info", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/Watch", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/Exchange", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/GetView", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/CreateJoinToken", Right::Admin),
    ("/cairn.membership.v1.MembershipService/Join", Right::Join),
    ("/cairn.membership.v1.MembershipService/GetLayout", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/StageLayout", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/RevertLayout", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/PreviewLayout", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/ApplyLayout", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/Vote", Right::DaemonOrAdmin),
    ("/cairn.membership.v1.MembershipService/Info", Right::DaemonOrAdmin),
    ("/cairn.admin.v1.AdminService/GetStatus", Right::Admin),
    ("/cairn.admin.v1.AdminService/CreateKey", Right::Admin),
    ("/cairn.admin.v1.AdminService/ImportKey", Right::Admin),
    ("/cairn.admin.v1.AdminService/ListKeys", Right::Admin),
    ("/cairn.admin.v1.AdminService/GetKey", Right::Admin),
    ("/cairn.admin.v1.AdminService/DeleteKey", Right::Admin),
    ("/cairn.admin.v1.AdminService/ChangeKey", Right::Admin),
    ("/cairn.admin.v1.AdminService/RotateKey", Right::Admin),
    ("/cairn.admin.v1.AdminService/EndKeyRotation", Right::Admin),
    ("/cairn.admin.v1.AdminService/CreateBucket", Right::Admin),
    ("/cairn.admin.v1.AdminService/ListBuckets", Right::Admin),
    ("/cairn.admin.v1.AdminService/GetBucket", Right::Admin),
    ("/cairn.admin.v1.AdminService/DeleteBucket", Right::Admin),
    ("/cairn.admin.v1.AdminService/AllowBucket", Right::Admin),
    ("/cairn.admin.v1.AdminService/DenyBucket", Right::Admin),
    ("/cairn.admin.v1.AdminService/AddBucketAlias", Right::Admin),
    ("/cairn.admin.v1.AdminService/RemoveBucketAlias", Right::Admin),
    ("/cairn.admin.v1.AdminService/ListWorkers", Right::Admin),
    ("/cairn.admin.v1.AdminService/SetBucketQuota", Right::Admin),
    ("/cairn.admin.v1.AdminService/RepairUsage", Right::Admin),
    ("/grpc.health.v1.Health/Check", Right::DaemonOrAdmin),
    ("/grpc.health.v1.Health/List", Right::DaemonOrAdmin),
    ("/grpc.health.v1.Health/Watch", Right::DaemonOrAdmin),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Right::DaemonOrAdmin),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Right::DaemonOrAdmin),
];

/// Methods whose answers never end by themselves: a server that stops ends them. Sessions end on their own.
const ENDLESS: &[&str] = &[
    "/cairn.membership.v1.MembershipService/Watch",
    "/cairn.membership.v1.MembershipService/Exchange",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether the answer of the method at `path` must be ended when the server stops.
pub(crate) fn is_endless(path: &str) -> bool {
    ENDLESS.contains(&path)
}

/// Whether `peer` may call the method at `path`.
pub(crate) fn allows(peer: &PeerIdentity, path: &str) -> bool {
    RIGHTS.iter().find(|(known, _)| *known == path).is_some_and(|(_, right)| right.allows(peer))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Paths of all methods in our protos.
    fn methods() -> Vec<String> {
        let files = FileDescriptorSet::decode(cairn_proto::DESCRIPTORS).unwrap().file;
        let mut paths = vec![];
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }

    #[test]
    fn every_method_has_one_row_and_every_row_a_method() {
        for path in methods() {
            assert_eq!(RIGHTS.iter().filter(|(known, _)| *known == path).count(), 1, "{path}");
        }
        for (path, _) in RIGHTS.iter().filter(|(path, _)| path.starts_with("/cairn.")) {
            assert!(methods().contains(&(*path).to_owned()), "{path}");
        }
    }

    #[test]
    fn endless_methods_exist() {
        assert!(ENDLESS.iter().all(|path| RIGHTS.iter().any(|(known, _)| known == path)));
    }

    #[test]
    fn operators_never_write_to_tables_and_blocks() {
        for write in [
            "/cairn.table.v1.TableService/Session",
            "/cairn.table.v1.TableService/Register",
            "/cairn.table.v1.TableService/RecountUsage",
            "/cairn.block.v1.BlockService/Session",
            "/cairn.block.v1.BlockService/PutBlock",
            "/cairn.block.v1.BlockService/AddReferences",
            "/cairn.block.v1.BlockService/DropReferences",
        ] {
            assert!(RIGHTS.contains(&(write, Right::Daemon)), "{write}");
        }
    }
}
