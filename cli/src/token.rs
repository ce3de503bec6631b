//! `cairn token`: lets a machine join.

use anyhow::Result;
use clap::Subcommand;

use crate::client::Client;
use crate::output::{self, say};

/// Tokens with which machines join the cluster.
#[derive(Subcommand, Debug)]
pub(crate) enum TokenCommand {
    /// Prints a token for one machine: `cairn server --join-file FILE --zone ZONE` there. Valid once, for an hour.
    Join,
}

pub(crate) async fn run(command: TokenCommand, client: &Client, json: bool) -> Result<()> {
    let TokenCommand::Join = command;
    let token = client.create_join_token().await?;
    if json {
        return output::json(&serde_json::json!({ "token": token }));
    }
    say!("{token}");
    Ok(())
}
