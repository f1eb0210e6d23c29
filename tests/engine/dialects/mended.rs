//! Edits of an agent that misquotes one line, mended from the refusal alone.
//!
//! What is to come of each edit is known. Whoever mends sees the patch and the refusal, not the file:
//! where the misquoted line is one that both halves share unchanged, it is put into both as the
//! refusal shows it; where it is among those that change, nobody can mend it by rote.

use similar::{Algorithm, DiffTag, capture_diff_slices};

use patchcore::dialect::{Options, parse};
use patchcore::plan::{Script as _, plan};
use patchcore::{Code, Policy, Refusal, RelPath, Tree};

use crate::random::Random;

const FORMATS: [&str; 4] = ["SEARCH/REPLACE", "str_replace", "codex", "unified diff"];

/// A half of an edit, line by line.
type Half = Vec<String>;

/// An edit of a file.
#[derive(Debug, Clone)]
struct Edit {
    /// The line of the file, from 1, where the sender takes it to be.
    at: usize,
    old: Half,
    new: Half,
}

impl Edit {
    fn write(&self, format: &str) -> String {
        let (old, new) = (self.old.join("\n"), self.new.join("\n"));
        let json = |text: &str| serde_json::to_string(text).unwrap();
        match format {
            "SEARCH/REPLACE" => {
                format!("f.py\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n")
            }
            "str_replace" => format!(
                r#"{{"command": "str_replace", "path": "f.py", "old_str": {}, "new_str": {}}}"#,
                json(&old),
                json(&new)
            ),
            "codex" => format!(
                "*** Begin Patch\n*** Update File: f.py\n@@\n{}*** End Patch\n",
                self.body()
            ),
            _ => format!(
                "--- a/f.py\n+++ b/f.py\n@@ -{at},{} +{at},{} @@\n{}",
                self.old.len(),
                self.new.len(),
                self.body(),
                at = self.at
            ),
        }
    }

    /// The lines of a hunk.
    fn body(&self) -> String {
        let mut body = String::new();
        for op in capture_diff_slices(Algorithm::Myers, &self.old, &self.new) {
            let (tag, old, new) = op.as_tag_tuple();
            let (old, new) = (&self.old[old], &self.new[new]);
            if tag == DiffTag::Equal {
                old.iter()
                    .for_each(|line| body.push_str(&format!(" {line}\n")));
            } else {
                old.iter()
                    .for_each(|line| body.push_str(&format!("-{line}\n")));
                new.iter()
                    .for_each(|line| body.push_str(&format!("+{line}\n")));
            }
        }
        body
    }

    /// Where in the new half a line of the old one stands unchanged.
    fn kept(&self, line: usize) -> Option<usize> {
        let ops = capture_diff_slices(Algorithm::Myers, &self.old, &self.new);
        ops.into_iter().find_map(|op| {
            let (tag, old, new) = op.as_tag_tuple();
            (tag == DiffTag::Equal && old.contains(&line)).then(|| new.start + line - old.start)
        })
    }

    /// The edit with the line that the refusal says is different as the file has it, where both
    /// halves share it and nothing else that is shown is different; `None` where nothing is to be
    /// mended by rote.
    fn mended(&self, refusal: &Refusal) -> Option<Self> {
        let mut shown = refusal.found.as_deref()?.lines();
        let right = shown.next()?;
        let line = self.wrong_line(&refusal.message)?;
        let below = self.old[line + 1..].iter().zip(shown);
        let is_same =
            |(sent, stands): (&String, &str)| sent == stands || stands.ends_with('\u{2026}');
        if !below.into_iter().all(is_same) {
            return None;
        }
        let in_new = self.kept(line)?;
        let mut mended = self.clone();
        mended.old[line] = right.to_owned();
        mended.new[in_new] = right.to_owned();
        Some(mended)
    }

    /// The line of the old half that is not in the file, by what the refusal says.
    fn wrong_line(&self, message: &str) -> Option<usize> {
        let number = |behind: &str| -> Option<usize> {
            let rest = &message[message.rfind(behind)? + behind.len()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest[..digits].parse().ok()
        };
        let line = match (number("most similar is line "), number("where line ")) {
            (Some(first), Some(wrong)) => wrong.checked_sub(first)?,
            (Some(_), None) => 0,
            _ => number("does not apply: line ")?.checked_sub(self.at)?,
        };
        (line < self.old.len()).then_some(line)
    }
}

/// What becomes of a patch: the file, or the refusal.
fn landed(format: &str, edit: &Edit, file: &str) -> Result<String, Refusal> {
    let path = RelPath::new("f.py").unwrap();
    let tree = Tree::new().with_file(path.clone(), file);
    let patch = edit.write(format);
    let script = parse(patch.as_bytes(), &Options::default())
        .unwrap_or_else(|refusal| panic!("{refusal}\n{patch}"));
    let lowered = script.lower(&tree)?;
    let plan = plan(&lowered.batch, &tree, &Policy::default());
    if let Some(refusal) = plan.verdicts.iter().find_map(|v| v.refusal.as_deref()) {
        return Err(refusal.clone());
    }
    let bytes = match plan.changes.as_slice() {
        [] => file.as_bytes().to_vec(),
        [change] => change.chunks().flatten().copied().collect(),
        changes => panic!("{} files of one", changes.len()),
    };
    Ok(String::from_utf8(bytes).unwrap())
}

/// Picks one of a list.
fn one_of<'l, T>(random: &mut Random, list: &'l [T]) -> &'l T {
    &list[random.below(list.len() as u64) as usize]
}

const WORDS: [&str; 16] = [
    "total", "index", "record", "value", "buffer", "count", "offset", "result", "user", "order",
    "item", "state", "config", "client", "error", "path",
];

/// A file of functions that are like one another, with lines that stand in it many times.
fn file(random: &mut Random) -> Vec<String> {
    let mut lines = vec!["import json".to_owned(), "import logging".to_owned()];
    for number in 0..12 + random.below(20) {
        let mut word = || *one_of(random, &WORDS);
        let (a, b, c) = (word(), word(), word());
        lines.push(String::new());
        lines.push(format!("def {a}_{b}_{number}({b}, {c}=None):"));
        lines.push(format!(
            "    \"\"\"Returns the {a} of a {b}, or of its {c}.\"\"\""
        ));
        for _ in 0..3 + random.below(9) {
            let mut word = || *one_of(random, &WORDS);
            let (a, b, c) = (word(), word(), word());
            let n = random.below(500);
            lines.push(match random.below(11) {
                0 => format!("    {a} = {b}.get(\"{c}\", {n})"),
                1 => format!("    if {a} is None:"),
                2 => format!("        raise ValueError(f'no {a} in {{{b}}}')"),
                3 => format!("        {a}.append({b}[{n}])"),
                4 => format!("    for {a} in {b}.{c}s():"),
                5 => format!("    logging.info(\"{a} %s of %d\", {b}, {n})"),
                6 => format!("    # The {a} comes before the {b}: see the {c}."),
                7 => String::new(),
                8 => format!("    {a} = [{}]", vec![format!("\"{b}\""); 40].join(", ")),
                9 => format!("    {a}: str = '{b} \u{2013} {c} \u{e9}{n}'"),
                _ => format!("    {a}[{b}] = json.loads({c}, strict=False)"),
            });
        }
        lines.push(format!("    return {a}"));
    }
    match random.below(4) {
        0 => lines
            .iter()
            .map(|line| line.replace("    ", "\t"))
            .collect(),
        _ => lines,
    }
}

/// A line as somebody has it who does not look: never the same but for blanks at its ends.
fn misquoted(line: &str, random: &mut Random) -> String {
    loop {
        let chars: Vec<char> = line.chars().collect();
        let lead = line.len() - line.trim_start().len();
        let at = lead + random.below((chars.len() - lead) as u64) as usize;
        let mut wrong = chars.clone();
        let words: Vec<&str> = line.split(' ').collect();
        let wrong: String = match random.below(10) {
            0 => {
                wrong.remove(at);
                wrong.into_iter().collect()
            }
            1 => {
                wrong.insert(at, chars[at]);
                wrong.into_iter().collect()
            }
            2 => {
                wrong[at] = 'x';
                wrong.into_iter().collect()
            }
            3 => {
                let (from, to) = (*one_of(random, &WORDS), *one_of(random, &WORDS));
                line.replacen(from, to, 1)
            }
            4 => line.replace('"', "'"),
            5 => line.replacen(", ", ",", 1),
            6 => line.replacen(" = ", " := ", 1),
            7 => format!("{line}  # noqa"),
            8 => line.replacen("None", "null", 1),
            _ => {
                let at = random.below(words.len() as u64) as usize;
                let mut words = words;
                words.remove(at);
                words.join(" ")
            }
        };
        if wrong.trim() != line.trim() && !wrong.trim().is_empty() {
            return wrong;
        }
    }
}

/// A file, an edit of it that is right, and what comes of it.
fn edit(random: &mut Random) -> (String, Edit, String) {
    loop {
        let lines = file(random);
        let length = 3 + random.below(6) as usize;
        let start = random.below((lines.len() - length) as u64) as usize;
        let old: Half = lines[start..start + length].to_vec();
        let places = lines.windows(length).filter(|place| *place == old).count();
        let mut new = old.clone();
        for _ in 0..1 + random.below(2) {
            let at = random.below(new.len() as u64) as usize;
            let (a, b) = (one_of(random, &WORDS), one_of(random, &WORDS));
            match random.below(4) {
                0 => new.insert(at, format!("    {a} = checked({b})")),
                1 if new.len() > 2 => drop(new.remove(at)),
                _ => new[at] = format!("    {a} = {b}.changed()"),
            }
        }
        if places == 1 && new != old {
            let mut after = lines.clone();
            after.splice(start..start + length, new.iter().cloned());
            let ending = *one_of(random, &["\n", "\n", "\n", "\r\n"]);
            let text = |lines: &[String]| lines.join(ending) + ending;
            // A sender's line numbers are off as often as not.
            let at = match random.below(2) {
                0 => start + 1,
                _ => (start + random.below(40) as usize).saturating_sub(20) + 2,
            };
            let edit = Edit { at, old, new };
            return (text(&lines), edit, text(&after));
        }
    }
}

/// What came of edits.
#[derive(Debug, Default)]
struct Counts {
    edits: usize,
    first_try: usize,
    mended: usize,
    refused_again: usize,
    not_mended: usize,
    shown: usize,
    wrong: usize,
}

/// Whether the place of an edit is said by a number: without context on both sides a hunk stands at
/// its line, or at an end of the file.
fn is_placed_by_number(format: &str, edit: &Edit) -> bool {
    let ends = [0, edit.old.len() - 1];
    format == "unified diff" && ends.iter().any(|end| edit.kept(*end).is_none())
}

#[test]
fn a_misquoted_line_that_both_halves_share_is_mended_from_the_refusal() {
    let mut random = Random(0x6060);
    for format in FORMATS {
        let mut counts = Counts::default();
        while counts.edits < 200 {
            let (file, right, after) = edit(&mut random);
            let line = random.below(right.old.len() as u64) as usize;
            let (Some(in_new), false) = (right.kept(line), right.old[line].trim().is_empty())
            else {
                continue;
            };
            if is_placed_by_number(format, &right) {
                continue;
            }
            let mut sent = right.clone();
            sent.old[line] = misquoted(&right.old[line], &mut random);
            sent.new[in_new].clone_from(&sent.old[line]);
            counts.edits += 1;
            let refusal = match landed(format, &sent, &file) {
                Ok(landed) => {
                    // The misquoted line stays as it was.
                    match landed == after {
                        true => counts.first_try += 1,
                        false => counts.wrong += 1,
                    }
                    continue;
                }
                Err(refusal) => refusal,
            };
            let Some(mended) = sent.mended(&refusal) else {
                counts.not_mended += 1;
                println!("{format}: not mended: {refusal:?}\n{}", sent.write(format));
                continue;
            };
            match landed(format, &mended, &file) {
                Ok(landed) if landed == after => counts.mended += 1,
                Ok(_) => {
                    counts.wrong += 1;
                    println!("{format}: wrong: {refusal:?}\n{}", sent.write(format));
                }
                Err(again) => {
                    counts.refused_again += 1;
                    println!(
                        "{format}: again: {refusal:?}\n{again:?}\n{}",
                        sent.write(format)
                    );
                }
            }
        }
        println!("{format}: {counts:?}");
        assert_eq!(counts.wrong, 0, "{format}: {counts:?}");
        let right = counts.first_try + counts.mended;
        assert!(right * 100 >= counts.edits * 95, "{format}: {counts:?}");
    }
}

#[test]
fn a_misquoted_line_that_changes_is_shown_and_not_mended() {
    let mut random = Random(0x0c0c);
    for format in FORMATS {
        let mut counts = Counts::default();
        while counts.edits < 200 {
            let (file, right, _) = edit(&mut random);
            let line = random.below(right.old.len() as u64) as usize;
            if right.kept(line).is_some() || right.old[line].trim().is_empty() {
                continue;
            }
            if is_placed_by_number(format, &right) {
                continue;
            }
            let mut sent = right.clone();
            sent.old[line] = misquoted(&right.old[line], &mut random);
            // What becomes of the line now is the sender's to say.
            if sent.kept(line).is_some() {
                continue;
            }
            // A part of a line that is there is no misquotation to tools that replace characters.
            if file.replace('\r', "").contains(&sent.old.join("\n")) {
                continue;
            }
            counts.edits += 1;
            match landed(format, &sent, &file) {
                Ok(_) => {
                    counts.wrong += 1;
                    println!(
                        "{format}: wrong\n{}\n{}",
                        right.old[line],
                        sent.write(format)
                    );
                }
                Err(refusal) => {
                    match sent.mended(&refusal) {
                        None => counts.not_mended += 1,
                        Some(mended) => {
                            counts.wrong += usize::from(landed(format, &mended, &file).is_ok())
                        }
                    }
                    let found = refusal.found.as_deref().unwrap_or_default();
                    let is_shown = found.lines().next() == Some(&right.old[line]);
                    counts.shown += usize::from(is_shown);
                    if !is_shown {
                        println!(
                            "{format}: not shown: {refusal:?}\n{}\n{}",
                            right.old[line],
                            sent.write(format)
                        );
                    }
                    assert!(matches!(
                        refusal.code,
                        Code::AnchorNotFound | Code::ExpectMismatch
                    ));
                }
            }
        }
        println!("{format}: {counts:?}");
        assert_eq!(counts.wrong, 0, "{format}: {counts:?}");
        assert!(
            counts.not_mended * 100 >= counts.edits * 99,
            "{format}: {counts:?}"
        );
        assert!(
            counts.shown * 100 >= counts.edits * 95,
            "{format}: {counts:?}"
        );
    }
}
