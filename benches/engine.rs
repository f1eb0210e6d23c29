//! The stages on the way from a batch to a diff, each by itself and in memory.

mod workload;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use patchcore::Policy;
use patchcore::batch::{Limits, parse};
use patchcore::diff::{self, DiffOptions};
use patchcore::plan::plan;

use workload::Workload;

/// Name, files, lines in each, edits in each.
const SHAPES: [(&str, usize, usize, usize); 4] = [
    ("one edit, 100 lines", 1, 100, 1),
    ("1 file, 100,000 lines, 10 edits", 1, 100_000, 10),
    ("1 file, 100,000 lines, 10,000 edits", 1, 100_000, 10_000),
    ("500 files, 200 lines, 3 edits each", 500, 200, 3),
];

fn stages(criterion: &mut Criterion) {
    for (name, files, lines, edits) in SHAPES {
        let work = Workload::new(files, lines, edits);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(work.batch.len() as u64));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| parse(black_box(work.batch.as_bytes()), &Limits::default()).is_ok());
        });
        group.throughput(Throughput::Bytes(work.bytes() as u64));
        let batch = parse(work.batch.as_bytes(), &Limits::default()).expect("a sound batch");
        let policy = Policy::default();
        // A tree keeps its hashes, so each round takes a fresh one.
        group.bench_function("plan", |bencher| {
            bencher.iter_batched(
                || work.tree(),
                |tree| plan(&batch, &tree, &policy),
                criterion::BatchSize::LargeInput,
            );
        });
        let planned = plan(&batch, &work.tree(), &policy);
        assert!(planned.is_accepted(&policy), "the batch applies");
        group.bench_function("apply", |bencher| {
            bencher.iter(|| {
                let chunks = planned.changes.iter().flat_map(|change| change.chunks());
                chunks.map(|chunk| black_box(chunk).len()).sum::<usize>()
            });
        });
        group.bench_function("diff of the plan", |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                planned.write_diff(&DiffOptions::default(), &mut out)
            });
        });
        group.finish();
    }
}

fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff of two texts");
    for edits in [1, 100, 10_000] {
        let work = Workload::new(1, 100_000, edits);
        let batch = parse(work.batch.as_bytes(), &Limits::default()).expect("a sound batch");
        let planned = plan(&batch, &work.tree(), &Policy::default());
        let new = planned.changes[0].chunks().collect::<Vec<_>>().concat();
        let old = work.files[0].text.as_bytes();
        group.throughput(Throughput::Bytes((old.len() + new.len()) as u64));
        group.bench_function(BenchmarkId::new("edits", edits), |bencher| {
            bencher.iter(|| diff::edits(black_box(old), black_box(&new)));
        });
    }
    group.finish();
}

criterion_group!(benches, stages, texts);
criterion_main!(benches);
