//! What a call holds beside the edit that was read from it.
//!
//! A parameter that nothing was read from may hold another edit, or limit this one. To leave it out
//! in silence would edit the wrong place, or drop an edit, so it is refused by its name. What only
//! explains the call passes: a parameter is judged by its meaning where that is known, and by the
//! words of its name and the kind of its value where it is not.

use super::fields::{Arguments, Field, field, plain};
use super::find;
use super::node::{Member, Node, Value};
use crate::dialect::{Options, codex};
use crate::error::excerpt;

/// Words in the name of a parameter that may limit an edit, or say where else it belongs.
const LIMITS: &[&str] = &[
    "line",
    "lines",
    "start",
    "end",
    "eol",
    "newline",
    "after",
    "before",
    "position",
    "pos",
    "index",
    "row",
    "column",
    "col",
    "offset",
    "anchor",
    "section",
    "symbol",
    "insert",
    "where",
    "range",
    "occurrence",
    "occurrences",
    "instance",
    "instances",
    "match",
    "matches",
    "nth",
    "within",
    "inside",
    "between",
    "limit",
    "scope",
    "only",
    "once",
    "first",
    "last",
    "region",
    "function",
    "method",
    "class",
    "cell",
    "selector",
    "selection",
    "cursor",
    "context",
    "target",
    "until",
    "unless",
    "when",
    "if",
    "which",
    "contains",
    "guard",
    "require",
    "assert",
    "precondition",
    "node",
    "ast",
    "xpath",
    "query",
    "pattern",
    "flags",
    "undo",
    "condition",
    "conditional",
    "exist",
    "exists",
    "existing",
    "missing",
    "must",
    "skip",
    "part",
    "parts",
    "partial",
    "partially",
    "chunk",
    "chunks",
    "fragment",
    "piece",
    "merge",
    "delta",
    "incremental",
    "continuation",
    "continued",
    "case",
    "whole",
    "boundary",
    "boundaries",
    "hash",
    "sha",
    "checksum",
    "digest",
    "etag",
    "revision",
    "mtime",
    "permission",
    "permissions",
    "perms",
    "chmod",
    "indent",
    "indentation",
    "dedent",
    "trim",
    "strip",
    "escaped",
    "unescape",
    "append",
    "prepend",
    "delete",
    "remove",
    "rename",
    "move",
    "copy",
    "regex",
    "regexp",
    "base64",
    "binary",
];
/// Words of names that say that an edit belongs to another place than this tree.
const ELSEWHERE: &[&str] = &[
    "owner",
    "repo",
    "repository",
    "branch",
    "remote",
    "host",
    "bucket",
    "container",
];
/// Names that limit an edit, and are too short to be looked for as words in others.
const LIMIT_NAMES: &[&str] = &["at", "in", "on", "to", "from", "if", "nr", "no", "n", "sub"];
/// Parts of names that are written as one word.
const LIMIT_PARTS: &[&str] = &[
    "occurrence",
    "offset",
    "position",
    "anchor",
    "lineno",
    "linenum",
    "startline",
    "endline",
    "fromline",
    "toline",
    "atline",
    "firstline",
    "lastline",
    "afterline",
    "beforeline",
    "insertat",
    "insertafter",
    "insertbefore",
];
/// Words in the name of a parameter that may hold an edit.
const EDITS: &[&str] = &[
    "content",
    "contents",
    "text",
    "texts",
    "code",
    "str",
    "string",
    "strings",
    "patch",
    "patches",
    "diff",
    "diffs",
    "edit",
    "edits",
    "replace",
    "replacement",
    "replacements",
    "change",
    "changes",
    "new",
    "old",
    "original",
    "updated",
    "modified",
    "body",
    "source",
    "search",
    "find",
    "add",
    "added",
    "removed",
    "deleted",
    "hunk",
    "hunks",
    "block",
    "blocks",
    "snippet",
    "snippets",
    "operations",
    "value",
    "values",
    "data",
    "payload",
    "file",
    "files",
    "filename",
    "path",
    "paths",
    "output",
    "out",
    "dest",
    "destination",
    "save",
];
/// Words of names that say how often something is replaced.
const COUNTED: &[&str] = &["replacement", "replacements", "edits", "changes", "hunks"];
/// Words anywhere in a name that only explains.
const EXPLAINS: &[&str] = &[
    "reason",
    "description",
    "summary",
    "explanation",
    "rationale",
    "why",
    "purpose",
    "thought",
    "thinking",
    "goal",
    "intent",
    "plan",
];
/// Names of objects with flags of a tool in them.
const OPTIONS: &[&str] = &[
    "options",
    "opts",
    "config",
    "settings",
    "constraints",
    "params",
];
/// Last words of names that say something about an edit and hold none.
const ABOUT: &[&str] = &[
    "type",
    "kind",
    "id",
    "ids",
    "name",
    "language",
    "lang",
    "format",
    "length",
    "size",
    "count",
    "summary",
    "description",
    "reason",
    "title",
    "label",
    "explanation",
    "purpose",
    "instruction",
    "instructions",
    "rationale",
    "message",
    "comment",
    "note",
    "notes",
    "status",
    "author",
    "risk",
    "time",
    "date",
];
/// Flags whose names hold such words, and the value at which they change nothing.
const FLAGS: &[(&str, bool)] = &[
    ("casesensitive", true),
    ("matchcase", true),
    ("createifmissing", true),
    ("createifnotexists", true),
    ("createifnotexist", true),
    ("createmissingdirs", true),
    ("createmissingdirectories", true),
    ("createparentsifmissing", true),
    ("create", true),
    ("apply", true),
    ("trimdiff", true),
    ("mustmatch", true),
    ("mustbeunique", true),
    ("matchonce", true),
    ("unique", true),
    ("enabled", true),
    ("disabled", false),
];
/// Words of names that say a directory, or another place than this root.
const PLACES: &[&str] = &[
    "dir",
    "directory",
    "folder",
    "root",
    "workspace",
    "project",
    "repo",
    "repository",
    "cwd",
];

/// Refuses what is left of a call, once `used` were read from it and the members of these `names`.
pub(super) fn check(
    arguments: &mut Arguments<'_, '_, '_>,
    used: &[Field],
    names: &[&str],
    options: &Options,
) {
    let main = used.iter().find_map(|field| {
        let mut set = arguments.find(*field);
        set.find(|member| !is_empty(&member.node))
    });
    let main = main.map_or("the edit", |member| &*member.key).to_owned();
    let has_command = arguments.has(Field::Command);
    for member in arguments.members {
        let name = plain(&member.key);
        if matches!(member.node.value, Value::Null) || names.contains(&&*name) {
            continue;
        }
        let why = match field(&member.key) {
            Some(known) if used.contains(&known) => None,
            Some(known) => beside(known, member, &main, has_command, options),
            None => unknown(&name, member, &main, options),
        };
        if let Some(why) = why {
            let path = arguments.path_of(&member.key);
            arguments.input.fault(member.key_span, &path, why);
        }
    }
}

/// Why a parameter that is known, and was not read, cannot be left out.
fn beside(
    known: Field,
    member: &Member,
    main: &str,
    has_command: bool,
    options: &Options,
) -> Option<String> {
    let key = &member.key;
    let said = || shown(&member.node);
    match known {
        Field::Remark | Field::Command | Field::Kind => {
            let is_text = member.node.text().is_some();
            (!is_text && holds_edit(&member.node)).then(|| another(key, main))
        }
        Field::Path | Field::DryRun | Field::Regex => None,
        Field::Encoding => (!is_utf8(&member.node)).then(|| {
            format!("{key:?} is {}, and text is read as UTF-8 only; send the text itself, without it, or a batch with \"content_base64\"", said())
        }),
        Field::IgnoreCase => is_true(&member.node).then(|| {
            format!("{key:?} finds more than the text that was sent, which is not supported; send the text as the file has it, without it")
        }),
        Field::Directory => is_below(&member.node, options).then(|| elsewhere(key, &member.node)),
        Field::Overwrite => None,
        Field::OnlyNew | Field::ReplaceAll | Field::Append | Field::Executable | Field::Verbatim | Field::FinalNewline
            if !is_true(&member.node) => None,
        Field::OnlyNew | Field::IfExists => Some(format!(
            "{key:?} speaks of a whole file, and {main:?} changes a part of it; leave it out"
        )),
        // Models fill in what a command does not use.
        Field::Old | Field::New if has_command && is_empty(&member.node) => None,
        Field::New if field(main) == Some(Field::Content) => Some(format!(
            "{key:?} and {main:?} are both new text; send {key:?} with the old text, or {main:?} alone for the whole file"
        )),
        Field::Old
        | Field::New => Some(another(key, main)),
        Field::Content
        | Field::Edits
        | Field::Files
        | Field::Patch
        | Field::Sketch
        | Field::To
        | Field::Append => (!is_empty(&member.node)).then(|| another(key, main)),
        Field::Range if is_whole(&member.key, &member.node) => None,
        Field::Range if field(main) == Some(Field::Content) => Some(format!(
            "{key:?} limits the new text to a part of the file, which is not supported; send the old and the new text, or the whole file without it"
        )),
        _ => (!is_empty(&member.node)).then(|| limit(key, main)),
    }
}

/// Why a parameter whose name is not known cannot be left out.
fn unknown(name: &str, member: &Member, main: &str, options: &Options) -> Option<String> {
    let (key, node) = (&member.key, &member.node);
    if let Some((_, idle)) = FLAGS.iter().find(|(known, _)| *known == name)
        && let Some(value) = flag(node)
    {
        return (value != *idle).then(|| limit(key, main));
    }
    let words = words_of(key);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&&**word));
    let last = words.last().map_or("", String::as_str);
    if has(PLACES)
        && let Some(text) = node.text()
        && (text.contains('/')
            || last == "path"
            || (PLACES.contains(&last) && !ELSEWHERE.contains(&last)))
        && !matches!(last, "name" | "id")
    {
        let is_here = text.is_empty() || is_here(text, options);
        return (!is_here).then(|| elsewhere(key, node));
    }
    if is_empty(node) || flag(node) == Some(false) {
        return None;
    }
    if has(ELSEWHERE) && !matches!(node.value, Value::Bool(_)) {
        return Some(format!(
            "{key:?} is {}, so that the call is not for this tree; send the edit without it",
            shown(node)
        ));
    }
    let is_about =
        (ABOUT.contains(&last) || has(EXPLAINS)) && !node.text().is_some_and(find::may_hold_patch);
    if has(EDITS) && !is_about && !matches!(node.value, Value::Bool(_) | Value::Number(_)) {
        return Some(another(key, main));
    }
    if holds_edit(node) {
        return Some(another(key, main));
    }
    if OPTIONS.contains(&name)
        && let Some(inner) = node.members()
        && inner.iter().any(is_option)
    {
        return Some(limit(key, main));
    }
    let limits = has(LIMITS)
        || (has(COUNTED) && matches!(node.value, Value::Number(_)))
        || LIMIT_NAMES.contains(&name)
        || LIMIT_PARTS.iter().any(|part| name.contains(part));
    if limits && !(is_about && matches!(node.value, Value::Text(_))) {
        return Some(match field(main) {
            Some(Field::Content) => format!(
                "{key:?} is no known parameter, and may limit the new text to a part of the file; send the old and the new text, or the whole file without it"
            ),
            _ => format!(
                "{key:?} is no known parameter, and may limit {main:?}; leave it out, and send more of the text around the place where that is not unique"
            ),
        });
    }
    None
}

/// Whether a parameter among the options of a tool may change what it does.
fn is_option(member: &Member) -> bool {
    let known = field(&member.key);
    let is_word = |word: &String| LIMITS.contains(&&**word);
    let says = known.is_some_and(|field| field != Field::Remark)
        || words_of(&member.key).iter().any(is_word);
    says && !is_empty(&member.node) && flag(&member.node) != Some(false)
}

fn another(key: &str, main: &str) -> String {
    format!("{key:?} may be another edit beside {main:?}; send each in a call of its own")
}

fn limit(key: &str, main: &str) -> String {
    format!(
        "{key:?} may limit {main:?}, which is not supported; leave it out, or send the edit in another form"
    )
}

fn elsewhere(key: &str, node: &Node) -> String {
    format!(
        "{key:?} names the directory {}; send paths from the root, without it",
        shown(node)
    )
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => format!("{:?}", excerpt(text.as_bytes(), 40)),
        Value::Number(number) => number.clone(),
        Value::Bool(value) => value.to_string(),
        _ => node.kind().to_owned(),
    }
}

/// Whether a value says nothing: null, or nothing in it.
pub(super) fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// True or false, also as text.
fn flag(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match &*text.trim().to_ascii_lowercase() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_true(node: &Node) -> bool {
    match &node.value {
        Value::Number(number) => number != "0",
        Value::Text(text) if text.is_empty() || text == "0" => false,
        _ => flag(node) != Some(false),
    }
}

fn is_utf8(node: &Node) -> bool {
    let name = node.text().map(plain).unwrap_or_default();
    matches!(
        &*name,
        "" | "utf8"
            | "ascii"
            | "usascii"
            | "text"
            | "plain"
            | "auto"
            | "default"
            | "none"
            | "string"
    ) && matches!(node.value, Value::Text(_))
}

/// Whether lines or a range say that all of the file is meant, as some tools fill them in.
fn is_whole(key: &str, node: &Node) -> bool {
    let number: Option<i64> = match &node.value {
        Value::Number(text) | Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match &*plain(key) {
        "start" | "startline" => number.is_some_and(|number| (0..=1).contains(&number)),
        "end" | "endline" => number == Some(-1),
        "offset" => number == Some(0),
        _ => is_empty(node),
    }
}

/// Whether a directory is one below the root.
fn is_below(node: &Node, options: &Options) -> bool {
    match node.text() {
        Some(text) => !text.starts_with('/') && !text.is_empty() && !is_here(text, options),
        None => true,
    }
}

fn is_here(directory: &str, options: &Options) -> bool {
    matches!(directory, "." | "./") || codex::is_root(directory.as_bytes(), options)
}

/// Whether an object, or one in a list, has parameters of an edit, or a text holds a patch.
fn holds_edit(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => find::may_hold_patch(text),
        Value::List(list) => list.iter().any(holds_edit),
        Value::Map(members) => members.iter().any(|member| {
            let is_part = matches!(
                field(&member.key),
                Some(
                    Field::Old
                        | Field::New
                        | Field::Content
                        | Field::Edits
                        | Field::Patch
                        | Field::Sketch
                        | Field::InsertLine
                        | Field::Range
                        | Field::LineTag
                )
            );
            is_part || holds_edit(&member.node)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The words of a parameter's name, in lower case: `insertAfter_line` has three.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if (c.is_uppercase() && was_lower) || !c.is_alphanumeric() {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if c.is_alphabetic()
            || (c.is_ascii_digit()
                && words
                    .last()
                    .is_some_and(|word| word == "base" || word == "base6"))
        {
            let word = words.last_mut().expect("there is one");
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
