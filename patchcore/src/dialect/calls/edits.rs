//! From the parameters of a call that edits to its steps.

use super::fields::{Arguments, Field, Taken, field, plain};
use super::find::Call;
use super::lines::Lines;
use super::node::Member;
use super::tools::{DELETES, MOVES, tool_end};
use super::write::{End, WHOLE};
use super::{Act, Step, rest};
use crate::dialect::exact::Matches;
use crate::dialect::{Options, beneath_root, whole};
use crate::digest::{Digest, InvalidDigest};
use crate::error::{Hint, excerpt};
use crate::path::RelPath;
use std::borrow::Cow;

const REGEX: &str =
    "the text to find is a regular expression, which is not supported; send the text itself";
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
            let why = preview(arguments);
            return arguments.fault(why);
        }
        // The expression itself, or whether there is one.
        let is_expression = |member: &Member| {
            let said = member.node.text().unwrap_or("true").trim();
            !matches!(
                &*said.to_ascii_lowercase(),
                "" | "true" | "false" | "yes" | "no" | "1" | "0"
            )
        };
        if arguments.find(Field::Regex).any(is_expression)
            || arguments.has(Field::Regex) && arguments.flag(Field::Regex).ok() != Some(false)
        {
            return arguments.fault(REGEX);
        }
        if arguments.has(Field::LineTag) && !arguments.has(Field::Old) {
            return arguments.fault("the lines are named by another tool's tags, which cannot be checked; send the old and the new text");
        }
        let before = self.steps.len();
        let faults = arguments.input.faults.len();
        let allow = arguments.allowances();
        let matches = self.matches(arguments, Matches::One);
        let used = self.act(arguments, matches);
        let base = base(arguments);
        if arguments.input.faults.len() == faults {
            let names: &[&str] = match used {
                MOVED => SOURCES,
                DELETED => PATHS,
                _ => &[],
            };
            let used: Vec<Field> = used.iter().copied().chain(ALWAYS).collect();
            rest::check(arguments, &used, names, self.options);
        }
        let notes = std::mem::take(&mut arguments.notes);
        for step in &mut self.steps[before..] {
            step.notes.splice(0..0, notes.iter().cloned());
            step.base = base;
            step.allow(&allow, self.options);
        }
    }

    /// Reads what the call does; gives the parameters that say so.
    fn act(&mut self, arguments: &mut Arguments<'_, '_, '_>, matches: Matches) -> &'static [Field] {
        let command = self.command(arguments);
        let other = arguments.of_other_kind();
        if let Some(member) = other.filter(|_| command.is_some())
            && field(&member.key) == Some(Field::Kind)
            && !command.as_ref().is_some_and(|command| command.is(member))
        {
            arguments.fault_at(
                member,
                unlike(&member.key, member.node.text().unwrap_or_default()),
            );
            return &[];
        }
        match command {
            Some(Named::Create) => {
                self.create(arguments);
                WHOLE
            }
            Some(Named::Insert) => self.insert(arguments),
            Some(Named::End(end)) => {
                self.extend(arguments, end);
                EXTENDED
            }
            Some(Named::Undo) => {
                self.on_file(arguments, |_| Some(Act::Undo));
                &[]
            }
            Some(Named::Replace) if arguments.has(Field::Patch) => {
                self.patch(arguments, Field::Patch);
                PATCHED
            }
            Some(Named::Replace) if arguments.has(Field::Edits) && !arguments.has(Field::Old) => {
                self.edits(arguments, matches);
                LISTED
            }
            Some(Named::Replace) => {
                self.replace(arguments, matches, true);
                REPLACED
            }
            Some(Named::Write) if arguments.has(Field::Content) && !self.has_part(arguments) => {
                self.write(arguments, true)
            }
            Some(Named::Unknown) => &[],
            None if DELETES.contains(&self.tool) => {
                self.delete(arguments);
                DELETED
            }
            None if MOVES.contains(&self.tool) => {
                self.rename(arguments);
                MOVED
            }
            None | Some(Named::Write) => self.unnamed(arguments, matches),
        }
    }

    /// Whether the parameters are those of an edit of a part of a file.
    fn has_part(&self, arguments: &Arguments<'_, '_, '_>) -> bool {
        [Field::Edits, Field::Old, Field::InsertLine, Field::Patch]
            .into_iter()
            .any(|field| arguments.has(field))
    }

    /// A call without a command: its parameters say what it does.
    fn unnamed(
        &mut self,
        arguments: &mut Arguments<'_, '_, '_>,
        matches: Matches,
    ) -> &'static [Field] {
        if let Some(end) = tool_end(self.tool).filter(|_| !self.has_part(arguments)) {
            self.extend(arguments, end);
            return EXTENDED;
        }
        if arguments.has(Field::Edits) {
            self.edits(arguments, matches);
            return LISTED;
        }
        if arguments.has(Field::Old) {
            self.replace(arguments, matches, false);
            return REPLACED;
        }
        if arguments.has(Field::InsertLine) || self.tool == "insertcontent" {
            return self.insert(arguments);
        }
        if arguments.has(Field::Patch) {
            self.patch(arguments, Field::Patch);
            return PATCHED;
        }
        // Blocks for the file, by a tool that writes no whole one.
        if arguments.has(Field::Content) && self.tool == "searchreplace" {
            self.patch(arguments, Field::Content);
            return &[Field::Content, Field::Range];
        }
        if arguments.has(Field::Content) {
            return self.write(arguments, false);
        }
        if arguments.has(Field::Sketch) {
            let key = arguments.key(Field::Sketch).unwrap_or_default();
            arguments.fault(format!("{key:?} is a sketch of the new code that only a model can put in its place; send the old and the new text"));
            return &[];
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
        &[]
    }

    fn command(&mut self, arguments: &mut Arguments<'_, '_, '_>) -> Option<Named> {
        let Taken::Set(member) = arguments.member(Field::Command) else {
            return self.kind(arguments);
        };
        let command = arguments.text(Field::Command).ok()?;
        Some(match &*command {
            "create" => Named::Create,
            "insert" => Named::Insert,
            "append" => Named::End(End::Bottom),
            "prepend" => Named::End(End::Top),
            "undo_edit" => Named::Undo,
            "str_replace" | "strReplace" => Named::Replace,
            // The kind of a change, where the parameters say all of it.
            "edit" | "replace" | "update" | "modify" if plain(&member.key) != "command" => {
                return None;
            }
            "overwrite" | "rewrite" if plain(&member.key) != "command" => Named::Write,
            "write" => Named::Write,
            // The modes that files are opened in.
            "w" | "wt" if plain(&member.key) == "mode" => Named::Write,
            "a" | "at" if plain(&member.key) == "mode" => Named::End(End::Bottom),
            "x" | "xt" if plain(&member.key) == "mode" => Named::Create,
            "literal" => return None,
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

    /// What a parameter says that often says something else, where it is an edit of another kind
    /// than the others would say.
    fn kind(&self, arguments: &mut Arguments<'_, '_, '_>) -> Option<Named> {
        let member = arguments
            .find(Field::Kind)
            .find(|member| member.node.text().is_some())?;
        let said = plain(member.node.text().unwrap_or_default());
        let has = |words: &[&str]| words.iter().any(|word| said.starts_with(word));
        if has(&["append", "addtoend"]) {
            return Some(Named::End(End::Bottom));
        }
        if has(&["prepend"]) {
            return Some(Named::End(End::Top));
        }
        if arguments.has(Field::Content) && !self.has_part(arguments) {
            if matches!(
                &*said,
                "create" | "createfile" | "newfile" | "new" | "add" | "addfile"
            ) {
                return Some(Named::Create);
            }
            if matches!(&*said, "write" | "overwrite" | "rewrite" | "writefile") {
                return Some(Named::Write);
            }
        }
        if !says_other(&said) || (said == "insert" && arguments.has(Field::InsertLine)) {
            return None;
        }
        let is_tool = (DELETES.contains(&self.tool) && has(&["delete", "remove"]))
            || (MOVES.contains(&self.tool) && has(&["move", "rename"]));
        if is_tool {
            return None;
        }
        arguments.fault_at(
            member,
            unlike(&member.key, member.node.text().unwrap_or_default()),
        );
        Some(Named::Unknown)
    }

    fn matches(&self, arguments: &mut Arguments<'_, '_, '_>, outer: Matches) -> Matches {
        let all = arguments.flag(Field::ReplaceAll).ok();
        let count = arguments.count(Field::Count).ok();
        match (all, count.and_then(|count| u64::try_from(count).ok())) {
            (_, Some(count)) => Matches::Exactly(count),
            (Some(true), _) => Matches::All,
            _ if self.options.all => Matches::All,
            (Some(false), _) => Matches::One,
            _ => outer,
        }
    }

    /// The path of the call; a fault where there is none.
    pub(super) fn path(&self, arguments: &mut Arguments<'_, '_, '_>) -> Option<RelPath> {
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
            lines: None,
            span: self.call.arguments.span,
        });
    }

    pub(super) fn on_file(
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

    /// One file, or a list of them.
    fn delete(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        let list = arguments
            .members
            .iter()
            .find(|member| PATHS.contains(&&*plain(&member.key)) && member.node.list().is_some());
        let Some(list) = list.filter(|_| self.options.file.is_none()) else {
            return self.on_file(arguments, |_| Some(Act::Delete));
        };
        if arguments.has(Field::Path) {
            let key = arguments.key(Field::Path).unwrap_or_default();
            return arguments.fault(format!(
                "{key:?} and {:?} both say what to delete; send one",
                list.key
            ));
        }
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

    fn insert(&mut self, arguments: &mut Arguments<'_, '_, '_>) -> &'static [Field] {
        self.insert_at(arguments);
        match self.tool == "insertcontent" {
            true => &[Field::Range, Field::New, Field::Content],
            false => &[Field::InsertLine, Field::New, Field::Content],
        }
    }

    fn insert_at(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
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
        let source = arguments
            .members
            .iter()
            .find(|member| SOURCES.contains(&&*plain(&member.key)));
        if source.is_some() && arguments.has(Field::Path) {
            let key = arguments.key(Field::Path).unwrap_or_default();
            return arguments.fault(format!(
                "{key:?} names a file beside the one that is moved; send one"
            ));
        }
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
        let lines = Lines::of(arguments);
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
        self.on_lines(lines);
    }

    /// Holds the last step to lines.
    fn on_lines(&mut self, lines: Option<Lines>) {
        if let Some(step) = self.steps.last_mut() {
            step.lines = lines;
        }
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
            let faults = inner.input.faults.len();
            let allow = inner.allowances();
            let used = self.edit(&mut inner, shared.as_ref(), own, outer);
            if inner.input.faults.len() == faults {
                let used: Vec<Field> = used.iter().copied().chain([Field::Allow]).collect();
                rest::check(&mut inner, &used, &[], self.options);
            }
            let notes = std::mem::take(&mut inner.notes);
            for step in &mut self.steps[before..] {
                step.notes.extend(notes.iter().cloned());
                step.allow(&allow, self.options);
            }
        }
    }

    /// The file of one edit of a call, itself `None` where it is at fault; `None` where the edit
    /// is.
    fn path_of_edit(
        &mut self,
        inner: &mut Arguments<'_, '_, '_>,
        shared: Option<&RelPath>,
        own: bool,
    ) -> Option<Option<RelPath>> {
        Some(match (inner.has(Field::Path), shared) {
            (true, Some(shared)) if self.options.file.is_none() => {
                let path = self.path(inner);
                if path.as_ref().is_some_and(|path| path != shared) {
                    inner.fault(format!("the edit names another file than its call, which is for {shared}; send it separately"));
                    return None;
                }
                path
            }
            (_, Some(shared)) => Some(shared.clone()),
            // The call's own path is at fault already.
            (_, None) if own => None,
            (_, None) => self.path(inner),
        })
    }

    fn edit(
        &mut self,
        inner: &mut Arguments<'_, '_, '_>,
        shared: Option<&RelPath>,
        own: bool,
        outer: Matches,
    ) -> &'static [Field] {
        if inner.has(Field::LineTag) && !inner.has(Field::Old) {
            inner.fault("the lines are named by another tool's tags, which cannot be checked; send the old and the new text");
            return &[];
        }
        if let Some(member) = inner.of_other_kind() {
            let said = member.node.text().unwrap_or_default();
            inner.fault_at(member, unlike(&member.key, said));
            return &[];
        }
        let matches = self.matches(inner, outer);
        let Some(path) = self.path_of_edit(inner, shared, own) else {
            return &[];
        };
        if inner.has(Field::Patch) && !inner.has(Field::Old) {
            if let Some(path) = path {
                self.patch_of(inner, Field::Patch, Some(path));
            }
            return PATCHED;
        }
        if !inner.has(Field::Old) && inner.has(Field::Content) {
            let key = inner.key(Field::Content).unwrap_or_default();
            if !inner.has(Field::Path) {
                inner.fault(format!("{key:?} is new text without the old; send \"old_string\" beside it, or the whole file in a call of its own"));
                return &[];
            }
            let text = required(inner, Field::Content, "content");
            if let (Some(text), Some(path)) = (text, path) {
                self.push(path, Act::Write(text.into_owned(), whole::Form::OfFile));
            }
            return &[Field::Content];
        }
        let lines = Lines::of(inner);
        let Some((old, new)) = replacement(inner, false) else {
            return &[];
        };
        let spelt = inner.key(Field::Old).unwrap_or_default();
        if old.is_empty() && matches!(&*plain(spelt), "oldtext") {
            let why = "is empty, which matches everywhere; give the text to replace";
            inner.fault(format!("{spelt:?} {why}"));
            return &[];
        }
        if let Some(path) = path {
            let act = Act::Replace {
                may_create: old.is_empty(),
                old,
                new,
                matches,
            };
            self.push(path, act);
            self.on_lines(lines);
        }
        REPLACED
    }
}

/// The parameters that each kind of edit is read from.
const REPLACED: &[Field] = &[
    Field::Old,
    Field::New,
    Field::ReplaceAll,
    Field::Count,
    Field::Range,
];
const LISTED: &[Field] = &[Field::Edits, Field::ReplaceAll, Field::Count];
const PATCHED: &[Field] = &[Field::Patch, Field::Range];
const EXTENDED: &[Field] = &[Field::Content, Field::New];
const DELETED: &[Field] = &[Field::Files];
const MOVED: &[Field] = &[Field::To];
/// Those that each call may have.
const ALWAYS: [Field; 2] = [Field::Base, Field::Allow];
/// Where a file is moved from.
const SOURCES: &[&str] = &["source", "sourcepath", "oldpath", "from", "frompath"];
/// The files to delete.
const PATHS: &[&str] = &["paths", "filepaths", "files"];

impl<'n> Arguments<'n, '_, '_> {
    /// The parameter that says another kind of edit than to replace text or to write a file; of
    /// several, what is told by its kind.
    pub(super) fn of_other_kind(&self) -> Option<&'n Member> {
        let says = |member: &&Member| {
            let said = member.node.text();
            said.is_some_and(|said| says_other(&plain(said)))
        };
        let mut fields = [Field::Kind, Field::Command].into_iter();
        fields.find_map(|field| self.find(field).find(says))
    }
}

/// Whether the kind of an edit is another than to replace text or to write a file.
fn says_other(said: &str) -> bool {
    let words = [
        "append",
        "prepend",
        "insert",
        "delete",
        "remove",
        "move",
        "rename",
        "copy",
        "undo",
        "replacelines",
        "replacerange",
        "replaceblock",
        "linerange",
        "regex",
        "add",
    ];
    words.iter().any(|word| said.starts_with(word))
}

pub(super) fn unlike(key: &str, said: &str) -> String {
    format!(
        "{key:?} is {:?}, and the other parameters are not those of such an edit; send \"old_string\" and \"new_string\", or leave it out",
        excerpt(said.as_bytes(), 40)
    )
}

impl Named {
    /// Whether the kind that a parameter says is this one.
    fn is(&self, member: &Member) -> bool {
        let said = plain(member.node.text().unwrap_or_default());
        let word = match self {
            Self::End(End::Bottom) => &["append", "addtoend"][..],
            Self::End(End::Top) => &["prepend"],
            Self::Insert => &["insert"],
            Self::Undo => &["undo"],
            Self::Create => &["add"],
            // It is a fault already.
            Self::Unknown => return true,
            Self::Replace | Self::Write => return false,
        };
        word.iter().any(|word| said.starts_with(word))
    }
}

/// What is said of a call that asks for no more than a preview.
pub(super) fn preview(arguments: &Arguments<'_, '_, '_>) -> String {
    let key = arguments.key(Field::DryRun).unwrap_or_default();
    format!(
        "{key:?} asks for a preview and not for the edit; leave it out, and preview with `patchctl check`"
    )
}

/// A command of the text-editor tool.
enum Named {
    Create,
    Insert,
    End(End),
    Undo,
    Replace,
    /// Writes the whole file, says the kind of the change.
    Write,
    /// It is a fault already.
    Unknown,
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
        let known = [
            Field::Command,
            Field::Path,
            Field::Old,
            Field::Remark,
            Field::Kind,
            Field::Directory,
        ];
        field(&member.key).is_some_and(|field| known.contains(&field))
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
