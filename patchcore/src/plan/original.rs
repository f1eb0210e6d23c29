//! Planning in original coordinates: every address speaks of the tree before the batch.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::anchor::Resolver;
use crate::diff::LineStats;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Lines};
use crate::text::{LineNumber, Text};
use crate::threads;

use super::assemble::{Assembled, Clash, assemble, find_clashes};
use super::change;
use super::content::{self, Piece, Places};
use super::encoding;
use super::find::Finds;
use super::growth::Terms;
use super::names::{self, Node};
use super::{
    After, ChangeKind, FileChange, Hashing, Outcome, Policy, Source, Touch, Tree, Verdict,
};

/// Files of at least this many bytes are hashed beside the work on them.
const HASH_ASIDE: usize = 1 << 20;

/// The changes that all operations that pass would make, and a verdict for each operation.
pub(super) fn plan(
    batch: &Batch,
    tree: &Tree,
    policy: &Policy,
    hashing: Hashing,
    refused: HashMap<usize, Arc<Refusal>>,
) -> (Vec<FileChange>, Vec<Verdict>) {
    let terms = Terms::of(policy, tree);
    let names = names::resolve(&batch.operations, tree, &terms, refused);
    let operations = batch.operations.iter();
    let mut verdicts: Vec<Verdict> = operations.map(|it| Verdict::passed(batch, it)).collect();
    for (index, settled) in names.settled {
        match settled {
            Ok(()) => verdicts[index].outcome = Outcome::AlreadyApplied,
            Err(refusal) => verdicts[index].refuse(refusal),
        }
    }
    for (index, note) in names.notes {
        verdicts[index].add_note(note);
    }
    for (index, path) in names.replacing {
        verdicts[index].add_note(format!("replaces {path}"));
    }
    for (index, operation) in batch.operations.iter().enumerate() {
        if let Action::DeleteFile { expect: None } = operation.action {
            verdicts[index].guarded = operation.base.is_some();
        }
    }
    let before = terms.clone();
    let mut results = threads::map(&names.nodes, |node| {
        resolve_node(node, batch, &terms, hashing)
    });
    if terms.is_exceeded() && names.nodes.len() > 1 {
        // Which operation is one too many is not left to the threads.
        let in_order = names.nodes.iter();
        results = in_order
            .map(|node| resolve_node(node, batch, &before, hashing))
            .collect();
    }
    let mut changes = Vec::with_capacity(results.len());
    for result in results {
        for (index, verdict) in result.verdicts {
            let named = &mut verdicts[index];
            named.outcome = verdict.outcome;
            named.lines = verdict.lines;
            named.guarded = verdict.guarded;
            if let Some(note) = verdict.note {
                named.add_note(note);
            }
            named.refusal = verdict.refusal;
        }
        changes.extend(result.change);
    }
    change::merge_recreated(&mut changes);
    (changes, verdicts)
}

/// What became of one file.
struct NodeResult {
    change: Option<FileChange>,
    /// Verdicts of the operations on content, and of others where they differ from «passed».
    verdicts: Vec<(usize, Verdict)>,
}

fn resolve_node(node: &Node<'_>, batch: &Batch, terms: &Terms<'_>, hashing: Hashing) -> NodeResult {
    let created;
    let source: &Arc<Source> = match &node.source {
        Some(source) => source,
        // Content operations on a created file work on its content.
        None => {
            let content = node.created.map_or(&[][..], |(_, content)| content);
            created = Arc::new(Source::new(content.to_vec(), false));
            &created
        }
    };
    if node.deleted.is_some() {
        return NodeResult {
            change: Some(FileChange::deletion(
                node.path.clone(),
                source,
                node.deleted.unwrap_or_default(),
            )),
            verdicts: Vec::new(),
        };
    }
    let resolve = || {
        let text = source.text();
        let (assembled, verdicts) = resolve_content(node, source, &text, batch, terms);
        let change = change_of(node, source, assembled);
        if let (Hashing::Now, Some(change)) = (hashing, &change) {
            let _ = change.state_after();
        }
        NodeResult { change, verdicts }
    };
    let is_hash_wanted = || {
        hashing == Hashing::Now
            || (node.content.iter()).any(|&index| batch.operations[index].base.is_some())
    };
    let mut result = if source.bytes().len() >= HASH_ASIDE && is_hash_wanted() {
        threads::join(resolve, || source.digest()).0
    } else {
        resolve()
    };
    check_bases(node, source, batch, &mut result.verdicts);
    result
}

/// Resolves all operations on the content of a file.
fn resolve_content(
    node: &Node<'_>,
    source: &Source,
    text: &Text<'_>,
    batch: &Batch,
    terms: &Terms<'_>,
) -> (Assembled, Vec<(usize, Verdict)>) {
    if node.content.is_empty() {
        return (Assembled::default(), Vec::new());
    }
    let blocks: Vec<Cow<'_, Lines>> = node
        .content
        .iter()
        .flat_map(|&index| content::wanted_blocks(&batch.operations[index]))
        .collect();
    let mut resolver = Resolver::new(node.named(), text, blocks.iter().map(|block| &**block));
    let operations = node.content.iter().map(|&index| &batch.operations[index]);
    let finds = Finds::of(text, operations.filter_map(content::wanted_text));
    let mut places = Places {
        resolver: &mut resolver,
        finds: &finds,
    };
    let needs_text = node.content.iter().any(|&i| !batch.operations[i].binary);
    let editable = match needs_text {
        true => content::check_editable(node.named(), source.encoding(), terms.policy),
        false => Ok(()),
    };
    let mut pieces: Vec<Piece> = Vec::with_capacity(node.content.len());
    let mut verdicts: Vec<(usize, Verdict)> = Vec::with_capacity(node.content.len());
    for &index in &node.content {
        let operation = &batch.operations[index];
        let mut verdict = Verdict::unnamed();
        let may_edit = match operation.binary {
            true => Ok(()),
            false => editable.clone(),
        };
        let digest = || source.digest();
        let path = node.named();
        let resolved = may_edit.and_then(|()| {
            content::resolve(index, operation, path, text, &mut places, terms, &digest)
        });
        match resolved {
            Ok(resolution) => {
                verdict.guarded = resolution.guarded;
                verdict.note = resolution.note;
                if resolution.pieces.is_empty() {
                    verdict.outcome = Outcome::AlreadyApplied;
                }
                pieces.extend(resolution.pieces);
            }
            Err(refusal) => verdict.refuse(refusal),
        }
        verdicts.push((index, verdict));
    }
    settle_content(node, text, batch, terms, pieces, verdicts)
}

/// Puts together what the operations on the content of a file were resolved to, if they go together.
fn settle_content(
    node: &Node<'_>,
    text: &Text<'_>,
    batch: &Batch,
    terms: &Terms<'_>,
    mut pieces: Vec<Piece>,
    mut verdicts: Vec<(usize, Verdict)>,
) -> (Assembled, Vec<(usize, Verdict)>) {
    for (index, refusal) in encoding::mixed(
        node.named(),
        text.bytes(),
        &pieces,
        &batch.operations,
        terms.policy,
    ) {
        if let Some(verdict) = verdict_of(&mut verdicts, index)
            && verdict.refusal.is_none()
        {
            verdict.refuse(refusal);
        }
    }
    let mut sound = verdicts
        .iter()
        .all(|(_, verdict)| verdict.refusal.is_none());
    sound &= settle_clashes(node, text, &mut pieces, &mut verdicts);
    if !sound {
        return (Assembled::default(), verdicts);
    }
    let assembled = assemble(text, pieces);
    for (index, [first, last]) in &assembled.landed {
        if let Some(verdict) = verdict_of(&mut verdicts, *index) {
            let before = verdict.lines.unwrap_or([*first, *last]);
            verdict.lines = Some([before[0].min(*first), before[1].max(*last)]);
        }
    }
    (assembled, verdicts)
}

/// The verdict on an operation; they are in batch order.
fn verdict_of(verdicts: &mut [(usize, Verdict)], operation: usize) -> Option<&mut Verdict> {
    let place = verdicts
        .binary_search_by_key(&operation, |(index, _)| *index)
        .ok()?;
    Some(&mut verdicts[place].1)
}

/// Refuses the operations that were made for another state of the file: goes before all else that
/// may be wrong with them. The hash of a large file comes late, so this is the last to look.
fn check_bases(node: &Node<'_>, source: &Source, batch: &Batch, verdicts: &mut [(usize, Verdict)]) {
    let text = source.text();
    let mut resolver = None;
    for (index, verdict) in verdicts {
        let operation = &batch.operations[*index];
        if operation.base.is_none_or(|base| base == source.digest())
            || matches!(verdict.refusal.as_deref(), Some(refusal) if is_about_encoding(refusal.code))
        {
            continue;
        }
        verdict.refuse(content::base_mismatch(
            operation,
            node.named(),
            source.digest(),
            resolver.get_or_insert_with(|| Resolver::new(node.named(), &text, [])),
        ));
    }
}

fn is_about_encoding(code: Code) -> bool {
    matches!(code, Code::BinaryFile | Code::UnsupportedEncoding)
}

/// Settles duplicates and refuses overlaps; tells whether there was no overlap.
fn settle_clashes(
    node: &Node<'_>,
    text: &Text<'_>,
    pieces: &mut Vec<Piece>,
    verdicts: &mut [(usize, Verdict)],
) -> bool {
    let clashes = find_clashes(pieces);
    if clashes.is_empty() {
        return true;
    }
    // Where the pieces that are left start, by operation.
    let mut starts: HashMap<usize, usize> = HashMap::new();
    for piece in pieces.iter() {
        starts.entry(piece.operation).or_insert(piece.span.start);
    }
    let mut overlaps: Vec<(usize, usize)> = Vec::new();
    for clash in clashes {
        match clash {
            // An operation of which something else is left is no duplicate as a whole.
            Clash::Duplicate { of, operation } if starts.contains_key(&operation) => {
                overlaps.push((of, operation));
            }
            Clash::Duplicate { operation, .. } => {
                if let Some(verdict) = verdict_of(verdicts, operation) {
                    verdict.outcome = Outcome::AlreadyApplied;
                }
            }
            Clash::Overlap { with, operation } => overlaps.push((with, operation)),
        }
    }
    for (with, operation) in &overlaps {
        let Some(verdict) = verdict_of(verdicts, *operation) else {
            continue;
        };
        if verdict.refusal.is_some() {
            continue;
        }
        let at = starts.get(operation);
        let line = at.map_or(LineNumber::FIRST, |&start| text.line_at(start));
        let path = node.named();
        let what = match with == operation {
            true => {
                format!("operation {operation} edits the same bytes twice at line {line} of {path}")
            }
            false => format!(
                "operations {with} and {operation} both edit line {line} of {path}; send one of them"
            ),
        };
        verdict.refuse(
            Refusal::new(Code::Overlap, what)
                .in_file(path)
                .at_line(line),
        );
    }
    overlaps.is_empty()
}

/// What a node's name, mode and edits come to; `None` where that is nothing.
fn change_of(node: &Node<'_>, source: &Arc<Source>, assembled: Assembled) -> Option<FileChange> {
    let executable = !node.link
        && node
            .mode
            .map_or(source.executable(), |(_, executable)| executable);
    let kind = match (node.renamed, node.created) {
        (Some(_), _) => ChangeKind::Renamed,
        (None, Some(_)) if node.copied_from.is_some() => ChangeKind::Copied,
        (None, Some(_)) => ChangeKind::Created,
        (None, None) if assembled.edits.is_empty() => ChangeKind::Mode,
        (None, None) => ChangeKind::Modified,
    };
    let (edits, touches, kept_source) = match kind {
        ChangeKind::Created => {
            let (edits, touches) = created(node, source, assembled);
            (edits, touches, None)
        }
        _ => {
            let touches = touches(node, assembled.touches);
            (assembled.edits, touches, Some(source.clone()))
        }
    };
    let old = kept_source
        .as_ref()
        .map_or(&[][..], |source| source.bytes());
    let stats = LineStats::of(old, edits.as_slice());
    let change = FileChange {
        path: node.path.clone(),
        from: node
            .copied_from
            .clone()
            .or_else(|| node.renamed.and(node.old.clone())),
        kind,
        source: kept_source,
        dressed_as: None,
        edits,
        before: match kind {
            ChangeKind::Renamed => None,
            _ => node.old.is_some().then(|| source.clone()),
        },
        after: Some(match node.link {
            true => After::link(),
            false => After::new(executable),
        }),
        touches,
        lines_added: stats.added,
        lines_removed: stats.removed,
    };
    (!change.is_noop()).then_some(change)
}

/// The content of a new file and the edits of it, as one insertion into nothing.
fn created(node: &Node<'_>, source: &Source, assembled: Assembled) -> (EditSet, Vec<Touch>) {
    let content = assembled.edits.apply(source.bytes());
    let (operation, _) = node.created.unwrap_or_default();
    let creation = Touch {
        operation,
        edit: 0,
        added: Text::new(&content).line_count(),
        removed: 0,
    };
    let edits = assembled.touches.into_iter();
    let edits = edits.map(|touch| Touch { edit: 0, ..touch });
    let touches = std::iter::once(creation).chain(edits).collect();
    let whole = match content.is_empty() {
        true => Vec::new(),
        false => vec![Edit::insert(0, content)],
    };
    (EditSet::new(whole, 0).expect("one insertion"), touches)
}

/// Which operations did what to a file, with those that changed its name or mode.
fn touches(node: &Node<'_>, mut touches: Vec<Touch>) -> Vec<Touch> {
    let whole_file = [
        node.renamed,
        node.mode.map(|(index, _)| index),
        node.created.map(|(index, _)| index),
    ];
    for operation in whole_file.into_iter().flatten() {
        if !touches.iter().any(|touch| touch.operation == operation) {
            touches.push(Touch {
                operation,
                edit: 0,
                added: 0,
                removed: 0,
            });
        }
    }
    touches.sort_by_key(|touch| touch.operation);
    touches
}
