//! Stores, epochs and layouts: who is answered at all (REGISTER A0, A1, E2, T6).

use std::sync::Arc;

use cairn_model::view::decode_view_bytes;
use cairn_quorum::TableReplica as _;
use cairn_register::{Message, Verdict};
use cairn_rpc::CallError;
use cairn_store::Memory;
use cairn_table::Table;
use cairn_types::{Ballot, Epoch, StoreId};

use crate::fixture::{
    EPOCH, ask, ballot, context, encoded, everything, in_memory, key, on, parts, put, value, view, write,
};

const STRANGER: StoreId = StoreId([0xee; 16]);

#[tokio::test]
async fn another_store_is_refused() {
    let (table, _) = in_memory().await;
    let mut context = context(&table);
    context.store = STRANGER;
    let refused = table.register(&context, vec![(key("a"), Message::Query)]).await;
    assert!(matches!(refused, Err(CallError::WrongStore { actual }) if actual == table.store()));
    let refused = table.range(&context, everything()).await;
    assert!(matches!(refused, Err(CallError::WrongStore { .. })));
}

#[tokio::test]
async fn epoch_zero_reads_only() {
    let (table, _) = in_memory().await;
    let mut context = context(&table);
    context.epoch = Epoch(0);
    let read = table.register(&context, vec![(key("a"), Message::Query)]).await.unwrap();
    assert_eq!(read.epoch, EPOCH);
    assert_eq!(table.range(&context, everything()).await.unwrap().epoch, EPOCH);
    for message in [write(ballot(1), None), Message::Prepare { ballot: ballot(1) }] {
        let refused = table.register(&context, vec![(key("a"), message)]).await;
        assert!(matches!(refused, Err(CallError::Invalid(_))));
    }
}

#[tokio::test]
async fn an_older_epoch_is_told_the_newer_view() {
    let (table, memory) = in_memory().await;
    let mut newer = context(&table);
    newer.epoch = Epoch(3);
    newer.view = Some(encoded(&view(5, Epoch(3), &[table.store()])));
    table.register(&newer, vec![(key("a"), Message::Query)]).await.unwrap();
    let syncs = memory.syncs();
    for message in [Message::Query, write(ballot(1), None)] {
        let refused = table.register(&context(&table), vec![(key("a"), message)]).await;
        let Err(CallError::StaleEpoch { view }) = refused else { panic!("{refused:?}") };
        assert_eq!(decode_view_bytes(view).unwrap().record.number, 5);
    }
    assert!(matches!(table.range(&context(&table), everything()).await, Err(CallError::StaleEpoch { .. })));
    assert_eq!(memory.syncs(), syncs);
}

#[tokio::test]
async fn a_newer_epoch_needs_its_record() {
    let (table, memory) = in_memory().await;
    let syncs = memory.syncs();
    let mut newer = context(&table);
    newer.epoch = Epoch(2);
    let call = || vec![(key("a"), write(Ballot { epoch: 2, ..ballot(1) }, None))];
    assert!(matches!(table.register(&newer, call()).await, Err(CallError::NeedsView)));

    // A record that is older than the epoch claimed, of another cluster, or no record at all.
    newer.view = Some(encoded(&view(2, EPOCH, &[table.store()])));
    assert!(matches!(table.register(&newer, call()).await, Err(CallError::NeedsView)));
    let mut foreign = view(3, Epoch(2), &[table.store()]);
    foreign.cluster = cairn_types::ClusterId([1; 16]);
    newer.view = Some(encoded(&foreign));
    assert!(matches!(table.register(&newer, call()).await, Err(CallError::Invalid(_))));
    newer.view = Some(b"\xffgarbage".as_slice().into());
    assert!(matches!(table.register(&newer, call()).await, Err(CallError::Invalid(_))));
    assert_eq!((table.epoch(), memory.syncs()), (EPOCH, syncs));

    newer.view = Some(encoded(&view(3, Epoch(2), &[table.store()])));
    assert_eq!(table.register(&newer, call()).await.unwrap().epoch, Epoch(2));
    assert_eq!(table.epoch(), Epoch(2));
}

/// E2: a crash right after the first answer in an epoch finds the epoch on disk.
#[tokio::test]
async fn an_epoch_is_durable_before_it_is_acted_on() {
    let (table, memory) = in_memory().await;
    let mut newer = context(&table);
    newer.epoch = Epoch(2);
    newer.view = Some(encoded(&view(3, Epoch(2), &[table.store()])));
    table.register(&newer, vec![(key("a"), Message::Query)]).await.unwrap();
    table.close().await.unwrap();
    memory.crash();

    // It comes back with the view of the first epoch alone, and still refuses it.
    let old = view(2, EPOCH, &[table.store()]);
    let table = Table::on(memory, parts(old, Some(table.store()))).unwrap();
    assert_eq!(table.epoch(), Epoch(2));
    let refused = table.register(&context(&table), vec![(key("a"), Message::Query)]).await;
    assert!(matches!(refused, Err(CallError::StaleEpoch { .. })));
}

#[tokio::test]
async fn nothing_of_an_older_epoch_is_stored() {
    let (table, _) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"x"))).await;
    let mut newer = context(&table);
    newer.epoch = Epoch(2);
    newer.view = Some(encoded(&view(3, Epoch(2), &[table.store()])));
    let old = table.register(&newer, vec![(key("a"), write(ballot(9), None))]).await.unwrap();
    assert_eq!(old.replies[0].verdict, Verdict::Nack);
}

#[tokio::test]
async fn a_partition_that_is_not_held_is_not_answered_for() {
    let (table, memory) = in_memory().await;
    let syncs = memory.syncs();
    let mut moved = context(&table);
    moved.epoch = Epoch(2);
    moved.view = Some(encoded(&view(3, Epoch(2), &[STRANGER])));
    for message in [Message::Query, write(Ballot { epoch: 2, ..ballot(1) }, None)] {
        let answer = table.register(&moved, vec![(key("a"), message)]).await.unwrap();
        assert_eq!(answer.replies[0].verdict, Verdict::NotHere);
    }
    assert!(matches!(table.range(&moved, everything()).await, Err(CallError::Unavailable(_))));
    // The adoption alone was written.
    assert_eq!(memory.syncs(), syncs + 1);
}

/// T6: who comes back to a partition knows nothing of what was collected meanwhile.
#[tokio::test]
async fn who_joins_a_partition_has_a_floor() {
    let (table, memory) = in_memory().await;
    assert_eq!(ask(&table, key("a"), Message::Query).await.joined, Ballot::joined(EPOCH));
    let ids = [vec![STRANGER], vec![table.store()]];
    for (number, holders) in (3..).zip(ids) {
        let epoch = Epoch(u32::try_from(number).unwrap());
        let mut context = context(&table);
        context.epoch = epoch;
        context.view = Some(encoded(&view(number, epoch, &holders)));
        table.register(&context, vec![(key("a"), Message::Query)]).await.unwrap();
    }
    let expected = Ballot::joined(Epoch(4));
    table.close().await.unwrap();
    memory.crash();
    let table = Table::on(memory, parts(view(1, Epoch(0), &[]), None)).unwrap();
    let mut context = context(&table);
    context.epoch = Epoch(4);
    let reply = table.register(&context, vec![(key("a"), Message::Query)]).await.unwrap();
    assert_eq!(reply.replies[0].joined, expected);
    assert_eq!(reply.replies[0].promised, expected);
}

#[tokio::test]
async fn without_a_layout_nobody_is_served() {
    let table = Table::on(Arc::new(Memory::new()), parts(view(1, Epoch(0), &[]), None)).unwrap();
    table.adopt_current().await.unwrap();
    let mut context = context(&table);
    for epoch in [Epoch(0), EPOCH] {
        context.epoch = epoch;
        let refused = table.register(&context, vec![(key("a"), Message::Query)]).await;
        assert!(matches!(refused, Err(CallError::Unavailable(_) | CallError::NeedsView)), "{refused:?}");
    }
    assert!(!table.status().has_data);
}

#[tokio::test]
async fn a_clock_ahead_burns_no_ballots() {
    let (table, _) = in_memory().await;
    let far = Ballot { time: ballot(0).time + (61_000 << 16), ..ballot(0) };
    assert_eq!(ask(&table, key("a"), Message::Prepare { ballot: far }).await.verdict, Verdict::ClockSkew);
    assert!(ask(&table, key("a"), Message::Query).await.promised < far);
}

/// T4, T5: what was dropped stays below the floor, over restarts too.
#[tokio::test]
async fn a_dropped_tombstone_leaves_its_floor() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(5), None).await;
    assert_eq!(ask(&table, key("a"), Message::GcDrop { ballot: ballot(4) }).await.verdict, Verdict::Nack);
    let dropped = ask(&table, key("a"), Message::GcDrop { ballot: ballot(5) }).await;
    assert_eq!((dropped.verdict, dropped.floor), (Verdict::Ack, ballot(5)));
    table.close().await.unwrap();
    memory.crash();
    let table = on(memory).await;
    let reply = ask(&table, key("a"), Message::Query).await;
    assert_eq!((reply.row, reply.floor, reply.promised), (None, ballot(5), ballot(5)));
    assert_eq!(ask(&table, key("a"), write(ballot(4), Some(value(b"late")))).await.verdict, Verdict::Nack);
    put(&table, key("a"), ballot(6), Some(value(b"new"))).await;
}
