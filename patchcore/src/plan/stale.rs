//! Operations that were made for an older state of their file: where their lines are by now.
//!
//! It is looked at only for what was refused, so that all else costs nothing.

mod laid;

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::anchor::Resolver;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::operation::{
    Action, Address, Batch, Coordinates, Lines, Occurrence, Older, OlderEdit, Operation, Target,
};
use crate::path::RelPath;
use crate::rebase::{Layouts, Lost, Map, NEIGHBOURS, Rebased};
use crate::text::{BOM, LineEnding, LineNumber, Text, split_lines};

use super::content;
use super::find::find_text;
use super::{Hashing, Outcome, Plan, Policy, Source, Tree, plan_once};

/// Most bytes of a refusal that has a suggestion, as JSON.
const MAX_BYTES: usize = 1000;

/// Whether an older state of the file may be why an operation is refused.
pub(crate) fn is_stale(operation: &Operation, refusal: &Refusal) -> bool {
    let is_about_state = matches!(
        refusal.code,
        Code::BaseMismatch
            | Code::ExpectMismatch
            | Code::LineOutOfRange
            | Code::AnchorAmbiguous
            | Code::FileNotFound
    );
    let is_older =
        matches!(operation.action, Action::Refused(_)) && operation.reading.older.is_some();
    (is_about_state || is_older) && !operation.shown
}

/// Whether an operation found a place that the state it was made for may deny.
pub(crate) fn is_doubtful(operation: &Operation) -> bool {
    matches!(operation.action, Action::Splice(_)) && operation.reading.older.is_some()
}

/// Plans again what was refused and was made for an older state that the tree knows: with
/// [`Policy::rebase`] it may land where its lines are now, without it the refusal says what would.
pub(super) fn replan(
    plan: Plan,
    batch: &Batch,
    tree: &Tree,
    policy: &Policy,
    hashing: Hashing,
) -> Plan {
    if !tree.has_bases() || batch.coordinates == Coordinates::Sequential {
        return plan;
    }
    let mut plan = plan;
    let mut batch = deny(batch, tree);
    if let Cow::Owned(batch) = &batch {
        plan = plan_once(batch, tree, policy, hashing);
    }
    if !plan.has_refusal() {
        return plan;
    }
    if policy.rebase {
        let stale = stale(&plan, &batch, |operation, code| {
            operation.reading.older.is_some()
                || operation.base.is_some() && code == Code::BaseMismatch
        });
        let moves = moves(&batch, tree, &stale);
        let (moves, lost) = apart(moves);
        if !moves.is_empty() {
            for step in moves {
                batch.to_mut().operations[step.index] = step.operation;
            }
            plan = plan_once(&batch, tree, policy, hashing);
        }
        say_why(&mut plan, &batch, lost);
        let verdicts = plan.verdicts.iter_mut().zip(&batch.operations);
        for (verdict, operation) in verdicts {
            verdict.rebased = operation
                .reading
                .rebased
                .filter(|_| verdict.outcome.lands())
                .map(Box::new);
            if verdict.rebased.is_some() {
                verdict.outcome = Outcome::Rebased;
            }
        }
    }
    suggest(plan, &batch, tree, policy)
}

/// Refuses what found its lines elsewhere than the state that it was made for has them: those were
/// changed, and it found a copy.
fn deny<'b>(batch: &'b Batch, tree: &Tree) -> Cow<'b, Batch> {
    let mut judged = Cow::Borrowed(batch);
    let operations = batch.operations.iter().enumerate();
    let doubtful = operations.filter(|(_, operation)| is_doubtful(operation));
    let doubtful: Vec<usize> = doubtful.map(|(index, _)| index).collect();
    if doubtful.is_empty() {
        return judged;
    }
    let moves = moves(batch, tree, &doubtful);
    let lost = |(index, moved): &(usize, Moved)| moved.is_err().then_some(*index);
    let lost: Vec<usize> = moves.iter().filter_map(lost).collect();
    let own = own_lines(batch, tree, &lost);
    for (index, moved) in moves {
        let operation = &batch.operations[index];
        let is_there = |step: &Step| same_result(&step.operation, operation, &step.current);
        // Files that cannot be compared say nothing.
        let is_right = match &moved {
            Ok(step) => is_there(step),
            Err(Lost::TooLarge) => true,
            Err(_) => own.contains(&index),
        };
        if is_right {
            continue;
        }
        let path = &operation.file;
        let note = operation.reading.note.as_deref();
        let note = note.map(|note| format!(": {note}")).unwrap_or_default();
        let message = format!(
            "what the hunk looks for in {path} stands at one place, which is not where its lines are{note}"
        );
        let refusal = Refusal::new(Code::AnchorNotFound, message).in_file(path);
        let judged = &mut judged.to_mut().operations[index];
        judged.reading.meant = Some(operation.name());
        judged.reading.note = None;
        judged.action = Action::Refused(Box::new(refusal));
    }
    judged
}

/// Those hunks with little context whose own lines are where they were found, or may be: what was
/// changed beyond them says nothing.
fn own_lines(batch: &Batch, tree: &Tree, lost: &[usize]) -> HashSet<usize> {
    let mut files: HashMap<&RelPath, Vec<(usize, Range<usize>)>> = HashMap::new();
    for &index in lost {
        let operation = &batch.operations[index];
        if let Some(lines) = operation
            .reading
            .older
            .as_deref()
            .and_then(Older::own_lines)
        {
            let file = files.entry(&operation.file).or_default();
            file.push((index, lines));
        }
    }
    let mut right = HashSet::new();
    for (path, hunks) in files {
        let base = bases(&batch.operations[hunks[0].0], batch, tree);
        let base = base.first().and_then(|base| tree.base(path, *base));
        let (Some(base), Some(current)) = (base, tree.file(path)) else {
            continue;
        };
        let ranges: Vec<Range<usize>> = hunks.iter().map(|(_, lines)| lines.clone()).collect();
        let places = Map::new(base.bytes(), current.bytes()).of_themselves(&ranges);
        let text = current.text();
        for ((index, _), place) in hunks.iter().zip(places) {
            let is_right = match place {
                Ok(place) => holds(&batch.operations[*index], &place, &text),
                Err(lost) => lost != Lost::Changed,
            };
            right.extend(is_right.then_some(*index));
        }
    }
    right
}

/// Whether all edits of an operation are of these lines.
fn holds(operation: &Operation, lines: &Range<usize>, text: &Text<'_>) -> bool {
    let Action::Splice(edits) = &operation.action else {
        return false;
    };
    let (start, end) = (
        start_or_end(text, lines.start),
        start_or_end(text, lines.end),
    );
    let is_in = |edit: &Edit| Some(edit.span.start) >= start && end >= Some(edit.span.end);
    edits.iter().all(is_in)
}

/// Whether two edits of bytes leave the same of them.
fn same_result(one: &Operation, other: &Operation, source: &Source) -> bool {
    let result = |operation: &Operation| {
        let Action::Splice(edits) = &operation.action else {
            return None;
        };
        let edits = EditSet::new(edits.clone(), source.bytes().len()).ok()?;
        Some(edits.apply(source.bytes()))
    };
    one.file == other.file && result(one).is_some_and(|one| result(other) == Some(one))
}

/// Adds to refusals the merge patch that makes them pass, where there is one.
fn suggest(mut plan: Plan, batch: &Batch, tree: &Tree, policy: &Policy) -> Plan {
    let stale = stale(&plan, batch, |operation, _| {
        operation.reading.rebased.is_none()
    });
    let (mut moves, lost) = apart(moves(batch, tree, &stale));
    if !policy.rebase {
        say_why(&mut plan, batch, lost);
    }
    moves.retain(|step| step.patch.is_some() || step.is_of_lines());
    if moves.is_empty() {
        return plan;
    }
    let mut trial = batch.clone();
    let mut there = Cow::Borrowed(tree);
    for step in &moves {
        if step.operation.file != trial.operations[step.index].file {
            let entry = super::Entry::File(step.current.clone());
            there.to_mut().insert(step.operation.file.clone(), entry);
        }
        trial.operations[step.index] = step.operation.clone();
    }
    let outcome = plan_once(&trial, &there, policy, Hashing::AtNeed);
    for step in moves {
        let passes = outcome.verdicts[step.index].refusal.is_none();
        if let Some(refusal) = &mut plan.verdicts[step.index].refusal
            && passes
        {
            match (step.patch, step.operation.reading.rebased) {
                (None, Some(rebased)) => {
                    refusal.message = format!("{}; {}", refusal.message, by_now(&rebased));
                }
                (patch, _) => refusal.suggestion = patch.map(Box::new),
            }
            let is_long = |refusal: &Refusal| {
                serde_json::to_string(refusal).is_ok_and(|text| text.len() > MAX_BYTES)
            };
            while is_long(refusal) && refusal.candidates.pop().is_some() {}
            if is_long(refusal) {
                refusal.found = None;
            }
        }
    }
    plan
}

/// The operations that an older state may be behind.
fn stale(plan: &Plan, batch: &Batch, which: impl Fn(&Operation, Code) -> bool) -> Vec<usize> {
    let verdicts = plan.verdicts.iter().zip(&batch.operations).enumerate();
    let stale = verdicts.filter(|(_, (verdict, operation))| {
        let refusal = verdict.refusal.as_deref();
        let refusal = refusal.filter(|it| is_stale(operation, it));
        refusal.is_some_and(|refusal| which(operation, refusal.code))
    });
    stale.map(|(index, _)| index).collect()
}

/// Says in the refusals why there is no place.
fn say_why(plan: &mut Plan, batch: &Batch, lost: Vec<(usize, Lost)>) {
    for (index, lost) in lost {
        if let Some(refusal) = &mut plan.verdicts[index].refusal
            && (refusal.code == Code::BaseMismatch
                || batch.operations[index].reading.older.is_some())
        {
            refusal.message = format!("{}; {lost}", refusal.message);
        }
    }
}

/// An operation at the place where its lines are now.
struct Step {
    index: usize,
    operation: Operation,
    /// What it then works on.
    current: Arc<Source>,
    /// The merge patch that makes the one of the other; none where that takes new content.
    patch: Option<Value>,
}

impl Step {
    /// Whether it is part of a diff, on which no merge patch can be made.
    fn is_of_lines(&self) -> bool {
        matches!(self.operation.action, Action::Splice(_))
    }
}

/// Says where the lines of a diff are.
fn by_now(rebased: &Rebased) -> String {
    let lines = |[first, last]: [LineNumber; 2]| match first == last {
        true => format!("line {first}"),
        false => format!("lines {first} to {last}"),
    };
    format!(
        "in the file that the diff was made for it is about {}, by now {}",
        lines(rebased.from),
        lines(rebased.to)
    )
}

type Moved = Result<Step, Lost>;

fn apart(moves: Vec<(usize, Moved)>) -> (Vec<Step>, Vec<(usize, Lost)>) {
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    for (index, moved) in moves {
        match moved {
            Ok(step) => found.push(step),
            Err(why) => lost.push((index, why)),
        }
    }
    (found, lost)
}

/// Where operations go; those of whose base nothing is known are left out.
fn moves(batch: &Batch, tree: &Tree, stale: &[usize]) -> Vec<(usize, Moved)> {
    let mut groups: HashMap<(&RelPath, Digest), Vec<usize>> = HashMap::new();
    for &index in stale {
        let operation = &batch.operations[index];
        for base in bases(operation, batch, tree) {
            let group = groups.entry((&operation.file, base)).or_default();
            group.push(index);
        }
    }
    let mut found: HashMap<usize, Option<Moved>> = HashMap::new();
    for ((path, base), indices) in groups {
        let (Some(base), Some((named, current))) = (tree.base(path, base), standing(tree, path))
        else {
            continue;
        };
        let pair = Pair {
            path,
            named,
            base,
            current,
        };
        for (index, moved) in pair.moves(batch, &indices) {
            let known = found.entry(index).or_insert(None);
            let agrees = match (&known, &moved) {
                (Some(Ok(one)), Ok(other)) => one.patch == other.patch,
                (Some(Err(_)), _) => continue,
                _ => true,
            };
            *known = Some(moved.and_then(|step| agrees.then_some(step).ok_or(Lost::Ambiguous)));
        }
    }
    let mut found: Vec<(usize, Moved)> = found
        .into_iter()
        .filter_map(|(index, moved)| Some((index, moved?)))
        .collect();
    found.sort_by_key(|(index, _)| *index);
    found
}

/// The file that is meant by a path by now, and its name.
fn standing<'t>(tree: &'t Tree, path: &'t RelPath) -> Option<(&'t RelPath, &'t Arc<Source>)> {
    match tree.file(path) {
        Some(source) => Some((path, source)),
        None => tree.moved_to(path),
    }
}

/// The states that an operation may have been made for: the one that it names, or all in which
/// nothing is wrong with it.
fn bases(operation: &Operation, batch: &Batch, tree: &Tree) -> Vec<Digest> {
    if let Some(older) = &operation.reading.older {
        let mut known = tree.bases(&operation.file);
        let known = known.find(|source| older.base.is_of(source.bytes()));
        return known.map(|source| source.digest()).into_iter().collect();
    }
    if let Some(base) = operation.base {
        return vec![base];
    }
    let known = tree.bases(&operation.file);
    let known = known.filter(|source| passes(operation, batch, source));
    known.map(|source| source.digest()).collect()
}

/// Whether nothing is wrong with an operation in a state of its file.
fn passes(operation: &Operation, batch: &Batch, source: &Arc<Source>) -> bool {
    let entry = super::Entry::File(source.clone());
    let alone: Tree = [(operation.file.clone(), entry)].into_iter().collect();
    let mut one = Batch::new(vec![operation.clone()], batch.content);
    one.labels = batch.labels.clone();
    !plan_once(&one, &alone, &Policy::default(), Hashing::AtNeed).has_refusal()
}

/// An operation in terms of the state that it was made for; `None` where it does not fit there.
fn in_base<'o>(operation: &'o Operation, base: &Source) -> Option<Cow<'o, Operation>> {
    let Some(older) = &operation.reading.older else {
        return Some(Cow::Borrowed(operation));
    };
    let is_other = operation.base.is_some_and(|named| named != base.digest());
    (!is_other).then_some(())?;
    let mut made = operation.clone();
    made.reading.older = None;
    made.reading.meant = None;
    made.base = Some(base.digest());
    made.action = match &older.edit {
        OlderEdit::Action(action) => action.clone(),
        OlderEdit::Hunk {
            above,
            old,
            edits,
            strict,
        } => {
            let (text, bytes) = (base.text(), base.bytes());
            let start = match above {
                0 if old.starts_with(BOM) => 0,
                _ => start_or_end(&text, *above)?,
            };
            let edits = edits.iter();
            let mut edits: Vec<Edit> = edits
                .map(|edit| Edit::replace(edit.span.clone(), &*edit.text))
                .collect();
            let mut old = Cow::Borrowed(&old[..]);
            if let Some(ending) = other_ending(&old, &edits, bytes).filter(|_| !strict) {
                for edit in &mut edits {
                    let [start, end] = [edit.span.start, edit.span.end];
                    edit.span = ending.set(&old[..start]).len()..ending.set(&old[..end]).len();
                    edit.text = ending.set(&edit.text);
                }
                old = Cow::Owned(ending.set(&old));
            }
            let rest = bytes[start..].strip_prefix(&old[..])?;
            let is_whole = old.is_empty() || old.ends_with(b"\n") || rest.is_empty();
            for edit in &mut edits {
                edit.span = edit.span.start + start..edit.span.end + start;
            }
            is_whole.then_some(Action::Splice(edits))?
        }
    };
    Some(Cow::Owned(made))
}

/// The ending of all lines of a text, where all lines of a hunk end otherwise.
fn other_ending(old: &[u8], edits: &[Edit], text: &[u8]) -> Option<LineEnding> {
    let ours = LineEnding::throughout(text)?;
    let sides = std::iter::once(old).chain(edits.iter().map(|edit| &edit.text[..]));
    let mut lines = sides.flat_map(split_lines).filter_map(LineEnding::of_line);
    lines.all(|ending| ending != ours).then_some(ours)
}

/// Two states of a file.
struct Pair<'a> {
    path: &'a RelPath,
    /// What the file is called now.
    named: &'a RelPath,
    base: &'a Arc<Source>,
    current: &'a Arc<Source>,
}

impl Pair<'_> {
    fn moves(&self, batch: &Batch, indices: &[usize]) -> Vec<(usize, Moved)> {
        let (before, now) = (self.base.text(), self.current.text());
        let made = indices
            .iter()
            .filter_map(|&index| Some((index, in_base(&batch.operations[index], self.base)?)));
        let made: Vec<(usize, Cow<'_, Operation>)> = made.collect();
        let operations = made.iter().map(|(_, operation)| &**operation);
        let blocks: Vec<Cow<'_, Lines>> = operations.flat_map(content::wanted_blocks).collect();
        let blocks = || blocks.iter().map(|block| &**block);
        let mut resolver = Resolver::new(self.path, &before, blocks());
        let spot = |operation: &Cow<'_, Operation>| match (operation, &operation.action) {
            // Of a diff, and made for the base: other edits of bytes are of the current file.
            (Cow::Owned(_), Action::Splice(edits)) => Spot::of_edits(edits, &before),
            (_, action) => Spot::of(action, &before, &mut resolver),
        };
        let spots: Vec<Option<Spot>> = made.iter().map(|(_, it)| it).map(spot).collect();
        let ranges: Vec<Range<usize>> = spots.iter().flatten().flat_map(Spot::ranges).collect();
        let map = Map::new(self.base.bytes(), self.current.bytes());
        let mut mapped = map.ranges(&ranges).into_iter();
        let mut resolver = Resolver::new(self.path, &now, blocks());
        // Read only for lines that have no place as they are.
        let layouts =
            LazyCell::new(|| Layouts::new(self.named, self.base.bytes(), self.current.bytes()));
        let mut moves = Vec::new();
        for ((index, operation), spot) in made.iter().zip(spots) {
            let (index, operation) = (*index, &**operation);
            let Some(spot) = spot else { continue };
            let to: Result<Vec<_>, Lost> = mapped.by_ref().take(spot.ranges().count()).collect();
            let rewritten = match (to, &spot) {
                (Err(Lost::Changed), Spot::Lines(lines)) => {
                    layouts.as_ref().ok_or(Lost::Changed).and_then(|layouts| {
                        let is_right = || passes(operation, batch, self.base);
                        self.laid_out(operation, lines, layouts, is_right, &mut resolver)
                    })
                }
                (to, _) => to.and_then(|to| {
                    let moved = self.rewrite(operation, &spot, &to, (&before, &now), &mut resolver);
                    let (operation, patch) = moved.ok_or(Lost::Changed)?;
                    let is_splice = matches!(operation.action, Action::Splice(_));
                    Ok((operation, (!is_splice).then_some(patch)))
                }),
            };
            let moved = rewritten.map(|(operation, patch)| Step {
                index,
                operation,
                current: self.current.clone(),
                patch,
            });
            moves.push((index, moved));
        }
        moves
    }

    /// The operation at lines that a formatter laid out anew, if it is right in the base.
    fn laid_out(
        &self,
        operation: &Operation,
        from: &Range<usize>,
        layouts: &Layouts<'_>,
        is_right: impl Fn() -> bool,
        resolver: &mut Resolver<'_>,
    ) -> Result<(Operation, Option<Value>), Lost> {
        let laid = layouts.range(from)?;
        let place = laid::Place {
            from,
            laid,
            layouts,
        };
        let relay = || self.relay(operation, &place, resolver);
        is_right().then(relay).flatten().ok_or(Lost::Changed)
    }

    /// The operation at the mapped lines; `None` where it cannot be said there.
    fn rewrite(
        &self,
        operation: &Operation,
        spot: &Spot,
        to: &[Range<usize>],
        (before, now): (&Text<'_>, &Text<'_>),
        resolver: &mut Resolver<'_>,
    ) -> Option<(Operation, Value)> {
        let digest = self.current.digest();
        let mut moved = operation.clone();
        moved.base = Some(digest);
        moved.reading.rebased = Some(Rebased {
            from: shown(spot.ranges())?,
            to: shown(to.iter().cloned())?,
        });
        let mut patch = json!({ "base": digest.to_string() });
        if self.named != self.path {
            moved.file = self.named.clone();
            patch["file"] = self.named.to_string().into();
        }
        match &mut moved.action {
            Action::ReplaceBlock { at, .. } => patch_address(at, &to[0], resolver, &mut patch)?,
            Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => {
                patch_address(&mut insertion.at, &to[0], resolver, &mut patch)?;
            }
            Action::Prepend(_) => (to[0].start == start_of_code(now)).then_some(())?,
            Action::ReplaceText {
                find, occurrence, ..
            } => {
                let Spot::Matches(places) = spot else {
                    return None;
                };
                let (all, free) = (find_text(now, find), *occurrence == Occurrence::All);
                let there = |(from, to): (&Match, &Range<usize>)| {
                    let column = from.start - line_start(before, from.lines.start)?;
                    Some(line_start(now, to.start)? + column)
                };
                let starts: Option<Vec<usize>> = places.iter().zip(to).map(there).collect();
                let starts = starts?;
                if free {
                    let now: Vec<usize> = disjoint(&all).map(|place| place.start).collect();
                    (now == starts).then_some(())?;
                } else {
                    let at = all.iter().position(|place| place.start == starts[0])?;
                    if all.len() > 1 {
                        let number = std::num::NonZeroU64::new(at as u64 + 1)?;
                        *occurrence = Occurrence::Nth(number);
                        patch["occurrence"] = number.get().into();
                    } else {
                        *occurrence = Occurrence::First;
                        patch["occurrence"] = "first".into();
                    }
                }
            }
            Action::Splice(edits) => self.shift(edits, spot, to, (before, now))?,
            _ => {}
        }
        Some((moved, patch))
    }
}

impl Pair<'_> {
    /// Moves edits of whole lines to where these are now, where they and their neighbours are the
    /// same bytes, but for line endings that all lines of the file have changed.
    fn shift(
        &self,
        edits: &mut [Edit],
        spot: &Spot,
        to: &[Range<usize>],
        (before, now): (&Text<'_>, &Text<'_>),
    ) -> Option<()> {
        let bytes_of = |text: &Text<'_>, lines: Range<usize>| {
            Some(start_or_end(text, lines.start)?..start_or_end(text, lines.end)?)
        };
        let ending = [before, now].map(|text| LineEnding::throughout(text.bytes()));
        let ending = ending[1].filter(|_| ending[0].is_some() && ending[0] != ending[1]);
        let by_now = |bytes: &[u8]| match ending {
            Some(ending) => ending.set(bytes),
            None => bytes.to_vec(),
        };
        for ((edit, from), to) in edits.iter_mut().zip(spot.ranges()).zip(to) {
            let above = from.start.min(NEIGHBOURS);
            let below = (before.line_count() - from.end).min(NEIGHBOURS);
            let was = bytes_of(before, from.start - above..from.end + below)?;
            let is = bytes_of(now, to.start.checked_sub(above)?..to.end + below)?;
            (by_now(&before.bytes()[was]) == now.bytes()[is]).then_some(())?;
            let there = bytes_of(now, to.clone())?;
            let is_last = there.end == now.bytes().len();
            let ends = edit.text.is_empty() || edit.text.ends_with(b"\n") || is_last;
            let bom = now.bom_len();
            let begins = there.start <= bom || now.bytes()[there.start - 1] == b'\n';
            let is_same = by_now(&before.bytes()[edit.span.clone()]) == now.bytes()[there.clone()];
            (ends && begins && is_same).then_some(())?;
            edit.text = by_now(&edit.text);
            edit.span = there;
        }
        Some(())
    }
}

/// Lines as reports show them. An empty range is shown as the line above it.
fn shown(ranges: impl Iterator<Item = Range<usize>>) -> Option<[LineNumber; 2]> {
    let both = ranges.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
    let last = both.end.max(1) - 1;
    Some([both.start.min(last), last].map(LineNumber::from_index))
}

/// Sets an address to lines, unless it means them as it is.
fn patch_address(
    at: &mut Address,
    to: &Range<usize>,
    resolver: &mut Resolver<'_>,
    patch: &mut Value,
) -> Option<()> {
    let found = resolver.locate(at);
    if found.is_ok_and(|found| found.first == to.start && found.count == to.len()) {
        return Some(());
    }
    if to.is_empty() {
        return None;
    }
    let lines = [to.start as u64 + 1, to.end as u64];
    let mut address = json!({ "lines": lines });
    let keys: &[&str] = match &at.target {
        Target::Lines { first, last } if first == last => &["line"],
        Target::Lines { .. } => &[],
        Target::Text(_) => &["text"],
        Target::Match(_) => &["match"],
        Target::Between { .. } => &["between", "inclusive"],
        Target::Placeholder(_) => &["placeholder"],
    };
    for key in keys {
        address[key] = Value::Null;
    }
    if at.occurrence != Occurrence::Only {
        address["occurrence"] = Value::Null;
    }
    patch["at"] = address;
    *at = Address::only(Target::Lines {
        first: lines[0],
        last: lines[1],
    });
    Some(())
}

impl Older {
    /// The lines of a hunk that has less context than lines need to be certain; lines count from 0.
    fn own_lines(&self) -> Option<Range<usize>> {
        let OlderEdit::Hunk {
            above, old, edits, ..
        } = &self.edit
        else {
            return None;
        };
        let count = |bytes: &[u8]| split_lines(bytes).count();
        let (first, last) = (edits.first()?, edits.last()?);
        let context = [&old[..first.span.start], &old[last.span.end..]];
        let is_little = context.iter().any(|lines| count(lines) < NEIGHBOURS);
        is_little.then(|| *above..above + count(old))
    }
}

/// A match of a text.
struct Match {
    lines: Range<usize>,
    start: usize,
}

/// Where an operation works in its base, in lines that count from 0.
enum Spot {
    Lines(Range<usize>),
    /// The lines of each edit of a diff.
    Edits(Vec<Range<usize>>),
    Matches(Vec<Match>),
}

impl Spot {
    /// `None` where it has no place there, and for what is not about lines.
    fn of(action: &Action, text: &Text<'_>, resolver: &mut Resolver<'_>) -> Option<Self> {
        let at = match action {
            Action::ReplaceBlock { at, .. } => at,
            Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => &insertion.at,
            Action::Append(_) => return Some(Self::Lines(text.line_count()..text.line_count())),
            Action::Prepend(_) => {
                let start = start_of_code(text);
                return Some(Self::Lines(start..start));
            }
            Action::ReplaceText {
                find, occurrence, ..
            } => return Self::of_text(text, find, *occurrence),
            _ => return None,
        };
        let located = resolver.locate(at).ok()?;
        Some(Self::Lines(located.first..located.first + located.count))
    }

    fn of_edits(edits: &[Edit], text: &Text<'_>) -> Option<Self> {
        let index = |at: usize| match at == text.bytes().len() {
            true => text.line_count(),
            false => text.line_at(at).index(),
        };
        let lines = |edit: &Edit| index(edit.span.start)..index(edit.span.end);
        let lines: Vec<_> = edits.iter().map(lines).collect();
        (!lines.is_empty()).then_some(Self::Edits(lines))
    }

    fn of_text(text: &Text<'_>, find: &[u8], occurrence: Occurrence) -> Option<Self> {
        let all = find_text(text, find);
        let chosen: Vec<Range<usize>> = match occurrence {
            Occurrence::Only if all.len() > 1 => return None,
            Occurrence::Only | Occurrence::First => all.into_iter().take(1).collect(),
            Occurrence::Last => all.into_iter().next_back().into_iter().collect(),
            Occurrence::Nth(number) => {
                let index = usize::try_from(number.get() - 1).ok()?;
                all.into_iter().nth(index).into_iter().collect()
            }
            Occurrence::All => disjoint(&all).collect(),
        };
        let matches: Vec<Match> = chosen
            .into_iter()
            .map(|place| Match {
                lines: text.line_at(place.start).index()
                    ..text.line_at(place.end.max(place.start + 1) - 1).index() + 1,
                start: place.start,
            })
            .collect();
        (!matches.is_empty()).then_some(Self::Matches(matches))
    }

    fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let (lines, matches) = match self {
            Self::Lines(lines) => (std::slice::from_ref(lines), &[][..]),
            Self::Edits(edits) => (&edits[..], &[][..]),
            Self::Matches(matches) => (&[][..], &matches[..]),
        };
        lines
            .iter()
            .cloned()
            .chain(matches.iter().map(|found| found.lines.clone()))
    }
}

/// The places that do not overlap one before them.
fn disjoint(places: &[Range<usize>]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut end = 0;
    places.iter().filter_map(move |place| {
        let is_free = place.start >= end;
        end = if is_free { place.end } else { end };
        is_free.then(|| place.clone())
    })
}

fn line_start(text: &Text<'_>, index: usize) -> Option<usize> {
    let line = text.line(LineNumber::from_index(index))?;
    Some(line.start)
}

/// Where a line starts, or the text ends.
fn start_or_end(text: &Text<'_>, index: usize) -> Option<usize> {
    let end = (index == text.line_count()).then(|| text.bytes().len());
    line_start(text, index).or(end)
}

/// The index of the line in front of which lines are prepended.
fn start_of_code(text: &Text<'_>) -> usize {
    let body = &text.bytes()[text.bom_len()..];
    usize::from(body.starts_with(b"#!"))
}
