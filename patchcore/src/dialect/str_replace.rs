//! The text-editor tool's commands, as Anthropic's and OpenHands' editors and their kin take them.
//!
//! One JSON object, a list, or lines of them: `create`, `str_replace`, `insert`, `undo_edit`
//! (of an edit in the same patch; `view` is skipped). Claude Code's and Gemini's edit tools, which
//! have no `command` and say `file_path`, `old_string` and `new_string`, are read alike, and so are
//! calls whose arguments are the text of an object. As in those tools `create` does not overwrite,
//! `insert` counts lines from 0 (before the first) and inserts a final newline of its text as a
//! further, blank line, and `old_str` must match at one place unless `replace_all` is set.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::desk::Desk;
use super::exact::{self, Find, Matches};
use super::ladder::Rungs;
use super::landed::Landed;
use super::{Options, beneath_root, json, minimal_edit, omission, whole};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::plan::{Lowered, Script, SharedBytes, Tree};
use crate::text::{LineNumber, Text};

/// Parsed commands.
pub(super) struct StrReplace {
    commands: Vec<(RelPath, Command)>,
    options: Options,
    content: Digest,
}

enum Command {
    Create(String),
    /// Writes the whole file, whether it exists or not.
    Write(String, whole::Form),
    Replace {
        old: String,
        new: String,
        matches: Matches,
        may_create: bool,
    },
    Insert {
        line: u64,
        text: String,
    },
    Undo,
}

/// The tools' parameters, under any of their names.
#[derive(Deserialize)]
struct Raw {
    command: Option<String>,
    #[serde(alias = "file_path")]
    path: Option<String>,
    #[serde(alias = "content")]
    file_text: Option<String>,
    old_str: Option<String>,
    old_string: Option<String>,
    #[serde(alias = "new_string", alias = "insert_text")]
    #[serde(default)]
    new_str: json::Field<String>,
    insert_line: Option<i64>,
    #[serde(alias = "allow_multiple")]
    replace_all: Option<bool>,
    expected_replacements: Option<u64>,
    /// Write a whole file byte for byte, whatever line endings are there.
    verbatim: Option<bool>,
    /// Several replacements in one file.
    edits: Option<Vec<RawEdit>>,
    /// The parameters, in a tool call.
    #[serde(
        default,
        alias = "arguments",
        alias = "function",
        deserialize_with = "json::parameters"
    )]
    input: Option<Box<Raw>>,
    #[serde(flatten)]
    rest: HashMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct RawEdit {
    #[serde(alias = "old_str")]
    old_string: String,
    #[serde(default, alias = "new_str")]
    new_string: json::Field<String>,
    #[serde(default)]
    replace_all: bool,
    #[serde(flatten)]
    rest: HashMap<String, serde::de::IgnoredAny>,
}

/// Reads commands.
pub(super) fn parse(bytes: &[u8], options: &Options) -> Result<StrReplace, Refusal> {
    let mut commands = Vec::new();
    for (index, raw) in json::values::<Raw>(bytes, options)?.into_iter().enumerate() {
        command(raw, index + 1, options, &mut commands)?;
    }
    Ok(StrReplace {
        commands,
        options: options.clone(),
        content: Digest::of(bytes),
    })
}

fn command(
    mut raw: Raw,
    number: usize,
    options: &Options,
    commands: &mut Vec<(RelPath, Command)>,
) -> Result<(), Refusal> {
    if let Some(input) = raw.input.take() {
        return command(*input, number, options, commands);
    }
    let invalid =
        |message: String| Refusal::new(Code::InvalidBatch, format!("command {number}: {message}"));
    if options.strict
        && let Some(field) = raw.rest.keys().next()
    {
        return Err(invalid(format!(
            "unknown parameter {field:?} is not allowed in strict mode"
        ))
        .with_hint(Hint::Lenient));
    }
    let missing = |name: &str| invalid(format!("parameter {name:?} is missing"));
    let path = match (&options.file, &raw.path) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) => RelPath::new(beneath_root(path.as_bytes(), options))?,
        (None, None) => return Err(missing("path")),
    };
    let matches = match (raw.replace_all, raw.expected_replacements) {
        (Some(true), _) => Matches::All,
        (_, Some(count)) => Matches::Exactly(count),
        _ if options.all => Matches::All,
        _ => Matches::One,
    };
    let named = raw.command.as_deref();
    let command = match named {
        Some("view") => return Ok(()),
        Some("undo_edit") => Command::Undo,
        Some("create") => Command::Create(raw.file_text.ok_or_else(|| missing("file_text"))?),
        Some("insert") => {
            let line = raw.insert_line.ok_or_else(|| missing("insert_line"))?;
            let line = u64::try_from(line).map_err(|_| {
                Refusal::new(
                    Code::LineOutOfRange,
                    format!("command {number}: insert_line {line} is negative"),
                )
            })?;
            Command::Insert {
                line,
                text: raw
                    .new_str
                    .required("new_str", &raw.rest)
                    .map_err(invalid)?,
            }
        }
        None if raw.edits.is_some() => {
            for edit in raw.edits.unwrap_or_default() {
                let matches = if edit.replace_all {
                    Matches::All
                } else {
                    matches
                };
                let may_create = edit.old_string.is_empty();
                let new = edit.new_string.required("new_string", &edit.rest);
                let command = Command::Replace {
                    old: edit.old_string,
                    new: new.map_err(invalid)?,
                    matches,
                    may_create,
                };
                commands.push((path.clone(), command));
            }
            return Ok(());
        }
        None if raw.old_str.is_none() && raw.old_string.is_none() && raw.file_text.is_some() => {
            let form = whole::Form::of(raw.verbatim.unwrap_or_default());
            Command::Write(raw.file_text.unwrap_or_default(), form)
        }
        Some("str_replace") | None => {
            // Only Anthropic's own command has no new text where it deletes.
            let may_delete = named.is_some() && raw.rest.is_empty();
            let new_key = if raw.old_string.is_some() {
                "new_string"
            } else {
                "new_str"
            };
            let old = raw.old_str.or(raw.old_string);
            let old = old.ok_or_else(|| missing("old_str"))?;
            if old.is_empty() && named.is_some() {
                return Err(invalid(
                    "\"old_str\" is empty, which matches everywhere; give the text to replace"
                        .into(),
                ));
            }
            let may_create = old.is_empty();
            Command::Replace {
                old,
                new: match raw.new_str {
                    json::Field::Missing if may_delete => String::new(),
                    new => new.required(new_key, &raw.rest).map_err(invalid)?,
                },
                matches,
                may_create,
            }
        }
        Some(other) => {
            return Err(invalid(format!(
                "{other:?} is no command; there are create, str_replace, insert, undo_edit and view"
            )));
        }
    };
    commands.push((path, command));
    Ok(())
}

impl Script for StrReplace {
    fn paths(&self) -> Vec<RelPath> {
        let paths: BTreeSet<&RelPath> = self.commands.iter().map(|(path, _)| path).collect();
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let mut desk = Desk::new(tree);
        let mut history: HashMap<&RelPath, Vec<Option<SharedBytes>>> = HashMap::new();
        for (index, (path, command)) in self.commands.iter().enumerate() {
            let name = format!("command {}", index + 1);
            let history = history.entry(path).or_default();
            if !desk.is_spoiled(path) {
                if let Err(refusal) = self.run(path, command, &name, &mut desk, history) {
                    desk.refuse(path, refusal);
                }
            } else if matches!(command, Command::Undo) {
                desk.skip(path);
            } else {
                desk.judge_apart(path, |desk| self.run(path, command, &name, desk, history));
            }
        }
        Ok(desk.into_batch(self.content).into())
    }
}

impl StrReplace {
    fn run(
        &self,
        path: &RelPath,
        command: &Command,
        name: &str,
        desk: &mut Desk<'_>,
        history: &mut Vec<Option<SharedBytes>>,
    ) -> Result<(), Refusal> {
        let before = desk.text(path)?;
        let check = |new: &str, old: &[u8]| {
            if self.options.allow_omission {
                Ok(())
            } else {
                omission::check_new(path, new.as_bytes(), old)
            }
        };
        match command {
            Command::Create(text) => {
                if before.is_some() {
                    return Err(Refusal::new(
                        Code::FileExists,
                        format!("{name} creates {path}, which exists already; change it with str_replace"),
                    )
                    .in_file(path));
                }
                check(text, b"")?;
                desk.write(path, text.clone().into_bytes(), whole::Form::OfFile)?;
            }
            Command::Write(text, form) => {
                check(text, before.as_deref().unwrap_or_default())?;
                desk.write(path, text.clone().into_bytes(), *form)?;
            }
            Command::Replace {
                old,
                new,
                may_create: true,
                ..
            } if old.is_empty() => {
                if before.as_ref().is_some_and(|text| !text.is_empty()) {
                    return Err(Refusal::new(
                        Code::FileExists,
                        format!("{name} has nothing to find, which creates a file, and {path} exists already"),
                    )
                    .in_file(path));
                }
                check(new, b"")?;
                desk.write(path, new.clone().into_bytes(), whole::Form::OfFile)?;
            }
            Command::Replace {
                old, new, matches, ..
            } => {
                check(new, old.as_bytes())?;
                let text = desk.file(path)?;
                let find = Find {
                    old,
                    new,
                    matches: *matches,
                    rungs: Rungs::of(&self.options),
                };
                match find.landed(&text) {
                    Landed::Yes(place) => desk.landed(path, place.line)?,
                    _ => {
                        let (edits, matched) = exact::edits(&text, &find, path, name)
                            .map_err(|refusal| desk.gone(path, old.as_bytes(), refusal))?;
                        desk.splice_found(path, edits, matched)?;
                    }
                }
            }
            Command::Insert { line, text } => {
                check(text, b"")?;
                let edit = insert(&desk.file(path)?, *line, text, path, name)?;
                if *line == 0 {
                    desk.splice(path, vec![edit], None)?;
                } else {
                    desk.splice_bare(path, vec![edit], None)?;
                }
            }
            Command::Undo => return undo(path, name, desk, history),
        }
        history.push(before);
        Ok(())
    }
}

/// Lines behind line number `line`; 0 is before the first.
fn insert(bytes: &[u8], line: u64, new: &str, path: &RelPath, name: &str) -> Result<Edit, Refusal> {
    let text = Text::new(bytes);
    let count = text.line_count() as u64;
    if line > count {
        return Err(Refusal::new(
            Code::LineOutOfRange,
            format!("{name} inserts behind line {line} of {path}, which has {count} lines"),
        )
        .in_file(path));
    }
    let at = match LineNumber::new(line) {
        None => text.bom_len(),
        Some(above) => text.line(above).map_or(bytes.len(), |span| span.end),
    };
    let ending = text.ending_near(at).as_bytes();
    let open = at == bytes.len() && !text.ends_in_newline();
    let mut inserted = Vec::new();
    for line in new.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).as_bytes();
        if open {
            inserted.extend_from_slice(ending);
            inserted.extend_from_slice(line);
        } else {
            inserted.extend_from_slice(line);
            inserted.extend_from_slice(ending);
        }
    }
    Ok(Edit::insert(at, inserted))
}

/// Takes back the last command of this patch on the file.
fn undo(
    path: &RelPath,
    name: &str,
    desk: &mut Desk<'_>,
    history: &mut Vec<Option<SharedBytes>>,
) -> Result<(), Refusal> {
    match history.pop() {
        Some(Some(before)) => {
            let edits = minimal_edit(&desk.file(path)?, &before).into_iter().collect();
            desk.splice(path, edits, None)
        }
        Some(None) => desk.delete(path, None),
        None => Err(Refusal::new(
            Code::InvalidBatch,
            format!("{name} takes back an edit of {path}, and the patch has none before it; take back an earlier transaction with `patchctl undo`"),
        )
        .in_file(path)),
    }
}
