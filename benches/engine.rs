//! The stages on the way from a batch to a diff, each by itself and in memory.

mod workload;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use patchcore::batch::{Limits, parse};
use patchcore::dialect;
use patchcore::diff::{self, DiffOptions};
use patchcore::plan::{Entry, Script, Source, plan};
use patchcore::{Policy, RelPath, Tree};

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

/// Kinds of lines of which a block is looked for that stands nowhere.
type Lines = (&'static str, fn(usize) -> String);

/// What it takes to refuse a block that stands nowhere in 100,000 lines, and to say where it nearly
/// does.
fn nowhere(criterion: &mut Criterion) {
    let kinds: [Lines; 4] = [
        ("code", |n| {
            format!("    let value_{n} = compute({}, \"{n:x}\");\n", n % 97)
        }),
        ("equal lines", |_| "    return self.value\n".to_owned()),
        ("nearly equal lines", |n| {
            format!("    return self.value_{}\n", n % 3)
        }),
        ("lines of 1,000 bytes", |n| {
            format!("{n:06} {}\n", "lorem ipsum dolor ".repeat(55))
        }),
    ];
    let mut group = criterion.benchmark_group("a block that stands nowhere");
    group.sample_size(10);
    for (kind, line) in kinds {
        let text: String = (0..100_000).map(line).collect();
        let path = RelPath::new("f").expect("a sound path");
        let source = Source::new(text.into_bytes(), false);
        let tree: Tree = [(path, Entry::File(source.into()))].into_iter().collect();
        for count in [1, 20, 200] {
            let lines = (50_000..50_000 + count).map(|n| line(n).replacen('e', "q", 1));
            let block: String = lines.collect();
            let patch = format!("f\n<<<<<<< SEARCH\n{block}=======\nx\n>>>>>>> REPLACE\n");
            let script = dialect::parse(patch.as_bytes(), &dialect::Options::default());
            let script = script.expect("a sound patch");
            let lowered = script.lower(&tree).expect("it can be located or not");
            let planned = plan(&lowered.batch, &tree, &Policy::default());
            assert!(planned.has_refusal(), "the block stands nowhere");
            group.bench_function(BenchmarkId::new(kind, count), |bencher| {
                bencher.iter(|| script.lower(black_box(&tree)).is_ok());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, stages, texts, nowhere);
criterion_main!(benches);
