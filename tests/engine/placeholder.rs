//! Placeholders through the engine: scanning trees, injecting, undoing, dying in the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use patchcore::order::Payload;
use patchcore::placeholder::{self, Injected, Language, Mark, Marker, Scanner};
use patchcore::plan::Script as _;
use patchcore::report::Status;
use patchcore::task::{Injection, Manifest};
use patchcore::workspace::fault::{Fault, FaultKind, inject};
use patchcore::workspace::{ApplyOptions, WalkOptions, WalkProgress, Workspace};
use patchcore::{Code, Error, RelPath, Report, Tree};
use proptest::prelude::*;

use crate::workspace::{path, snapshot, tree};

fn payload(prompts: &[(&str, &str)]) -> Payload {
    let pair = |(id, text): &(&str, &str)| ((*id).to_owned(), (*text).to_owned());
    Payload::new(prompts.iter().map(pair).collect())
}

/// The places of a tree's placeholders: path, id, start.
fn scan(root: &Path) -> Vec<(String, String, usize)> {
    let found = Mutex::new(Vec::new());
    let workspace = Workspace::open(root).unwrap();
    let options = WalkOptions::default();
    let walked = workspace.walk(&options, &WalkProgress::default(), &|file| {
        let path = file.path().unwrap().to_string();
        let here = placeholder::find(file.bytes()).into_iter();
        let mut here: Vec<_> = here
            .map(|p| (path.clone(), p.id.to_owned(), p.span.start))
            .collect();
        found.lock().unwrap().append(&mut here);
    });
    assert!(walked.unwrap().failures.is_empty());
    let mut found = found.into_inner().unwrap();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_scan_agrees_with_a_naive_regex_over_random_trees(
        files in proptest::collection::btree_map(
            "[a-c.]{0,2}[a-c](/[a-c]{1,2}){0,2}\\.(ts|py|md)",
            proptest::collection::vec(
                proptest::sample::select(vec![
                    "###A###", "/** B_2 **/", "###", "\n", "\r\n", " ", "/** ", " **/", "x", "#", "A", "\u{e9}",
                ]),
                0..30,
            ),
            1..8,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let naive = regex::bytes::Regex::new(
            r"###(?<h>[A-Z][A-Z0-9_]*)###|/\*\* (?<s>[A-Z][A-Z0-9_]*) \*\*/",
        ).unwrap();
        let mut expected = Vec::new();
        for (name, pieces) in &files {
            let (path, text) = (dir.path().join(name), pieces.concat());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
            for found in naive.captures_iter(text.as_bytes()) {
                let id = found.name("h").or(found.name("s")).unwrap();
                let id = String::from_utf8(id.as_bytes().to_vec()).unwrap();
                expected.push((name.clone(), id, found.get(0).unwrap().start()));
            }
        }
        expected.sort();
        prop_assert_eq!(scan(dir.path()), expected);
    }
}

fn files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("a.ts", "x\r\n  // ###A###"),
        ("b/c.py", "# /** B **/\n# ###A###\n"),
        ("plain", "no placeholder\n"),
    ]
}

fn run(root: &Path, prompts: &[(&str, &str)]) -> Result<Report, Error> {
    let workspace = Workspace::open(root)?;
    let manifest = Manifest::parse_or_default(workspace.tasks()?.as_deref()).unwrap();
    let paths = vec![path("a.ts"), path("b/c.py")];
    let injection = Injection::of_payload(payload(prompts), paths, &manifest);
    let options = ApplyOptions {
        review: Some(&injection),
        ..ApplyOptions::default()
    };
    Ok(workspace.apply(&injection, &options)?.report)
}

#[test]
fn injecting_again_changes_nothing_and_undo_restores_every_byte() {
    let dir = tree(&files());
    let before = snapshot(dir.path());
    let prompts = [("A", "one\ntwo"), ("B", "three")];
    assert_eq!(run(dir.path(), &prompts).unwrap().status, Status::Applied);
    let once = snapshot(dir.path());
    assert_ne!(once, before);
    for _ in 0..100 {
        let report = run(dir.path(), &prompts).unwrap();
        assert_eq!(report.status, Status::Unchanged);
    }
    assert_eq!(snapshot(dir.path()), once);
    let workspace = Workspace::open(dir.path()).unwrap();
    workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn lowering_an_injection_again_gives_the_same() {
    let manifest = Manifest::default();
    let prompts = payload(&[("A", "one"), ("NOWHERE", "two")]);
    let injection =
        Injection::of_payload(prompts, vec![path("a.py")], &manifest).leaving_out_missing();
    let loaded = Tree::new().with_file(path("a.py"), "# ###A###\n");
    let lower = |tree: &Tree| {
        let lowered = injection.lower(tree).unwrap();
        let missing = lowered
            .notes
            .missing
            .iter()
            .map(|missing| missing.id.clone());
        let missing: Vec<String> = missing.collect();
        (
            lowered.batch.operations.len(),
            lowered.notes.injected,
            missing,
        )
    };
    let first = lower(&loaded);
    assert_eq!((first.0, &first.2[..]), (1, &["NOWHERE".to_owned()][..]));
    assert!(!first.1.is_empty());
    // Another tree has another answer, and leaves none behind.
    let empty = lower(&Tree::new());
    assert_eq!((empty.0, empty.2.len()), (0, 2));
    assert!(empty.1.is_empty());
    assert_eq!(lower(&loaded), first);
}

#[test]
fn r14_files_and_manifest_change_together_whatever_dies() {
    let prompts = [("A", "one"), ("B", "two")];
    let tasks = |root: &Path| Workspace::open(root).unwrap().tasks().unwrap();
    let dir = tree(&files());
    let old = (snapshot(dir.path()), tasks(dir.path()));
    let measured = inject(Fault::default(), || run(dir.path(), &prompts).map(drop));
    measured.result.unwrap();
    let new = (snapshot(dir.path()), tasks(dir.path()));
    assert!(old.1.is_none() && new.1.is_some());
    let mut mixes = 0;
    for kind in [FaultKind::Stop, FaultKind::Tear, FaultKind::Fail(28)] {
        for at in 1..=measured.steps.len() {
            let dir = tree(&files());
            let fault = Fault {
                at: Some((at, kind)),
                ..Fault::default()
            };
            let _ = inject(fault, || run(dir.path(), &prompts).map(drop));
            let half = snapshot(dir.path());
            if half != old.0 && half != new.0 {
                // Whoever reads a mix is told so.
                let workspace = Workspace::open(dir.path()).unwrap();
                let walked =
                    workspace.walk(&WalkOptions::default(), &WalkProgress::default(), &|_| ());
                assert_eq!(walked.unwrap_err().code(), Code::Unfinished);
                mixes += 1;
            }
            Workspace::open(dir.path()).unwrap().recover().unwrap();
            let now = (snapshot(dir.path()), tasks(dir.path()));
            let step = measured.steps[at - 1];
            assert!(
                now == old || now == new,
                "{kind:?} at step {at}, {step}: {now:?}"
            );
        }
    }
    assert!(mixes > 0);
}

#[test]
fn a_refused_injection_leaves_the_manifest_alone() {
    let dir = tree(&[("a.ts", "###A###\n"), ("b/c.py", "\0 ###A###\n")]);
    let report = run(dir.path(), &[("A", "one")]).unwrap();
    assert_eq!(report.status, Status::Refused);
    assert_eq!(Workspace::open(dir.path()).unwrap().tasks().unwrap(), None);
}

const NASTY: &[&str] = &[
    "*/",
    "-->",
    "\"\"\"",
    "'''",
    "\n::set-env name=x::y",
    "lone \r carriage",
    "\\",
    "x \\\ny",
    "?>",
    "<?php",
    "\u{2028}",
    "`",
    "\\u002a/ alert(1)",
    "/*",
    "=cut",
    "\n=begin\n",
    "${x}",
    "$(touch x)",
    "%s",
    "\0",
    "\u{1b}[2J",
    "\u{85}next",
    "*)",
    "--}}",
];

/// What the language's own tools make of a file in which every nasty prompt is injected.
fn check(name: &str, line: &str, tool: &str, arguments: &[&str]) {
    let path = RelPath::new(name).unwrap();
    assert!(Language::of(&path, b"").is_some());
    let mut source = String::new();
    let mut prompts: Vec<String> = NASTY.iter().map(ToString::to_string).collect();
    prompts.push("\u{1f600}".repeat(2560));
    for index in 0..prompts.len() {
        source.push_str(&line.replace("ID", &format!("###P{index}###")));
    }
    let by_id: BTreeMap<String, String> = prompts
        .into_iter()
        .enumerate()
        .map(|(n, text)| (format!("P{n}"), text))
        .collect();
    let (scanner, known) = (Scanner::new(), Injected::default());
    let mark = |id: &str| by_id.get(id).cloned().map(Mark::Prompt);
    let marked = Marker::new(&scanner, &known).mark(&path, source.as_bytes(), &mark);
    let mut edits = Vec::new();
    for one in marked {
        assert_eq!(one.refusal, None);
        edits.extend(one.edits);
    }
    assert_eq!(edits.len(), by_id.len());
    let set = patchcore::edit::EditSet::new(edits, source.len()).unwrap();
    let after = set.apply(source.as_bytes());
    let dir = tempfile::tempdir().unwrap();
    for (what, bytes) in [("before", source.as_bytes()), ("after", &after)] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        let run = Command::new(tool)
            .args(arguments)
            .arg(name)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .output();
        match run {
            // What is not installed cannot be asked.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            run => {
                let run = run.unwrap();
                let said = String::from_utf8_lossy(&run.stderr).into_owned();
                assert!(run.status.success(), "{what} {name}: {said}");
            }
        }
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "{name} did something"
    );
}

macro_rules! compilers {
    ($($label:ident: $name:literal, $line:literal, $tool:literal, $arguments:expr;)+) => {
        $(#[test] fn $label() { check($name, $line, $tool, &$arguments); })+
    };
}

compilers! {
    nasty_prompts_leave_python_alone: "a.py", "x = 1  # ID\n", "python3", ["-c", "import ast, sys; ast.parse(open(sys.argv[1], 'rb').read())"];
    nasty_prompts_leave_a_docstring_alone: "d.py", "\"\"\"\nID\n\"\"\"\n", "python3", ["-c", "import ast, sys; ast.parse(open(sys.argv[1], 'rb').read())"];
    nasty_prompts_leave_javascript_alone: "a.js", "x = 1; // ID\n", "node", ["--check"];
    nasty_prompts_leave_a_javascript_comment_alone: "c.js", "/*\n * ID\n */\n", "node", ["--check"];
    nasty_prompts_leave_shell_alone: "a.sh", "true # ID\n", "sh", ["-e"];
    nasty_prompts_leave_perl_alone: "a.pl", "1; # ID\n", "perl", ["-c"];
    nasty_prompts_leave_c_alone: "a.c", "extern int x; /* ID */\n", "cc", ["-fsyntax-only"];
    nasty_prompts_leave_cpp_alone: "a.cc", "extern int x; // ID\n", "c++", ["-fsyntax-only"];
    nasty_prompts_leave_make_alone: "a.mk", "all: # ID\n", "make", ["-n", "-f"];
    nasty_prompts_leave_toml_alone: "a.toml", "# ID\n", "python3", ["-c", "import tomllib, sys; tomllib.load(open(sys.argv[1], 'rb'))"];
    nasty_prompts_leave_xml_alone: "a.xsd", "<a><!-- ID --></a>\n", "python3", ["-c", "import sys, xml.dom.minidom as m; m.parseString(b'<r>' + open(sys.argv[1], 'rb').read() + b'</r>')"];
    nasty_prompts_leave_ini_alone: "a.ini", "; ID\n", "python3", ["-c", "import configparser, sys; configparser.ConfigParser().read(sys.argv[1], 'utf-8')"];
    nasty_prompts_leave_java_alone: "A.java", "/* ID */\n", "javac", ["-proc:none"];
    nasty_prompts_leave_tcl_alone: "a.tcl", "# ID\nset x 1\n", "tclsh", [];
}
