//! The file system that loses power, through the kernel: what daemons will see.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};

use cairn_tests::powerfs::{PowerFs, Survivors};

const O_DIRECT: i32 = 0o40000;

#[test]
fn a_real_mount_keeps_only_what_was_synced() {
    let place = tempfile::tempdir().unwrap();
    let mut fs = PowerFs::mount(place.path(), 64 << 20).unwrap();
    let dir = place.path().join("d");
    fs::create_dir(&dir).unwrap();
    let mut kept = File::create(dir.join("kept")).unwrap();
    kept.write_all(b"synced").unwrap();
    kept.sync_all().unwrap();
    File::open(&dir).unwrap().sync_all().unwrap();
    File::open(place.path()).unwrap().sync_all().unwrap();
    kept.write_all(b" and not").unwrap();
    fs::write(dir.join("lost"), b"nobody synced me").unwrap();

    fs.cut();
    assert!(kept.sync_all().is_err());
    drop(kept);
    fs.restore(Survivors::None).unwrap();

    let mut text = String::new();
    File::open(dir.join("kept")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "synced");
    assert!(!dir.join("lost").exists());
}

#[test]
fn direct_writes_renames_and_full_disks_work() {
    let place = tempfile::tempdir().unwrap();
    let fs = PowerFs::mount(place.path(), 8 << 20).unwrap();
    let path = place.path().join("segment");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
    file.write_all_at(&[5; 10_000], 4096).unwrap();
    file.sync_data().unwrap();
    fs::rename(&path, place.path().join("renamed")).unwrap();
    assert_eq!(fs::read(place.path().join("renamed")).unwrap().len(), 14_096);
    // Whether O_DIRECT is there or refused, opening must not break anything.
    if let Ok(direct) = OpenOptions::new().read(true).custom_flags(O_DIRECT).open(place.path().join("renamed")) {
        drop(direct);
    }
    fs.leave_room(4096);
    assert!(file.write_all_at(&[1; 1 << 20], 1 << 20).is_err());
    fs.set_failing(true);
    assert!(file.sync_data().is_err());
    fs.set_failing(false);
    file.sync_data().unwrap();
    drop(file);
}
