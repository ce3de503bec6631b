//! Makes the one binary that people run smaller in memory (at most 30 MiB idle), and free of a C++ runtime to install.
//!
//! All of it only where a program is built for the machine it is built on, x86-64 Linux, and each option only where the
//! linker takes it; elsewhere the binary is merely a little larger.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Identical code folding.
const FOLD: &str = "-Wl,--icf=all";
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if [env::var("TARGET"), env::var("HOST")].iter().any(|one| one.as_deref() != Ok(TARGET)) {
        return Ok(());
    }
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else { return Ok(()) };
    // Generated code repeats itself: functions of the same instructions become one. LLD can, and GNU's linker cannot.
    if linker_takes(FOLD, &out)? {
        println!("cargo:rustc-link-arg-bins={FOLD}");
    }
    pack_relocations();
    if let Some(library) = static_cxx_library() {
        prefer(&library, &out)?;
    }
    Ok(())
}

/// Links a program of nothing as this package will be linked, with one option more.
fn linker_takes(option: &str, out: &Path) -> std::io::Result<bool> {
    let source = out.join("nothing.rs");
    fs::write(&source, "fn main() {}\n")?;
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(["linker=".into(), linker].into_iter().collect::<OsString>());
    }
    rustc.arg("-C").arg(format!("link-arg={option}")).arg("-o").arg(out.join("nothing")).arg(source);
    Ok(rustc.output().is_ok_and(|output| output.status.success()))
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
