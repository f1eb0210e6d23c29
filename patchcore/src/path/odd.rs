//! Names that hold what the sender did not mean as a part of them.

use super::RelPath;
use crate::error::{Code, Hint, Refusal};

/// What is odd in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// What there is, as in "path … has a trailing colon".
    pub what: &'static str,
    /// The path that may be meant, if there is a likely one.
    pub meant: Option<RelPath>,
}

impl Oddity {
    /// The refusal to create a file of that name.
    #[must_use]
    pub fn refusal(&self, path: &RelPath) -> Refusal {
        let shown: String = path.to_string().chars().take(200).collect();
        let hint = match &self.meant {
            Some(meant) => format!("{:?} may be meant", meant.to_string()),
            None => "use a path relative to the root".to_owned(),
        };
        let refusal = Refusal::new(
            Code::PathEscape,
            format!("path {shown:?} {} and does not exist; {hint}", self.what),
        )
        .in_file(path)
        .with_hint(Hint::AllowOddNames);
        match &self.meant {
            Some(meant) => refusal.with_candidate(None, meant.as_bytes()),
            None => refusal,
        }
    }
}

/// See [`RelPath::oddity`].
pub(super) fn oddity(path: &[u8]) -> Option<Oddity> {
    let (what, meant) = find(path)?;
    // What may be meant can be odd itself: `C:\a b.rs (new)`.
    let mut meant = meant.to_vec();
    for _ in 0..4 {
        match find(&meant) {
            Some((_, next)) => meant = next,
            None => break,
        }
    }
    let is_clear = !meant.is_empty() && find(&meant).is_none();
    let meant = is_clear.then(|| RelPath::new(&meant).ok()).flatten();
    Some(Oddity { what, meant })
}

/// What is odd first, and the path without it.
fn find(path: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let without = |text: &[u8]| text.to_vec();
    let trimmed = trimmed(path);
    if trimmed != path {
        return Some(("begins or ends with a blank", without(trimmed)));
    }
    if let Some(at) = path.iter().position(|byte| byte.is_ascii_control()) {
        return Some(("holds a control character", without(&path[..at])));
    }
    if let Some(rest) = label(path) {
        return Some(("has a mark or label in front", without(rest)));
    }
    if let Some(inner) = unquoted(path) {
        return Some(("has quotes around it", without(inner)));
    }
    for (open, close, what) in AROUND {
        let inner = path.strip_prefix(open.as_bytes());
        let inner = inner.and_then(|rest| rest.strip_suffix(close.as_bytes()));
        if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
            return Some((what, without(inner)));
        }
    }
    if let Some(rest) = path.strip_suffix(b",").or(path.strip_suffix(b";"))
        && has_extension(rest)
    {
        return Some(("ends in a sign of punctuation", without(rest)));
    }
    if let Some(rest) = before_number(path) {
        return Some(("has a line number behind it", without(rest)));
    }
    if let Some(rest) = path.strip_suffix(b":") {
        return Some(("ends in a colon", without(rest)));
    }
    if path.len() >= 5 && path[..5].eq_ignore_ascii_case(b"file:") {
        let rest = path[5..].iter().position(|byte| *byte != b'/');
        return Some(("is a URI", without(&path[5 + rest.unwrap_or_default()..])));
    }
    if let [letter, b':', rest @ ..] = path
        && letter.is_ascii_alphabetic()
        && matches!(rest.first(), Some(b'/' | b'\\'))
    {
        return Some(("has a drive letter", without(&rest[1..])));
    }
    if let Some(rest) = home(path) {
        return Some(("begins with a home directory", without(rest)));
    }
    if path.contains(&b'\\') {
        let slashes = path.iter().map(|byte| match byte {
            b'\\' => b'/',
            byte => *byte,
        });
        return Some(("has backslashes", slashes.collect()));
    }
    let at = remark(path)?;
    Some((
        "has a remark after it",
        without(path[..at].trim_ascii_end()),
    ))
}

/// What stands between quotes, or before one that closes nothing.
fn unquoted(path: &[u8]) -> Option<&[u8]> {
    let is_quote = |byte: &u8| b"\"'`".contains(byte);
    let (first, last) = (path.first()?, path.last()?);
    if !is_quote(first) && !is_quote(last) {
        return None;
    }
    let from = path.iter().take_while(|byte| is_quote(byte)).count();
    let inner = &path[from..];
    Some(match inner.iter().position(|byte| byte == first) {
        Some(end) if from > 0 => &inner[..end],
        _ => inner.split(is_quote).next().unwrap_or_default(),
    })
}

/// What is put around a name to set it off from text.
const AROUND: [(&str, &str, &str); 6] = [
    ("**", "**", "has marks around it"),
    ("<", ">", "has marks around it"),
    ("\u{201c}", "\u{201d}", "has quotes around it"),
    ("\u{2018}", "\u{2019}", "has quotes around it"),
    ("\u{201e}", "\u{201c}", "has quotes around it"),
    ("\u{ab}", "\u{bb}", "has quotes around it"),
];

/// A path without white space of any kind, and characters that are not seen, at its ends.
fn trimmed(path: &[u8]) -> &[u8] {
    let is_unseen = |c: char| c.is_whitespace() || super::is_ignorable(c);
    match std::str::from_utf8(path) {
        Ok(path) => path.trim_matches(is_unseen).as_bytes(),
        Err(_) => path.trim_ascii(),
    }
}

/// The path behind the mark of a list, or a word that says that a name follows.
fn label(path: &[u8]) -> Option<&[u8]> {
    let marks: [&[u8]; 3] = [b"- ", b"* ", b"+ "];
    if let Some(rest) = marks.iter().find_map(|mark| path.strip_prefix(*mark)) {
        return Some(rest);
    }
    let colon = path.windows(2).position(|pair| pair == b": ")?;
    let word = path[..colon].to_ascii_lowercase();
    let is_label = matches!(
        &word[..],
        b"file" | b"filename" | b"file name" | b"path" | b"filepath"
    );
    is_label.then(|| &path[colon + 2..])
}

/// The path before a line number, or a range of them: `src/a.ts:10-20`.
fn before_number(path: &[u8]) -> Option<&[u8]> {
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'-');
    let end = path.iter().rposition(|byte| !is_number(byte))? + 1;
    let (rest, number) = path.split_at(end);
    let is_number = matches!(number, [b':', digit, ..] if digit.is_ascii_digit());
    (is_number && has_extension(rest)).then_some(rest)
}

/// Whether a path ends as the name of a file with an extension does.
fn has_extension(path: &[u8]) -> bool {
    let Some(dot) = path.iter().rposition(|byte| *byte == b'.') else {
        return false;
    };
    let extension = &path[dot + 1..];
    (1..=8).contains(&extension.len())
        && extension.iter().all(u8::is_ascii_alphanumeric)
        && extension[0].is_ascii_alphabetic()
}

/// The path behind `~`, `$HOME` and their like.
fn home(path: &[u8]) -> Option<&[u8]> {
    let names: [&[u8]; 7] = [
        b"~",
        b"$HOME",
        b"${HOME}",
        b"$PWD",
        b"${PWD}",
        b"%USERPROFILE%",
        b"%HOME%",
    ];
    let rest = names.iter().find_map(|name| path.strip_prefix(*name))?;
    let rest = match rest.first() {
        Some(b'/' | b'\\') => &rest[1..],
        None => rest,
        _ => return None,
    };
    Some(rest)
}

/// Where a remark starts behind the last component's extension: ` (new)`, ` # changed`, ` - new`.
fn remark(path: &[u8]) -> Option<usize> {
    // Of `a.ts // new` a path keeps one of the slashes; of a renaming, both names.
    let cuts: [&[u8]; 4] = [b" / ", b" -> ", b" => ", b" \xe2\x86\x92 "];
    for cut in cuts {
        let at = path.windows(cut.len()).position(|part| part == cut);
        if let Some(at) = at.filter(|&at| has_extension(&path[..at])) {
            return Some(at);
        }
    }
    let start = path.iter().rposition(|byte| *byte == b'/');
    let start = start.map_or(0, |slash| slash + 1);
    // A slash may be in the remark, too.
    let start = match path.windows(2).position(|pair| pair == b" (") {
        Some(at) => start.min(
            path[..at]
                .iter()
                .rposition(|b| *b == b'/')
                .map_or(0, |s| s + 1),
        ),
        None => start,
    };
    let name = &path[start..];
    let opens = |at: &usize| {
        let rest = name[*at..].trim_ascii_start();
        let closed = rest.starts_with(b"(") && rest.ends_with(b")");
        let closed = closed || (rest.starts_with(b"[") && rest.ends_with(b"]"));
        let marks: [&[u8]; 7] = [b"# ", b"#", b"// ", b"- ", b"-- ", b"<- ", b"\xe2\x80\x94 "];
        let marked = marks.iter().any(|mark| rest.starts_with(mark));
        closed || (marked && !rest.contains(&b'.'))
    };
    let blanks = name.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    let at = blanks.map(|(at, _)| at).find(opens)?;
    has_extension(&name[..at]).then_some(start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_say_what_may_be_meant() {
        for (path, meant) in [
            ("\"src/a.ts\"", Some("src/a.ts")),
            ("`src/a.ts`", Some("src/a.ts")),
            ("'src/a.ts'", Some("src/a.ts")),
            ("`src/a.ts` (new)", Some("src/a.ts")),
            ("**src/a.ts**", Some("src/a.ts")),
            ("src/a.ts:", Some("src/a.ts")),
            ("src/a.ts (new)", Some("src/a.ts")),
            ("src/a.ts (new file, was lib/b.ts)", Some("src/a.ts")),
            ("src/a.ts # new", Some("src/a.ts")),
            ("src/a.ts - added", Some("src/a.ts")),
            ("src/a.ts\n", Some("src/a.ts")),
            ("src/a.ts ", Some("src/a.ts")),
            (" src/a.ts", Some("src/a.ts")),
            ("C:\\proj\\src\\a.ts", Some("proj/src/a.ts")),
            ("C:/proj/a.ts", Some("proj/a.ts")),
            ("src\\a.ts", Some("src/a.ts")),
            ("~/a.ts", Some("a.ts")),
            ("$HOME/a.ts", Some("a.ts")),
            ("~\\a.ts", Some("a.ts")),
            ("file:/src/a.ts", Some("src/a.ts")),
            ("~", None),
            ("src/a.ts\u{a0}", Some("src/a.ts")),
            ("\u{feff}src/a.ts\u{200b}", Some("src/a.ts")),
            ("\u{201c}src/a.ts\u{201d}", Some("src/a.ts")),
            ("<src/a.ts>", Some("src/a.ts")),
            ("- src/a.ts", Some("src/a.ts")),
            ("* `src/a.ts`", Some("src/a.ts")),
            ("filename: src/a.ts", Some("src/a.ts")),
            ("src/a.ts,", Some("src/a.ts")),
            ("src/a.ts;", Some("src/a.ts")),
            ("src/a.ts:10", Some("src/a.ts")),
            ("src/a.ts:10-20", Some("src/a.ts")),
            ("src/a.ts:10:4", Some("src/a.ts")),
            ("src/a.ts // new", Some("src/a.ts")),
            ("src/a.ts -> src/b.ts", Some("src/a.ts")),
            ("src/a.ts => src/b.ts", Some("src/a.ts")),
        ] {
            let oddity = RelPath::new(path).unwrap().oddity().expect(path);
            let found = oddity.meant.map(|meant| meant.to_string());
            assert_eq!(found.as_deref(), meant, "{path}");
        }
    }

    #[test]
    fn ordinary_names_are_not_odd() {
        for path in [
            "src/a.ts",
            "my file.txt",
            "copy (1).txt",
            "app/(group)/[id]/page.tsx",
            "a - b.txt",
            "c:d/x",
            "notes (old)",
            "it's.txt",
            "~x/a",
            "$id.tsx",
            "lib/$lib/x.ts",
            "v1.0 - notes.md",
            "a:b",
            "Track # 1.mp3",
            "@types/x",
            "#x",
            "C#/x.cs",
            "1. Introduction.md",
            "a, b.txt",
            "x:10",
            "log.2024-01-02T10:20:30",
            "-n.c",
            "<a>/b.txt",
            "path/to",
            "a / b",
        ] {
            assert_eq!(RelPath::new(path).unwrap().oddity(), None, "{path}");
        }
    }
}
