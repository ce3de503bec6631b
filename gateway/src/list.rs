//! ListObjects, both versions, and ListObjectVersions: one walk over the bucket's index.
//!
//! - **L1** Names are shown in the byte order of their UTF-8, keys and common prefixes mixed; a page ends after
//!   `max-keys` of them and the next one begins right behind. *Tested by `pages_join_without_gaps`.*

use bytes::{Bytes, BytesMut};
use cairn_model::keys;
use cairn_model::rows::{ObjectHead, TypedRow as _};
use cairn_quorum::ListRequest;
use cairn_s3::answer::{ListingV1, ListingV2, ObjectEntry, Owner, VersionListing};
use cairn_s3::operation::{ListObjectVersions, ListObjects, ListObjectsV2};
use cairn_s3::token;
use cairn_types::Table;

use crate::convert;
use crate::exchange::{Answer, Exchange, xml};
use crate::failure::Failure;

pub(crate) async fn list(x: &Exchange, request: ListObjects) -> Answer {
    let owner = x.bucket_owner()?;
    let query = Query {
        prefix: &request.prefix,
        delimiter: request.delimiter.as_deref(),
        after: Some(request.marker.as_str()).filter(|marker| !marker.is_empty()),
        max: request.max_keys.into(),
    };
    let page = walk(x, &query).await?;
    let next_marker = page.next().map(ToOwned::to_owned);
    let is_truncated = page.is_truncated;
    let (objects, common_prefixes) = page.entries(Some(&owner))?;
    let listing = ListingV1 { request: &request, objects, common_prefixes, is_truncated, next_marker };
    Ok(xml(listing.to_xml()))
}

pub(crate) async fn list_v2(x: &Exchange, request: ListObjectsV2) -> Answer {
    let owner = x.bucket_owner()?;
    let token = request.continuation_token.as_deref().map(token::decode).transpose()?;
    let after = token.as_deref().or(request.start_after.as_deref()).filter(|after| !after.is_empty());
    let query =
        Query { prefix: &request.prefix, delimiter: request.delimiter.as_deref(), after, max: request.max_keys.into() };
    let page = walk(x, &query).await?;
    let next_token = page.next().map(token::encode);
    let (objects, common_prefixes) = page.entries(request.fetch_owner.then_some(&owner))?;
    let listing = ListingV2 { request: &request, objects, common_prefixes, next_token };
    Ok(xml(listing.to_xml()))
}

/// Of a bucket without versioning: each object is its own version `null`.
pub(crate) async fn list_versions(x: &Exchange, request: ListObjectVersions) -> Answer {
    let owner = x.bucket_owner()?;
    let query = Query {
        prefix: &request.prefix,
        delimiter: request.delimiter.as_deref(),
        after: Some(request.key_marker.as_str()).filter(|marker| !marker.is_empty()),
        max: request.max_keys.into(),
    };
    let page = walk(x, &query).await?;
    let next_key_marker = page.next().map(ToOwned::to_owned);
    let (objects, common_prefixes) = page.entries(Some(&owner))?;
    let listing = VersionListing { request: &request, objects, common_prefixes, next_key_marker };
    Ok(xml(listing.to_xml()))
}

/// What is asked of the index.
struct Query<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    /// Names up to and including this one were shown.
    after: Option<&'a str>,
    max: usize,
}

/// A name of a listing: an object, or a common prefix.
struct Item {
    name: String,
    object: Option<ObjectHead>,
}

struct Page {
    /// In order, each name once.
    items: Vec<Item>,
    is_truncated: bool,
}

impl Page {
    /// The last name shown, where there are more.
    fn next(&self) -> Option<&str> {
        self.items.last().filter(|_| self.is_truncated).map(|item| item.name.as_str())
    }

    fn entries(self, owner: Option<&Owner>) -> Result<(Vec<ObjectEntry>, Vec<String>), Failure> {
        let mut objects = Vec::new();
        let mut prefixes = Vec::new();
        for item in self.items {
            match item.object {
                Some(head) => objects.push(entry(item.name, &head, owner)?),
                None => prefixes.push(item.name),
            }
        }
        Ok((objects, prefixes))
    }
}

fn entry(key: String, head: &ObjectHead, owner: Option<&Owner>) -> Result<ObjectEntry, Failure> {
    let checksum = head.checksum.as_ref();
    Ok(ObjectEntry {
        key,
        modified_unix_ms: head.last_modified_ms,
        etag: convert::etag(&head.etag)?,
        size_bytes: head.size,
        checksum: checksum.map(|stored| (convert::algorithm(stored.algorithm), convert::kind(stored.kind))),
        owner: owner.cloned(),
    })
}

/// Reads until a page is full, with one name more that says whether there is a next one.
async fn walk(x: &Exchange, query: &Query<'_>) -> Result<Page, Failure> {
    let mut items = Vec::new();
    let mut start = begin(query);
    let op = x.op();
    while query.max > 0 && items.len() <= query.max {
        let request = ListRequest {
            table: Table::Object,
            partition_key: keys::shard(x.bucket_id()?, 0),
            prefix: Bytes::copy_from_slice(query.prefix.as_bytes()),
            start,
            limit: query.max + 1 - items.len(),
            delimiter: Bytes::copy_from_slice(query.delimiter.unwrap_or_default().as_bytes()),
            with_data: false,
        };
        let listing = x.core.cluster.list(&op, request).await?;
        let mut found = Vec::with_capacity(listing.entries.len() + listing.prefixes.len());
        for entry in listing.entries {
            found.push(Item {
                name: text(&entry.sort_key)?,
                object: Some(ObjectHead::decode(&entry.settled.envelope.value)?),
            });
        }
        for prefix in listing.prefixes {
            found.push(Item { name: text(&prefix)?, object: None });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        items.append(&mut found);
        match listing.next {
            Some(next) => start = next,
            None => break,
        }
    }
    let is_truncated = items.len() > query.max;
    items.truncate(query.max);
    Ok(Page { items, is_truncated })
}

/// The first sort key a page may show; empty: the prefix itself.
fn begin(query: &Query<'_>) -> Bytes {
    let Some(after) = query.after else { return Bytes::new() };
    let start = if is_common_prefix(after, query) { successor(after.as_bytes()) } else { behind(after.as_bytes()) };
    if start.as_ref() <= query.prefix.as_bytes() { Bytes::new() } else { start }
}

/// Whether `name` is what keys are folded into: the prefix, and all up to the first delimiter behind it.
fn is_common_prefix(name: &str, query: &Query<'_>) -> bool {
    let (Some(delimiter), Some(rest)) = (query.delimiter, name.strip_prefix(query.prefix)) else { return false };
    rest.find(delimiter).is_some_and(|at| at + delimiter.len() == rest.len())
}

/// The least byte string above `name`.
fn behind(name: &[u8]) -> Bytes {
    let mut key = BytesMut::from(name);
    key.extend_from_slice(&[0]);
    key.freeze()
}

/// The least byte string above everything that begins with `prefix`. A prefix of 0xFF alone has none; UTF-8 holds no
/// such byte, and what is answered then is above any key.
pub(crate) fn successor(prefix: &[u8]) -> Bytes {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < 0xff {
            key.push(last + 1);
            return key.into();
        }
    }
    vec![0xff; prefix.len() + 1].into()
}

fn text(key: &[u8]) -> Result<String, Failure> {
    String::from_utf8(key.to_vec()).map_err(|_| Failure::internal("a stored key is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn query<'a>(prefix: &'a str, delimiter: Option<&'a str>, after: Option<&'a str>) -> Query<'a> {
        Query { prefix, delimiter, after, max: 1000 }
    }

    #[test]
    fn a_page_begins_behind_the_last_name() {
        assert_eq!(begin(&query("", None, None)), "");
        assert_eq!(begin(&query("", None, Some("a"))), "a\0");
        assert_eq!(begin(&query("p/", Some("/"), Some("p/a/"))), "p/a0", "a folded prefix is skipped whole");
        assert_eq!(begin(&query("p/", Some("/"), Some("p/a/b"))), "p/a/b\0", "inside it, the rest still counts");
        assert_eq!(begin(&query("p/", Some("/"), Some("a"))), "", "what lies before the prefix does not matter");
        assert_eq!(begin(&query("p", None, Some("z"))), "z\0");
    }

    proptest! {
        /// Walking by pages over a sorted set of keys shows what walking at once shows.
        #[test]
        fn pages_join_without_gaps(mut keys in proptest::collection::vec("[ab/]{1,6}", 0..40), max in 1_usize..5) {
            keys.sort();
            keys.dedup();
            let names = |after: Option<&str>| -> Vec<String> {
                let query = query("", Some("/"), after);
                let start = begin(&query);
                let mut names: Vec<String> = keys.iter()
                    .filter(|key| key.as_bytes() >= start.as_ref())
                    .map(|key| key.find('/').map_or(key.clone(), |at| key[..=at].to_owned()))
                    .collect();
                names.dedup();
                names
            };
            let whole = names(None);
            let mut paged: Vec<String> = Vec::new();
            loop {
                let page: Vec<String> = names(paged.last().map(String::as_str)).into_iter().take(max).collect();
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
                prop_assert!(paged.len() <= whole.len());
            }
            prop_assert_eq!(paged, whole);
        }

        #[test]
        fn successor_is_the_least_bound(prefix: Vec<u8>, rest: Vec<u8>) {
            let above = successor(&prefix);
            let inside = [prefix.clone(), rest].concat();
            prop_assert!(prefix.iter().all(|byte| *byte == 0xff) || inside.as_slice() < above.as_ref());
        }
    }
}
