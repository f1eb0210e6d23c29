//! Calls written as tags, with the parameters inside: Cline's and Roo's, `<invoke>`, `<function=…>`
//! and `<tool_call>NAME<arg_key>…`, whose names may have a prefix (`minimax:`, `｜DSML｜`); Zed's
//! `<edits>`, and the tags of [`artifact`].

use super::artifact::{self, Artifact};
use super::node::{self, Member, Node, Value};
use crate::batch::diagnostic::{Fault, Span};
use crate::error::{Code, excerpt};

/// Tags that are the name of an edit tool.
const TOOLS: [&str; 9] = [
    "apply_diff",
    "replace_in_file",
    "write_to_file",
    "insert_content",
    "search_and_replace",
    "search_replace",
    "edit_file",
    "new_file",
    "apply_patch",
];
/// Tags around a call that say nothing about it.
const WRAPPERS: [&str; 8] = [
    "tool_call",
    "tool_calls",
    "function_call",
    "function_calls",
    "tool_use",
    "longcat_tool_call",
    "TOOLCALL",
    "tools",
];

/// A call written as tags.
pub(super) struct Element {
    pub(super) name: String,
    pub(super) arguments: Node,
}

/// Whether a line of an input is the opening tag of a call.
pub(in crate::dialect) fn is_opening_tag(line: &[u8]) -> bool {
    line.starts_with(b"<") && std::str::from_utf8(line).is_ok_and(opens)
}

/// Whether a text starts with a tag of a call, or around one.
pub(super) fn opens(text: &str) -> bool {
    wrapper(text).is_some() || opening(text).is_some()
}

/// The length of a tag around a call at the start of a text.
pub(super) fn wrapper(text: &str) -> Option<usize> {
    if let Some(length) = artifact::wrapper(text) {
        return Some(length);
    }
    let tag = text.strip_prefix("</").or(text.strip_prefix('<'))?;
    let name = &tag[prefix(tag).len()..];
    WRAPPERS.iter().find_map(|wrapper| {
        let behind = name.strip_prefix(wrapper)?.strip_prefix('>')?;
        Some(text.len() - behind.len())
    })
}

/// What the template of a model puts before the names of its tags: `minimax:`, `｜DSML｜`.
fn prefix(tag: &str) -> &str {
    const BAR: char = '\u{ff5c}';
    const MOST: usize = 32;
    let most = tag.char_indices().nth(MOST);
    let tag = &tag[..most.map_or(tag.len(), |(at, _)| at)];
    let end = match tag.strip_prefix(BAR) {
        Some(rest) => rest.find(BAR).map(|end| end + 2 * BAR.len_utf8()),
        None => tag.find(':').map(|end| end + 1),
    };
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | BAR);
    let prefix = &tag[..end.unwrap_or_default()];
    match prefix.chars().all(is_part) {
        true => prefix,
        false => "",
    }
}

/// The call at the start of a text, which stands at an offset of the input, and its length.
pub(super) fn read(text: &str, at: usize) -> Option<(Result<Element, Fault>, usize)> {
    let (open, length) = opening(text)?;
    let name = match &open {
        Open::Tool(name) => name,
        Open::Named { name, .. } | Open::Pairs(name) => name,
        Open::Edits => "edit_file",
        Open::Artifact(artifact) => artifact.tool,
    };
    let close = open.close();
    let Some(end) = text[length..].find(&close).map(|end| length + end) else {
        let span = Span {
            start: at,
            end: at + length,
        };
        let message = format!("the call of {name} has no {close}; it was cut off");
        // Whatever follows is in it.
        return Some((
            Err(Fault::new(Code::InvalidBatch, span, message)),
            text.len(),
        ));
    };
    let body = &text[length..end];
    let span = Span {
        start: at,
        end: at + end + close.len(),
    };
    let inside = at + length;
    let arguments = match &open {
        Open::Tool(_) => elements(body, inside).map(Value::Map),
        Open::Named { .. } if body.trim_ascii_start().starts_with('{') => object(body, inside),
        Open::Named { prefix, .. } => parameters(body, prefix, inside).map(Value::Map),
        Open::Pairs(_) => pairs(body, inside).map(Value::Map),
        Open::Edits => edits(body, inside).map(Value::Map),
        Open::Artifact(artifact) => Ok(Value::Map(artifact.members(body, span))),
    };
    let element = arguments.map(|value| Element {
        name: name.to_owned(),
        arguments: Node { span, value },
    });
    Some((element, end + close.len()))
}

enum Open<'t> {
    /// `<write_to_file>`
    Tool(&'static str),
    /// `<invoke name="Edit">` or `<function=edit>`
    Named {
        tag: &'static str,
        prefix: &'t str,
        name: &'t str,
    },
    /// `<tool_call>edit`, with `<arg_key>path</arg_key>` and `<arg_value>…</arg_value>`
    Pairs(&'t str),
    /// `<edits>`, with `<old_text>…</old_text>` and `<new_text>…</new_text>`
    Edits,
    /// `<boltAction type="file" filePath="f">`
    Artifact(Artifact<'t>),
}

impl Open<'_> {
    fn close(&self) -> String {
        match self {
            Self::Tool(name) => format!("</{name}>"),
            Self::Named { tag, prefix, .. } => format!("</{prefix}{tag}>"),
            Self::Edits => "</edits>".to_owned(),
            Self::Artifact(artifact) if artifact.is_closed => String::new(),
            Self::Artifact(artifact) => format!("</{}>", artifact.tag),
            Self::Pairs(_) => "</tool_call>".to_owned(),
        }
    }
}

fn opening(text: &str) -> Option<(Open<'_>, usize)> {
    for name in TOOLS {
        let tag = format!("<{name}>");
        if text.starts_with(&tag) {
            return Some((Open::Tool(name), tag.len()));
        }
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if let Some(rest) = text.strip_prefix("<tool_call>") {
        let inner = rest.trim_ascii_start();
        let (name, behind) = inner.split_at(inner.find(|c| !is_name(c))?);
        let pairs = behind.trim_ascii_start();
        let is_call = !name.is_empty() && pairs.starts_with("<arg_key>");
        return is_call.then_some((Open::Pairs(name), text.len() - pairs.len()));
    }
    if text.starts_with("<edits>") {
        return Some((Open::Edits, "<edits>".len()));
    }
    if let Some((artifact, length)) = artifact::opening(text) {
        return Some((Open::Artifact(artifact), length));
    }
    let tag = text.strip_prefix('<')?;
    let prefix = prefix(tag);
    let named = &tag[prefix.len()..];
    let (tag, rest, quote) = match named.strip_prefix("invoke name=\"") {
        Some(rest) => ("invoke", rest, "\">"),
        None => ("function", named.strip_prefix("function=")?, ">"),
    };
    let (name, behind) = rest.split_at(rest.find(|c| !is_name(c))?);
    let behind = behind.strip_prefix(quote)?;
    let open = Open::Named { tag, prefix, name };
    Some((open, text.len() - behind.len()))
}

/// Parameters that are written as JSON.
fn object(body: &str, at: usize) -> Result<Value, Fault> {
    let text = body.trim_ascii_start();
    let start = at + body.len() - text.len();
    let (node, length) = node::read(text, start, None)?;
    match text[length..].trim_ascii() {
        "" => Ok(node.value),
        rest => Err(beside(rest, start + length, "the end of the call")),
    }
}

/// Old and new texts by turns, each of which may say a line, which is a guess.
fn edits(body: &str, at: usize) -> Result<Vec<Member>, Fault> {
    let mut list = Vec::new();
    let mut rest = body.trim_ascii_start();
    while !rest.is_empty() {
        let edit = || {
            let tag = rest.strip_prefix("<old_text")?;
            let (line, tag) = tag.split_once('>')?;
            let is_line = line.is_empty() || line.trim_ascii_start().starts_with("line=");
            let (old, behind) = tag.split_once("</old_text>")?;
            let new = behind.trim_ascii_start().strip_prefix("<new_text>")?;
            let (inner, behind) = new.split_once("</new_text>")?;
            let start = |text: &str| at + body.len() - text.len();
            let members = vec![
                member("old_text", old, start(tag)),
                member("new_text", inner, start(new)),
            ];
            is_line.then_some((members, behind))
        };
        let start = at + body.len() - rest.len();
        let Some((members, behind)) = edit() else {
            let expected = "<old_text>…</old_text> and <new_text>…</new_text>";
            return Err(beside(rest, start, expected));
        };
        let span = Span {
            start,
            end: at + body.len() - behind.len(),
        };
        let value = Value::Map(members);
        list.push(Node { span, value });
        rest = behind.trim_ascii_start();
    }
    let span = Span {
        start: at,
        end: at + body.len(),
    };
    let value = Value::List(list);
    Ok(vec![Member {
        key: "edits".to_owned(),
        key_span: span,
        node: Node { span, value },
    }])
}

/// `<parameter name="path">…</parameter>`, or `<parameter=path>`.
fn parameters(body: &str, prefix: &str, at: usize) -> Result<Vec<Member>, Fault> {
    let (open, close) = (
        format!("<{prefix}parameter"),
        format!("</{prefix}parameter>"),
    );
    let mut members = Vec::new();
    let mut rest = body.trim_ascii_start();
    while !rest.is_empty() {
        let parameter = || {
            let rest = rest.strip_prefix(&open)?;
            let (name, text) = match rest.strip_prefix(" name=\"") {
                Some(rest) => {
                    let (name, rest) = rest.split_once('"')?;
                    // DeepSeek says beside the name whether the text is a string.
                    let (_, text) = rest.split_once('>')?;
                    (name, text)
                }
                None => rest.strip_prefix('=')?.split_once('>')?,
            };
            let (inner, behind) = text.split_once(&close)?;
            Some((name, body.len() - text.len(), inner, behind))
        };
        let Some((name, start, text, behind)) = parameter() else {
            let at = at + body.len() - rest.len();
            return Err(beside(rest, at, "<parameter name=…>…</parameter>"));
        };
        members.push(member(name, text, at + start));
        rest = behind.trim_ascii_start();
    }
    Ok(members)
}

/// What is no parameter, where one is expected: left out, it would be lost, and mostly it is the end
/// of a text that holds what closes it.
fn beside(rest: &str, at: usize, expected: &str) -> Fault {
    let found = excerpt(rest.as_bytes(), 40);
    let message = format!("expected {expected}, found {found:?}");
    Fault::new(Code::InvalidBatch, Span::at(at), message)
}

/// `<arg_key>path</arg_key>` and `<arg_value>…</arg_value>` by turns, whose texts are taken as they
/// are.
fn pairs(body: &str, at: usize) -> Result<Vec<Member>, Fault> {
    let mut members = Vec::new();
    let mut rest = body.trim_ascii_start();
    while !rest.is_empty() {
        let pair = || {
            let (key, rest) = rest.strip_prefix("<arg_key>")?.split_once("</arg_key>")?;
            let text = rest.trim_ascii_start().strip_prefix("<arg_value>")?;
            let (inner, behind) = text.split_once("</arg_value>")?;
            Some((key.trim(), body.len() - text.len(), inner, behind))
        };
        let Some((key, start, text, behind)) = pair() else {
            let at = at + body.len() - rest.len();
            let expected = "<arg_key>…</arg_key> and <arg_value>…</arg_value>";
            return Err(beside(rest, at, expected));
        };
        let span = Span {
            start: at + start,
            end: at + start + text.len(),
        };
        members.push(Member {
            key: key.to_owned(),
            key_span: span,
            node: Node {
                span,
                value: Value::Text(text.to_owned()),
            },
        });
        rest = behind.trim_ascii_start();
    }
    Ok(members)
}

/// `<path>…</path>`, each up to its own closing tag.
fn elements(body: &str, at: usize) -> Result<Vec<Member>, Fault> {
    let mut members: Vec<Member> = Vec::new();
    let mut from = 0;
    loop {
        let rest = body[from..].trim_ascii_start();
        if rest.is_empty() {
            return Ok(merge_files(members));
        }
        let start = body.len() - rest.len();
        let name = rest.strip_prefix('<').and_then(tag_name);
        let element = name.and_then(|name| {
            let text = start + name.len() + 2;
            let close = format!("</{name}>");
            let end = closing(&body[text..], &close, name)?;
            Some((name, text, close, end))
        });
        let Some((name, text, close, end)) = element else {
            return Err(beside(rest, at + start, "<name>…</name>"));
        };
        let inner = &body[text..text + end];
        let is_group = matches!(name, "args" | "file" | "diff" | "files") && has_element(inner);
        if is_group {
            let mut inside = elements(inner, at + text)?;
            if name == "diff" {
                // The blocks of a file are the content of its diff.
                for member in &mut inside {
                    if member.key == "content" {
                        member.key = "diff".to_owned();
                    }
                }
            }
            if name == "file" {
                let span = Span {
                    start: at + text,
                    end: at + text + end,
                };
                members.push(Member {
                    key: "edits".to_owned(),
                    key_span: span,
                    node: Node {
                        span,
                        value: Value::Map(inside),
                    },
                });
            } else {
                members.extend(inside);
            }
        } else {
            members.push(member(name, inner, at + text));
        }
        from = text + end + close.len();
    }
}

/// The name of the tag that a text is behind the opening bracket of.
fn tag_name(text: &str) -> Option<&str> {
    let is_name = |b: &u8| b.is_ascii_lowercase() || *b == b'_';
    let len = text.bytes().take_while(is_name).count();
    (len > 0 && text[len..].starts_with('>')).then(|| &text[..len])
}

/// Several files of one call become one list.
fn merge_files(members: Vec<Member>) -> Vec<Member> {
    let (files, mut others): (Vec<Member>, Vec<Member>) = members
        .into_iter()
        .partition(|member| member.key == "edits" && member.node.members().is_some());
    if let Some(first) = files.first() {
        let key_span = first.key_span;
        let list = files.into_iter().map(|member| member.node).collect();
        others.push(Member {
            key: "edits".to_owned(),
            key_span,
            node: Node {
                span: key_span,
                value: Value::List(list),
            },
        });
    }
    others
}

/// Where a text is closed: content may hold the tag itself, so that it ends at the last one, unless
/// the element comes again.
fn closing(text: &str, close: &str, name: &str) -> Option<usize> {
    let is_long = matches!(name, "content" | "diff" | "args" | "search" | "replace");
    let again = || text.contains(&format!("<{name}>"));
    match is_long && !again() {
        true => text.rfind(close),
        false => text.find(close),
    }
}

fn has_element(text: &str) -> bool {
    let text = text.trim_ascii_start();
    ["<file>", "<path>", "<diff>", "<content>", "<args>"]
        .iter()
        .any(|tag| text.starts_with(tag))
}

fn member(name: &str, text: &str, at: usize) -> Member {
    let span = Span {
        start: at,
        end: at + text.len(),
    };
    Member {
        key: name.to_owned(),
        key_span: span,
        node: Node {
            span,
            value: Value::Text(content(name, text)),
        },
    }
}

/// The text of an element: without the line breaks next to its tags, and out of its CDATA. What is
/// a whole file keeps its last line break.
fn content(name: &str, text: &str) -> String {
    let trimmed = text.trim_ascii();
    let text = trimmed
        .strip_prefix("<![CDATA[")
        .and_then(|text| text.strip_suffix("]]>"))
        .unwrap_or(text);
    let opened = text.strip_prefix("\r\n").or(text.strip_prefix('\n'));
    let Some(inner) = opened else {
        return match name {
            "path" | "line" | "file_path" => text.trim().to_owned(),
            _ => text.to_owned(),
        };
    };
    match name {
        "content" | "diff" => inner.to_owned(),
        _ => inner.strip_suffix('\n').unwrap_or(inner).to_owned(),
    }
}
