//! DeleteObject and DeleteObjects.

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::keys;
use cairn_quorum::OpError;
use cairn_s3::ErrorCode;
use cairn_s3::answer::{Deleted, DeletedObjects};
use cairn_s3::conditions::WriteConditions;
use cairn_s3::operation::{DeleteObject, DeleteObjects};
use cairn_s3::xml::read::{self, DeleteEntry};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::StatusCode;

use super::{check_version, write_if};
use crate::exchange::{Answer, Exchange, bare, xml};
use crate::failure::Failure;
use crate::payload::Payload;

/// Keys of one DeleteObjects with a condition that are deleted at a time.
const IN_FLIGHT: usize = 32;
/// Keys without one that travel together, and how many such batches do at a time.
const BATCH: usize = 64;
const BATCHES: usize = 4;

pub(crate) async fn delete(x: &Exchange, delete: DeleteObject) -> Answer {
    check_version(delete.version.as_ref())?;
    remove(x, delete.object.key.as_bytes(), &delete.conditions).await?;
    Ok(bare(StatusCode::NO_CONTENT))
}

/// Deleting what is not there is done already, and is written all the same: somebody may be writing it.
async fn remove(x: &Exchange, key: &[u8], conditions: &WriteConditions) -> Result<(), Failure> {
    if !conditions.is_empty() {
        return write_if(x, key, x.core.new_op(), conditions, None).await;
    }
    let op = x.op();
    x.core.cluster.write(&op, keys::object(x.bucket_id()?, key), x.core.new_op(), None).await?;
    Ok(())
}

pub(crate) async fn delete_many(x: &Exchange, _: DeleteObjects, body: &mut Payload<'_>) -> Answer {
    let document = body.read_all(read::MAX_DELETE_BYTES).await?;
    let request = read::delete(&document)?;
    // What needs a look of its own: a condition, a version, a key out of the principal's reach.
    let plain = |entry: &DeleteEntry| {
        entry.if_match.is_none()
            && check_version(entry.version.as_ref()).is_ok()
            && x.granted.may_write(entry.key.as_bytes())
    };
    let together: Vec<&DeleteEntry> = request.entries.iter().filter(|entry| plain(entry)).collect();
    let mut together = delete_together(x, &together).await?.into_iter();
    let others: Vec<_> =
        request.entries.iter().filter(|entry| !plain(entry)).map(|entry| delete_entry(x, entry)).collect();
    let mut others = stream::iter(others).buffered(IN_FLIGHT);

    let mut entries = Vec::with_capacity(request.entries.len());
    for entry in &request.entries {
        let result = if plain(entry) { together.next() } else { others.next().await };
        let result = match result.unwrap_or_else(|| Err(Failure::internal("a deletion was lost"))) {
            Ok(()) => Ok(()),
            // The bucket is gone for all keys: the whole request fails.
            Err(failure) if failure.bucket_gone => return Err(failure),
            Err(failure) => Err(failure.error),
        };
        let version = entry.version.as_ref().map(|version| version.as_str().to_owned());
        entries.push(Deleted { key: entry.key.as_str().to_owned(), version, result });
    }
    Ok(xml(DeletedObjects { entries, quiet: request.quiet }.to_xml()))
}

/// Unconditional deletions in few calls: keys of one bucket travel together.
async fn delete_together(x: &Exchange, entries: &[&DeleteEntry]) -> Result<Vec<Result<(), Failure>>, Failure> {
    let bucket = x.bucket_id()?;
    // Of a key named twice, one deletion is enough.
    let keys: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.key.as_bytes()).collect();
    let writes: Vec<_> = keys.iter().map(|key| (keys::object(bucket, key), x.core.new_op(), None)).collect();
    let batches: Vec<_> = writes.chunks(BATCH).map(<[_]>::to_vec).collect();
    let op = x.op();
    let calls: Vec<_> = batches.into_iter().map(|batch| x.core.cluster.write_many(&op, batch)).collect();
    let written: Vec<_> = stream::iter(calls).buffered(BATCHES).try_collect().await?;
    let outcomes: BTreeMap<&[u8], Result<(), OpError>> =
        keys.into_iter().zip(written.into_iter().flatten().map(|outcome| outcome.map(drop))).collect();
    let outcome = |entry: &&DeleteEntry| match outcomes.get(entry.key.as_bytes()) {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(error.clone().into()),
        None => Err(Failure::internal("a deletion was lost")),
    };
    Ok(entries.iter().map(outcome).collect())
}

async fn delete_entry(x: &Exchange, entry: &DeleteEntry) -> Result<(), Failure> {
    if !x.granted.may_write(entry.key.as_bytes()) {
        return Err(ErrorCode::AccessDenied.into());
    }
    check_version(entry.version.as_ref())?;
    let conditions = WriteConditions { if_match: entry.if_match.clone(), if_absent: false };
    remove(x, entry.key.as_bytes(), &conditions).await
}
