//! Merging the ranges of several replicas by ballot: pure.

use bytes::{BufMut as _, Bytes, BytesMut};
use cairn_model::Envelope;
use cairn_placement::ReplicaSet;
use cairn_register::{Gate, Row};
use cairn_types::{Ballot, StoreId};

use crate::tally::is_majority;
use crate::{Range, RangeReply, Settled};

/// What the replies say of one name.
#[derive(Debug)]
pub(crate) enum Name {
    /// Settled: its value, or that there is none.
    Key(Option<Settled>),
    /// A key that must be settled by a read.
    OpenKey,
    /// A common prefix with a settled live key.
    Prefix,
    /// A prefix on which replicas differ; these keys are the live ones that they show.
    OpenPrefix { witnesses: Vec<Bytes> },
}

/// The merged replies.
#[derive(Debug)]
pub(crate) struct Judged {
    /// In order.
    pub(crate) names: Vec<(Bytes, Name)>,
    /// Where to go on; none: the range is at its end.
    pub(crate) next: Option<Bytes>,
    /// Some replica showed a gate that is not open.
    pub(crate) met_gate: bool,
}

/// A row, or the witness of a folded group, at one replica.
struct Shown {
    name: Bytes,
    /// Which reply.
    reply: usize,
    /// The name is that of a group of keys.
    is_group: bool,
    /// The group's first live key there; none for a row.
    witness: Option<Bytes>,
    row: Row<Envelope>,
}

/// What is known of a replica that shows no row for a key.
struct Source {
    store: StoreId,
    floor: Ballot,
}

/// Merges `replies`, which are a query quorum. `accept` are the sets in which a row must have its majority to be chosen.
pub(crate) fn judge(range: &Range, replies: Vec<RangeReply>, accept: &[ReplicaSet]) -> Judged {
    let met_gate = replies.iter().any(|reply| reply.gate != Gate::Open);
    let bound = replies.iter().filter_map(end_of).min();
    let mut sources = Vec::with_capacity(replies.len());
    let mut shown = Vec::new();
    for (at, reply) in replies.into_iter().enumerate() {
        sources.push(Source { store: reply.store, floor: reply.floor.max(reply.joined) });
        collect(range, at, reply, &mut shown);
    }
    // Runs that are sorted already merge in one pass.
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    let mut next = bound.clone();
    let mut names = Vec::new();
    let mut rest = shown.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut same = vec![first];
        while let Some(more) = rest.next_if(|more| more.name == same[0].name) {
            same.push(more);
        }
        if bound.as_ref().is_some_and(|bound| same[0].name >= *bound) {
            break;
        }
        let name = same[0].name.clone();
        let verdict = if same[0].is_group {
            // The group may reach beyond the bound: it is judged as a whole, and the next page begins after it.
            if let Some(bound) = &next {
                next = after_prefix(&name).map(|after| after.max(bound.clone()));
            }
            judge_group(same, &sources, accept)
        } else {
            judge_key(same, &sources, accept)
        };
        names.push((name, verdict));
    }
    Judged { names, next, met_gate }
}

/// The first key that `reply` does not speak of; none: it speaks of all.
fn end_of(reply: &RangeReply) -> Option<Bytes> {
    let scanned_to = reply.scanned_to.as_ref()?;
    match reply.prefixes.last().filter(|last| scanned_to.starts_with(&last.prefix)) {
        Some(folded) => after_prefix(&folded.prefix),
        None => Some(after_key(scanned_to)),
    }
}

fn collect(range: &Range, at: usize, reply: RangeReply, shown: &mut Vec<Shown>) {
    let rows = reply.rows.into_iter().map(|row| {
        let group = fold(range, &row.sort_key);
        let is_group = group.is_some();
        Shown { name: group.unwrap_or(row.sort_key), reply: at, is_group, witness: None, row: row.row }
    });
    let prefixes = reply.prefixes.into_iter().map(|prefix| Shown {
        name: prefix.prefix,
        reply: at,
        is_group: true,
        witness: Some(prefix.witness_key),
        row: prefix.witness,
    });
    // Two runs in order, for the sort.
    shown.extend(rows);
    shown.extend(prefixes);
}

/// The common prefix that `key` is folded into, if any.
fn fold(range: &Range, key: &Bytes) -> Option<Bytes> {
    let length = range.delimiter.len();
    if length == 0 {
        return None;
    }
    let rest = key.get(range.prefix.len()..)?;
    let at = rest.windows(length).position(|window| window == range.delimiter)?;
    Some(key.slice(..range.prefix.len() + at + length))
}

/// G2 and G3 for one key.
fn judge_key(same: Vec<Shown>, sources: &[Source], accept: &[ReplicaSet]) -> Name {
    let newest = same.iter().map(|shown| shown.row.accepted).max().unwrap_or(Ballot::ZERO);
    let forgotten = sources
        .iter()
        .enumerate()
        .filter(|(at, _)| !same.iter().any(|shown| shown.reply == *at))
        .any(|(_, source)| source.floor >= newest);
    let holders: Vec<StoreId> =
        same.iter().filter(|shown| shown.row.accepted == newest).map(|shown| sources[shown.reply].store).collect();
    let known = same.iter().any(|shown| shown.row.accepted == newest && shown.row.committed);
    if forgotten || !(known || is_majority(accept, &holders)) {
        return Name::OpenKey;
    }
    let newest = same.into_iter().find(|shown| shown.row.accepted == newest);
    Name::Key(newest.and_then(|shown| {
        let Row { accepted, root, op, value, .. } = shown.row;
        value.map(|envelope| Settled { envelope, op, accepted, root })
    }))
}

/// A prefix is there where a majority shows the same live key under the same ballot.
fn judge_group(mut same: Vec<Shown>, sources: &[Source], accept: &[ReplicaSet]) -> Name {
    // Tombstones before a replica's own witness hide nothing: the witness is what it has to say.
    let witnessed: Vec<usize> = same.iter().filter(|shown| shown.witness.is_some()).map(|shown| shown.reply).collect();
    same.retain(|shown| shown.witness.is_some() || !witnessed.contains(&shown.reply));
    let is_like_first = |shown: &Shown| {
        shown.witness.is_some() && shown.witness == same[0].witness && shown.row.accepted == same[0].row.accepted
    };
    let holders: Vec<StoreId> = same.iter().map(|shown| sources[shown.reply].store).collect();
    let agreed = same.iter().all(is_like_first) && same[0].row.value.is_some();
    if agreed && same.len() == sources.len() && is_majority(accept, &holders) {
        return Name::Prefix;
    }
    let mut witnesses: Vec<Bytes> = same.into_iter().filter_map(|shown| shown.witness).collect();
    witnesses.sort_unstable();
    witnesses.dedup();
    Name::OpenPrefix { witnesses }
}

/// The first key after `key`.
fn after_key(key: &[u8]) -> Bytes {
    let mut after = BytesMut::with_capacity(key.len() + 1);
    after.put_slice(key);
    after.put_u8(0);
    after.freeze()
}

/// The first key after all that begin with `prefix`; none where nothing can follow.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after.into())
}
