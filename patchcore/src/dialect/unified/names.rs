//! Which file a section of a diff speaks of: git's rules for names, prefixes and `/dev/null`.

use super::super::Options;
use super::super::unread::Misread;
use super::{Section, SectionKind, invalid};
use crate::diff::parse::{Name, ParsedFile, Ranges, Role};
use crate::diff::unquote;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;

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

/// What a section does to its file, by its hunks too.
fn kind(file: &ParsedFile<'_>, names: &Names) -> Result<SectionKind, Misread> {
    let line = file.line;
    if file.git.is_none() && file.hunks.is_empty() {
        return Err(invalid(line, "the file's header has no hunk below it"));
    }
    let has = |gone: Role| {
        let mut lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
        lines.any(|line| line.role != gone)
    };
    let (old_lines, new_lines) = (has(Role::Added), has(Role::Removed));
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

struct Names {
    kind: SectionKind,
    old: RelPath,
    new: RelPath,
    other: Option<RelPath>,
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
    let taken = |name: &Option<Name>| match name {
        Some(Name::Path { bytes, .. }) => Some(bytes.clone()),
        _ => None,
    };
    guess_strip(file, &taken(&file.old), &taken(&file.new)) > 0
}

fn names(file: &ParsedFile<'_>, strip: Option<usize>, options: &Options) -> Result<Names, Misread> {
    let is_guess = strip.is_none();
    // A time stamp says less than a line: what has lines on that side exists.
    let has = |gone: Role| {
        let mut lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
        lines.any(|line| line.role != gone)
    };
    let epoch = |name: &Option<Name>, other_side: Role| {
        matches!(name, Some(Name::Path { epoch: true, .. })) && !has(other_side)
    };
    let null = |name: &Option<Name>| matches!(name, Some(Name::Null));
    let plain = file.git.is_none();
    let kind = if file.rename_to.is_some() {
        SectionKind::Rename
    } else if file.copy_to.is_some() {
        SectionKind::Copy
    } else if file.created || null(&file.old) || (plain && epoch(&file.old, Role::Added)) {
        SectionKind::Create
    } else if file.deleted || null(&file.new) || (plain && epoch(&file.new, Role::Removed)) {
        SectionKind::Delete
    } else {
        SectionKind::Modify
    };
    if null(&file.old) && null(&file.new) {
        return Err(invalid(file.line, "both names are /dev/null"));
    }
    if let Some(path) = &options.file {
        let single = |kind| Names {
            kind,
            old: path.clone(),
            new: path.clone(),
            other: None,
        };
        // Other names make no sense for one file.
        return Ok(single(match kind {
            SectionKind::Rename | SectionKind::Copy => SectionKind::Modify,
            kind => kind,
        }));
    }
    let taken = |name: &Option<Name>| match name {
        Some(Name::Path { bytes, .. }) => Some(bytes.clone()),
        _ => None,
    };
    let (old, mut new) = (taken(&file.old), taken(&file.new));
    let guessed = guess_strip(file, &old, &new);
    let mut strip = strip.unwrap_or(guessed);
    let mut prefixed = None;
    if is_guess
        && strip == 0
        && plain
        && let (Some(bare), Some(full)) = (&old, &new)
        && bare != full
    {
        if full.strip_prefix(b"b/") == Some(bare) {
            // Only the new name has git's prefix.
            prefixed = new.replace(bare.clone());
        } else if kind == SectionKind::Create || makes_all(file) {
            match (level_of_trees(bare, full), full.strip_prefix(b"b/")) {
                (Some(level), _) => strip = level,
                // Whatever the old name stands for, git's prefix is no part of the file's.
                (None, Some(name)) => new = Some(name.to_vec()),
                (None, None) => {}
            }
        }
    }
    // `rename from` and its kin bear no prefix.
    let bare = strip.saturating_sub(1);
    let refused = |refusal| Misread::new(file.line - 1, refusal);
    let path = |name: &[u8], strip: usize| -> Result<RelPath, Misread> {
        let name = stripped(name, strip).ok_or_else(|| {
            invalid(
                file.line,
                format!(
                    "no file name is left of {:?} without its first {strip} components",
                    String::from_utf8_lossy(name)
                ),
            )
            .with_hint(Hint::Strip)
        })?;
        let mut full = Vec::new();
        if let Some(directory) = &options.directory {
            // Checked by itself: `..` must not be hidden by what stands before it.
            RelPath::new(name).map_err(refused)?;
            full.extend_from_slice(directory.as_bytes());
            full.push(b'/');
        }
        full.extend_from_slice(name);
        RelPath::new(super::super::beneath_root(&full, options)).map_err(refused)
    };
    let pair = match (
        &file.rename_from,
        &file.rename_to,
        &file.copy_from,
        &file.copy_to,
    ) {
        (Some(from), Some(to), _, _) | (_, _, Some(from), Some(to)) => {
            let pair = (path(from, bare)?, path(to, bare)?);
            for (side, name, known) in [("old", &old, &pair.0), ("new", &new, &pair.1)] {
                if let Some(name) = name
                    && path(name, strip)? != *known
                {
                    return Err(invalid(
                        file.line,
                        format!(
                            "the {side} file has two names, {known} and {:?}",
                            String::from_utf8_lossy(name)
                        ),
                    ));
                }
            }
            return Ok(Names {
                kind,
                old: pair.0,
                new: pair.1,
                other: None,
            });
        }
        _ => (old.as_deref(), new.as_deref()),
    };
    let same = |path: RelPath| Names {
        kind,
        old: path.clone(),
        new: path,
        other: None,
    };
    let from_git = || -> Result<Option<RelPath>, Misread> {
        match file.git.and_then(|rest| git_name(rest, strip)) {
            Some(name) => path(&name, 0).map(Some),
            None => Ok(None),
        }
    };
    Ok(match pair {
        (None, None) => match from_git()? {
            Some(name) => same(name),
            None => {
                return Err(invalid(
                    file.line,
                    "no file name can be read from the header: its two names differ; write --- and +++ lines",
                )
                .with_hint(Hint::File));
            }
        },
        (Some(name), None) | (None, Some(name)) => {
            let name = path(name, strip)?;
            if let Some(known) = from_git()?.filter(|known| *known != name) {
                return Err(invalid(
                    file.line,
                    format!("the file has two names, {known} and {name}"),
                ));
            }
            same(name)
        }
        (Some(old), Some(new)) if !plain => {
            let (old, new) = (path(old, strip)?, path(new, strip)?);
            if old != new {
                return Err(invalid(
                    file.line,
                    format!("{old} becomes {new} without a rename or copy line"),
                ));
            }
            same(old)
        }
        (Some(old), Some(new)) => {
            let (old, new) = (path(old, strip)?, path(new, strip)?);
            if old == new {
                let other = match &prefixed {
                    Some(name) if kind == SectionKind::Modify => Some(path(name, 0)?),
                    _ => None,
                };
                return Ok(Names { other, ..same(old) });
            }
            // Of `file.orig` and `file` the shorter is meant; else the new name is.
            let (chosen, other) = match kind {
                SectionKind::Delete => (old, new),
                SectionKind::Create => (new, old),
                _ if new.as_bytes().starts_with(old.as_bytes()) => (old, new),
                _ => (new, old),
            };
            Names {
                kind,
                old: chosen.clone(),
                new: chosen,
                other: Some(other).filter(|_| kind == SectionKind::Modify),
            }
        }
    })
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
fn guess_strip(file: &ParsedFile<'_>, old: &Option<Vec<u8>>, new: &Option<Vec<u8>>) -> usize {
    let prefix = |name: &[u8]| match name {
        [prefix @ (b'a' | b'b' | b'c' | b'i' | b'o' | b'w'), b'/', ..] => Some(*prefix),
        _ => None,
    };
    let prefixed = match (file.git, old, new) {
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
