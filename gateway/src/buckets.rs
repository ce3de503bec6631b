//! Buckets: created by a race for the name, deleted through the gate (DESIGN §5).
//!
//! - **N1** A name belongs to the bucket whose id its row holds; who writes it first has it. The bucket's own row is
//!   written before the name and deleted before it, so that a name never leads to a half-made bucket.
//!   *Tested by `tests/s3/buckets.rs`.*
//! - **N2** A bucket's rows are deleted only after its gate is sealed, which is final and proves it empty.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::Envelope;
use cairn_model::keys;
use cairn_model::rows::{BucketNameRow, BucketRow, GateRow, Grant, Quota, Rights, Settings, TypedRow as _};
use cairn_quorum::{Op, Sealing, UpdateError};
use cairn_s3::answer::{BucketEntry, BucketList, location_constraint};
use cairn_s3::operation::ListBuckets;
use cairn_s3::xml::read;
use cairn_s3::{ErrorCode, S3Error, token};
use cairn_types::{BucketId, BucketName, Table};
use http::StatusCode;
use http::header::LOCATION;

use crate::core::Core;
use crate::directory::{Bucket, read_row, small_row};
use crate::exchange::{Answer, Exchange, bare, set, xml};
use crate::failure::Failure;
use crate::payload::Payload;
use crate::rows::all_rows;

pub(crate) async fn create(x: &Exchange, name: BucketName, body: &mut Payload<'_>) -> Answer {
    let document = body.read_all(read::MAX_CONFIGURATION_BYTES).await?;
    let region = x.core.config.region.as_str();
    if let Some(location) = read::create_bucket(&document)?
        && location != region
    {
        return Err(S3Error::with_message(
            ErrorCode::InvalidLocationConstraint,
            format!("This cluster's region is {region}."),
        )
        .field("LocationConstraint", location)
        .into());
    }
    let me = x.granted.principal.0.id.as_str();
    match x.core.create_bucket(&x.op(), &name, me).await? {
        Created::New(_) => {
            let mut response = bare(StatusCode::OK);
            set(response.headers_mut(), LOCATION, &format!("/{name}"));
            Ok(response)
        }
        Created::Taken(bucket) if bucket.is_owner(me) => Err(ErrorCode::BucketAlreadyOwnedByYou.into()),
        Created::Taken(_) => Err(ErrorCode::BucketAlreadyExists.into()),
    }
}

pub(crate) async fn delete(x: &Exchange) -> Answer {
    x.core.delete_bucket(&x.op(), x.granted.bucket()?).await?;
    Ok(bare(StatusCode::NO_CONTENT))
}

pub(crate) fn location(x: &Exchange) -> Answer {
    Ok(xml(location_constraint(&x.core.config.region)))
}

/// The buckets the key may do anything with.
pub(crate) async fn list(x: &Exchange, list: ListBuckets) -> Answer {
    let me = x.granted.principal.0.id.as_str();
    let after = list.continuation_token.as_deref().map(token::decode).transpose()?;
    let wanted = usize::from(list.max_buckets);
    let elsewhere = list.bucket_region.as_ref().is_some_and(|region| *region != x.core.config.region);
    let prefix = list.prefix.clone().unwrap_or_default();
    let mut found: Vec<BucketEntry> = x
        .core
        .list_buckets(&x.op())
        .await?
        .into_iter()
        .filter(|bucket| !elsewhere && bucket.grant(me).is_some())
        .map(|bucket| BucketEntry {
            name: bucket.name.to_string(),
            created_unix_ms: bucket.row.created_at_ms,
            region: Some(x.core.config.region.clone()),
        })
        .filter(|entry| entry.name.starts_with(&prefix) && after.as_ref().is_none_or(|after| entry.name > *after))
        .take(wanted + 1)
        .collect();
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next_token = found.last().filter(|_| more).map(|last| token::encode(&last.name));
    let list = BucketList { owner: x.owner(), buckets: found, prefix: list.prefix, next_token };
    Ok(xml(list.to_xml()))
}

/// What became of a creation.
pub(crate) enum Created {
    New(Bucket),
    /// The name has been somebody's before.
    Taken(Bucket),
}

impl Core {
    /// Races for `name`. `owner`: the access key that gets all rights; empty: nobody.
    pub(crate) async fn create_bucket(&self, op: &Op, name: &BucketName, owner: &str) -> Result<Created, Failure> {
        let id = BucketId::random(self.entropy.as_ref());
        let grants = (!owner.is_empty()).then(|| (owner.to_owned(), Grant::whole(Rights::ALL))).into_iter().collect();
        let row = BucketRow {
            name: name.to_string(),
            created_at_ms: self.clock.now_ms(),
            owner: owner.to_owned(),
            grants,
            settings: Settings::default(),
            quota: Quota::default(),
            aliases: BTreeSet::new(),
        };
        loop {
            if let Some(bucket) = self.directory.current_bucket(&self.cluster, op, name).await? {
                return Ok(Created::Taken(bucket.as_ref().clone()));
            }
            // Nobody is there; a name that leads to a deleted bucket is free.
            let dangling = read_row::<BucketNameRow>(&self.cluster, op, keys::bucket_name(name)).await?;
            self.cluster.write(op, keys::bucket(id), self.new_op(), Some(small_row(&row))).await?;
            let expected = dangling.map(|row| row.bucket);
            let taken = self.swap_name(op, name, expected, Some(id)).await;
            self.directory.forget_name(name);
            match taken {
                Ok(true) => return Ok(Created::New(Bucket { id, name: name.clone(), row })),
                Ok(false) => drop(self.cluster.write(op, keys::bucket(id), self.new_op(), None).await?),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Seals the gate of an empty bucket and removes its rows.
    ///
    /// # Errors
    /// `BucketNotEmpty`.
    pub(crate) async fn delete_bucket(&self, op: &Op, bucket: &Bucket) -> Result<(), Failure> {
        match self.cluster.seal_gate(op, keys::shard(bucket.id, 0)).await? {
            Sealing::NotEmpty => Err(ErrorCode::BucketNotEmpty.into()),
            Sealing::Sealed => self.remove_rows(op, bucket).await,
        }
    }

    /// Whoever meets a sealed gate finishes the deletion that sealed it. True: the bucket is gone.
    pub(crate) async fn finish_deletion(&self, op: &Op, bucket: &Bucket) -> Result<bool, Failure> {
        self.directory.forget_bucket(bucket);
        match read_row::<GateRow>(&self.cluster, op, keys::gate(bucket.id, 0)).await? {
            Some(GateRow::Sealed) => {}
            Some(GateRow::Open(_) | GateRow::Closing(_)) | None => return Ok(false),
        }
        self.remove_rows(op, bucket).await?;
        Ok(true)
    }

    /// The bucket's own row first: every name that leads to it is free from then on (D2), whatever becomes of its row.
    async fn remove_rows(&self, op: &Op, bucket: &Bucket) -> Result<(), Failure> {
        let newest = read_row::<BucketRow>(&self.cluster, op, keys::bucket(bucket.id)).await?;
        let BucketRow { name: own, aliases, .. } = newest.unwrap_or_else(|| bucket.row.clone());
        self.cluster.write(op, keys::bucket(bucket.id), self.new_op(), None).await?;
        let names: BTreeSet<String> = aliases.into_iter().chain([own, bucket.name.to_string()]).collect();
        for name in names.iter().filter_map(|name| name.parse().ok()) {
            // Another bucket may have the name already.
            self.swap_name(op, &name, Some(bucket.id), None).await?;
            self.directory.forget_name(&name);
        }
        self.directory.forget_bucket(bucket);
        Ok(())
    }

    /// Sets whose a name is, if it is `expected`'s. False: it is not.
    pub(crate) async fn swap_name(
        &self,
        op: &Op,
        name: &BucketName,
        expected: Option<BucketId>,
        new: Option<BucketId>,
    ) -> Result<bool, Failure> {
        let envelope = new.map(|bucket| small_row(&BucketNameRow { bucket }));
        let change = |current: Option<&Envelope>| {
            let holder = current.map(|row| BucketNameRow::decode(&row.value)).transpose().ok().flatten();
            let holder = holder.map(|row| row.bucket);
            if current.is_some() == holder.is_some() && holder == expected { Ok(envelope.clone()) } else { Err(()) }
        };
        match self.cluster.update(op, keys::bucket_name(name), self.new_op(), change).await {
            Ok(_) => Ok(true),
            Err(UpdateError::Refused(())) => Ok(false),
            Err(UpdateError::Failed(error)) => Err(error.into()),
        }
    }

    /// All buckets in the order of their names, each once.
    pub(crate) async fn list_buckets(&self, op: &Op) -> Result<Vec<Bucket>, Failure> {
        let names = all_rows::<BucketNameRow>(self, op, Table::BucketName).await?;
        let mut rows: BTreeMap<Vec<u8>, BucketRow> =
            all_rows::<BucketRow>(self, op, Table::Bucket).await?.into_iter().collect();
        let bucket = |(name, held): (Vec<u8>, BucketNameRow)| {
            let name: BucketName = std::str::from_utf8(&name).ok()?.parse().ok()?;
            let id = held.bucket.as_bytes().as_slice();
            // Under an alias it would be the same bucket again.
            let own = rows.get(id).is_some_and(|row| row.name == name.as_str());
            let row = own.then(|| rows.remove(id)).flatten()?;
            Some(Bucket { id: held.bucket, name, row })
        };
        Ok(names.into_iter().filter_map(bucket).collect())
    }
}
