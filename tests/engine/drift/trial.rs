//! A unified diff of a real file, applied to the file as it looks after others have worked on it.
//!
//! Lines are inserted above the target, half of them copies of the file's own, and deleted. Either
//! the target is as it was, and one result is right; or one of its lines has changed and an exact
//! copy of the hunk's old lines stands elsewhere, and any result is wrong.

use std::fmt::Write as _;

use patchcore::dialect::{Options, parse};
use patchcore::plan::{Entry, Script as _, Source, plan};
use patchcore::{Policy, RelPath, Tree};

/// Numbers that look random and are the same on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next one, below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What a tool made of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Refused,
    Wrong,
}

/// One patch, and the file that it comes to.
pub(crate) struct Trial {
    pub(crate) patch: String,
    pub(crate) file: String,
    /// The only right result; none where the target has changed.
    pub(crate) right: Option<String>,
}

impl Trial {
    pub(crate) fn judge(&self, result: Option<&str>) -> Verdict {
        match (result, &self.right) {
            (None, _) => Verdict::Refused,
            (Some(result), Some(right)) if result == right => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }

    /// What this engine makes of it.
    pub(crate) fn ours(&self) -> Verdict {
        let mut options = Options::default();
        options.allow_omission = true;
        let mut policy = Policy::default();
        policy.allow_omission = true;
        let path = RelPath::new("f").expect("a plain name");
        let bytes = self.file.clone().into_bytes();
        let entry = Entry::File(std::sync::Arc::new(Source::new(bytes, false)));
        let tree: Tree = [(path, entry)].into_iter().collect();
        let Ok(script) = parse(self.patch.as_bytes(), &options) else {
            return self.judge(None);
        };
        let Ok(batch) = script.lower(&tree) else {
            return self.judge(None);
        };
        let plan = plan(&batch.batch, &tree, &policy);
        let result = plan.changes.first().map(|change| {
            let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
            String::from_utf8(bytes).expect("sources are UTF-8")
        });
        self.judge(result.as_deref())
    }
}

const CONTEXT: usize = 3;

/// Makes a trial of a file; `intact` says whether the target stays as it was,
/// `with_blob` whether the patch names the blob that it was made of.
pub(crate) fn make(lines: &[String], random: &mut Random, intact: bool, with_blob: bool) -> Trial {
    let at = 8 + random.below(lines.len() - 16);
    let removed = random.below(4);
    let mut added: Vec<String> = (0..random.below(4)).map(|_| own(lines, random)).collect();
    if removed == 0 && added.is_empty() || lines[at..at + removed] == added {
        added.push(format!("// a new line {}", random.below(1_000)));
    }
    let (start, end) = (at - CONTEXT, at + removed + CONTEXT);
    let patch = diff(lines, (start, at, removed), &added, with_blob);
    // What the others did, above, at and below the old lines.
    let (above, below) = (drifted(&lines[..start], lines, (start, end), random), {
        let below = &lines[end..];
        match random.chance(50) {
            true => drifted(below, lines, (start, end), random),
            false => below.to_vec(),
        }
    });
    let mut old = lines[start..end].to_vec();
    if intact {
        let mut new = old[..CONTEXT].to_vec();
        new.extend(added);
        new.extend_from_slice(&old[CONTEXT + removed..]);
        return Trial {
            patch,
            file: joined(&[&above, &old, &below]),
            right: Some(joined(&[&above, &new, &below])),
        };
    }
    let copy = old.clone();
    let touched = random.below(old.len());
    old[touched].push_str(" changed");
    let (mut above, mut below) = (above, below);
    let side = match random.chance(50) {
        true => &mut above,
        false => &mut below,
    };
    let place = random.below(side.len() + 1);
    side.splice(place..place, copy);
    Trial {
        patch,
        file: joined(&[&above, &old, &below]),
        right: None,
    }
}

fn own(lines: &[String], random: &mut Random) -> String {
    lines[random.below(lines.len())].clone()
}

/// Part of a file with lines inserted and deleted.
pub(crate) fn drifted(
    part: &[String],
    lines: &[String],
    (start, end): (usize, usize),
    random: &mut Random,
) -> Vec<String> {
    let mut part = part.to_vec();
    for _ in 0..=random.below(3) {
        let place = random.below(part.len() + 1);
        let count = 1 + random.below(12);
        let block: Vec<String> = match random.below(100) {
            // A copy of what is around the target, as when a function is copied.
            0 => {
                let from = start.saturating_sub(random.below(12));
                let to = (end + random.below(12)).min(lines.len());
                lines[from..to].to_vec()
            }
            1..50 => {
                let from = random.below(lines.len());
                lines[from..(from + count).min(lines.len())].to_vec()
            }
            _ => (0..count)
                .map(|line| format!("    let new_{line} = {};", random.below(10_000)))
                .collect(),
        };
        part.splice(place..place, block);
        if random.chance(50) && !part.is_empty() {
            let from = random.below(part.len());
            let to = (from + 1 + random.below(8)).min(part.len());
            part.drain(from..to);
        }
    }
    part
}

/// The diff that git makes of one change.
fn diff(
    lines: &[String],
    (start, at, removed): (usize, usize, usize),
    added: &[String],
    with_blob: bool,
) -> String {
    let mut text = String::from("diff --git a/f b/f\n");
    if with_blob {
        // The file has drifted: whatever the blob was, the file is another.
        text.push_str("index 1234567..89abcde 100644\n");
    }
    let old = removed + 2 * CONTEXT;
    let new = added.len() + 2 * CONTEXT;
    let heading = lines[..start].iter().rev().find(|line| {
        line.starts_with(|first: char| first.is_ascii_alphabetic() || "_$".contains(first))
    });
    let heading = heading.map(|line| line.chars().take(80).collect::<String>());
    let _ = writeln!(
        text,
        "--- a/f\n+++ b/f\n@@ -{},{old} +{},{new} @@ {}",
        start + 1,
        start + 1,
        heading.unwrap_or_default().trim_end()
    );
    let mut put = |mark: char, lines: &[String]| {
        for line in lines {
            let _ = writeln!(text, "{mark}{line}");
        }
    };
    put(' ', &lines[start..at]);
    put('-', &lines[at..at + removed]);
    put('+', added);
    put(' ', &lines[at + removed..at + removed + CONTEXT]);
    text
}

pub(crate) fn joined(parts: &[&[String]]) -> String {
    let mut text = String::new();
    for line in parts.iter().copied().flatten() {
        text.push_str(line);
        text.push('\n');
    }
    text
}
