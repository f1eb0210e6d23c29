//! Cases that are made, so that what has to come of them is known.

use std::path::PathBuf;

use crate::cases::{Case, Expected, Files};

/// A source of made cases: what it does to a right block before it is sent.
type Distort = fn(&mut Made, &mut Chance);

const SOURCES: [(&str, Distort); 10] = [
    ("made: exact", |_, _| {}),
    ("made: indentation off", |made, chance| {
        let more = chance.below(2) == 0;
        made.shift(more, true);
    }),
    ("made: one half dedented", |made, _| {
        made.shift(false, false);
        made.refused = true;
    }),
    ("made: trailing blanks", |made, chance| {
        let at = chance.below(made.search.len());
        made.search[at].push_str("  ");
    }),
    ("made: blank edges", |made, _| {
        made.search.insert(0, String::new());
        made.replace.insert(0, String::new());
    }),
    ("made: HTML escapes", |made, _| {
        for line in &mut made.search {
            *line = line.replace('<', "&lt;");
        }
    }),
    ("made: absent", |made, _| {
        made.search[1] = "        nothing = like_this".to_owned();
        made.refused = true;
    }),
    ("made: two places", |made, _| {
        let twin = made.search.join("\n");
        made.file.push_str(&format!("def twin():\n{twin}\n"));
        made.refused = true;
    }),
    ("made: kept line misquoted", |made, chance| {
        let wrong = misquoted(&made.search[0], chance);
        made.search[0].clone_from(&wrong);
        made.replace[0].clone_from(&wrong);
        made.misquoted = Some(wrong);
    }),
    ("made: changed line misquoted", |made, chance| {
        made.search[1] = misquoted(&made.search[1], chance);
        made.refused = true;
    }),
];

/// So many cases of each source.
pub(crate) fn cases(each: usize) -> Vec<Case> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut all = Vec::new();
    for (source, distort) in SOURCES {
        for number in 0..each {
            let mut made = Made::new(&mut chance);
            let right = made
                .file
                .replacen(&made.search.join("\n"), &made.replace.join("\n"), 1);
            distort(&mut made, &mut chance);
            all.push(made.into_case(source, number, right));
        }
    }
    all
}

/// A patch in which the line that was misquoted is, in both halves, the first that a refusal shows.
pub(crate) fn mended(patch: &[u8], line: &str, found: &str) -> Vec<u8> {
    let patch = String::from_utf8_lossy(patch);
    let right = found.lines().next().unwrap_or_default();
    patch
        .replace(&format!("{line}\n"), &format!("{right}\n"))
        .into_bytes()
}

/// A file, and a block that changes it.
struct Made {
    file: String,
    search: Vec<String>,
    replace: Vec<String>,
    misquoted: Option<String>,
    refused: bool,
}

impl Made {
    /// A file of functions whose lines are like one another, and a block of four lines of one.
    fn new(chance: &mut Chance) -> Self {
        let words = [
            "total", "index", "record", "value", "buffer", "count", "offset", "result",
        ];
        let mut file = String::new();
        let mut starts = Vec::new();
        let mut lines: Vec<String> = Vec::new();
        for number in 0..40 {
            let mut word = || words[chance.below(words.len())];
            lines.push(format!("def {}_{number}({}, {}):", word(), word(), word()));
            starts.push(lines.len());
            for step in 0..4 + chance.below(6) {
                let mut word = || words[chance.below(words.len())];
                let (a, b, c) = (word(), word(), word());
                let n = chance.below(1000);
                lines.push(match step % 3 {
                    0 => format!("    {a} = {b}[{c} < {n}]"),
                    1 => format!("    if {a} < {n} and {b}_{number} != {c}:"),
                    _ => format!("        {a}.append({b}_{n})"),
                });
            }
            lines.push(String::new());
        }
        for line in &lines {
            file.push_str(line);
            file.push('\n');
        }
        let start = starts[chance.below(starts.len())];
        let search = lines[start..start + 4].to_vec();
        let mut replace = search.clone();
        replace[1] = format!("{} or changed:", search[1].trim_end_matches(':'));
        replace.insert(2, "        changed = True".to_owned());
        Self {
            file,
            search,
            replace,
            misquoted: None,
            refused: false,
        }
    }

    /// Indents both halves, or the searched one alone, otherwise.
    fn shift(&mut self, more: bool, both: bool) {
        let shift = |line: &mut String| {
            *line = if more {
                format!("    {line}")
            } else {
                line.strip_prefix("    ").unwrap_or(line).to_owned()
            };
        };
        self.search.iter_mut().for_each(shift);
        if both {
            self.replace.iter_mut().for_each(shift);
        }
    }

    fn into_case(self, source: &str, number: usize, right: String) -> Case {
        let path = PathBuf::from("made.py");
        let patch = format!(
            "made.py\n<<<<<<< SEARCH\n{}\n=======\n{}\n>>>>>>> REPLACE\n",
            self.search.join("\n"),
            self.replace.join("\n")
        );
        let expected = if self.refused {
            Expected::Refused
        } else {
            Expected::Tree(Files::from([(path.clone(), right.into_bytes())]))
        };
        Case {
            source: source.to_owned(),
            name: number.to_string(),
            format: "search-replace".to_owned(),
            strip: 0,
            before: Files::from([(path, self.file.into_bytes())]),
            patch: patch.into_bytes(),
            expected,
            misquoted: self.misquoted,
        }
    }
}

/// A line with a letter of one of its words changed, doubled or left out.
fn misquoted(line: &str, chance: &mut Chance) -> String {
    let letters: Vec<usize> = line
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphabetic())
        .map(|(at, _)| at)
        .collect();
    let at = letters[chance.below(letters.len())];
    let (before, behind) = line.split_at(at);
    match chance.below(3) {
        0 if behind.starts_with('x') => format!("{before}q{}", &behind[1..]),
        0 => format!("{before}x{}", &behind[1..]),
        1 => format!("{before}{}{behind}", &behind[..1]),
        _ => format!("{before}{}", &behind[1..]),
    }
}

/// Numbers that are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("it is below a usize")
    }
}
