//! Makes the one binary that people run smaller in memory (at most 30 MiB idle): its relocations, a megabyte that every
//! process reads at its start, are packed where the C library knows the packed form. Only with LLD, which is Rust's own
//! linker on x86-64 Linux.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target != "x86_64-unknown-linux-gnu" || std::env::var("HOST").as_deref() != Ok(&target) {
        return;
    }
    if glibc() >= Some((2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Version of the C library here, which is where the binary runs: `cairn` is built on the machine, or in an image.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
