//! A patch of another dialect as a parameter, for the file of its call.

use super::Step;
use super::edits::Reader;
use super::fields::{Arguments, Field, Taken};
use super::lines::Lines;
use crate::dialect::{Dialect, Options, detect, parse_text, unified};
use crate::error::excerpt;
use crate::path::RelPath;

/// Leading components that diffs put before a name.
const PREFIXES: &[&str] = &[
    "a", "b", "c", "i", "o", "w", "1", "2", ".", "old", "new", "orig", "original", "modified",
    "before", "after", "current", "updated", "left", "right",
];
/// What stands for the two states of one file, in place of its name.
const STATES: &[&str] = &[
    "a", "b", "old", "new", "original", "modified", "before", "after", "current", "updated",
    "left", "right", "file", "-",
];
/// What the old state of a file is called, behind its name.
const COPIES: &[&str] = &[".orig", ".old", ".bak", ".new", "~"];

impl Reader<'_> {
    /// Text in another dialect in a parameter, for the file of the call.
    pub(super) fn patch(&mut self, arguments: &mut Arguments<'_, '_, '_>, field: Field) {
        let path = match arguments.has(Field::Path) || self.options.file.is_some() {
            true => match self.path(arguments) {
                Some(path) => Some(path),
                None => return,
            },
            false => None,
        };
        self.patch_of(arguments, field, path);
    }

    /// Text in another dialect in a parameter, for a file.
    pub(super) fn patch_of(
        &mut self,
        arguments: &mut Arguments<'_, '_, '_>,
        field: Field,
        path: Option<RelPath>,
    ) {
        let Taken::Set(text) = arguments.text(field) else {
            return;
        };
        let dialect = match detect(text.as_bytes()) {
            Ok(
                dialect @ (Dialect::UnifiedDiff
                | Dialect::Codex
                | Dialect::SearchReplace
                | Dialect::Hashline),
            ) => dialect,
            Ok(_) | Err(_) => {
                let key = arguments.key(field).unwrap_or_default();
                return arguments.fault(format!("{key:?} holds no patch that is known: expected search/replace blocks, a unified diff or an envelope"));
            }
        };
        if self.options.file.is_none()
            && let Some(path) = &path
            && let Some(other) = another(&text, dialect, path, self.options)
        {
            return arguments.fault(names_another(&other, path));
        }
        let lines = Lines::of(arguments);
        let options = Options {
            dialect: Some(dialect),
            file: path,
            ..self.options.clone()
        };
        let mut step = Step::patch(dialect, text.into_owned(), options, self.call);
        step.lines = lines;
        self.steps.push(step);
    }
}

/// What is said of a patch that is for another file than its call.
pub(super) fn names_another(other: &[u8], path: &RelPath) -> String {
    format!(
        "the patch names {}, which is another file than its call's, {path}; send each under its own name",
        excerpt(other, 120)
    )
}

/// The first name in a patch that is another file's.
pub(super) fn another(
    text: &str,
    dialect: Dialect,
    path: &RelPath,
    options: &Options,
) -> Option<Vec<u8>> {
    let names = match dialect {
        // It goes to the file that it names itself.
        Dialect::Codex => return another_exactly(text, dialect, path, options),
        Dialect::UnifiedDiff => unified::names_in(text.as_bytes()),
        // A block without a name is for the file of the call.
        Dialect::SearchReplace => named(dialect, &format!("{path}\n{text}"), options),
        _ => named(dialect, text, options),
    };
    let mut names = names.into_iter();
    names.find(|name| !is_same(name, path.as_bytes()))
}

/// The first name in a patch that is not all of a path.
pub(super) fn another_exactly(
    text: &str,
    dialect: Dialect,
    path: &RelPath,
    options: &Options,
) -> Option<Vec<u8>> {
    let mut names = named(dialect, text, options).into_iter();
    names.find(|name| name != path.as_bytes())
}

/// The files that a patch edits by names of its own, those that it only gives aside; none where it
/// names none.
fn named(dialect: Dialect, text: &str, options: &Options) -> Vec<Vec<u8>> {
    let options = Options {
        file: None,
        dialect: Some(dialect),
        ..options.clone()
    };
    let Ok(script) = parse_text(dialect, text.as_bytes(), &options) else {
        return Vec::new();
    };
    let paths = script.sources();
    paths.iter().map(|path| path.as_bytes().to_vec()).collect()
}

/// Whether a name may be that of a file: all of it, its last components, or all of it below a
/// prefix of diffs or an absolute path.
fn is_same(name: &[u8], path: &[u8]) -> bool {
    let above = |long: &[u8], short: &[u8]| {
        let rest = long.strip_suffix(short)?;
        rest.strip_suffix(b"/").map(<[u8]>::to_vec)
    };
    let is_one_of = |words: &[&str], part: &[u8]| words.iter().any(|word| word.as_bytes() == part);
    if is_one_of(STATES, name) {
        return true;
    }
    let copy = COPIES
        .iter()
        .find_map(|end| name.strip_suffix(end.as_bytes()));
    let mut name = match copy {
        Some(own) if !path.ends_with(name) => own,
        _ => name,
    };
    loop {
        if name == path || above(path, name).is_some() {
            return true;
        }
        if above(name, path).is_some_and(|above| above.is_empty() || above.starts_with(b"/")) {
            return true;
        }
        let slash = crate::bytes::find(b'/', name);
        match slash.filter(|at| is_one_of(PREFIXES, &name[..*at])) {
            Some(at) => name = &name[at + 1..],
            None => return false,
        }
    }
}
