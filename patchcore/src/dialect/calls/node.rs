//! JSON values that know where they stand in the input, those in the text of a string too.

use crate::batch::diagnostic::{Fault, Span};
use crate::batch::scan::{Scanner, TokenKind};
use crate::error::Code;

/// Most objects and lists inside each other.
const DEPTH: usize = 64;

/// A value, and the bytes of the input that it was read from.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A field of an object.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The fields, where it is an object.
    pub(super) fn members(&self) -> Option<&[Member]> {
        match &self.value {
            Value::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The value of a field, spelt exactly like this.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let members = self.members()?;
        let found = members.iter().find(|member| member.key == key);
        found.map(|member| &member.node)
    }

    /// The text of a field.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// What the value is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "an array",
            Value::Map(_) => "an object",
        }
    }
}

/// Reads the value at the start of a text, which stands at an offset of the input; gives its
/// length, too.
///
/// # Errors
/// What is wrong with its syntax, at its place in the input, with the JSON path of it.
pub(super) fn read(
    text: &str,
    at: usize,
    beyond: Option<&'static str>,
) -> Result<(Node, usize), Fault> {
    let mut scan = Scanner::new(text, DEPTH, beyond);
    let mut path = Vec::new();
    match value(&mut scan, &mut path) {
        Ok(mut node) => {
            let end = scan.end();
            shift(&mut node, &|offset| at + offset);
            Ok((node, end))
        }
        Err(mut fault) => {
            fault.span.start += at;
            fault.span.end += at;
            fault.path = path.concat();
            Err(fault)
        }
    }
}

/// Reads the JSON that the text of a string node holds, and nothing else; `raw` is the whole input.
///
/// # Errors
/// As [`read`]; the place is that in the string.
pub(super) fn read_inside(node: &Node, raw: &str) -> Result<Node, Fault> {
    let text = node.text().unwrap_or_default();
    let offsets = Offsets::of(raw, node, text);
    let mut scan = Scanner::new(text, DEPTH, None);
    let mut path = Vec::new();
    let read = value(&mut scan, &mut path).and_then(|node| scan.finish().map(|()| node));
    match read {
        Ok(mut inner) => {
            shift(&mut inner, &|offset| offsets.raw(offset));
            Ok(inner)
        }
        Err(mut fault) => {
            fault.span.start = offsets.raw(fault.span.start);
            fault.span.end = offsets.raw(fault.span.end).max(fault.span.start + 1);
            fault.path = path.concat();
            Err(fault)
        }
    }
}

/// Where the characters of a string's text stand in the input.
struct Offsets {
    start: usize,
    end: usize,
    /// Offsets in the text and in the input behind each escape.
    escapes: Vec<(usize, usize)>,
}

impl Offsets {
    fn of(raw: &str, node: &Node, text: &str) -> Self {
        let Span { start, end } = node.span;
        let mut offsets = Self {
            start: start + 1,
            end,
            escapes: Vec::new(),
        };
        let token = raw.get(start..end).unwrap_or_default();
        // A text in the text of another one has no token of its own.
        if !token.starts_with('"') {
            return offsets;
        }
        let (mut decoded, mut at) = (0, start + 1);
        let bytes = raw.as_bytes();
        while at + 1 < end && decoded < text.len() {
            if bytes[at] != b'\\' {
                at += 1;
                decoded += 1;
                continue;
            }
            let length = text[decoded..].chars().next().map_or(1, char::len_utf8);
            at += match bytes.get(at + 1) {
                Some(b'u') if length == 4 => 12,
                Some(b'u') => 6,
                _ => 2,
            };
            decoded += length;
            offsets.escapes.push((decoded, at));
        }
        offsets
    }

    fn raw(&self, offset: usize) -> usize {
        let behind = self
            .escapes
            .partition_point(|(decoded, _)| *decoded <= offset);
        let (decoded, raw) = match behind.checked_sub(1) {
            Some(index) => self.escapes[index],
            None => (0, self.start),
        };
        (raw + (offset - decoded)).min(self.end)
    }
}

fn shift(node: &mut Node, place: &impl Fn(usize) -> usize) {
    let moved = |span: &mut Span| {
        *span = Span {
            start: place(span.start),
            end: place(span.end),
        };
    };
    moved(&mut node.span);
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(|node| shift(node, place)),
        Value::Map(members) => {
            for member in members {
                moved(&mut member.key_span);
                shift(&mut member.node, place);
            }
        }
        _ => {}
    }
}

/// The value that is next; where it fails, `path` is that of the fault.
fn value(scan: &mut Scanner<'_>, path: &mut Vec<String>) -> Result<Node, Fault> {
    let kind = scan.kind()?;
    let start = scan.offset();
    let value = match kind {
        TokenKind::String => Value::Text(scan.string()?.into_owned()),
        TokenKind::Number => Value::Number(scan.number().to_owned()),
        TokenKind::Boolean | TokenKind::Null => scan.word()?.map_or(Value::Null, Value::Bool),
        TokenKind::Array => {
            scan.enter()?;
            let mut list = Vec::new();
            while scan.next(list.is_empty(), b']')? {
                path.push(format!("[{}]", list.len()));
                list.push(value_in(scan, path)?);
            }
            Value::List(list)
        }
        TokenKind::Object => {
            scan.enter()?;
            let mut members: Vec<Member> = Vec::new();
            while scan.next(members.is_empty(), b'}')? {
                let (key, key_span) = scan.key()?;
                path.push(step(&key, path.is_empty()));
                if members.iter().any(|member| member.key == key) {
                    return Err(Fault::new(
                        Code::InvalidBatch,
                        key_span,
                        format!("duplicate field {key:?}; it appears twice in one object"),
                    ));
                }
                let node = value_in(scan, path)?;
                members.push(Member {
                    key: key.into_owned(),
                    key_span,
                    node,
                });
            }
            Value::Map(members)
        }
    };
    let span = Span {
        start,
        end: scan.end(),
    };
    Ok(Node { span, value })
}

/// A value one step down the path; the step stays where the value fails.
fn value_in(scan: &mut Scanner<'_>, path: &mut Vec<String>) -> Result<Node, Fault> {
    let node = value(scan, path)?;
    path.pop();
    Ok(node)
}

/// A step of a JSON path to a field.
pub(super) fn step(key: &str, is_first: bool) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if key.is_empty() || !key.bytes().all(is_plain) {
        return format!("[{:?}]", crate::error::excerpt(key.as_bytes(), 64));
    }
    format!("{}{key}", if is_first { "" } else { "." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_the_text_of_a_string_has_its_place_in_the_input() {
        let raw =
            r#"{"arguments": "{\"path\": \"f\",\n \"edits\": [{\"oldText\": \"\u00e9\", tru}]}"}"#;
        let (node, length) = read(raw, 0, None).unwrap();
        assert_eq!(length, raw.len());
        let fault = read_inside(node.get("arguments").unwrap(), raw).unwrap_err();
        assert_eq!(&raw[fault.span.start..fault.span.start + 3], "tru");
        assert_eq!(fault.path, "edits[0]");
    }

    #[test]
    fn values_in_the_text_of_a_string_stand_where_they_stand_in_the_input() {
        let raw = r#"["\ud83d\ude00", "[\"a\\n\\u00e9\", 12]"]"#;
        let (node, _) = read(raw, 0, None).unwrap();
        let inner = read_inside(&node.list().unwrap()[1], raw).unwrap();
        let number = &inner.list().unwrap()[1];
        assert_eq!(&raw[number.span.start..number.span.end], "12");
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_with_its_path() {
        let fault = read(r#"[{"a": {"b c": 1, "b c": 2}}]"#, 0, None).unwrap_err();
        assert_eq!(fault.path, r#"[0].a["b c"]"#);
        assert!(fault.message.contains("duplicate"));
    }
}
