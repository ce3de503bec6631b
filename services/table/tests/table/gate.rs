//! Gates and usage: what goes with the rows of a bucket's shard (REGISTER §12, DESIGN §5).

use cairn_model::Envelope;
use cairn_model::rows::{GateRow, TypedRow as _};
use cairn_register::{Gate, Message, Proposal, Usage, Verdict};
use cairn_types::{Ballot, OpId, RowKey};

use crate::fixture::{ask, ballot, data, everything, in_memory, key, list, on, put, value, write};

fn gate_key() -> RowKey {
    RowKey { table: cairn_types::Table::Gate, ..key("") }
}

fn gate(row: GateRow) -> Option<Envelope> {
    Some(Envelope { value: row.encode(), ..Envelope::default() })
}

fn re_proposal(at: Ballot, value: Option<Envelope>) -> Message<Envelope> {
    let (zero, op) = (Ballot::ZERO, OpId([8; 16]));
    let proposal = Proposal {
        root: ballot(1),
        root_is_floor: false,
        blind: false,
        op,
        lineage: vec![op],
        trimmed: zero,
        trim_next: zero,
        value,
    };
    Message::Accept { ballot: at, proposal, new_value: false }
}

#[tokio::test]
async fn a_gate_that_is_not_open_refuses_new_values_only() {
    let (table, memory) = in_memory().await;
    put(&table, key("a"), ballot(1), Some(value(b"x"))).await;
    let closed = ask(&table, gate_key(), write(ballot(2), gate(GateRow::Closing(7)))).await;
    // A gate is under no gate: its reader would wait for itself.
    assert_eq!((closed.verdict, closed.gate), (Verdict::Ack, Gate::Open));

    let refused = ask(&table, key("b"), write(ballot(3), Some(value(b"y")))).await;
    assert_eq!((refused.verdict, refused.gate), (Verdict::Sealed, Gate::Closing(7)));
    assert_eq!(ask(&table, key("a"), write(ballot(3), None)).await.verdict, Verdict::Sealed);
    let passed = ask(&table, key("a"), re_proposal(ballot(4), Some(value(b"x")))).await;
    assert_eq!((passed.verdict, passed.gate), (Verdict::Ack, Gate::Closing(7)));
    assert_eq!(ask(&table, key("a"), Message::Query).await.gate, Gate::Closing(7));
    assert_eq!(list(&table, everything()).await.gate, Gate::Closing(7));
    // Another bucket has another gate.
    let other = RowKey { partition_key: b"another bucket".as_slice().into(), ..key("a") };
    put(&table, other, ballot(1), Some(value(b"z"))).await;

    // The gate survives, sealed is refused the same way, and an open one lets everything pass again.
    table.close().await.unwrap();
    memory.crash();
    let table = on(memory).await;
    assert_eq!(list(&table, everything()).await.gate, Gate::Closing(7));
    put(&table, gate_key(), ballot(5), gate(GateRow::Sealed)).await;
    assert_eq!(ask(&table, key("b"), write(ballot(6), Some(value(b"y")))).await.gate, Gate::Sealed);
    put(&table, gate_key(), ballot(7), gate(GateRow::Open(8))).await;
    put(&table, key("b"), ballot(8), Some(value(b"y"))).await;
}

#[tokio::test]
async fn a_gate_counts_from_the_message_behind_it() {
    let (table, _) = in_memory().await;
    let batch = vec![
        (key("a"), write(ballot(1), Some(value(b"before")))),
        (gate_key(), write(ballot(2), gate(GateRow::Closing(1)))),
        (key("b"), write(ballot(3), Some(value(b"behind")))),
    ];
    let context = crate::fixture::context(&table);
    let replies = cairn_quorum::TableReplica::register(&*table, &context, batch).await.unwrap().replies;
    let verdicts: Vec<_> = replies.iter().map(|reply| reply.verdict).collect();
    assert_eq!(verdicts, [Verdict::Ack, Verdict::Ack, Verdict::Sealed]);
    assert_eq!(data(&table, key("b")).await, None);
}

#[tokio::test]
async fn uploads_show_the_gate_and_do_not_obey_it() {
    let (table, _) = in_memory().await;
    put(&table, gate_key(), ballot(1), gate(GateRow::Closing(2))).await;
    let upload = RowKey { table: cairn_types::Table::Upload, ..key("a") };
    let reply = ask(&table, upload, write(ballot(2), Some(value(b"")))).await;
    assert_eq!((reply.verdict, reply.gate), (Verdict::Ack, Gate::Closing(2)));
}

#[tokio::test]
async fn usage_moves_with_the_heads() {
    let (table, memory) = in_memory().await;
    let usage = async |table: &cairn_table::Table| ask(table, key("any"), Message::Query).await.usage;
    put(&table, key("a"), ballot(1), Some(value(&[0; 100]))).await;
    put(&table, key("b"), ballot(1), Some(value(&[0; 50]))).await;
    put(&table, key("a"), ballot(2), Some(value(&[0; 10]))).await;
    assert_eq!(usage(&table).await, Usage { objects: 2, bytes: 60 });
    // A write that counts as overwritten changes nothing.
    assert_eq!(ask(&table, key("a"), write(ballot(1), None)).await.verdict, Verdict::Absorbed);
    let late = ask(&table, key("b"), write(ballot(3), Some(value(&[0; 7])))).await;
    assert_eq!(late.verdict, Verdict::Ack);
    let absorbed = ask(&table, key("b"), write(ballot(2), Some(value(&[0; 999])))).await;
    assert_eq!(absorbed.verdict, Verdict::Absorbed);
    assert_eq!(usage(&table).await, Usage { objects: 2, bytes: 17 });
    put(&table, key("b"), ballot(9), None).await;
    table.close().await.unwrap();
    memory.crash();
    let table = on(memory).await;
    assert_eq!(usage(&table).await, Usage { objects: 1, bytes: 10 });
}
