//! Injection: the edits that put, renew or remove the comments above placeholders.

use std::collections::HashSet;
use std::ops::Range;

use super::claim::{Claims, Reach, Says};
use super::comment::{self, Comment, CommentKind, Existing};
use super::context::{Context, Place};
use super::injected;
use super::style::{CommentStyle, Indent, Trim};
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
    pub(super) scanner: &'a Scanner,
    pub(super) injected: &'a Injected,
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
        let is_wanted = |placeholder: &Placeholder<'_>| marks(placeholder.id).is_some();
        if !found.iter().any(is_wanted) {
            return result;
        }
        let file = File {
            path,
            bytes,
            text: Text::new(bytes),
        };
        let may_hold = comment::may_hold(bytes);
        let known = may_hold.then(|| self.known(path, bytes, &found, marks));
        let known = known.unwrap_or_default();
        // Comments are looked for in the whole file; else no line is asked about behind the last
        // placeholder's, and the rest of a file, a half of it on average, is not read.
        let last = found.last().filter(|_| !may_hold);
        let enough = last.map(|last| file.line_of(last.span.start).start);
        let context = self.context(path, bytes, &known, enough);
        let existing = match &context {
            Ok(context) if enough.is_none() => comment::all(bytes, context),
            _ => Vec::new(),
        };
        let mut wishes = Vec::new();
        // The ends of the lines above that bear a placeholder.
        let mut floors = vec![file.text.bom_len()];
        let mut rest = found.as_slice();
        while let Some(line) = Bearing::first(&file, rest) {
            let wanted = wanted(line.here, marks);
            if !wanted.is_empty() {
                let number = file.text.line_at(line.start);
                let place = context.as_ref().map_err(Clone::clone).and_then(|context| {
                    let place = context.place(bytes, line.start);
                    place.map_err(|why| (Code::NoCommentSyntax, format!("cannot be marked: {why}")))
                });
                for (id, mark) in wanted {
                    let wish = place.clone().and_then(|place| {
                        let site = file.site(place, line.start, number, &floors, &existing);
                        Wish::new(id, &mark, site, self.scanner).ok_or_else(matches_syntax)
                    });
                    match wish {
                        Ok(wish) => wishes.push(wish),
                        Err(why) => result.push(Marked::impossible(path, number, id, why)),
                    }
                }
            }
            floors.push(line.floor);
            rest = line.behind;
        }
        self.fulfil(&file, &found, &wishes, &existing, &mut result);
        result.sort_by_key(|marked| marked.line);
        result
    }

    /// The checksums of comments that are ours: put in earlier for one of the placeholders, or
    /// wanted now.
    fn known(
        &self,
        path: &RelPath,
        bytes: &[u8],
        found: &[Placeholder<'_>],
        marks: &dyn Fn(&str) -> Option<Mark>,
    ) -> HashSet<String> {
        let mut known = HashSet::new();
        let ids: HashSet<&str> = found.iter().map(|placeholder| placeholder.id).collect();
        let style = Language::of(path, bytes).and_then(|language| language.style);
        for id in ids {
            known.extend(self.injected.sums(id).map(str::to_owned));
            if let (Some(style), Some(mark)) = (style, marks(id)) {
                let comment = Comment::new(&mark, None, style, Trim::None, false, self.scanner);
                known.extend(comment.map(|comment| injected::checksum(&comment.words())));
            }
        }
        known
    }

    /// The state of the file's language; why there is none to be had.
    /// The text of comments with these checksums is left out: it is nobody's code. Nobody asks about
    /// lines behind `enough`.
    pub(super) fn context(
        &self,
        path: &RelPath,
        bytes: &[u8],
        known: &HashSet<String>,
        enough: Option<usize>,
    ) -> Result<Context, (Code, String)> {
        match detect_encoding(bytes) {
            Encoding::Wide => return Err((Code::UnsupportedEncoding, "is UTF-16".to_owned())),
            Encoding::Binary(_) => return Err((Code::BinaryFile, "holds NUL bytes".to_owned())),
            _ => {}
        }
        let Some(language) = Language::of(path, bytes) else {
            return Err((
                Code::NoCommentSyntax,
                "cannot be marked: no language is known for its name".to_owned(),
            ));
        };
        let name = String::from_utf8_lossy(path.file_name());
        let masked = comment::masked(bytes, language.style, known);
        Ok(Context::of(
            language,
            &name,
            masked.as_deref().unwrap_or(bytes),
            enough,
        ))
    }

    /// Matches the comments that stand in the file with those wanted: first those above the
    /// placeholders that say what is wanted, then older ones there, then those that were moved.
    fn fulfil(
        &self,
        file: &File<'_>,
        found: &[Placeholder<'_>],
        wishes: &[Wish<'_>],
        existing: &[Existing],
        result: &mut Vec<Marked>,
    ) {
        let mut claims = Claims::new(file.bytes, existing, wishes.len());
        // What belongs to any placeholder of the file is nobody's edit.
        let ids: HashSet<&str> = found.iter().map(|placeholder| placeholder.id).collect();
        let known: HashSet<&str> = match existing.is_empty() {
            true => HashSet::new(),
            false => ids.iter().flat_map(|id| self.injected.sums(id)).collect(),
        };
        for reach in [Reach::Above, Reach::Anywhere] {
            for (index, wish) in wishes.iter().enumerate() {
                let current = injected::checksum(&wish.words);
                claims.claim(
                    index,
                    wish,
                    reach,
                    [current.as_str()].into_iter(),
                    Says::Wanted,
                );
            }
            for (index, wish) in wishes.iter().enumerate() {
                let sums = self.injected.sums(wish.id);
                claims.claim(index, wish, reach, sums, Says::Older);
            }
            if reach == Reach::Above {
                for (index, wish) in wishes.iter().enumerate() {
                    claims.claim_task(index, wish, &known);
                }
            }
        }
        for (index, wish) in wishes.iter().enumerate() {
            if let Some((span, says)) = claims.spans[index].clone() {
                result.push(self.renew(file, wish, Some(span), says));
                continue;
            }
            let Some(span) = claims.claim_foreign(wish, &known, &ids) else {
                result.push(self.renew(file, wish, None, Says::Older));
                continue;
            };
            if self.overwrite {
                result.push(self.renew(file, wish, Some(span), Says::Older));
                continue;
            }
            result.push(Marked::edited(file, wish, span));
        }
    }

    fn renew(
        &self,
        file: &File<'_>,
        wish: &Wish<'_>,
        existing: Option<Range<usize>>,
        says: Says,
    ) -> Marked {
        let place = existing.as_ref().map_or(wish.site.at, |span| span.start);
        let line = &file.bytes[place..];
        let mut blank = line
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        match wish.site.style.indent {
            Indent::Spaces if line[..blank].contains(&b'\t') => blank = 0,
            Indent::None => blank = 0,
            Indent::Spaces | Indent::Line => {}
        }
        let ending = file.text.ending_near(place).as_bytes();
        let older = existing.as_ref().map(|span| &file.bytes[span.clone()]);
        let comment = older.map(|older| wish.comment.in_form_of(older));
        let comment = comment.as_ref().unwrap_or(&wish.comment);
        let bytes = comment.to_bytes(&line[..blank], ending);
        let edits = match (self.mode, existing) {
            (MarkMode::Inject, Some(_)) if says == Says::Wanted => Vec::new(),
            (MarkMode::Inject, Some(span)) => vec![Edit::replace(span, bytes)],
            (MarkMode::Inject, None) => vec![Edit::insert(wish.site.at, bytes)],
            (MarkMode::Remove, Some(span)) => vec![Edit::delete(span)],
            (MarkMode::Remove, None) => Vec::new(),
        };
        Marked::done(wish.id, wish.site.number, edits, wish.words.clone())
    }
}

/// A comment that is to stand somewhere.
pub(super) struct Wish<'a> {
    pub(super) id: &'a str,
    pub(super) kind: CommentKind,
    pub(super) site: Site,
    comment: Comment,
    words: String,
}

impl<'a> Wish<'a> {
    /// `None` where the text looks like a placeholder whatever is done to it.
    fn new(id: &'a str, mark: &Mark, site: Site, scanner: &Scanner) -> Option<Self> {
        let name = site.elsewhere.then_some(id);
        let comment = Comment::new(mark, name, site.style, site.trim, site.documented, scanner)?;
        Some(Self {
            id,
            kind: mark.kind(),
            site,
            words: comment.words(),
            comment,
        })
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

    /// A placeholder that cannot have a comment, and why.
    fn impossible(path: &RelPath, line: LineNumber, id: &str, (code, why): (Code, String)) -> Self {
        let why = format!("{path} line {line}, placeholder {id}, {why}");
        let mut refusal = Refusal::new(code, why).in_file(path);
        if code == Code::InvalidBatch {
            refusal = refusal.with_hint(Hint::Syntax);
        }
        Self::refused(id, line, refusal)
    }

    /// A placeholder below a comment that somebody edited.
    fn edited(file: &File<'_>, wish: &Wish<'_>, comment: Range<usize>) -> Self {
        let (id, at) = (wish.id, file.text.line_at(comment.start));
        let why = format!(
            "{} line {at}: the comment above placeholder {id} was edited by hand; remove it",
            file.path
        );
        let refusal = Refusal::new(Code::CommentEdited, why)
            .in_file(file.path)
            .with_hint(Hint::Overwrite);
        let refusal = refusal.at_line(at).with_found(&file.bytes[comment]);
        Self::refused(id, wish.site.number, refusal)
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

    /// What is known of the place of a comment.
    fn site(
        &self,
        place: Place,
        line: usize,
        number: LineNumber,
        floors: &[usize],
        existing: &[Existing],
    ) -> Site {
        let mut at = place.at;
        let mut next = existing.partition_point(|existing| existing.span().start < at);
        let mut floor = floors[floors
            .partition_point(|floor| *floor <= at)
            .saturating_sub(1)];
        if at > line {
            // Below the first lines, behind the comments that are there already.
            floor = at;
            while let Some(here) = existing.get(next)
                && here.span().start == at
            {
                at = here.span().end;
                next += 1;
            }
        }
        // Upwards over comments like ours, and blank lines between them.
        let mut first = next;
        let mut top = at;
        while first > 0 {
            let span = existing[first - 1].span();
            let blank = span.end <= top && self.bytes[span.end..top].trim_ascii().is_empty();
            if span.start < floor || !blank {
                break;
            }
            first -= 1;
            top = span.start;
        }
        Site {
            number,
            at,
            style: place.style,
            trim: place.trim,
            elsewhere: place.at != line,
            documented: place.style.documents() && comment::is_below_documentation(self.bytes, at),
            above: first..next,
        }
    }
}

/// A line that bears placeholders.
struct Bearing<'p, 'a> {
    start: usize,
    /// Those that start on it.
    here: &'p [Placeholder<'a>],
    /// Where the line ends that the last of them ends on.
    floor: usize,
    /// Those that start behind that.
    behind: &'p [Placeholder<'a>],
}

impl<'p, 'a> Bearing<'p, 'a> {
    fn first(file: &File<'_>, found: &'p [Placeholder<'a>]) -> Option<Self> {
        let line = file.line_of(found.first()?.span.start);
        let here = found.iter().take_while(|p| p.span.start < line.end).count();
        let (here, mut behind) = found.split_at(here);
        // A placeholder of one's own syntax may span lines.
        let floor = file.line_of(here.last()?.span.end - 1).end;
        while let Some(next) = behind.first()
            && next.span.start < floor
        {
            behind = &behind[1..];
        }
        Some(Self {
            start: line.start,
            here,
            floor,
            behind,
        })
    }
}

/// Where a comment goes, and what stands there.
pub(super) struct Site {
    /// The placeholder's line.
    number: LineNumber,
    /// The start of the line that the comment goes above.
    pub(super) at: usize,
    style: &'static CommentStyle,
    trim: Trim,
    /// Whether that is another line than the placeholder's.
    elsewhere: bool,
    /// Whether documentation stands above it.
    documented: bool,
    /// The comments right above, by their indices.
    pub(super) above: Range<usize>,
}

/// Why a text is put into no comment.
fn matches_syntax() -> (Code, String) {
    let why = "has a text that itself matches the placeholder syntax; reword it";
    (Code::InvalidBatch, why.to_owned())
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
