//! A plain model of the contract: what a change makes of a tree.

use std::collections::BTreeMap;

use patchcore::Code;

use super::entry::Entry;

/// Files by name: bytes, and whether they can be executed.
pub(crate) type Files = BTreeMap<String, (Vec<u8>, bool)>;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What the file `f` is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    CrLf,
    Mixed,
    Bom,
    Latin,
    Open,
    OpenCrLf,
    Executable,
    Placeholder,
    Utf8,
}

pub(crate) const FORMS: [Form; 10] = [
    Form::Plain,
    Form::CrLf,
    Form::Mixed,
    Form::Bom,
    Form::Latin,
    Form::Open,
    Form::OpenCrLf,
    Form::Executable,
    Form::Placeholder,
    Form::Utf8,
];

/// The lines that every form has, without those that make it what it is.
pub(crate) const LINES: [&str; 5] = ["one", "two", "three", "four", "five"];

impl Form {
    pub(crate) fn files(self) -> Files {
        let mut text = match self {
            Self::Bom => BOM.to_vec(),
            Self::Latin => b"\xe9t\xe9\n".to_vec(),
            Self::Placeholder => b"// ###MARK###\n".to_vec(),
            Self::Utf8 => "\u{e9}t\u{e9}\n".into(),
            _ => Vec::new(),
        };
        for (index, line) in LINES.iter().enumerate() {
            text.extend_from_slice(line.as_bytes());
            let is_open = matches!(self, Self::Open | Self::OpenCrLf);
            if is_open && index + 1 == LINES.len() {
                break;
            }
            let is_crlf = matches!(self, Self::CrLf | Self::OpenCrLf)
                || self == Self::Mixed && index % 2 == 0;
            text.extend_from_slice(if is_crlf { b"\r\n" } else { b"\n" });
        }
        let file = |text: &[u8], executable| (text.to_vec(), executable);
        BTreeMap::from([
            ("f".to_owned(), file(&text, self == Self::Executable)),
            ("g".to_owned(), file(b"ghost\n", true)),
        ])
    }
}

/// Files as a person reads them.
pub(crate) fn shown(files: &Files) -> String {
    let one = |(name, (bytes, executable)): (&String, &(Vec<u8>, bool))| {
        format!("{name} ({executable}): {}", bytes.escape_ascii())
    };
    files.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// A change of a tree, however it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// A line of `f`, one of [`LINES`], gives way to others, or goes.
    Replace(&'static str, &'static [&'static str]),
    /// Lines behind a line of `f`.
    Insert(&'static str, &'static [&'static str]),
    /// The whole file gets this text.
    Write(&'static str, &'static str),
    Create(&'static str, &'static str),
    Delete(&'static str),
    Rename(&'static str, &'static str),
    Copy(&'static str, &'static str),
    Mode(&'static str, bool),
    /// An edit of the link to `f`.
    OfLink,
}

pub(crate) fn changes() -> Vec<Change> {
    let texts: [&'static [&'static str]; 4] =
        [&["NEW"], &["NEW", "MORE"], &["n\u{f6}w"], &["\u{f6}", "x"]];
    let mut all = Vec::new();
    for line in LINES {
        for text in texts {
            all.push(Change::Replace(line, text));
            all.push(Change::Insert(line, text));
        }
        all.push(Change::Replace(line, &[]));
    }
    for text in ["one\nTWO\nthree\n", "n\u{f6}w\n", "a\r\nb\n"] {
        all.push(Change::Write("f", text));
    }
    for name in ["f", "g", "n"] {
        all.push(Change::Create(name, "created\n"));
        all.push(Change::Delete(name));
        for to in ["f", "g", "n"] {
            all.push(Change::Rename(name, to));
            all.push(Change::Copy(name, to));
        }
        all.push(Change::Mode(name, true));
    }
    all.push(Change::OfLink);
    all
}

/// What becomes of a change.
#[derive(Debug)]
pub(crate) enum Predicted {
    /// One of these: where neighbours have different endings, either may be taken.
    Lands(Vec<Files>),
    Refused(Code),
}

/// The lines of a text, each with its ending.
pub(crate) fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn ending(line: &[u8]) -> &'static [u8] {
    match line {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

fn bare(line: &[u8]) -> &[u8] {
    &line[..line.len() - ending(line).len()]
}

/// Where a line of `f` stands.
pub(crate) fn index(text: &[u8], wanted: &str) -> usize {
    let is_it = |line: &&[u8]| {
        let line = bare(line);
        line.strip_prefix(BOM).unwrap_or(line) == wanted.as_bytes()
    };
    lines(text).iter().position(is_it).unwrap()
}

/// What `f` may become where lines give way or come in.
pub(crate) fn edited(text: &[u8], at: usize, keep: bool, new: &[&str]) -> Vec<Vec<u8>> {
    let lines = lines(text);
    let is_open = !text.ends_with(b"\n");
    let near = [Some(at), at.checked_add(1), at.checked_sub(1)];
    let mut endings: Vec<&[u8]> = Vec::new();
    for index in near.into_iter().flatten() {
        let ending = lines.get(index).map_or(&b""[..], |line| ending(line));
        if !ending.is_empty() && !endings.contains(&ending) {
            endings.push(ending);
        }
    }
    if !keep {
        // A line takes the ending of the one that it replaces, if that has one.
        let own = ending(lines[at]);
        if !own.is_empty() {
            endings = vec![own];
        }
    }
    let mut all = Vec::new();
    for ending in endings {
        let mut out: Vec<Vec<u8>> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let is_bom = line.starts_with(BOM);
            if index != at {
                out.push(line.to_vec());
                continue;
            }
            if keep {
                out.push(line.to_vec());
            }
            for (number, text) in new.iter().enumerate() {
                let bom = if is_bom && number == 0 && !keep {
                    BOM
                } else {
                    b""
                };
                out.push([bom, text.as_bytes(), ending].concat());
            }
            if new.is_empty() && is_bom {
                out.push(BOM.to_vec());
            }
        }
        // Every line but the last has an ending, and that one if it had one before.
        let count = out.len();
        for (index, line) in out.iter_mut().enumerate() {
            let has = !super::model::ending(line).is_empty();
            if index + 1 < count && !has && line != BOM {
                line.extend_from_slice(ending);
            } else if index + 1 == count && is_open && has {
                line.truncate(bare(line).len());
            }
        }
        all.push(out.concat());
    }
    all
}

/// What the contract says of a change.
pub(crate) fn predict(change: &Change, entry: Entry, files: &Files, overwrite: bool) -> Predicted {
    let text = &files["f"].0;
    let is_utf8 = std::str::from_utf8(text).is_ok();
    let with = |name: &str, bytes: Vec<u8>, executable: bool| {
        let mut after = files.clone();
        after.insert(name.to_owned(), (bytes, executable));
        after
    };
    let one = |files: Files| Predicted::Lands(vec![files]);
    match change {
        Change::Replace(line, new) | Change::Insert(line, new) => {
            // A diff that shows the file's own bytes is in its encoding.
            let is_foreign = !is_utf8 && !entry.is_diff();
            if is_foreign && new.iter().any(|line| !line.is_ascii()) {
                return Predicted::Refused(Code::UnsupportedEncoding);
            }
            let keep = matches!(change, Change::Insert(..));
            let mut texts = edited(text, index(text, line), keep, new);
            if entry == Entry::Codex && !text.ends_with(b"\n") {
                // Its new lines are whole ones, also where the last one of the file was not.
                let ended = |text: &Vec<u8>| {
                    let ending = lines(text).first().map_or(&b"\n"[..], |line| ending(line));
                    [text, ending].concat()
                };
                texts.extend(texts.iter().map(ended).collect::<Vec<_>>());
            }
            let after = |text| with("f", text, files["f"].1);
            Predicted::Lands(texts.into_iter().map(after).collect())
        }
        Change::Write(name, new) => {
            let Some((old, executable)) = files.get(*name) else {
                return one(with(name, new.as_bytes().to_vec(), false));
            };
            if std::str::from_utf8(old).is_err() {
                return Predicted::Refused(Code::UnsupportedEncoding);
            }
            let mut bytes = if old.starts_with(BOM) {
                BOM.to_vec()
            } else {
                Vec::new()
            };
            let with_endings: Vec<_> = lines(old)
                .into_iter()
                .map(ending)
                .filter(|ending| !ending.is_empty())
                .collect();
            let is_crlf = with_endings.iter().all(|ending| *ending == b"\r\n");
            if is_crlf && !new.contains('\r') {
                bytes.extend_from_slice(new.replace('\n', "\r\n").as_bytes());
            } else {
                bytes.extend_from_slice(new.as_bytes());
            }
            one(with(name, bytes, *executable))
        }
        Change::Create(name, new) => match files.contains_key(*name) && !overwrite {
            true => Predicted::Refused(Code::FileExists),
            false => one(with(name, new.as_bytes().to_vec(), false)),
        },
        Change::Delete(name) => {
            let mut after = files.clone();
            // Nothing shows that there ever was one.
            match after.remove(*name) {
                None => Predicted::Refused(Code::FileNotFound),
                Some(_) => one(after),
            }
        }
        Change::Rename(from, to) | Change::Copy(from, to) => {
            let moves = matches!(change, Change::Rename(..));
            let Some(file) = files.get(*from) else {
                return Predicted::Refused(Code::FileNotFound);
            };
            if moves && from == to {
                return one(files.clone());
            }
            if files.contains_key(*to) && !overwrite {
                return Predicted::Refused(Code::FileExists);
            }
            let mut after = with(to, file.0.clone(), file.1);
            if moves {
                after.remove(*from);
            }
            one(after)
        }
        Change::Mode(name, executable) => match files.get(*name) {
            Some((bytes, _)) => one(with(name, bytes.clone(), *executable)),
            None => Predicted::Refused(Code::FileNotFound),
        },
        Change::OfLink => Predicted::Refused(Code::Symlink),
    }
}
