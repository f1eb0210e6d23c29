//! How time grows with the number of edits and with the size of the file.
//!
//! Prints the least time of several rounds for each stage, and the exponents between neighbours:
//! 1.00 is linear, and nothing should exceed it by much.

#[expect(dead_code, reason = "another bench counts bytes")]
mod workload;

use std::hint::black_box;
use std::time::{Duration, Instant};

use patchcore::Policy;
use patchcore::batch::{Limits, parse};
use patchcore::diff::{self, DiffOptions};
use patchcore::plan::plan;

use workload::Workload;

fn main() {
    // `cargo test --benches` only wants to see that it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let scale = if quick { 100 } else { 1 };
    let rounds = if quick { 1 } else { 7 };
    let lines = 400_000 / scale;
    let edits = [10, 100, 1_000, 10_000].map(|edits| (lines, edits / scale.min(10)));
    series(
        "edits, over a file of the same size",
        &edits,
        |case| case.1,
        rounds,
    );
    let sizes = [6_250, 25_000, 100_000, 400_000].map(|lines| (lines / scale, 50));
    series(
        "lines, with the same number of edits",
        &sizes,
        |case| case.0,
        rounds,
    );
}

fn series(what: &str, cases: &[(usize, usize)], axis: fn(&(usize, usize)) -> usize, rounds: usize) {
    println!("time over {what}");
    let measured: Vec<_> = cases
        .iter()
        .map(|case| (axis(case), measure(case, rounds)))
        .collect();
    for stage in 0..STAGES.len() {
        print!("  {:<20}", STAGES[stage]);
        let mut before: Option<(usize, Duration)> = None;
        for (size, times) in &measured {
            let time = times[stage];
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

const STAGES: [&str; 4] = ["parse", "plan", "diff of the plan", "diff of two texts"];

fn measure(&(lines, edits): &(usize, usize), rounds: usize) -> [Duration; 4] {
    let work = Workload::new(1, lines, edits);
    let policy = Policy::default();
    let mut least = [Duration::MAX; 4];
    for _ in 0..rounds {
        let tree = work.tree();
        let (batch, parsing) = timed(|| parse(work.batch.as_bytes(), &Limits::default()));
        let batch = batch.expect("a sound batch");
        let (planned, planning) = timed(|| plan(&batch, &tree, &policy));
        let mut out = Vec::new();
        let (written, rendering) = timed(|| planned.write_diff(&DiffOptions::default(), &mut out));
        written.expect("memory takes everything");
        let new = planned.changes[0].chunks().collect::<Vec<_>>().concat();
        let old = work.files[0].text.as_bytes();
        let (_, comparing) = timed(|| black_box(diff::edits(old, &new)));
        for (least, time) in least
            .iter_mut()
            .zip([parsing, planning, rendering, comparing])
        {
            *least = time.min(*least);
        }
    }
    least
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
