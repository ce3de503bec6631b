//! The wire: messages and services of `cairn.<service>.v1`, generated from the `.proto` files beside this crate.
//!
//! No logic lives here. Domain types meet these messages in `cairn-model` and in each daemon's `grpc.rs`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; the comments are in the .proto files"
)]

/// All files above as one `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub mod common {
    pub mod v1 {
        tonic::include_proto!("cairn.common.v1");
    }
}
pub mod membership {
    pub mod v1 {
        tonic::include_proto!("cairn.membership.v1");
    }
}
pub mod table {
    pub mod v1 {
        tonic::include_proto!("cairn.table.v1");
    }
}
pub mod block {
    pub mod v1 {
        tonic::include_proto!("cairn.block.v1");
    }
}
pub mod admin {
    pub mod v1 {
        tonic::include_proto!("cairn.admin.v1");
    }
}
pub mod model {
    pub mod v1 {
        tonic::include_proto!("cairn.model.v1");
    }
}
