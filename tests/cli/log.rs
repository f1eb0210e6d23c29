//! What was done, shown, checked, taken back and cleaned up by command.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(&[("a.txt", "one\n"), ("b.txt", "two\n")]);
    for (number, file) in ["a.txt", "b.txt"].into_iter().enumerate() {
        let batch = json!({
            "batch_id": format!("batch-{number}"),
            "agent": "codex",
            "operations": [{"op": "append", "file": file, "content": "more"}],
        });
        sandbox.write("../batch.json", batch.to_string());
        sandbox.run(&["apply", "../batch.json"]).exits(0);
    }
    sandbox
}

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn history_lists_the_newest_first_and_says_what_was_undone() {
    let sandbox = sandbox();
    sandbox.run(&["undo", "batch-0"]).exits(0);
    let history = lines(&sandbox.run(&["history", "--output", "json"]).exits(0).out);
    let of = |index: usize, field: &str| history[index][field].clone();
    assert_eq!(history.len(), 3);
    assert_eq!(of(0, "undoes"), of(2, "transaction"));
    assert_eq!(of(2, "undone_by"), of(0, "transaction"));
    assert_eq!(of(1, "batch_id"), "batch-1");
    assert_eq!(of(1, "labels")["agent"], "codex");
    let one = sandbox.run(&["history", "-n", "1"]).exits(0).out;
    assert_eq!(one.lines().count(), 1);
    assert!(one.contains("undoes"), "{one}");
}

#[test]
fn show_gives_verdicts_and_diff_whether_or_not_the_tree_has_moved_on() {
    let sandbox = sandbox();
    sandbox.write("a.txt", "something else\n");
    let shown = sandbox.run(&["show", "batch-0"]).exits(0).out;
    assert!(
        shown.contains("applied          append a.txt:2-2"),
        "{shown}"
    );
    assert!(shown.ends_with("@@ -1 +1,2 @@\n one\n+more\n"), "{shown}");
    let report = sandbox
        .run(&["show", "batch-0", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(report["status"], "applied");
    assert!(report["diff"].as_str().unwrap().contains("+more\n"));
    let last = sandbox.run(&["show"]).exits(0).out;
    assert!(last.contains("batch-1"), "{last}");
    sandbox.run(&["show", "nothing"]).exits(2);
}

#[test]
fn undo_takes_the_last_batch_back_then_the_one_before_it() {
    let sandbox = sandbox();
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("b.txt"), "two\n");
    let report = sandbox.run(&["undo", "--output", "json"]).exits(0).json();
    assert_eq!(report["operations"][0]["outcome"], "undone");
    assert_eq!(report["files"][0]["path"], "a.txt");
    assert_eq!(sandbox.read("a.txt"), "one\n");
    sandbox.run(&["undo"]).exits(2);
    sandbox.run(&["undo", "batch-1"]).exits(0);
    assert_eq!(sandbox.read("b.txt"), "two\n");
}

#[test]
fn undo_refuses_a_file_that_changed_since_and_names_it() {
    let sandbox = sandbox();
    sandbox.write("a.txt", "one\nmore\nmine\n");
    let run = sandbox.run(&["undo", "batch-0"]).exits(1);
    assert!(
        run.err.contains("CHANGED_SINCE") && run.err.contains("a.txt"),
        "{}",
        run.err
    );
    assert_eq!(sandbox.read("a.txt"), "one\nmore\nmine\n");
}

#[test]
fn audit_names_what_others_changed_and_what_was_tampered_with() {
    let sandbox = sandbox();
    sandbox.run(&["audit"]).exits(0);
    sandbox.write("a.txt", "mine\n");
    std::fs::remove_file(sandbox.root().join("b.txt")).unwrap();
    let audit = sandbox.run(&["audit", "--output", "json"]).exits(1).json();
    assert_eq!(audit["changed"][0]["path"], "a.txt");
    assert_eq!(audit["changed"][1]["found"], Value::Null);
    let human = sandbox.run(&["audit"]).exits(1).out;
    assert!(human.contains("b.txt is gone"), "{human}");
}

/// The log's entry of a batch, by its place.
fn log_entry(sandbox: &Sandbox, index: usize) -> std::path::PathBuf {
    let log = std::fs::read_dir(sandbox.root().join(".mission_control/log")).unwrap();
    let mut entries: Vec<_> = log.map(|entry| entry.unwrap().path()).collect();
    entries.sort_unstable();
    entries.swap_remove(index)
}

#[test]
fn audit_names_a_record_that_somebody_removed_and_not_what_gc_removed() {
    for index in [0, 1, 2] {
        let sandbox = Sandbox::new(&[("a", "a\n")]);
        for line in ["1", "2", "3"] {
            sandbox.run(&["append", "a", "--content", line]).exits(0);
        }
        let removed = log_entry(&sandbox, index);
        let id = removed.file_name().unwrap().to_str().unwrap();
        std::fs::remove_dir_all(&removed).unwrap();
        let audit = sandbox.run(&["audit", "--output", "json"]).exits(1).json();
        assert_eq!(audit["damaged"][0]["transaction"], id, "{audit}");
        let human = sandbox.run(&["audit"]).exits(1).out;
        assert!(human.contains(&format!("{id}: is missing")), "{human}");
        // It stays so behind the next batch.
        sandbox.run(&["append", "a", "--content", "4"]).exits(0);
        let human = sandbox.run(&["audit"]).exits(1).out;
        assert!(human.contains(&format!("{id}: is missing")), "{human}");
    }
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    for line in ["1", "2", "3"] {
        sandbox.run(&["append", "a", "--content", line]).exits(0);
    }
    for size in ["2k", "0"] {
        sandbox.run(&["gc", "--max-size", size]).exits(0);
        sandbox.run(&["audit"]).exits(0);
    }
    sandbox.run(&["append", "a", "--content", "4"]).exits(0);
    sandbox.run(&["audit"]).exits(0);
}

#[test]
fn gc_frees_what_is_past_its_bounds() {
    let sandbox = sandbox();
    let kept = sandbox.run(&["gc", "--output", "json"]).exits(0).json();
    assert_eq!((&kept["removed"], &kept["kept"]), (&json!(0), &json!(2)));
    let freed = sandbox
        .run(&["gc", "--max-size", "1k", "--output", "json"])
        .exits(0)
        .json();
    assert!(freed["removed"].as_u64().unwrap() > 0, "{freed}");
    let status = sandbox.run(&["status", "--output", "json"]).exits(0).json();
    assert_eq!(status["entries"], freed["kept"]);
    assert_eq!(status["unfinished"], Value::Null);
}

#[test]
fn on_an_untouched_tree_there_is_nothing_to_see_and_nothing_is_written() {
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    for command in ["status", "history", "audit"] {
        sandbox.run(&[command]).exits(0);
    }
    sandbox.run(&["show"]).exits(2);
    assert!(
        !sandbox
            .root()
            .join(".mission_control")
            .try_exists()
            .unwrap()
    );
}

#[test]
fn undo_to_a_point_and_a_replay_lead_to_the_same_bytes() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n"), ("b.txt", "b\n")]);
    sandbox.run(&["snapshot"]).exits(0);
    let report = |arguments: &[&str]| {
        let arguments = [arguments, &["--output", "json"]].concat();
        sandbox.run(&arguments).exits(0).json()
    };
    let first = report(&["append", "a.txt", "--content", "two"]);
    let first = first["transaction"].as_str().unwrap().to_owned();
    let then = sandbox.tree();
    report(&["append", "b.txt", "--content", "three"]);
    sandbox
        .run(&["run", "--", "sh", "-c", "rm a.txt; echo x > new"])
        .exits(0);
    report(&["undo"]);
    report(&["rename-file", "b.txt", "c.txt"]);
    let now = sandbox.tree();
    let preview = report(&["undo", "--to", &first, "--dry-run"]);
    assert_eq!(preview["status"], "previewed");
    assert_eq!(preview["operations"][0]["would"], "undone");
    assert_eq!(sandbox.tree(), now);
    let undone = report(&["undo", "--to", &first]);
    assert_eq!(undone["plan"], preview["plan"]);
    assert_eq!(sandbox.tree(), then);
    let events = sandbox
        .run(&["events", "list", "--output", "json"])
        .exits(0)
        .out;
    assert!(events.contains("PATCH_UNDONE"), "{events}");
    let copy = sandbox.outside().join("copy");
    let replayed = report(&["history", "--replay", copy.to_str().unwrap()]);
    assert_eq!(replayed["from_snapshot"], true);
    assert_eq!(std::fs::read(copy.join("a.txt")).unwrap(), b"one\ntwo\n");
    assert_eq!(std::fs::read(copy.join("b.txt")).unwrap(), b"b\n");
    let id = undone["transaction"].as_str().unwrap();
    report(&["undo", id]);
    assert_eq!(sandbox.tree(), now);
    let run = sandbox.run(&["undo", "--to", "no-such"]).exits(2);
    assert!(
        run.err.contains("the log has no batch \"no-such\""),
        "{}",
        run.err
    );
    let run = sandbox
        .run(&["undo", "--to", "2001-01-01T00:00:00Z"])
        .exits(0);
    assert!(run.out.contains("+b"), "{}", run.out);
    sandbox.run(&["undo", "--dry-run"]).exits(2);
}
