//! Injection: the edits that put, renew or remove the comments above placeholders.

use std::ops::Range;

use super::comment::{Comment, Existing, Kind, comments_above};
use super::site::Surroundings;
use super::style::CommentStyle;
use super::{Injected, Language, Mark, Placeholder, Scanner};
use crate::edit::Edit;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::text::{BOM, Encoding, LineNumber, Text, detect_encoding};

/// Whether comments are put in or taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkMode {
    /// Put them in, and renew those that say something older.
    Inject,
    /// Take them out.
    Remove,
}

/// Puts comments above placeholders.
///
/// ```
/// use patchcore::edit::EditSet;
/// use patchcore::placeholder::{Injected, Mark, Marker, Scanner};
/// # use patchcore::RelPath;
/// let source = b"  // ###INIT###\n";
/// let (scanner, injected) = (Scanner::new(), Injected::default());
/// let marker = Marker::new(&scanner, &injected);
/// let marks = |id: &str| (id == "INIT").then(|| Mark::Prompt("start here".to_owned()));
/// let marked = marker.mark(&RelPath::new("a.ts")?, source, &marks);
/// let edits = EditSet::new(marked.into_iter().flat_map(|m| m.edits).collect(), source.len());
/// let after = edits.expect("marks never overlap").apply(source);
/// assert_eq!(after, b"  /** agent: start here **/\n  // ###INIT###\n");
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug, Clone)]
pub struct Marker<'a> {
    scanner: &'a Scanner,
    injected: &'a Injected,
    mode: MarkMode,
    overwrite: bool,
}

/// What becomes of the comment above one placeholder.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The placeholder's id.
    pub id: String,
    /// The placeholder's line, from 1.
    pub line: LineNumber,
    /// From the file's bytes to the new ones; none where nothing is to be done, one otherwise.
    pub edits: Vec<Edit>,
    /// Why nothing can be done.
    pub refusal: Option<Refusal>,
    /// The comment in the form by which it is known again; see [`Injected`].
    comment: Option<String>,
}

impl Marked {
    /// Notes the comment as one that was injected.
    pub fn note(&self, injected: &mut Injected) {
        if let (None, Some(comment)) = (&self.refusal, &self.comment) {
            injected.insert(&self.id, comment);
        }
    }
}

impl<'a> Marker<'a> {
    /// A marker that knows what was injected before, and injects.
    #[must_use]
    pub fn new(scanner: &'a Scanner, injected: &'a Injected) -> Self {
        Self {
            scanner,
            injected,
            mode: MarkMode::Inject,
            overwrite: false,
        }
    }

    /// Says whether comments are put in or taken out.
    #[must_use]
    pub fn in_mode(mut self, mode: MarkMode) -> Self {
        self.mode = mode;
        self
    }

    /// Replaces, or takes out, comments that were edited by hand, too.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// What is to be done in a file; `marks` says what the comment above a placeholder says, and
    /// `None` for one that is left alone. An id that stands on one line twice is marked once.
    #[must_use]
    pub fn mark(
        &self,
        path: &RelPath,
        bytes: &[u8],
        marks: &dyn Fn(&str) -> Option<Mark>,
    ) -> Vec<Marked> {
        let found = self.scanner.find(bytes);
        let mut result = Vec::new();
        if !found
            .iter()
            .any(|placeholder| marks(placeholder.id).is_some())
        {
            return result;
        }
        let file = File {
            path,
            bytes,
            text: Text::new(bytes),
        };
        let language = Language::of(path, bytes);
        let mut surroundings = language.map(|language| Surroundings::new(bytes, language));
        let mut floor = file.text.bom_len();
        let encoding = detect_encoding(bytes);
        let mut rest = found.as_slice();
        while let Some(first) = rest.first() {
            let line = file.line_of(first.span.start);
            let here = rest.iter().take_while(|p| p.span.start < line.end).count();
            let wanted = wanted(&rest[..here], marks);
            let all: Vec<&str> = rest[..here].iter().map(|p| p.id).collect();
            if !wanted.is_empty() {
                let style = match (encoding, &mut surroundings) {
                    (Encoding::Wide, _) => Err((Code::UnsupportedEncoding, "is UTF-16".to_owned())),
                    (Encoding::Binary(_), _) => {
                        Err((Code::BinaryFile, "holds NUL bytes".to_owned()))
                    }
                    (_, Some(surroundings)) => surroundings
                        .style_above(line.clone(), line.start == file.text.bom_len())
                        .map_err(|why| (Code::NoCommentSyntax, format!("cannot be marked: {why}"))),
                    (_, None) => Err((
                        Code::NoCommentSyntax,
                        "cannot be marked: no language is known for its name".to_owned(),
                    )),
                };
                let number = file.text.line_at(line.start);
                match style {
                    Ok(style) => {
                        let site = Site {
                            line,
                            number,
                            floor,
                            style,
                        };
                        self.mark_line(&file, &site, &all, wanted, &mut result);
                    }
                    Err((code, why)) => result.extend(wanted.into_iter().map(|(id, _)| {
                        let why = format!("{path} line {number}, placeholder {id}, {why}");
                        Marked::refused(id, number, Refusal::new(code, why).in_file(path))
                    })),
                }
            }
            // A placeholder of one's own syntax may span lines.
            floor = file.line_of(rest[here - 1].span.end - 1).end;
            rest = &rest[here..];
            while let Some(next) = rest.first()
                && next.span.start < floor
            {
                rest = &rest[1..];
            }
        }
        result
    }

    /// The comments above one line: those that stand there are matched with those wanted, exact
    /// ones first, then older ones by what was injected before.
    fn mark_line(
        &self,
        file: &File<'_>,
        site: &Site,
        all: &[&str],
        wanted: Vec<(&str, Mark)>,
        result: &mut Vec<Marked>,
    ) {
        let kind = wanted[0].1.kind();
        let mut existing = comments_above(file.bytes, site.floor, site.line.start, site.style);
        existing.retain(|existing| existing.kind == kind);
        existing.reverse();
        let mut open: Vec<(&str, Comment)> = Vec::new();
        for (id, mark) in wanted {
            let Some(comment) = Comment::new(&mark, site.style, self.scanner) else {
                let why = format!(
                    "{} line {}: the text for {id} itself matches the placeholder syntax; reword it",
                    file.path, site.number
                );
                let refusal = Refusal::new(Code::InvalidBatch, why)
                    .in_file(file.path)
                    .with_hint(Hint::Syntax);
                result.push(Marked::refused(id, site.number, refusal));
                continue;
            };
            let normal = comment.normal();
            match existing.iter().position(|e| e.normal == normal) {
                Some(index) => {
                    let span = existing.remove(index).span;
                    let edits = match self.mode {
                        MarkMode::Inject => Vec::new(),
                        MarkMode::Remove => vec![Edit::delete(span)],
                    };
                    result.push(Marked::done(id, site.number, edits, normal));
                }
                None => open.push((id, comment)),
            }
        }
        for (id, comment) in open {
            let older = existing.iter().position(|e| self.is_ours(e, id, all, kind));
            // One that is nobody else's, either.
            let foreign = || {
                existing
                    .iter()
                    .position(|e| !all.iter().any(|other| self.is_ours(e, other, &[], kind)))
            };
            let edited = older.is_none().then(foreign).flatten();
            let marked = match (older, edited) {
                (Some(index), _) => {
                    self.renew(file, site, id, &comment, Some(existing.remove(index)))
                }
                (None, Some(index)) if self.overwrite => {
                    self.renew(file, site, id, &comment, Some(existing.remove(index)))
                }
                (None, Some(index)) => {
                    let at = file.text.line_at(existing[index].span.start);
                    let found = &file.bytes[existing.remove(index).span];
                    let why = format!(
                        "{} line {at}: the comment above placeholder {id} was edited by hand; remove it",
                        file.path
                    );
                    let refusal = Refusal::new(Code::CommentEdited, why)
                        .in_file(file.path)
                        .with_hint(Hint::Overwrite);
                    Marked::refused(id, site.number, refusal.at_line(at).with_found(found))
                }
                (None, None) => self.renew(file, site, id, &comment, None),
            };
            result.push(marked);
        }
    }

    /// Whether a comment is an older one of ours for a placeholder.
    fn is_ours(&self, existing: &Existing, id: &str, on_line: &[&str], kind: Kind) -> bool {
        if self.injected.knows(id, &existing.normal) {
            return true;
        }
        // A comment that names a task says by itself that nobody edited it.
        kind == Kind::Task
            && existing.task_id().is_some_and(|task| {
                !task.contains(char::is_whitespace)
                    && !on_line
                        .iter()
                        .any(|other| *other != id && self.injected.knows(other, &existing.normal))
            })
    }

    fn renew(
        &self,
        file: &File<'_>,
        site: &Site,
        id: &str,
        comment: &Comment,
        existing: Option<Existing>,
    ) -> Marked {
        let line = &file.bytes[site.line.clone()];
        let blank = line
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let ending = file.text.ending_near(site.line.start).as_bytes();
        let bytes = comment.to_bytes(&line[..blank], ending);
        let edits = match (self.mode, existing) {
            (MarkMode::Inject, Some(existing)) => vec![Edit::replace(existing.span, bytes)],
            (MarkMode::Inject, None) => vec![Edit::insert(site.line.start, bytes)],
            (MarkMode::Remove, Some(existing)) => vec![Edit::delete(existing.span)],
            (MarkMode::Remove, None) => Vec::new(),
        };
        Marked::done(id, site.number, edits, comment.normal())
    }
}

impl Marked {
    fn done(id: &str, line: LineNumber, edits: Vec<Edit>, comment: String) -> Self {
        Self {
            id: id.to_owned(),
            line,
            edits,
            refusal: None,
            comment: Some(comment),
        }
    }

    fn refused(id: &str, line: LineNumber, refusal: Refusal) -> Self {
        Self {
            id: id.to_owned(),
            line,
            edits: Vec::new(),
            refusal: Some(refusal),
            comment: None,
        }
    }
}

struct File<'a> {
    path: &'a RelPath,
    bytes: &'a [u8],
    text: Text<'a>,
}

impl File<'_> {
    fn line_of(&self, offset: usize) -> Range<usize> {
        let end = crate::bytes::find(b'\n', &self.bytes[offset..]);
        let end = end.map_or(self.bytes.len(), |at| offset + at + 1);
        let start = self.text.line_start(offset);
        debug_assert!(start >= self.text.bom_len().min(BOM.len()));
        start..end
    }
}

/// The line of one or more placeholders, and what stands above it.
struct Site {
    line: Range<usize>,
    number: LineNumber,
    /// The end of the last line above that bears a placeholder.
    floor: usize,
    style: &'static CommentStyle,
}

/// The ids on a line that are to be marked, once each.
fn wanted<'a>(
    here: &[Placeholder<'a>],
    marks: &dyn Fn(&str) -> Option<Mark>,
) -> Vec<(&'a str, Mark)> {
    let mut wanted: Vec<(&str, Mark)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for placeholder in here {
        if seen.insert(placeholder.id)
            && let Some(mark) = marks(placeholder.id)
        {
            wanted.push((placeholder.id, mark));
        }
    }
    wanted
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
