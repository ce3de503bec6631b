//! The build script asks the linker for what it can do, and for nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

use std::path::Path;
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn rustc() -> Command {
    Command::new(option_env!("RUSTC").unwrap_or("rustc"))
}

/// What the build script says where programs are linked with these flags.
fn said(script: &Path, dir: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(script);
    command.env("TARGET", TARGET).env("HOST", TARGET).env("OUT_DIR", dir).env_remove("RUSTC_LINKER");
    let output = command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn functions_are_folded_only_by_linkers_that_can() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("build");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let built = rustc().args(["--edition", "2024", "-o"]).arg(&script).arg(source).status().unwrap();
    assert!(built.success());
    // GNU's linker knows no folding.
    let gnu = said(&script, dir.path(), &["-Clinker-features=-lld", "-Clink-arg=-fuse-ld=bfd"]);
    assert!(!gnu.contains("--icf"), "{gnu}");
    assert!(gnu.contains("rerun-if-changed"), "the script ran: {gnu}");
    let none = said(&script, dir.path(), &["-Clinker=/nonexistent"]);
    assert!(!none.contains("--icf"), "{none}");
    // Rust's own is LLD where it lies in the sysroot.
    let sysroot = String::from_utf8(rustc().args(["--print", "sysroot"]).output().unwrap().stdout).unwrap();
    let lld = Path::new(sysroot.trim()).join(format!("lib/rustlib/{TARGET}/bin/gcc-ld/ld.lld"));
    assert_eq!(said(&script, dir.path(), &[]).contains("--icf=all"), lld.exists(), "{}", lld.display());
}
