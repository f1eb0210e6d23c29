//! Which file a section of a diff speaks of: git's rules for names, prefixes and `/dev/null`.

use super::super::unread::Misread;
use super::super::{Options, blob};
use super::{Section, SectionKind, invalid};
use crate::diff::parse::{Name, ParsedFile, Ranges, Role};
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::path::unquote;

/// Resolves the names of a section, without so many leading components; `None` guesses how many. Of a
/// broken one, whose hunks could not all be read, only the header is checked.
pub(super) fn resolve<'a>(
    file: ParsedFile<'a>,
    strip: Option<usize>,
    is_broken: bool,
    options: &Options,
) -> Result<Section<'a>, Vec<Misread>> {
    let line = file.line;
    let (link, names) = match (link(&file), names(&file, strip, options)) {
        (Ok(link), Ok(names)) => (link, names),
        (link, names) => {
            let faults = link.err().into_iter().chain(names.err());
            return Err(faults.collect());
        }
    };
    let kind = if is_broken {
        names.kind
    } else {
        kind(&file, &names).map_err(|fault| vec![fault])?
    };
    let executable = file.new_mode.map(|mode| mode & 0o100 != 0);
    let executable = executable.filter(|_| link != Some(true));
    Ok(Section {
        line,
        kind,
        old: names.old,
        new: names.new,
        other: names.other,
        executable,
        link,
        is_crlf: file.crlf && !options.strict && is_crlf_throughout(&file),
        hunks: file.hunks,
        binary: if file.binary_differs {
            // Stands for the data that is missing; told apart by its line.
            Some(crate::diff::parse::Binary {
                line,
                forward: None,
                reverse: None,
            })
        } else {
            file.binary
        },
        index: file.index.map(|(old, new)| (old.to_vec(), new.to_vec())),
        remarks: Vec::new(),
        quoted: file.git.is_some_and(|names| names.contains(&b'"')),
    })
}

/// Whether all lines of a file's hunks, of which there are some, have a carriage return.
fn is_crlf_throughout(file: &ParsedFile<'_>) -> bool {
    let mut lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
    !file.hunks.is_empty() && lines.all(|line| line.text.ends_with(b"\r"))
}

/// What a section does to its file, by its hunks too.
fn kind(file: &ParsedFile<'_>, names: &Names) -> Result<SectionKind, Misread> {
    let line = file.line;
    check_for_hunks(file)?;
    let (old_lines, new_lines) = (has_old_lines(file), has_new_lines(file));
    match names.kind {
        SectionKind::Create if old_lines => Err(invalid(
            line,
            format!(
                "new file {} depends on old contents: one of its lines does not start with '+'",
                names.new
            ),
        )),
        SectionKind::Delete if new_lines => Err(invalid(
            line,
            format!("deleted file {} still has contents", names.old),
        )),
        SectionKind::Modify if file.hunks.len() == 1 && !old_lines => {
            Ok(SectionKind::ModifyOrCreate)
        }
        kind => Ok(kind),
    }
}

/// Refuses a header whose hunks are lost: two names, another blob than before, a new file that is not
/// empty, or nothing at all.
fn check_for_hunks(file: &ParsedFile<'_>) -> Result<(), Misread> {
    if !file.hunks.is_empty() || file.binary.is_some() || file.binary_differs {
        return Ok(());
    }
    let is_null = |name: &[u8]| name.iter().all(|digit| *digit == b'0');
    let is_empty = |name: &[u8]| is_null(name) || blob::is_named(b"", name);
    let makes_content = file.created && file.index.is_some_and(|(_, new)| !is_empty(new));
    let has_names = file.old.is_some() || file.new.is_some();
    match has_names || makes_content || !file.says_anything() {
        true => Err(invalid(file.line, "the file's header has no hunk below it")),
        false => Ok(()),
    }
}

fn has_old_lines(file: &ParsedFile<'_>) -> bool {
    has_lines_besides(file, Role::Added)
}

fn has_new_lines(file: &ParsedFile<'_>) -> bool {
    has_lines_besides(file, Role::Removed)
}

fn has_lines_besides(file: &ParsedFile<'_>, role: Role) -> bool {
    let mut lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
    lines.any(|line| line.role != role)
}

struct Names {
    kind: SectionKind,
    old: RelPath,
    new: RelPath,
    other: Option<RelPath>,
}

impl Names {
    fn of_one(kind: SectionKind, path: RelPath) -> Self {
        Self {
            kind,
            old: path.clone(),
            new: path,
            other: None,
        }
    }
}

/// The names of a section as its headers have them.
pub(super) fn written(file: &ParsedFile<'_>) -> Vec<Vec<u8>> {
    let named = [&file.old, &file.new].into_iter().flatten();
    let named = named.filter_map(|name| match name {
        Name::Path { bytes, .. } => Some(bytes.clone()),
        Name::Null => None,
    });
    let moved = [
        &file.rename_from,
        &file.rename_to,
        &file.copy_from,
        &file.copy_to,
    ];
    let mut names: Vec<Vec<u8>> = named.chain(moved.into_iter().flatten().cloned()).collect();
    if names.is_empty()
        && let Some(name) = file.git.and_then(|rest| git_name(rest, 1))
    {
        names.push(name);
    }
    names
}

/// Whether the names of a file carry git's prefixes.
pub(super) fn has_prefixes(file: &ParsedFile<'_>) -> bool {
    guess_strip(file) > 0
}

/// The name of one side, if it is a file's.
fn taken(name: &Option<Name>) -> Option<&[u8]> {
    match name {
        Some(Name::Path { bytes, .. }) => Some(bytes),
        _ => None,
    }
}

fn names(file: &ParsedFile<'_>, strip: Option<usize>, options: &Options) -> Result<Names, Misread> {
    let kind = kind_by_header(file)?;
    if let Some(path) = &options.file {
        // Other names make no sense for one file.
        let kind = match kind {
            SectionKind::Rename | SectionKind::Copy => SectionKind::Modify,
            kind => kind,
        };
        return Ok(Names::of_one(kind, path.clone()));
    }
    let header = Header::new(file, kind, strip, options);
    match (
        &file.rename_from,
        &file.rename_to,
        &file.copy_from,
        &file.copy_to,
    ) {
        (Some(from), Some(to), _, _) | (_, _, Some(from), Some(to)) => {
            return header.moved(from, to);
        }
        _ => {}
    }
    match (header.old, header.new) {
        (None, None) => header.without_names(),
        (Some(name), None) | (None, Some(name)) => header.with_one_name(name),
        (Some(old), Some(new)) => header.with_two_names(old, new),
    }
}

/// What a section does to its file, by its header alone.
fn kind_by_header(file: &ParsedFile<'_>) -> Result<SectionKind, Misread> {
    let null = |name: &Option<Name>| matches!(name, Some(Name::Null));
    if null(&file.old) && null(&file.new) {
        return Err(invalid(file.line, "both names are /dev/null"));
    }
    // A time stamp says less than a line: what has lines on that side exists.
    let plain = file.git.is_none();
    let epoch = |name: &Option<Name>| plain && matches!(name, Some(Name::Path { epoch: true, .. }));
    Ok(if file.rename_to.is_some() {
        SectionKind::Rename
    } else if file.copy_to.is_some() {
        SectionKind::Copy
    } else if file.created || null(&file.old) || (epoch(&file.old) && !has_old_lines(file)) {
        SectionKind::Create
    } else if file.deleted || null(&file.new) || (epoch(&file.new) && !has_new_lines(file)) {
        SectionKind::Delete
    } else {
        SectionKind::Modify
    })
}

/// A section's names as they are written, and how many of their components are not the file's.
struct Header<'a> {
    file: &'a ParsedFile<'a>,
    options: &'a Options,
    kind: SectionKind,
    strip: usize,
    old: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
    /// The new name as it is written, where git's prefix was taken off it alone.
    prefixed: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    fn new(
        file: &'a ParsedFile<'a>,
        kind: SectionKind,
        strip: Option<usize>,
        options: &'a Options,
    ) -> Self {
        let mut header = Self {
            file,
            options,
            kind,
            strip: strip.unwrap_or_else(|| guess_strip(file)),
            old: taken(&file.old),
            new: taken(&file.new),
            prefixed: None,
        };
        if strip.is_none() && header.strip == 0 && file.git.is_none() {
            header.tell_prefix_on_one_side();
        }
        header
    }

    /// Of a plain diff with two names and no prefixes on both: what one of them has before the
    /// other.
    fn tell_prefix_on_one_side(&mut self) {
        let (Some(bare), Some(full)) = (self.old, self.new) else {
            return;
        };
        if bare == full {
            return;
        }
        let unprefixed = full.strip_prefix(b"b/");
        if unprefixed == Some(bare) {
            // Only the new name has git's prefix.
            self.prefixed = self.new.replace(bare);
        } else if self.kind == SectionKind::Create || makes_all(self.file) {
            match level_of_trees(bare, full) {
                Some(level) => self.strip = level,
                // Whatever the old name stands for, git's prefix is no part of the file's.
                None => self.new = unprefixed.or(self.new),
            }
        }
    }

    /// The file of a name without so many components, where the options say that files are.
    fn path(&self, name: &[u8], strip: usize) -> Result<RelPath, Misread> {
        let line = self.file.line;
        let refused = |refusal| Misread::new(line - 1, refusal);
        let name = stripped(name, strip).ok_or_else(|| {
            let message = format!(
                "no file name is left of {:?} without its first {strip} components",
                String::from_utf8_lossy(name)
            );
            invalid(line, message).with_hint(Hint::Strip)
        })?;
        let mut full = Vec::new();
        if let Some(directory) = &self.options.directory {
            // Checked by itself: `..` must not be hidden by what stands before it.
            RelPath::new(name).map_err(refused)?;
            full.extend_from_slice(directory.as_bytes());
            full.push(b'/');
        }
        full.extend_from_slice(name);
        RelPath::new(super::super::beneath_root(&full, self.options)).map_err(refused)
    }

    /// The file of the `diff --git` line, where its two names are one.
    fn of_git(&self) -> Result<Option<RelPath>, Misread> {
        let name = self.file.git.and_then(|rest| git_name(rest, self.strip));
        name.map(|name| self.path(&name, 0)).transpose()
    }

    /// A file that is renamed or copied.
    fn moved(&self, from: &[u8], to: &[u8]) -> Result<Names, Misread> {
        // `rename from` and its kin bear no prefix.
        let bare = self.strip.saturating_sub(1);
        let (from, to) = (self.path(from, bare)?, self.path(to, bare)?);
        for (side, name, known) in [("old", self.old, &from), ("new", self.new, &to)] {
            if let Some(name) = name
                && self.path(name, self.strip)? != *known
            {
                let message = format!(
                    "the {side} file has two names, {known} and {:?}",
                    String::from_utf8_lossy(name)
                );
                return Err(invalid(self.file.line, message));
            }
        }
        Ok(Names {
            kind: self.kind,
            old: from,
            new: to,
            other: None,
        })
    }

    fn without_names(&self) -> Result<Names, Misread> {
        match self.of_git()? {
            Some(name) => Ok(Names::of_one(self.kind, name)),
            None => Err(invalid(
                self.file.line,
                "no file name can be read from the header: its two names differ; write --- and +++ lines",
            )
            .with_hint(Hint::File)),
        }
    }

    fn with_one_name(&self, name: &[u8]) -> Result<Names, Misread> {
        let name = self.path(name, self.strip)?;
        if let Some(known) = self.of_git()?.filter(|known| *known != name) {
            let message = format!("the file has two names, {known} and {name}");
            return Err(invalid(self.file.line, message));
        }
        Ok(Names::of_one(self.kind, name))
    }

    fn with_two_names(&self, old: &[u8], new: &[u8]) -> Result<Names, Misread> {
        let kind = self.kind;
        let (old, new) = (self.path(old, self.strip)?, self.path(new, self.strip)?);
        if old == new {
            let prefixed = self.prefixed.filter(|_| kind == SectionKind::Modify);
            let other = prefixed.map(|name| self.path(name, 0)).transpose()?;
            return Ok(Names {
                other,
                ..Names::of_one(kind, old)
            });
        }
        if self.file.git.is_some() {
            let message = format!("{old} becomes {new} without a rename or copy line");
            return Err(invalid(self.file.line, message));
        }
        // Of `file.orig` and `file` the shorter is meant; else the new name is.
        let (chosen, other) = match kind {
            SectionKind::Delete => (old, new),
            SectionKind::Create => (new, old),
            _ if new.as_bytes().starts_with(old.as_bytes()) => (old, new),
            _ => (new, old),
        };
        Ok(Names {
            other: Some(other).filter(|_| kind == SectionKind::Modify),
            ..Names::of_one(kind, chosen)
        })
    }
}

/// Whether the one hunk says that there was nothing before.
fn makes_all(file: &ParsedFile<'_>) -> bool {
    let [hunk] = &file.hunks[..] else {
        return false;
    };
    let none_before = |ranges: Ranges| ranges.old_start == 0 && ranges.old_count == 0;
    hunk.ranges.is_some_and(none_before) && hunk.counts().0 == 0
}

/// The letters that git is told to put before names of one side (`i/` and `w/`, say), as files of a
/// diff show that have both sides.
pub(super) fn letters(files: &[ParsedFile<'_>]) -> Vec<u8> {
    let mut letters = Vec::new();
    for file in files {
        if let (Some(Name::Path { bytes: old, .. }), Some(Name::Path { bytes: new, .. })) =
            (&file.old, &file.new)
            && has_prefixes(file)
        {
            letters.extend([old, new].into_iter().filter_map(|name| name.first()));
        }
    }
    letters
}

/// The level of a file that has a name on one side alone, with a letter that the others have.
pub(super) fn level_by_letter(file: &ParsedFile<'_>, letters: &[u8]) -> Option<usize> {
    let name = match (&file.old, &file.new) {
        (Some(Name::Path { bytes, .. }), Some(Name::Null) | None)
        | (Some(Name::Null) | None, Some(Name::Path { bytes, .. })) => bytes,
        _ => return None,
    };
    matches!(&name[..], [letter, b'/', ..] if letters.contains(letter)).then_some(1)
}

/// How many leading components set two names apart, where the rest of them is the same: names of
/// trees, as in `linux.orig/a.c` and `linux/a.c`.
fn level_of_trees(old: &[u8], new: &[u8]) -> Option<usize> {
    (1..)
        .map_while(|level| Some((level, stripped(old, level)?, stripped(new, level)?)))
        .find(|(_, old, new)| old == new)
        .map(|(level, ..)| level)
}

/// A name without its first components; doubled slashes count once.
fn stripped(name: &[u8], strip: usize) -> Option<&[u8]> {
    let mut rest = name;
    for _ in 0..strip {
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        rest = &rest[slash..];
        while let [b'/', more @ ..] = rest {
            rest = more;
        }
    }
    (!rest.is_empty()).then_some(rest)
}

/// Git takes one component off unless told otherwise. Where nobody said, names without git's
/// prefixes are taken as they are: that is how models write them.
fn guess_strip(file: &ParsedFile<'_>) -> usize {
    let prefix = |name: &[u8]| match name {
        [prefix @ (b'a' | b'b' | b'c' | b'i' | b'o' | b'w'), b'/', ..] => Some(*prefix),
        _ => None,
    };
    let prefixed = match (file.git, taken(&file.old), taken(&file.new)) {
        (_, Some(old), Some(new)) => {
            matches!((prefix(old), prefix(new)), (Some(a), Some(b)) if a != b)
        }
        // A name on one side alone says less than the `diff --git` line, which has both.
        (Some(rest), _, _) => git_name(rest, 0).is_none(),
        (None, Some(name), None) | (None, None, Some(name)) => {
            matches!(prefix(name), Some(b'a' | b'b'))
        }
        (None, None, None) => true,
    };
    usize::from(prefixed)
}

/// The one name that both halves of a `diff --git` line agree on once stripped.
fn git_name(rest: &[u8], strip: usize) -> Option<Vec<u8>> {
    let same = |first: &[u8], second: &[u8]| -> Option<Vec<u8>> {
        let (first, second) = (stripped(first, strip)?, stripped(second, strip)?);
        (first == second).then(|| first.to_vec())
    };
    let half = |text: &[u8]| -> Option<Vec<u8>> {
        if !text.starts_with(b"\"") {
            return Some(text.to_vec());
        }
        unquote(text)
            .filter(|(_, used)| *used == text.len())
            .map(|(name, _)| name)
    };
    if rest.starts_with(b"\"") {
        let (first, used) = unquote(rest)?;
        let second = rest[used..].strip_prefix(b" ")?;
        return same(&first, &half(second)?);
    }
    let mut found = None;
    for (at, _) in rest.iter().enumerate().filter(|(_, byte)| **byte == b' ') {
        let Some(second) = half(&rest[at + 1..]) else {
            continue;
        };
        if let Some(name) = same(&rest[..at], &second) {
            if found.is_some() {
                return None;
            }
            found = Some(name);
        }
    }
    found
}

/// Whether the section speaks of a symbolic link; `None` where it does not say. Submodules are
/// never made, changed or removed.
fn link(file: &ParsedFile<'_>) -> Result<Option<bool>, Misread> {
    let mut link = None;
    for mode in [file.old_mode, file.new_mode].into_iter().flatten() {
        let (is_link, what) = match mode & 0o170_000 {
            0o100_000 => (Some(false), ""),
            0o120_000 => (Some(true), ""),
            0o160_000 => (None, "a submodule"),
            0o040_000 => (None, "a directory"),
            _ => return Err(invalid(file.line, format!("invalid file mode {mode:o}"))),
        };
        if is_link.is_none() {
            let message = format!(
                "mode {mode:o} stands for {what}, only files and symbolic links are patched"
            );
            let refusal = Refusal::new(Code::NotAFile, message);
            return Err(Misread::new(file.line - 1, refusal));
        }
        if link.is_some() && link != is_link {
            return Err(invalid(
                file.line,
                "a file becomes a symbolic link, or a link a file, in one section; delete the one and create the other",
            ));
        }
        link = is_link;
    }
    Ok(link)
}
