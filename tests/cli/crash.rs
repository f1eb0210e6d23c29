//! The program killed, stopped, starved and run fifty times at once.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::sandbox::Sandbox;

fn batch(operations: serde_json::Value) -> String {
    json!({ "operations": operations }).to_string()
}

fn append_and_create() -> String {
    batch(json!([
        {"op": "append", "file": "a", "content": "x"},
        {"op": "create-file", "file": "d/new", "content": "n\n"},
    ]))
}

/// A shell that may run the program under limits, with its path as `$0` and the root as `$1`.
fn shell(sandbox: &Sandbox, script: &str) -> Output {
    let plain = sandbox.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(plain.get_program());
    shell.arg(sandbox.root()).current_dir(sandbox.root());
    shell
        .env_remove("PATCHCTL_ROOT")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn r1_a_batch_whose_verification_was_killed_with_us_is_taken_back() {
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    let before = sandbox.tree();
    sandbox.write("../batch.json", append_and_create());
    let killed = sandbox
        .command(&[
            "apply",
            "../batch.json",
            "--verify",
            "kill -9 $PPID; sleep 1",
        ])
        .output()
        .unwrap();
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    // It is installed, and nobody vouches for it.
    assert_eq!(sandbox.read("d/new"), "n\n");
    let status = sandbox.run(&["status", "--output", "json"]).exits(0).json();
    assert_eq!(status["unfinished"]["state"], "prepared");
    let check = sandbox.run(&["check", "../batch.json"]).exits(3);
    assert!(check.err.contains("UNFINISHED"), "{}", check.err);
    let recovered = sandbox
        .run(&["recover", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(recovered["recovered"], "taken_back");
    assert_eq!(sandbox.tree(), before);
    let history = sandbox
        .run(&["history", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(history["status"], "rolled_back");
}

/// `git clean -fdx` removes the state, since the state ignores itself, and what the batch created.
#[test]
fn a_verification_that_cleans_neither_saves_a_batch_nor_loses_one() {
    let git = |sandbox: &Sandbox, args: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        let mut git = Command::new("git");
        git.args(identity).args(args).current_dir(sandbox.root());
        assert!(git.output().unwrap().status.success(), "{args:?}");
    };
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    git(&sandbox, &["init", "-q"]);
    git(&sandbox, &["add", "a"]);
    git(&sandbox, &["commit", "-qm", "a"]);
    let batch = batch(json!([{"op": "append", "file": "a", "content": "x"}]));
    sandbox.write("../batch.json", batch);
    let verify = |end: &str| {
        let command = format!("git clean -fdxq; {end}");
        sandbox.run(&["apply", "../batch.json", "--verify", &command])
    };
    let failed = verify("false").exits(1);
    assert!(failed.err.contains("VERIFY_FAILED"), "{}", failed.err);
    assert!(
        failed.err.contains("verification command removed"),
        "{}",
        failed.err
    );
    assert_eq!(sandbox.read("a"), "a\n");
    let history = || {
        sandbox
            .run(&["history", "--output", "json"])
            .exits(0)
            .json()
    };
    assert_eq!(history()["status"], "rolled_back");
    verify("true").exits(0);
    assert_eq!(sandbox.read("a"), "a\nx\n");
    assert_eq!(history()["status"], "applied");
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("a"), "a\n");
}

/// What a command removed is there again before it ends, so that nobody's death loses it.
#[test]
fn r1_a_verification_that_removed_the_state_and_was_killed_with_us_is_taken_back() {
    for ruin in [
        "rm -r .mission_control",
        "rm -r .mission_control/txn",
        "rm -r .mission_control/txn/current/*",
        "git init -q; git clean -fdxq -e a -e d",
    ] {
        let sandbox = Sandbox::new(&[("a", "a\n"), ("d/b", "b\n")]);
        let before = sandbox.tree();
        let operations = json!([
            {"op": "append", "file": "a", "content": "x"},
            {"op": "append", "file": "d/b", "content": "x"},
            {"op": "create-file", "file": "d/new", "content": "n\n"},
        ]);
        sandbox.write("../batch.json", batch(operations));
        let wait = "until [ -e .mission_control/txn/current/1 ]; do sleep 0.05; done";
        let command = format!("{ruin}; {wait}; rm -rf .git; kill -9 $PPID; sleep 1");
        let killed = sandbox.command(&["apply", "../batch.json", "--verify", &command]);
        let killed = { killed }.output().unwrap();
        assert_eq!(killed.status.signal(), Some(9), "{ruin}: {killed:?}");
        assert_eq!(sandbox.read("a"), "a\nx\n", "{ruin}");
        let check = sandbox.run(&["check", "../batch.json"]).exits(3);
        assert!(check.err.contains("UNFINISHED"), "{ruin}: {}", check.err);
        sandbox.run(&["recover"]).exits(0);
        assert_eq!(sandbox.tree(), before, "{ruin}");
        let history = sandbox.run(&["history", "--output", "json"]).exits(0);
        assert_eq!(history.json()["status"], "rolled_back", "{ruin}");
        sandbox.run(&["audit"]).exits(0);
    }
}

/// Who removes a large state for seconds finds nothing new in it, which it could not remove.
#[test]
fn the_state_is_not_made_again_while_a_command_still_removes_it() {
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    let operations = json!([{"op": "append", "file": "a", "content": "x"}]);
    sandbox.write("../batch.json", batch(operations));
    let fill = "mkdir .mission_control/log/1 .mission_control/log/2 .mission_control/log/3";
    let slowly = "rm -r .mission_control/txn; for i in 1 2 3; do sleep 0.6; rmdir .mission_control/log/$i; done";
    let rest = "rmdir .mission_control/log && rm -r .mission_control/* .mission_control/.gitignore && rmdir .mission_control";
    let command = format!("{fill}; {slowly}; test ! -e .mission_control/txn && {rest}");
    sandbox
        .run(&["apply", "../batch.json", "--verify", &command])
        .exits(0);
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("a"), "a\n");
}

/// Exit status 3 means that the tree is as it was, unless the message says what is not.
#[test]
fn what_could_not_be_taken_back_is_named_with_the_place_of_its_bytes() {
    let sandbox = Sandbox::new(&[("a", "a\n"), ("d/b", "b\n")]);
    let operations = json!([
        {"op": "append", "file": "a", "content": "x"},
        {"op": "append", "file": "d/b", "content": "x"},
    ]);
    sandbox.write("../batch.json", batch(operations));
    let before = sandbox.tree();
    let command = "rm -r d; echo file > d; false";
    let run = sandbox
        .run(&["apply", "../batch.json", "--verify", command])
        .exits(3);
    let kept = ".mission_control/txn/current/1";
    for part in ["UNFINISHED", "1 of 2 files", "d/b", kept, "run recover"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert_eq!(sandbox.read(kept), "b\n");
    assert_eq!(sandbox.read("a"), "a\n");
    sandbox.run(&["recover"]).exits(3);
    std::fs::remove_file(sandbox.root().join("d")).unwrap();
    sandbox.run(&["recover"]).exits(0);
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn r6_whoever_stops_us_stops_the_verification_and_gets_the_old_tree() {
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    let before = sandbox.tree();
    sandbox.write("../batch.json", append_and_create());
    for signal in ["TERM", "INT"] {
        let began = Instant::now();
        let command = format!("kill -{signal} $PPID; sleep 600");
        let run = sandbox
            .run(&["apply", "../batch.json", "--verify", &command])
            .exits(1);
        assert!(run.err.contains("interrupted"), "{}", run.err);
        assert_eq!(sandbox.tree(), before);
        assert!(began.elapsed() < Duration::from_secs(300));
    }
}

#[test]
fn a_verification_is_bounded_in_time_and_output() {
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    let before = sandbox.tree();
    sandbox.write("../batch.json", append_and_create());
    let slow = [
        "apply",
        "../batch.json",
        "--verify",
        "sleep 600",
        "--verify-timeout",
        "0.1",
    ];
    let run = sandbox.run(&slow).exits(1);
    assert!(run.err.contains("VERIFY_FAILED"), "{}", run.err);
    let noisy = r"yes | head -c 3000000; printf '\033[2Jend'; exit 1";
    let run = sandbox
        .run(&["apply", "../batch.json", "--verify", noisy])
        .exits(1);
    assert!(
        run.err.len() < 4096 && run.err.contains("end"),
        "{}",
        run.err
    );
    assert!(!run.err.contains('\u{1b}'), "{}", run.err);
    assert_eq!(sandbox.tree(), before);
}

/// No stack of this size can be had, so that every thread is one too many.
#[test]
fn what_threads_share_is_done_by_one_where_the_system_gives_no_more() {
    let large = "0123456789abcde\n".repeat(5 << 16);
    let names: Vec<String> = (0..300).map(|number| format!("f{number:03}")).collect();
    let mut files: Vec<_> = names.iter().map(|name| (&**name, "line\n")).collect();
    files.extend([("large", &*large), ("other", &*large)]);
    let sandbox = Sandbox::new(&files);
    let long = "x".repeat(1000);
    let append = |(name, _): &(&str, &str)| json!({"op": "append", "file": name, "content": long});
    let operations: Vec<_> = files.iter().map(append).collect();
    sandbox.write(
        "../batch.json",
        json!({"operations": operations}).to_string(),
    );
    let alone = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("RUST_MIN_STACK", (1_u64 << 60).to_string());
        command.output().unwrap()
    };
    for args in [
        &["apply", "../batch.json"][..],
        &["diff", "large", "other"],
        &["audit"],
    ] {
        let output = alone(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    }
    assert_eq!(sandbox.read("f299"), format!("line\n{long}\n"));
    // Nobody could listen to what the command says.
    let verified = alone(&["undo", "--verify", "true"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert_eq!(sandbox.read("f299"), format!("line\n{long}\n"));
}

#[test]
fn r7_a_file_size_limit_leaves_the_old_tree_and_a_clear_error() {
    let long = "line of a file that is longer than the limit\n".repeat(4000);
    let sandbox = Sandbox::new(&[("a", &long)]);
    let before = sandbox.tree();
    sandbox.write("../batch.json", append_and_create());
    let script = r#"ulimit -f 64 && exec "$0" apply ../batch.json --root "$1""#;
    let output = shell(&sandbox, script);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("too large"), "{said}");
    assert_eq!(sandbox.tree(), before);
    sandbox.run(&["apply", "../batch.json"]).exits(0);
}

/// Runs a script with mounts of its own; `None` where the system does not let us.
fn with_mounts(sandbox: &Sandbox, script: &str) -> Option<Output> {
    let allowed = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none"])
        .arg(sandbox.outside())
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed {
        eprintln!("skipped: this system lets the test make no mounts");
        return None;
    }
    let quoted = script.replace('\'', r"'\''");
    let script = format!(r#"exec unshare -m sh -c '{quoted}' "$0" "$1""#);
    Some(shell(sandbox, &script))
}

#[test]
fn r7_a_full_disk_leaves_the_old_tree_and_a_clear_error() {
    let sandbox = Sandbox::new(&[]);
    sandbox.write("../batch.json", append_and_create());
    for options in ["size=64k", "size=1m,nr_inodes=8"] {
        let script = format!(
            r#"set -e
            mount -t tmpfs -o {options} none .
            cd "$PWD"
            head -c 40000 /dev/zero | tr '\0' 'a' > a
            cp a ../copy
            rc=0; "$0" apply ../batch.json --root . || rc=$?
            [ $rc = 3 ]
            cmp a ../copy
            [ ! -e d ] && [ ! -e .mission_control/txn/current ]"#
        );
        let Some(output) = with_mounts(&sandbox, &script) else {
            return;
        };
        assert!(output.status.success(), "{options}: {output:?}");
    }
}

/// Old bytes that a command removed, on a disk that it filled, are nowhere but in a process that ends.
#[test]
fn r7_what_a_full_disk_keeps_from_being_taken_back_is_named_and_said_to_be_lost() {
    let sandbox = Sandbox::new(&[]);
    sandbox.write("../batch.json", append_and_create());
    for end in ["true", "false"] {
        let script = format!(
            r#"set -e
            mount -t tmpfs -o size=1m none .
            cd "$PWD"
            yes | head -n 20000 > a
            cp a ../copy
            rc=0; "$0" apply -q --no-diff ../batch.json --root . 2> ../said --verify "rm -rf .mission_control; cat /dev/zero > fill 2> /dev/null; {end}" || rc=$?
            cat ../said >&2
            [ $rc = 3 ]
            ! cmp -s a ../copy
            grep -q UNFINISHED ../said
            grep -q 'a (.*its old bytes are lost' ../said
            grep -q 'right by hand' ../said
            rm fill
            [ "$("$0" recover --root .)" = 'nothing was unfinished' ]
            cp ../copy a
            "$0" apply -q --no-diff ../batch.json --root ."#
        );
        let Some(output) = with_mounts(&sandbox, &script) else {
            return;
        };
        assert!(output.status.success(), "{end}: {output:?}");
    }
}

#[test]
fn r12_a_file_on_another_mount_is_staged_beside_itself_and_a_mount_point_is_refused() {
    let sandbox = Sandbox::new(&[("a", "a\n"), ("point", "p\n"), ("m/keep", "")]);
    sandbox.write(
        "../batch.json",
        batch(json!([
            {"op": "append", "file": "a", "content": "x"},
            {"op": "append", "file": "m/b", "content": "x"},
            {"op": "rename-file", "file": "m/c", "to": "c"},
            {"op": "create-file", "file": "m/new", "content": "n\n"},
        ])),
    );
    sandbox.write(
        "../point.json",
        batch(json!([{"op": "append", "file": "point", "content": "x"}])),
    );
    let script = r#"set -e
        mount -t tmpfs none m
        printf 'b\n' > m/b; printf 'c\n' > m/c
        "$0" apply ../batch.json --root .
        [ "$(cat a m/b c m/new | tr '\n' ' ')" = 'a x b x c n ' ]
        [ "$(ls -A m | tr '\n' ' ')" = 'b new ' ]
        "$0" audit --root .
        "$0" undo --root .
        [ "$(cat a m/b m/c | tr '\n' ' ')" = 'a b c ' ]
        [ "$(ls -A m | tr '\n' ' ')" = 'b c ' ]
        mount --bind a point
        rc=0; "$0" apply ../point.json --root . 2> ../said || rc=$?
        [ $rc = 1 ] && grep -q MOUNT_POINT ../said"#;
    let Some(output) = with_mounts(&sandbox, script) else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn r8_fifty_runs_at_once_give_the_result_of_some_order() {
    const RUNS: usize = 50;
    let sandbox = Sandbox::new(&[("a", "start\n")]);
    let mut children = Vec::new();
    for number in 0..RUNS {
        let name = format!("../batch{number}.json");
        let line = format!("line {number}");
        sandbox.write(
            &name,
            batch(json!([{"op": "append", "file": "a", "content": line}])),
        );
        let mut command = sandbox.command(&["apply", "-q", "--no-diff", &name]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        children.push(command.spawn().unwrap());
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let text = sandbox.read("a");
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.remove(0), "start");
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..RUNS).map(|number| format!("line {number}")).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let status = sandbox.run(&["status", "--output", "json"]).json();
    assert_eq!(status["entries"], RUNS);
    // The log has them in the order of their commits: it replays to the tree, newest first.
    sandbox.run(&["audit"]).exits(0);
    let history = sandbox.run(&["history", "--limit", "50", "--output", "json"]);
    let newest = history.exits(0).out;
    let text = sandbox.read("a");
    assert_eq!(newest.lines().count(), RUNS);
    for (entry, line) in newest.lines().zip(text.lines().rev()) {
        let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
        let id = entry["transaction"].as_str().unwrap();
        let diff = sandbox.run(&["show", id]).exits(0).out;
        assert!(diff.contains(&format!("+{line}\n")), "{line}: {diff}");
    }
    let last = text.lines().last().unwrap();
    sandbox.run(&["undo", "-q"]).exits(0);
    assert_eq!(
        sandbox.read("a"),
        text.strip_suffix(&format!("{last}\n")).unwrap()
    );
}

#[test]
fn r8_the_wait_for_the_lock_is_bounded() {
    let sandbox = Sandbox::new(&[("a", "a\n")]);
    sandbox.write("../batch.json", append_and_create());
    let inner = r#""$0" apply ../batch.json --root "$1" --verify "\"$0\" apply ../batch.json --root \"$1\" --lock-wait 0.1 2> ../said; test \$? = 3""#;
    let output = shell(&sandbox, inner);
    assert!(output.status.success(), "{output:?}");
    let said = std::fs::read_to_string(sandbox.outside().join("said")).unwrap();
    assert!(said.contains("LOCK_TIMEOUT"), "{said}");
}

#[test]
fn r10_r12_an_owner_that_cannot_be_kept_and_a_read_only_directory_are_found_out() {
    const NOBODY: u32 = 65534;
    let sandbox = Sandbox::new(&[("a", "a\n"), ("d/f", "f\n")]);
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let chmod = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let root = sandbox.root();
    chmod(sandbox.outside(), 0o755);
    chmod(&root, 0o777);
    chmod(&root.join("d"), 0o555);
    let run = |name: &str, operations| {
        sandbox.write(&format!("../{name}"), batch(operations));
        let mut command = sandbox.command(&["apply", &format!("../{name}")]);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let before = sandbox.tree();
    let (code, said) = run(
        "read-only",
        json!([{"op": "create-file", "file": "d/new", "content": "n\n"}]),
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("READ_ONLY"), "{said}");
    assert_eq!(sandbox.tree(), before);
    if is_root {
        let (code, said) = run(
            "owner",
            json!([{"op": "append", "file": "a", "content": "x"}]),
        );
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("OWNERSHIP"), "{said}");
        assert_eq!(sandbox.tree(), before);
    }
    chmod(&root.join("d"), 0o755);
}
