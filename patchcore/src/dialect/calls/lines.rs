//! The lines that a call says its text is on.

use super::fields::{Arguments, Field, plain};
use super::node::{Member, Node, Value};
use super::rest::is_empty;
use crate::bytes;
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// Lines, 1-based; a bound that is missing is that of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    first: u64,
    last: u64,
    /// Whether the text has to include one line, and not to stay between two.
    at: bool,
    /// The parameters that say so.
    keys: String,
}

impl Lines {
    /// The lines that the parameters name; `None` where they name none, or after a fault.
    pub(super) fn of(arguments: &mut Arguments<'_, '_, '_>) -> Option<Self> {
        let mut lines = Self {
            first: 1,
            last: u64::MAX,
            at: false,
            keys: String::new(),
        };
        for member in arguments.find(Field::Range) {
            let Some(bounds) = bounds(member) else {
                let key = &member.key;
                arguments.fault_at(member, format!("{key:?} limits the edit in a way that is not supported; leave it out, or send \"start_line\" and \"end_line\""));
                return None;
            };
            let (first, last, at) = match bounds {
                Bounds::None => continue,
                Bounds::First(line) => (line, u64::MAX, false),
                Bounds::Last(line) => (1, line, false),
                Bounds::Both(first, last) => (first, last, false),
                Bounds::At(line) => (line, line, true),
            };
            lines.first = lines.first.max(first);
            lines.last = lines.last.min(last);
            lines.at |= at;
            if !lines.keys.is_empty() {
                lines.keys.push_str(" and ");
            }
            lines.keys.push_str(&format!("{:?}", member.key));
        }
        (!lines.keys.is_empty()).then_some(lines)
    }

    /// Refuses edits of a text that are outside of the lines, both as they are counted now and as
    /// they were before the edits that moved them.
    pub(super) fn check(
        &self,
        text: &[u8],
        edits: &[Edit],
        moves: &[Move],
        path: &RelPath,
    ) -> Result<(), Refusal> {
        for edit in edits {
            let found = [edit.span.start, last_byte(edit)].map(|at| line_of(text, at));
            let before = found.map(|line| {
                let back = |line: u64, moved: &Move| match line > moved.line {
                    true => line.saturating_add_signed(-moved.by),
                    false => line,
                };
                moves.iter().rev().fold(line, back)
            });
            if !self.hold(found) && !self.hold(before) {
                let [first, last] = found;
                let at = match first == last {
                    true => format!("line {first}"),
                    false => format!("lines {first} to {last}"),
                };
                let message = format!(
                    "the text to change is at {at} of {path}, outside of the lines that {} name; send the lines where it is, or leave them out",
                    self.keys
                );
                return Err(Refusal::new(Code::AnchorNotFound, message).in_file(path));
            }
        }
        Ok(())
    }

    fn hold(&self, [first, last]: [u64; 2]) -> bool {
        match self.at {
            true => first <= self.first && self.last <= last,
            false => self.first <= first && last <= self.last,
        }
    }
}

/// What an edit did to the lines below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    /// The first line that it changed, 1-based.
    line: u64,
    /// By how many lines it moved them down.
    by: i64,
}

impl Move {
    /// What made one text of another.
    pub(super) fn between(old: &[u8], new: &[u8]) -> Self {
        let same = bytes::common_start(old, new);
        let count = |text: &[u8]| i64::try_from(bytes::count(b'\n', text));
        let by = match (count(old), count(new)) {
            (Ok(old), Ok(new)) => new - old,
            _ => 0,
        };
        Self {
            line: line_of(old, same),
            by,
        }
    }
}

enum Bounds {
    /// All of the file.
    None,
    First(u64),
    Last(u64),
    Both(u64, u64),
    At(u64),
}

fn bounds(member: &Member) -> Option<Bounds> {
    let node = &member.node;
    if is_empty(node) {
        return Some(Bounds::None);
    }
    let line = || {
        let number = number(node)?;
        Some(u64::try_from(number).ok())
    };
    Some(match &*plain(&member.key) {
        "startline" | "oldstrstartlinenumber" | "oldstrstartlinenumber1" => Bounds::First(line()??),
        "endline" | "oldstrendlinenumber" | "oldstrendlinenumber1" => {
            line()?.map_or(Bounds::None, Bounds::Last)
        }
        // They may count characters.
        "start" => match number(node)? {
            0 | 1 => Bounds::None,
            _ => return None,
        },
        "end" => match number(node)? {
            -1 => Bounds::None,
            _ => return None,
        },
        "offset" if number(node)? == 0 => Bounds::None,
        "line" | "lineno" | "linenumber" => Bounds::At(line()??),
        "lines" => {
            let (first, last) = match &node.value {
                Value::List(list) => match &list[..] {
                    [first, last] => (number(first)?, number(last)?),
                    _ => return None,
                },
                Value::Text(text) => {
                    let (first, last) = text.split_once('-')?;
                    (first.trim().parse().ok()?, last.trim().parse().ok()?)
                }
                _ => return None,
            };
            Bounds::Both(u64::try_from(first).ok()?, u64::try_from(last).ok()?)
        }
        _ => return None,
    })
}

fn number(node: &Node) -> Option<i64> {
    match &node.value {
        Value::Number(text) | Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn last_byte(edit: &Edit) -> usize {
    edit.span.end.saturating_sub(1).max(edit.span.start)
}

/// The line, 1-based, of a byte of a text.
fn line_of(text: &[u8], at: usize) -> u64 {
    let above = &text[..at.min(text.len())];
    bytes::count(b'\n', above) as u64 + 1
}
