//! Elisions made from the forms in which models write them, and the comments of real sources.
//!
//! Each form stands in several languages, with parts and names that the rule does not list, in an
//! edit that takes more lines than it brings, through every entry by turns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use patchcore::dialect::{Options, parse};
use patchcore::plan::{Script as _, plan};
use patchcore::{Code, Policy, RelPath, Tree};

use super::{OLD, list};
use crate::random::Random;

/// What opens and ends a comment that is all of its line.
const MARKS: [(&str, &str); 11] = [
    ("// ", ""),
    ("# ", ""),
    ("// ", ""),
    ("# ", ""),
    ("/* ", " */"),
    ("{/* ", " */}"),
    ("<!-- ", " -->"),
    ("-- ", ""),
    (";; ", ""),
    ("(* ", " *)"),
    ("{# ", " #}"),
];
const INDENTS: [&str; 5] = ["", "  ", "    ", "        ", "\t"];
/// Parts of code as models name them.
const PARTS: [&str; 50] = [
    "billing code",
    "shaders",
    "invoice parser",
    "game loop",
    "retry logic",
    "pipeline",
    "file",
    "function",
    "class",
    "component",
    "method",
    "methods",
    "functions",
    "imports",
    "implementation",
    "code",
    "logic",
    "module",
    "script",
    "tests",
    "test cases",
    "routes",
    "endpoints",
    "handlers",
    "event handlers",
    "styles",
    "markup",
    "JSX",
    "template",
    "fields",
    "form fields",
    "properties",
    "props",
    "state",
    "hooks",
    "configuration",
    "config",
    "settings",
    "dependencies",
    "constructor",
    "switch cases",
    "cases",
    "match arms",
    "middleware",
    "services",
    "exports",
    "table",
    "page",
    "document",
    "schema",
];
const NAMES: [&str; 8] = [
    "handleSubmit",
    "UserService",
    "process_order",
    "App",
    "main()",
    "`Session`",
    "render",
    "parseConfig",
];

/// A line of a form.
fn made(form: &str, random: &mut Random) -> String {
    let pick = |random: &mut Random, list: &[&str]| {
        list[random.below(list.len() as u64) as usize].to_owned()
    };
    let part = pick(random, &PARTS);
    let name = pick(random, &NAMES);
    let first = 2 + random.below(90);
    let text = form
        .replace("{part}", &part)
        .replace("{PART}", &part.to_uppercase())
        .replace("{name}", &name)
        .replace("{n}", &first.to_string())
        .replace("{m}", &(first + 1 + random.below(200)).to_string());
    let is_framed = text.starts_with("... ") && text.len() > 8;
    let indent = pick(random, &INDENTS);
    if is_framed && random.below(12) == 0 {
        return format!("{indent}{text}");
    }
    let (open, close) = MARKS[random.below(MARKS.len() as u64) as usize];
    // Some write no blank behind the mark.
    let open = match random.below(12) {
        0 if !open.starts_with('(') => open.trim_end(),
        _ => open,
    };
    format!("{indent}{open}{text}{close}")
}

/// An edit of `OLD` that replaces `old` by `new`, through one of the entries.
fn edit(entry: usize, old: &str, new: &str) -> String {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let marked = |mark: char, text: &str| -> String {
        text.lines().map(|line| format!("{mark}{line}\n")).collect()
    };
    let at = OLD.lines().position(|line| old.starts_with(line)).unwrap() + 1;
    let (taken, brought) = (old.lines().count(), new.lines().count());
    match entry % 6 {
        0 => format!("f\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"),
        1 => format!(
            r#"{{"command": "str_replace", "path": "f", "old_str": {}, "new_str": {}}}"#,
            json(old),
            json(new)
        ),
        2 => format!(
            "*** Begin Patch\n*** Update File: f\n@@\n{}{}*** End Patch\n",
            marked('-', old),
            marked('+', new)
        ),
        3 => format!(
            "--- a/f\n+++ b/f\n@@ -{at},{taken} +{at},{brought} @@\n{}{}",
            marked('-', old),
            marked('+', new)
        ),
        4 => format!(
            r#"{{"operations": [{{"op": "replace-block", "file": "f", "at": {{"lines": [{at}, {}]}}, "expect": {}, "content": {}}}]}}"#,
            at + taken - 1,
            json(old),
            json(new)
        ),
        _ => format!(
            r#"{{"operations": [{{"op": "replace-text", "file": "f", "find": {}, "content": {}}}]}}"#,
            json(old),
            json(new)
        ),
    }
}

/// Whether an edit is refused because it elides.
fn is_refused(patch: &str) -> bool {
    let tree = Tree::new().with_file(RelPath::new("f").unwrap(), OLD);
    let script = parse(patch.as_bytes(), &Options::default()).unwrap();
    let lowered = script.lower(&tree).unwrap();
    let plan = plan(&lowered.batch, &tree, &Policy::default());
    let refusal = plan.verdicts.iter().find_map(|v| v.refusal.as_deref());
    assert!(
        refusal.is_none_or(|refusal| refusal.code == Code::LazyOmission),
        "{patch}: {refusal:?}"
    );
    refusal.is_some()
}

#[test]
fn elisions_in_the_forms_that_models_use_are_found_through_every_entry() {
    let mut random = Random(0x000e_11de);
    let (mut found, mut made_lines, mut missed) = (0_usize, 0_usize, BTreeMap::new());
    for form in list("forms.txt") {
        for turn in 0..12 {
            let line = made(&form, &mut random);
            made_lines += 1;
            match is_refused(&edit(
                turn,
                "two\nthree\nfour\nfive",
                &format!("two\n{line}\nfive"),
            )) {
                true => found += 1,
                false => missed
                    .entry(form.clone())
                    .or_insert_with(Vec::new)
                    .push(line),
            }
        }
    }
    for (form, lines) in &missed {
        println!(
            "{:2} of 12 missed: {form:40} {:?}",
            lines.len(),
            &lines[..lines.len().min(3)]
        );
    }
    println!("{found} of {made_lines} elisions are found");
    assert!(made_lines > 4_000, "{made_lines} lines");
    assert!(found * 100 >= made_lines * 95, "{found} of {made_lines}");
}

/// Lines of sources that are comments, or begin like one; `PATCHCTL_TEST_SOURCES` names a tree of
/// more.
fn comments() -> BTreeSet<String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut trees = vec![project.join("patchcore/src"), project.join("patchctl/src")];
    trees.extend(std::env::var_os("PATCHCTL_TEST_SOURCES").map(PathBuf::from));
    let files = trees.iter().flat_map(ignore::Walk::new);
    let mut lines = BTreeSet::new();
    for file in files.filter_map(Result::ok) {
        // The rule's own examples are none.
        if file.path().to_string_lossy().contains("omission") {
            continue;
        }
        if let Ok(text) = fs::read_to_string(file.path()) {
            let is_comment = |line: &&str| {
                let marks = ["//", "#", "/*", "* ", "<!--", "--", "\"\"\"", "..."];
                marks.iter().any(|mark| line.starts_with(mark))
            };
            lines.extend(
                text.lines()
                    .map(str::trim)
                    .filter(is_comment)
                    .map(str::to_owned),
            );
        }
    }
    lines
}

#[test]
fn comments_of_real_sources_are_no_elisions() {
    let lines = comments();
    assert!(lines.len() > 5_000, "{} lines", lines.len());
    let (mut added, mut replaced) = (0, 0);
    for line in &lines {
        let grows = edit(0, "two", &format!("two\n{line}"));
        if is_refused(&grows) {
            added += 1;
            println!("added: {line}");
        }
        if is_refused(&edit(1, "two\nthree\nfour\nfive", &format!("two\n{line}"))) {
            replaced += 1;
        }
    }
    println!(
        "{added} of {} comments that are added, {replaced} that replace more",
        lines.len()
    );
    assert!(added * 10_000 <= lines.len(), "{added} of {}", lines.len());
    assert!(
        replaced * 1_000 <= lines.len(),
        "{replaced} of {}",
        lines.len()
    );
}
