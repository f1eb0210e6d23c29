//! From calls to what is to be done, one step after another.

use super::Step;
use super::edits::{Reader, preview};
use super::fields::{Arguments, Field, Input, Taken, plain};
use super::find::{Call, State};
use super::node::{Node, Value};
use super::tools::{
    COPIES, EDITS, ELSEWHERE, LOOKS, SHELLS, TALKS, is_writer, last_part, tool_end,
};
use super::{envelope, find, look, patch, rest};
use crate::dialect::{Dialect, Options, beneath_root};
use crate::error::excerpt;
use crate::path::RelPath;
use crate::plan::Part;

/// What a call came to.
pub(super) enum Outcome {
    /// It edits, or is faulty.
    Edit,
    /// It edits nothing, and why.
    Nothing(String),
    /// It looks at a file.
    Look(String, (RelPath, Part)),
}

/// Reads one call into steps; what is wrong with it is a fault of the input.
pub(super) fn call(
    call: &Call,
    options: &Options,
    input: &mut Input<'_>,
    steps: &mut Vec<Step>,
) -> Outcome {
    let tool = call.name.as_deref().map(last_part).unwrap_or_default();
    if let Some(outcome) = already(call, &tool) {
        return outcome;
    }
    if call.arguments.text_of("type") == Some("apply_patch_call") {
        return applied_operation(call, options, input, steps);
    }
    let shown = call.name.as_deref().unwrap_or("the call");
    let Value::Map(members) = &call.arguments.value else {
        return loose(call, &tool, options, input, steps);
    };
    if envelope::is_elsewhere(&call.arguments, options, &call.path, input) {
        return Outcome::Edit;
    }
    let mut arguments = Arguments {
        input,
        members,
        span: call.arguments.span,
        path: call.path.clone(),
        notes: Vec::new(),
    };
    let is_shell = SHELLS.contains(&&*tool);
    match envelope::of(members, is_shell) {
        Some(Ok(found)) => {
            enveloped(found, call, options, &mut arguments, steps);
            return Outcome::Edit;
        }
        Some(Err(why)) => {
            arguments.fault(why);
            return Outcome::Edit;
        }
        None => {}
    }
    if is_shell {
        return Outcome::Nothing(shell(shown, members.iter().find_map(|m| m.node.text())));
    }
    by_parameters(call, &tool, options, &mut arguments, steps)
}

/// Reads a call by what its name and its parameters show of its purpose.
fn by_parameters(
    call: &Call,
    tool: &str,
    options: &Options,
    arguments: &mut Arguments<'_, '_, '_>,
    steps: &mut Vec<Step>,
) -> Outcome {
    let shown = call.name.as_deref().unwrap_or("the call");
    let signs = Signs::of(tool, options, arguments);
    if COPIES.contains(&tool) {
        arguments.fault(
            "a call cannot copy a file; send a batch with a copy-file operation, or the new file",
        );
        return Outcome::Edit;
    }
    let is_elsewhere = ELSEWHERE.iter().any(|word| tool.contains(word));
    if is_elsewhere && !signs.has_edit && !signs.has_whole && !arguments.has(Field::Command) {
        return Outcome::Nothing(format!("{shown} is not an edit of a file"));
    }
    let is_filled = |field| {
        let mut members = arguments.find(field);
        members.any(|member| !rest::is_empty(&member.node))
    };
    if signs.looks && is_filled(Field::Old) && is_filled(Field::New) {
        arguments.fault("the call is to look at a file, and has old and new text; send \"str_replace\" for the edit");
        return Outcome::Edit;
    }
    if signs.looks || (signs.is_look && !signs.has_edit && !signs.edits) {
        let name = if signs.looks { "view" } else { shown };
        let is_view = signs.looks || look::is_view(tool);
        return looking(name, is_view, options, arguments);
    }
    let may_write = signs.has_whole && !signs.talks;
    if !signs.is_known && !signs.has_edit && !may_write && !arguments.has(Field::Command) {
        return Outcome::Nothing(format!("{shown} is not an edit"));
    }
    Reader {
        options,
        steps,
        call,
        tool,
    }
    .read(arguments);
    Outcome::Edit
}

/// What a call that only looks came to.
fn looking(
    name: &str,
    is_view: bool,
    options: &Options,
    arguments: &mut Arguments<'_, '_, '_>,
) -> Outcome {
    let path = arguments.text(Field::Path).ok();
    let of = (path.as_ref()).map_or_else(String::new, |path| format!(" of {path}"));
    let why = format!("{name}{of} only looks and edits nothing");
    let path = path
        .filter(|_| is_view)
        .and_then(|path| RelPath::new(beneath_root(path.as_bytes(), options)).ok());
    match path {
        Some(path) => Outcome::Look(why, (path, look::part(arguments.members))),
        None => Outcome::Nothing(why),
    }
}

/// What a call's name and parameters show of its purpose.
struct Signs {
    /// Its command is to look.
    looks: bool,
    /// Its name is of a tool that looks.
    is_look: bool,
    /// Its name is of a tool that edits.
    edits: bool,
    /// Its name is known.
    is_known: bool,
    /// Its name is of a tool that says something.
    talks: bool,
    /// It has the parameters of an edit.
    has_edit: bool,
    /// It has a file and new text for it.
    has_whole: bool,
}

impl Signs {
    fn of(tool: &str, options: &Options, arguments: &mut Arguments<'_, '_, '_>) -> Self {
        let looks = matches!(looked_at(arguments), Some(true));
        let is_look = LOOKS.iter().any(|word| tool.contains(word));
        let edits = EDITS.iter().any(|word| tool.contains(word));
        let is_known = edits || is_writer(tool) || tool_end(tool).is_some();
        let talks = !is_known && TALKS.iter().any(|word| tool.contains(word));
        let has = |fields: &[Field]| fields.iter().any(|field| arguments.has(*field));
        let has_new = has(&[Field::New, Field::Content]);
        let mut patches = arguments.find(Field::Patch);
        let has_patch = patches.any(|member| member.node.text().is_some_and(find::may_hold_patch));
        // Text that is looked for, or said, is none that is written.
        let has_edit = has(&[
            Field::Edits,
            Field::Sketch,
            Field::InsertLine,
            Field::LineTag,
        ]) || has_patch
            || (has(&[Field::Old]) && has(&[Field::New]))
            || (!is_look && !talks && has(&[Field::Old, Field::Patch]));
        let has_path = arguments.has(Field::Path) || options.file.is_some();
        Self {
            looks,
            is_look,
            edits,
            is_known,
            talks,
            has_edit,
            has_whole: has_new && has_path,
        }
    }
}

/// A call with an envelope, which is all that it may hold.
fn enveloped(
    found: envelope::Found,
    call: &Call,
    options: &Options,
    arguments: &mut Arguments<'_, '_, '_>,
    steps: &mut Vec<Step>,
) {
    let dialect = envelope::dialect(&found.text);
    let faults = arguments.input.faults.len();
    if arguments.has(Field::Path)
        && let Taken::Set(name) = arguments.text(Field::Path)
        && let Ok(path) = RelPath::new(beneath_root(name.as_bytes(), options))
        && let Some(other) = patch::another_exactly(&found.text, dialect, &path, options)
    {
        return arguments.fault(patch::names_another(&other, &path));
    }
    if arguments.flag(Field::DryRun).ok() == Some(true) {
        let why = preview(arguments);
        return arguments.fault(why);
    }
    rest::check(arguments, &[], &[&plain(&found.key)], options);
    if arguments.input.faults.len() == faults {
        steps.push(Step::patch(dialect, found.text, options.clone(), call));
    }
}

/// A call that the agent itself has carried out, or tried to.
fn already(call: &Call, tool: &str) -> Option<Outcome> {
    let name = call.name.as_deref().unwrap_or("the call");
    let shown = if tool == "filechange" {
        let changes = call.arguments.get("changes").and_then(Node::list);
        let paths = changes.unwrap_or_default().iter();
        let paths: Vec<&str> = paths.filter_map(|change| change.text_of("path")).collect();
        format!("{name} of {}", paths.join(", "))
    } else {
        let text = call
            .arguments
            .text_of("file_path")
            .or(call.arguments.text_of("path"));
        text.map_or_else(|| name.to_owned(), |path| format!("{name} of {path}"))
    };
    let shown = excerpt(shown.as_bytes(), 160);
    let why = match call.state {
        State::Executed => "was already executed by the agent and is not done again",
        State::Failed => "failed when the agent executed it and is not done here",
        State::Proposed if tool == "filechange" => "says which files change and not how",
        State::Proposed => return None,
    };
    Some(Outcome::Nothing(format!("{shown} {why}")))
}

fn shell(name: &str, command: Option<&str>) -> String {
    let command = command.map_or_else(String::new, |command| {
        format!(": {}", excerpt(command.as_bytes(), 80))
    });
    format!("{name} is a command of a shell, which is not run here{command}")
}

/// Whether a call asks to look at a file.
fn looked_at(arguments: &mut Arguments<'_, '_, '_>) -> Option<bool> {
    if !matches!(arguments.member(Field::Command), Taken::Set(member) if member.node.text().is_some())
    {
        return None;
    }
    let command = arguments.text(Field::Command).ok()?;
    Some(matches!(&*command, "view" | "read" | "Line" | "Directory"))
}

/// Parameters that are no object: an envelope as they are, or nothing that is known.
fn loose(
    call: &Call,
    tool: &str,
    options: &Options,
    input: &mut Input<'_>,
    steps: &mut Vec<Step>,
) -> Outcome {
    let is_shell = SHELLS.contains(&tool);
    match envelope::in_value(&call.arguments, is_shell) {
        Some(Ok(text)) => {
            let dialect = envelope::dialect(&text);
            steps.push(Step::patch(dialect, text, options.clone(), call));
            return Outcome::Edit;
        }
        Some(Err(why)) => {
            input.fault(call.arguments.span, &call.path, why);
            return Outcome::Edit;
        }
        None => {}
    }
    let name = call.name.as_deref().unwrap_or("the call");
    if let Value::List(list) = &call.arguments.value
        && is_shell
    {
        let words: Vec<&str> = list.iter().filter_map(Node::text).collect();
        return Outcome::Nothing(shell(name, Some(&words.join(" "))));
    }
    if EDITS.iter().any(|word| tool.contains(word)) {
        let found = call.arguments.kind();
        input.fault(
            call.arguments.span,
            &call.path,
            format!("expected the parameters of {name} as an object, found {found}"),
        );
        return Outcome::Edit;
    }
    Outcome::Nothing(format!("{name} is not an edit"))
}

/// The operation of a Responses API's `apply_patch_call`, as an envelope.
fn applied_operation(
    call: &Call,
    options: &Options,
    input: &mut Input<'_>,
    steps: &mut Vec<Step>,
) -> Outcome {
    let operation = call.arguments.get("operation").unwrap_or(&call.arguments);
    let path = operation.text_of("path").unwrap_or_default();
    let diff = operation.text_of("diff").unwrap_or_default();
    let header = match operation.text_of("type") {
        Some("create_file") => "Add",
        Some("update_file") => "Update",
        Some("delete_file") => "Delete",
        _ => {
            input.fault(
                operation.span,
                &call.path,
                "expected an operation of the type create_file, update_file or delete_file",
            );
            return Outcome::Edit;
        }
    };
    let end = if diff.is_empty() || diff.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let text = format!("*** Begin Patch\n*** {header} File: {path}\n{diff}{end}*** End Patch\n");
    steps.push(Step::patch(Dialect::Codex, text, options.clone(), call));
    Outcome::Edit
}
