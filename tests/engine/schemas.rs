//! What is written passes the schema that is published for it.

use patchcore::batch::{self, Limits};
use patchcore::event;
use patchcore::plan::Part;
use patchcore::workspace::{ApplyOptions, Workspace};
use serde_json::Value;

fn check(name: &str, value: &impl serde::Serialize) {
    let schema = patchcore::schema::of(name).expect(name);
    let value: Value = serde_json::to_value(value).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:#?}\n{value:#}");
}

#[test]
fn reports_records_and_events_pass_their_schemas() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "one\ntwo\n").unwrap();
    std::fs::write(dir.path().join("b"), b"caf\xe9\n").unwrap();
    let batches = [
        r#"{"batch_id": "1", "order_id": "O", "operations": [
            {"op": "replace-block", "file": "a.txt", "at": {"line": 2}, "expect": "two", "content": "2"},
            {"op": "append", "file": "b", "content_base64": "/w==", "agent": "codex"},
            {"op": "rename-file", "file": "a.txt", "to": "c/d.txt"},
            {"op": "create-file", "file": "run.sh", "content": "", "executable": true}
        ]}"#,
        r#"{"batch_id": "2", "operations": [
            {"op": "replace-text", "file": "b", "find": "x", "content": "y"},
            {"op": "append", "file": "../x", "content": "y"},
            {"op": "insert-after", "file": "c/d.txt", "at": {"line": 1}, "content": "y"}
        ]}"#,
        r#"{"batch_id": "1", "operations": []}"#,
    ];
    let workspace = Workspace::open(dir.path()).unwrap();
    for json in batches {
        let batch = batch::parse(json.as_bytes(), &Limits::default()).unwrap();
        let applied = workspace.apply(&batch, &ApplyOptions::default()).unwrap();
        check("Report", &applied.report);
    }
    let log = workspace.log().unwrap();
    let transactions = log.transactions().unwrap();
    assert!(transactions.len() >= 2);
    for transaction in transactions {
        let record = log.read(&transaction).unwrap().unwrap();
        check("Record", &record);
        let events: Vec<_> = event::events(&record).collect();
        assert!(!events.is_empty());
        for event in events {
            check("PatchEvent", &event);
        }
    }
}

#[test]
fn what_was_read_passes_its_schema() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "one\r\ntwo").unwrap();
    std::fs::write(dir.path().join("b"), b"caf\xe9\n").unwrap();
    std::fs::write(dir.path().join("empty"), b"").unwrap();
    let workspace = Workspace::open(dir.path()).unwrap();
    let files = ["a.txt", "b", "empty", "missing"];
    let wanted = files.map(|file| (patchcore::RelPath::new(file).unwrap(), Part::Whole));
    let wait = std::time::Duration::from_secs(5);
    let read = workspace.read(wanted.to_vec(), "", wait).unwrap();
    check("Reading", &read.report());
}
