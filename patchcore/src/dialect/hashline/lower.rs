//! From commands to operations, guarded by the tag of their section.

use super::{Command, Hashline, Section, Tagged};
use crate::error::{Code, MAX_FOUND, Refusal};
use crate::operation::{
    Action, Address, Batch, Guard, Indent, Insertion, Lines, Older, OlderEdit, Operation, Target,
};
use crate::plan::{Source, Tree};
use crate::rebase::BaseName;
use crate::rebase::Tag;
use crate::text::{LineNumber, Text, trim_ending};

/// Lines of a listing that a refusal shows around those that a command names.
const AROUND: u64 = 2;

pub(super) fn lower(patch: &Hashline, tree: &Tree) -> Batch {
    let mut operations = Vec::new();
    for section in &patch.sections {
        let source = tree.file(&section.path);
        for command in &section.commands {
            let action = action(command, source.map(|source| source.text()).as_ref());
            let mut operation = Operation::new(section.path.clone(), action);
            if let Some(source) = source {
                guard(&mut operation, section, command, source);
            }
            operations.push(operation);
        }
    }
    Batch::new(operations, patch.content)
}

/// Holds an operation to the tag; where there is no file, planning says so.
fn guard(operation: &mut Operation, section: &Section, command: &Command, source: &Source) {
    let present = Tag::from(&source.digest());
    match &section.tag {
        Tagged::By(tag) if *tag == present => operation.base = Some(source.digest()),
        Tagged::By(tag) => {
            operation.reading.meant = Some(operation.action.name());
            let refused = Action::Refused(stale(*tag, section, command, source).into());
            let action = std::mem::replace(&mut operation.action, refused);
            operation.reading.older = Some(Box::new(Older {
                base: BaseName::Tag(*tag),
                edit: OlderEdit::Action(action),
            }));
        }
        Tagged::Foreign(tag) => {
            let header = present.header(&section.path);
            operation.reading.to_guard = Some(format!(
                "read the file as a listing with tags and send its header, with the numbers as they are there; now it is {header}"
            ));
            operation.reading.note = Some(match tag.as_str() {
                "" => format!("the header has no tag; the one of the file is {header}"),
                tag => format!(
                    "the tag {tag:?} has too few digits to prove the text; the one of the file is {header}"
                ),
            });
        }
    }
}

fn action(command: &Command, text: Option<&Text<'_>>) -> Action {
    let at = |first: u64, last: u64| Address::only(Target::Lines { first, last });
    let insertion = |line: u64, rows: &[u8]| Insertion {
        at: at(line, line),
        guard: Guard::default(),
        content: Lines::new(rows),
        indent: Indent::Verbatim,
    };
    match command {
        Command::Swap { first, last, rows } => Action::ReplaceBlock {
            at: at(*first, *last),
            guard: Guard::default(),
            content: Lines::new(&**rows),
            pad: false,
            indent: Indent::Verbatim,
        },
        Command::Before { line, rows } => Action::InsertBefore(insertion(*line, rows)),
        Command::Behind { line, rows } => Action::InsertAfter(insertion(*line, rows)),
        Command::Head(rows) if text.is_some_and(|text| !text.is_empty()) => {
            Action::InsertBefore(insertion(1, rows))
        }
        Command::Head(rows) | Command::Tail(rows) => Action::Append(Lines::new(&**rows)),
        Command::Remove => Action::DeleteFile { expect: None },
        Command::Move(to) => Action::RenameFile { to: to.clone() },
    }
}

/// The refusal of a command whose tag is another text's: it shows the present lines as a listing.
fn stale(tag: Tag, section: &Section, command: &Command, source: &Source) -> Refusal {
    let path = &section.path;
    let present = Tag::from(&source.digest());
    let text = source.text();
    let count = text.line_count() as u64;
    let (first, last) = match command {
        Command::Swap { first, last, .. } => (*first, *last),
        Command::Before { line, .. } | Command::Behind { line, .. } => (*line, *line),
        Command::Tail(_) => (count, count),
        Command::Head(_) | Command::Remove | Command::Move(_) => (1, 1),
    };
    let line = first.min(count).max(1);
    let mut listing = present.header(path).into_bytes();
    let from = line.saturating_sub(AROUND).max(1);
    for number in from..=last.saturating_add(AROUND).min(count) {
        let span = LineNumber::new(number).and_then(|number| text.line(number));
        let Some(span) = span.filter(|_| listing.len() < MAX_FOUND) else {
            break;
        };
        listing.extend_from_slice(format!("\n{number}:").as_bytes());
        listing.extend_from_slice(trim_ending(&text.bytes()[span]));
    }
    let message = format!(
        "{path} has changed since it was listed: its tag is {present}, and the patch has {tag}; take the numbers from the lines as they are now"
    );
    let mut refusal = Refusal::new(Code::BaseMismatch, message)
        .in_file(path)
        .with_found(&listing);
    refusal.line = LineNumber::new(line);
    refusal
}
