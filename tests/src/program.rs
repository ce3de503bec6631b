//! Real client programs: found, or the test fails on CI and says how to get them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Ready;

/// A file of `tests/tests/clients`. Where that is, cargo says when a test runs: a test built from one clone may be run
/// from another that shares its target directory.
pub fn script(name: &str) -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    package.join("tests/clients").join(name)
}

/// A client program and what a person types to get it.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub name: &'static str,
    pub get: &'static str,
}

impl Program {
    /// Where it is: the environment that `./test` makes, then PATH. None, with a loud line, where it is missing on a
    /// developer's machine; on CI that is a failure.
    pub fn find(self) -> Result<Option<PathBuf>> {
        let places = std::env::var_os("CAIRN_TEST_VENV").map(|dir| PathBuf::from(dir).join("bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            places.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(self.name)).find(|p| p.is_file());
        if found.is_none() {
            let message = format!("{} is missing; get it with: {}", self.name, self.get);
            ensure!(std::env::var_os("CI").is_none(), "{message}");
            println!("SKIPPED: {message}");
        }
        Ok(found)
    }
}

/// A client with its home, its credentials and the cluster's endpoint.
#[derive(Debug)]
pub struct Client<'a> {
    pub program: PathBuf,
    pub home: &'a Path,
    pub ready: &'a Ready,
}

impl Client<'_> {
    /// Runs it; fails, with all it said, unless it succeeds.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        let output = self.output(arguments)?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{} ended with {}: {said}", self.program.display(), output.status);
        Ok(said)
    }

    pub fn output<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Output> {
        let ready = self.ready;
        let endpoint = ready.s3_endpoint.as_deref().context("no S3 endpoint")?;
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().current_dir(self.home).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home);
        command.env("AWS_ACCESS_KEY_ID", &ready.access_key).env("AWS_SECRET_ACCESS_KEY", &ready.secret_key);
        command.env("AWS_DEFAULT_REGION", &ready.region).env("AWS_ENDPOINT_URL", endpoint);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("CAIRN_BUCKET", &ready.bucket);
        command.output().with_context(|| format!("running {}", self.program.display()))
    }
}
