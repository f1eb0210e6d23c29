//! How often a unified diff lands where it should in a file that others have worked on, beside `git
//! apply` and GNU `patch`: `cargo bench -p patchcore --bench drift -- 100000 1000` runs so many
//! trials of the engine, and of the two tools. With `stale` in front of the numbers, a batch that
//! names the state that it was made for comes to such a file instead. `-- formatters 1000 FOLDER` runs
//! so many edits of a folder's files that rustfmt, black, ruff or prettier laid out anew; the folder
//! is the project's own without one.

#[path = "formatted.rs"]
mod formatted;
#[path = "../tests/engine/drift/stale.rs"]
mod stale;
#[path = "../tests/engine/drift/trial.rs"]
mod trial;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use stale::Stale;
use trial::{Random, Trial, Verdict, make};

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let mut counts = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let default = if quick { 20 } else { 20_000 };
    let ours = counts.next().unwrap_or(default);
    let theirs = counts.next().unwrap_or(default / 40);
    if let Some(at) = std::env::args().position(|argument| argument == "formatters") {
        let folder = std::env::args().nth(at + 2);
        let project = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        formatted::run(&folder.map_or_else(project, Into::into), ours);
        return;
    }
    let sources = sources();
    if quick || std::env::args().any(|argument| argument == "stale") {
        stale_batches(&sources, ours, theirs);
        if !quick {
            return;
        }
    }
    for intact in [true, false] {
        for with_blob in [true, false] {
            let target = if intact {
                "intact"
            } else {
                "changed, with a copy elsewhere"
            };
            let blob = if with_blob { "with" } else { "without" };
            println!("target {target}, {blob} an index line: right, refused, wrong");
            let run = |name: &str, count: usize, judge: &dyn Fn(&Trial) -> trial::Verdict| {
                let mut random = Random(7);
                let mut tally = [0; 3];
                for _ in 0..count {
                    let source = &sources[random.below(sources.len())];
                    let trial = make(source, &mut random, intact, with_blob);
                    tally[judge(&trial) as usize] += 1;
                }
                println!("  {name:9} {tally:?}");
            };
            run("patchcore", ours, &Trial::ours);
            run("of these", theirs, &Trial::ours);
            run("git apply", theirs, &|trial| {
                with(trial, &["git", "apply", "-"])
            });
            let patch = ["patch", "-p1", "--batch", "--no-backup-if-mismatch"];
            run("GNU patch", theirs, &|trial| with(trial, &patch));
        }
    }
}

/// Batches that name an older state than the file has.
fn stale_batches(sources: &[Vec<String>], ours: usize, theirs: usize) {
    const SEED: u64 = 18;
    for intact in [true, false] {
        let target = if intact { "intact" } else { "changed or gone" };
        println!("target {target}, seed {SEED}: right, refused, wrong");
        let run = |name: &str, count: usize, judge: &dyn Fn(&Stale) -> Verdict| {
            let mut random = Random(SEED);
            let mut tally = [0; 3];
            for _ in 0..count {
                let source = &sources[random.below(sources.len())];
                let trial = stale::make(source, &mut random, intact);
                tally[judge(&trial) as usize] += 1;
            }
            println!("  {name:24} {tally:?}");
        };
        run("hash", ours, &Stale::strict);
        run("expected lines, no hash", ours, &Stale::expecting);
        run("--rebase", ours, &Stale::rebased);
        run("suggestion, sent again", ours, &Stale::retried);
        run("diff, blob unknown", ours, &|trial| {
            trial.diffed(false, false)
        });
        run("diff, blob known", ours, &|trial| trial.diffed(true, false));
        run("diff, --rebase", ours, &|trial| trial.diffed(true, true));
        run("first match", ours, &Stale::first_match);
        run("git apply", theirs, &|trial| {
            stale_with(trial, &["git", "apply", "-"])
        });
        run("git apply -3", theirs, &three_way);
        let patch = ["patch", "-p1", "--batch", "--no-backup-if-mismatch"];
        run("GNU patch", theirs, &|trial| stale_with(trial, &patch));
    }
}

/// What a tool makes of the diff of a stale operation, in a folder of its own.
fn stale_with(trial: &Stale, tool: &[&str]) -> Verdict {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("f"), &trial.current).expect("it can be written to");
    let is_applied = run(tool, dir.path(), &trial.patch());
    judged(trial, dir.path(), is_applied)
}

/// What git makes of it that has the blob which the diff names.
fn three_way(trial: &Stale) -> Verdict {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("f");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(dir.path())
            .stderr(Stdio::null())
            .output()
            .expect("git is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["init", "-q"]);
    std::fs::write(&file, &trial.base).expect("it can be written to");
    let blob = git(&["hash-object", "-w", "f"]);
    std::fs::write(&file, &trial.current).expect("it can be written to");
    git(&["add", "f"]);
    let index = format!("index {blob}..{} 100644\n--- ", "1".repeat(blob.len()));
    let patch = trial.patch().replacen("--- ", &index, 1);
    let is_applied = run(&["git", "apply", "-3", "-"], dir.path(), &patch);
    judged(trial, dir.path(), is_applied)
}

fn judged(trial: &Stale, dir: &Path, is_applied: bool) -> Verdict {
    let result = std::fs::read_to_string(dir.join("f")).expect("the tool leaves the file");
    trial.judge(is_applied.then_some(&*result))
}

/// What a tool makes of a trial, in a folder of its own.
fn with(trial: &Trial, tool: &[&str]) -> trial::Verdict {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("f");
    std::fs::write(&file, &trial.file).expect("it can be written to");
    let is_applied = run(tool, dir.path(), &trial.patch);
    let result = std::fs::read_to_string(&file).expect("the tool leaves the file");
    trial.judge(is_applied.then_some(&*result))
}

fn run(tool: &[&str], dir: &Path, patch: &str) -> bool {
    let mut child = Command::new(tool[0])
        .args(&tool[1..])
        .current_dir(dir)
        .env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap_or(dir))
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("git and patch are installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A tool that refuses early reads no further.
    let _ = stdin.write_all(patch.as_bytes());
    drop(stdin);
    child.wait().is_ok_and(|status| status.success())
}

/// The project's own files that are long enough.
fn sources() -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<_> = ["patchcore", "patchctl", "tests", "benches", "fuzz"]
        .iter()
        .flat_map(|folder| walkdir::WalkDir::new(root.join(folder)))
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| {
            let ends = |end: &str| path.extension().is_some_and(|extension| extension == end);
            ends("rs") || ends("md") || ends("json") || ends("toml")
        })
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .filter(|text| text.ends_with('\n') && !text.contains('\r'))
        .map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|lines| (100..3_000).contains(&lines.len()))
        .collect()
}
