//! State that somebody else planted, against every command of the program: nothing of it is acted
//! on, nothing hangs, nothing outside of the root is touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Run, Sandbox};
use crate::serve::client::{Events, Server, Socket};

/// Longest that any command may take here; a machine under load included.
const LIMIT: Duration = Duration::from_secs(30);
const EVIL: &str = "evil\n";
/// The id of the batch that a planted ledger claims to have seen.
const KNOWN: &str =
    r#"{"batch_id":"known","operations":[{"op":"append","file":"a.txt","content":"x"}]}"#;

/// What an agent's hook is told.
const HOOK: &str = r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_use_id":"t"}"#;

/// A session over MCP that calls every tool. One that is missing fails [`every_tool_is_called`].
const CALLS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/list"}
{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"read","arguments":{"file":"a.txt"}}}
{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"check","arguments":{"batch_id":"known","operations":[{"op":"append","file":"a.txt","content":"x"}]}}}
{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"edit","arguments":{"batch_id":"known","operations":[{"op":"append","file":"a.txt","content":"x"}]}}}
{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"history","arguments":{"all":true}}}
{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"undo","arguments":{}}}
{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"undo","arguments":{"batch_id":"known"}}}
{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"scan","arguments":{}}}
{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"tasks","arguments":{}}}
{"jsonrpc":"2.0","id":11,"method":"tools/call","params":{"name":"task_done","arguments":{"task_id":"A1"}}}
{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"ask","arguments":{"question":"q","order_id":"ORD1"}}}
"#;

/// Each command that can be run to its end here, with the arguments that it needs. A command that
/// is missing fails [`every_command_is_tried`].
const COMMANDS: &[&[&str]] = &[
    &["apply", "-"],
    &["apply", "--rebase", "--verify", "true", "-"],
    &["check", "-"],
    &["convert", "-"],
    &["diff", "-"],
    &[
        "replace-block",
        "a.txt",
        "--line",
        "1",
        "--expect",
        "a",
        "--content",
        "b",
    ],
    &[
        "insert-before",
        "a.txt",
        "--line",
        "1",
        "--expect",
        "a",
        "--content",
        "b",
    ],
    &[
        "insert-after",
        "a.txt",
        "--line",
        "1",
        "--expect",
        "a",
        "--content",
        "b",
    ],
    &["append", "a.txt", "--content", "x"],
    &["prepend", "a.txt", "--content", "x"],
    &["replace-text", "a.txt", "--find", "a", "--content", "b"],
    &["create-file", "new.txt", "--content", "x"],
    &["delete-file", "a.txt", "--allow-unguarded"],
    &["rename-file", "a.txt", "b.txt"],
    &["copy-file", "a.txt", "b.txt"],
    &["set-mode", "a.txt", "--executable", "true"],
    &["resolve", "a.txt", "--line", "1"],
    &["read", "a.txt"],
    &["snapshot"],
    &["scan"],
    &["inject", "--payload", "p.json"],
    &["inject", "--tasks"],
    &["init", "--factory", "f", "ORD1"],
    &["task", "list"],
    &["task", "get", "A1"],
    &["task", "status", "A1"],
    &["task", "status", "A1", "complete", "--force"],
    &["task", "start", "A1"],
    &["task", "complete", "A1"],
    &["task", "block", "A1"],
    &[
        "task",
        "ask",
        "A1",
        "--question",
        "q",
        "--error",
        "e",
        "--retries",
        "0",
    ],
    &[
        "ask",
        "--order-id",
        "ORD1",
        "--question",
        "q",
        "--retries",
        "0",
    ],
    &["order", "validate", "p.json"],
    &["order", "create", "p.json", "--retries", "0"],
    &["order", "placeholders", "ORD1", "--retries", "0"],
    &["demo"],
    &["schema", "batch"],
    &["completions", "bash"],
    &["man"],
    &["events", "list"],
    &["events", "show", "known"],
    &["events", "tail"],
    &["events", "flush"],
    &["events", "dead", "list"],
    &["events", "dead", "retry", "--all"],
    &["events", "dead", "drop", "--all"],
    &["doctor"],
    &["recover"],
    &["recover", "--adopt"],
    &["recover", "--abandon"],
    &["status"],
    &["history"],
    &["history", "--replay", "replayed"],
    &["show"],
    &["show", "known"],
    &["undo"],
    &["undo", "known"],
    &["undo", "--to", "known"],
    &["run", "--", "true"],
    &["run", "--", "touch", "made.txt"],
    &["run", "--begin"],
    &["run", "--end", "01890000-0000-7000-8000-000000000000"],
    &["run", "--hook"],
    &["mcp"],
    &["audit"],
    &["gc"],
    &["gc", "--max-size", "0"],
];

/// What a server tells.
const SERVED: &[&str] = &[
    "/api/patches/history",
    "/api/patches/logs",
    "/api/patches/stats",
    "/api/patches/trends",
    "/api/delivery/reports",
    "/api/files",
    "/api/placeholders",
    "/api/tasks",
    "/api/tasks/A1",
    "/openapi.json",
    "/healthz",
    "/metrics",
];

/// What a server is asked to do, in this order.
const POSTED: &[(&str, &str)] = &[
    ("/api/patches/check", KNOWN),
    ("/api/patches/undo", "{}"),
    ("/api/tasks/A1/complete", "{}"),
    ("/api/ask", r#"{"question":"q","order_id":"ORD1"}"#),
    (
        "/mcp",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"undo","arguments":{}}}"#,
    ),
];

/// The names of all commands, as the program's own help lists them.
fn commands_of(path: &[String]) -> Vec<Vec<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(path)
        .arg("-h")
        .output();
    let help = String::from_utf8(output.unwrap().stdout).unwrap();
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return vec![path.to_vec()];
    };
    let list = list.split("\n\n").next().unwrap();
    let names = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .flat_map(|name| commands_of(&[path, &[name.to_owned()]].concat()))
        .collect()
}

#[test]
fn every_command_is_tried() {
    let names = commands_of(&[]);
    assert!(names.len() > 30, "{names:?}");
    // They end when they are told to.
    let endless: [&[&str]; 2] = [&["events", "watch"], &["serve"]];
    for name in names
        .iter()
        .filter(|name| !endless.iter().any(|it| name == it))
    {
        let is_tried = COMMANDS.iter().any(|arguments| {
            arguments.len() >= name.len() && name.iter().zip(*arguments).all(|(a, b)| a == b)
        });
        assert!(is_tried, "{name:?} is not tried against planted state");
    }
}

#[test]
fn every_tool_is_called() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    let said = run(&sandbox, &["mcp"], CALLS).exits(0).out;
    let answers = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let answers: Vec<serde_json::Value> = answers.collect();
    let listed = answers
        .iter()
        .find_map(|answer| answer["result"]["tools"].as_array());
    let names = listed.unwrap().iter().map(|tool| &tool["name"]);
    for name in names {
        let call = format!(r#""params":{{"name":{name},"#);
        assert!(
            CALLS.contains(&call),
            "{name} is not tried against planted state"
        );
    }
    assert_eq!(answers.len(), CALLS.lines().count() - 1, "{said}");
}

#[test]
fn every_path_of_a_server_is_asked() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    let server = Server::start(&sandbox, &[]);
    let document = server.get("/openapi.json").json();
    let posted = POSTED.iter().map(|(path, _)| *path);
    let others = ["/api/patches/apply", "/api/events", "/ws"];
    let asked: Vec<_> = posted.chain(others).chain(SERVED.iter().copied()).collect();
    for path in document["paths"].as_object().unwrap().keys() {
        let path = path.replace("{uuid}", "A1");
        assert!(
            asked.contains(&&*path),
            "{path} is not tried against planted state"
        );
    }
    assert_eq!(server.stop(), 0);
}

/// Runs a command as an operator with an orchestrator that does not answer would, and ends it
/// where it hangs.
fn run(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Run {
    let mut child = sandbox
        .command(arguments)
        .env("ORCHESTRATOR_URL", "http://127.0.0.1:9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap_or(());
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |from: &mut dyn std::io::Read| {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    };
    std::thread::scope(|scope| {
        let out = scope.spawn(move || read(&mut out));
        let err = scope.spawn(move || read(&mut err));
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if began.elapsed() > LIMIT {
                child.kill().unwrap();
                panic!("{arguments:?} hangs");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Run {
            code: status.code().expect("it is not killed"),
            out: out.join().unwrap(),
            err: err.join().unwrap(),
        }
    })
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// State as another workspace left it: commits, an undo, a refused batch, a committed batch of the
/// known id, a transaction that was killed before it was installed.
fn foreign_state() -> (Sandbox, PathBuf) {
    let other = Sandbox::new(&[("a.txt", "a\n"), ("victim.txt", "old\n")]);
    let commit = |input: &str| run(&other, &["apply", "--no-diff", "-"], input);
    commit(KNOWN).exits(0);
    // What it would record of a command that was begun there is nobody's doing here.
    run(&other, &["run", "--begin"], "").exits(0);
    let write = r#"{"operations":[{"op":"create-file","file":"evil.txt","content":"evil\n"}]}"#;
    commit(write).exits(0);
    run(&other, &["undo", "--no-diff"], "").exits(0);
    let replace = r#"{"operations":[{"op":"replace-text","file":"victim.txt","find":"old","content":"evil"}]}"#;
    commit(replace).exits(0);
    let log = other.root().join(".mission_control/log");
    // As if it had been killed before its last step: the log's entry is moved back.
    let newest = fs::read_dir(&log)
        .unwrap()
        .map(|it| it.unwrap().path())
        .max()
        .unwrap();
    let current = other.root().join(".mission_control/txn/current");
    fs::rename(newest, &current).unwrap();
    let state = other.root().join(".mission_control");
    (other, state)
}

/// What is planted, by what it does to an empty `.mission_control` when it gets a copy of the
/// foreign state to choose from.
type Plant = Box<dyn Fn(&Path, &Path)>;

fn plants() -> Vec<(String, Plant)> {
    let mut plants: Vec<(String, Plant)> = Vec::new();
    let parts: [&'static [&'static str]; 10] = [
        &["log"],
        &["txn"],
        &["ledger", "log"],
        &["head", "log", "removed"],
        &["store"],
        &["snapshots"],
        &["key"],
        &[
            "log",
            "ledger",
            "head",
            "store",
            "key",
            "conflicts",
            "abandoned",
        ],
        &["lock", "key", "txn", "log", "ledger", "head", "store"],
        &["tasks.json"],
    ];
    for parts in parts {
        let plant: Plant = Box::new(move |state, foreign| {
            for part in parts {
                if foreign.join(part).symlink_metadata().is_ok() {
                    copy(&foreign.join(part), &state.join(part));
                }
            }
        });
        plants.push((format!("foreign {parts:?}"), plant));
    }
    for part in [
        "log",
        "txn",
        "ledger",
        "store",
        "key",
        "lock",
        "head",
        "removed",
        "conflicts",
        "abandoned",
        "snapshots",
        "snapshots/objects",
        "snapshots/runs",
        "snapshots/index",
        "snapshots/reads",
        "snapshots/first",
        "snapshots/draft",
        "snapshots/objects/draft",
        ".gitignore",
        "key.new",
        "head.new",
        ".gitignore.new",
        "removed.new",
        "txn/record",
        "txn/record.new",
        "txn/tasks.draft",
        "txn/current",
        "txn/current/manifest",
        "txn/current/manifest.new",
        "txn/current/outside",
        "txn/current/0",
        "ledger/known",
        "ledger/undone",
        "log/entry",
        "store/outbox.db",
        "store/outbox.db-wal",
        "store/open.lock",
        "store/deliver.lock",
        "tasks.json",
        "tasks.json.new",
        "tmp",
    ] {
        let at = move |state: &Path| {
            let at = match part.strip_prefix("ledger/") {
                Some(id) => format!("ledger/{}", patchcore::Digest::of(id.as_bytes()).to_hex()),
                None => part.replace("entry", "01890000-0000-7000-8000-000000000000"),
            };
            let at = state.join(at);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            at
        };
        let plant: Plant = Box::new(move |state, _| {
            let depth = "../".repeat(part.matches('/').count() + 2);
            symlink(format!("{depth}elsewhere"), at(state)).unwrap();
        });
        plants.push((format!("{part} is a link to a directory"), plant));
        let plant: Plant = Box::new(move |state, _| {
            let depth = "../".repeat(part.matches('/').count() + 2);
            symlink(format!("{depth}elsewhere/secret"), at(state)).unwrap();
        });
        plants.push((format!("{part} is a link to a file"), plant));
        let plant: Plant = Box::new(move |state, _| fifo(&at(state)));
        plants.push((format!("{part} is a FIFO"), plant));
        let plant: Plant = Box::new(move |state, _| {
            fs::create_dir_all(at(state).join("x/y")).unwrap();
            fs::write(at(state).join("x/y/z"), EVIL).unwrap();
        });
        plants.push((format!("{part} is a directory"), plant));
    }
    plants
}

fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    let files = files.map(|entry| {
        let bytes = match entry.file_type().is_file() {
            true => fs::read(entry.path()).unwrap(),
            false => Vec::new(),
        };
        (entry.into_path(), bytes)
    });
    files.collect()
}

/// A tree in which state is planted, before any key was made or after it.
fn planted(plant: &Plant, foreign: &Path, has_key: bool) -> Sandbox {
    let sandbox = Sandbox::new(&[("a.txt", "a\n"), ("victim.txt", "old\n"), ("p.json", "{}")]);
    let elsewhere = sandbox.outside().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("secret"), "secret").unwrap();
    let state = sandbox.root().join(".mission_control");
    if has_key {
        // The key alone is ours; all else is as planted.
        run(&sandbox, &["append", "a.txt", "--content", "x"], "").exits(0);
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap().is_dir() {
                true => fs::remove_dir_all(&path).unwrap(),
                false if path.ends_with("key") => {}
                false => fs::remove_file(&path).unwrap(),
            }
        }
        sandbox.write("a.txt", "a\n");
    } else {
        fs::create_dir(&state).unwrap();
    }
    plant(&state, foreign);
    sandbox
}

/// What the tree may hold after a command: what the command itself was told to do.
fn check_tree(sandbox: &Sandbox, what: &str) {
    let evil = sandbox.tree().into_iter().find(|(path, (bytes, _))| {
        let is_planted = bytes
            .windows(EVIL.len())
            .any(|part| part == EVIL.as_bytes());
        is_planted || path.ends_with("evil.txt")
    });
    assert!(evil.is_none(), "{what}: {evil:?}");
    assert_eq!(sandbox.read("victim.txt"), "old\n", "{what}");
    let elsewhere = sandbox.outside().join("elsewhere");
    let found = snapshot(&elsewhere);
    assert_eq!(found.len(), 2, "{what}: {found:?}");
    assert_eq!(found[&elsewhere.join("secret")], b"secret", "{what}");
    let mode = elsewhere
        .join("secret")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, elsewhere_mode(), "{what}");
}

fn elsewhere_mode() -> u32 {
    let probe = tempfile::tempdir().unwrap();
    let file = probe.path().join("f");
    fs::write(&file, "").unwrap();
    file.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn edits_go_on_whatever_was_planted_and_say_so_once() {
    let (_other, foreign) = foreign_state();
    for (name, plant) in plants() {
        for has_key in [false, true] {
            if has_key && name.starts_with("key ") || name.starts_with("tasks.json") {
                continue;
            }
            let what = format!("{name}, key: {has_key}");
            let sandbox = planted(&plant, &foreign, has_key);
            let edit = run(&sandbox, &["apply", "--no-diff", "-"], KNOWN);
            check_tree(&sandbox, &what);
            let is_unfinished = sandbox
                .root()
                .join(".mission_control/txn/current")
                .symlink_metadata()
                .is_ok();
            if edit.code == 3 {
                assert!(is_unfinished, "{what}: {edit:?}");
                assert!(edit.err.contains("FOREIGN_STATE"), "{what}: {edit:?}");
                assert_eq!(sandbox.read("a.txt"), "a\n", "{what}");
                run(&sandbox, &["recover", "--abandon"], "").exits(0);
                run(&sandbox, &["apply", "--no-diff", "-"], KNOWN).exits(0);
            } else {
                assert!(matches!(edit.code, 0 | 4), "{what}: {edit:?}");
                assert!(
                    edit.err.matches("not written here").count() <= 1,
                    "{what}: {edit:?}"
                );
            }
            assert_eq!(sandbox.read("a.txt"), "a\nx\n", "{what}");
            // What was planted is out of the way.
            let again = run(&sandbox, &["append", "a.txt", "--content", "y"], "");
            assert!(matches!(again.code, 0 | 4), "{what}: {again:?}");
            assert!(!again.err.contains("not written here"), "{what}: {again:?}");
            run(&sandbox, &["undo", "--no-diff"], "");
            assert_eq!(sandbox.read("a.txt"), "a\nx\n", "{what}");
            check_tree(&sandbox, &what);
        }
    }
}

#[test]
fn no_command_acts_on_planted_state_or_hangs() {
    let (_other, foreign) = foreign_state();
    // Of the kinds of a planted part each is tried with some command, and each command with some of
    // them: all by all takes minutes.
    let (parts, kinds): (Vec<_>, Vec<_>) = plants()
        .into_iter()
        .partition(|(name, _)| name.starts_with("foreign"));
    let is_campaign = std::env::var_os("PATCHCORE_CAMPAIGN").is_some();
    let kinds = kinds.into_iter().enumerate();
    let kinds = kinds
        .filter(|(index, _)| is_campaign || index % 4 == index / 4 % 4)
        .map(|(_, plant)| plant);
    for (index, (name, plant)) in parts.into_iter().chain(kinds).enumerate() {
        let sandbox = planted(
            &plant,
            &foreign,
            index % 2 == 1 && !name.starts_with("key "),
        );
        let fresh = tempfile::tempdir().unwrap();
        copy(&sandbox.root(), fresh.path());
        for arguments in COMMANDS {
            // A command must not find what the one before it made.
            if !sandbox.root().join("a.txt").try_exists().unwrap() || writes(arguments) {
                fs::remove_dir_all(sandbox.root()).unwrap();
                copy(&fresh.path().join("root"), &sandbox.root());
            }
            let what = format!("{name}: {arguments:?}");
            let mut arguments = arguments.to_vec();
            if arguments == ["demo"] {
                arguments.push("demo-tree");
            }
            let input = match arguments[..] {
                ["mcp"] => CALLS,
                ["run", "--hook"] => HOOK,
                _ => KNOWN,
            };
            let run = run(&sandbox, &arguments, input);
            // What wraps another command has a status of its own for that it failed.
            let is_wrapper = arguments[0] == "run";
            assert!(
                run.code <= 4 || is_wrapper && run.code == 125,
                "{what}: {run:?}"
            );
            assert!(!run.err.contains("panicked"), "{what}: {run:?}");
            check_tree(&sandbox, &what);
        }
    }
}

/// A server goes on, too, and acts on nothing that was planted.
#[test]
fn no_server_acts_on_planted_state_or_hangs() {
    let (_other, foreign) = foreign_state();
    let is_campaign = std::env::var_os("PATCHCORE_CAMPAIGN").is_some();
    let plants = plants()
        .into_iter()
        .enumerate()
        .filter(|(index, (name, _))| {
            is_campaign || name.starts_with("foreign") || index % 4 == index / 4 % 4
        });
    for (index, (name, plant)) in plants {
        let sandbox = planted(
            &plant,
            &foreign,
            index % 2 == 1 && !name.starts_with("key "),
        );
        let server = Server::start(&sandbox, &[]);
        for path in SERVED {
            let answer = server.get(path);
            assert_ne!(answer.status / 100, 1, "{name}: {path}");
            check_tree(&sandbox, &format!("{name}: {path}"));
        }
        let edit = server.post("/api/patches/apply", KNOWN.as_bytes());
        let is_unfinished = sandbox
            .root()
            .join(".mission_control/txn/current")
            .symlink_metadata()
            .is_ok();
        let lands = edit.status == 200;
        // The manifest is data: one that cannot be read stops what has to keep its tasks.
        if !name.starts_with("tasks.json ") {
            assert_eq!(lands, !is_unfinished, "{name}: {edit:?}");
        }
        let expected = if lands { "a\nx\n" } else { "a\n" };
        assert_eq!(sandbox.read("a.txt"), expected, "{name}: {edit:?}");
        for (path, body) in POSTED {
            server.post(path, body.as_bytes());
            check_tree(&sandbox, &format!("{name}: {path}"));
        }
        // They begin with what was planted, if they believe it.
        drop(Events::open(&server, "/api/events?after=0", None));
        drop(Socket::open(&server, "/ws?after=0"));
        check_tree(&sandbox, &name);
        for path in SERVED {
            server.get(path);
        }
        assert_eq!(server.stop(), 0, "{name}");
        check_tree(&sandbox, &name);
    }
}

/// Whether a command changes the state.
fn writes(arguments: &[&str]) -> bool {
    !matches!(
        arguments[0],
        "check" | "convert" | "diff" | "resolve" | "scan" | "schema" | "completions" | "man"
    )
}

#[test]
fn a_finished_record_of_ours_is_not_followed_again() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n"), ("victim.txt", "old\n")]);
    let state = sandbox.root().join(".mission_control");
    let log = || {
        let entries = fs::read_dir(state.join("log")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    for (file, find, content) in [("victim.txt", "old", "new"), ("victim.txt", "new", "newer")] {
        run(
            &sandbox,
            &["replace-text", file, "--find", find, "--content", content],
            "",
        )
        .exits(0);
    }
    run(&sandbox, &["append", "a.txt", "--content", "x"], "").exits(0);
    let entries = log();
    // The first record, its slot filled with what it installed: a replay would put it back.
    fs::rename(&entries[0], state.join("txn/current")).unwrap();
    for entry in fs::read_dir(state.join("txn/current")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("manifest") {
            fs::write(path, "new\n").unwrap();
        }
    }
    let before = sandbox.tree();
    let edit = run(&sandbox, &["append", "a.txt", "--content", "y"], "").exits(3);
    assert!(edit.err.contains("FOREIGN_STATE"), "{edit:?}");
    run(&sandbox, &["recover"], "").exits(3);
    assert_eq!(sandbox.tree(), before);
    run(&sandbox, &["recover", "--abandon"], "").exits(0);
    // The last record only goes back to where it was.
    fs::rename(log().last().unwrap(), state.join("txn/current")).unwrap();
    for entry in fs::read_dir(state.join("txn/current")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("manifest") {
            fs::write(path, "a\nx\n").unwrap();
        }
    }
    sandbox.write("a.txt", "changed since\n");
    let before = sandbox.tree();
    run(&sandbox, &["recover"], "").exits(0);
    assert_eq!(sandbox.tree(), before);
    run(&sandbox, &["append", "a.txt", "--content", "y"], "").exits(0);
}

/// A key is one only where it was made: not in a clone, an archive, a copy.
#[test]
fn a_copied_key_is_no_key() {
    let origin = Sandbox::new(&[("a.txt", "a\n")]);
    run(&origin, &["apply", "--no-diff", "-"], KNOWN).exits(0);
    let log = origin.root().join(".mission_control/log");
    let newest = fs::read_dir(&log)
        .unwrap()
        .map(|it| it.unwrap().path())
        .max()
        .unwrap();
    fs::rename(newest, origin.root().join(".mission_control/txn/current")).unwrap();
    let from = origin.root();
    let from = from.to_str().unwrap();
    type Way<'a> = (&'a str, String);
    let ways: [Way<'_>; 3] = [
        ("cp", format!("cp -a {from}/. .")),
        ("tar", format!("tar -C {from} -cf - . | tar -xf -")),
        (
            "clone",
            format!(
                "rm -f {from}/.mission_control/.gitignore; cd {from} && git init -q . && git add -f -A && git -c user.name=a -c user.email=a@a commit -qm x && cd - && git clone -q {from} c && cp -a c/. . && rm -rf c"
            ),
        ),
    ];
    for (name, way) in ways {
        let copy = Sandbox::new(&[]);
        let done = Command::new("sh")
            .arg("-c")
            .arg(&way)
            .current_dir(copy.root())
            .output()
            .unwrap();
        assert!(done.status.success(), "{name}: {done:?}");
        copy.write("a.txt", "a\n");
        let edit = run(&copy, &["append", "a.txt", "--content", "y"], "").exits(3);
        assert!(edit.err.contains("FOREIGN_STATE"), "{name}: {edit:?}");
        assert_eq!(copy.read("a.txt"), "a\n", "{name}");
        run(&copy, &["recover", "--abandon"], "").exits(0);
        // The ledger of the copy is not believed, either.
        run(&copy, &["apply", "--no-diff", "-"], KNOWN).exits(0);
        assert_eq!(copy.read("a.txt"), "a\nx\n", "{name}");
    }
}

/// A copy that is made of links has the key's own inode, with another name.
#[test]
fn a_linked_copy_of_a_key_is_no_key_and_leaves_the_key_to_the_original() {
    let origin = Sandbox::new(&[("a.txt", "a\n")]);
    run(&origin, &["apply", "--no-diff", "-"], KNOWN).exits(0);
    let copy = Sandbox::new(&[("a.txt", "a\nx\n")]);
    let from = origin.root().join(".mission_control");
    let to = copy.root().join(".mission_control");
    let linked = Command::new("cp").arg("-al").args([&from, &to]).output();
    let linked = linked.unwrap();
    assert!(linked.status.success(), "{linked:?}");
    for (sandbox, is_original) in [(&copy, false), (&origin, true)] {
        let told = run(sandbox, &["history"], "").exits(0);
        assert_eq!(
            told.err.contains("not written here"),
            !is_original,
            "{told:?}"
        );
    }
    // It is known in the original, and new in the copy.
    run(&origin, &["apply", "--no-diff", "-"], KNOWN).exits(0);
    assert_eq!(origin.read("a.txt"), "a\nx\n");
    run(&copy, &["apply", "--no-diff", "-"], KNOWN).exits(0);
    assert_eq!(copy.read("a.txt"), "a\nx\nx\n");
    // The copy has made a key of its own meanwhile, which took nothing from the original.
    run(&origin, &["apply", "--no-diff", "-"], KNOWN).exits(0);
    run(&origin, &["undo", "--no-diff"], "").exits(0);
    assert_eq!(origin.read("a.txt"), "a\n");
    assert_eq!(copy.read("a.txt"), "a\nx\nx\n");
}

/// The lower layer of an overlay is the tree itself; what the overlay copies up is a copy.
///
/// Skipped where the process may not mount.
#[test]
fn a_key_that_an_overlay_copied_up_is_no_key() {
    let lower = Sandbox::new(&[("a.txt", "a\n")]);
    run(&lower, &["apply", "--no-diff", "-"], KNOWN).exits(0);
    let layers = tempfile::tempdir().unwrap();
    for name in ["upper", "work", "merged", "batch"] {
        fs::create_dir(layers.path().join(name)).unwrap();
    }
    fs::write(layers.path().join("batch/known.json"), KNOWN).unwrap();
    let script = r#"
        mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=upper,workdir=work" merged || exit 77
        cd merged
        "$PATCHCTL" apply --no-diff ../batch/known.json; echo "known $? $(tr '\n' ' ' < a.txt)"
        touch .mission_control/key
        "$PATCHCTL" apply --no-diff ../batch/known.json; echo "new $? $(tr '\n' ' ' < a.txt)"
    "#;
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let done = command
        .args(["--mount", "sh", "-c", script])
        .current_dir(layers.path())
        .env("LOWER", lower.root())
        .env("PATCHCTL", env!("CARGO_BIN_EXE_patchctl"))
        .output();
    let done = match done {
        Ok(done) if done.status.code() != Some(77) && !done.stdout.is_empty() => done,
        other => {
            eprintln!("skipped: an overlay cannot be mounted here: {other:?}");
            return;
        }
    };
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(told.contains("known 0 a x \n"), "{done:?}");
    assert!(told.contains("new 0 a x x \n"), "{done:?}");
    let warned = String::from_utf8_lossy(&done.stderr);
    assert!(warned.contains("not written here"), "{done:?}");
    assert_eq!(lower.read("a.txt"), "a\nx\n");
}

/// What has the manifest's name and is no file is no manifest, and is called what it is.
#[test]
fn what_is_no_manifest_is_not_taken_for_an_empty_one() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    let state = sandbox.root().join(".mission_control");
    let tasks = state.join("tasks.json");
    fs::create_dir(&state).unwrap();
    let commands: [&[&str]; 4] = [
        &["append", "a.txt", "--content", "x"],
        &["scan"],
        &["task", "list"],
        &["task", "status", "A1", "complete"],
    ];
    let try_all = |why: &str, code: i32| {
        for command in commands {
            let told = run(&sandbox, command, "").exits(code);
            assert!(told.err.contains(why), "{command:?}: {told:?}");
        }
        fs::remove_file(&tasks).unwrap();
    };
    fifo(&tasks);
    try_all("tasks.json: it is not a regular file; remove it", 3);
    symlink("../a.txt", &tasks).unwrap();
    try_all("tasks.json is a link, or something else", 1);
    assert_eq!(sandbox.read("a.txt"), "a\n");
}
