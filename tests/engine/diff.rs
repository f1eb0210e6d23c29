//! Our diffs in the hands of `git apply` and GNU `patch`, there and back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use patchcore::diff::{self, DiffOptions, Direction, FileDiff, Origin, Side};
use patchcore::edit::{Edit, EditSet};
use proptest::prelude::*;

/// Bytes and executable bit by name.
pub(crate) type Files = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Modified,
    Created,
    Deleted,
    Renamed,
    Copied,
}

/// What happens to one file.
#[derive(Debug, Clone)]
struct Case {
    kind: Kind,
    name: Vec<u8>,
    source: Vec<u8>,
    edits: EditSet,
    modes: [bool; 2],
}

impl Case {
    fn new_name(&self) -> Vec<u8> {
        match self.kind {
            Kind::Renamed | Kind::Copied => [b"to/", &self.name[..]].concat(),
            _ => self.name.clone(),
        }
    }

    fn write(&self, options: &DiffOptions, out: &mut Vec<u8>) {
        let new_name = self.new_name();
        let old = Side {
            path: &self.name,
            executable: self.modes[0],
            link: false,
        };
        let new = Side {
            path: &new_name,
            executable: self.modes[1],
            link: false,
        };
        let diff = FileDiff {
            old: (!matches!(self.kind, Kind::Created)).then_some(old),
            new: (!matches!(self.kind, Kind::Deleted)).then_some(new),
            origin: match self.kind {
                Kind::Renamed => Origin::Renamed,
                Kind::Copied => Origin::Copied,
                _ => Origin::Same,
            },
            source: &self.source,
            edits: self.edits.as_slice(),
            lines: None,
        };
        diff.write(options, out).unwrap();
    }

    fn put(&self, before: &mut Files, after: &mut Files) {
        let old = (self.name.clone(), (self.source.clone(), self.modes[0]));
        if !matches!(self.kind, Kind::Created) {
            before.extend([old.clone()]);
        }
        if matches!(self.kind, Kind::Copied) {
            after.extend([old]);
        }
        if !matches!(self.kind, Kind::Deleted) {
            let bytes = self.edits.apply(&self.source);
            after.insert(self.new_name(), (bytes, self.modes[1]));
        }
    }
}

/// Lines that tools have stumbled over.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-d]{0,3}".prop_map(String::into_bytes),
        1 => prop::sample::select(vec![
            &b"--- a/x"[..], b"+++ b/x", b"@@ -1 +1 @@", b"\\ No newline at end of file",
            b"diff --git a/x b/x", b"\xff\xfe\x80", b"caf\xe9", b"a\0b", b"a\rb", b"\t ", b"-- ",
            b"GIT binary patch", b"rename from x", b"\xf0\x9f\x98\x80",
        ]).prop_map(<[u8]>::to_vec),
    ]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec((line(), prop::bool::weighted(0.2)), 0..14);
    (lines, any::<[bool; 2]>(), prop::bool::weighted(0.2)).prop_map(
        |(lines, [crlf, finished], bom)| {
            let mut bytes = if bom {
                patchcore::text::BOM.to_vec()
            } else {
                Vec::new()
            };
            for (line, other) in &lines {
                bytes.extend_from_slice(line);
                bytes.extend_from_slice(if crlf != *other { b"\r\n" } else { b"\n" });
            }
            if !finished {
                bytes.pop();
            }
            bytes
        },
    )
}

/// Disjoint edits of random bytes, or whatever leads to a text that is much the same.
fn edits_of(source: Vec<u8>) -> impl Strategy<Value = (Vec<u8>, EditSet)> {
    let piece = prop_oneof![line(), content(), Just(b"\n".to_vec()), Just(Vec::new())];
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), 0..9usize, piece), 0..4);
    (cuts, any::<bool>()).prop_map(move |(cuts, whole)| {
        let mut spans: Vec<_> = cuts
            .into_iter()
            .map(|(at, len, text)| (at.index(source.len() + 1), len, text))
            .collect();
        spans.sort_by_key(|(at, ..)| *at);
        let mut edits: Vec<Edit> = Vec::new();
        for (at, len, text) in spans {
            let start = edits.last().map_or(at, |last| last.span.end.max(at));
            let end = source.len().min(start + len);
            edits.push(Edit::replace(start..end, text));
        }
        let mut set = EditSet::new(edits, source.len()).unwrap();
        if whole {
            set = diff::edits(&source, &set.apply(&source));
        }
        (source.clone(), set)
    })
}

fn case() -> impl Strategy<Value = Case> {
    let kind = prop::sample::select(vec![
        Kind::Modified,
        Kind::Modified,
        Kind::Created,
        Kind::Deleted,
        Kind::Renamed,
        Kind::Copied,
    ]);
    let name = prop::sample::select(vec![
        "plain",
        "with space",
        "é",
        "tab\tname",
        "q\"uote",
        "back\\slash",
        "b",
        "a b/a b",
        "-x",
        "end ",
        "new\nline",
        "cr\r",
    ]);
    let name = (name, any::<bool>()).prop_map(|(name, raw)| {
        if raw {
            [name.as_bytes(), b"\xff"].concat()
        } else {
            name.as_bytes().to_vec()
        }
    });
    (
        kind,
        name,
        content().prop_flat_map(edits_of),
        any::<[bool; 2]>(),
    )
        .prop_map(|(kind, name, (mut source, mut edits), modes)| {
            match kind {
                Kind::Created => {
                    edits = EditSet::new(vec![Edit::insert(0, edits.apply(&source))], 0).unwrap();
                    source.clear();
                }
                Kind::Deleted => {
                    edits =
                        EditSet::new(vec![Edit::delete(0..source.len())], source.len()).unwrap();
                }
                _ => {}
            }
            Case {
                kind,
                name,
                source,
                edits,
                modes,
            }
        })
}

pub(crate) fn write(dir: &Path, files: &Files) {
    for (name, (bytes, executable)) in files {
        let path = dir.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn read(dir: &Path) -> Files {
    let files = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(dir).unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            let file = (fs::read(entry.path()).unwrap(), mode & 0o100 != 0);
            (name.as_os_str().as_bytes().to_vec(), file)
        })
        .collect()
}

/// Runs a tool on a tree of these files; the tree that it leaves.
pub(crate) fn run(tool: &[&str], files: &Files, patch: &[u8]) -> Files {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    let mut child = Command::new(tool[0])
        .args(&tool[1..])
        .current_dir(dir.path())
        // Neither this repository nor the user's settings are the trial's business.
        .env("GIT_CEILING_DIRECTORIES", dir.path().parent().unwrap())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(patch).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{tool:?}: {}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(patch)
    );
    read(dir.path())
}

pub(crate) const GIT: [&str; 4] = ["git", "apply", "--whitespace=nowarn", "-"];
const GIT_BACK: [&str; 5] = ["git", "apply", "--whitespace=nowarn", "-R", "-"];
const PATCH: [&str; 5] = ["patch", "-p1", "-s", "-f", "--fuzz=0"];
const PATCH_BACK: [&str; 6] = ["patch", "-p1", "-s", "-f", "--fuzz=0", "-R"];

fn assert_same(found: &Files, expected: &Files, patch: &[u8], what: &str) {
    let show = |file: Option<&(Vec<u8>, bool)>| match file {
        None => "nothing".to_owned(),
        Some((bytes, executable)) => format!("{:?} {executable}", bytes.escape_ascii().to_string()),
    };
    for name in found.keys().chain(expected.keys()) {
        let (found, expected) = (found.get(name), expected.get(name));
        assert!(
            found == expected,
            "{what} makes {} of {}, not {}, with\n{}",
            show(found),
            name.escape_ascii(),
            show(expected),
            patch.escape_ascii().to_string().replace("\\n", "\n")
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Many files in one diff, so that few processes try many cases.
    #[test]
    fn git_and_patch_lead_from_tree_to_tree_and_back(
        mut cases in prop::collection::vec(case(), 1..24),
    ) {
        for (index, case) in cases.iter_mut().enumerate() {
            case.name.splice(0..0, format!("{index}/").into_bytes());
        }
        let (mut before, mut after) = (Files::new(), Files::new());
        let (mut there, mut back) = (Vec::new(), Vec::new());
        let mut reverse = DiffOptions::default();
        reverse.direction = Direction::Reverse;
        for case in &cases {
            case.put(&mut before, &mut after);
            case.write(&DiffOptions::default(), &mut there);
            case.write(&reverse, &mut back);
        }
        // git restores a deleted file without its executable bit, whoever made the diff.
        let mut git_before = before.clone();
        for case in &cases {
            if matches!(case.kind, Kind::Deleted) {
                git_before.insert(case.name.clone(), (case.source.clone(), false));
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        assert_same(&run(&GIT, &before, &there), &after, &there, "git apply");
        assert_same(&run(&PATCH, &before, &there), &after, &there, "patch");
        assert_same(&run(&GIT_BACK, &after, &there), &git_before, &there, "git apply -R");
        assert_same(&run(&PATCH_BACK, &after, &there), &before, &there, "patch -R");
        assert_same(&run(&GIT, &after, &back), &before, &back, "git apply of the reverse");
        assert_same(&run(&PATCH, &after, &back), &before, &back, "patch of the reverse");
    }
}
