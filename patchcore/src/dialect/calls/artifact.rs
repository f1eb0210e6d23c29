//! Whole files in tags, as builders of apps have their models write them, with the path as an
//! attribute: bolt's `<boltAction>`, `<lov-write>` and `<dyad-write>`.

use super::node::{Member, Node, Value};
use crate::batch::diagnostic::Span;

/// The tag around the actions of bolt, which says nothing about them.
const WRAPPER: &str = "boltArtifact";
/// The tags, and the tool that each is a call of.
const TAGS: [(&str, &str); 8] = [
    ("boltAction", "write_file"),
    ("lov-write", "write_file"),
    ("dyad-write", "write_file"),
    ("dyad-search-replace", "search_replace"),
    ("lov-delete", "delete_file"),
    ("dyad-delete", "delete_file"),
    ("lov-rename", "rename_file"),
    ("dyad-rename", "rename_file"),
];
/// Attributes that are no parameter's name, and the parameters that they are.
const NAMES: [(&str, &str); 6] = [
    ("filePath", "path"),
    ("file_path", "path"),
    ("original_file_path", "from"),
    ("new_file_path", "destination"),
    ("to", "destination"),
    ("contentType", "type"),
];

/// The opening tag of a call.
pub(super) struct Artifact<'t> {
    pub(super) tag: &'static str,
    pub(super) tool: &'static str,
    /// Whether the tag is closed in itself.
    pub(super) is_closed: bool,
    attributes: Vec<(&'t str, &'t str)>,
}

/// The length of a tag around calls at the start of a text.
pub(super) fn wrapper(text: &str) -> Option<usize> {
    if let Some(behind) = text.strip_prefix("</boltArtifact>") {
        return Some(text.len() - behind.len());
    }
    Some(tag(text, WRAPPER)?.length)
}

/// The call that a text opens, and the length of its tag.
pub(super) fn opening(text: &str) -> Option<(Artifact<'_>, usize)> {
    TAGS.iter().find_map(|(name, tool)| {
        let Tag {
            attributes,
            is_closed,
            length,
        } = tag(text, name)?;
        let kind = attributes.iter().find(|(name, _)| *name == "type");
        let is_command = *name == "boltAction" && kind.is_none_or(|(_, kind)| *kind != "file");
        let artifact = Artifact {
            tag: name,
            tool: if is_command { "shell" } else { tool },
            is_closed,
            attributes,
        };
        Some((artifact, length))
    })
}

/// A tag that a text starts with.
struct Tag<'t> {
    attributes: Vec<(&'t str, &'t str)>,
    is_closed: bool,
    length: usize,
}

fn tag<'t>(text: &'t str, name: &str) -> Option<Tag<'t>> {
    let mut rest = text.strip_prefix('<')?.strip_prefix(name)?;
    let mut attributes = Vec::new();
    loop {
        let trimmed = rest.trim_ascii_start();
        let is_closed = trimmed.starts_with("/>");
        if let Some(behind) = trimmed.trim_start_matches('/').strip_prefix('>') {
            return Some(Tag {
                attributes,
                is_closed,
                length: text.len() - behind.len(),
            });
        }
        if trimmed.len() == rest.len() {
            return None;
        }
        let (name, value) = trimmed.split_once("=\"")?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !name.chars().all(is_name) {
            return None;
        }
        let (value, behind) = value.split_once('"')?;
        attributes.push((name, value));
        rest = behind;
    }
}

impl Artifact<'_> {
    /// The parameters of the call, with what stands between its tags.
    pub(super) fn members(&self, body: &str, span: Span) -> Vec<Member> {
        let member = |key: &str, text: &str| Member {
            key: key.to_owned(),
            key_span: span,
            node: Node {
                span,
                value: Value::Text(text.to_owned()),
            },
        };
        let mut members = Vec::new();
        for (name, value) in &self.attributes {
            let known = NAMES.iter().find(|(attribute, _)| attribute == name);
            members.push(member(
                known.map_or(name, |(_, parameter)| parameter),
                value,
            ));
        }
        let has_text = !matches!(self.tool, "delete_file" | "rename_file");
        if has_text || !body.trim_ascii().is_empty() {
            let key = if self.tool == "shell" {
                "command"
            } else {
                "content"
            };
            members.push(member(key, &content(body)));
        }
        members
    }
}

/// A whole file between two tags: without what only sets it off from them.
fn content(body: &str) -> String {
    let opened = body.strip_prefix("\r\n").or(body.strip_prefix('\n'));
    match opened.unwrap_or(body).trim_ascii_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}
