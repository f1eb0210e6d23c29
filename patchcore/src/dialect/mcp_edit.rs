//! `edit_file` of the MCP file-system server: `{path, edits: [{oldText, newText}]}`.
//!
//! Edits of one file follow one another. Each `oldText` must stand at one place; the original
//! takes the first of several, and matches lines whatever their indentation, which is done here
//! only where the lines tell how the new ones are indented. Unlike there, `\r\n` endings stay. A call with `dryRun` is refused: it asks for no edit.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::desk::Desk;
use super::exact::{self, Find, Matches};
use super::ladder::Rungs;
use super::landed::Landed;
use super::{Options, beneath_root, json, omission};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::plan::{Lowered, Script, Tree};

/// Parsed calls.
pub(super) struct McpEdit {
    edits: Vec<(RelPath, TextEdit)>,
    options: Options,
    content: Digest,
}

#[derive(Deserialize)]
struct Raw {
    path: Option<String>,
    #[serde(default)]
    edits: Vec<RawEdit>,
    #[serde(rename = "dryRun", alias = "dry_run", default)]
    dry_run: bool,
    /// The parameters, in a tool call or a request.
    #[serde(
        default,
        alias = "input",
        alias = "function",
        alias = "params",
        deserialize_with = "json::parameters"
    )]
    arguments: Option<Box<Raw>>,
}

#[derive(Deserialize)]
struct RawEdit {
    #[serde(rename = "oldText", alias = "old_text")]
    old: String,
    #[serde(default, rename = "newText", alias = "new_text")]
    new: json::Field<String>,
    #[serde(flatten)]
    rest: HashMap<String, serde::de::IgnoredAny>,
}

/// Text to find, and what comes instead.
struct TextEdit {
    old: String,
    new: String,
}

/// Reads calls.
pub(super) fn parse(bytes: &[u8], options: &Options) -> Result<McpEdit, Refusal> {
    let mut edits = Vec::new();
    for mut raw in json::values::<Raw>(bytes, options)? {
        while let Some(arguments) = raw.arguments.take() {
            raw = *arguments;
        }
        if raw.dry_run {
            return Err(Refusal::new(
                Code::InvalidBatch,
                "\"dryRun\" asks for a preview and not for the edit; leave it out, and preview with `patchctl check`",
            ));
        }
        let path = match (&options.file, raw.path) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) => RelPath::new(beneath_root(path.as_bytes(), options))?,
            (None, None) => {
                return Err(
                    Refusal::new(Code::InvalidBatch, "\"path\" is missing").with_hint(Hint::File)
                );
            }
        };
        for RawEdit { old, new, rest } in raw.edits {
            let number = edits.len() + 1;
            let new = new.required("newText", &rest).map_err(|message| {
                Refusal::new(Code::InvalidBatch, format!("edit {number}: {message}"))
            })?;
            edits.push((path.clone(), TextEdit { old, new }));
        }
    }
    if edits.is_empty() {
        return Err(Refusal::new(Code::InvalidBatch, "\"edits\" is empty"));
    }
    if let Some(number) = edits.iter().position(|(_, edit)| edit.old.is_empty()) {
        return Err(Refusal::new(
            Code::InvalidBatch,
            format!(
                "edit {}: \"oldText\" is empty, which matches everywhere; give the text to replace",
                number + 1
            ),
        ));
    }
    Ok(McpEdit {
        edits,
        options: options.clone(),
        content: Digest::of(bytes),
    })
}

impl Script for McpEdit {
    fn paths(&self) -> Vec<RelPath> {
        let paths: BTreeSet<&RelPath> = self.edits.iter().map(|(path, _)| path).collect();
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let mut desk = Desk::new(tree);
        for (index, (path, edit)) in self.edits.iter().enumerate() {
            let name = format!("edit {}", index + 1);
            if desk.is_spoiled(path) {
                desk.judge_apart(path, |desk| self.run(path, edit, &name, desk));
            } else if let Err(refusal) = self.run(path, edit, &name, &mut desk) {
                desk.refuse(path, refusal);
            }
        }
        Ok(desk.into_batch(self.content).into())
    }
}

impl McpEdit {
    fn run(
        &self,
        path: &RelPath,
        edit: &TextEdit,
        name: &str,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        if !self.options.allow_omission {
            omission::check_new(path, edit.new.as_bytes(), edit.old.as_bytes())?;
        }
        let find = Find {
            old: &edit.old,
            new: &edit.new,
            matches: if self.options.all {
                Matches::All
            } else {
                Matches::One
            },
            rungs: Rungs::of(&self.options),
        };
        let text = desk.file(path)?;
        if let Landed::Yes(place) = find.landed(&text) {
            return desk.landed(path, place.line);
        }
        let (edits, matched) = exact::edits(&text, &find, path, name)
            .map_err(|refusal| desk.gone(path, edit.old.as_bytes(), refusal))?;
        desk.splice_found(path, edits, matched)
    }
}
