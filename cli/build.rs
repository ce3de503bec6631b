//! Makes the one binary that people run smaller in memory (at most 30 MiB idle), and free of a C++ runtime to install.
//!
//! All of it only where a program is built for the machine it is built on, x86-64 Linux, where LLD is Rust's own linker;
//! elsewhere the binary is merely a little larger.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if [env::var("TARGET"), env::var("HOST")].iter().any(|one| one.as_deref() != Ok(TARGET)) {
        return Ok(());
    }
    // Generated code repeats itself: functions of the same instructions become one.
    println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    pack_relocations();
    if let (Some(library), Some(out)) = (static_cxx_library(), env::var_os("OUT_DIR")) {
        prefer(&library, Path::new(&out))?;
    }
    Ok(())
}

/// A megabyte of relocations, which every process reads at its start, shrinks to nothing where the C library knows the
/// packed form.
fn pack_relocations() {
    let version = output("getconf", "GNU_LIBC_VERSION");
    let known = version.as_deref().and_then(|text| {
        let (major, minor) = text.strip_prefix("glibc ")?.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    if known >= Some((2, 36)) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// RocksDB needs a part of the C++ library: from the archive only that part is taken.
fn static_cxx_library() -> Option<PathBuf> {
    let path = PathBuf::from(output("cc", "-print-file-name=libstdc++.a")?);
    path.is_absolute().then_some(path)
}

/// Has the linker find `library` before the shared one of its name.
fn prefer(library: &Path, out: &Path) -> std::io::Result<()> {
    let link = out.join("libstdc++.a");
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    symlink(library, link)?;
    println!("cargo:rustc-link-search=native={}", out.display());
    Ok(())
}

/// What a command with one argument prints; none where it fails.
fn output(command: &str, argument: &str) -> Option<String> {
    let output = Command::new(command).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
