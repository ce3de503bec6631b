//! `cairn tls`: certificates for other programs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cairn_rpc::ClusterSecret;
use clap::Subcommand;

use crate::locate::Location;
use crate::output::{self, say};

/// The cluster's certificates.
#[derive(Subcommand, Debug)]
pub(crate) enum TlsCommand {
    /// Writes ca.pem, client.pem and client.key, so that grpcurl and others can call the daemons as an administrator.
    Export {
        /// Made if it is missing.
        dir: PathBuf,
    },
}

pub(crate) fn run(command: TlsCommand, location: &Location, json: bool) -> Result<()> {
    let TlsCommand::Export { dir } = command;
    let secret = ClusterSecret::load(&location.secret_file)?;
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    cairn_rpc::export_client(&secret, &dir).with_context(|| format!("writing certificates to {}", dir.display()))?;
    let files = ["ca.pem", "client.pem", "client.key"].map(|name| dir.join(name));
    if json {
        return output::json(&serde_json::json!({ "ca": files[0], "certificate": files[1], "key": files[2] }));
    }
    say!(
        "grpcurl -cacert {} -cert {} -key {} -servername cairn.internal HOST:PORT list",
        files[0].display(),
        files[1].display(),
        files[2].display()
    );
    Ok(())
}
