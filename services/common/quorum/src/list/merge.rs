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
    /// Which of its rows, or of its prefixes.
    place: Place,
    /// The name is that of a group of keys.
    is_group: bool,
}

#[derive(Clone, Copy)]
enum Place {
    Row(usize),
    Prefix(usize),
}

impl Shown {
    fn row<'a>(&self, replies: &'a [RangeReply]) -> &'a Row<Envelope> {
        let reply = &replies[self.reply];
        match self.place {
            Place::Row(at) => &reply.rows[at].row,
            Place::Prefix(at) => &reply.prefixes[at].witness,
        }
    }

    /// The group's first live key there; none for a row.
    fn witness<'a>(&self, replies: &'a [RangeReply]) -> Option<&'a Bytes> {
        match self.place {
            Place::Row(_) => None,
            Place::Prefix(at) => Some(&replies[self.reply].prefixes[at].witness_key),
        }
    }
}

/// What is known of a replica that shows no row for a key.
struct Source {
    store: StoreId,
    floor: Ballot,
}

/// Merges `replies`, which are a query quorum. `accept` are the sets in which a row must have its majority to be chosen.
pub(crate) fn judge(range: &Range, mut replies: Vec<RangeReply>, accept: &[ReplicaSet]) -> Judged {
    let met_gate = replies.iter().any(|reply| reply.gate != Gate::Open);
    let bound = replies.iter().filter_map(end_of).min();
    let sources: Vec<Source> =
        replies.iter().map(|reply| Source { store: reply.store, floor: reply.floor.max(reply.joined) }).collect();
    // Rows stay where they are, and only their names are sorted: of what several replicas show, one is taken.
    let mut shown = Vec::with_capacity(replies.iter().map(|reply| reply.rows.len() + reply.prefixes.len()).sum());
    for (at, reply) in replies.iter_mut().enumerate() {
        collect(range, at, reply, &mut shown);
    }
    // Runs that are sorted already merge in one pass.
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    let mut next = bound.clone();
    let mut names = Vec::with_capacity(shown.len().div_ceil(replies.len().max(1)));
    for same in shown.chunk_by(|a, b| a.name == b.name) {
        let name = same[0].name.clone();
        if bound.as_ref().is_some_and(|bound| name >= *bound) {
            break;
        }
        let verdict = if same[0].is_group {
            // The group may reach beyond the bound: it is judged as a whole, and the next page begins after it.
            if let Some(bound) = &next {
                next = after_prefix(&name).map(|after| after.max(bound.clone()));
            }
            judge_group(same, &replies, &sources, accept)
        } else {
            judge_key(same, &mut replies, &sources, accept)
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

fn collect(range: &Range, reply: usize, of: &mut RangeReply, shown: &mut Vec<Shown>) {
    let rows = of.rows.iter_mut().enumerate().map(|(at, row)| {
        let key = std::mem::take(&mut row.sort_key);
        let group = fold(range, &key);
        let is_group = group.is_some();
        Shown { name: group.unwrap_or(key), reply, place: Place::Row(at), is_group }
    });
    let prefixes = of.prefixes.iter_mut().enumerate().map(|(at, prefix)| {
        let name = std::mem::take(&mut prefix.prefix);
        Shown { name, reply, place: Place::Prefix(at), is_group: true }
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
fn judge_key(same: &[Shown], replies: &mut [RangeReply], sources: &[Source], accept: &[ReplicaSet]) -> Name {
    let accepted = |shown: &Shown| shown.row(replies).accepted;
    let newest = same.iter().map(accepted).max().unwrap_or(Ballot::ZERO);
    let forgotten = sources
        .iter()
        .enumerate()
        .filter(|(at, _)| !same.iter().any(|shown| shown.reply == *at))
        .any(|(_, source)| source.floor >= newest);
    let mut holding = same.iter().filter(|shown| accepted(shown) == newest);
    let known = holding.clone().any(|shown| shown.row(replies).committed);
    let holders: Vec<StoreId> = holding.clone().map(|shown| sources[shown.reply].store).collect();
    if forgotten || !(known || is_majority(accept, &holders)) {
        return Name::OpenKey;
    }
    Name::Key(holding.next().and_then(|shown| take(shown, replies)))
}

/// The value of a row that is not a witness.
fn take(shown: &Shown, replies: &mut [RangeReply]) -> Option<Settled> {
    let Place::Row(at) = shown.place else { return None };
    let row = &mut replies[shown.reply].rows[at].row;
    let envelope = row.value.take()?;
    Some(Settled { envelope, op: row.op, accepted: row.accepted, root: row.root })
}

/// A prefix is there where a majority shows the same live key under the same ballot.
fn judge_group(same: &[Shown], replies: &[RangeReply], sources: &[Source], accept: &[ReplicaSet]) -> Name {
    // Tombstones before a replica's own witness hide nothing: the witness is what it has to say.
    let is_witness = |shown: &Shown| matches!(shown.place, Place::Prefix(_));
    let witnessed: Vec<usize> = same.iter().filter(|shown| is_witness(shown)).map(|shown| shown.reply).collect();
    let same: Vec<&Shown> =
        same.iter().filter(|shown| is_witness(shown) || !witnessed.contains(&shown.reply)).collect();
    let says = |shown: &Shown| (shown.witness(replies), shown.row(replies).accepted);
    let is_like_first = |shown: &&Shown| is_witness(shown) && says(shown) == says(same[0]);
    let holders: Vec<StoreId> = same.iter().map(|shown| sources[shown.reply].store).collect();
    let agreed = same.iter().all(is_like_first) && same[0].row(replies).value.is_some();
    if agreed && same.len() == sources.len() && is_majority(accept, &holders) {
        return Name::Prefix;
    }
    let mut witnesses: Vec<Bytes> = same.iter().filter_map(|shown| shown.witness(replies)).cloned().collect();
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
