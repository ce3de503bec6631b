//! Compiles the protos with protox: no protoc to install.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 6] = [
    "cairn/common/v1/common.proto",
    "cairn/membership/v1/membership_service.proto",
    "cairn/table/v1/table_service.proto",
    "cairn/block/v1/block_service.proto",
    "cairn/admin/v1/admin_service.proto",
    "cairn/model/v1/rows.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=cairn");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
