//! codex's envelope as a parameter, or as the input of a shell's command in one.

use super::fields::Input;
use super::node::{Member, Node, Value};
use crate::dialect::{Dialect, Options, codex, hashline, shell};
use crate::error::excerpt;

/// Keys whose value the command of a call is run in.
const DIRECTORIES: [&str; 4] = ["workdir", "cwd", "working_dir", "working_directory"];

/// An envelope, and the parameter that holds it.
pub(super) struct Found {
    pub(super) key: String,
    pub(super) text: String,
}

/// The envelope among the parameters of a call, or why there is one and it cannot be read.
pub(super) fn of(members: &[Member], is_shell: bool) -> Option<Result<Found, String>> {
    let keys = ["input", "patch", "patchText", "command", "cmd", "diff"];
    let mut ours = members.iter().filter(|member| keys.contains(&&*member.key));
    ours.find_map(|member| {
        let is_shell = is_shell || matches!(&*member.key, "command" | "cmd");
        let read = in_value(&member.node, is_shell)?;
        let key = member.key.clone();
        Some(read.map(|text| Found { key, text }))
    })
}

/// The envelope in a text, or in a list of words, which may be those of a shell.
pub(super) fn in_value(node: &Node, is_shell: bool) -> Option<Result<String, String>> {
    match &node.value {
        Value::Text(text) => in_text(text, is_shell),
        Value::List(list) => {
            let mut found = list.iter().filter_map(|word| in_value(word, true));
            let first = found.next()?;
            if found.next().is_some() {
                return Some(Err("the command has two envelopes; send one".to_owned()));
            }
            let mut words = list.iter().filter_map(Node::text);
            let other = words.find(|word| !word.contains(BEGIN) && !is_of_shell(word));
            if let (Ok(_), Some(other)) = (&first, other) {
                return Some(Err(runs_more(other)));
            }
            Some(first)
        }
        _ => None,
    }
}

const BEGIN: &str = "*** Begin Patch";

/// Whether a word is that of a shell, or of the command that takes an envelope.
fn is_of_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    matches!(
        name,
        "bash" | "sh" | "zsh" | "dash" | "env" | "apply_patch" | "applypatch" | ""
    ) || matches!(word, "-c" | "-l" | "-lc" | "-e" | "-ec" | "-lec")
}

fn runs_more(command: &str) -> String {
    let shown = excerpt(command.trim().as_bytes(), 80);
    format!(
        "the command runs {shown:?} beside the patch, which is not run here; send the patch alone"
    )
}

/// What an envelope holds.
pub(super) fn dialect(text: &str) -> Dialect {
    match hashline::is_in(text) {
        true => Dialect::Hashline,
        false => Dialect::Codex,
    }
}

fn in_text(text: &str, is_shell: bool) -> Option<Result<String, String>> {
    if !text.contains(BEGIN) {
        return None;
    }
    if !text.lines().any(|line| line.trim() == BEGIN) {
        return match codex::unquoted(text) {
            Some(envelope) => Some(Ok(envelope)),
            None if is_shell => codex::not_unquoted(text).map(|why| Err(why.to_owned())),
            None => None,
        };
    }
    if !is_shell {
        return Some(Ok(text.to_owned()));
    }
    match codex::beside(text) {
        Some(codex::Beside::Command(other)) => {
            let changed = shell::check(text.as_bytes(), dialect(text)).err();
            Some(Err(changed.map_or_else(
                || runs_more(other),
                |unread| unread.refusal().message.clone(),
            )))
        }
        // The envelope is the input of another command.
        Some(codex::Beside::NoCall) => None,
        None => Some(Ok(codex::unquoted(text).unwrap_or_else(|| text.to_owned()))),
    }
}

/// Whether a call with an envelope is to run in another directory, which is a fault.
pub(super) fn is_elsewhere(
    arguments: &Node,
    options: &Options,
    path: &str,
    input: &mut Input<'_>,
) -> bool {
    let members = arguments.members().unwrap_or_default();
    if of(members, false).is_none() {
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
