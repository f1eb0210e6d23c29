//! Unified diffs, applied as `git apply` does: context must match exactly, without fuzz.
//!
//! A hunk stands where its header says. It may stand elsewhere only if all of its old lines are
//! found at exactly one place of the file (git takes the nearest of many). As in git, a hunk that
//! starts at line 1 must match at the start of the file, and one without trailing context at its
//! end. A number-less `@@ … @@` hunk goes where its old lines are found, if that is one place;
//! all of a new file may stand in one.
//!
//! A hunk without trailing context that does not match at the end was cut short, or made without
//! context. It proves its place itself if it changes what it finds, and its old lines stand at the
//! very line of its header and nowhere else; a hunk that has context needs two old lines for that.
//! One that only adds lines needs [`unidiff_zero`](super::Options::unidiff_zero), or the blob that
//! its `index` line names: it could land once more each time.
//!
//! Where this departs from git, on purpose:
//! - where old lines stand at several places, git takes the one nearest to the stated line. Here the
//!   blob name in the `index` line, the function that the hunk names, and the hunks around it have to
//!   agree on one; the stated line counts last, and not at all where the file is known to be another;
//! - a hunk whose only place is in another function than the one that it names, or out of step with
//!   the hunks around it, is refused;
//! - a line of context at the end of the file stays as it is, with or without a newline;
//! - context that two hunks share is fine as long as their changed lines are disjoint;
//! - a file in `\r\n` takes a diff whose lines end in `\n`, and the other way around, if all lines
//!   of both are of one kind: GNU `patch` and jsdiff do, git does not;
//! - a file of which every hunk stands in it already, one below the other, each at one place and by
//!   so much text that it is no chance, is left as it is; so is one that is the new blob of the
//!   `index` line. Git and GNU `patch` refuse both;
//! - a hunk that proves its place needs neither the end of the file nor `unidiff_zero`, unless
//!   [`strict`](super::Options::strict): GNU `patch` and jsdiff ask for less;
//! - a hunk without trailing context that has moved goes to the end of the file only if its old
//!   lines stand nowhere else, its stated line included;
//! - a rename whose source is gone changes its target, if the `index` line names the blob that the
//!   target is: the rename has happened. GNU `patch` asks for less;
//! - an empty line marked as without newline is the end of the file, behind a newline: it holds no
//!   byte. So GNU `patch` reads it, too;
//! - a pure insertion without context goes where its header says, or nowhere: git lets it slide to
//!   the end of the file;
//! - a symbolic link may be made, or led elsewhere, only beneath the root and to nothing protected:
//!   no absolute target, none that climbs out, none with `..` behind a name. Git and GNU `patch`
//!   let it lead anywhere;
//! - a section that does not say mode 120000 means no link: git takes the mode of what stands there;
//! - submodules are refused, and nothing is ever written through a link;
//! - a pure insertion without context is refused where another hunk of its file has moved: the one
//!   thing that says where it goes is then known to be off;
//! - what would make two lines one is refused, lines added below a last line without a newline among
//!   it: git joins them;
//! - `reverse` takes sections back from the last to the first, as git does, but deletions first, so
//!   that a file can come back to a name that another was given since;
//! - a hunk with all lines that its header counts is over, as in git. What follows is text if the
//!   file has no such line there; if it could be one more line of the hunk, it is refused, where git
//!   drops it without a word;
//! - counts of a hunk header that do not fit are corrected where the end of the hunk is clear, unless
//!   [`strict`](super::Options::strict). A hunk that the end of the patch cuts off is refused, unless
//!   it lacks nothing but blank lines of context, which the file has, or nothing can be missing,
//!   since three lines of context end it and the file goes on. Git refuses both, GNU `patch` takes
//!   the first;
//! - where such a hunk makes another blob of the old one than the `index` line names, a line of it is lost,
//!   and it is refused unless the lines are counted anew; for a new file that is not named as empty, too;
//! - a `diff --git` line with nothing but names and blobs below it has lost its hunks, and is refused, as
//!   is a new file that is not empty by its blob and has none. Git leaves the first out, and makes the
//!   second empty;
//! - two hunks that add lines at one point without context are refused, unless their new ranges follow
//!   one another: a hunk was sent twice. So are all others that share lines;
//! - a header of the next file that has lost its `---` line, or is joined to the last line of a hunk,
//!   is refused. Git and GNU `patch` read its hunks as those of the file above, or refuse them;
//! - names without git's prefixes are taken as they are, and at another level where that names a file
//!   that does not exist, and at one level alone all old files exist and all hunks apply. Git takes
//!   one component off, whatever it is;
//! - a patch whose every line for a file ends in `\r\n`, headers included, makes it in `\n`: the endings
//!   came on its way. Git keeps them;
//! - a mail in quoted-printable, base64 or `format=flowed` is refused: `git am` decodes it, `git
//!   apply` takes its lines as they are;
//! - no white space is fixed, and no blob is taken from an object store.
//!
//! # Beside the real tools
//!
//! Of 366 unified diffs from the test suites of git, GNU patch, diffy and jsdiff, and of commits
//! of six projects applied to trees that had moved on, 356 come out as the tool at hand has them,
//! none comes out otherwise, 2 are applied that the tool refuses, and 8 are refused that it
//! applies:
//!
//! | refused | why |
//! |---|---|
//! | 4 | the lines moved, and stand at 2 to 6 places |
//! | 3 | insertions without context, without `unidiff_zero`: nothing but a number says where |
//! | 1 | it makes a symbolic link with an absolute target |
//!
//! Applied, and refused by the tool: a diff in `\n` for a file all in `\r\n`, which git refuses and
//! jsdiff takes, since nothing but the ending differs, and all lines keep the file's; and a binary
//! patch, which GNU `patch` does not know and git applies, as the blob names of both ends prove it.
//!
//! # On files that have moved on
//!
//! `benches/drift.rs` makes diffs of the project's own files and applies them after lines above and
//! below were inserted, half of them copied from the file, and deleted. Of 100,000 with the target
//! intact and an `index` line, 96.2 % land, 3.8 % are refused since several places fit, and 2 land in
//! a copy; without an `index` line 23 do. `git apply` and GNU `patch` land 99 % and get 1 % wrong. With
//! the target changed, and a copy of the old lines elsewhere, 41 % of 6,000 land in the copy, where
//! both tools land all there.

pub(super) mod damage;
mod ends;
mod glob;
mod hunks;
mod levels;
mod lower;
mod names;

use std::collections::{HashMap, HashSet};

use super::unread::{Misread, Misreads};
use super::{Options, Unread};
use crate::batch::diagnostic::MAX_FAULTS;
use crate::diff::parse::{self, Binary, Counts, Hunk, ParseOptions, Role};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::threads;
pub(super) use levels::Levels;

/// A diff whose names are resolved.
struct Unified<'a> {
    sections: Vec<Section<'a>>,
    hunk_options: HunkOptions,
    content: Digest,
}

/// What decides how a hunk is placed.
#[derive(Debug, Clone, Copy, Default)]
struct HunkOptions {
    unidiff_zero: bool,
    ignore_whitespace: bool,
    strict: bool,
    allow_omission: bool,
    /// Whether all lines of the section end in `\r\n`, its header's included: then the endings came on
    /// the way, and are not those of its file.
    is_crlf: bool,
}

/// What the diff does to one file.
#[derive(Debug)]
struct Section<'a> {
    /// The line of the diff where it starts.
    line: usize,
    kind: SectionKind,
    /// The file as it is named before; for a creation, as it is named afterwards.
    old: RelPath,
    /// The file as it is named afterwards.
    new: RelPath,
    /// The other name of a plain diff whose two names differ, to be taken where only it exists.
    other: Option<RelPath>,
    /// The executable bit that the diff sets, if any.
    executable: Option<bool>,
    /// Whether its modes say that the file is a symbolic link, or that it is none.
    link: Option<bool>,
    hunks: Vec<Hunk<'a>>,
    binary: Option<Binary>,
    index: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether git wrote its names in quotes, so that nothing in them is odd.
    quoted: bool,
    /// Whether all its lines end in `\r\n`, its header's included: then the endings came on the way,
    /// and are not those of its file.
    is_crlf: bool,
    /// How the diff was read here, where it is not as the format has it.
    remarks: Vec<String>,
}

impl Section<'_> {
    /// What decides how its hunks are placed, where this is so for all of the diff.
    fn options(&self, options: HunkOptions) -> HunkOptions {
        HunkOptions {
            is_crlf: self.is_crlf,
            ..options
        }
    }

    /// Whether it means a symbolic link where one stands. What only moves a file says no mode.
    fn takes_link(&self) -> bool {
        let moves = matches!(self.kind, SectionKind::Rename | SectionKind::Copy);
        let changes = !self.hunks.is_empty() || self.binary.is_some();
        self.link.unwrap_or(moves && !changes)
    }

    /// Whether lines that have to stand in the file are not UTF-8: then the diff is in the file's
    /// own encoding.
    fn has_old_lines_beyond_utf8(&self) -> bool {
        let lines = self.hunks.iter().flat_map(|hunk| &hunk.lines);
        let mut old = lines.filter(|line| line.role != Role::Added);
        old.any(|line| !line.text.is_ascii() && str::from_utf8(line.text).is_err())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SectionKind {
    Modify,
    /// A single hunk without old lines: creates the file if it does not exist.
    ModifyOrCreate,
    Create,
    Delete,
    Rename,
    Copy,
}

/// From so many bytes on, hashing them is worth a thread.
const LONG: usize = 256 << 10;

/// Reads a diff. Behind a fault it goes on with the next hunk or file, so that one run tells every
/// fault.
pub(super) fn parse<'a>(bytes: &'a [u8], options: &Options) -> Result<Levels<'a>, Unread> {
    let parse_options = ParseOptions {
        counts: if options.recount {
            Counts::Recount
        } else {
            Counts::Checked
        },
        headerless: options.file.is_some(),
    };
    let read = || parse::parse_all(bytes, parse_options, MAX_FAULTS);
    let ((mut diff, unread), content) = match bytes.len() >= LONG {
        true => threads::join(read, || Digest::of(bytes)),
        false => (read(), Digest::of(bytes)),
    };
    let mut faults = faults_of(&diff, &unread, options);
    if diff.files.is_empty() {
        faults.check(bytes)?;
        let why = damage::find(bytes).unwrap_or_else(|| {
            "the patch holds no unified diff: there are no \"---\" and \"+++\" lines with hunks below them".into()
        });
        return Err(Refusal::new(Code::InvalidBatch, why).into());
    }
    let remarks = remarks_by_file(&diff);
    if options.reverse {
        // What several sections did to one file is taken back from the last on.
        diff.files.reverse();
    }
    let sections = |files, strip| sections(files, strip, &remarks, &unread.files, options);
    if !faults.is_empty() {
        if let Err(more) = sections(diff.files, options.strip) {
            faults.append(more);
        }
        return Err(faults.unread(bytes));
    }
    let build = |files, strip| -> Result<Unified<'a>, Unread> {
        let sections = sections(files, strip).map_err(|faults| faults.unread(bytes))?;
        Ok(Unified {
            sections,
            hunk_options: HunkOptions {
                unidiff_zero: options.unidiff_zero,
                ignore_whitespace: options.ignore_whitespace,
                strict: options.strict,
                allow_omission: options.allow_omission,
                is_crlf: false,
            },
            content,
        })
    };
    levels::read(diff.files, options, build)
}

/// What could not be read of a diff, and what of it strict mode does not allow.
fn faults_of(diff: &parse::Diff<'_>, unread: &parse::Faults, options: &Options) -> Misreads {
    let mut faults = Misreads::default();
    for fault in &unread.all {
        let refusal = Refusal {
            hint: fault.hint,
            ..Refusal::new(Code::InvalidBatch, fault.message.clone())
        };
        faults.push(Misread::new(fault.line - 1, refusal));
    }
    for remark in diff.remarks.iter().filter(|_| options.strict) {
        let message = format!("{}, which is not allowed in strict mode", remark.what);
        faults.push(invalid(remark.line, message).with_hint(Hint::Lenient));
    }
    faults
}

/// The names in the headers of a diff, as they are written; none for what is no diff.
pub(super) fn names_in(bytes: &[u8]) -> Vec<Vec<u8>> {
    let options = ParseOptions {
        counts: Counts::Checked,
        headerless: true,
    };
    let diff = match parse::parse(bytes, options) {
        Ok(diff) => diff,
        Err(_) => return Vec::new(),
    };
    let files = diff.files.iter();
    files.flat_map(names::written).collect()
}

/// The sections of a diff, with names that lack so many leading components; `None` guesses.
fn sections<'a>(
    files: Vec<parse::ParsedFile<'a>>,
    strip: Option<usize>,
    remarks: &HashMap<usize, Vec<String>>,
    broken: &HashSet<usize>,
    options: &Options,
) -> Result<Vec<Section<'a>>, Misreads> {
    let mut faults = Misreads::default();
    let mut sections = Vec::with_capacity(files.len());
    let letters = names::letters(&files);
    for mut file in files {
        if options.reverse {
            file = reversed(file);
        }
        let line = file.line;
        let strip = strip.or_else(|| names::level_by_letter(&file, &letters));
        let resolved = names::resolve(file, strip, broken.contains(&line), options);
        let mut section = match resolved {
            Ok(section) => section,
            Err(found) => {
                found.into_iter().for_each(|fault| faults.push(fault));
                continue;
            }
        };
        section.remarks = remarks.get(&line).cloned().unwrap_or_default();
        if section.is_crlf && section.kind == SectionKind::Create {
            section.remarks.push(
                "every line of the patch for it ends in CRLF, headers included; the new file gets LF"
                    .into(),
            );
        }
        if glob::wanted(&section.new, options) {
            sections.push(section);
        }
    }
    if options.reverse {
        // A name has to be free before a file comes back to it.
        sections.sort_by_key(|section| section.kind != SectionKind::Delete);
    }
    match faults.is_empty() {
        true => Ok(sections),
        false => Err(faults),
    }
}

/// The remarks on each file of a diff, by the line where it starts. What stands above the first file
/// is remarked on there.
fn remarks_by_file(diff: &parse::Diff<'_>) -> HashMap<usize, Vec<String>> {
    let mut by_file: HashMap<usize, Vec<String>> = HashMap::new();
    for remark in &diff.remarks {
        let above = diff.files.partition_point(|file| file.line <= remark.line);
        if let Some(file) = diff.files.get(above.saturating_sub(1)) {
            let text = format!("line {} of the patch: {}", remark.line, remark.what);
            by_file.entry(file.line).or_default().push(text);
        }
    }
    by_file
}

fn reversed(file: parse::ParsedFile<'_>) -> parse::ParsedFile<'_> {
    let line = file.line;
    let mut file = file.reversed();
    file.line = line;
    file
}

/// `INVALID_BATCH` at a line, from 1.
fn invalid(line: usize, message: impl Into<String>) -> Misread {
    Misread::new(line - 1, Refusal::new(Code::InvalidBatch, message))
}
