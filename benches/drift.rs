//! How often a unified diff lands where it should in a file that others have worked on, beside `git
//! apply` and GNU `patch`: `cargo bench -p patchcore --bench drift -- 100000 1000` runs so many
//! trials of the engine, and of the two tools.

#[path = "../tests/engine/drift/trial.rs"]
mod trial;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use trial::{Random, Trial, make};

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let mut counts = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let default = if quick { 20 } else { 20_000 };
    let ours = counts.next().unwrap_or(default);
    let theirs = counts.next().unwrap_or(default / 40);
    let sources = sources();
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
