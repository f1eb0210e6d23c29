# The recipes are the steps of `.ci/run`, which needs no `just`.

# Everything that CI checks.
ci:
    .ci/run

# Formatting.
fmt:
    .ci/run fmt

# Lints, warnings denied.
lint:
    .ci/run lint

# The documentation, warnings denied.
docs:
    .ci/run docs

# All tests, the README's examples among them.
test:
    .ci/run tests

# The library without a file system.
embed:
    .ci/run embed

# The benches are built, not run.
benches:
    .ci/run benches

# Both crates can be packaged, and what is packaged builds.
package:
    .ci/run package

# Writes the expectations of fixtures/cases anew; look at the difference before you commit it.
fixtures:
    UPDATE_FIXTURES=1 cargo test -p patchctl --test cli corpus

# Trees, changes, entries and ways on from there against a plain model and git: `just generate 100`
# tries a hundred times as many as the tests do.
generate times="20":
    PATCHCORE_CAMPAIGN={{ times }} cargo test --release -p patchcore --test engine generated

# Runs a fuzz target for some seconds: `just fuzz batch_parse 60`. Finds go to fuzz/artifacts.
fuzz target seconds="60":
    mkdir -p fuzz/corpus/{{ target }} fuzz/seeds/{{ target }} fuzz/artifacts/{{ target }}
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks" \
        cargo run --release --manifest-path fuzz/Cargo.toml --target-dir target/fuzz --target "$(rustc -vV | sed -n 's/^host: //p')" --bin {{ target }} -- \
        -max_total_time={{ seconds }} -rss_limit_mb=512 -timeout=5 -artifact_prefix=fuzz/artifacts/{{ target }}/ fuzz/corpus/{{ target }} fuzz/seeds/{{ target }}

# The test orchestrator, to develop against by hand.
orchestrator *ARGS:
    cargo run -p patchctl --example orchestrator -- {{ ARGS }}

# The fastest and most portable binary: static, optimised as a whole. Needs Debian's musl-tools and
# `rustup target add x86_64-unknown-linux-musl`.
dist target="x86_64-unknown-linux-musl":
    RUSTFLAGS="-C relocation-model=static" cargo build --profile dist --target {{ target }} -p patchctl

# Time of each stage over edits and over size, and of each format over the edits of one file, with the
# exponents between.
growth:
    cargo bench -p patchcore --bench growth

# The program beside git apply, GNU patch and GNU diff, where they are installed.
peers:
    cargo bench -p patchctl --bench peers

# How many edits come out right, refused and wrong, beside others; FOLDERS hold more cases.
board *FOLDERS:
    cargo bench -p patchctl --bench board -- {{ FOLDERS }}

# Sixteen writers of one tree at once, each with so many edits: nothing is lost, and the log leads to
# the same bytes.
writers edits="10000":
    PATCHCORE_WRITES={{ edits }} cargo test --release -p patchcore --test engine many_writers -- --nocapture

# Many processes on one tree for so many seconds, of which a third is killed: nothing is lost.
stress seconds="300":
    PATCHCORE_STRESS={{ seconds }} cargo test --release -p patchctl --test cli stress -- --nocapture

# So many shell edits as agents write them, each recorded and taken back bit for bit.
shell-edits edits="2500":
    PATCHCORE_SHELL_EDITS={{ edits }} cargo test --release -p patchcore --test engine shell_edits -- --nocapture

# What recording a command adds to it, on a tree of 10,000 files.
commands:
    cargo bench -p patchcore --bench commands
