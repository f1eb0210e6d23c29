//! `run`: a command of somebody else's between a snapshot and a record.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::new(&[("a.txt", "one\ntwo\n"), ("b.txt", "b\n")])
}

#[test]
fn a_shell_edit_is_recorded_told_and_undone() {
    let sandbox = sandbox();
    let before = sandbox.tree();
    let script = "echo out; sed -i s/two/TWO/ a.txt; mv b.txt c.txt; exit 7";
    let arguments = [
        "run",
        "--task-id",
        "t-1",
        "--agent",
        "shell",
        "--",
        "sh",
        "-c",
        script,
    ];
    let run = sandbox.run(&arguments).exits(7);
    assert_eq!(run.out, "out\n");
    assert!(run.err.contains("modified a.txt (+1 −1)"), "{}", run.err);
    assert!(run.err.contains("renamed b.txt to c.txt"), "{}", run.err);
    assert!(
        run.err.contains("recorded 2 changed files as"),
        "{}",
        run.err
    );
    let record = sandbox
        .run(&["history", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(record["labels"]["task_id"], "t-1");
    assert_eq!(record["labels"]["agent"], "shell");
    let events = sandbox
        .run(&["events", "list", "--output", "json"])
        .exits(0)
        .out;
    assert!(events.contains("\"op\":\"rename-file\""), "{events}");
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn standard_input_and_status_are_the_commands_own() {
    let sandbox = sandbox();
    let run = sandbox.run_with("text", &["run", "--", "cat"]).exits(0);
    assert_eq!((&*run.out, &*run.err), ("text", ""));
    sandbox.run(&["run", "--", "no-such-command"]).exits(127);
    sandbox.run(&["run", "--", "./a.txt"]).exits(126);
    sandbox
        .run(&["run", "--", "sh", "-c", "kill -9 $$"])
        .exits(137);
    sandbox
        .run(&["run", "--lock-wait", "x", "--", "true"])
        .exits(2);
    let gone = sandbox.root().join("gone");
    let arguments = ["run", "--root", gone.to_str().unwrap(), "--", "true"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_patchctl"));
    let status = command.args(arguments).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(125));
    // Nothing changed, so nothing is in the log.
    assert_eq!(sandbox.run(&["history"]).exits(0).out.lines().count(), 0);
}

#[test]
fn the_report_is_the_last_line_for_machines() {
    let sandbox = sandbox();
    let arguments = [
        "run",
        "--output",
        "json",
        "--diff",
        "--",
        "sh",
        "-c",
        "echo hello; echo x > a.txt",
    ];
    let run = sandbox.run(&arguments).exits(0);
    let (first, last) = run.out.trim_end().split_once('\n').unwrap();
    assert_eq!(first, "hello");
    let report: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(report["files"][0]["path"], "a.txt");
    assert!(report["diff"].as_str().unwrap().contains("+x\n"));
}

#[test]
fn two_calls_around_a_tool_record_it_as_one_batch() {
    let sandbox = sandbox();
    let begun = sandbox.run(&["run", "--begin", "--agent", "hook"]).exits(0);
    let id = begun.out.trim();
    sandbox.write("a.txt", "changed\n");
    sandbox
        .run(&["append", "b.txt", "--content", "ours", "--allow-unguarded"])
        .exits(0);
    let ended = sandbox
        .run(&["run", "--end", id, "--exit-status", "2"])
        .exits(0);
    assert!(
        ended.err.contains("recorded 1 changed file as"),
        "{}",
        ended.err
    );
    let again = sandbox.run(&["run", "--end", id]).exits(2);
    assert!(
        again.err.contains("no command is being recorded"),
        "{}",
        again.err
    );
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
    assert_eq!(sandbox.read("b.txt"), "b\nours\n");
}

#[test]
fn a_run_that_was_killed_is_recorded_by_the_next_command() {
    let sandbox = sandbox();
    let script = "echo half > a.txt; echo ready; sleep 60";
    let mut child = sandbox
        .command(&["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn();
    let child = child.as_mut().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let taken = sandbox.run(&["snapshot"]).exits(0);
    assert!(taken.err.contains("was interrupted"), "{}", taken.err);
    sandbox
        .run(&["append", "b.txt", "--content", "x", "--allow-unguarded"])
        .exits(0);
    let history = sandbox.run(&["history"]).exits(0).out;
    assert_eq!(history.lines().count(), 2, "{history}");
    let shown = sandbox.run(&[
        "show",
        history.lines().last().unwrap().split(' ').next().unwrap(),
    ]);
    assert!(shown.out.contains("+half\n"), "{}", shown.out);
}

#[test]
fn a_signal_that_is_sent_to_us_reaches_the_command() {
    let sandbox = sandbox();
    let script =
        "trap 'echo caught > a.txt; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = sandbox
        .command(&["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(9));
    assert_eq!(sandbox.read("a.txt"), "caught\n");
    assert_eq!(sandbox.run(&["history"]).exits(0).out.lines().count(), 1);
}

#[test]
fn the_hooks_of_an_agent_record_one_batch_for_each_tool() {
    let sandbox = sandbox();
    let call = |event: &str, tool: &str| {
        serde_json::json!({
            "session_id": "s-1", "transcript_path": "/nowhere", "cwd": "/nowhere",
            "hook_event_name": event, "tool_name": "Bash", "tool_use_id": tool,
            "tool_input": {"command": "sed -i s/two/TWO/ a.txt"}
        })
        .to_string()
    };
    let hook = ["run", "--hook", "--agent", "claude"];
    let begun = sandbox.run_with(call("PreToolUse", "t-1"), &hook).exits(0);
    assert_eq!((&*begun.out, &*begun.err), ("", ""));
    sandbox.write("a.txt", "one\nTWO\n");
    let ended = sandbox.run_with(call("PostToolUse", "t-1"), &hook).exits(0);
    assert_eq!(ended.out, "");
    assert!(
        ended.err.contains("recorded 1 changed file"),
        "{}",
        ended.err
    );
    let again = sandbox.run_with(call("PostToolUse", "t-1"), &hook).exits(1);
    assert!(
        again.err.contains("no PreToolUse hook began"),
        "{}",
        again.err
    );
    sandbox.run_with("no JSON", &hook).exits(1);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
}

#[test]
fn a_change_that_breaks_a_rule_is_told_or_taken_back() {
    let sandbox = Sandbox::new(&[("a.ts", "// ###ONE###\n"), ("b.ts", "// ###TWO###\n")]);
    let tasks = serde_json::json!({
        "order_id": "O-1",
        "tasks": [
            {"uuid": "u-1", "order_id": "O-1", "file_path": "a.ts", "placeholder": "ONE", "status": "pending"},
            {"uuid": "u-2", "order_id": "O-1", "file_path": "b.ts", "placeholder": "TWO", "status": "pending"}
        ]
    });
    sandbox.write(".mission_control/tasks.json", tasks.to_string());
    let before = sandbox.tree();
    let script = ["--", "sh", "-c", "grep -v TWO b.ts > t; mv t b.ts"];
    let task = ["run", "--task-id", "u-1"];
    let undo = [&task[..], &["--on-violation", "undo"], &script].concat();
    let run = sandbox.run(&undo).exits(1);
    assert!(run.err.contains("breaks a rule"), "{}", run.err);
    assert!(run.err.contains("is taken back"), "{}", run.err);
    assert_eq!(sandbox.tree(), before);
    let report = [&task[..], &script].concat();
    let run = sandbox.run(&report).exits(1);
    assert!(run.err.contains("breaks a rule"), "{}", run.err);
    assert!(!sandbox.read("b.ts").contains("###TWO###"));
}

#[test]
fn a_command_gets_no_secret_and_none_is_recorded() {
    let sandbox = sandbox();
    let script = "env > a.txt; echo token-a-secret > b.txt";
    let mut command = sandbox.command(&["run", "--", "sh", "-c", script]);
    let output = command
        .env("ORCHESTRATOR_TOKEN", "token-a-secret")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!sandbox.read("a.txt").contains("token-a-secret"));
    let log = sandbox.root().join(".mission_control/log");
    let entry = std::fs::read_dir(log).unwrap().next().unwrap().unwrap();
    let record = std::fs::read_to_string(entry.path().join("manifest")).unwrap();
    let argv = record.split("\"argv\":").nth(1).unwrap();
    let argv = argv.split(']').next().unwrap();
    assert!(argv.contains("[redacted"), "{argv}");
}

/// A tree may be deeper than a process may have open files.
#[test]
fn a_deep_tree_is_recorded_with_few_open_files() {
    let sandbox = sandbox();
    let before = sandbox.tree();
    let script = r#"
        ulimit -n 64
        deep=$(printf 'd/%.0s' $(seq 300))
        "$0" run -- sh -c "mkdir -p $deep && echo deep > $deep/file && echo changed > a.txt"
    "#;
    let plain = sandbox.command(&[]);
    let run = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(plain.get_program())
        .current_dir(sandbox.root())
        .env_remove("PATCHCTL_ROOT")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    sandbox.run(&["append", "b.txt", "--content", "x"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn what_a_command_did_before_it_called_us_is_recorded_and_told() {
    let sandbox = sandbox();
    let before = sandbox.tree();
    let this = env!("CARGO_BIN_EXE_patchctl");
    let script = format!("sed -i s/one/ONE/ a.txt; {this} append a.txt --content three");
    let run = sandbox.run(&["run", "--", "sh", "-c", &script]).exits(0);
    assert!(run.err.contains("what the command"), "{}", run.err);
    assert!(
        run.err.contains("what it had done to a.txt before"),
        "{}",
        run.err
    );
    let history = sandbox.run(&["history"]).exits(0).out;
    assert_eq!(history.lines().count(), 2, "{history}");
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.tree(), before);
    let arguments = ["run", "--output", "json", "--", "sh", "-c", &script];
    let run = sandbox.run(&arguments).exits(0);
    let last = run.out.lines().last().unwrap();
    let report: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(report["status"], "applied");
    assert_eq!(report["earlier"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_rule_holds_for_what_was_done_before_another_batch() {
    let sandbox = Sandbox::new(&[("a.ts", "// ###ONE###\n"), ("b.ts", "// ###TWO###\nx\n")]);
    let tasks = serde_json::json!({
        "order_id": "O-1",
        "tasks": [
            {"uuid": "u-1", "order_id": "O-1", "file_path": "a.ts", "placeholder": "ONE", "status": "pending"},
            {"uuid": "u-2", "order_id": "O-1", "file_path": "b.ts", "placeholder": "TWO", "status": "pending"}
        ]
    });
    sandbox.write(".mission_control/tasks.json", tasks.to_string());
    let this = env!("CARGO_BIN_EXE_patchctl");
    let script = format!("sed -i /TWO/d b.ts; {this} append b.ts --content y; {this} undo");
    let task = ["run", "--task-id", "u-1", "--on-violation", "undo"];
    let run = [&task[..], &["--", "sh", "-c", &script]].concat();
    let run = sandbox.run(&run).exits(1);
    assert!(run.err.contains("breaks a rule"), "{}", run.err);
    assert!(run.err.contains("is taken back"), "{}", run.err);
    assert_eq!(sandbox.read("b.ts"), "// ###TWO###\nx\n");
}

/// Exit status 125 alone does not say whether the command was run.
#[test]
fn what_could_not_be_recorded_is_said_and_recorded_later() {
    let sandbox = sandbox();
    let before = sandbox.tree();
    let outside = |name: &str| sandbox.outside().join(name);
    let script = "echo three >> a.txt; touch ../began; until [ -e ../go ]; do sleep 0.01; done";
    let wrapper = ["run", "--lock-wait", "0", "--", "sh", "-c", script];
    let child = sandbox
        .command(&wrapper)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while outside("began").symlink_metadata().is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let lock = std::fs::File::open(sandbox.root().join(".mission_control/lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(outside("go"), "").unwrap();
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(125), "{told}");
    assert!(told.contains("the command was run, but"), "{told}");
    lock.unlock().unwrap();
    let recovered = sandbox.run(&["recover"]).exits(0);
    let is_told = recovered
        .err
        .contains("was interrupted; what it had done is recorded");
    assert!(is_told, "{recovered:?}");
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.tree(), before);

    let id = sandbox.run(&["run", "--begin"]).exits(0).out;
    let end = ["run", "--lock-wait", "0", "--end", id.trim()];
    sandbox.write("a.txt", "else\n");
    lock.lock().unwrap();
    let told = sandbox.run(&end).exits(3).err;
    assert!(told.contains("end the run once more"), "{told}");
    lock.unlock().unwrap();
    sandbox.run(&end).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.tree(), before);
}
