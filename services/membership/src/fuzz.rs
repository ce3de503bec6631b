//! Fuzz targets: what other daemons, machines that join, and the disk say. How to run and replay them:
//! `gateway/s3/src/fuzz.rs`.

use bolero::{check, produce};
use bytes::Bytes;
use cairn_model::wire::decode_bytes;
use cairn_proto::membership::v1;
use cairn_rpc::ClusterSecret;
use cairn_testkit::fuzz::protobuf::message;
use cairn_testkit::fuzz::{bytes, damaged};
use cairn_types::StoreId;

use crate::nodes::NodeRecord;
use crate::staged::{Change, Staged};
use crate::token::JoinToken;
use crate::wire::{decode_answer, decode_vote, encode_answer, encode_vote};

/// A token that is read names the same daemons, by the same text.
#[test]
fn tokens_are_read_whole_or_refused() {
    let secret = ClusterSecret::from_bytes(&[7; 32]).unwrap();
    let addresses = vec!["a:1".to_owned(), "b:2".to_owned()];
    let token = JoinToken::new(&secret, [1; 16], StoreId([2; 16]), addresses).unwrap();
    let whole = token.to_text();
    let words = &["cairn-join-1.", "CgAA", "A", "=", "-", "_", " ", "\n", "EhAC"];
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..2);
    check!().with_generator((bytes(words, 12), damage, produce::<Option<u16>>())).for_each(|(raw, damage, cut)| {
        let mut changed = damaged(whole.as_bytes(), damage);
        changed.truncate(cut.map_or(usize::MAX, usize::from));
        for text in [raw.to_vec(), [b"cairn-join-1.", raw.as_slice()].concat(), changed] {
            let Ok(text) = String::from_utf8(text) else { continue };
            let Ok(read) = JoinToken::parse(&text) else { continue };
            let again = JoinToken::parse(&read.to_text()).unwrap();
            assert_eq!(again.to_text(), read.to_text());
        }
    });
}

#[test]
fn votes_and_answers_that_are_understood_survive() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let shape = (message("cairn.membership.v1.VoteRequest"), message("cairn.membership.v1.VoteResponse"), damage);
    let mut understood = 0;
    check!().with_generator(shape).for_each(|(request, response, damage)| {
        let store = StoreId([3; 16]);
        let request = decode_bytes::<v1::VoteRequest>("vote", Bytes::from(damaged(request, damage)));
        if let Some(Ok(vote)) = request.ok().and_then(|request| request.vote).map(decode_vote) {
            let written = encode_vote(store, &vote).vote.unwrap();
            assert_eq!(format!("{:?}", decode_vote(written).unwrap()), format!("{vote:?}"));
            understood += 1;
        }
        let response = decode_bytes::<v1::VoteResponse>("answer", Bytes::from(damaged(response, damage)));
        if let Ok(Ok(answer)) = response.map(decode_answer) {
            let records = [answer.chosen.as_ref(), answer.open.as_ref().map(|open| &open.record)];
            assert!(records.into_iter().flatten().all(|record| record.number > 0 && !record.content.voters.is_empty()));
            let again = decode_answer(encode_answer(store, &answer)).unwrap();
            assert_eq!(format!("{again:?}"), format!("{answer:?}"));
        }
    });
    assert!(understood > 0, "no vote was ever understood");
}

#[test]
fn records_and_changes_that_are_understood_survive() {
    let damage = produce::<Vec<(u16, u8)>>().with().len(0_usize..3);
    let shape = (message("cairn.membership.v1.NodeRecord"), message("cairn.membership.v1.StagedLayout"), damage);
    let mut understood = 0;
    check!().with_generator(shape).for_each(|(record, staged, damage)| {
        let record = decode_bytes::<v1::NodeRecord>("record", Bytes::from(damaged(record, damage)));
        if let Ok(Ok(record)) = record.map(NodeRecord::decode) {
            assert_eq!(NodeRecord::decode(record.encode()).as_ref(), Ok(&record));
            understood += 1;
        }
        let staged = decode_bytes::<v1::StagedLayout>("staged", Bytes::from(damaged(staged, damage)));
        if let Ok(Ok(staged)) = staged.map(Staged::decode) {
            assert_eq!(Staged::decode(staged.encode()).as_ref(), Ok(&staged));
            for change in &staged.changes {
                match change {
                    Change::Voters { names } => assert!(names.is_sorted_by(|a, b| a < b), "each voter once"),
                    Change::Replication { replication, zone_redundancy } => {
                        assert!(replication % 2 == 1 && zone_redundancy.is_none_or(|zones| zones <= *replication));
                    }
                    Change::Set { .. } | Change::Remove { .. } => {}
                }
            }
        }
    });
    assert!(understood > 0, "no record was ever understood");
}
