//! Which of the lines above a block names its file.

use crate::path::RelPath;
use crate::placeholder::Language;

/// The file's name in a line that holds nothing else, as aider reads it: without the `#`, `*`,
/// backticks, colon, list and comment marks that models put around names.
pub(super) fn name(line: &[u8]) -> Option<&[u8]> {
    let mut name = line.trim_ascii();
    if name.is_empty() || name == b"..." {
        return None;
    }
    if let Some(tagged) = tagged(name) {
        return is_plain(tagged).then_some(tagged);
    }
    if is_fence(name) {
        return fenced(name[3..].trim_ascii_start());
    }
    name = unmarked(name);
    while let Some(rest) = name.strip_prefix(b"#").or_else(|| without_label(name)) {
        name = rest.trim_ascii();
    }
    name = name.strip_suffix(b":").unwrap_or(name);
    name = trim(name, b'*');
    name = trim(name, b'`');
    name = trim(name, b'*');
    if let [quote @ (b'"' | b'\''), inner @ .., last] = name
        && quote == last
    {
        name = inner;
    }
    is_plain(name).then_some(name)
}

/// The name in the tag in which Cline's and Roo's tools take it.
fn tagged(line: &[u8]) -> Option<&[u8]> {
    let name = line.strip_prefix(b"<path>")?.strip_suffix(b"</path>")?;
    Some(name.trim_ascii())
}

/// Whether a line is nothing but a tag of Cline's and Roo's tools, which stands between the name
/// and the block.
pub(super) fn is_tag(line: &[u8]) -> bool {
    let tags: [&[u8]; 6] = [
        b"<apply_diff>",
        b"<args>",
        b"<content>",
        b"<diff>",
        b"<file>",
        b"<replace_in_file>",
    ];
    tags.contains(&line.trim_ascii())
}

/// Whether a name may as well be a bit of prose or a place in a file, and nothing in its line marks
/// it as a name: good enough to find a file by, not to create one.
pub(super) fn is_doubtful(line: &[u8], name: &[u8]) -> bool {
    let marked = line.iter().any(|byte| b"`\"'".contains(byte))
        || without_label(unmarked(line.trim_ascii())).is_some()
        || tagged(line.trim_ascii()).is_some();
    is_extension(name) || (!marked && name.iter().any(|byte| b" :".contains(byte)))
}

/// Whether a name is nothing but the extension of a language's files.
pub(super) fn is_extension(name: &[u8]) -> bool {
    let file = [b"x", name].concat();
    let language = RelPath::new(&file).ok();
    name.starts_with(b".") && language.is_some_and(|path| Language::of(&path, b"").is_some())
}

/// The file's name in a line that holds it and nothing else, or a remark behind it.
pub(super) fn alone(line: &[u8]) -> Option<&[u8]> {
    let whole = name(line).filter(|_| is_certain(line));
    if let Some(name) = whole
        && RelPath::new(name).is_ok_and(|path| path.oddity().is_none())
        && (!name.contains(&b' ') || is_file(name))
    {
        return Some(name);
    }
    let line = unmarked(line.trim_ascii());
    let line = line
        .iter()
        .position(|byte| *byte != b'#')
        .map_or(line, |at| line[at..].trim_ascii());
    let at = line.windows(2).position(|pair| pair == b" (")?;
    let (before, remark) = line.split_at(at);
    let before = name(before)?;
    let remark = remark.trim_ascii();
    let remark = remark.strip_suffix(b":").unwrap_or(remark);
    (remark.ends_with(b")") && is_file(before)).then_some(before)
}

/// As [`alone`], for a line far above its block: a heading there is a name only if it looks like one.
pub(super) fn far(line: &[u8]) -> Option<&[u8]> {
    alone(line).filter(|name| is_file(name) || (name.contains(&b'/') && !name.contains(&b' ')))
}

/// Whether text is the name of a source file, in one word.
fn is_file(word: &[u8]) -> bool {
    let path = RelPath::new(word.strip_prefix(b"./").unwrap_or(word));
    !word.contains(&b' ')
        && word.contains(&b'.')
        && path.is_ok_and(|path| Language::of(&path, b"").is_some())
}

/// What may be the name of a file in a line of prose, where there is such a file.
pub(super) fn all_mentioned(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    // Of a path with backslashes the last component is enough.
    line.split(|byte| b" \t`*\"'()[]<>{}:,;!?@#=|\\".contains(byte))
        .map(|word| word.strip_suffix(b".").unwrap_or(word))
        .filter(|word| {
            let is_marked = word.iter().any(|byte| b"./_-".contains(byte));
            let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
            let capital = word.len() > 3 && word[0].is_ascii_uppercase();
            (is_marked || capital) && word.iter().any(is_letter)
        })
}

/// The words of a line of prose, any of which may call a file by less than its name.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./".contains(byte) || *byte >= 0x80;
    line.split(move |byte| !is_part(byte))
        .map(|word| word.strip_suffix(b".").unwrap_or(word))
        .map(|word| word.strip_suffix(b"/").unwrap_or(word))
        .filter(|word| word.len() > 1)
}

/// The files that a word may call beside one that is known: of its kind, by their name without the
/// extension or as a module; or of its name, by their directory.
pub(super) fn meant_beside(known: &RelPath, word: &[u8]) -> Vec<RelPath> {
    let name = known.file_name();
    let extension = name
        .iter()
        .rposition(|byte| *byte == b'.')
        .filter(|at| *at > 0);
    let extension = extension.map_or(&b""[..], |at| &name[at..]);
    let module = |byte: &u8| if *byte == b'.' { b'/' } else { *byte };
    let module: Vec<u8> = word.iter().map(module).collect();
    let mut spelled = vec![word.to_vec(), word.to_ascii_lowercase(), module];
    spelled.dedup();
    let files = spelled.iter().flat_map(|word| {
        let file = [word, extension].concat();
        let inside = [word, &b"/"[..], name].concat();
        [file, inside]
    });
    files.filter_map(|file| RelPath::new(&file).ok()).collect()
}

/// Whether a name is that of a path, or of its last components.
pub(super) fn ends(path: &[u8], name: &[u8]) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let above = path.strip_suffix(name);
    above.is_some_and(|above| above.is_empty() || above.ends_with(b"/"))
}

/// The line behind a `File:`, `Path:` or `Filename:`, or a `File` before backticks; the label, or all
/// of it, may be bold.
fn without_label(line: &[u8]) -> Option<&[u8]> {
    let stars = line.iter().take_while(|byte| **byte == b'*').count();
    let line = &line[stars..];
    let letters = line
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let (label, rest) = line.split_at(letters);
    let known = [&b"file"[..], b"filename", b"path"];
    if !known.iter().any(|known| label.eq_ignore_ascii_case(known)) {
        return None;
    }
    rest.strip_prefix(b":").or(rest.strip_prefix(b" `"))
}

/// The name of a source file that a line of prose ends in, which may be meant for the block below.
pub(super) fn mentioned(line: &[u8]) -> Option<&[u8]> {
    let word = line
        .rsplit(|byte| b" \t`*\"'()[]<>:,".contains(byte))
        .find(|word| !word.is_empty())?;
    let path = RelPath::new(word.strip_prefix(b"./").unwrap_or(word)).ok()?;
    (word.contains(&b'.') && Language::of(&path, b"").is_some()).then_some(word)
}

/// Whether a line opens or closes a fenced block of Markdown.
pub(super) fn is_fence(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.starts_with(b"```") || line.starts_with(b"~~~")
}

/// The line behind the `- ` or `1. ` of a list, or the `// ` of a comment, if more than a word of
/// prose follows.
fn unmarked(line: &[u8]) -> &[u8] {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let marks: &[&[u8]] = if digits > 0 {
        &[b". "]
    } else {
        &[b"- ", b"// "]
    };
    let rest = marks
        .iter()
        .find_map(|mark| line[digits..].strip_prefix(*mark))
        .map(<[u8]>::trim_ascii_start);
    rest.filter(|rest| rest.iter().any(|byte| b"./`*".contains(byte)))
        .unwrap_or(line)
}

/// The name in what follows the signs of a fence, which some models write there: alone, behind the
/// language and a blank or a colon, or as the value of `path=` and its like.
fn fenced(info: &[u8]) -> Option<&[u8]> {
    let is_path = |text: &[u8]| text.contains(&b'.') || text.contains(&b'/');
    let is_tag = |text: &[u8]| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+#-_:".contains(byte);
        !text.is_empty() && text.iter().all(plain)
    };
    let mut name = info;
    if let Some(at) = name.iter().position(|byte| *byte == b' ')
        && is_tag(&name[..at])
    {
        name = name[at..].trim_ascii_start();
    }
    for key in [&b"path="[..], b"file=", b"filename=", b"title="] {
        if let Some(value) = name.strip_prefix(key) {
            name = trim(value, b'"');
        }
    }
    if let Some(at) = name.iter().rposition(|byte| *byte == b':')
        && is_tag(&name[..at])
    {
        name = &name[at + 1..];
    }
    (is_path(name) && is_plain(name)).then_some(name)
}

/// Whether a line is a name also where it does not stand right above its block: a lone word is
/// prose there unless it is marked up, or written as names like Makefile are.
pub(super) fn is_certain(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    name(line).is_some_and(|name| {
        name.len() != line.len()
            || name.iter().any(|byte| b"./_-".contains(byte))
            || name.first().is_some_and(u8::is_ascii_uppercase)
    })
}

/// Whether text can be a name: no sentence, no markup.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() < 1024
        && !name.starts_with(b"<")
        && !name.contains(&b'`')
        && !name.ends_with(b".")
        && !name.ends_with(b"!")
        && !name.ends_with(b"?")
        && memchr::memmem::find(name, b"](").is_none()
        && (!name.contains(&b' ') || looks_like_path(name))
}

/// Names with blanks need an extension or a directory to be told from prose.
fn looks_like_path(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let extension = last.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let words = name.split(|byte| *byte == b' ').count();
    words <= 4
        && !b">$+@|".contains(&name[0])
        && memchr::memmem::find(name, b": ").is_none()
        && last.contains(&b'.')
        && !extension.is_empty()
        && extension.len() <= 8
        && extension.iter().all(u8::is_ascii_alphanumeric)
        && !name.contains(&b',')
}

fn trim(mut name: &[u8], byte: u8) -> &[u8] {
    while let [first, rest @ ..] = name
        && *first == byte
    {
        name = rest;
    }
    while let [rest @ .., last] = name
        && *last == byte
    {
        name = rest;
    }
    name.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::{is_doubtful, mentioned, name};

    #[test]
    fn names_are_told_from_prose() {
        for (line, file) in [
            ("foo.txt", Some("foo.txt")),
            ("**src/a.rs**:", Some("src/a.rs")),
            ("### `src/a.rs`", Some("src/a.rs")),
            ("Makefile", Some("Makefile")),
            ("File: dir name/a b.txt", Some("dir name/a b.txt")),
            ("```src/main.py", Some("src/main.py")),
            ("```python", None),
            ("```python src/main.py", Some("src/main.py")),
            ("```python:src/main.py", Some("src/main.py")),
            ("```12:15:src/main.py", Some("src/main.py")),
            ("```c++ path=\"a b/m.cc\"", Some("a b/m.cc")),
            ("```rust filename=src/lib.rs", Some("src/lib.rs")),
            ("```python title", None),
            ("```a.b c.d", Some("a.b c.d")),
            ("```", None),
            ("~~~", None),
            ("~~~python", None),
            ("~~~ python src/main.py", Some("src/main.py")),
            ("1. `src/a.rs`", Some("src/a.rs")),
            ("- src/a.rs:", Some("src/a.rs")),
            ("- **src/a.rs**", Some("src/a.rs")),
            ("File `src/a.rs`:", Some("src/a.rs")),
            ("// src/a.js", Some("src/a.js")),
            ("Change `a` in `src/a.rs`", None),
            ("\"src/a b.rs\"", Some("src/a b.rs")),
            ("Path: src/a.rs", Some("src/a.rs")),
            ("FILENAME: `src/a.rs`", Some("src/a.rs")),
            ("**File: src/a.rs**", Some("src/a.rs")),
            ("**File: `src/a.rs`**:", Some("src/a.rs")),
            ("**File:** `src/a.rs`", Some("src/a.rs")),
            ("### **Path:** src/a.rs", Some("src/a.rs")),
            ("**File `src/a.rs`**", Some("src/a.rs")),
            ("**File:** the one in src/a.rs, below", None),
            ("**File:**", None),
            ("**Files: a.rs and b.rs**", None),
            ("*** Update File: src/a.rs", None),
            ("+++ b/src/a.rs", None),
            ("[a.rs](src/a.rs)", None),
            ("app/[id]/page.tsx", Some("app/[id]/page.tsx")),
            ("$ cat src/a.rs", None),
            ("> src/a.rs", None),
            ("  <path>src/a b.rs</path>", Some("src/a b.rs")),
            ("<path></path>", None),
            ("<diff>", None),
            ("- Refactor", None),
            ("// TODO", None),
            ("2024.txt", Some("2024.txt")),
            ("Here's the change:", None),
            ("Here is the new file.", None),
            ("`justfile`", Some("justfile")),
            ("...", None),
            ("", None),
        ] {
            assert_eq!(name(line.as_bytes()), file.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn a_name_is_read_with_a_remark_and_from_afar() {
        for (line, file) in [
            ("### b.py", Some("b.py")),
            ("b.py (new import)", Some("b.py")),
            ("`src/b.py` (changed):", Some("src/b.py")),
            ("## Summary", None),
            ("## Changes (all)", None),
            ("In b.py this goes.", None),
        ] {
            assert_eq!(
                super::far(line.as_bytes()),
                file.map(str::as_bytes),
                "{line}"
            );
        }
        let found: Vec<&[u8]> =
            super::all_mentioned(b"Then in b.py, `c.rs` and x\\d.rs: see Makefile. Or i.e. 1.2")
                .collect();
        // A word at the start of a sentence is no file, which the tree tells.
        assert_eq!(
            found,
            [&b"Then"[..], b"b.py", b"c.rs", b"d.rs", b"Makefile", b"i.e"]
        );
        for (path, name, expected) in [
            ("src/f.py", "f.py", true),
            ("src/f.py", "./src/f.py", true),
            ("conf.py", "f.py", false),
            ("f.py", "src/f.py", false),
        ] {
            assert_eq!(
                super::ends(path.as_bytes(), name.as_bytes()),
                expected,
                "{path} {name}"
            );
        }
    }

    #[test]
    fn prose_may_end_in_a_name() {
        for (line, file) in [
            ("Then, in the file src/a.rs:", Some("src/a.rs")),
            ("> src/a.rs", Some("src/a.rs")),
            ("[the file](src/a.rs)", Some("src/a.rs")),
            ("*** Update File: src/a.rs", Some("src/a.rs")),
            ("And then set `self.value`:", None),
            ("With the following, e.g.:", None),
        ] {
            assert_eq!(
                mentioned(line.as_bytes()),
                file.map(str::as_bytes),
                "{line}"
            );
        }
    }

    #[test]
    fn a_name_that_may_be_prose_creates_nothing() {
        for (line, doubtful) in [
            ("src/a.rs", false),
            ("Makefile", false),
            ("Now a.rs:", true),
            ("`my file.rs`", false),
            ("File: my file.rs", false),
            ("**File:** my file.rs", false),
            ("src/a.rs:12", true),
        ] {
            let line = line.as_bytes();
            assert_eq!(is_doubtful(line, name(line).unwrap()), doubtful);
        }
    }
}
