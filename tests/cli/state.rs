//! What somebody else put into `.mission_control/store`: it is not followed, opened or waited for.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Run, Sandbox};

/// Longest that any command may take here; a machine under load included.
const LIMIT: Duration = Duration::from_secs(30);

const BATCH: &str = r#"{"operations":[{"op":"append","file":"a.txt","content":"x"}]}"#;

/// Runs a command of an orchestrator that does not answer, and ends it where it hangs.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut child = sandbox
        .command(arguments)
        .env("ORCHESTRATOR_URL", "http://127.0.0.1:9")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), BATCH.as_bytes()).unwrap_or(());
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().expect("it is not killed"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Makes a store hostile.
type Plant = fn(&Path);

/// Every hostile state, by what is done to the empty directory `.mission_control/store`.
const HOSTILE: [(&str, Plant); 11] = [
    ("store is a link", |store| {
        std::fs::remove_dir(store).unwrap();
        symlink("../../elsewhere", store).unwrap();
    }),
    ("store is a FIFO", |store| {
        std::fs::remove_dir(store).unwrap();
        fifo(store);
    }),
    ("open.lock is a link", |store| {
        symlink("../../../elsewhere/f", store.join("open.lock")).unwrap();
    }),
    ("open.lock is a FIFO", |store| {
        fifo(&store.join("open.lock"))
    }),
    ("deliver.lock is a link", |store| {
        symlink("../../../elsewhere/f", store.join("deliver.lock")).unwrap();
    }),
    ("edits is a link", |store| {
        symlink("../../../elsewhere/f", store.join("edits")).unwrap();
    }),
    ("outbox.db is a link", |store| {
        symlink("../../../elsewhere/f", store.join("outbox.db")).unwrap();
    }),
    ("outbox.db is a hard link", |store| {
        let secret = store.join("../../../elsewhere/secret");
        std::fs::hard_link(secret, store.join("outbox.db")).unwrap();
    }),
    ("outbox.db is a FIFO", |store| {
        fifo(&store.join("outbox.db"))
    }),
    ("outbox.db-wal is a link", |store| {
        symlink("../../../elsewhere/f", store.join("outbox.db-wal")).unwrap();
    }),
    ("outbox.db-shm is a FIFO", |store| {
        fifo(&store.join("outbox.db-shm"));
    }),
];

#[test]
fn a_hostile_store_is_neither_followed_nor_waited_for() {
    for (name, make) in HOSTILE {
        let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
        let elsewhere = sandbox.outside().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("secret"), "secret").unwrap();
        let store = sandbox.root().join(".mission_control/store");
        std::fs::create_dir_all(&store).unwrap();
        make(&store);
        // The edit lands: delivery can wait.
        run(
            &sandbox,
            &["apply", "-q", "--no-diff", "--lock-wait", "1", "-"],
        )
        .exits(0);
        for arguments in [
            &[
                "apply",
                "--again",
                "-q",
                "--no-diff",
                "--deliver-within",
                "0",
                "-",
            ][..],
            &["events", "list"],
            &["events", "flush"],
            &["events", "dead", "list"],
            &["doctor"],
            &["status"],
            &["scan"],
            &["task", "list"],
        ] {
            let run = run(&sandbox, arguments);
            assert!(run.code <= 4, "{name}: {arguments:?}: {run:?}");
        }
        assert_eq!(sandbox.read("a.txt"), "a\nx\nx\n", "{name}");
        let left: Vec<_> = std::fs::read_dir(&elsewhere).unwrap().collect();
        assert_eq!(left.len(), 1, "{name}: {left:?}");
        let secret = std::fs::read(elsewhere.join("secret")).unwrap();
        assert_eq!(secret, b"secret", "{name}");
    }
}

#[test]
fn a_lock_that_somebody_holds_does_not_hold_up_an_edit() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    let store = sandbox.root().join(".mission_control/store");
    std::fs::create_dir_all(&store).unwrap();
    let lock = std::fs::File::create(store.join("open.lock")).unwrap();
    lock.lock().unwrap();
    let began = Instant::now();
    let applied = run(&sandbox, &["apply", "--no-diff", "--lock-wait", "1", "-"]).exits(0);
    assert!(
        applied.err.contains("has held store/open.lock"),
        "{applied:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    run(&sandbox, &["events", "flush"]).exits(3);
    drop(lock);
    run(&sandbox, &["events", "flush"]).exits(4);
}

#[test]
fn doctor_does_not_wait_for_what_has_the_place_of_the_lock() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    std::fs::create_dir(sandbox.root().join(".mission_control")).unwrap();
    fifo(&sandbox.root().join(".mission_control/lock"));
    let doctor = run(&sandbox, &["doctor"]);
    assert!(doctor.code <= 3, "{doctor:?}");
}

#[test]
fn a_linked_state_is_not_followed() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    let elsewhere = sandbox.outside().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, sandbox.root().join(".mission_control")).unwrap();
    for within in ["0", "100ms"] {
        let refused = run(
            &sandbox,
            &["apply", "--no-diff", "--deliver-within", within, "-"],
        );
        assert!(matches!(refused.code, 1 | 3), "{refused:?}");
    }
    run(&sandbox, &["doctor"]).exits(1);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(sandbox.read("a.txt"), "a\n");
}
