//! `cairn bucket`: buckets, and who may do what in them.

use std::fmt;

use anyhow::{Result, ensure};
use cairn_daemon::Size;
use cairn_proto::admin::v1::{Bucket, BucketQuota, Rights};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::output;

/// Buckets, and who may do what in them.
#[derive(Subcommand, Debug)]
pub(crate) enum BucketCommand {
    /// Makes a bucket.
    Create {
        name: String,
        /// The key that will own it.
        #[arg(long, value_name = "KEY")]
        owner: Option<String>,
    },
    /// Lists buckets.
    List,
    /// Shows one bucket, its usage and its grants.
    Info { name: String },
    /// Deletes an empty bucket.
    Delete { name: String },
    /// Grants a key rights on a bucket, on top of those it has.
    Allow(GrantArgs),
    /// Takes rights on a bucket from a key.
    Deny(GrantArgs),
    /// Further names of a bucket, for S3 and for web sites.
    #[command(subcommand)]
    Alias(AliasCommand),
    /// Sets what a bucket may hold at most; what is not named has no bound.
    Quota(QuotaArgs),
}

#[derive(Args, Debug)]
pub(crate) struct QuotaArgs {
    bucket: String,
    /// Bytes of all its objects together, like 10GiB.
    #[arg(long)]
    size: Option<Size>,
    /// Objects.
    #[arg(long)]
    objects: Option<u64>,
    /// No quota.
    #[arg(long, conflicts_with_all = ["size", "objects"])]
    none: bool,
}

impl QuotaArgs {
    fn quota(&self) -> Result<BucketQuota> {
        let quota = BucketQuota { max_bytes: self.size.map(Size::bytes), max_objects: self.objects };
        let said = quota.max_bytes.is_some() || quota.max_objects.is_some();
        ensure!(said || self.none, "say what the bucket may hold: --size, --objects, or --none");
        Ok(quota)
    }
}

/// Further names of a bucket, for S3 and for web sites.
#[derive(Subcommand, Debug)]
pub(crate) enum AliasCommand {
    /// Gives a bucket a further name: one that keeps the rules for bucket names, such as www.example.org.
    Add { bucket: String, alias: String },
    /// Frees a further name of a bucket.
    Remove { bucket: String, alias: String },
    /// Lists the further names of a bucket.
    List { bucket: String },
}

#[derive(Args, Debug)]
pub(crate) struct GrantArgs {
    bucket: String,
    /// An access key id, or a name that only one key has.
    #[arg(long)]
    key: String,
    /// List the bucket and read its objects.
    #[arg(long)]
    read: bool,
    /// Write and delete its objects.
    #[arg(long)]
    write: bool,
    /// Change its settings and delete it.
    #[arg(long)]
    owner: bool,
}

impl GrantArgs {
    fn rights(&self) -> Result<Rights> {
        ensure!(self.read || self.write || self.owner, "say which rights: --read, --write, --owner");
        Ok(Rights { read: self.read, write: self.write, owner: self.owner })
    }
}

#[derive(Serialize)]
pub(crate) struct RightsView {
    read: bool,
    write: bool,
    owner: bool,
}

impl From<Rights> for RightsView {
    fn from(rights: Rights) -> Self {
        Self { read: rights.read, write: rights.write, owner: rights.owner }
    }
}

impl fmt::Display for RightsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.read, "read"), (self.write, "write"), (self.owner, "owner")];
        let held: Vec<&str> = all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
        f.write_str(&held.join(" "))
    }
}

#[derive(Serialize)]
struct BucketView {
    name: String,
    bucket_id: String,
    created_at_ms: u64,
    objects: u64,
    bytes: u64,
    max_objects: Option<u64>,
    max_bytes: Option<u64>,
    aliases: Vec<String>,
    grants: Vec<GrantView>,
}

#[derive(Serialize)]
struct GrantView {
    access_key: String,
    key_name: String,
    #[serde(flatten)]
    rights: RightsView,
}

impl From<Bucket> for BucketView {
    fn from(bucket: Bucket) -> Self {
        let grants = bucket.grants.into_iter().map(|grant| GrantView {
            access_key: grant.access_key,
            key_name: grant.key_name,
            rights: grant.rights.unwrap_or_default().into(),
        });
        Self {
            name: bucket.name,
            bucket_id: hex::encode(&bucket.bucket_id),
            created_at_ms: bucket.created_at_ms,
            objects: bucket.objects,
            bytes: bucket.bytes,
            max_objects: bucket.quota.and_then(|quota| quota.max_objects),
            max_bytes: bucket.quota.and_then(|quota| quota.max_bytes),
            aliases: bucket.aliases,
            grants: grants.collect(),
        }
    }
}

pub(crate) async fn run(command: BucketCommand, client: &Client, json: bool) -> Result<()> {
    match command {
        BucketCommand::Create { name, owner } => {
            show(client.create_bucket(&name, owner.as_deref().unwrap_or_default()).await?.into(), json)
        }
        BucketCommand::List => list(client.list_buckets().await?, json),
        BucketCommand::Info { name } => show(client.bucket(&name).await?.into(), json),
        BucketCommand::Delete { name } => {
            client.delete_bucket(&name).await?;
            if json {
                return output::json(&serde_json::json!({ "deleted": name }));
            }
            println!("deleted {name}");
            Ok(())
        }
        BucketCommand::Allow(grant) => {
            show(client.allow(&grant.bucket, &grant.key, grant.rights()?).await?.into(), json)
        }
        BucketCommand::Quota(arguments) => {
            show(client.set_quota(&arguments.bucket, arguments.quota()?).await?.into(), json)
        }
        BucketCommand::Alias(AliasCommand::Add { bucket, alias }) => {
            show_aliases(client.add_alias(&bucket, &alias).await?, json)
        }
        BucketCommand::Alias(AliasCommand::Remove { bucket, alias }) => {
            show_aliases(client.remove_alias(&bucket, &alias).await?, json)
        }
        BucketCommand::Alias(AliasCommand::List { bucket }) => show_aliases(client.bucket(&bucket).await?, json),
        BucketCommand::Deny(grant) => show(client.deny(&grant.bucket, &grant.key, grant.rights()?).await?.into(), json),
    }
}

fn list(buckets: Vec<Bucket>, json: bool) -> Result<()> {
    let views: Vec<BucketView> = buckets.into_iter().map(BucketView::from).collect();
    if json {
        return output::json(&views);
    }
    let rows = views.into_iter().map(|bucket| {
        [bucket.name, bucket.objects.to_string(), output::bytes(bucket.bytes), bucket.grants.len().to_string()]
    });
    output::table(["BUCKET", "OBJECTS", "SIZE", "KEYS"], rows);
    Ok(())
}

fn show_aliases(bucket: Bucket, json: bool) -> Result<()> {
    if json {
        return output::json(&bucket.aliases);
    }
    let Bucket { name, aliases, .. } = bucket;
    output::table(["ALIAS", "BUCKET"], aliases.into_iter().map(|alias| [alias, name.clone()]));
    Ok(())
}

fn show(bucket: BucketView, json: bool) -> Result<()> {
    if json {
        return output::json(&bucket);
    }
    println!("bucket   {}\nid       {}", bucket.name, bucket.bucket_id);
    if !bucket.aliases.is_empty() {
        println!("aliases  {}", bucket.aliases.join(" "));
    }
    let of = |max: Option<String>| max.map(|max| format!(" of {max}")).unwrap_or_default();
    println!("objects  {}{}", bucket.objects, of(bucket.max_objects.map(|max| max.to_string())));
    println!("size     {}{}\n", output::bytes(bucket.bytes), of(bucket.max_bytes.map(output::bytes)));
    let rows = bucket.grants.into_iter().map(|grant| [grant.access_key, grant.key_name, grant.rights.to_string()]);
    output::table(["ACCESS KEY", "NAME", "RIGHTS"], rows);
    Ok(())
}
