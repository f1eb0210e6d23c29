//! Foreign patch formats.
//!
//! A case in `fixtures/dialects/<dialect>/<case>` is `case.json` (options, and the code of the
//! refusal if it is one), `patch`, the tree `before/` and the tree `after/`. An empty tree holds a
//! `.keep`.

mod damaged;
mod git;
mod ladder;
mod laws;
mod mended;
mod readings;
mod shapes;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchcore::batch::{self, Limits};
use patchcore::dialect::{Dialect, Options, check_representable_as_diff, detect, parse, to_batch};
use patchcore::plan::{ChangeKind, Entry, Plan, Script, Source, plan};
use patchcore::{Code, Hint, Policy, Refusal, RelPath, Tree};
use serde::Deserialize;

/// Files by path: bytes, and whether they can be executed.
type Files = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    options: CaseOptions,
    /// The code of the first refusal.
    refused: Option<Code>,
    /// What its message says, too.
    says: Option<String>,
    /// The option that would let it pass.
    hint: Option<Hint>,
    /// Whether the dialect is found out from the patch.
    #[serde(default = "yes")]
    detected: bool,
    /// What the case shows, where its name does not.
    #[serde(rename = "note")]
    _note: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaseOptions {
    strict: bool,
    file: Option<String>,
    all: bool,
    strip: Option<usize>,
    reverse: bool,
    directory: Option<String>,
    recount: bool,
    ignore_whitespace: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    unidiff_zero: bool,
    allow_omission: bool,
    overwrite: bool,
}

impl CaseOptions {
    fn options(&self, dialect: Dialect) -> Options {
        let path = |path: &Option<String>| path.as_ref().map(|path| RelPath::new(path).unwrap());
        let mut options = Options::default();
        options.dialect = Some(dialect);
        options.strict = self.strict;
        options.file = path(&self.file);
        options.all = self.all;
        options.strip = self.strip;
        options.reverse = self.reverse;
        options.directory = path(&self.directory);
        options.recount = self.recount;
        options.ignore_whitespace = self.ignore_whitespace;
        options.include.clone_from(&self.include);
        options.exclude.clone_from(&self.exclude);
        options.unidiff_zero = self.unidiff_zero;
        options.allow_omission = self.allow_omission;
        options
    }
}

/// A batch that a patch is converted to is let pass what the patch was let pass.
fn policy(options: &Options) -> Policy {
    let mut policy = Policy::default();
    policy.allow_omission = options.allow_omission;
    // Positions alone prove nothing; `positions_alone_are_unguarded` is about that.
    policy.allow_unguarded = true;
    policy
}

#[test]
fn positions_alone_are_unguarded() {
    let insert = |line| {
        format!(r#"{{"command": "insert", "path": "f", "insert_line": {line}, "new_str": "x"}}"#)
    };
    let range = r#"[{"range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 1}}, "newText": "x"}]"#;
    let changes = format!(r#"{{"changes": {{"f": {range}}}}}"#);
    let versioned = format!(
        r#"{{"documentChanges": [{{"textDocument": {{"uri": "f", "version": 3}}, "edits": {range}}}]}}"#
    );
    let created = r#"{"documentChanges": [{"kind": "create", "uri": "n"}, {"textDocument": {"uri": "n", "version": null}, "edits": [{"range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}, "newText": "x"}]}]}"#;
    for (patch, bare) in [
        (insert(0), false),
        (insert(2), true),
        (changes, true),
        (versioned, true),
        (created.to_owned(), false),
    ] {
        let before = Files::from([(b"f".to_vec(), (b"a\nb\nc\n".to_vec(), false))]);
        let script = parse(patch.as_bytes(), &Options::default()).unwrap();
        let tree = tree(&before, &script.paths());
        let batch = script.lower(&tree).unwrap().batch;
        let refused = plan(&batch, &tree, &Policy::default());
        let first = first_refusal(&refused);
        assert_eq!(first.is_some(), bare, "{patch}: {first:?}");
        if let Some(refusal) = first {
            assert_eq!(refusal.code, Code::Unguarded);
            assert!(
                refusal
                    .candidates
                    .iter()
                    .any(|place| place.text.contains('b')),
                "{refusal:?}"
            );
        }
        assert!(
            refused
                .verdicts
                .iter()
                .all(|verdict| verdict.guarded != bare)
        );
        let allowed = plan(&batch, &tree, &policy(&Options::default()));
        assert!(first_refusal(&allowed).is_none(), "{patch}");
        assert!(
            allowed
                .verdicts
                .iter()
                .all(|verdict| verdict.guarded != bare)
        );
    }
}

#[test]
fn odd_names_are_edited_and_not_created() {
    for name in [
        "src\\a.ts",
        "C:/a.ts",
        "~/a.ts",
        "`a.ts`",
        "a.ts:",
        "a.ts (new)",
        "a.ts ",
    ] {
        let text = |value: &str| serde_json::to_string(value).unwrap();
        let shown = text(name);
        let patches = [
            format!(
                r#"{{"operations": [{{"op": "create-file", "file": {shown}, "content": "x"}}]}}"#
            ),
            format!(r#"{{"operations": [{{"op": "copy-file", "file": "f", "to": {shown}}}]}}"#),
            format!(r#"{{"operations": [{{"op": "rename-file", "file": "f", "to": {shown}}}]}}"#),
            format!(r#"{{"command": "create", "path": {shown}, "file_text": "x"}}"#),
            format!(r#"{{"file_path": {shown}, "content": "x"}}"#),
            format!(r#"[{{"path": {shown}, "content": "x"}}]"#),
        ];
        let batch_of = |patch: &str, before: &Files| {
            let script = parse(patch.as_bytes(), &Options::default()).unwrap();
            let tree = tree(before, &script.paths());
            let batch = script.lower(&tree).unwrap().batch.into_owned();
            (batch, tree)
        };
        let before = Files::from([(b"f".to_vec(), (b"a\n".to_vec(), false))]);
        for patch in &patches {
            let (batch, tree) = batch_of(patch, &before);
            let refusal = first_refusal(&plan(&batch, &tree, &Policy::default()));
            let refusal = refusal.unwrap_or_else(|| panic!("{patch}"));
            assert_eq!(refusal.code, Code::PathEscape, "{patch}");
            let mut policy = Policy::default();
            policy.allow_odd_names = true;
            assert!(
                first_refusal(&plan(&batch, &tree, &policy)).is_none(),
                "{patch}"
            );
        }
        let before = Files::from([(name.as_bytes().to_vec(), (b"a\n".to_vec(), false))]);
        let edit = format!(r#"{{"path": {shown}, "edits": [{{"oldText": "a", "newText": "b"}}]}}"#);
        for patch in [&edit, &patches[5]] {
            let (batch, tree) = batch_of(patch, &before);
            assert!(
                first_refusal(&plan(&batch, &tree, &Policy::default())).is_none(),
                "{patch}"
            );
        }
    }
}

/// What a patch makes of files, or its first refusal.
fn applied(patch: &[u8], before: &Files, options: &Options) -> Result<Files, Refusal> {
    applied_under(patch, before, options, &policy(options))
}

fn applied_under(
    patch: &[u8],
    before: &Files,
    options: &Options,
    policy: &Policy,
) -> Result<Files, Refusal> {
    let script = parse(patch, options)?;
    let tree = tree(before, &script.paths());
    let batch = script.lower(&tree)?.batch;
    let plan = plan(&batch, &tree, policy);
    if let Some(refusal) = first_refusal(&plan) {
        assert!(plan.changes.is_empty(), "a refused patch changes nothing");
        return Err(refusal);
    }
    Ok(changed(before, &plan))
}

fn first_refusal(plan: &Plan) -> Option<Refusal> {
    let mut refusals = plan
        .verdicts
        .iter()
        .filter_map(|verdict| verdict.refusal.as_deref());
    refusals.next().cloned()
}

fn tree(files: &Files, paths: &[RelPath]) -> Tree {
    let entry = |path: &RelPath| match files.get(path.as_bytes()) {
        Some((bytes, executable)) => Entry::File(Arc::new(Source::new(bytes.clone(), *executable))),
        None => Entry::Absent,
    };
    paths
        .iter()
        .map(|path| (path.clone(), entry(path)))
        .collect()
}

/// The files after a plan.
fn changed(before: &Files, plan: &Plan) -> Files {
    let mut files = before.clone();
    for change in &plan.changes {
        match (change.kind, &change.from) {
            (ChangeKind::Deleted, _) => files.remove(change.path.as_bytes()),
            (ChangeKind::Renamed, Some(from)) => files.remove(from.as_bytes()),
            _ => None,
        };
    }
    for change in plan
        .changes
        .iter()
        .filter(|change| change.kind != ChangeKind::Deleted)
    {
        let bytes = change.chunks().flatten().copied().collect();
        let executable = change.after.as_ref().unwrap().executable;
        files.insert(change.path.as_bytes().to_vec(), (bytes, executable));
    }
    files
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/dialects")
}

fn read_tree(root: &Path) -> Files {
    let mut files = Files::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() || entry.file_name() == ".keep" {
            continue;
        }
        let path = entry.path().strip_prefix(root).unwrap();
        let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
        let bytes = fs::read(entry.path()).unwrap();
        files.insert(
            path.to_str().unwrap().as_bytes().to_vec(),
            (bytes, executable),
        );
    }
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with(".gitattributes"))
        .collect();
    entries.sort();
    entries
}

#[test]
fn every_case_comes_out_as_it_says() {
    let mut failures = Vec::new();
    let mut count = 0;
    for folder in entries(&folder()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let dialect: Dialect = name
            .parse()
            .expect("a folder for each dialect, and no other");
        for case in entries(&folder) {
            count += 1;
            if let Err(why) = run(dialect, &case) {
                failures.push(format!(
                    "{}: {why}",
                    case.strip_prefix(folder.parent().unwrap())
                        .unwrap()
                        .display()
                ));
            }
        }
    }
    assert!(count > 0 && failures.is_empty(), "{}", failures.join("\n"));
}

fn run(dialect: Dialect, folder: &Path) -> Result<(), String> {
    for entry in entries(folder) {
        let name = entry.file_name().unwrap().to_str().unwrap();
        if !["case.json", "patch", "before", "after"].contains(&name) {
            return Err(format!("{name} is no part of a case"));
        }
    }
    let case = fs::read(folder.join("case.json")).map_err(|error| format!("case.json: {error}"))?;
    let case: Case = serde_json::from_slice(&case).map_err(|error| error.to_string())?;
    let patch = fs::read(folder.join("patch")).unwrap();
    let before = read_tree(&folder.join("before"));
    let options = case.options.options(dialect);
    let mut policy = policy(&options);
    policy.overwrite = case.options.overwrite;
    let told = detect(&patch);
    if case.detected && told.as_ref().ok() != Some(&dialect) {
        return Err(format!("detected as {told:?}"));
    }
    let applied = applied_under(&patch, &before, &options, &policy);
    match (applied, case.refused) {
        (Err(refusal), Some(code)) => {
            if refusal.code != code
                || !refusal
                    .message
                    .contains(case.says.as_deref().unwrap_or_default())
                || case.hint.is_some_and(|hint| refusal.hint != Some(hint))
            {
                return Err(format!("refused otherwise: {refusal}"));
            }
            if folder.join("after").try_exists().unwrap() {
                return Err("a refused case has no after".into());
            }
            Ok(())
        }
        (Ok(_), Some(code)) => Err(format!("applied, and should be refused with {code}")),
        (Err(refusal), None) => Err(format!("refused: {refusal}")),
        (Ok(files), None) => {
            let after = read_tree(&folder.join("after"));
            if files != after {
                return Err(format!("came out as {}", shown(&files)));
            }
            converted(&patch, &before, &options, &policy, &after)
        }
    }
}

/// A patch converted to a batch or a diff comes to the same files, if it can be converted.
fn converted(
    patch: &[u8],
    before: &Files,
    options: &Options,
    policy: &Policy,
    after: &Files,
) -> Result<(), String> {
    let script = parse(patch, options).map_err(|refusal| refusal.to_string())?;
    let tree = tree(before, &script.paths());
    let batch = script
        .lower(&tree)
        .map_err(|refusal| refusal.to_string())?
        .batch;
    let planned = plan(&batch, &tree, policy);
    match to_batch(&planned, &tree, policy) {
        Ok(wire) => {
            let json = serde_json::to_vec(&wire).unwrap();
            let batch =
                batch::parse(&json, &Limits::default()).map_err(|fault| fault.to_string())?;
            let again = plan(&batch, &tree, policy);
            if changed(before, &again) != *after {
                return Err("the batch that it converts to comes out otherwise".into());
            }
        }
        Err(refusal) if refusal.code == Code::InvalidBatch => {}
        Err(refusal) => {
            return Err(format!(
                "the batch that it converts to is refused: {refusal}"
            ));
        }
    }
    if check_representable_as_diff(&planned).is_err() {
        return Ok(());
    }
    let mut diff = Vec::new();
    planned
        .write_diff(&patchcore::diff::DiffOptions::default(), &mut diff)
        .unwrap();
    if diff.is_empty() {
        return Ok(());
    }
    let mut plain = Options::default();
    plain.dialect = Some(Dialect::UnifiedDiff);
    plain.strip = Some(1);
    plain.allow_omission = true;
    let there =
        applied(&diff, before, &plain).map_err(|refusal| format!("as a diff: {refusal}"))?;
    if there != *after {
        return Err("the diff that it converts to comes out otherwise".into());
    }
    plain.reverse = true;
    let back = applied(&diff, after, &plain)
        .map_err(|refusal| format!("as a reversed diff: {refusal}"))?;
    if back != *before {
        return Err(format!("the reversed diff comes out as {}", shown(&back)));
    }
    Ok(())
}

fn shown(files: &Files) -> String {
    let file = |(path, (bytes, executable)): (&Vec<u8>, &(Vec<u8>, bool))| {
        let mark = if *executable { "*" } else { "" };
        format!(
            "{}{mark}: {:?}",
            String::from_utf8_lossy(path),
            String::from_utf8_lossy(bytes)
        )
    };
    files.iter().map(file).collect::<Vec<_>>().join(", ")
}

#[test]
fn sections_of_an_envelope_behind_a_refused_one_are_judged_without_it() {
    use patchcore::plan::Outcome::{NotApplied, NotEvaluated, Refused};

    let before = Files::from([(b"f".to_vec(), (b"a\nb\nc\n".to_vec(), false))]);
    let section = |old: &str, new: &str| format!("*** Update File: f\n@@\n-{old}\n+{new}\n");
    let delete = "*** Delete File: f\n";
    let (bad, good) = (section("x", "y"), section("b", "B"));
    let bad_again = section("z", "y");
    for (sections, expected) in [
        ([&*bad, &good].concat(), vec![Refused, NotApplied]),
        ([&*bad, &bad_again].concat(), vec![Refused, NotEvaluated]),
        (
            [&*bad, &bad_again, &good].concat(),
            vec![Refused, NotEvaluated, NotApplied],
        ),
        (
            [&*good, &bad, delete].concat(),
            vec![NotApplied, Refused, NotApplied],
        ),
    ] {
        let patch = format!("*** Begin Patch\n{sections}*** End Patch\n");
        let script = parse(patch.as_bytes(), &Options::default()).unwrap();
        let tree = tree(&before, &script.paths());
        let batch = script.lower(&tree).unwrap().batch;
        let plan = plan(&batch, &tree, &Policy::default());
        let outcomes: Vec<_> = plan
            .verdicts
            .iter()
            .map(|verdict| verdict.outcome)
            .collect();
        assert_eq!(outcomes, expected, "{patch}");
    }
}
