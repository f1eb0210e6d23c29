//! The parameters of edit tools, in every spelling in use.
//!
//! A parameter is known by its name in lower case without `_` and `-`, so that one row holds
//! `file_path`, `filePath` and `filepath`. Its value is taken in another JSON type where that has
//! one meaning, and the verdict says so.

use std::borrow::Cow;

use super::node::{self, Member, Node, Value};
use crate::batch::diagnostic::{Fault, MAX_FAULTS, Span};
use crate::batch::names;
use crate::dialect::Options;
use crate::error::{Code, Hint, excerpt};
use crate::operation::Allowance;

/// What a parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::dialect) enum Field {
    Path,
    Old,
    New,
    /// A whole file.
    Content,
    Edits,
    Files,
    Command,
    /// Text in a dialect of its own.
    Patch,
    ReplaceAll,
    Count,
    InsertLine,
    /// Where a file is moved to.
    To,
    DryRun,
    Verbatim,
    Executable,
    /// Whether the text to find is an expression.
    Regex,
    /// Lines or columns that the edit is limited to.
    Range,
    /// New code with gaps that a model is to fill.
    Sketch,
    /// A tag of a line that another tool has printed.
    LineTag,
    /// The hash of the file that the edit was made for.
    Base,
    /// Whether the text ends in a newline where it has none.
    FinalNewline,
    /// Whether the text goes behind what the file holds.
    Append,
    /// Whether a file that exists is written over.
    Overwrite,
    /// Whether only a file that does not exist is written.
    OnlyNew,
    /// What becomes of a file that exists.
    IfExists,
    Encoding,
    /// Whether the case of letters is ignored.
    IgnoreCase,
    /// The directory that the call is made in.
    Directory,
    /// The kind of edit, in a parameter that often says something else.
    Kind,
    /// What the sender lets pass on its own responsibility.
    Allow,
    /// Changes nothing about the edit.
    Remark,
}

use Field::*;

/// Names of each parameter, in lower case without `_` and `-`.
const TABLE: &[(Field, &[&str])] = &[
    (
        Path,
        &[
            "path",
            "filepath",
            "file",
            "filename",
            "targetfile",
            "absolutepath",
            "relativepath",
            "pathinproject",
            "targetpath",
            "relativeworkspacepath",
            "fileabsolutepath",
            "uri",
        ],
    ),
    (
        Old,
        &[
            "oldstr",
            "oldstring",
            "oldtext",
            "old",
            "oldcontent",
            "oldcode",
            "search",
            "searchtext",
            "searchstring",
            "targetcontent",
            "find",
            "original",
            "originaltext",
            "oldstr1",
            "before",
            "needle",
        ],
    ),
    (
        New,
        &[
            "newstr",
            "newstring",
            "newtext",
            "new",
            "newcontent",
            "newcode",
            "replace",
            "replacement",
            "replacetext",
            "replacementtext",
            "replacestring",
            "replacementcontent",
            "replacewith",
            "inserttext",
            "updated",
            "newstr1",
            "after",
            "repl",
        ],
    ),
    (
        Content,
        &[
            "content",
            "contents",
            "filetext",
            "text",
            "codecontent",
            "filecontent",
        ],
    ),
    (
        Edits,
        &[
            "edits",
            "edit",
            "replacements",
            "changes",
            "strreplaceentries",
            "replacementchunks",
            "diffs",
            "chunks",
            "replaceblocks",
            "operations",
        ],
    ),
    (Files, &["files"]),
    (Command, &["command", "cmd", "mode", "action"]),
    (Patch, &["diff", "patch", "patchtext", "udiff", "input"]),
    (
        ReplaceAll,
        &[
            "replaceall",
            "allowmultiple",
            "changeall",
            "replaceallmatches",
            "alloccurrences",
            "all",
            "global",
        ],
    ),
    (
        Count,
        &[
            "expectedreplacements",
            "expectedoccurrences",
            "expectedcount",
        ],
    ),
    (InsertLine, &["insertline", "insertlineentries"]),
    (
        To,
        &[
            "destination",
            "destinationpath",
            "newpath",
            "targetfilename",
            "dest",
            "newname",
            "moveto",
            "topath",
            "renamefilepath",
        ],
    ),
    (
        DryRun,
        &[
            "dryrun",
            "isdryrun",
            "preview",
            "previewonly",
            "checkonly",
            "validateonly",
            "simulate",
            "noop",
        ],
    ),
    (Verbatim, &["verbatim"]),
    (Executable, &["executable"]),
    (Regex, &["useregex", "isregex", "regex", "regexp"]),
    (
        Range,
        &[
            "start",
            "end",
            "startline",
            "endline",
            "line",
            "lines",
            "lineno",
            "linenumber",
            "viewrange",
            "offset",
            "limit",
            "range",
            "oldstrstartlinenumber",
            "oldstrendlinenumber",
            "oldstrstartlinenumber1",
            "oldstrendlinenumber1",
        ],
    ),
    (Sketch, &["codeedit", "code"]),
    (
        LineTag,
        &[
            "anchor",
            "pos",
            "startanchor",
            "endanchor",
            "setline",
            "replacelines",
            "insertafter",
            "insertbefore",
        ],
    ),
    (Base, &["base", "basehash", "filehash"]),
    (FinalNewline, &["addlastlinenewline"]),
    (Append, &["append"]),
    (
        Overwrite,
        &[
            "overwrite",
            "allowoverwrite",
            "overwriteexisting",
            "overwriteifexists",
            "replaceexisting",
            "canoverwrite",
            "shouldoverwrite",
            "forceoverwrite",
            "clobber",
            "force",
        ],
    ),
    (
        OnlyNew,
        &[
            "createonly",
            "onlycreate",
            "newonly",
            "onlynew",
            "createnew",
            "nooverwrite",
            "donotoverwrite",
            "dontoverwrite",
            "preventoverwrite",
            "noclobber",
            "exclusive",
            "failifexists",
            "errorifexists",
            "skipifexists",
            "ignoreifexists",
            "mustnotexist",
            "ifnotexists",
            "onlyifmissing",
            "onlyifabsent",
            "onlyifnotexists",
        ],
    ),
    (
        IfExists,
        &[
            "ifexists",
            "ifexist",
            "iffileexists",
            "onexists",
            "onexist",
            "onexisting",
            "whenexists",
            "onconflict",
            "conflict",
            "conflictpolicy",
            "conflictresolution",
            "existingfile",
            "overwritemode",
            "overwritepolicy",
        ],
    ),
    (Encoding, &["encoding", "charset", "fileencoding"]),
    (IgnoreCase, &["ignorecase", "caseinsensitive"]),
    (
        Directory,
        &["workdir", "cwd", "workingdir", "workingdirectory"],
    ),
    (
        Kind,
        &[
            "type",
            "kind",
            "op",
            "operation",
            "operationtype",
            "edittype",
            "editmode",
            "editkind",
            "changetype",
            "actiontype",
            "writemode",
            "insertmode",
        ],
    ),
    (Allow, &["allow"]),
    (
        Remark,
        &[
            "explanation",
            "instruction",
            "instructions",
            "description",
            "id",
            "name",
            "toolcallid",
            "tooluseid",
            "callid",
            "complexity",
            "rationale",
            "reason",
            "summary",
            "displaydescription",
            "emptyfile",
            "linecount",
            "createdirectories",
            "security",
            "securityrisk",
            "timeout",
            "language",
            "taskprogress",
            "status",
            "title",
            "requiresapproval",
            "version",
            "tool",
            "toolname",
            "concurrencysafe",
            "aiproposedcontent",
            "modifiedbyuser",
            "codemarkdownlanguage",
            "instructionreminder",
            "implsource",
            "targetlinterrorids",
            "artifactmetadata",
            "withescalatedpermissions",
            "sandboxpermissions",
            "additionalpermissions",
            "prefixrule",
            "justification",
            "createdirs",
            "createparents",
            "meta",
        ],
    ),
];

/// A name in the form of the tables, without blanks too.
pub(super) fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    kept.flat_map(char::to_lowercase).collect()
}

/// What a parameter of that name means.
pub(in crate::dialect) fn field(name: &str) -> Option<Field> {
    let plain = plain(name);
    let row = TABLE.iter().find(|(_, names)| names.contains(&&*plain));
    row.map(|(field, _)| *field)
}

/// The input, and what is wrong with it.
pub(super) struct Input<'a> {
    pub(super) text: &'a str,
    pub(super) strict: bool,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Input<'a> {
    /// The input, and what stands behind its readable part: that in front of a byte that is not
    /// UTF-8 tells the place of that byte.
    pub(super) fn of(bytes: &'a [u8], options: &Options) -> (Self, Option<&'static str>) {
        let (text, beyond) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let valid = &bytes[..error.valid_up_to()];
                (
                    std::str::from_utf8(valid).unwrap_or_default(),
                    Some("not UTF-8"),
                )
            }
        };
        let input = Self {
            text,
            strict: options.strict,
            faults: Vec::new(),
        };
        (input, beyond)
    }

    /// Nothing may stand behind the readable part.
    pub(super) fn end(&mut self, beyond: Option<&'static str>) {
        if let Some(beyond) = beyond
            && self.faults.is_empty()
        {
            self.fault(Span::at(self.text.len()), "", beyond);
        }
    }

    pub(super) fn fault(&mut self, span: Span, path: &str, message: impl Into<String>) {
        self.record(Fault::new(Code::InvalidBatch, span, message), path);
    }

    pub(super) fn hinted(&mut self, span: Span, path: &str, message: String, hint: Hint) {
        let mut fault = Fault::new(Code::InvalidBatch, span, message);
        fault.hint = Some(hint);
        self.record(fault, path);
    }

    pub(super) fn record(&mut self, mut fault: Fault, path: &str) {
        if self.faults.len() < MAX_FAULTS {
            let inner = std::mem::take(&mut fault.path);
            let dot = match inner.starts_with('[') || inner.is_empty() || path.is_empty() {
                true => "",
                false => ".",
            };
            fault.path = format!("{path}{dot}{inner}");
            self.faults.push(fault);
        }
    }
}

/// The parameters of one call, or of one edit in its list.
pub(super) struct Arguments<'n, 'i, 'a> {
    pub(super) input: &'i mut Input<'a>,
    pub(super) members: &'n [Member],
    pub(super) span: Span,
    pub(super) path: String,
    /// Values that were taken in another type than the tool asks for.
    pub(super) notes: Vec<String>,
}

/// A parameter that is not there, is null, or cannot be taken; the last is a fault already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken<T> {
    Missing,
    Null,
    Faulty,
    Set(T),
}

impl<T> Taken<T> {
    pub(super) fn ok(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            _ => None,
        }
    }

    fn map<U>(self, with: impl FnOnce(T) -> Taken<U>) -> Taken<U> {
        match self {
            Self::Missing => Taken::Missing,
            Self::Null => Taken::Null,
            Self::Faulty => Taken::Faulty,
            Self::Set(value) => with(value),
        }
    }
}

impl<'n> Arguments<'n, '_, '_> {
    /// Whether a parameter of that meaning is there and not null.
    pub(super) fn has(&self, field: Field) -> bool {
        self.find(field)
            .any(|member| !matches!(member.node.value, Value::Null))
    }

    pub(super) fn find(&self, wanted: Field) -> impl Iterator<Item = &'n Member> + use<'n> {
        let members: &'n [Member] = self.members;
        members
            .iter()
            .filter(move |member| field(&member.key) == Some(wanted))
    }

    /// The key that a parameter is spelt by.
    pub(super) fn key(&self, field: Field) -> Option<&'n str> {
        self.find(field).next().map(|member| &*member.key)
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        format!("{}{}", self.path, node::step(key, self.path.is_empty()))
    }

    pub(super) fn fault_at(&mut self, member: &Member, message: impl Into<String>) {
        let path = self.path_of(&member.key);
        self.input.fault(member.node.span, &path, message);
    }

    /// The path is missing; the operator may say it.
    pub(super) fn without_path(&mut self) {
        let path = self.path.clone();
        let message = "parameter \"path\" is missing".to_owned();
        self.input.hinted(self.span, &path, message, Hint::File);
    }

    pub(super) fn fault(&mut self, message: impl Into<String>) {
        let path = self.path.clone();
        self.input.fault(self.span, &path, message);
    }

    /// The one parameter of that meaning; two that differ are a fault.
    pub(super) fn member(&mut self, field: Field) -> Taken<&'n Member> {
        let mut all = self.find(field);
        let Some(first) = all.next() else {
            return Taken::Missing;
        };
        let same = |other: &&Member| matches!((&first.node.value, &other.node.value), (Value::Text(a), Value::Text(b)) if a == b);
        if let Some(other) = all.find(|other| !same(other)) {
            let message = format!(
                "{:?} and {:?} say the same thing twice; send one",
                first.key, other.key
            );
            self.fault_at(other, message);
            return Taken::Faulty;
        }
        match first.node.value {
            Value::Null => Taken::Null,
            _ => Taken::Set(first),
        }
    }

    fn noted(&mut self, member: &Member, wanted: &str) -> bool {
        let found = member.node.kind();
        if self.input.strict {
            self.fault_at(member, format!("expected {wanted}, found {found}"));
            return false;
        }
        self.notes.push(format!(
            "{:?} was sent as {found} and read as {wanted}",
            member.key
        ));
        true
    }

    fn wrong<T>(&mut self, member: &Member, wanted: &str) -> Taken<T> {
        let found = member.node.kind();
        self.fault_at(member, format!("expected {wanted}, found {found}"));
        Taken::Faulty
    }

    /// A text; a number, true or false is taken as it is written.
    pub(super) fn text(&mut self, field: Field) -> Taken<Cow<'n, str>> {
        self.member(field).map(|member| match &member.node.value {
            Value::Text(text) => Taken::Set(Cow::Borrowed(&**text)),
            Value::Number(number) if self.noted(member, "a string") => {
                Taken::Set(Cow::Borrowed(&**number))
            }
            Value::Bool(value) if self.noted(member, "a string") => {
                Taken::Set(value.to_string().into())
            }
            Value::Number(_) | Value::Bool(_) => Taken::Faulty,
            _ => self.wrong(member, "a string"),
        })
    }

    /// True or false, also as text or as 1 and 0.
    pub(super) fn flag(&mut self, field: Field) -> Taken<bool> {
        const WANTED: &str = "true or false";
        self.member(field).map(|member| {
            let said = match &member.node.value {
                Value::Bool(value) => return Taken::Set(*value),
                Value::Text(text) | Value::Number(text) => text.trim().to_ascii_lowercase(),
                _ => return self.wrong(member, WANTED),
            };
            let value = match &*said {
                "true" | "1" | "yes" => true,
                "false" | "0" | "no" | "" => false,
                _ => return self.wrong(member, WANTED),
            };
            match self.noted(member, WANTED) {
                true => Taken::Set(value),
                false => Taken::Faulty,
            }
        })
    }

    /// What the sender lets pass: a list of names, also as the text of one, or one name.
    pub(super) fn allowances(&mut self) -> Vec<Allowance> {
        const WANTED: &str = "a list";
        let Taken::Set(member) = self.member(Field::Allow) else {
            return Vec::new();
        };
        let path = self.path_of(&member.key);
        let unfolded = match member.node.text() {
            Some(text) if text.trim_start().starts_with('[') => {
                self.unfold(&member.node, &path, &member.key)
            }
            Some(_) if !self.noted(member, WANTED) => None,
            _ => Some(member.node.clone()),
        };
        let Some(node) = unfolded else {
            return Vec::new();
        };
        let names = match node.value {
            Value::List(list) => list,
            Value::Text(_) => vec![node],
            _ => {
                let _: Taken<()> = self.wrong(member, WANTED);
                return Vec::new();
            }
        };
        let known = Allowance::NAMES.map(|(name, _)| name).join("\", \"");
        let mut allow = Vec::new();
        for name in &names {
            let said = name.text().unwrap_or_default();
            match Allowance::NAMES.iter().find(|(known, _)| *known == said) {
                Some((_, one)) if !allow.contains(one) => allow.push(*one),
                Some(_) => {}
                None => {
                    let found = name.text().map_or_else(
                        || name.kind().to_owned(),
                        |text| format!("{:?}", excerpt(text.as_bytes(), 40)),
                    );
                    let message = format!("expected one of \"{known}\", found {found}");
                    self.input.fault(name.span, &path, message);
                }
            }
        }
        allow
    }

    /// A whole number, also as text or with a fraction of nothing.
    pub(super) fn count(&mut self, field: Field) -> Taken<i64> {
        const WANTED: &str = "a whole number";
        self.member(field).map(|member| {
            let said = match &member.node.value {
                Value::Number(number) => {
                    if let Ok(value) = number.parse() {
                        return Taken::Set(value);
                    }
                    number.as_str()
                }
                Value::Text(text) => text.trim(),
                _ => return self.wrong(member, WANTED),
            };
            let whole = said.strip_suffix(".0").unwrap_or(said);
            match whole.parse() {
                Ok(value) if self.noted(member, WANTED) => Taken::Set(value),
                Ok(_) => Taken::Faulty,
                Err(_) => self.wrong(member, WANTED),
            }
        })
    }

    /// A list of objects, each with its path; also the text of one, or one object without a list.
    pub(super) fn objects(&mut self, field: Field) -> Taken<Vec<(Node, String)>> {
        const WANTED: &str = "a list";
        self.member(field).map(|member| {
            let path = self.path_of(&member.key);
            let Some(node) = self.unfold(&member.node, &path, &member.key) else {
                return Taken::Faulty;
            };
            let span = node.span;
            let list = match node.value {
                Value::List(list) => list,
                map @ Value::Map(_) => {
                    if !self.noted(member, WANTED) {
                        return Taken::Faulty;
                    }
                    return Taken::Set(vec![(Node { span, value: map }, path)]);
                }
                _ => return self.wrong(member, WANTED),
            };
            let mut objects = Vec::new();
            for (index, element) in list.into_iter().enumerate() {
                let path = format!("{path}[{index}]");
                let Some(element) = self.unfold(&element, &path, &member.key) else {
                    return Taken::Faulty;
                };
                if element.members().is_none() {
                    let message = format!("expected an object, found {}", element.kind());
                    self.input.fault(element.span, &path, message);
                    return Taken::Faulty;
                }
                objects.push((element, path));
            }
            Taken::Set(objects)
        })
    }

    /// A value, or the one in the text of a string; `None` after a fault.
    fn unfold(&mut self, node: &Node, path: &str, key: &str) -> Option<Node> {
        let Some(text) = node.text() else {
            return Some(node.clone());
        };
        if !text.trim_start().starts_with(['[', '{']) || self.input.strict {
            let message = format!(
                "expected a list of objects, found the string {:?}; send the old and the new text of each edit",
                excerpt(text.as_bytes(), 40)
            );
            self.input.fault(node.span, path, message);
            return None;
        }
        match node::read_inside(node, self.input.text) {
            Ok(inner) => {
                let note = format!("{key:?} was sent as a string and read as the JSON in it");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                Some(inner)
            }
            Err(fault) => {
                self.input.record(fault, path);
                None
            }
        }
    }

    /// The parameters whose names are not known.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &'n Member> + use<'n> {
        let members: &'n [Member] = self.members;
        members.iter().filter(|member| field(&member.key).is_none())
    }

    /// The new text, which is never guessed: without it the edit would delete the old.
    pub(super) fn new_text(&mut self, name: &str) -> Option<Cow<'n, str>> {
        let what = match self.text(New) {
            Taken::Set(text) => return Some(text),
            Taken::Faulty => return None,
            Taken::Null => {
                format!("parameter {name:?} is null; it has to be a text, which is empty to delete")
            }
            Taken::Missing => format!("parameter {name:?} is missing"),
        };
        let is_null = what.contains("null");
        let is_near = |member: &&Member| {
            names::nearest(&member.key, &["new_str", "new_string", "newText"]).is_some()
                || member.key.to_lowercase().starts_with("new")
        };
        let mut unknown: Vec<&Member> = self.unknown().collect();
        unknown.sort_by(|a, b| a.key.cmp(&b.key));
        let near = unknown.iter().copied().find(is_near);
        let (span, message) = match near.or(unknown.first().copied()) {
            _ if is_null => (self.span, what),
            Some(member) => (
                member.key_span,
                format!(
                    "{what}; found the unknown parameter {:?}, expected {name:?}",
                    member.key
                ),
            ),
            None => (
                self.span,
                format!("{what}; send it, empty to delete the text"),
            ),
        };
        let mut fault = Fault::new(Code::InvalidBatch, span, message);
        fault.near = Some(name.to_owned());
        let path = self.path.clone();
        self.input.record(fault, &path);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_of_the_table_means_one_thing() {
        let mut seen = HashSet::new();
        for (field, names) in TABLE {
            for name in *names {
                assert!(seen.insert(*name), "{name}");
                assert_eq!(plain(name), *name);
                assert_eq!(super::field(name), Some(*field));
            }
        }
    }

    #[test]
    fn a_name_is_known_in_any_spelling() {
        for name in ["file_path", "filePath", "FilePath", "file-path", "filepath"] {
            assert_eq!(field(name), Some(Field::Path), "{name}");
        }
        assert_eq!(field("new_stirng"), None);
    }
}
