//! How time grows with the number of edits and with the size of the file, and in each format with
//! the edits of one file.
//!
//! Prints the least time of several rounds for each stage, and the exponents between neighbours:
//! 1.00 is linear, and nothing should exceed it by much.

#[expect(dead_code, reason = "another bench counts bytes")]
mod workload;

use std::hint::black_box;
use std::time::{Duration, Instant};

use patchcore::Policy;
use patchcore::batch::{Limits, parse};
use patchcore::dialect::{self, Dialect};
use patchcore::diff::{self, DiffOptions};
use patchcore::plan::{Script as _, plan};
use serde_json::json;

use workload::Workload;

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let scale = if quick { 100 } else { 1 };
    let rounds = if quick { 1 } else { 7 };
    let lines = 400_000 / scale;
    let edits = [10, 100, 1_000, 10_000].map(|edits| (lines, edits / scale.min(10)));
    let stages = |case: &(usize, usize)| least(rounds, || stages(case));
    series(
        "edits, over a file of the same size",
        &edits,
        |case| case.1,
        stages,
    );
    let sizes = [6_250, 25_000, 100_000, 400_000].map(|lines| (lines / scale, 50));
    series(
        "lines, with the same number of edits",
        &sizes,
        |case| case.0,
        stages,
    );
    let edits = [500, 1_000, 2_000, 4_000].map(|edits| edits / scale.min(10));
    let formats = |edits: &usize| least(rounds, || formats(*edits));
    series(
        "edits of a file, ten lines an edit",
        &edits,
        |edits| *edits,
        formats,
    );
}

/// What was timed, and how long it took.
type Times = Vec<(&'static str, Duration)>;

/// The least time of each over so many rounds.
fn least(rounds: usize, round: impl Fn() -> Times) -> Times {
    let mut least = round();
    for _ in 1..rounds {
        for (least, (_, time)) in least.iter_mut().zip(round()) {
            least.1 = time.min(least.1);
        }
    }
    least
}

fn series<C>(what: &str, cases: &[C], axis: fn(&C) -> usize, times: impl Fn(&C) -> Times) {
    println!("time over {what}");
    let measured: Vec<(usize, Times)> =
        cases.iter().map(|case| (axis(case), times(case))).collect();
    for (stage, (name, _)) in measured[0].1.iter().enumerate() {
        print!("  {name:<20}");
        let mut before: Option<(usize, Duration)> = None;
        for (size, times) in &measured {
            let time = times[stage].1;
            if let Some((smaller, shorter)) = before {
                let exponent = (time.as_secs_f64() / shorter.as_secs_f64()).ln()
                    / (*size as f64 / smaller as f64).ln();
                print!(" ^{exponent:<6.2}");
            }
            print!("{size:>8}: {:>9.3} ms", time.as_secs_f64() * 1e3);
            before = Some((*size, time));
        }
        println!();
    }
}

/// The stages of a batch of our own.
fn stages(&(lines, edits): &(usize, usize)) -> Times {
    let work = Workload::new(1, lines, edits);
    let tree = work.tree();
    let (batch, parsing) = timed(|| parse(work.batch.as_bytes(), &Limits::default()));
    let batch = batch.expect("a sound batch");
    let (planned, planning) = timed(|| plan(&batch, &tree, &Policy::default()));
    let mut out = Vec::new();
    let (written, rendering) = timed(|| planned.write_diff(&DiffOptions::default(), &mut out));
    written.expect("memory takes everything");
    let new = planned.changes[0].chunks().collect::<Vec<_>>().concat();
    let old = work.files[0].text.as_bytes();
    let (_, comparing) = timed(|| black_box(diff::edits(old, &new)));
    vec![
        ("parse", parsing),
        ("plan", planning),
        ("diff of the plan", rendering),
        ("diff of two texts", comparing),
    ]
}

/// From bytes to plan, in each format.
fn formats(edits: usize) -> Times {
    let work = Workload::new(1, edits * 10, edits);
    let tree = work.tree();
    let file = &work.files[0];
    let lines: Vec<&str> = file.text.lines().collect();
    // A line that stands in the file once, and a new one.
    let edits = (0..edits).map(|edit| edit * 10 / 8 * 8).map(|index| {
        let old = lines[index];
        (index, old, format!("{old} // edited"))
    });
    let mut policy = Policy::default();
    policy.allow_unguarded = true;
    let mut times = Vec::new();
    for format in Dialect::ALL {
        if format == Dialect::Files {
            continue; // It has no edits.
        }
        let patch = written(format, &file.path, &file.text, edits.clone());
        let mut options = dialect::Options::default();
        options.dialect = Some(format);
        let (plan, time) = timed(|| {
            let patch = dialect::parse(patch.as_bytes(), &options).expect("a sound patch");
            let lowered = patch.lower(&tree).expect("edits of what is there");
            plan(&lowered.batch, &tree, &policy)
        });
        let refused = plan
            .verdicts
            .iter()
            .find_map(|verdict| verdict.refusal.as_ref());
        assert!(refused.is_none(), "{format}: {refused:?}");
        times.push((format.name(), time));
    }
    times
}

/// Edits of a file, each the index of a line, the line and the new one.
fn written<'a>(
    format: Dialect,
    path: &str,
    text: &str,
    edits: impl Iterator<Item = (usize, &'a str, String)>,
) -> String {
    let tag = patchcore::rebase::Tag::of(text.as_bytes());
    let each = edits.map(|(index, old, new)| {
        let number = index + 1;
        match format {
            Dialect::Batch => {
                json!({ "op": "replace-text", "file": path, "find": old, "content": new })
                    .to_string()
            }
            Dialect::UnifiedDiff => format!("@@ -{number} +{number} @@\n-{old}\n+{new}\n"),
            Dialect::Codex => format!("@@\n-{old}\n+{new}\n"),
            Dialect::SearchReplace => {
                format!("{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n")
            }
            Dialect::StrReplace => json!({
                "command": "str_replace", "path": path, "old_str": old, "new_str": new,
            })
            .to_string(),
            Dialect::McpEdit => json!({ "oldText": old, "newText": new }).to_string(),
            Dialect::WorkspaceEdit => {
                let place = |character| json!({ "line": index, "character": character });
                let range = json!({ "start": place(0), "end": place(old.len()) });
                json!({ "range": range, "newText": new }).to_string()
            }
            Dialect::Hashline => format!("SWAP {number}.={number}:\n+{new}\n"),
            _ => unreachable!("{format} has no edits of lines"),
        }
    });
    let each: Vec<String> = each.collect();
    let list = || each.join(",");
    match format {
        Dialect::Batch => format!(r#"{{"version":1,"operations":[{}]}}"#, list()),
        Dialect::UnifiedDiff => format!("--- a/{path}\n+++ b/{path}\n{}", each.concat()),
        Dialect::Codex => format!(
            "*** Begin Patch\n*** Update File: {path}\n{}*** End Patch\n",
            each.concat()
        ),
        Dialect::StrReplace => format!("[{}]", list()),
        Dialect::McpEdit => format!(r#"{{"path":"{path}","edits":[{}]}}"#, list()),
        Dialect::WorkspaceEdit => format!(
            r#"{{"documentChanges":[{{"textDocument":{{"uri":"{path}","version":null}},"edits":[{}]}}]}}"#,
            list()
        ),
        Dialect::Hashline => format!("[{path}#{tag}]\n{}", each.concat()),
        _ => each.concat(),
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
