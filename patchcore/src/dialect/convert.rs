//! A plan as a batch on the wire: what a foreign patch means in a tree.

use std::ops::Range;

use crate::batch::{At, Common, Content, Expectation, PatchBatch, PatchOperation, with_common};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::operation::Indent;
use crate::path::RelPath;
use crate::plan::{ChangeKind, FileChange, Plan, Policy, Tree, plan};
use crate::text::{LineNumber, Text};

/// The batch that does to the tree what the plan does, each file guarded by its hash.
///
/// It is planned once more before it is handed out, and only given if it comes to the very same
/// bytes.
///
/// # Errors
/// The plan's own first refusal; `INVALID_BATCH` for a change that operations cannot say: of line
/// endings, of the final newline alone, of the byte order mark, of a name that is not UTF-8, of a
/// symbolic link.
pub fn to_batch(planned: &Plan, tree: &Tree, policy: &Policy) -> Result<PatchBatch, Refusal> {
    if let Some(refusal) = planned
        .verdicts
        .iter()
        .find_map(|verdict| verdict.refusal.as_ref())
    {
        return Err((**refusal).clone());
    }
    let mut batch = PatchBatch::new(Vec::new());
    for change in &planned.changes {
        push_change(change, target_of(change, planned), &mut batch)?;
    }
    let again = plan(&batch.clone().try_into()?, tree, policy);
    if again.digest() == planned.digest() {
        return Ok(batch);
    }
    // Which file it is that a batch cannot say.
    let refusal = again
        .verdicts
        .iter()
        .find_map(|verdict| verdict.refusal.as_ref());
    if let Some(refusal) = refusal {
        return Err((**refusal).clone());
    }
    let differs = planned.changes.iter().find(|change| {
        !again
            .changes
            .iter()
            .any(|other| other.path == change.path && other.state_after() == change.state_after())
    });
    let path = differs.map_or_else(|| "the tree".to_owned(), |change| change.path.to_string());
    Err(Refusal::new(
        Code::InvalidBatch,
        format!(
            "a batch cannot say what the patch does to {path}: it changes line endings or the final newline"
        ),
    ))
}

/// What stands where a change puts a file that comes from elsewhere.
enum Target {
    /// Nothing, or a file that another change moves away.
    Free,
    /// A file with this hash, which goes.
    Replaced(Digest),
}

fn target_of(change: &FileChange, planned: &Plan) -> Target {
    let moves_away = |other: &FileChange| {
        other.kind == ChangeKind::Renamed && other.from.as_ref() == Some(&change.path)
    };
    match (change.kind, change.state_before()) {
        (ChangeKind::Renamed | ChangeKind::Copied | ChangeKind::Created, Some(before))
            if !planned.changes.iter().any(moves_away) =>
        {
            Target::Replaced(before.digest)
        }
        _ => Target::Free,
    }
}

/// Whether a diff in git's format can say what the plan does.
///
/// # Errors
/// `INVALID_BATCH` for a file that is moved over another: git has no word for that.
pub fn check_representable_as_diff(planned: &Plan) -> Result<(), Refusal> {
    let over = |change: &&FileChange| matches!(target_of(change, planned), Target::Replaced(_));
    match planned.changes.iter().find(over) {
        None => Ok(()),
        Some(change) => Err(Refusal::new(
            Code::InvalidBatch,
            format!(
                "a diff cannot say that {} is replaced by another file",
                change.path
            ),
        )
        .in_file(&change.path)),
    }
}

fn push_change(change: &FileChange, target: Target, batch: &mut PatchBatch) -> Result<(), Refusal> {
    let was_link = change
        .source
        .as_ref()
        .is_some_and(|source| source.is_link());
    if was_link || change.is_link() {
        let message = format!(
            "a batch cannot say what the patch does to {}, which is a symbolic link",
            change.path
        );
        return Err(Refusal::new(Code::InvalidBatch, message).in_file(&change.path));
    }
    let path = name(&change.path)?;
    let old = match &change.from {
        Some(from) => name(from)?,
        None => path.clone(),
    };
    if let Some(source) = &change.source {
        batch.base.insert(old.clone(), source.digest());
    }
    let executable = change.after.as_ref().is_some_and(|after| after.executable);
    let was_executable = change
        .source
        .as_ref()
        .is_some_and(|source| source.executable());
    let operations = &mut batch.operations;
    if let Target::Replaced(digest) = target {
        let common = Common {
            base: Some(digest),
            ..Common::of(path.clone())
        };
        operations.push(with_common!(DeleteFile { expect: None } from common));
    }
    let (of_old, of_path) = (Common::of(old.clone()), Common::of(path.clone()));
    let is_as_source = change.edits.is_empty() && executable == was_executable;
    match change.kind {
        ChangeKind::Copied if is_as_source => {
            operations.push(with_common!(CopyFile { to: path } from of_old));
        }
        ChangeKind::Created | ChangeKind::Copied => {
            let content = Content::new(change.chunks().collect::<Vec<_>>().concat());
            operations.push(with_common!(CreateFile { content, executable } from of_path));
        }
        ChangeKind::Deleted => {
            operations.push(with_common!(DeleteFile { expect: None } from of_path));
        }
        ChangeKind::Modified | ChangeKind::Renamed | ChangeKind::Mode => {
            push_lines(change, &old, operations)?;
            if executable != was_executable {
                operations.push(with_common!(SetMode { executable } from of_old));
            }
            if change.kind == ChangeKind::Renamed {
                let common = Common::of(old);
                operations.push(with_common!(RenameFile { to: path } from common));
            }
        }
    }
    Ok(())
}

/// An operation for each block of lines that the change replaces.
fn push_lines(
    change: &FileChange,
    file: &str,
    operations: &mut Vec<PatchOperation>,
) -> Result<(), Refusal> {
    let text = Text::new(change.source_bytes());
    let on_bom = |edit: &Edit| edit.span.start < text.bom_len();
    if change.edits.as_slice().first().is_some_and(on_bom) {
        return Err(Refusal::new(
            Code::InvalidBatch,
            format!(
                "a batch cannot say what the patch does to {}: it changes the byte order mark, which is part of no line",
                change.path
            ),
        )
        .in_file(&change.path));
    }
    let blocks = blocks(change.source_bytes(), change.edits.as_slice()).into_iter();
    operations.extend(blocks.map(|block| line_operation(file, &text, block)));
    Ok(())
}

fn name(path: &RelPath) -> Result<String, Refusal> {
    path.as_str().map(str::to_owned).ok_or_else(|| {
        Refusal::new(
            Code::InvalidBatch,
            format!("a batch cannot name {path}, which is not UTF-8"),
        )
    })
}

/// Whole lines of the old text and what stands there instead.
struct Block {
    span: Range<usize>,
    new: Vec<u8>,
}

/// Edits widened to whole lines; edits that share a line become one block.
fn blocks(source: &[u8], edits: &[Edit]) -> Vec<Block> {
    let text = Text::new(source);
    let mut blocks: Vec<(Range<usize>, Vec<&Edit>)> = Vec::new();
    for edit in edits {
        let span = whole_lines(&text, edit);
        match blocks.last_mut() {
            Some((last, members)) if span.start < last.end => {
                last.end = last.end.max(span.end);
                members.push(edit);
            }
            _ => blocks.push((span, vec![edit])),
        }
    }
    let widen = |(span, members): (Range<usize>, Vec<&Edit>)| {
        let mut new = Vec::new();
        let mut at = span.start;
        for edit in members {
            new.extend_from_slice(&source[at..edit.span.start]);
            new.extend_from_slice(&edit.text);
            at = edit.span.end;
        }
        new.extend_from_slice(&source[at..span.end]);
        Block { span, new }
    };
    blocks.into_iter().map(widen).collect()
}

fn whole_lines(text: &Text<'_>, edit: &Edit) -> Range<usize> {
    let bytes = text.bytes();
    let start = text.line_start(edit.span.start);
    let is_start = start == edit.span.start;
    // New lines before a line, or behind the last: no old line is touched.
    if edit.span.is_empty()
        && is_start
        && edit.text.ends_with(b"\n")
        && (start < bytes.len() || text.ends_in_newline())
    {
        return start..start;
    }
    let behind_newline = edit.span.end > edit.span.start && bytes[edit.span.end - 1] == b'\n';
    let ends_whole =
        behind_newline && (edit.text.is_empty() && is_start || edit.text.ends_with(b"\n"));
    let end = if ends_whole {
        edit.span.end
    } else {
        crate::bytes::find(b'\n', &bytes[edit.span.end..])
            .map_or(bytes.len(), |at| edit.span.end + at + 1)
    };
    // Text behind the last newline joins the last line.
    let start = if start == bytes.len() && start > text.bom_len() {
        text.line_start(start - 1)
    } else {
        start
    };
    start..end
}

fn line_operation(file: &str, text: &Text<'_>, block: Block) -> PatchOperation {
    let common = Common::of(file.to_owned());
    let Block { span, new } = block;
    let content = Content::new(new);
    let guard = Expectation::default();
    let indent = Indent::Verbatim;
    let first = text.line_at(span.start);
    if !span.is_empty() {
        let last = text.line_at(span.end - 1);
        let lines = [first.get(), last.get()];
        return with_common!(ReplaceBlock {
            at: At::Lines { lines },
            guard,
            content,
            pad: false,
            indent,
        } from common);
    }
    if span.start < text.bytes().len() {
        let at = At::Line { line: first.get() };
        return with_common!(InsertBefore { at, guard, content, indent } from common);
    }
    match LineNumber::new(first.get() - 1) {
        None => with_common!(Append { content } from common),
        Some(last) => {
            let at = At::Line { line: last.get() };
            with_common!(InsertAfter { at, guard, content, indent } from common)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Action, Batch, Operation};

    /// The batch that a splice of one file is said by.
    fn said(old: &str, edits: Vec<Edit>) -> Result<PatchBatch, Refusal> {
        let path = RelPath::new("f").unwrap();
        let tree = Tree::new().with_file(path.clone(), old);
        let batch = Batch::new(
            vec![Operation::new(path, Action::Splice(edits))],
            Digest::of(b""),
        );
        let policy = Policy::default();
        to_batch(&plan(&batch, &tree, &policy), &tree, &policy)
    }

    fn names(batch: &PatchBatch) -> Vec<&str> {
        batch.operations.iter().map(PatchOperation::name).collect()
    }

    #[test]
    fn edits_become_the_line_operations_that_do_the_same() {
        let said = |old: &str, edits: Vec<Edit>| names(&said(old, edits).unwrap()).join(" ");
        assert_eq!(
            said("a\nb\nc\n", vec![Edit::replace(2..4, "B\n")]),
            "replace-block"
        );
        assert_eq!(
            said("a\nb\nc\n", vec![Edit::insert(2, "x\n")]),
            "insert-before"
        );
        assert_eq!(said("a\nb\n", vec![Edit::insert(4, "x\n")]), "insert-after");
        assert_eq!(said("", vec![Edit::insert(0, "x\n")]), "append");
        assert_eq!(said("a\nb", vec![Edit::insert(3, "\nx")]), "replace-block");
        assert_eq!(said("a\nb\nc\n", vec![Edit::delete(2..4)]), "replace-block");
        assert_eq!(
            said(
                "abc\n",
                vec![Edit::replace(0..1, "x"), Edit::replace(2..3, "y")]
            ),
            "replace-block"
        );
        assert_eq!(
            said("\u{feff}a\n", vec![Edit::insert(3, "x\n")]),
            "insert-before"
        );
    }

    #[test]
    fn what_lines_cannot_say_is_refused() {
        for (old, edit) in [
            ("a\nb", Edit::insert(3, "\n")),
            ("a\nb\n", Edit::delete(3..4)),
            ("a\r\nb\r\n", Edit::delete(1..2)),
            ("\u{feff}", Edit::replace(0..3, "x\n")),
            ("\u{feff}a\n", Edit::delete(0..3)),
            ("\u{feff}a\n", Edit::insert(0, "x\n")),
        ] {
            let refusal = said(old, vec![edit]).unwrap_err();
            assert_eq!(refusal.code, Code::InvalidBatch, "{old:?}");
        }
    }
}
