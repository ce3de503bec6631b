//! `cairn key`: access keys of S3 clients.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, Result, ensure};
use cairn_proto::admin::v1::{ImportKeyRequest, Key};
use clap::Subcommand;
use serde::Serialize;

use crate::bucket::RightsView;
use crate::client::Client;
use crate::output;

/// Access keys: what S3 clients sign their requests with.
#[derive(Subcommand, Debug)]
pub(crate) enum KeyCommand {
    /// Makes a key and prints its secret, once.
    Create {
        name: String,
        /// The key may create buckets, and owns those it creates.
        #[arg(long)]
        allow_create_bucket: bool,
    },
    /// Takes over a key that another store made. The secret is read from standard input.
    Import {
        name: String,
        #[arg(long, value_name = "ID")]
        access_key: String,
        /// The key may create buckets, and owns those it creates.
        #[arg(long)]
        allow_create_bucket: bool,
    },
    /// Lists keys, without their secrets.
    List,
    /// Shows one key and its rights.
    Info {
        /// Its access key id, or a name that only one key has.
        key: String,
    },
    /// Deletes a key; requests signed with it fail within two seconds.
    Delete {
        /// Its access key id, or a name that only one key has.
        key: String,
    },
}

#[derive(Serialize)]
struct NewKey<'a> {
    name: &'a str,
    access_key: &'a str,
    secret_key: &'a str,
}

#[derive(Serialize)]
struct KeyView {
    access_key: String,
    name: String,
    create_bucket: bool,
    created_at_ms: u64,
    buckets: Vec<GrantView>,
}

#[derive(Serialize)]
struct GrantView {
    bucket: String,
    #[serde(flatten)]
    rights: RightsView,
}

impl From<Key> for KeyView {
    fn from(key: Key) -> Self {
        let buckets = key
            .grants
            .into_iter()
            .map(|grant| GrantView { bucket: grant.bucket, rights: grant.rights.unwrap_or_default().into() });
        Self {
            access_key: key.access_key,
            name: key.name,
            create_bucket: key.create_bucket,
            created_at_ms: key.created_at_ms,
            buckets: buckets.collect(),
        }
    }
}

pub(crate) async fn run(command: KeyCommand, client: &Client, json: bool) -> Result<()> {
    match command {
        KeyCommand::Create { name, allow_create_bucket } => {
            let (access_key, secret_key) = client.create_key(&name, allow_create_bucket).await?;
            if json {
                return output::json(&NewKey { name: &name, access_key: &access_key, secret_key: &secret_key });
            }
            println!("access key  {access_key}\nsecret key  {secret_key}\n\nThe secret is shown only this once.");
            Ok(())
        }
        KeyCommand::Import { name, access_key, allow_create_bucket } => {
            let secret_key = read_secret()?;
            let request = ImportKeyRequest { name, access_key, secret_key, create_bucket: allow_create_bucket };
            show(client.import_key(request).await?.into(), json)
        }
        KeyCommand::List => list(client.list_keys().await?, json),
        KeyCommand::Info { key } => show(client.key(&key).await?.into(), json),
        KeyCommand::Delete { key } => show(client.delete_key(&key).await?.into(), json),
    }
}

/// Secrets never stand on a command line, where every process can read them.
fn read_secret() -> Result<String> {
    if std::io::stdin().is_terminal() {
        eprint!("secret key: ");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("reading the secret key from standard input")?;
    let secret = line.trim().to_owned();
    ensure!(!secret.is_empty(), "no secret key on standard input");
    Ok(secret)
}

fn list(keys: Vec<Key>, json: bool) -> Result<()> {
    let views: Vec<KeyView> = keys.into_iter().map(KeyView::from).collect();
    if json {
        return output::json(&views);
    }
    let rows = views.into_iter().map(|key| {
        let create = if key.create_bucket { "yes" } else { "no" };
        [key.access_key, key.name, create.to_owned(), key.buckets.len().to_string()]
    });
    output::table(["ACCESS KEY", "NAME", "CREATES BUCKETS", "GRANTS"], rows);
    Ok(())
}

fn show(key: KeyView, json: bool) -> Result<()> {
    if json {
        return output::json(&key);
    }
    println!("access key       {}\nname             {}", key.access_key, key.name);
    println!("creates buckets  {}\n", if key.create_bucket { "yes" } else { "no" });
    output::table(["BUCKET", "RIGHTS"], key.buckets.into_iter().map(|grant| [grant.bucket, grant.rights.to_string()]));
    Ok(())
}
