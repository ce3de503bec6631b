//! REGISTER D1: a row that a reader finds is on stable storage already.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cairn_store::{Batch, Durability, Options, Rocks, Store};

/// Numbers of fsync, fdatasync and sync_file_range.
#[cfg(target_arch = "x86_64")]
const SYNC_CALLS: [&str; 3] = ["74", "75", "277"];
#[cfg(target_arch = "aarch64")]
const SYNC_CALLS: [&str; 3] = ["82", "83", "84"];

/// Synced writes made while a reader watches.
const ROUNDS: u32 = 300;

fn wait_for(wanted: &AtomicU32, at_least: u32) {
    while wanted.load(Ordering::SeqCst) < at_least {
        thread::yield_now();
    }
}

fn is_syncing(writer: &Path) -> bool {
    let call = fs::read_to_string(writer.join("syscall")).unwrap();
    SYNC_CALLS.contains(&call.split_whitespace().next().unwrap_or_default())
}

/// A reader polls for the row that a writer is writing; the kernel says what the writer's thread is doing. A row that
/// is visible while the writer is still inside its sync would be visible before it is durable.
#[test]
fn no_reader_sees_a_row_before_its_sync() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Arc::new(Rocks::open(&directory.path().join("db"), &Options::default()).unwrap());
    let wanted = Arc::new(AtomicU32::new(0));
    let (announce, announced) = std::sync::mpsc::channel();

    let writer = thread::spawn({
        let (store, wanted) = (store.clone(), wanted.clone());
        move || {
            announce.send(PathBuf::from("/proc").join(fs::read_link("/proc/thread-self").unwrap())).unwrap();
            for round in 0..ROUNDS {
                wait_for(&wanted, round + 1);
                let mut batch = Batch::new();
                batch.put(round.to_be_bytes(), vec![7; 4096]);
                store.write(batch, Durability::Synced).unwrap();
            }
            // The kernel knows nothing of threads that are gone.
            wait_for(&wanted, ROUNDS + 1);
        }
    });

    let writer_task = announced.recv().unwrap();
    let mut hidden_during_sync = 0;
    for round in 0..ROUNDS {
        wanted.store(round + 1, Ordering::SeqCst);
        loop {
            let visible = store.get(&round.to_be_bytes()).unwrap().is_some();
            if visible {
                assert!(!is_syncing(&writer_task), "row {round} was visible during its own sync");
                break;
            }
            hidden_during_sync += u32::from(is_syncing(&writer_task));
        }
    }
    wanted.store(ROUNDS + 1, Ordering::SeqCst);
    writer.join().unwrap();
    assert!(hidden_during_sync > 0, "the test never met a sync: it proves nothing on this file system");
}
