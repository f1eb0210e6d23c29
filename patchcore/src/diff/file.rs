//! One file's part of a diff: git's extended header, then the hunks.

use std::borrow::Cow;
use std::io::{self, Write};

use super::blob::short_name;
use super::change::{Change, changes};
use super::hunk::{LineCounter, write_hunks};
use super::{Copies, DiffOptions, Direction};
use crate::edit::Edit;
use crate::path::{in_quotes, quote};
use crate::text::LineIndex;

/// A file as one side of a diff names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side<'a> {
    /// The path without `a/` or `b/` before it.
    pub path: &'a [u8],
    /// Whether the file can be executed.
    pub executable: bool,
    /// Whether it is a symbolic link, whose bytes are its target.
    pub link: bool,
}

/// Where the new file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// The old file, by the name of the new one.
    #[default]
    Same,
    /// The old file, which had another name.
    Renamed,
    /// The old file, which stays.
    Copied,
}

/// What happens to one file.
///
/// ```
/// use patchcore::diff::{FileDiff, DiffOptions, Side};
/// use patchcore::edit::Edit;
/// let side = Side { path: b"greet.txt", executable: false, link: false };
/// let edits = [Edit::replace(7..10, "you")];
/// let diff = FileDiff::modified(side, side, b"Hello,\nall\n", &edits);
/// let mut text = Vec::new();
/// diff.write(&DiffOptions::default(), &mut text)?;
/// assert_eq!(String::from_utf8_lossy(&text), "\
/// diff --git a/greet.txt b/greet.txt
/// --- a/greet.txt
/// +++ b/greet.txt
/// @@ -1,2 +1,2 @@
///  Hello,
/// -all
/// +you
/// ");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FileDiff<'a> {
    /// The file before; `None` for one that is created.
    pub old: Option<Side<'a>>,
    /// The file afterwards; `None` for one that is deleted.
    pub new: Option<Side<'a>>,
    /// Where the new file comes from.
    pub origin: Origin,
    /// The bytes before; none where there is no old file.
    pub source: &'a [u8],
    /// Sorted, disjoint edits of `source`. Those of a deleted file remove all of it.
    pub edits: &'a [Edit],
    /// The newlines of the source. Without them they are counted up to the last hunk, which is
    /// better unless they are known already or several diffs are written over one source.
    pub lines: Option<&'a LineIndex>,
}

/// A diff that was written with a bound on its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The diff, or the whole lines of it that fit.
    pub diff: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

impl<'a> FileDiff<'a> {
    /// A file that keeps its name.
    #[must_use]
    pub fn modified(old: Side<'a>, new: Side<'a>, source: &'a [u8], edits: &'a [Edit]) -> Self {
        Self {
            old: Some(old),
            new: Some(new),
            origin: Origin::Same,
            source,
            edits,
            lines: None,
        }
    }

    /// Writes header and hunks; nothing where nothing changes. A file that becomes a link, or the
    /// other way around, is deleted and created, as git has it.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write(&self, options: &DiffOptions, out: &mut impl Write) -> io::Result<()> {
        // What takes back a copy is the deletion of it.
        let created = options.copies == Copies::Created || options.direction == Direction::Reverse;
        if self.origin == Origin::Copied && created {
            return self.write_as_created(options, out);
        }
        if matches!((self.old, self.new), (Some(old), Some(new)) if old.link != new.link) {
            return self.write_type_change(options, out);
        }
        let hunks = changes(self.source, self.edits).peekable();
        self.write_parts(hunks, options, out)
    }

    /// Writes at most `limit` bytes, cut behind a line.
    #[must_use]
    pub fn render(&self, options: &DiffOptions, limit: usize) -> Rendered {
        let mut out = Bounded {
            diff: Vec::new(),
            limit,
        };
        let truncated = self.write(options, &mut out).is_err();
        let mut diff = out.diff;
        if truncated {
            let end = crate::bytes::rfind(b'\n', &diff).map_or(0, |newline| newline + 1);
            diff.truncate(end);
        }
        Rendered { diff, truncated }
    }

    fn write_parts(
        &self,
        mut changes: std::iter::Peekable<impl Iterator<Item = Change<'a>>>,
        options: &DiffOptions,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let has_hunks = changes.peek().is_some();
        let is_link = self.old.and(self.new).is_some_and(|new| new.link);
        let header = Header {
            origin: self.origin,
            has_hunks,
            similarity: self.similarity(),
            blobs: (is_link && has_hunks).then(|| {
                let new = apply(self.source, self.edits);
                let mut blobs = [short_name(self.source), short_name(&new)];
                if options.direction == Direction::Reverse {
                    blobs.reverse();
                }
                blobs
            }),
        };
        match (options.direction, self.old, self.new) {
            (Direction::Forward, old, new) => header.write(old, new, out)?,
            (Direction::Reverse, old, new) => header.write(new, old, out)?,
        }
        let counter = LineCounter::new(self.source, self.lines);
        write_hunks(self.source, changes, counter, options, out)
    }

    fn write_type_change(&self, options: &DiffOptions, out: &mut impl Write) -> io::Result<()> {
        let all = [Edit::delete(0..self.source.len())];
        let deleted = FileDiff {
            new: None,
            origin: Origin::Same,
            edits: if self.source.is_empty() { &[] } else { &all },
            ..*self
        };
        match options.direction {
            Direction::Forward => {
                deleted.write(options, out)?;
                self.write_as_created(options, out)
            }
            Direction::Reverse => {
                self.write_as_created(options, out)?;
                deleted.write(options, out)
            }
        }
    }

    fn write_as_created(&self, options: &DiffOptions, out: &mut impl Write) -> io::Result<()> {
        let edits = [Edit::insert(0, apply(self.source, self.edits))];
        let created = FileDiff {
            old: None,
            new: self.new,
            origin: Origin::Same,
            source: &[],
            edits: &edits,
            lines: None,
        };
        created.write(options, out)
    }

    /// How much of the larger file both share, in per cent; 100 only where they are equal.
    fn similarity(&self) -> usize {
        let removed: usize = self.edits.iter().map(|edit| edit.span.len()).sum();
        let added: usize = self.edits.iter().map(|edit| edit.text.len()).sum();
        let kept = self.source.len() - removed;
        let larger = self.source.len().max(kept + added);
        if removed + added == 0 || larger == 0 {
            return 100;
        }
        (kept as u128 * 100 / larger as u128).min(99) as usize
    }
}

/// What stands above the hunks.
struct Header {
    origin: Origin,
    has_hunks: bool,
    similarity: usize,
    /// The contents' names where a link stays one: with them git says that it is one.
    blobs: Option<[String; 2]>,
}

impl Header {
    fn write(
        &self,
        old: Option<Side<'_>>,
        new: Option<Side<'_>>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (Some(first), Some(second)) = (old.or(new), new.or(old)) else {
            return Ok(());
        };
        let moded = matches!((old, new), (Some(a), Some(b)) if a.executable != b.executable);
        if old.is_some() == new.is_some()
            && self.origin == Origin::Same
            && !moded
            && !self.has_hunks
        {
            return Ok(());
        }
        let (a, b) = (name(b"a/", first.path), name(b"b/", second.path));
        // GNU patch reads these names where there are no others, and needs quotes to part them.
        let alone = !self.has_hunks;
        let quote_first = |name| match spelled(name) {
            plain if alone && plain.contains(&b' ') => Cow::Owned(in_quotes(name)),
            quoted => quoted,
        };
        put(
            out,
            &[
                b"diff --git ",
                &quote_first(&a),
                b" ",
                &quote_first(&b),
                b"\n",
            ],
        )?;
        self.write_change(old, new, out)?;
        if let Some([old, new]) = &self.blobs {
            writeln!(out, "index {old}..{new} 120000")?;
        }
        if self.has_hunks {
            let side = |side: Option<Side<'_>>, name: &[u8]| match side {
                None => b"/dev/null".to_vec(),
                // A tab ends a name with spaces, as old readers look for a date behind them.
                Some(_) if name.contains(&b' ') => [&spelled(name), &b"\t"[..]].concat(),
                Some(_) => spelled(name).into_owned(),
            };
            put(
                out,
                &[b"--- ", &side(old, &a), b"\n+++ ", &side(new, &b), b"\n"],
            )?;
        } else if old.is_none() {
            // Without an index line GNU patch does not know that the file is empty.
            put(out, &[b"index 0000000..", EMPTY, b"\n"])?;
        } else if new.is_none() {
            put(out, &[b"index ", EMPTY, b"..0000000\n"])?;
        }
        Ok(())
    }

    /// What became of the file, beside its content.
    fn write_change(
        &self,
        old: Option<Side<'_>>,
        new: Option<Side<'_>>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match (old, new) {
            (None, Some(new)) => put(out, &[b"new file mode ", mode(new), b"\n"])?,
            (Some(old), None) => put(out, &[b"deleted file mode ", mode(old), b"\n"])?,
            (Some(old), Some(new)) => {
                if old.executable != new.executable {
                    put(
                        out,
                        &[b"old mode ", mode(old), b"\nnew mode ", mode(new), b"\n"],
                    )?;
                }
                let verb: &[u8] = match self.origin {
                    Origin::Same => b"",
                    Origin::Renamed => b"rename",
                    Origin::Copied => b"copy",
                };
                if !verb.is_empty() {
                    writeln!(out, "similarity index {}%", self.similarity)?;
                    put(out, &[verb, b" from ", &spelled(old.path), b"\n"])?;
                    put(out, &[verb, b" to ", &spelled(new.path), b"\n"])?;
                }
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// The id that git gives to the empty file.
const EMPTY: &[u8] = b"e69de29";

fn name(prefix: &[u8], path: &[u8]) -> Vec<u8> {
    [prefix, path].concat()
}

/// A name as git spells it; one that ends in a space also stands in quotes, as GNU patch would drop
/// the space.
fn spelled(name: &[u8]) -> Cow<'_, [u8]> {
    match quote(name) {
        Cow::Borrowed([.., b' ']) => Cow::Owned(in_quotes(name)),
        quoted => quoted,
    }
}

fn mode(side: Side<'_>) -> &'static [u8] {
    if side.link {
        b"120000"
    } else if side.executable {
        b"100755"
    } else {
        b"100644"
    }
}

fn put(out: &mut impl Write, pieces: &[&[u8]]) -> io::Result<()> {
    pieces.iter().try_for_each(|piece| out.write_all(piece))
}

fn apply(source: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut result = Vec::with_capacity(source.len());
    let mut at = 0;
    for edit in edits {
        result.extend_from_slice(&source[at..edit.span.start]);
        result.extend_from_slice(&edit.text);
        at = edit.span.end;
    }
    result.extend_from_slice(&source[at..]);
    result
}

/// Takes bytes up to a limit, then fails.
struct Bounded {
    diff: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = bytes.len().min(self.limit - self.diff.len());
        self.diff.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
