//! Calls written as tags, with the parameters inside: Cline's and Roo's, `<invoke>`, `<function=…>`
//! and `<tool_call>NAME<arg_key>…`.

use super::node::{Member, Node, Value};
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
    "<tool_call>",
    "</tool_call>",
    "<function_call>",
    "</function_call>",
    "<function_calls>",
    "</function_calls>",
    "<tool_use>",
    "</tool_use>",
];

/// A call written as tags.
pub(super) struct Element {
    pub(super) name: String,
    pub(super) arguments: Node,
}

/// Whether a line of an input is the opening tag of a call.
pub(in crate::dialect) fn is_opening_tag(line: &[u8]) -> bool {
    line.starts_with(b"<")
        && std::str::from_utf8(line)
            .is_ok_and(|line| wrapper(line).is_some() || opening(line).is_some())
}

/// The length of a tag around a call at the start of a text.
pub(super) fn wrapper(text: &str) -> Option<usize> {
    let tag = WRAPPERS.iter().find(|tag| text.starts_with(**tag))?;
    Some(tag.len())
}

/// The call at the start of a text, which stands at an offset of the input, and its length.
pub(super) fn read(text: &str, at: usize) -> Option<(Result<Element, Fault>, usize)> {
    let (open, length) = opening(text)?;
    let name = match open {
        Open::Tool(name) => name,
        Open::Named { name, .. } | Open::Pairs(name) => name,
    };
    let close = open.close();
    let Some(end) = text.find(&close) else {
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
    let arguments = match open {
        Open::Tool(_) => elements(body, at + length),
        Open::Named { .. } => parameters(body, at + length),
        Open::Pairs(_) => pairs(body, at + length),
    };
    let arguments = match arguments {
        Ok(members) => members,
        Err(fault) => return Some((Err(fault), end + close.len())),
    };
    let element = Element {
        name: name.to_owned(),
        arguments: Node {
            span: Span {
                start: at,
                end: at + end + close.len(),
            },
            value: Value::Map(arguments),
        },
    };
    Some((Ok(element), end + close.len()))
}

enum Open<'t> {
    /// `<write_to_file>`
    Tool(&'static str),
    /// `<invoke name="Edit">` or `<function=edit>`
    Named { tag: &'static str, name: &'t str },
    /// `<tool_call>edit`, with `<arg_key>path</arg_key>` and `<arg_value>…</arg_value>`
    Pairs(&'t str),
}

impl Open<'_> {
    fn close(&self) -> String {
        match self {
            Self::Tool(name) => format!("</{name}>"),
            Self::Named { tag, .. } => format!("</{tag}>"),
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
    let (tag, rest, quote) = match text.strip_prefix("<invoke name=\"") {
        Some(rest) => ("invoke", rest, "\">"),
        None => ("function", text.strip_prefix("<function=")?, ">"),
    };
    let (name, behind) = rest.split_at(rest.find(|c| !is_name(c))?);
    let behind = behind.strip_prefix(quote)?;
    Some((Open::Named { tag, name }, text.len() - behind.len()))
}

/// `<parameter name="path">…</parameter>`, or `<parameter=path>`.
fn parameters(body: &str, at: usize) -> Result<Vec<Member>, Fault> {
    let mut members = Vec::new();
    let mut rest = body.trim_ascii_start();
    while !rest.is_empty() {
        let parameter = || {
            let rest = rest.strip_prefix("<parameter")?;
            let (name, text) = match rest.strip_prefix(" name=\"") {
                Some(rest) => rest.split_once("\">")?,
                None => rest.strip_prefix('=')?.split_once('>')?,
            };
            let (inner, behind) = text.split_once("</parameter>")?;
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
