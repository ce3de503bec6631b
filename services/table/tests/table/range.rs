//! Ranges against a model.

use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_quorum::{Range, RangeReply, TableReplica as _};
use cairn_register::Message;
use cairn_rpc::CallError;
use cairn_table::Table;
use proptest::prelude::*;

use crate::fixture::{ask, ballot, context, everything, in_memory, key, list, on_disk, put, value};

/// Sort keys and whether they are live.
type Model = BTreeMap<Vec<u8>, bool>;

/// What a range answers, without ballots.
#[derive(PartialEq, Eq, Debug, Default)]
struct Found {
    rows: Vec<(Vec<u8>, bool)>,
    prefixes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Found {
    fn add(&mut self, reply: &RangeReply) {
        let row = |row: &cairn_quorum::RangeRow| (row.sort_key.to_vec(), row.row.value.is_some());
        self.rows.extend(reply.rows.iter().map(row));
        let prefix = |prefix: &cairn_quorum::RangePrefix| (prefix.prefix.to_vec(), prefix.witness_key.to_vec());
        self.prefixes.extend(reply.prefixes.iter().map(prefix));
    }

    /// Tombstones before a witness are given, and say nothing.
    fn forget_folded(&mut self) {
        let Self { rows, prefixes } = self;
        rows.retain(|(key, live)| *live || !prefixes.iter().any(|(prefix, _)| key.starts_with(prefix)));
    }
}

fn expected(model: &Model, prefix: &[u8], start: &[u8], delimiter: &[u8]) -> Found {
    let mut found = Found::default();
    for (key, live) in model.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_slice() >= start) {
        let rest = &key[prefix.len()..];
        let at =
            (!delimiter.is_empty()).then(|| rest.windows(delimiter.len()).position(|at| at == delimiter)).flatten();
        match at {
            None => found.rows.push((key.clone(), *live)),
            Some(at) => {
                let common = &key[..prefix.len() + at + delimiter.len()];
                let known = found.prefixes.last().is_some_and(|(last, _)| last == common);
                match *live {
                    true if !known => found.prefixes.push((common.to_vec(), key.clone())),
                    true => {}
                    false => found.rows.push((key.clone(), false)),
                }
            }
        }
    }
    found.forget_folded();
    found
}

/// Asks page by page, as a caller does: on behind the last key, or behind the common prefix it lies under.
async fn pages(table: &Table, range: &Range) -> (Found, usize) {
    let (mut found, mut asked) = (Found::default(), 0);
    let mut range = range.clone();
    loop {
        let reply = list(table, range.clone()).await;
        asked += 1;
        assert!(reply.rows.len() + reply.prefixes.len() <= range.limit);
        found.add(&reply);
        let Some(last) = reply.scanned_to else { return (found, asked) };
        let folded = reply.prefixes.last().filter(|prefix| last.starts_with(&prefix.prefix));
        let next = match folded {
            Some(prefix) => match cairn_store::prefix_end(&prefix.prefix) {
                Some(next) => next,
                None => return (found, asked),
            },
            None => [last.as_ref(), &[0]].concat(),
        };
        assert!(next > range.start.to_vec(), "the range stands still");
        range.start = next.into();
    }
}

fn sort_keys() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(b'/'), 4 => Just(b'a'), 2 => Just(b'b'), 1 => Just(0_u8), 1 => Just(0xff)];
    proptest::collection::vec(byte, 0..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn ranges_are_those_of_a_map(
        model in proptest::collection::btree_map(sort_keys(), proptest::bool::weighted(0.7), 0..40),
        prefix in prop_oneof![2 => Just(Vec::new()), 1 => sort_keys()],
        start in prop_oneof![2 => Just(Vec::new()), 1 => sort_keys()],
        delimiter in proptest::sample::select(vec![b"".as_slice(), b"/", b"//", b"a/"]),
        limit in 1..12_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (table, _) = in_memory().await;
            for (sort_key, live) in &model {
                put(&table, key(sort_key), ballot(1), live.then(|| value(b"inline data"))).await;
            }
            let range = Range {
                prefix: prefix.clone().into(),
                start: start.clone().into(),
                delimiter: Bytes::from_static(delimiter),
                limit,
                ..everything()
            };
            let expected = expected(&model, &prefix, &start, delimiter);
            let (mut found, asked) = pages(&table, &range).await;
            found.forget_folded();
            assert_eq!(found, expected);
            assert!(asked <= 1 + model.len() / limit, "{asked} pages");
        });
    }
}

#[tokio::test]
async fn rows_come_with_or_without_their_data() {
    let (table, _) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"inline data"))).await;
    put(&table, key("d/1"), ballot(2), Some(value(b"inline data"))).await;
    for with_data in [false, true] {
        let reply = list(&table, Range { with_data, delimiter: Bytes::from_static(b"/"), ..everything() }).await;
        let envelope = reply.rows[0].row.value.clone().unwrap();
        assert_eq!(envelope.data.as_ref(), if with_data { b"inline data".as_slice() } else { b"" });
        let whole = value(b"inline data");
        assert_eq!((envelope.value, envelope.owner, envelope.bytes), (whole.value, whole.owner, whole.bytes));
        assert_eq!(reply.rows[0].row.accepted, ballot(1));
        assert_eq!(reply.prefixes[0].witness.accepted, ballot(2));
        assert!(reply.prefixes[0].witness.value.as_ref().unwrap().data.is_empty());
    }
}

#[tokio::test]
async fn hints_show_in_ranges_and_promises_do_not() {
    let (table, _) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"x"))).await;
    put(&table, key("b"), ballot(1), Some(value(b"x"))).await;
    ask(&table, key("b"), Message::Commit { ballot: ballot(1) }).await;
    ask(&table, key("c"), Message::Prepare { ballot: ballot(1) }).await;
    let reply = list(&table, everything()).await;
    let committed: Vec<_> = reply.rows.iter().map(|row| row.row.committed).collect();
    assert_eq!(committed, [false, true]);
    assert_eq!(reply.scanned_to, None);
}

/// A reply stays far below what a message may hold, whatever its rows weigh.
#[tokio::test]
async fn replies_are_bounded_in_bytes() {
    let (table, _) = in_memory().await;
    for n in 0..24 {
        put(&table, key(format!("{n:02}")), ballot(1), Some(value(&[7; 500_000]))).await;
    }
    let range = Range { with_data: true, ..everything() };
    let reply = list(&table, range.clone()).await;
    assert!((8..12).contains(&reply.rows.len()), "{}", reply.rows.len());
    assert_eq!(pages(&table, &range).await.0.rows.len(), 24);
}

/// On RocksDB, over flushed and fresh rows, with one seek a common prefix.
#[tokio::test]
async fn big_directories_are_skipped_on_disk() {
    let directory = tempfile::TempDir::new().unwrap();
    let table = on_disk(directory.path()).await;
    for group in 0..4 {
        let batch = (0..500)
            .map(|n| (key(format!("{group}/{n:03}")), crate::fixture::write(ballot(1), Some(value(&[7; 100])))))
            .collect();
        table.register(&context(&table), batch).await.unwrap();
    }
    table.close().await.unwrap();
    let folded = list(&table, Range { delimiter: Bytes::from_static(b"/"), limit: 10, ..everything() }).await;
    let prefixes: Vec<_> = folded.prefixes.iter().map(|prefix| prefix.prefix.as_ref().to_vec()).collect();
    assert_eq!(prefixes, [b"0/", b"1/", b"2/", b"3/"]);
    assert_eq!(folded.scanned_to, None);
    assert_eq!(pages(&table, &Range { limit: 300, ..everything() }).await.0.rows.len(), 2000);
}

#[tokio::test]
async fn ranges_have_bounds() {
    let (table, _) = in_memory().await;
    for limit in [0, 10_001] {
        let refused = table.range(&context(&table), Range { limit, ..everything() }).await;
        assert!(matches!(refused, Err(CallError::Invalid(_))));
    }
    let long = Range { prefix: vec![1; 4097].into(), ..everything() };
    assert!(matches!(table.range(&context(&table), long).await, Err(CallError::Invalid(_))));
    // "After the longest key" is one byte longer than a key.
    let after = Range { start: vec![0xff; 4097].into(), ..everything() };
    assert!(table.range(&context(&table), after).await.unwrap().rows.is_empty());
}
