//! One operation on the content of one text: from address and guard to pieces of edit.

use std::borrow::Cow;
use std::ops::Range;

use crate::anchor::{Edge, Located, Resolver, guard_block};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::error::{Code, Hint, MAX_CANDIDATES, Refusal};
use crate::locate::ladder::Rungs;
use crate::locate::landed::{self, Landed};
use crate::operation::{
    Action, Address, Guard, Indent, Insertion, Lines, Occurrence, Operation, Target, TextEdit,
};
use crate::path::RelPath;
use crate::text::{Encoding, Endings, LineEnding, LineNumber, Text, split_lines, trim_ending};

use super::Policy;
use super::find::{Finds, find_text};
use super::growth::Terms;

/// A piece of an operation's edit.
///
/// Spans are virtual: where the text's last line has no ending, one is imagined behind it, so
/// that every line is whole and an insertion behind the last line lies past it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) span: Range<usize>,
    pub(super) text: Vec<u8>,
    /// Index of the operation.
    pub(super) operation: usize,
}

/// What an operation does to a text.
#[derive(Debug)]
pub(super) struct Resolution {
    /// Its edits; none where there is nothing to do.
    pub(super) pieces: Vec<Piece>,
    /// Whether a guard holds it, or its address is by content.
    pub(super) guarded: bool,
    /// Why there is nothing to do, where that is worth saying.
    pub(super) note: Option<String>,
}

impl Resolution {
    fn of(pieces: Vec<Piece>, guarded: bool) -> Self {
        Self {
            pieces,
            guarded,
            note: None,
        }
    }

    /// That of an operation with nothing to do.
    fn nothing() -> Self {
        Self::of(Vec::new(), true)
    }
}

/// Length of a text with the imagined final newline.
pub(super) fn virtual_len(text: &Text<'_>) -> usize {
    text.bytes().len() + usize::from(!text.ends_in_newline())
}

/// Blocks whose places a [`Resolver`] has to know for an operation.
pub(super) fn wanted_blocks(operation: &Operation) -> Vec<Cow<'_, Lines>> {
    let mut blocks = Vec::new();
    let (at, guard) = match &operation.action {
        Action::ReplaceBlock { at, guard, .. } => (at, guard),
        Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => {
            (&insertion.at, &insertion.guard)
        }
        _ => return blocks,
    };
    if let Target::Text(block) = &at.target {
        blocks.push(Cow::Borrowed(block));
    }
    // The places of the expected lines are also what a mismatch lists.
    if let (Some(expect), None) = (&guard.expect, operation.base) {
        blocks.push(Cow::Borrowed(expect));
        blocks.extend(guard_block(guard).filter(|block| **block != *expect));
    }
    blocks
}

/// The characters that an operation looks for.
pub(super) fn wanted_text(operation: &Operation) -> Option<&[u8]> {
    match &operation.action {
        Action::ReplaceText { find, .. } => Some(find),
        _ => None,
    }
}

/// Whether operations may edit these bytes as text.
pub(super) fn check_editable(
    path: &RelPath,
    encoding: Encoding,
    policy: &Policy,
) -> Result<(), Refusal> {
    match encoding {
        Encoding::Wide => Err(Refusal::new(
            Code::UnsupportedEncoding,
            format!("{path} is UTF-16 or UTF-32; convert it to UTF-8 first"),
        )
        .in_file(path)),
        Encoding::Binary(at) if !policy.allow_binary => Err(Refusal::new(
            Code::BinaryFile,
            format!("{path} is a binary file: it contains a NUL byte at offset {at}"),
        )
        .in_file(path)
        .with_hint(Hint::AllowBinary)),
        Encoding::Text | Encoding::Binary(_) => Ok(()),
    }
}

/// The refusal of an operation that was made for another state of the file.
pub(super) fn base_mismatch(
    operation: &Operation,
    path: &RelPath,
    current: Digest,
    resolver: &mut Resolver<'_>,
) -> Refusal {
    let refusal = Refusal::new(
        Code::BaseMismatch,
        format!(
            "{path} has changed since the batch was made: its hash is {current}; read it again"
        ),
    )
    .in_file(path);
    match address(&operation.action).map(|at| resolver.locate(at)) {
        Some(Ok(at)) => {
            let found = resolver.shown(&at.span);
            refusal.at_line(at.line()).with_found(found)
        }
        _ => refusal,
    }
}

fn address(action: &Action) -> Option<&Address> {
    match action {
        Action::ReplaceBlock { at, .. } => Some(at),
        Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => Some(&insertion.at),
        _ => None,
    }
}

/// Where what operations look for stands in a text.
pub(super) struct Places<'a, 'r> {
    /// Whole lines.
    pub(super) resolver: &'a mut Resolver<'r>,
    /// Characters.
    pub(super) finds: &'a Finds<'a>,
}

/// Resolves an operation on the content of a text. Whether its base matches is the caller's.
pub(super) fn resolve(
    index: usize,
    operation: &Operation,
    path: &RelPath,
    text: &Text<'_>,
    places: &mut Places<'_, '_>,
    terms: &Terms<'_>,
    digest: &dyn Fn() -> Digest,
) -> Result<Resolution, Refusal> {
    terms.work.check(path)?;
    let before = places.resolver.scanned();
    let mut scene = Scene {
        index,
        operation,
        path,
        text,
        resolver: places.resolver,
        finds: places.finds,
        terms,
        digest,
    };
    let resolution = match &operation.action {
        Action::ReplaceBlock {
            at,
            guard,
            content,
            pad,
            indent,
        } => scene.replace(at, guard, content, *pad, *indent),
        Action::InsertBefore(insertion) => scene.insert(insertion, Edge::First),
        Action::InsertAfter(insertion) => scene.insert(insertion, Edge::Last),
        Action::Append(content) => {
            let at = virtual_len(text);
            Ok(scene.insertion(at, text.bytes().len(), content))
        }
        Action::Prepend(content) => {
            let at = scene.start_of_code();
            Ok(scene.insertion(at, at.min(text.bytes().len()), content))
        }
        Action::ReplaceText {
            find,
            content,
            occurrence,
        } => scene.replace_text(find, content, *occurrence),
        Action::Splice(edits) => scene.splice(edits),
        Action::Refused(refusal) => Err((**refusal).clone()),
        Action::CreateFile { .. }
        | Action::DeleteFile { .. }
        | Action::RenameFile { .. }
        | Action::CopyFile { .. }
        | Action::SetMode { .. } => Ok(Resolution::nothing()),
    };
    let scanned = places.resolver.scanned() - before;
    terms.work.spend(scanned, index, path)?;
    resolution
}

/// An operation before the text that it works on.
struct Scene<'a, 'r> {
    index: usize,
    operation: &'a Operation,
    path: &'a RelPath,
    text: &'a Text<'a>,
    resolver: &'a mut Resolver<'r>,
    finds: &'a Finds<'a>,
    terms: &'a Terms<'a>,
    digest: &'a dyn Fn() -> Digest,
}

impl<'a> Scene<'a, '_> {
    fn replace(
        &mut self,
        at: &Address,
        guard: &Guard,
        content: &Lines,
        pad: bool,
        indent: Indent,
    ) -> Result<Resolution, Refusal> {
        let located = self.resolver.locate(at)?;
        let here = self.resolver.shown(&located.span);
        let mut content = self.indented(content, indent, here)?;
        if pad {
            content = Cow::Owned(self.padded(&content, &located)?);
        }
        let stands_already = split_lines(here).map(trim_ending).eq(content.iter());
        if stands_already {
            return Ok(Resolution::nothing());
        }
        let guarded = self.guard(at, guard, &located, Edge::Whole)?;
        let text = with_ending(&content, self.text.ending_near(located.span.start));
        let span = located.span.start..self.virtual_end(&located);
        Ok(self.piece(span, text, guarded))
    }

    fn insert(&mut self, insertion: &Insertion, edge: Edge) -> Result<Resolution, Refusal> {
        let Insertion {
            at,
            guard,
            content,
            indent,
        } = insertion;
        let located = self.resolver.locate(at)?;
        let guarded = self.guard(at, guard, &located, edge)?;
        let here = self.resolver.shown(&located.span);
        let (line, position) = match edge {
            Edge::Last => {
                let body = here.strip_suffix(b"\n").unwrap_or(here);
                let start = crate::bytes::rfind(b'\n', body).map_or(0, |newline| newline + 1);
                (&here[start..], self.virtual_end(&located))
            }
            Edge::First | Edge::Whole => (
                split_lines(here).next().unwrap_or_default(),
                located.span.start,
            ),
        };
        let content = self.indented(content, *indent, line)?;
        let beside = if edge == Edge::Last {
            located.span.end - line.len()
        } else {
            located.span.start
        };
        let mut resolution = self.insertion(position, beside, &content);
        resolution.guarded = guarded;
        Ok(resolution)
    }

    /// Checks the guard of an addressed operation, and tells whether one holds it.
    fn guard(
        &mut self,
        at: &Address,
        guard: &Guard,
        located: &Located,
        edge: Edge,
    ) -> Result<bool, Refusal> {
        let checked = self.resolver.check(guard, located, edge);
        checked.or_else(|refusal| self.check_joined(guard, located, edge, refusal))?;
        if !matches!(at.target, Target::Lines { .. }) || self.operation.base.is_some() {
            return Ok(true);
        }
        let strength = match guard_block(guard) {
            Some(block) => self.resolver.check_unique(&block, located),
            None => Err(self.unguarded(located)),
        };
        match strength {
            Ok(()) => Ok(true),
            Err(refusal)
                if refusal.code != Code::LimitExceeded && self.terms.policy.allow_unguarded =>
            {
                Ok(false)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Lines joined by newlines lose the last one where it is blank. Where the file's hash holds
    /// the operation, that reading of what is expected is as good.
    fn check_joined(
        &self,
        guard: &Guard,
        located: &Located,
        edge: Edge,
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        let (Some(_), Some(expect)) = (self.operation.base, &guard.expect) else {
            return Err(refusal);
        };
        let joined = Guard {
            expect: Some(Lines::new([expect.as_bytes(), b"\n"].concat())),
            ..guard.clone()
        };
        self.resolver
            .check(&joined, located, edge)
            .map_err(|_| refusal)
    }

    fn unguarded(&self, located: &Located) -> Refusal {
        let (path, line, digest) = (self.path, located.line(), (self.digest)());
        let to_guard = self.operation.reading.to_guard.clone().unwrap_or_else(|| {
            format!(
                "send the lines that are there as \"expect\", or the file's hash as \"base\": {digest}"
            )
        });
        Refusal::new(
            Code::Unguarded,
            format!("line {line} of {path} is addressed without a guard; {to_guard}"),
        )
        .with_hint(Hint::AllowUnguarded)
        .in_file(path)
        .at_line(line)
        .with_found(self.resolver.shown(&located.span))
    }

    /// Content with the indentation of an addressed line in front of each line that is not blank.
    fn indented<'c>(
        &self,
        content: &'c Lines,
        indent: Indent,
        line: &[u8],
    ) -> Result<Cow<'c, Lines>, Refusal> {
        let width = line
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        if indent == Indent::Verbatim || width == 0 {
            return Ok(Cow::Borrowed(content));
        }
        let added = width.saturating_mul(content.count());
        self.terms
            .growth
            .grow(self.index, self.path, added as u64)?;
        let mut bytes = Vec::with_capacity(content.as_bytes().len() + added);
        for new in content.iter() {
            if !new.is_empty() {
                bytes.extend_from_slice(&line[..width]);
            }
            bytes.extend_from_slice(new);
            bytes.push(b'\n');
        }
        Ok(Cow::Owned(Lines::new(bytes)))
    }

    fn padded(&self, content: &Lines, located: &Located) -> Result<Lines, Refusal> {
        let (has, room) = (content.count(), located.count);
        if has > room {
            let (path, line) = (self.path, located.line());
            return Err(Refusal::new(
                Code::LineOutOfRange,
                format!("{has} lines do not fit into the {room} at line {line} of {path} that are to be padded"),
            )
            .in_file(path)
            .at_line(line));
        }
        let mut bytes = content.as_bytes().to_vec();
        bytes.resize(bytes.len() + room - has, b'\n');
        Ok(Lines::new(bytes))
    }

    /// Inserts lines at a virtual position; `beside` is an offset in the line whose ending they
    /// take.
    fn insertion(&self, position: usize, beside: usize, content: &Lines) -> Resolution {
        let text = with_ending(content, self.text.ending_near(beside));
        match text.is_empty() {
            true => Resolution::nothing(),
            false => self.piece(position..position, text, true),
        }
    }

    fn piece(&self, span: Range<usize>, text: Vec<u8>, guarded: bool) -> Resolution {
        let piece = Piece {
            span,
            text,
            operation: self.index,
        };
        Resolution::of(vec![piece], guarded)
    }

    fn virtual_end(&self, located: &Located) -> usize {
        let end = located.span.end;
        if end == self.text.bytes().len() && !located.span.is_empty() {
            return virtual_len(self.text);
        }
        end
    }

    /// Behind a BOM and a `#!` line.
    fn start_of_code(&self) -> usize {
        let start = self.text.bom_len();
        let first = split_lines(&self.text.bytes()[start..])
            .next()
            .unwrap_or_default();
        if !first.starts_with(b"#!") {
            return start;
        }
        let end = start + first.len();
        if end == self.text.bytes().len() {
            virtual_len(self.text)
        } else {
            end
        }
    }

    fn replace_text(
        &mut self,
        find: &[u8],
        content: &[u8],
        occurrence: Occurrence,
    ) -> Result<Resolution, Refusal> {
        let path = self.path;
        let places = self.places_of(find)?;
        let (shown, count) = (crate::error::excerpt(find, 60), places.len());
        // Who names a place among several, or has seen the file, means what stands there.
        let landed = match occurrence {
            // Much was looked for in vain.
            _ if self.resolver.is_done_comparing() => Landed::No,
            Occurrence::Only | Occurrence::All if count < 2 && self.operation.base.is_none() => {
                self.landed(&places, find, content)?
            }
            _ => Landed::No,
        };
        if let Landed::Yes(place) = landed {
            return Ok(Resolution {
                note: Some(landed::note(place.line)),
                ..Resolution::nothing()
            });
        }
        if count == 0 {
            let message = format!("{shown:?} is not found in {path}");
            let refusal = Refusal::new(Code::AnchorNotFound, message).in_file(path);
            let refusal = self.resolver.with_nearest(refusal, find);
            return Err(landed::mention(refusal, &landed));
        }
        if let Some(refusal) = landed::unclear(&landed, path, &format!("{shown:?}")) {
            return Err(refusal);
        }
        let index = match occurrence {
            Occurrence::Only if count > 1 => {
                let message = format!(
                    "{shown:?} is found at {count} places of {path}; say which by \"occurrence\""
                );
                return Err(self.among(&places, Code::AnchorAmbiguous, message));
            }
            Occurrence::Only | Occurrence::First => 0,
            Occurrence::Last => count - 1,
            Occurrence::Nth(n) => usize::try_from(n.get() - 1).unwrap_or(usize::MAX),
            Occurrence::All => {
                self.resolver.scan_places(places.len())?;
                let mut places = places.into_owned();
                keep_disjoint(&mut places);
                return self.text_pieces(places, content);
            }
        };
        match places.get(index) {
            Some(place) => self.text_pieces(vec![place.clone()], content),
            None => {
                let message = format!(
                    "{shown:?} is found {count} times in {path}, fewer than \"occurrence\" asks for"
                );
                Err(self.among(&places, Code::AnchorNotFound, message))
            }
        }
    }

    /// Where a text stands.
    fn places_of(&mut self, find: &[u8]) -> Result<Cow<'a, [Range<usize>]>, Refusal> {
        if let Some(places) = self.finds.of_all(find) {
            return Ok(Cow::Borrowed(places));
        }
        let places = find_text(self.text, find);
        self.resolver.scan(self.text.bytes().len())?;
        self.resolver.scan_places(places.len())?;
        Ok(Cow::Owned(places))
    }

    /// The refusal of a text that stands at several places.
    fn among(&self, places: &[Range<usize>], code: Code, message: String) -> Refusal {
        let refusal = Refusal::new(code, message).in_file(self.path);
        places
            .iter()
            .take(MAX_CANDIDATES)
            .fold(refusal, |refusal, place| {
                let line = self.text.line_at(place.start);
                let shown = self.text.line(line).unwrap_or_default();
                refusal.with_candidate(Some(line), trim_ending(&self.text.bytes()[shown]))
            })
    }

    /// Whether the edit has landed already, by the file or the log.
    fn landed(
        &mut self,
        places: &[Range<usize>],
        find: &[u8],
        content: &[u8],
    ) -> Result<Landed, Refusal> {
        let bytes = self.text.bytes();
        if let Some(first) = places.first()
            && !landed::stands_around(bytes, first, content)
        {
            return Ok(Landed::No);
        }
        self.resolver.scan(bytes.len())?;
        let landed = landed::characters_at(bytes, places, find, content, Rungs::Exact);
        let (Landed::Maybe(place) | Landed::Part(place)) = &landed else {
            return Ok(landed);
        };
        let edit = TextEdit {
            old: find.to_vec(),
            new: content.to_vec(),
        };
        Ok(match self.terms.tree.has_landed(self.path, &edit) {
            true => Landed::Yes(place.clone()),
            false => landed,
        })
    }

    fn text_pieces(
        &self,
        places: Vec<Range<usize>>,
        content: &[u8],
    ) -> Result<Resolution, Refusal> {
        self.terms
            .growth
            .repeat(self.index, self.path, content.len(), places.len())?;
        let bytes = self.text.bytes();
        let mut endings = Endings::of(self.text, content);
        let pieces = places.into_iter().filter_map(|span| {
            let text = with_newlines(content, endings.near(span.start));
            let piece = Piece {
                text: text.into_owned(),
                operation: self.index,
                span,
            };
            (piece.text != bytes[piece.span.clone()]).then_some(piece)
        });
        Ok(Resolution::of(pieces.collect(), true))
    }

    fn splice(&self, edits: &[Edit]) -> Result<Resolution, Refusal> {
        let len = self.text.bytes().len();
        if let Some(edit) = edits
            .iter()
            .find(|edit| edit.span.start > edit.span.end || edit.span.end > len)
        {
            return Err(Refusal::new(
                Code::LineOutOfRange,
                format!(
                    "bytes {:?} are past the end of {}, which has {len}",
                    edit.span, self.path
                ),
            )
            .in_file(self.path));
        }
        let bare = self.operation.bare && self.operation.base.is_none();
        if bare && !self.terms.policy.allow_unguarded {
            return Err(self.bare(edits));
        }
        let pieces = edits.iter().map(|edit| Piece {
            span: edit.span.clone(),
            text: edit.text.clone(),
            operation: self.index,
        });
        Ok(Resolution::of(pieces.collect(), !bare))
    }

    /// The refusal of edits whose positions nothing proves, with the lines around the first.
    fn bare(&self, edits: &[Edit]) -> Refusal {
        const AROUND: usize = 2;
        let (path, digest) = (self.path, (self.digest)());
        let span = edits.first().map_or(0..0, |edit| edit.span.clone());
        let line = self.text.line_at(span.start);
        let last = self.text.line_at(span.end.max(span.start));
        let mut refusal = Refusal::new(
            Code::Unguarded,
            format!(
                "line {line} of {path} is addressed by its number alone, which does not say what \
                 is there; send the text to replace (the file's hash is {digest})"
            ),
        )
        .with_hint(Hint::AllowUnguarded)
        .in_file(path)
        .at_line(line);
        let from = line.index().saturating_sub(AROUND);
        for index in from..=last.index().min(line.index() + AROUND) + AROUND {
            let number = LineNumber::from_index(index);
            if let Some(span) = self.text.line(number) {
                let shown = trim_ending(&self.text.bytes()[span]);
                refusal = refusal.with_candidate(Some(number), shown);
            }
        }
        refusal
    }
}

/// Keeps of places that overlap the first.
fn keep_disjoint(places: &mut Vec<Range<usize>>) {
    let mut end = 0;
    places.retain(|place| {
        let is_free = place.start >= end;
        if is_free {
            end = place.end;
        }
        is_free
    });
}

fn with_ending(content: &Lines, ending: LineEnding) -> Vec<u8> {
    with_newlines(content.as_bytes(), ending).into_owned()
}

/// Text whose newlines are a file's line ending.
fn with_newlines(text: &[u8], ending: LineEnding) -> Cow<'_, [u8]> {
    if ending == LineEnding::Lf {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 16 + 2);
    for line in split_lines(text) {
        let trimmed = trim_ending(line);
        bytes.extend_from_slice(trimmed);
        if trimmed.len() < line.len() {
            bytes.extend_from_slice(ending.as_bytes());
        }
    }
    Cow::Owned(bytes)
}
