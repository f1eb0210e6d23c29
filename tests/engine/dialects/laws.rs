//! Laws over random texts: a dialect says the right thing or is refused.

use std::collections::BTreeMap;

use patchcore::dialect::{Dialect, Options, parse};
use patchcore::diff::edits;
use patchcore::plan::{FileChange, Lowered, Plan, Script, plan};
use patchcore::{Policy, RelPath};
use proptest::prelude::*;
use serde_json::json;

use super::{Files, applied, tree};

/// Lines of few kinds, so that most blocks stand at several places.
fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => "[ab]{0,2}",
        2 => "[a-z]{5}",
        1 => Just("  caf\u{e9} \u{201c}x\u{201d}".to_owned()),
        1 => Just("-- x".to_owned()),
        1 => Just("++ y".to_owned()),
        1 => Just("*** z".to_owned()),
        1 => Just("@@ w".to_owned()),
        1 => Just("\\ v".to_owned()),
    ];
    let ending = prop_oneof![6 => Just("\n"), 1 => Just("\r\n")];
    (prop::collection::vec((line, ending), 0..14), any::<bool>()).prop_map(|(lines, open)| {
        let mut text: String = lines
            .iter()
            .map(|(line, ending)| format!("{line}{ending}"))
            .collect();
        if open && text.ends_with('\n') {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        text
    })
}

/// A text and another that shares some of its lines.
fn pair() -> impl Strategy<Value = (String, String)> {
    (text(), text(), prop::collection::vec(0..4u8, 14)).prop_map(|(old, other, choices)| {
        let mut fresh = other.split_inclusive('\n');
        let mut new = String::new();
        for (line, choice) in old.split_inclusive('\n').zip(&choices) {
            match choice {
                0 => new.push_str(fresh.next().unwrap_or_default()),
                1 => {
                    new.push_str(fresh.next().unwrap_or_default());
                    new.push_str(line);
                }
                _ => new.push_str(line),
            }
        }
        (old, new)
    })
}

fn files(text: &str) -> Files {
    BTreeMap::from([(b"f".to_vec(), (text.as_bytes().to_vec(), false))])
}

fn options(dialect: Dialect) -> Options {
    let mut options = Options::default();
    options.dialect = Some(dialect);
    options
}

/// The diff that the engine writes of one file's change.
fn diff(old: &str, new: &str, context: usize) -> Vec<u8> {
    let path = RelPath::new("f").unwrap();
    let tree = tree(&files(old), std::slice::from_ref(&path));
    let action = patchcore::operation::Action::Splice(
        edits(old.as_bytes(), new.as_bytes()).as_slice().to_vec(),
    );
    let operation = patchcore::operation::Operation::new(path, action);
    let batch = patchcore::operation::Batch::new(vec![operation], patchcore::Digest::of(b""));
    let plan: Plan = plan(&batch, &tree, &Policy::default());
    let mut options = patchcore::diff::DiffOptions::default();
    options.context = context;
    let mut diff = Vec::new();
    for change in &plan.changes {
        FileChange::diff(change).write(&options, &mut diff).unwrap();
    }
    diff
}

/// The result, if the patch is not refused.
fn result(patch: &[u8], old: &str, options: &Options) -> Option<Vec<u8>> {
    let mut after = applied(patch, &files(old), options).ok()?;
    assert_eq!(after.len(), 1);
    after.remove(&b"f"[..]).map(|(bytes, _)| bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_leads_to_the_new_text_and_back((old, new) in pair(), context in 0..4usize) {
        let patch = diff(&old, &new, context);
        prop_assume!(!patch.is_empty());
        let mut options = options(Dialect::UnifiedDiff);
        options.strict = true;
        options.unidiff_zero = context == 0;
        let there = applied(&patch, &files(&old), &options);
        prop_assert_eq!(there.map_err(|refusal| refusal.to_string()), Ok(files(&new)));
        options.reverse = true;
        let back = applied(&patch, &files(&new), &options);
        prop_assert_eq!(back.map_err(|refusal| refusal.to_string()), Ok(files(&old)));
    }

    #[test]
    fn a_diff_of_another_text_is_refused_or_changes_what_it_says((old, new) in pair(), other in text()) {
        let patch = diff(&old, &new, 3);
        if let Some(got) = result(&patch, &other, &options(Dialect::UnifiedDiff)) {
            // What is there already is left as it is: all that the diff adds stands there.
            if got == other.as_bytes() {
                let added = patch.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"+"));
                for line in added.filter(|line| !line.starts_with(b"++ ")) {
                    prop_assert!(other.lines().any(|other| other.as_bytes() == line));
                }
                return Ok(());
            }
            // As many lines come and go as the diff has.
            let delta = |a: usize, b: usize| b as isize - a as isize;
            let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(delta(lines(other.as_bytes()), lines(&got)), delta(lines(old.as_bytes()), lines(new.as_bytes())));
        }
    }

    #[test]
    fn a_hunk_lands_at_its_line_or_at_the_only_place_of_its_lines(
        text in text(),
        at in 0..14usize,
        above in 0..3usize,
        removed in 1..3usize,
        below in 0..3usize,
        stated in 0..16usize,
        moved in any::<bool>(),
    ) {
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        prop_assume!(!all.is_empty());
        let at = at % all.len();
        let room = all.len() - at;
        let above = above.min(room - 1);
        let removed = removed.min(room - above);
        let below = below.min(room - above - removed);
        let count = above + removed + below;
        let block = &all[at..at + count];
        let stated = if moved { stated } else { at };
        let mut patch = format!("--- f\n+++ f\n@@ -{},{count} +{},{} @@\n", stated + 1, stated + 1, count - removed + 1);
        for (index, line) in block.iter().enumerate() {
            if index == above + removed {
                patch.push_str("+NEW\n");
            }
            patch.push(if (above..above + removed).contains(&index) { '-' } else { ' ' });
            patch.push_str(line);
            if !line.ends_with('\n') {
                patch.push_str("\n\\ No newline at end of file\n");
            }
        }
        if below == 0 {
            patch.push_str("+NEW\n");
        }
        let places: Vec<usize> = (0..all.len()).filter(|&from| all[from..].starts_with(block)).collect();
        let with = |place: usize| {
            let mut lines = all.clone();
            lines.splice(place + above..place + above + removed, ["NEW\n"]);
            lines.concat().into_bytes()
        };
        let ends = |place: usize| place + count == all.len();
        let got = result(patch.as_bytes(), &text, &options(Dialect::UnifiedDiff));
        let want = if places.contains(&stated) && (below > 0 || ends(stated)) {
            // Where it says, as git has it.
            Some(stated)
        } else {
            match places[..] {
                // Its lines prove its line.
                [only] if only == stated => Some(only),
                [only] if stated > 0 && (below > 0 || above > 0 && ends(only)) => Some(only),
                _ => None,
            }
        };
        prop_assert_eq!(got, want.map(with), "\n{}", patch);
    }

    #[test]
    fn a_codex_patch_of_all_lines_is_right_or_refused((old, new) in pair()) {
        let mut patch = String::from("*** Begin Patch\n*** Update File: f\n@@\n");
        for (sign, text) in [('-', &old), ('+', &new)] {
            for line in text.split_inclusive('\n') {
                patch.push(sign);
                patch.push_str(line.trim_end_matches(['\r', '\n']));
                patch.push('\n');
            }
        }
        patch.push_str("*** End Patch\n");
        if let Some(got) = result(patch.as_bytes(), &old, &options(Dialect::Codex)) {
            let lines = |text: &[u8]| {
                patchcore::text::split_lines(text).map(|line| patchcore::text::trim_ending(line).to_vec()).collect::<Vec<_>>()
            };
            prop_assert_eq!(lines(&got), lines(new.as_bytes()));
        }
    }

    #[test]
    fn a_search_replace_block_changes_its_only_place_or_is_refused(text in text(), at in 0..14usize, count in 1..4usize) {
        let lines: Vec<&str> = text.lines().skip(at).take(count).collect();
        prop_assume!(lines.iter().any(|line| !line.trim().is_empty()));
        let search = lines.join("\n");
        let patch = format!("f\n<<<<<<< SEARCH\n{search}\n=======\nNEW\n>>>>>>> REPLACE\n");
        let all: Vec<&str> = text.lines().collect();
        let places: Vec<usize> = (0..all.len()).filter(|&from| all[from..].starts_with(&lines)).collect();
        match result(patch.as_bytes(), &text, &options(Dialect::SearchReplace)) {
            Some(got) => {
                prop_assert_eq!(&places, &vec![at]);
                let mut want = all.clone();
                want.splice(at..at + lines.len(), ["NEW"]);
                let got = String::from_utf8(got).unwrap();
                prop_assert_eq!(got.lines().collect::<Vec<_>>(), want);
                prop_assert_eq!(got.ends_with('\n'), text.ends_with('\n'));
            }
            None => prop_assert!(places.len() != 1 || lines.iter().any(|line| line.starts_with("\\ "))),
        }
    }

    #[test]
    fn text_is_replaced_at_its_only_place_or_refused(text in text(), from in 0..40usize, length in 1..12usize) {
        let find: String = text.chars().skip(from).take(length).collect();
        prop_assume!(!find.is_empty() && find != "NEW");
        let count = (0..text.len()).filter(|&at| text.as_bytes()[at..].starts_with(find.as_bytes())).count();
        for (dialect, patch) in [
            (Dialect::StrReplace, json!({"command": "str_replace", "path": "f", "old_str": find, "new_str": "NEW"})),
            (Dialect::McpEdit, json!({"path": "f", "edits": [{"oldText": find, "newText": "NEW"}]})),
        ] {
            let got = result(patch.to_string().as_bytes(), &text, &options(dialect));
            // A line ending goes as a whole.
            let at = text.find(&find).unwrap();
            let is_split = find.starts_with('\n') && !find.ends_with('\r') && text[..at].ends_with('\r');
            let kept = at - usize::from(is_split);
            let want = (count == 1).then(|| format!("{}NEW{}", &text[..kept], &text[at + find.len()..]).into_bytes());
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn whole_files_come_out_as_they_are_sent((old, new) in pair()) {
        let patch = json!([{"path": "f", "content": new, "verbatim": true}]).to_string();
        let got = result(patch.as_bytes(), &old, &options(Dialect::Files));
        prop_assert_eq!(got, Some(new.into_bytes()));
    }

    #[test]
    fn a_workspace_edit_replaces_the_characters_that_it_names(text in text(), line in 0..14u64, from in 0..8u64, length in 0..4u64) {
        let position = |character: u64| json!({"line": line, "character": character});
        let patch = json!({"changes": {"f": [{"range": {"start": position(from), "end": position(from + length)}, "newText": "N"}]}});
        let lines: Vec<&str> = text.split('\n').collect();
        let got = result(patch.to_string().as_bytes(), &text, &options(Dialect::WorkspaceEdit));
        match lines.get(line as usize) {
            None => prop_assert_eq!(got, None),
            Some(content) => {
                let chars: Vec<char> = content.trim_end_matches('\r').chars().collect();
                let cut = |at: u64| (at as usize).min(chars.len());
                let kept: String = chars[..cut(from)].iter().collect();
                let rest: String = chars[cut(from + length)..].iter().collect();
                let ending = if content.ends_with('\r') { "\r" } else { "" };
                let edited = format!("{kept}N{rest}{ending}");
                let mut want = lines.clone();
                want[line as usize] = &edited;
                prop_assert_eq!(got, Some(want.join("\n").into_bytes()));
            }
        }
    }

    #[test]
    fn any_bytes_in_any_dialect_are_refused_or_lowered_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        (old, new) in pair(),
        cut in 0..400usize,
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
    ) {
        let mut patch = diff(&old, &new, 1);
        let cut = cut.min(patch.len());
        patch.splice(cut..cut, bytes.iter().copied());
        for patch in [&patch, &bytes] {
            if let Ok(script) = parse(patch, &options(dialect)) {
                let before = tree(&files(&old), &script.paths());
                if let Ok(Lowered { batch, .. }) = script.lower(&before) {
                    let _ = plan(&batch, &before, &Policy::default());
                }
            }
        }
    }
}
