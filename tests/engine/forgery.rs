//! R13: even a journal that our own key sealed writes nothing where a batch could not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use patchcore::plan::{ChangeKind, FileState};
use patchcore::workspace::record::{
    ChangeRecord, Identity, Journal, Record, Step, TransactionState,
};
use patchcore::workspace::{ApplyOptions, Recovered, TransactionId, Workspace};
use patchcore::{Code, Digest, Hint};

use crate::workspace::{append, apply_new, batch, path, snapshot, tree};

/// A journal at its commit point, as a forger would leave it.
fn forge(root: &Path, file: &str, slot: &[u8], journal: impl FnOnce(&mut Journal)) -> Record {
    apply_new(root, batch(vec![append("a", "x")]));
    let digest = Digest::of(b"evil\n");
    let transaction = TransactionId::now();
    let state = FileState {
        digest,
        executable: false,
        link: false,
    };
    let mut record = Workspace::open(root)
        .unwrap()
        .log()
        .map(|log| log.read(&log.transactions().unwrap()[0]).unwrap().unwrap())
        .unwrap();
    record.transaction = transaction;
    record.batch_id = transaction.to_string();
    record.state = TransactionState::Committed;
    record.changes = vec![ChangeRecord {
        path: path(file),
        from: None,
        kind: ChangeKind::Created,
        before: None,
        after: Some(state),
        slot: None,
        edits: Vec::new(),
        touches: Vec::new(),
        lines_added: 1,
        lines_removed: 0,
    }];
    record.journal = Journal {
        steps: vec![Step {
            path: path(file),
            slot: 0,
            beside: false,
            old: None,
            new: Some(Identity {
                ino: 1,
                size: slot.len() as u64,
                mtime: [0, 0],
                mode: 0o644,
                digest,
                link: false,
            }),
        }],
        ..Journal::default()
    };
    journal(&mut record.journal);
    let current = root.join(".mission_control/txn/current");
    fs::create_dir(&current).unwrap();
    fs::write(current.join("0"), slot).unwrap();
    fs::set_permissions(current.join("0"), fs::Permissions::from_mode(0o644)).unwrap();
    let key = Workspace::open(root).unwrap().key().unwrap();
    fs::write(current.join("manifest"), record.to_bytes(key.as_ref())).unwrap();
    record
}

#[test]
fn r13_a_forged_journal_writes_nothing_where_a_batch_could_not() {
    let outside = tree(&[]);
    for file in [".git/hooks/pre-commit", ".mission_control/lock", "link/x"] {
        let dir = tree(&[("a", "a\n"), (".git/hooks/x", "x\n")]);
        let root = dir.path();
        symlink(outside.path(), root.join("link")).unwrap();
        forge(root, file, b"evil\n", |_| {});
        let before = snapshot(root);
        let workspace = Workspace::open(root).unwrap();
        assert!(workspace.recover().is_err(), "{file}");
        assert_eq!(snapshot(root), before);
        assert_eq!(snapshot(outside.path()), []);
        assert!(!root.join(file).try_exists().unwrap() || file.ends_with("lock"));
        let Recovered::Abandoned { kept } = workspace.abandon().unwrap() else {
            panic!("not set aside");
        };
        assert!(root.join(kept).join("manifest").try_exists().unwrap());
        assert_eq!(workspace.recover().unwrap(), Recovered::Nothing);
    }
}

/// Every value of a JSON document that is no object or array, by its pointer.
fn leaves(value: &serde_json::Value, pointer: String, found: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| leaves(value, format!("{pointer}/{name}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| leaves(value, format!("{pointer}/{index}"), found)),
        _ => found.push(pointer),
    }
}

#[test]
fn r13_r28_a_journal_with_any_value_replaced_stays_within_the_root() {
    use serde_json::{Value, json};
    let outside = tree(&[("secret", "s\n")]);
    let hostile = [
        json!("../secret"),
        json!("/etc/passwd"),
        json!(".git/hooks/x"),
        json!("link/secret"),
        json!("a"),
        json!(-1),
        json!(u64::MAX),
        json!(null),
        json!({"base64": "Li4vc2VjcmV0"}),
    ];
    let template = {
        let dir = tree(&[("a", "a\n")]);
        let record = forge(dir.path(), "new", b"evil\n", |_| {});
        let bytes = record.to_bytes(None);
        let body = &bytes[..bytes.iter().position(|&byte| byte == b'\n').unwrap()];
        serde_json::from_slice::<Value>(body).unwrap()
    };
    let mut pointers = Vec::new();
    leaves(&template, String::new(), &mut pointers);
    assert!(pointers.len() > 20);
    let mut followed = 0;
    for pointer in pointers {
        for value in &hostile {
            let dir = tree(&[("a", "a\n"), (".git/config", "c\n")]);
            let root = dir.path();
            symlink(outside.path(), root.join("link")).unwrap();
            let own = forge(root, "new", b"evil\n", |_| {});
            let mut forged = template.clone();
            // One that is older than the log would not be looked at.
            forged["transaction"] = json!(own.transaction.to_string());
            *forged.pointer_mut(&pointer).unwrap() = value.clone();
            let mut bytes = forged.to_string().into_bytes();
            bytes.push(b'\n');
            let checksum = Digest::of(&bytes);
            let workspace = Workspace::open(root).unwrap();
            let key = workspace.key().unwrap().unwrap();
            let seal = key.seal("record", &[checksum.as_bytes()]);
            bytes.extend_from_slice(format!("{checksum} {seal}\n").as_bytes());
            fs::write(root.join(".mission_control/txn/current/manifest"), bytes).unwrap();
            let recovered = workspace.recover();
            followed += usize::from(recovered.is_ok());
            let what = format!("{pointer} = {value}: {recovered:?}");
            assert_eq!(snapshot(&root.join(".git")).len(), 1, "{what}");
            assert_eq!(
                fs::read(outside.path().join("secret")).unwrap(),
                b"s\n",
                "{what}"
            );
            assert_eq!(snapshot(outside.path()).len(), 1, "{what}");
        }
    }
    assert!(followed > 0);
}

#[test]
fn r13_a_slot_that_is_not_what_the_journal_says_is_not_installed() {
    let dir = tree(&[("a", "a\n")]);
    forge(dir.path(), "new", b"EVIL\n", |_| {});
    let workspace = Workspace::open(dir.path()).unwrap();
    let recovered = workspace.recover().unwrap();
    assert!(
        matches!(recovered, Recovered::Finished { .. }),
        "{recovered:?}"
    );
    assert!(!dir.path().join("new").try_exists().unwrap());
}

#[test]
fn r13_a_journal_that_was_damaged_is_not_thrown_away() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    forge(root, "new", b"evil\n", |_| {});
    let manifest = root.join(".mission_control/txn/current/manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("append", "prepend", 1)).unwrap();
    let workspace = Workspace::open(root).unwrap();
    let error = workspace.recover().unwrap_err();
    assert_eq!(error.code(), Code::Unfinished);
    assert_eq!(error.hint(), Some(Hint::Abandon), "{error}");
    // Readers say so, too.
    let work = batch(vec![append("a", "y")]);
    let options = ApplyOptions {
        lock_wait: std::time::Duration::from_millis(100),
        ..ApplyOptions::default()
    };
    assert_eq!(
        workspace.check(&work, &options).unwrap_err().code(),
        Code::Unfinished
    );
    // One that was cut short never came to its commit point.
    fs::write(&manifest, &text[..text.len() - 10]).unwrap();
    assert_eq!(workspace.recover().unwrap(), Recovered::Discarded);
}
