//! What it costs to record a command: on a tree of 10,000 files of 79 MB, what `run` adds once there
//! is a snapshot, beside a walk that only looks at the files.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use patchcore::workspace::{ApplyOptions, Command, Ending, Workspace};

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let (files, size, rounds) = if quick {
        (50, 200, 1)
    } else {
        (10_000, 7_900, 7)
    };
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    fill(root, files, size);
    let workspace = Workspace::open(root).expect("the root opens");
    let first = time(|| snapshot(&workspace));
    // A file that changed just now is read again: wait until no time is too recent to trust.
    std::thread::sleep(Duration::from_millis(if quick { 0 } else { 100 }));
    snapshot(&workspace);
    let walk = least(rounds, || {
        black_box(stat_all(root));
    });
    let nothing = least(rounds, || record(&workspace, || {}));
    let edit = least(rounds, || {
        let text = format!("{:?}", Instant::now());
        record(&workspace, || {
            fs::write(root.join("d0/f0"), text).expect("a file");
        });
    });
    let share = |time: Duration| time.as_secs_f64() * 100.0;
    println!("{files} files of {size} bytes");
    println!("  first snapshot         {:>9.3} ms", millis(first));
    println!("  walk with a stat each  {:>9.3} ms", millis(walk));
    println!(
        "  command that does nothing {:>6.3} ms, {:.1} times the walk, {:.1} % of a 1 s command",
        millis(nothing),
        nothing.as_secs_f64() / walk.as_secs_f64(),
        share(nothing),
    );
    println!(
        "  command with one edit     {:>6.3} ms, {:.1} % of a 1 s command",
        millis(edit),
        share(edit),
    );
    if let Some(peak) = peak() {
        println!("  most memory            {peak:>9}");
    }
}

fn fill(root: &Path, files: usize, size: usize) {
    for file in 0..files {
        let dir = root.join(format!("d{}", file / 100));
        fs::create_dir_all(&dir).expect("a directory");
        let line = format!("line of file {file}\n");
        let text = line.repeat(size / line.len() + 1);
        fs::write(dir.join(format!("f{file}")), &text[..size]).expect("a file");
    }
}

fn snapshot(workspace: &Workspace) {
    let taken = workspace.snapshot(&[], &ApplyOptions::default());
    black_box(taken.expect("a snapshot"));
}

/// What a command costs beside itself.
fn record(workspace: &Workspace, command: impl FnOnce()) {
    let options = ApplyOptions::default();
    let begun = workspace.begin_command(&Command::default(), true, &options);
    command();
    let ended = workspace.end_command(&begun.expect("a run").id, Ending::Exited(Some(0)), &options);
    black_box(ended.expect("a record"));
}

fn stat_all(root: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(root).into_iter();
    let entries = entries.filter_entry(|entry| entry.file_name() != ".mission_control");
    entries
        .map(|entry| entry.and_then(|entry| entry.metadata()))
        .map(|meta| meta.expect("a file").len())
        .sum()
}

fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn least(rounds: usize, mut work: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| time(&mut work));
    times.min().expect("a round")
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Most memory of this process, as the kernel says it.
fn peak() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.trim_start_matches("VmHWM:").trim().to_owned())
}
