//! The board: how many edits the program gets right, refuses and gets wrong, beside `git apply`,
//! GNU `patch` and two naive appliers of search/replace blocks.
//!
//! `cargo bench -p patchctl --bench board [-- FOLDER]...` runs cases that are made here and those of
//! the folders, which hold `<source>/<case>/` with `case.json` (`format`, `expect`: `ok` or
//! `reject`, `flags.strip`), `before/`, `patch` and, unless it is rejected, `after/`; without that the
//! `index` lines of the patch name the blobs that must come out. Each contestant has a tree of its
//! own. Exit status 1 where ours is wrong anywhere, or a refusal has changed the tree.

mod cases;
mod contestants;
mod made;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cases::{Case, Expected};
use contestants::{Contestant, Ended};

/// How a case came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Right,
    Refused,
    Wrong,
    /// It was refused, and the tree has changed.
    Dirty,
}

/// Verdicts of one contestant on one source.
#[derive(Debug, Default)]
struct Tally {
    verdicts: BTreeMap<Verdict, usize>,
    codes: BTreeMap<String, usize>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to see that it runs.
    let quick = arguments.iter().any(|argument| argument == "--test");
    let folders: Vec<PathBuf> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .map(PathBuf::from)
        .collect();
    let mut all = made::cases(if quick { 4 } else { 200 });
    let hand_made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/board");
    for folder in std::iter::once(&hand_made).chain(&folders) {
        all.extend(cases::read(folder));
    }
    let work = tempfile::tempdir().expect("a temporary directory");
    let mut tallies: BTreeMap<(String, Contestant), Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &all {
        for contestant in Contestant::ALL {
            let Some((verdict, code)) = judge(case, contestant, work.path()) else {
                continue;
            };
            if contestant == Contestant::Ours && verdict >= Verdict::Wrong {
                wrong.push(format!("{verdict:?}: {}/{}", case.source, case.name));
            }
            let key = (case.source.clone(), contestant);
            let tally = tallies.entry(key).or_default();
            *tally.verdicts.entry(verdict).or_default() += 1;
            if let Some(code) = code {
                *tally.codes.entry(code).or_default() += 1;
            }
        }
    }
    print(&tallies);
    for line in &wrong {
        println!("{line}");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}

/// Lets a contestant have a case; `None` where it cannot read the format, or is not installed.
fn judge(case: &Case, contestant: Contestant, work: &Path) -> Option<(Verdict, Option<String>)> {
    let root = work.join("tree");
    let patch = work.join("patch");
    let mut sent = case.patch.clone();
    let mut tries = 0;
    loop {
        cases::lay_out(&case.before, &root);
        fs::write(&patch, &sent).expect("the patch is written");
        let ended = contestant.run(case, &sent, &root, &patch)?;
        let after = cases::tree(&root);
        let changed = after != case.before;
        let (verdict, code) = match (ended, &case.expected) {
            (Ended::Applied, Expected::Refused) => (Verdict::Wrong, None),
            (Ended::Applied, expected) if expected.is(&after) => (Verdict::Right, None),
            (Ended::Applied, _) => (Verdict::Wrong, None),
            (Ended::Refused { .. }, _) if changed => (Verdict::Dirty, None),
            (Ended::Refused { code, .. }, Expected::Refused) => (Verdict::Right, code),
            (Ended::Refused { code, found }, _) => {
                // Whoever misquoted a line sends it again as the refusal shows it.
                if let (Some(line), Some(found), 0) = (&case.misquoted, found, tries) {
                    sent = made::mended(&sent, line, &found);
                    tries += 1;
                    continue;
                }
                (Verdict::Refused, code)
            }
        };
        return Some((verdict, code));
    }
}

fn print(tallies: &BTreeMap<(String, Contestant), Tally>) {
    let widest = tallies.keys().map(|(source, _)| source.len()).max();
    let width = widest.unwrap_or(0).max(6);
    println!(
        "{:width$}  contestant      right  refused  wrong  refusals",
        "source"
    );
    let mut last = "";
    for ((source, contestant), tally) in tallies {
        let of = |verdict| tally.verdicts.get(&verdict).copied().unwrap_or(0);
        let codes = tally.codes.iter();
        let codes: Vec<String> = codes
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        let shown = if *source == last { "" } else { source };
        last = source;
        println!(
            "{shown:width$}  {:<13} {:>7} {:>8} {:>6}  {}",
            contestant.name(),
            of(Verdict::Right),
            of(Verdict::Refused),
            of(Verdict::Wrong) + of(Verdict::Dirty),
            codes.join(", ")
        );
    }
}
