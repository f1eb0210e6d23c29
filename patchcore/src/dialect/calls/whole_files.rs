//! Whole files: `[{"path": …, "content": …}]`, or `{"files": […]}`.

use std::collections::HashSet;

use super::edits::{required, unlike};
use super::fields::{Arguments, Field, Input, Taken};
use super::node::Node;
use super::{find, rest, tools};
use crate::batch::diagnostic::{Diagnostic, Fault};
use crate::dialect::{Options, Unread, beneath_root};
use crate::error::{Code, Refusal, excerpt};
use crate::path::RelPath;

/// What a whole file is read from.
const READ: &[Field] = &[
    Field::Content,
    Field::Executable,
    Field::Verbatim,
    Field::Overwrite,
];

/// A whole file, as it was sent.
pub(in crate::dialect) struct WholeFile {
    pub(in crate::dialect) path: RelPath,
    pub(in crate::dialect) content: String,
    pub(in crate::dialect) executable: Option<bool>,
    /// Whether it is written byte for byte, whatever line endings are there.
    pub(in crate::dialect) verbatim: bool,
    /// How its parameters were read, where that is worth saying.
    pub(in crate::dialect) notes: Vec<String>,
}

/// Reads whole files.
pub(in crate::dialect) fn whole_files(
    bytes: &[u8],
    options: &Options,
) -> Result<Vec<WholeFile>, Unread> {
    let (mut input, beyond) = Input::of(bytes, options);
    let values = find::values(&mut input, beyond);
    input.end(beyond);
    let mut files = Files::default();
    for (node, path) in &values {
        object(node, path, options, &mut input, &mut files);
    }
    if !input.faults.is_empty() {
        return Err(Unread::of(Diagnostic::of_patch(input.faults, bytes)));
    }
    if files.all.is_empty() {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the patch holds no JSON value that changes a file",
        )
        .into());
    }
    Ok(files.all)
}

/// The files that were read.
#[derive(Default)]
struct Files {
    all: Vec<WholeFile>,
    paths: HashSet<RelPath>,
}

fn object(node: &Node, path: &str, options: &Options, input: &mut Input<'_>, files: &mut Files) {
    let Some(members) = node.members() else {
        let message = format!("expected an object, found {}", node.kind());
        return input.fault(node.span, path, message);
    };
    let mut arguments = Arguments {
        input,
        members,
        span: node.span,
        path: path.to_owned(),
        notes: Vec::new(),
    };
    let faults = arguments.input.faults.len();
    if arguments.has(Field::Files) {
        rest::check(&mut arguments, &[Field::Files], &[], options);
        if let Some(name) = node.text_of("name").or(node.text_of("tool"))
            && !tools::may_write(name)
        {
            let name = excerpt(name.as_bytes(), 60);
            arguments.fault(format!(
                "{name:?} is no tool that writes whole files; send each edit in a call of its own"
            ));
        }
        for (node, path) in arguments.objects(Field::Files).ok().unwrap_or_default() {
            object(&node, &path, options, arguments.input, files);
        }
        return;
    }
    let content = required(&mut arguments, Field::Content, "content");
    let executable = arguments.flag(Field::Executable).ok();
    let verbatim = arguments.flag(Field::Verbatim).ok().unwrap_or_default();
    if arguments.input.faults.len() == faults {
        rest::check(&mut arguments, READ, &[], options);
    }
    if let Some(member) = arguments.of_other_kind() {
        let said = member.node.text().unwrap_or_default();
        arguments.fault_at(member, unlike(&member.key, said));
    }
    if arguments.flag(Field::Overwrite).ok() == Some(false) {
        let key = arguments.key(Field::Overwrite).unwrap_or_default();
        arguments.fault(format!("{key:?} is false, and a whole file is written over the one that is there; send it as a call of \"create_file\""));
    }
    let path = file(&mut arguments, options);
    if let Some(path) = &path
        && !files.paths.insert(path.clone())
    {
        let message = format!("{path} appears twice; send each file once");
        refuse_path(&mut arguments, Code::Overlap, message);
        return;
    }
    if let (Some(path), Some(content)) = (path, content) {
        files.all.push(WholeFile {
            path,
            content: content.into_owned(),
            executable,
            verbatim,
            notes: arguments.notes,
        });
    }
}

fn file(arguments: &mut Arguments<'_, '_, '_>, options: &Options) -> Option<RelPath> {
    if let Some(file) = &options.file {
        return Some(file.clone());
    }
    let name = match arguments.text(Field::Path) {
        Taken::Set(name) => name,
        Taken::Faulty => return None,
        Taken::Missing | Taken::Null => {
            arguments.without_path();
            return None;
        }
    };
    match RelPath::new(beneath_root(name.as_bytes(), options)) {
        Ok(path) => Some(path),
        Err(refusal) => {
            refuse_path(arguments, refusal.code, refusal.message);
            None
        }
    }
}

/// A fault at the name of the file.
fn refuse_path(arguments: &mut Arguments<'_, '_, '_>, code: Code, message: String) {
    let mut fault = Fault::new(code, arguments.span, message);
    let mut path = arguments.path.clone();
    if let Taken::Set(member) = arguments.member(Field::Path) {
        fault.span = member.node.span;
        path = arguments.path_of(&member.key);
    }
    arguments.input.record(fault, &path);
}
