//! `cairn bucket`: buckets, and who may do what in them.

use std::fmt;

use anyhow::{Result, ensure};
use cairn_daemon::Size;
use cairn_proto::admin::v1::{AllowBucketRequest, Bucket, BucketQuota, DenyBucketRequest, PrefixRights, Rights};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::output::{self, say};

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
    ///
    /// With --prefix, only on the keys that begin so: the key may then list, read or write those, and nothing else.
    ///
    ///   cairn bucket allow photos --key laptop --read --write
    ///   cairn bucket allow photos --key camera --write --prefix incoming/
    ///
    /// Every gateway goes by it within two seconds.
    #[command(verbatim_doc_comment)]
    Allow(GrantArgs),
    /// Takes rights on a bucket from a key.
    ///
    /// Without --prefix, wherever the key has them; with it, those granted with the same prefix. Every gateway goes by
    /// it within two seconds.
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
    #[arg(long, conflicts_with = "prefixes")]
    owner: bool,
    /// Only on keys that begin so; may be given several times.
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
}

impl GrantArgs {
    fn rights(&self) -> Result<Rights> {
        ensure!(self.read || self.write || self.owner, "say which rights: --read, --write, --owner");
        Ok(Rights { read: self.read, write: self.write, owner: self.owner })
    }
}

/// Rights on a whole bucket, and on keys with prefixes on top of them.
#[derive(Serialize)]
pub(crate) struct RightsView {
    #[serde(flatten)]
    whole: WholeView,
    prefixes: Vec<PrefixView>,
}

#[derive(Serialize)]
struct WholeView {
    read: bool,
    write: bool,
    owner: bool,
}

#[derive(Serialize)]
struct PrefixView {
    prefix: String,
    read: bool,
    write: bool,
}

impl RightsView {
    pub(crate) fn new(whole: Option<Rights>, prefixes: Vec<PrefixRights>) -> Self {
        let whole = whole.unwrap_or_default();
        let prefixes = prefixes.into_iter().map(|within| {
            let rights = within.rights.unwrap_or_default();
            PrefixView { prefix: within.prefix, read: rights.read, write: rights.write }
        });
        Self {
            whole: WholeView { read: whole.read, write: whole.write, owner: whole.owner },
            prefixes: prefixes.collect(),
        }
    }
}

impl fmt::Display for RightsView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = [(self.whole.read, "read"), (self.whole.write, "write"), (self.whole.owner, "owner")];
        let mut said: Vec<String> =
            whole.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect();
        for within in &self.prefixes {
            let rights = [(within.read, "read"), (within.write, "write")];
            let held: Vec<&str> = rights.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
            said.push(format!("{}:{}", held.join("+"), within.prefix));
        }
        f.write_str(&said.join(" "))
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
            rights: RightsView::new(grant.rights, grant.prefixes),
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
            say!("deleted {name}");
            Ok(())
        }
        BucketCommand::Allow(grant) => {
            let rights = Some(grant.rights()?);
            let GrantArgs { bucket, key, prefixes, .. } = grant;
            show(client.allow(AllowBucketRequest { bucket, key, rights, prefixes }).await?.into(), json)
        }
        BucketCommand::Deny(grant) => {
            let rights = Some(grant.rights()?);
            let GrantArgs { bucket, key, prefixes, .. } = grant;
            show(client.deny(DenyBucketRequest { bucket, key, rights, prefixes }).await?.into(), json)
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
    say!("bucket   {}\nid       {}", bucket.name, bucket.bucket_id);
    if !bucket.aliases.is_empty() {
        say!("aliases  {}", bucket.aliases.join(" "));
    }
    let of = |max: Option<String>| max.map(|max| format!(" of {max}")).unwrap_or_default();
    say!("objects  {}{}", bucket.objects, of(bucket.max_objects.map(|max| max.to_string())));
    say!("size     {}{}\n", output::bytes(bucket.bytes), of(bucket.max_bytes.map(output::bytes)));
    let rows = bucket.grants.into_iter().map(|grant| [grant.access_key, grant.key_name, grant.rights.to_string()]);
    output::table(["ACCESS KEY", "NAME", "RIGHTS"], rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_read_well() {
        let read = Rights { read: true, ..Rights::default() };
        let both = Rights { write: true, ..read };
        let within = |prefix: &str, rights| PrefixRights { prefix: prefix.to_owned(), rights: Some(rights) };
        let view = RightsView::new(Some(read), vec![within("in/", both), within("out/", read)]);
        assert_eq!(view.to_string(), "read read+write:in/ read:out/");
        assert_eq!(RightsView::new(None, vec![]).to_string(), "");
    }
}
