//! Why a hunk has no place.

use super::evidence::Against;
use super::{Anchors, File, How, MOST_COMPARED, Placed, Spot};
use crate::anchor::near;
use crate::diff::parse::{Hunk, HunkLine, Role};
use crate::error::{Code, Hint, Refusal};
use crate::locate;
use crate::path::RelPath;
use crate::text::{LineNumber, trim_ending};

/// A line, what stands in the file from it on, and the line that the hunk has there, if any.
type Difference<'f, 'h> = (LineNumber, &'f [u8], Option<HunkLine<'h>>);

impl File<'_> {
    pub(super) fn mismatch(&self, hunk: &Hunk<'_>, name: &str, how: How) -> Refusal {
        let old: Vec<&HunkLine<'_>> = hunk
            .lines
            .iter()
            .filter(|line| line.role != Role::Added)
            .collect();
        if old.is_empty() {
            return self.no_place(hunk, name);
        }
        let anchors = self.anchors(hunk);
        let difference = self.first_difference(hunk, how);
        // Whether the line that its header says holds another text.
        let is_other = matches!(&difference, Some((line, found, Some(wanted)))
            if *found != wanted.text && self.other_ending(*line, *wanted).is_none());
        let elsewhere = self.elsewhere(hunk, &anchors);
        let mut refusal = self.differs(difference, name, &anchors, elsewhere);
        if anchors.end && hunk.lines.iter().all(|line| line.role != Role::Context) {
            refusal.hint = Some(Hint::UnidiffZero);
        }
        let left = self.compared.get();
        // The first hunk may be compared with any file.
        if left < self.bytes.len() && left < MOST_COMPARED {
            return refusal;
        }
        self.compared.set(left.saturating_sub(self.bytes.len()));
        let texts: Vec<&[u8]> = old.iter().map(|line| line.text).collect();
        let stated = self.stated_index(hunk);
        if let Some(near) = near::nearest(self.bytes, &texts)
            && near.differs.is_some()
        {
            // Another place is more like it than the one that its header says.
            let is_elsewhere = Some(near.line.index()) != stated;
            if is_elsewhere {
                let said = near.describe(self.bytes, &texts);
                refusal.message = match refusal.line.filter(|_| is_other) {
                    Some(line) => {
                        format!("{name} does not apply at line {line}, and {elsewhere}; {said}")
                    }
                    None => format!("{}; {said}", refusal.message),
                };
            }
            if is_elsewhere || is_other {
                refusal = near.show(refusal, self.bytes);
            }
        }
        for place in locate::nearest(self.bytes, &texts) {
            let shown = self.text.line(place.line).map(|span| &self.bytes[span]);
            let shown = trim_ending(shown.unwrap_or_default());
            refusal = refusal.with_candidate(Some(place.line), shown);
        }
        refusal
    }

    fn not_found(&self, message: String) -> Refusal {
        Refusal::new(Code::AnchorNotFound, message).in_file(self.path)
    }

    /// A hunk without old lines that has no place.
    fn no_place(&self, hunk: &Hunk<'_>, name: &str) -> Refusal {
        let why = match hunk.ranges {
            Some(ranges) if ranges.old_start > 0 || self.bytes.is_empty() => {
                let why = "it has no context; send it with context";
                return self
                    .not_found(format!("{name} has no place: {why}"))
                    .with_hint(Hint::UnidiffZero);
            }
            Some(_) => "it expects an empty file, and the file is not empty",
            None => "it has neither line numbers nor context to find its place by",
        };
        self.not_found(format!("{name} has no place: {why}"))
    }

    /// Why a hunk that is not where it says is not looked for elsewhere, or not found there.
    fn elsewhere(&self, hunk: &Hunk<'_>, anchors: &Anchors) -> &'static str {
        if self.options.strict && hunk.ranges.is_some() {
            "hunks may not move in strict mode"
        } else if anchors.end {
            "without context below its changes it cannot move; send the line below them, too"
        } else if anchors.start {
            "by its header it must match at the start of the file"
        } else {
            "its old lines are nowhere else"
        }
    }

    /// By the first line that differs where the hunk says that it stands.
    fn differs(
        &self,
        difference: Option<Difference<'_, '_>>,
        name: &str,
        anchors: &Anchors,
        elsewhere: &str,
    ) -> Refusal {
        let Some((line, found, wanted)) = difference else {
            return self.not_found(format!(
                "{name} does not apply: its old lines are not in the file"
            ));
        };
        let Some(wanted) = wanted else {
            let (end, why) = if anchors.end {
                let why = "no context follows its changes; send the line below them, too";
                ("end", why)
            } else {
                ("start", "its header says line 1")
            };
            let message = format!(
                "{name} does not apply at line {line}: it must match at the {end} of the file, since {why}"
            );
            return self.not_found(message).at_line(line).with_found(found);
        };
        if let Some(ours) = self.other_ending(line, wanted) {
            let theirs = if wanted.text.ends_with(b"\r") {
                "CRLF"
            } else {
                "LF"
            };
            let message = format!(
                "{name} does not apply: line {line} ends in {ours}, the hunk has {theirs} there, and the lines of the file, or of the patch, do not all end alike; write the hunk with the endings of the file"
            );
            return self.not_found(message).at_line(line).with_found(found);
        }
        if found == wanted.text {
            let how = if wanted.newline {
                "ends the file without a newline, the hunk has one there"
            } else {
                "ends in a newline, the hunk has it end the file without one"
            };
            let message = format!("{name} does not apply: line {line} {how}, and {elsewhere}");
            return self.not_found(message).at_line(line).with_found(found);
        }
        let at = near::first_difference(found, wanted.text);
        let (is, has) = (near::shown(found, at), near::shown(wanted.text, at));
        let message = format!(
            "{name} does not apply: line {line} is {is}, the hunk has {has}, and {elsewhere}"
        );
        near::found(self.not_found(message).at_line(line), found)
    }

    /// The first line, from the stated one on, that is not as the hunk has it: its number, what
    /// stands there from it on, and the line that the hunk has.
    fn first_difference<'h>(&self, hunk: &Hunk<'h>, how: How) -> Option<Difference<'_, 'h>> {
        let start = self.stated_index(hunk)?;
        let at = self.offset(start, hunk).unwrap_or(self.bytes.len());
        let old = hunk.lines.iter().filter(|line| line.role != Role::Added);
        let wrong = match self.old_lines_at(at, hunk, how) {
            Ok(_) => return Some((LineNumber::from_index(start), self.line_from(start), None)),
            Err(index) => index,
        };
        let wanted = old.clone().nth(wrong)?;
        Some((
            LineNumber::from_index(start + wrong),
            self.line_from(start + wrong),
            Some(*wanted),
        ))
    }

    /// How a line of the file ends, where nothing else sets it apart from the hunk's.
    fn other_ending(&self, line: LineNumber, wanted: HunkLine<'_>) -> Option<&'static str> {
        let bytes = &self.bytes[self.text.line(line)?];
        let theirs = wanted.text.strip_suffix(b"\r").unwrap_or(wanted.text);
        let is_crlf = bytes.ends_with(b"\r\n");
        let differs = is_crlf != wanted.text.ends_with(b"\r");
        let same = wanted.newline && bytes.ends_with(b"\n") && trim_ending(bytes) == theirs;
        (same && differs).then_some(if is_crlf { "CRLF" } else { "LF" })
    }

    fn line_from(&self, index: usize) -> &[u8] {
        let span = self.text.line(LineNumber::from_index(index));
        span.map(|span| trim_ending(&self.bytes[span]))
            .unwrap_or_default()
    }

    /// For a hunk that nothing but its line number places, beside one that has moved.
    pub(super) fn number_is_off(&self, name: &str) -> Refusal {
        Refusal::new(
            Code::AnchorNotFound,
            format!(
                "{name} has no place: it has no context, and another hunk of the file is not at the line of its header either; send it with context"
            ),
        )
        .in_file(self.path)
    }

    /// For a hunk that adds lines behind a last line without a newline, and leaves that as it is.
    pub(super) fn behind_open_end(&self, name: &str) -> Refusal {
        let last = self.text.line_count();
        Refusal::new(
            Code::ExpectMismatch,
            format!(
                "{name} adds lines below line {last}, which ends the file without a newline; remove that line and add it with one"
            ),
        )
        .in_file(self.path)
    }

    /// For a hunk with a new line behind one that ends the file.
    pub(super) fn ends_twice(&self, name: &str) -> Refusal {
        Refusal::new(
            Code::InvalidBatch,
            format!(
                "{name} has a new line after one that is marked as the last, without a newline"
            ),
        )
        .in_file(self.path)
    }

    /// For a hunk that could go to several places; `fits` if one is the line of its header.
    pub(super) fn ambiguous(
        &self,
        hunk: &Hunk<'_>,
        name: &str,
        places: &[locate::Place],
        fits: bool,
    ) -> Refusal {
        let stated = match self.stated_index(hunk) {
            Some(_) if fits => {
                ", and the file has changed since the patch was made, so that its line number proves nothing".to_owned()
            }
            Some(_) if self.anchors(hunk).end => {
                ", no context below its changes tells which".to_owned()
            }
            Some(index) => format!(", and not at line {}", index + 1),
            None => String::new(),
        };
        let count = match places.len() {
            locate::ENOUGH.. => format!("{} places or more", places.len()),
            count => format!("{count} places"),
        };
        let refusal = Refusal::new(
            Code::AnchorAmbiguous,
            format!("{name} could go to {count}{stated}; send it with more context"),
        )
        .in_file(self.path);
        locate::with_places(refusal, self.bytes, places)
    }

    /// For a hunk whose only place is not credible.
    pub(super) fn incredible(
        &self,
        hunk: &Hunk<'_>,
        name: &str,
        spot: &Spot,
        against: &Against,
    ) -> Refusal {
        let line = self.text.line_at(spot.span.start);
        let why = match against {
            Against::Heading => format!(
                "which is not below {:?}, as its header says",
                crate::error::excerpt(hunk.heading, 80)
            ),
            Against::Neighbours => {
                "and the hunks around it have moved by another number of lines".to_owned()
            }
        };
        let shown = self
            .text
            .line(line)
            .map(|span| &self.bytes[span])
            .unwrap_or_default();
        Refusal::new(
            Code::AnchorNotFound,
            format!(
                "{name} does not apply: its old lines are at line {line} only, {why}; read the file and send the hunk again"
            ),
        )
        .in_file(self.path)
        .with_candidate(Some(line), trim_ending(shown))
    }
}

/// Whether two hunks add lines at one point without context, where their headers do not say that the
/// one follows the other.
fn are_one(
    hunks: &[Hunk<'_>],
    first: usize,
    second: usize,
    placed: &[Result<Placed, Box<Refusal>>],
) -> bool {
    let span = |index: usize| placed[index].as_ref().ok().map(|hunk| hunk.span.clone());
    let follows = || {
        let above = hunks[first].ranges?;
        Some(hunks[second].ranges?.new_start >= above.new_start + above.new_count)
    };
    let is_point = span(first).is_some_and(|span| span.is_empty());
    is_point && span(first) == span(second) && follows() != Some(true)
}

/// Two hunks may share context, nothing else: the later one is refused.
pub(super) fn refuse_overlaps(
    hunks: &[Hunk<'_>],
    placed: &mut [Result<Placed, Box<Refusal>>],
    path: &RelPath,
) {
    let mut order: Vec<usize> = (0..placed.len())
        .filter(|&index| placed[index].is_ok())
        .collect();
    order.sort_by_key(|&index| placed[index].as_ref().map_or(0, |hunk| hunk.span.start));
    let mut last: Option<usize> = None;
    for index in order {
        let Ok(this) = &placed[index] else { continue };
        if let Some(before) = last
            && let Ok(other) = &placed[before]
            && (this.span.start < other.span.end
                || are_one(hunks, before.min(index), before.max(index), placed))
        {
            let end = other.edits.last().map_or(0, |edit| edit.span.end);
            let start = this
                .edits
                .first()
                .map_or(usize::MAX, |edit| edit.span.start);
            if start <= end {
                let (first, second) = (before.min(index), before.max(index));
                placed[second] = Err(Box::new(
                    Refusal::new(
                        Code::Overlap,
                        format!(
                            "hunk {} of {path} (line {} of the patch) changes the same lines as hunk {}",
                            second + 1,
                            hunks[second].line,
                            first + 1
                        ),
                    )
                    .in_file(path),
                ));
                if second == index {
                    continue;
                }
            }
        }
        last = Some(index);
    }
}
