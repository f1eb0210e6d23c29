//! codex's envelope as a parameter, or as the input of a shell's command in one.

use super::fields::Input;
use super::node::{Member, Node, Value};
use crate::dialect::{Dialect, Options, codex, hashline};

/// Keys whose value the command of a call is run in.
const DIRECTORIES: [&str; 4] = ["workdir", "cwd", "working_dir", "working_directory"];

/// The envelope among the parameters of a call.
pub(super) fn of(members: &[Member]) -> Option<String> {
    let keys = ["input", "patch", "patchText", "command", "cmd", "diff"];
    let mut ours = members.iter().filter(|member| keys.contains(&&*member.key));
    ours.find_map(|member| in_value(&member.node))
}

/// The envelope in a text, or in a list of words.
pub(super) fn in_value(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => in_text(text),
        Value::List(list) => list.iter().find_map(in_value),
        _ => None,
    }
}

/// What an envelope holds.
pub(super) fn dialect(text: &str) -> Dialect {
    match hashline::is_in(text) {
        true => Dialect::Hashline,
        false => Dialect::Codex,
    }
}

fn in_text(text: &str) -> Option<String> {
    if !text.contains("*** Begin Patch") {
        return None;
    }
    let opens = |line: &str| line.trim() == "*** Begin Patch";
    if text.lines().any(opens) {
        return Some(text.to_owned());
    }
    codex::unquoted(text)
}

/// Whether a call with an envelope is to run in another directory, which is a fault.
pub(super) fn is_elsewhere(
    arguments: &Node,
    options: &Options,
    path: &str,
    input: &mut Input<'_>,
) -> bool {
    let members = arguments.members().unwrap_or_default();
    if of(members).is_none() {
        return false;
    }
    let elsewhere = members
        .iter()
        .find(|member| DIRECTORIES.contains(&&*member.key) && !is_root(&member.node, options));
    let Some(member) = elsewhere else {
        return false;
    };
    let directory = member.node.text().unwrap_or_default();
    input.fault(
        member.node.span,
        path,
        format!(
            "the call is to run in the directory {directory:?} ({}); send names from the root, without it",
            member.key
        ),
    );
    true
}

fn is_root(directory: &Node, options: &Options) -> bool {
    match &directory.value {
        Value::Null => true,
        Value::Text(path) => {
            matches!(path.as_str(), "" | "." | "./") || codex::is_root(path.as_bytes(), options)
        }
        _ => false,
    }
}
