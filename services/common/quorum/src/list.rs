//! Listing: ranges of a majority, merged by ballot, with everything unsettled settled first (REGISTER §12 LIST).
//!
//! - **I1** Every write acknowledged before a listing began is in it, and nothing whose deletion was
//!   (`lists_agree_with_the_model`).
//! - **I2** Nothing is said beyond the smallest key that every counted replica has scanned up to
//!   (`pages_agree_with_the_model`, `lists_agree_with_the_model`).
//! - **I3** A common prefix is listed only where a settled live key lies under it: all counted replicas show the same
//!   witness, or a witness was read, or the keys under the prefix were listed (`prefixes_need_a_settled_witness`).

mod merge;
mod ranges;

use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_register::Gate;
use cairn_types::{RowKey, Table};
use futures_util::future::BoxFuture;

use self::merge::{Judged, Name};
use crate::cluster::Cluster;
use crate::rows::settled;
use crate::wire::MAX_RANGE;
use crate::{Op, OpError, Range, Settled};

/// What to list. Keys are in byte order.
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub table: Table,
    pub partition_key: Bytes,
    /// Only keys that begin with it.
    pub prefix: Bytes,
    /// Where to begin, inclusive; empty: at the prefix.
    pub start: Bytes,
    /// Entries and prefixes together, 1 to 10,000.
    pub limit: usize,
    /// Keys that hold it after the prefix are folded into one common prefix each; empty: no folding.
    pub delimiter: Bytes,
    /// Whether entries come with [`cairn_model::Envelope::data`]. It may come anyhow.
    pub with_data: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListEntry {
    pub sort_key: Bytes,
    pub settled: Settled,
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Listing {
    pub entries: Vec<ListEntry>,
    pub prefixes: Vec<Bytes>,
    /// Where the next page begins; none: there is nothing more.
    pub next: Option<Bytes>,
}

/// An entry or a common prefix; their order is that of their names.
#[derive(Debug)]
enum Item {
    Entry(ListEntry),
    Prefix(Bytes),
}

/// What one round of ranges showed, settled.
struct Page {
    items: Vec<Item>,
    next: Option<Bytes>,
}

impl Cluster {
    /// One page of the live rows of one partition key.
    ///
    /// # Errors
    /// Any [`OpError`] but `Unknown`.
    pub async fn list(&self, op: &Op, request: ListRequest) -> Result<Listing, OpError> {
        let limit = request.limit.clamp(1, MAX_RANGE);
        // One more than asked for tells whether there is a next page.
        let mut items = self.items(op, &request, limit + 1, None).await?;
        let mut listing = Listing::default();
        if items.len() > limit {
            listing.next = items.get(limit).map(Item::name).cloned();
            items.truncate(limit);
        }
        for item in items {
            match item {
                Item::Entry(entry) => listing.entries.push(entry),
                Item::Prefix(prefix) => listing.prefixes.push(prefix),
            }
        }
        Ok(listing)
    }

    /// Whether any object is in the shard, counted from replicas that show closing(`number`) (REGISTER X27).
    pub(crate) async fn holds_objects(&self, op: &Op, partition_key: &Bytes, number: u64) -> Result<bool, OpError> {
        let request = ListRequest {
            table: Table::Object,
            partition_key: partition_key.clone(),
            prefix: Bytes::new(),
            start: Bytes::new(),
            limit: 1,
            delimiter: Bytes::new(),
            with_data: false,
        };
        Ok(!self.items(op, &request, 1, Some(number)).await?.is_empty())
    }

    /// At least `want` items from `request.start` on, fewer only at the end. Boxed, for a prefix whose witnesses differ
    /// is listed in turn.
    fn items<'a>(
        &'a self,
        op: &'a Op,
        request: &'a ListRequest,
        want: usize,
        closing: Option<u64>,
    ) -> BoxFuture<'a, Result<Vec<Item>, OpError>> {
        Box::pin(async move {
            let mut items = Vec::new();
            let mut start = request.start.clone();
            let mut limit = want.min(MAX_RANGE);
            loop {
                let range_start = start.clone();
                let range = Range {
                    table: request.table,
                    partition_key: request.partition_key.clone(),
                    prefix: request.prefix.clone(),
                    start,
                    limit,
                    delimiter: request.delimiter.clone(),
                    with_data: request.with_data,
                };
                let page = self.page(op, range, closing).await?;
                if items.is_empty() {
                    items = page.items
                } else {
                    items.extend(page.items)
                }
                match page.next {
                    Some(next) if items.len() < want && next > range_start => start = next,
                    Some(_) if items.len() < want => {
                        return Err(OpError::Invalid("a replica's range does not get on".to_owned()));
                    }
                    _ => return Ok(items),
                }
                // Much of the range is deleted: look at more at a time.
                limit = (limit * 2).clamp(100, MAX_RANGE);
            }
        })
    }

    async fn page(&self, op: &Op, range: Range, closing: Option<u64>) -> Result<Page, OpError> {
        let asked = self.ranges(op, &range, closing).await?;
        let judged = merge::judge(&range, asked.replies, &asked.accept);
        let read = self.settle(op, &range, &judged, closing).await?;
        let mut items = Vec::with_capacity(judged.names.len());
        for (name, verdict) in judged.names {
            match verdict {
                Name::Key(Some(settled)) => items.push(Item::Entry(ListEntry { sort_key: name, settled })),
                Name::Key(None) => {}
                Name::OpenKey => {
                    if let Some(Some(settled)) = read.get(&name).cloned() {
                        items.push(Item::Entry(ListEntry { sort_key: name, settled }));
                    }
                }
                Name::Prefix => items.push(Item::Prefix(name)),
                Name::OpenPrefix { witnesses } => {
                    let live = witnesses.iter().any(|key| read.get(key).is_some_and(Option::is_some));
                    if live || self.has_live_key(op, &range, &name, closing).await? {
                        items.push(Item::Prefix(name));
                    }
                }
            }
        }
        if judged.met_gate && closing.is_none() && self.read_gate(op, range.partition_key).await? != Gate::Open {
            return Err(OpError::Sealed);
        }
        Ok(Page { items, next: judged.next })
    }

    /// Reads what the ranges left open: unsettled keys, and the witnesses of prefixes on which replicas differ.
    async fn settle(
        &self,
        op: &Op,
        range: &Range,
        judged: &Judged,
        closing: Option<u64>,
    ) -> Result<BTreeMap<Bytes, Option<Settled>>, OpError> {
        let key = |sort_key: &Bytes| RowKey {
            table: range.table,
            partition_key: range.partition_key.clone(),
            sort_key: sort_key.clone(),
        };
        let mut keys = Vec::new();
        for (name, verdict) in &judged.names {
            match verdict {
                Name::OpenKey => keys.push(key(name)),
                Name::OpenPrefix { witnesses } => keys.extend(witnesses.iter().map(key)),
                Name::Key(_) | Name::Prefix => {}
            }
        }
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.read_rows(op, keys, closing).await?;
        Ok(found.into_iter().map(|(key, found)| (key.sort_key, settled(found))).collect())
    }

    /// Whether any settled live key begins with `prefix`.
    async fn has_live_key(
        &self,
        op: &Op,
        range: &Range,
        prefix: &Bytes,
        closing: Option<u64>,
    ) -> Result<bool, OpError> {
        let request = ListRequest {
            table: range.table,
            partition_key: range.partition_key.clone(),
            prefix: prefix.clone(),
            start: range.start.clone().max(prefix.clone()),
            limit: 1,
            delimiter: Bytes::new(),
            with_data: false,
        };
        Ok(!self.items(op, &request, 1, closing).await?.is_empty())
    }
}

impl Item {
    const fn name(&self) -> &Bytes {
        match self {
            Item::Entry(entry) => &entry.sort_key,
            Item::Prefix(prefix) => prefix,
        }
    }
}
