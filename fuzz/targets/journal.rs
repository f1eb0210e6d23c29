//! A journal of any bytes: no panic; what can be read survives the way there and back; and what is
//! recovered from it, under a seal that holds, leaves everything beside the root alone.
#![no_main]

use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use patchcore::Digest;
use patchcore::workspace::{LOCK_WAIT, Record, Workspace};

fuzz_target!(|input: &[u8]| {
    if let Ok(record) = Record::from_bytes(input) {
        let again = Record::from_bytes(&record.to_bytes(None));
        assert_eq!(again.ok(), Some(record));
    }
    let mut forged = input.to_vec();
    forged.push(b'\n');
    let checksum = Digest::of(&forged);
    forged.extend_from_slice(format!("{checksum}\n").as_bytes());
    if let Ok(record) = Record::from_bytes(&forged) {
        recover(&record);
    }
});

fn recover(journal: &Record) {
    let outside = PathBuf::from(format!("/tmp/patchcore-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&outside);
    let root = outside.join("root");
    fs::create_dir_all(root.join(".git")).expect("the directory for temporary files can be written");
    let workspace = Workspace::open(&root).expect("the root is there");
    // A journal of anybody else is not followed at all.
    let key = workspace.make_key(LOCK_WAIT).expect("the root is new");
    let current = root.join(".mission_control/txn/current");
    fs::create_dir(&current).expect("the root is new");
    fs::write(current.join("0"), "staged\n").expect("the root is new");
    fs::write(current.join("manifest"), journal.to_bytes(Some(&key))).expect("the root is new");
    // Whether it can be followed or not.
    let _ = workspace.recover();
    let _ = workspace.status().expect("the state can be read");
    let names: Vec<_> = fs::read_dir(&outside).expect("it is there").collect();
    assert_eq!(names.len(), 1, "something was written beside the root");
    let git = fs::read_dir(root.join(".git")).map_or(0, Iterator::count);
    assert_eq!(git, 0, "something was written into a protected directory");
}
