//! From the parameters of a call that edits to its steps.

use super::fields::{Arguments, Field, Taken, plain};
use super::find::Call;
use super::node::Value;
use super::tools::{DELETES, MOVES};
use super::{Act, Step};
use crate::dialect::exact::Matches;
use crate::dialect::{Dialect, Options, beneath_root, detect, whole};
use crate::digest::{Digest, InvalidDigest};
use crate::error::{Hint, excerpt};
use crate::path::RelPath;
use std::borrow::Cow;

const REGEX: &str =
    "the text to find is a regular expression, which is not supported; send the text itself";
/// Words in the name of a parameter that may limit an edit to a part of its file.
const LIMITS: &[&str] = &[
    "line", "start", "end", "after", "before", "position", "index", "row", "column", "offset",
    "anchor", "section", "symbol", "insert", "where", "range",
];

/// The hash of the file that a call was made for.
fn base(arguments: &mut Arguments<'_, '_, '_>) -> Option<Digest> {
    let text = arguments.text(Field::Base).ok()?;
    let base = text.parse().ok();
    if base.is_none()
        && let Taken::Set(member) = arguments.member(Field::Base)
    {
        arguments.fault_at(member, InvalidDigest.to_string());
    }
    base
}

/// Reads one call.
pub(super) struct Reader<'r> {
    pub(super) options: &'r Options,
    pub(super) steps: &'r mut Vec<Step>,
    pub(super) call: &'r Call,
    pub(super) tool: &'r str,
}

impl Reader<'_> {
    pub(super) fn read(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        if self.options.strict
            && let Some(unknown) = arguments.unknown().next()
        {
            let message = format!(
                "unknown parameter {:?} is not allowed in strict mode",
                unknown.key
            );
            let path = arguments.path_of(&unknown.key);
            arguments
                .input
                .hinted(unknown.key_span, &path, message, Hint::Lenient);
        }
        if arguments.flag(Field::DryRun).ok() == Some(true) {
            let key = arguments.key(Field::DryRun).unwrap_or_default();
            return arguments.fault(format!("{key:?} asks for a preview and not for the edit; leave it out, and preview with `patchctl check`"));
        }
        if arguments.has(Field::Regex) && arguments.flag(Field::Regex).ok() != Some(false) {
            return arguments.fault(REGEX);
        }
        if arguments.has(Field::LineTag) && !arguments.has(Field::Old) {
            return arguments.fault("the lines are named by another tool's tags, which cannot be checked; send the old and the new text");
        }
        let before = self.steps.len();
        let allow = arguments.allowances();
        let matches = self.matches(arguments, Matches::One);
        match self.command(arguments) {
            Some(Named::Create) => self.create(arguments),
            Some(Named::Insert) => self.insert(arguments),
            Some(Named::Append) => self.append(arguments),
            Some(Named::Undo) => self.on_file(arguments, |_| Some(Act::Undo)),
            Some(Named::Replace) if arguments.has(Field::Patch) => self.patch(arguments),
            Some(Named::Replace) => self.replace(arguments, matches, true),
            Some(Named::Unknown) => {}
            None if DELETES.contains(&self.tool) => self.delete(arguments),
            None if MOVES.contains(&self.tool) => self.rename(arguments),
            None => self.unnamed(arguments, matches),
        }
        let base = base(arguments);
        let notes = std::mem::take(&mut arguments.notes);
        for step in &mut self.steps[before..] {
            step.notes.splice(0..0, notes.iter().cloned());
            step.base = base;
            step.allow(&allow, self.options);
        }
    }

    /// A call without a command: its parameters say what it does.
    fn unnamed(&mut self, arguments: &mut Arguments<'_, '_, '_>, matches: Matches) {
        if arguments.has(Field::Edits) {
            return self.edits(arguments, matches);
        }
        if arguments.has(Field::Old) {
            return self.replace(arguments, matches, false);
        }
        if arguments.has(Field::InsertLine) || self.tool == "insertcontent" {
            return self.insert(arguments);
        }
        if arguments.has(Field::Patch) {
            return self.patch(arguments);
        }
        if arguments.has(Field::Content) {
            return self.write(arguments);
        }
        if arguments.has(Field::Sketch) {
            let key = arguments.key(Field::Sketch).unwrap_or_default();
            return arguments.fault(format!("{key:?} is a sketch of the new code that only a model can put in its place; send the old and the new text"));
        }
        let message = match arguments.has(Field::New) {
            true => "the text to replace is missing; send \"old_string\" beside it",
            false => {
                "there is not a known edit; send \"old_string\" and \"new_string\", \"edits\", or \"content\" for the whole file"
            }
        };
        let mut message = message.to_owned();
        if let Some(unknown) = arguments.unknown().next() {
            message.push_str(&format!("; found the unknown parameter {:?}", unknown.key));
        }
        arguments.fault(message);
    }

    fn command(&mut self, arguments: &mut Arguments<'_, '_, '_>) -> Option<Named> {
        let Taken::Set(member) = arguments.member(Field::Command) else {
            return None;
        };
        let command = arguments.text(Field::Command).ok()?;
        Some(match &*command {
            "create" => Named::Create,
            "insert" => Named::Insert,
            "append" => Named::Append,
            "undo_edit" => Named::Undo,
            "str_replace" | "strReplace" => Named::Replace,
            // The kind of a change, where the parameters say all of it.
            "edit" | "overwrite" | "write" | "rewrite" | "replace" | "update" | "modify"
                if plain(&member.key) != "command" =>
            {
                return None;
            }
            "write" | "literal" => return None,
            "regex" | "regexp" => {
                arguments.fault_at(member, REGEX);
                Named::Unknown
            }
            other => {
                let shown = excerpt(other.as_bytes(), 64);
                arguments.fault_at(member, format!("{shown:?} is not a command; the commands are create, str_replace, insert, undo_edit and view"));
                Named::Unknown
            }
        })
    }

    fn matches(&self, arguments: &mut Arguments<'_, '_, '_>, outer: Matches) -> Matches {
        let all = arguments.flag(Field::ReplaceAll).ok();
        let count = arguments.count(Field::Count).ok();
        match (all, count.and_then(|count| u64::try_from(count).ok())) {
            (Some(true), _) => Matches::All,
            (_, Some(count)) => Matches::Exactly(count),
            _ if self.options.all => Matches::All,
            _ => outer,
        }
    }

    /// The path of the call; a fault where there is none.
    fn path(&self, arguments: &mut Arguments<'_, '_, '_>) -> Option<RelPath> {
        if let Some(path) = &self.options.file {
            return Some(path.clone());
        }
        match arguments.text(Field::Path) {
            Taken::Set(path) => self.rel_path(&path, arguments, Field::Path),
            Taken::Faulty => None,
            Taken::Missing | Taken::Null => {
                arguments.without_path();
                None
            }
        }
    }

    fn rel_path(
        &self,
        path: &str,
        arguments: &mut Arguments<'_, '_, '_>,
        field: Field,
    ) -> Option<RelPath> {
        match RelPath::new(beneath_root(path.as_bytes(), self.options)) {
            Ok(path) => Some(path),
            Err(refusal) => {
                if let Taken::Set(member) = arguments.member(field) {
                    let fault = crate::batch::diagnostic::Fault::new(
                        refusal.code,
                        member.node.span,
                        refusal.message,
                    );
                    let path = arguments.path_of(&member.key);
                    arguments.input.record(fault, &path);
                }
                None
            }
        }
    }

    fn push(&mut self, path: RelPath, act: Act) {
        self.steps.push(Step {
            path: Some(path),
            act,
            allow: Vec::new(),
            notes: Vec::new(),
            base: None,
            span: self.call.arguments.span,
        });
    }

    fn on_file(
        &mut self,
        arguments: &mut Arguments<'_, '_, '_>,
        act: impl FnOnce(&mut Arguments<'_, '_, '_>) -> Option<Act>,
    ) {
        let path = self.path(arguments);
        let act = act(arguments);
        if let (Some(path), Some(act)) = (path, act) {
            self.push(path, act);
        }
    }

    fn create(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        self.on_file(arguments, |arguments| {
            let key = if arguments
                .key(Field::Command)
                .is_some_and(|key| plain(key) == "command")
            {
                "file_text"
            } else {
                "content"
            };
            required(arguments, Field::Content, key).map(|text| Act::Create(text.into_owned()))
        });
    }

    fn append(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        self.on_file(arguments, |arguments| {
            let text = match arguments.has(Field::New) {
                true => arguments.new_text("new_str"),
                false => required(arguments, Field::Content, "content"),
            };
            text.map(|text| Act::Append(text.into_owned()))
        });
    }

    /// One file, or a list of them.
    fn delete(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        let list = arguments.members.iter().find(|member| {
            let names = ["paths", "filepaths", "files"];
            names.contains(&&*plain(&member.key)) && member.node.list().is_some()
        });
        let Some(list) = list.filter(|_| self.options.file.is_none()) else {
            return self.on_file(arguments, |_| Some(Act::Delete));
        };
        for path in list.node.list().unwrap_or_default() {
            match path.text() {
                Some(path) => match RelPath::new(beneath_root(path.as_bytes(), self.options)) {
                    Ok(path) => self.push(path, Act::Delete),
                    Err(refusal) => arguments.fault_at(list, refusal.message),
                },
                None => {
                    let found = path.kind();
                    arguments.fault_at(
                        list,
                        format!("expected a list of paths, found {found} in it"),
                    );
                }
            }
        }
    }

    fn write(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        if is_limited(arguments) {
            return;
        }
        if arguments.has(Field::Range) {
            let key = arguments.key(Field::Range).unwrap_or_default();
            return arguments.fault(format!("{key:?} limits the new text to a part of the file, which is not supported; send the old and the new text, or the whole file without it"));
        }
        self.on_file(arguments, |arguments| {
            let mut text = required(arguments, Field::Content, "content")?;
            let has_flag = arguments.has(Field::FinalNewline);
            if has_flag
                && arguments.flag(Field::FinalNewline).ok() == Some(true)
                && !text.ends_with('\n')
            {
                text.to_mut().push('\n');
            }
            let verbatim = arguments.flag(Field::Verbatim).ok().unwrap_or_default();
            Some(Act::Write(text.into_owned(), whole::Form::of(verbatim)))
        });
    }

    fn insert(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        let is_before = self.tool == "insertcontent";
        let field = if is_before {
            Field::Range
        } else {
            Field::InsertLine
        };
        let path = self.path(arguments);
        let line = match arguments.count(field) {
            Taken::Set(line) => Some(line),
            Taken::Faulty => None,
            Taken::Missing | Taken::Null => {
                let name = if is_before { "line" } else { "insert_line" };
                arguments.fault(format!("parameter {name:?} is missing"));
                None
            }
        };
        let text = match arguments.has(Field::New) || !arguments.has(Field::Content) {
            true => arguments.new_text("new_str"),
            false => required(arguments, Field::Content, "content"),
        };
        let (Some(path), Some(line), Some(text)) = (path, line, text) else {
            return;
        };
        let Ok(line) = u64::try_from(line) else {
            let message = format!("insert_line {line} is negative");
            let fault = crate::batch::diagnostic::Fault::new(
                crate::error::Code::LineOutOfRange,
                arguments.span,
                message,
            );
            let path = arguments.path.clone();
            return arguments.input.record(fault, &path);
        };
        let mut text = text.into_owned();
        let act = match (is_before, line) {
            (false, line) => Act::Insert { line, text },
            (true, 0) => Act::Append(text),
            (true, line) => {
                if text.ends_with('\n') {
                    text.pop();
                }
                Act::Insert {
                    line: line - 1,
                    text,
                }
            }
        };
        self.push(path, act);
    }

    fn rename(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        let source = arguments.members.iter().find(|member| {
            matches!(
                &*plain(&member.key),
                "source" | "sourcepath" | "oldpath" | "from" | "frompath"
            )
        });
        let from = match source.and_then(|member| member.node.text()) {
            Some(from) => self.rel_path(from, arguments, Field::Path),
            None => self.path(arguments),
        };
        let to = match arguments.text(Field::To) {
            Taken::Set(to) => self.rel_path(&to, arguments, Field::To),
            Taken::Faulty => None,
            _ => {
                arguments.fault("parameter \"destination\" is missing");
                None
            }
        };
        if let (Some(from), Some(to)) = (from, to) {
            self.push(from, Act::Rename(to));
        }
    }

    /// Old text and new text. `is_command` is Anthropic's own command, which has no new text where
    /// it deletes.
    fn replace(
        &mut self,
        arguments: &mut Arguments<'_, '_, '_>,
        matches: Matches,
        is_command: bool,
    ) {
        let path = self.path(arguments);
        let replacement = replacement(arguments, is_command);
        if matches == Matches::All && arguments.has(Field::Range) {
            let key = arguments.key(Field::Range).unwrap_or_default();
            return arguments.fault(format!("{key:?} limits the places to replace, which is not supported; send more of the text around each"));
        }
        let (Some(path), Some((old, new))) = (path, replacement) else {
            return;
        };
        self.push(
            path,
            Act::Replace {
                may_create: old.is_empty(),
                old,
                new,
                matches,
            },
        );
    }

    /// A list of edits, each of which may name its own file.
    fn edits(&mut self, arguments: &mut Arguments<'_, '_, '_>, outer: Matches) {
        let Some(list) = arguments.objects(Field::Edits).ok() else {
            return;
        };
        if list.is_empty() {
            let key = arguments.key(Field::Edits).unwrap_or("edits");
            return arguments.fault(format!("{key:?} is empty"));
        }
        let own = self.options.file.is_some() || arguments.has(Field::Path);
        let shared = if own { self.path(arguments) } else { None };
        for (node, path) in &list {
            let mut inner = Arguments {
                input: &mut *arguments.input,
                members: node.members().unwrap_or_default(),
                span: node.span,
                path: path.clone(),
                notes: Vec::new(),
            };
            let before = self.steps.len();
            let allow = inner.allowances();
            self.edit(&mut inner, shared.as_ref(), own, outer);
            let notes = std::mem::take(&mut inner.notes);
            for step in &mut self.steps[before..] {
                step.notes.extend(notes.iter().cloned());
                step.allow(&allow, self.options);
            }
        }
    }

    fn edit(
        &mut self,
        inner: &mut Arguments<'_, '_, '_>,
        shared: Option<&RelPath>,
        own: bool,
        outer: Matches,
    ) {
        if inner.has(Field::LineTag) && !inner.has(Field::Old) {
            return inner.fault("the lines are named by another tool's tags, which cannot be checked; send the old and the new text");
        }
        let matches = self.matches(inner, outer);
        let path = match (inner.has(Field::Path), shared) {
            (true, Some(shared)) if self.options.file.is_none() => {
                let path = self.path(inner);
                if path.as_ref().is_some_and(|path| path != shared) {
                    return inner.fault(format!("the edit names another file than its call, which is for {shared}; send it separately"));
                }
                path
            }
            (_, Some(shared)) => Some(shared.clone()),
            // The call's own path is at fault already.
            (_, None) if own => None,
            (_, None) => self.path(inner),
        };
        if inner.has(Field::Patch) && !inner.has(Field::Old) {
            let Some(path) = path else { return };
            return self.patch_of(inner, Some(path));
        }
        if !inner.has(Field::Old) && inner.has(Field::Content) {
            let Some(text) = required(inner, Field::Content, "content") else {
                return;
            };
            if let Some(path) = path {
                self.push(path, Act::Write(text.into_owned(), whole::Form::OfFile));
            }
            return;
        }
        let Some((old, new)) = replacement(inner, false) else {
            return;
        };
        let spelt = inner.key(Field::Old).unwrap_or_default();
        if old.is_empty() && matches!(&*plain(spelt), "oldtext") {
            return inner.fault(format!(
                "{spelt:?} is empty, which matches everywhere; give the text to replace"
            ));
        }
        if let Some(path) = path {
            let may_create = old.is_empty();
            self.push(
                path,
                Act::Replace {
                    old,
                    new,
                    matches,
                    may_create,
                },
            );
        }
    }

    /// Text in another dialect, for the file of the call.
    fn patch(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        let path = match arguments.has(Field::Path) || self.options.file.is_some() {
            true => match self.path(arguments) {
                Some(path) => Some(path),
                None => return,
            },
            false => None,
        };
        self.patch_of(arguments, path);
    }

    fn patch_of(&mut self, arguments: &mut Arguments<'_, '_, '_>, path: Option<RelPath>) {
        let Taken::Set(text) = arguments.text(Field::Patch) else {
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
                let key = arguments.key(Field::Patch).unwrap_or_default();
                return arguments.fault(format!("{key:?} holds no patch that is known: expected search/replace blocks, a unified diff or an envelope"));
            }
        };
        let options = Options {
            dialect: Some(dialect),
            file: path,
            ..self.options.clone()
        };
        self.steps
            .push(Step::patch(dialect, text.into_owned(), options, self.call));
    }
}

/// A command of the text-editor tool.
enum Named {
    Create,
    Insert,
    Append,
    Undo,
    Replace,
    /// It is a fault already.
    Unknown,
}

/// Whether a whole file comes with a parameter that is not known and may limit it to a part of the
/// file, which is a fault.
pub(super) fn is_limited(arguments: &mut Arguments<'_, '_, '_>) -> bool {
    let limit = arguments.unknown().find(|member| {
        !matches!(member.node.value, Value::Null)
            && words_of(&member.key).any(|word| LIMITS.contains(&&*word))
    });
    if let Some(key) = arguments
        .key(Field::New)
        .filter(|_| arguments.has(Field::New))
    {
        let content = arguments.key(Field::Content).unwrap_or("content");
        arguments.fault(format!("{key:?} and {content:?} are both new text; send {key:?} with the old text, or {content:?} alone for the whole file"));
        return true;
    }
    let Some(limit) = limit else {
        return false;
    };
    let message = format!(
        "{:?} is no known parameter, and may limit the new text to a part of the file; send the old and the new text, or the whole file without it",
        limit.key
    );
    let path = arguments.path_of(&limit.key);
    arguments.input.fault(limit.key_span, &path, message);
    true
}

/// The words of a parameter's name, in lower case: `insertAfter_line` has three.
fn words_of(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() || matches!(c, '_' | '-' | ' ') {
            words.push(String::new());
        }
        if c.is_alphabetic() {
            words
                .last_mut()
                .expect("there is one")
                .extend(c.to_lowercase());
        }
    }
    words.into_iter()
}

pub(super) fn required<'n>(
    arguments: &mut Arguments<'n, '_, '_>,
    field: Field,
    name: &str,
) -> Option<Cow<'n, str>> {
    match arguments.text(field) {
        Taken::Set(text) => Some(text),
        Taken::Faulty => None,
        Taken::Null | Taken::Missing => {
            arguments.fault(format!("parameter {name:?} is missing"));
            None
        }
    }
}

fn replacement(
    arguments: &mut Arguments<'_, '_, '_>,
    is_command: bool,
) -> Option<(String, String)> {
    let spelt = arguments.key(Field::Old).unwrap_or("old_str");
    let old = match arguments.text(Field::Old) {
        Taken::Set(old) => Some(old.into_owned()),
        Taken::Faulty => None,
        Taken::Null | Taken::Missing => {
            arguments.fault(format!("parameter {spelt:?} is missing"));
            None
        }
    };
    if is_command && old.as_deref() == Some("") {
        arguments.fault(format!(
            "{spelt:?} is empty, which matches everywhere; give the text to replace"
        ));
        return None;
    }
    let is_plain = |member: &super::node::Member| {
        let known = [Field::Command, Field::Path, Field::Old, Field::Remark];
        super::fields::field(&member.key).is_some_and(|field| known.contains(&field))
    };
    let may_delete = is_command && arguments.members.iter().all(is_plain);
    let is_missing = matches!(arguments.member(Field::New), Taken::Missing);
    let new = match may_delete && is_missing {
        true => Some(Cow::Borrowed("")),
        false => {
            let name = spelt.replace("old", "new").replace("Old", "New");
            let name = if name == spelt { "new_string" } else { &*name };
            arguments.new_text(name)
        }
    };
    Some((old?, new?.into_owned()))
}
