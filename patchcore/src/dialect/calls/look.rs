//! Calls that look at a file: which lines of it.

use super::fields::plain;
use super::node::{Member, Node, Value};
use crate::plan::Part;

/// Words in the name of a tool that shows a file.
const VIEWS: &[&str] = &["read", "view", "open", "cat"];
/// Words that say that it shows something else.
const OTHERS: &[&str] = &[
    "dir", "list", "image", "url", "web", "browser", "resource", "lints",
];

/// Whether a tool of this name shows the file that it is given.
pub(super) fn is_view(tool: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| tool.contains(word));
    has(VIEWS) && !has(OTHERS)
}

/// The lines that the parameters ask for; all where they say nothing that is known.
pub(super) fn part(members: &[Member]) -> Part {
    let of = |names: &[&str]| -> Option<&Node> {
        let found = members
            .iter()
            .find(|member| names.contains(&&*plain(&member.key)));
        found.map(|member| &member.node)
    };
    if let Some([first, last]) = of(&["viewrange", "lines", "range"]).and_then(Node::list) {
        return lines(number(first), number(last));
    }
    let first = of(&["startline", "start", "offset", "line"]).and_then(number);
    let last = of(&["endline", "end"]).and_then(number);
    let count = of(&["limit"]).and_then(number);
    match (first, last, count) {
        (None, None, None) => Part::Whole,
        (_, None, Some(count)) => {
            let from = first.unwrap_or(1).max(1);
            lines(Some(from), from.checked_add(count.max(1) - 1))
        }
        _ => lines(first, last),
    }
}

/// Lines of which a bound may be missing; a last line below 0 is the end of the file.
fn lines(first: Option<i64>, last: Option<i64>) -> Part {
    let first = u64::try_from(first.unwrap_or(1)).unwrap_or(1).max(1);
    Part::Lines(
        first,
        last.and_then(|last| u64::try_from(last).ok())
            .unwrap_or(u64::MAX),
    )
}

fn number(node: &Node) -> Option<i64> {
    match &node.value {
        Value::Number(text) | Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}
