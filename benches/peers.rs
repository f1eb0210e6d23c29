//! The program beside `git apply`, GNU `patch` and GNU `diff`, each where it is installed.
//!
//! The work is generated, every contestant does it in turn on a tree of its own, and the least
//! wall time of several rounds is printed with its ratio to ours.

#[expect(dead_code, reason = "the other benches work in memory")]
mod workload;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use workload::Workload;

/// Name, files, lines in each, edits in each.
const SHAPES: [(&str, usize, usize, usize); 4] = [
    ("one edit in 100 lines", 1, 100, 1),
    ("500 files x 3 edits", 500, 200, 3),
    ("1 edit in 1,000,000 lines", 1, 1_000_000, 1),
    ("10,000 edits in 1,000,000 lines", 1, 1_000_000, 10_000),
];

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    for (name, files, lines, edits) in SHAPES {
        let (lines, edits, rounds) = if quick {
            (lines.min(1_000), edits.min(10), 1)
        } else {
            (lines, edits, 7)
        };
        println!("{name}");
        compare(&Workload::new(files, lines, edits), rounds);
    }
}

/// A contestant: its name, its arguments from the program on, and the exit statuses of success.
type Contestant<'a> = (&'a str, Vec<&'a str>, &'a [i32]);

fn compare(work: &Workload, rounds: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ours = env!("CARGO_BIN_EXE_patchctl");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (before, tree, after) = (path("before"), path("tree"), path("after"));
    let (batch, patch) = (path("batch.json"), path("patch.diff"));
    fs::write(&batch, &work.batch).expect("the batch is written");
    lay_out(work, &before);
    lay_out(work, &after);
    run(
        &[ours, "apply", "-q", "--no-diff", "--root", &after, &batch],
        &after,
        &[0],
    )
    .expect("ours is there");
    fs::remove_dir_all(Path::new(&after).join(".mission_control")).expect("the log is there");
    let made = Command::new(ours)
        .args(["diff", &before, &after])
        .output()
        .expect("ours is there");
    fs::write(&patch, made.stdout).expect("the patch is written");
    let apply: [Contestant<'_>; 4] = [
        (
            "ours, batch",
            vec![ours, "apply", "-q", "--no-diff", "--root", &tree, &batch],
            &[0],
        ),
        (
            "ours, diff",
            vec![ours, "apply", "-q", "--no-diff", "--root", &tree, &patch],
            &[0],
        ),
        ("git apply", vec!["git", "apply", &patch], &[0]),
        ("GNU patch", vec!["patch", "-s", "-p1", "-i", &patch], &[0]),
    ];
    group("apply", &apply, rounds, &tree, || {
        lay_out(work, &tree);
    });
    let diff: [Contestant<'_>; 4] = [
        ("ours, trees", vec![ours, "diff", &before, &after], &[0]),
        (
            "ours, batch",
            vec![ours, "diff", "--root", &before, &batch],
            &[0],
        ),
        (
            "git diff",
            vec![
                "git",
                "diff",
                "--no-index",
                "--no-ext-diff",
                &before,
                &after,
            ],
            &[1],
        ),
        ("GNU diff", vec!["diff", "-ruN", &before, &after], &[1]),
    ];
    group("diff", &diff, rounds, &before, || {});
}

fn group(what: &str, contestants: &[Contestant<'_>], rounds: usize, dir: &str, prepare: impl Fn()) {
    let mut least = vec![Some(Duration::MAX); contestants.len()];
    for _ in 0..rounds {
        for ((_, arguments, success), least) in contestants.iter().zip(&mut least) {
            prepare();
            *least = least.and_then(|least| Some(run(arguments, dir, success)?.min(least)));
        }
    }
    let ours = least[0].unwrap_or(Duration::MAX);
    for ((name, ..), time) in contestants.iter().zip(least) {
        match time {
            Some(time) => println!(
                "  {what:<6} {name:<12} {:>9.2} ms  {:>6.2}",
                time.as_secs_f64() * 1e3,
                time.as_secs_f64() / ours.as_secs_f64()
            ),
            None => println!("  {what:<6} {name:<12} is not installed"),
        }
    }
}

/// Runs a program; `None` where it is not installed.
fn run(arguments: &[&str], dir: &str, success: &[i32]) -> Option<Duration> {
    let mut command = Command::new(arguments[0]);
    command
        .args(&arguments[1..])
        .current_dir(dir)
        .env("GIT_CEILING_DIRECTORIES", Path::new(dir).parent()?)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let start = Instant::now();
    let status = match command.status() {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{}: {error}", arguments[0]),
    };
    let time = start.elapsed();
    let code = status.code().expect("it is not killed");
    assert!(success.contains(&code), "{arguments:?} exits with {code}");
    Some(time)
}

/// Writes the files of a workload, and nothing else, below a directory.
fn lay_out(work: &Workload, dir: &str) {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => panic!("cannot clear {dir}: {error}"),
    }
    for file in &work.files {
        let path = Path::new(dir).join(&file.path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory"))
            .expect("the directory is made");
        fs::write(path, &file.text).expect("the file is written");
    }
}
