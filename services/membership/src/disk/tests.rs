use cairn_placement::Role;
use cairn_register::voters::{Ballot, Open};
use cairn_types::OpId;
use proptest::prelude::*;

use super::*;
use crate::staged::Change;
use crate::testing::{first_record, node};

pub(super) fn saved() -> Saved {
    let mut saved = Saved::new(StoreId([5; 16]), false);
    let record = voters_record(Arc::new(first_record()));
    let mut next = first_record();
    (next.number, next.op) = (2, OpId([8; 16]));
    let ballot = Ballot { number: 2, time: 7, proposer: 9 };
    saved.voter.promised = Ballot { time: 8, ..ballot };
    saved.voter.chosen = Some(record);
    saved.voter.open = Some(Open { ballot, record: voters_record(Arc::new(next)) });
    saved.staged.add(vec![Change::Remove { name: "node9".parse().unwrap() }]).unwrap();
    saved.tokens.insert([3; 16], Issued { expires_ms: 77, used: true });
    saved.founding = true;
    saved.nodes = vec![node(1, Role::Membership), node(2, Role::Block)];
    saved
}

#[test]
fn states_survive_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::create(directory.path(), StoreId([5; 16]), false).unwrap();
    assert_eq!(disk.saved(), &Saved::new(StoreId([5; 16]), false));
    disk.save(&saved()).unwrap();
    drop(disk);
    assert_eq!(Disk::open(directory.path()).unwrap().saved(), &saved());
}

#[test]
fn a_store_is_held_once() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::create(directory.path(), StoreId([5; 16]), false).unwrap();
    assert!(matches!(Disk::open(directory.path()), Err(DiskError::InUse { .. })));
    drop(disk);
    assert!(matches!(Disk::create(directory.path(), StoreId([6; 16]), true), Err(DiskError::Used { .. })));
    assert_eq!(Disk::open(directory.path()).unwrap().store(), StoreId([5; 16]));
}

#[test]
fn an_empty_directory_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Disk::open(directory.path()), Err(DiskError::Missing { .. })));
    assert!(matches!(Disk::open(&directory.path().join("nothing")), Err(DiskError::Missing { .. })));
}

#[test]
fn a_torn_write_leaves_the_old_state() {
    let directory = tempfile::tempdir().unwrap();
    Disk::create(directory.path(), StoreId([5; 16]), false).unwrap().save(&saved()).unwrap();
    fs::write(directory.path().join("membership.state.1.new"), &format::encode(&saved())[..40]).unwrap();
    let disk = Disk::open(directory.path()).unwrap();
    assert_eq!(disk.saved(), &saved());
    disk.save(&saved()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_refused(at in any::<prop::sample::Index>(), bit in 0..8_u8, cut in any::<bool>()) {
        let mut bytes = format::encode(&saved()).to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        prop_assert!(format::decode(bytes.into()).is_err());
    }

    #[test]
    fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(format::decode(bytes.into()).is_err());
    }
}
