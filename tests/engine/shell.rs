//! Shell commands as agents write them, on real files: each is recorded, and taken back bit for bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use patchcore::report::Mode;
use patchcore::workspace::{Point, Workspace};

use crate::command::{options, record};
use crate::random::Random;
use crate::undo_to::files;
use crate::workspace::{apply_new, batch, create};

/// Copies sources of this library, which are as real as files get, and commits them.
fn start() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for part in ["batch", "diff", "path", "task", "rebase", "anchor"] {
        for entry in walkdir::WalkDir::new(sources.join(part)) {
            let entry = entry.unwrap();
            let below = entry.path().strip_prefix(&sources).unwrap();
            let to = dir.path().join("src").join(below);
            match entry.file_type().is_dir() {
                true => fs::create_dir_all(to).unwrap(),
                false => drop(fs::copy(entry.path(), to).unwrap()),
            }
        }
    }
    fs::write(dir.path().join("run.sh"), "#!/bin/sh\necho hi\n").unwrap();
    fs::write(
        dir.path().join("data.json"),
        "{\"a\": [1, 2, {\"b\": \"c\"}]}\n",
    )
    .unwrap();
    fs::write(dir.path().join("odd name.txt"), "it's\r\na file\r\n").unwrap();
    fs::write(dir.path().join(".gitignore"), "*.orig\n*.rej\n").unwrap();
    let git = "git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm start";
    shell(dir.path(), git);
    dir
}

fn shell(root: &Path, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(root);
    // No other repository, and nobody's settings.
    command.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // What fails half-way is an edit all the same.
    let _ = command.status().unwrap();
}

fn has(program: &str) -> bool {
    let status = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    status.unwrap().success()
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// What the machine has.
struct Tools {
    python: bool,
    perl: bool,
    patch: bool,
    rustfmt: bool,
}

/// A command, with what kind it is.
fn command(root: &Path, random: &mut Random, tools: &Tools) -> (&'static str, String) {
    let tracked: Vec<PathBuf> = files(root)
        .into_iter()
        .map(|(name, ..)| PathBuf::from(name))
        .filter(|name| !name.starts_with(".git") && !root.join(name).is_symlink())
        .collect();
    let pick = |random: &mut Random| {
        let index = random.below(tracked.len() as u64);
        tracked[usize::try_from(index).unwrap()].clone()
    };
    let (one, two) = (pick(random), pick(random));
    let (file, other) = (quoted(&one), quoted(&two));
    let number = 1 + random.below(60);
    let last = number + random.below(12);
    let dir = quoted(
        one.parent()
            .filter(|it| !it.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    );
    let words = ["path", "let", "line", "fn", "Some", "the", "a", "//", "use"];
    let word = words[usize::try_from(random.below(9)).unwrap()];
    match random.below(30) {
        0 => ("sed s", format!("sed -i 's/{word}/{word}_x/' {file}")),
        1 => ("sed g", format!("sed -i 's|{word}|<&>|g' {file} {other}")),
        2 => ("sed d", format!("sed -i '{number},{last}d' {file}")),
        3 => (
            "sed a",
            format!("sed -i '{number}a\\    // added\\n    // twice' {file}"),
        ),
        4 => (
            "sed c",
            format!("sed -i.orig '{number}c\\changed' {file} && rm -f {file}.orig"),
        ),
        5 => (
            "find sed",
            format!("find {dir} -name '*.rs' -exec sed -i 's/{word} /{word}  /' {{}} +"),
        ),
        6 => (
            "heredoc",
            format!("cat > {file} <<'EOT'\nfn new() {{\n    // ${word}\n}}\nEOT"),
        ),
        7 => ("append", format!("cat >> {file} <<EOT\n// more\n\nEOT")),
        8 => (
            "new",
            format!("mkdir -p made/{number} && printf 'no newline' > made/{number}/x"),
        ),
        9 => (
            "tee",
            format!("printf 'a\\r\\nb\\r\\n' | tee {file} > /dev/null"),
        ),
        10 => ("mv", format!("mv {file} {file}.moved")),
        11 => ("mv over", format!("mv -f {file} {other}")),
        12 => (
            "mv dir",
            format!("mkdir -p moved && mv {dir} moved/d{number}"),
        ),
        13 => ("rm", format!("rm -f {file}")),
        14 => ("rm -r", format!("rm -rf made {dir}/nothing")),
        15 => ("cp", format!("cp {file} {other}")),
        16 => ("cp -r", format!("cp -r {dir} copy{number}")),
        17 => (
            "chmod",
            format!(
                "chmod {} {file}",
                ["+x", "600", "-x"][usize::try_from(number % 3).unwrap()]
            ),
        ),
        18 => ("ln", format!("ln -sf run.sh link{number}")),
        19 => ("git checkout", format!("git checkout -- {file}")),
        20 => ("git checkout all", "git checkout -- .".to_owned()),
        21 => ("truncate", format!("head -c 100 {file} > t && mv t {file}")),
        22 => ("binary", format!("printf 'a\\0b\\377' > {file}")),
        23 => ("sort", format!("sort {file} -o {file}")),
        24 => (
            "awk",
            format!("awk 'NR!={number}' {file} > tmp.$$ && mv tmp.$$ {file}"),
        ),
        25 if tools.python => (
            "python",
            format!(
                "python3 -c \"p={file};s=open(p,newline='').read();open(p,'w',newline='').write(s.replace('{word}','{word}{number}',1))\""
            ),
        ),
        26 if tools.python => (
            "python script",
            format!(
                "python3 - <<'EOT'\nimport pathlib\np = pathlib.Path({file})\nlines = p.read_text().splitlines(True)\nlines.insert({number}, '# new\\n')\np.write_text(''.join(lines))\nEOT"
            ),
        ),
        27 if tools.perl => ("perl", format!("perl -0pi -e 's/\\n\\n/\\n/' {file}")),
        28 if tools.patch => (
            "patch",
            format!(
                "cp {file} b.orig && sed 's/{word}/P/' {file} > a.orig; diff -u b.orig a.orig | patch -s {file}; rm -f *.orig"
            ),
        ),
        29 if tools.rustfmt => (
            "rustfmt",
            format!("rustfmt --edition 2024 --config max_width=70 {file}"),
        ),
        _ => (
            "several",
            format!("sed -i 1d {file}; rm -f {other}; echo x > new{number}; false"),
        ),
    }
}

#[test]
fn shell_edits_are_recorded_and_taken_back_bit_for_bit() {
    let edits = std::env::var("PATCHCORE_SHELL_EDITS").map_or(60, |text| text.parse().unwrap());
    let tools = Tools {
        python: has("python3"),
        perl: has("perl"),
        patch: has("patch"),
        rustfmt: has("rustfmt"),
    };
    let (mut changed, mut kinds) = (0_u64, std::collections::BTreeMap::new());
    let mut random = Random(7);
    let mut made = 0_u64;
    while made < edits {
        let dir = start();
        let root = dir.path();
        let workspace = Workspace::open(root).unwrap();
        let first = apply_new(root, batch(vec![create("first", "x\n")]));
        let begin = files(root);
        let before_all = outside(&begin);
        // A tree each sixty commands, so that one does not end up empty.
        for _ in 0..60.min(edits - made) {
            made += 1;
            let before = outside(&files(root));
            let (kind, script) = command(root, &mut random, &tools);
            let recorded = record(root, || shell(root, &script));
            let after = outside(&files(root));
            let Some(applied) = recorded else {
                assert_eq!(after, before, "{script}");
                continue;
            };
            assert_ne!(after, before, "{script}");
            changed += 1;
            *kinds.entry(kind).or_insert(0_u64) += 1;
            assert_eq!(applied.report.warnings, Vec::<String>::new(), "{script}");
            // Half of them stay.
            if random.below(2) == 0 {
                continue;
            }
            let undone = workspace.undo(None, &options()).unwrap();
            assert_eq!(undone.report.code(), None, "{script}: {:?}", undone.report);
            assert_eq!(outside(&files(root)), before, "{script}");
        }
        let audit = workspace.audit().unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        let point = Point::Batch(first.record.transaction.to_string());
        let undone = workspace.undo_to(&point, Mode::Apply, &options()).unwrap();
        assert_eq!(undone.report.code(), None, "{:?}", undone.report);
        assert_eq!(outside(&files(root)), before_all);
    }
    println!("{made} commands, {changed} changed something: {kinds:?}");
    assert!(changed * 10 >= edits * 7, "{changed} of {edits}");
}

/// What is recorded: neither a repository's own files nor what git ignores.
fn outside(files: &crate::undo_to::Files) -> crate::undo_to::Files {
    let is_left_out = |name: &str| {
        name.split('/').any(|part| part == ".git")
            || [".orig", ".rej"].iter().any(|end| name.ends_with(end))
    };
    let files = files.iter().filter(|it| !is_left_out(&it.0));
    files.cloned().collect()
}
