//! `cairn key`: access keys of S3 clients.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use cairn_proto::admin::v1::{ChangeKeyRequest, Expiry, ImportKeyRequest, KeptSecret, Key};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::bucket::RightsView;
use crate::client::Client;
use crate::output::{self, say};
use crate::when;

/// Access keys: what S3 clients sign their requests with.
#[derive(Subcommand, Debug)]
pub(crate) enum KeyCommand {
    /// Makes a key and prints its secret, once.
    ///
    /// A new key may do nothing yet: `cairn bucket allow` grants it rights on buckets.
    Create {
        name: String,
        /// The key may create buckets, and owns those it creates.
        #[arg(long)]
        allow_create_bucket: bool,
        /// The key stops working after this time, such as 30d or 12h [default: never].
        #[arg(long, value_name = "DURATION", value_parser = when::duration_ms)]
        expires: Option<u64>,
    },
    /// Takes over a key that another store made. The secret is read from standard input.
    Import {
        name: String,
        #[arg(long, value_name = "ID")]
        access_key: String,
        /// The key may create buckets, and owns those it creates.
        #[arg(long)]
        allow_create_bucket: bool,
        /// The key stops working after this time, such as 30d or 12h [default: never].
        #[arg(long, value_name = "DURATION", value_parser = when::duration_ms)]
        expires: Option<u64>,
    },
    /// Lists keys, without their secrets.
    List,
    /// Shows one key and its rights.
    Info {
        /// Its access key id, or a name that only one key has.
        key: String,
    },
    /// Changes what a key may do besides its grants.
    Set {
        /// Its access key id, or a name that only one key has.
        key: String,
        /// Whether the key may create buckets.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", required = true)]
        allow_create_bucket: Option<bool>,
    },
    /// Sets when a key stops working. A moment in the past stops it within two seconds.
    Expire(ExpireArgs),
    /// Gives a key a second secret, valid beside the one it has, until the rotation is ended.
    ///
    ///   cairn key rotate backup                 prints the new secret, once; both work
    ///   (give every client the new secret)
    ///   cairn key rotate backup --finish        the old secret stops working within two seconds
    ///
    /// With --overlap, the old secret stops by itself after that time.
    #[command(verbatim_doc_comment)]
    Rotate(RotateArgs),
    /// Deletes a key; requests signed with it fail within two seconds.
    Delete {
        /// Its access key id, or a name that only one key has.
        key: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct ExpireArgs {
    /// Its access key id, or a name that only one key has.
    key: String,
    #[command(flatten)]
    when: WhenArgs,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhenArgs {
    /// After this time from now, such as 30d or 12h.
    #[arg(long = "in", value_name = "DURATION", value_parser = when::duration_ms)]
    after_ms: Option<u64>,
    /// At this moment: 2027-01-31, which begins at midnight UTC, or 2027-01-31T18:00:00Z.
    #[arg(long, value_name = "MOMENT", value_parser = when::moment_ms)]
    at: Option<u64>,
    /// Not at all.
    #[arg(long)]
    never: bool,
}

impl WhenArgs {
    fn expiry(&self) -> Expiry {
        match (self.after_ms, self.at) {
            (Some(ms), _) => when::in_ms(ms),
            (None, Some(ms)) => when::at_ms(ms),
            (None, None) => when::never(),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    /// Its access key id, or a name that only one key has.
    key: String,
    /// The old secret stops working after this time, such as 7d [default: when the rotation is finished].
    #[arg(long, value_name = "DURATION", value_parser = when::duration_ms, conflicts_with_all = ["finish", "cancel"])]
    overlap: Option<u64>,
    /// Ends the rotation: the old secret stops working.
    #[arg(long, conflicts_with = "cancel")]
    finish: bool,
    /// Takes the rotation back: the new secret stops working.
    #[arg(long)]
    cancel: bool,
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
    /// Null: never.
    expires_at_ms: Option<u64>,
    /// Null: no rotation is under way.
    rotation: Option<RotationView>,
    buckets: Vec<GrantView>,
}

#[derive(Serialize)]
struct RotationView {
    /// Null: until the rotation is ended.
    previous_until_ms: Option<u64>,
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
            .map(|grant| GrantView { bucket: grant.bucket, rights: RightsView::new(grant.rights, grant.prefixes) });
        let moment = |ms: u64| (ms != 0).then_some(ms);
        Self {
            access_key: key.access_key,
            name: key.name,
            create_bucket: key.create_bucket,
            created_at_ms: key.created_at_ms,
            expires_at_ms: moment(key.expires_at_ms),
            rotation: key
                .rotation
                .map(|rotation| RotationView { previous_until_ms: moment(rotation.previous_until_ms) }),
            buckets: buckets.collect(),
        }
    }
}

pub(crate) async fn run(command: KeyCommand, client: &Client, json: bool) -> Result<()> {
    match command {
        KeyCommand::Create { name, allow_create_bucket, expires } => {
            let expiry = expires.map(when::in_ms);
            let (access_key, secret_key) = client.create_key(&name, allow_create_bucket, expiry).await?;
            show_secret(&NewKey { name: &name, access_key: &access_key, secret_key: &secret_key }, json)
        }
        KeyCommand::Import { name, access_key, allow_create_bucket, expires } => {
            let (secret_key, expiry) = (read_secret()?, expires.map(when::in_ms));
            let create_bucket = allow_create_bucket;
            let request = ImportKeyRequest { name, access_key, secret_key, create_bucket, expiry };
            show(client.import_key(request).await?.into(), json)
        }
        KeyCommand::List => list(client.list_keys().await?, json),
        KeyCommand::Info { key } => show(client.key(&key).await?.into(), json),
        KeyCommand::Set { key, allow_create_bucket } => {
            let request = ChangeKeyRequest { key, create_bucket: allow_create_bucket, expiry: None };
            show(client.change_key(request).await?.into(), json)
        }
        KeyCommand::Expire(ExpireArgs { key, when }) => {
            let request = ChangeKeyRequest { key, create_bucket: None, expiry: Some(when.expiry()) };
            show(client.change_key(request).await?.into(), json)
        }
        KeyCommand::Rotate(arguments) => rotate(arguments, client, json).await,
        KeyCommand::Delete { key } => show(client.delete_key(&key).await?.into(), json),
    }
}

async fn rotate(arguments: RotateArgs, client: &Client, json: bool) -> Result<()> {
    let RotateArgs { key, overlap, finish, cancel } = arguments;
    if finish || cancel {
        let kept = if finish { KeptSecret::New } else { KeptSecret::Previous };
        return show(client.end_key_rotation(&key, kept).await?.into(), json);
    }
    let (rotated, secret_key) = client.rotate_key(&key, overlap.unwrap_or(0)).await?;
    show_secret(&NewKey { name: &rotated.name, access_key: &rotated.access_key, secret_key: &secret_key }, json)?;
    if !json {
        match rotated.rotation.map(|rotation| rotation.previous_until_ms) {
            Some(until) if until != 0 => say!("The old secret works until {}.", when::show_ms(until)),
            _ => say!("The old secret works too, until: cairn key rotate {} --finish", rotated.access_key),
        }
    }
    Ok(())
}

fn show_secret(key: &NewKey<'_>, json: bool) -> Result<()> {
    if json {
        return output::json(key);
    }
    let NewKey { access_key, secret_key, .. } = key;
    say!("access key  {access_key}\nsecret key  {secret_key}\n\nThe secret is shown only this once.");
    Ok(())
}

/// Secrets never stand on a command line, where every process can read them.
fn read_secret() -> Result<String> {
    if std::io::stdin().is_terminal() {
        write!(std::io::stderr(), "secret key: ").ok();
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
        let (create, expires) = (if key.create_bucket { "yes" } else { "no" }, expires(&key));
        [key.access_key, key.name, create.to_owned(), expires, key.buckets.len().to_string()]
    });
    output::table(["ACCESS KEY", "NAME", "CREATES BUCKETS", "EXPIRES", "GRANTS"], rows);
    Ok(())
}

fn expires(key: &KeyView) -> String {
    key.expires_at_ms.map_or_else(|| "never".to_owned(), when::show_ms)
}

fn show(key: KeyView, json: bool) -> Result<()> {
    if json {
        return output::json(&key);
    }
    say!("access key       {}\nname             {}", key.access_key, key.name);
    say!("creates buckets  {}", if key.create_bucket { "yes" } else { "no" });
    say!("expires          {}", expires(&key));
    if let Some(rotation) = &key.rotation {
        let until = rotation.previous_until_ms.map_or_else(|| "it is finished".to_owned(), when::show_ms);
        say!("rotating         the old secret works until {until}");
    }
    say!("");
    output::table(["BUCKET", "RIGHTS"], key.buckets.into_iter().map(|grant| [grant.bucket, grant.rights.to_string()]));
    Ok(())
}
