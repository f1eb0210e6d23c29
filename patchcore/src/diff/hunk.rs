//! Hunks: changes with the lines around them.

use std::io::{self, Write};

use super::change::{Change, at_line_start, line_count};
use super::{DiffOptions, Direction};
use crate::text::{LineIndex, split_lines};

/// Counts lines up to rising offsets of a text.
pub(super) struct LineCounter<'a> {
    source: &'a [u8],
    index: Option<&'a LineIndex>,
    offset: usize,
    lines: usize,
}

impl<'a> LineCounter<'a> {
    /// Counts from the start, or looks lines up in a text that has them counted.
    pub(super) fn new(source: &'a [u8], index: Option<&'a LineIndex>) -> Self {
        Self {
            source,
            index,
            offset: 0,
            lines: 0,
        }
    }

    /// How many lines stand before an offset that is no smaller than the one before.
    fn before(&mut self, offset: usize) -> usize {
        match self.index {
            Some(index) => index.newlines_before(self.source, offset),
            None => {
                self.lines += crate::bytes::count(b'\n', &self.source[self.offset..offset]);
                self.offset = offset;
                self.lines
            }
        }
    }
}

/// Writes changes, in order, as hunks.
pub(super) fn write_hunks<'a>(
    source: &'a [u8],
    changes: impl Iterator<Item = Change<'a>>,
    mut counter: LineCounter<'_>,
    options: &DiffOptions,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut changes = changes.peekable();
    let mut hunk = Vec::new();
    // Lines added so far, less those removed.
    let mut shift = 0isize;
    while let Some(first) = changes.next() {
        let start = lines_back(source, first.old.start, options.context);
        let mut end = first.old.end;
        hunk.clear();
        hunk.push(first);
        while let Some(next) = changes.next_if(|next| {
            let gap = &source[end..next.old.start];
            crate::bytes::positions(b'\n', gap)
                .nth(options.context * 2)
                .is_none()
        }) {
            end = next.old.end;
            hunk.push(next);
        }
        let end = lines_on(source, end, options.context);
        let removed: usize = hunk
            .iter()
            .map(|c| line_count(&source[c.old.clone()]))
            .sum();
        let added: usize = hunk.iter().map(|c| line_count(&c.new)).sum();
        let before = counter.before(start);
        let old = (before, line_count(&source[start..end]));
        let new = (before.wrapping_add_signed(shift), old.1 + added - removed);
        shift += added as isize - removed as isize;
        let (from, to) = match options.direction {
            Direction::Forward => (old, new),
            Direction::Reverse => (new, old),
        };
        out.write_all(b"@@ -")?;
        write_range(from, out)?;
        out.write_all(b" +")?;
        write_range(to, out)?;
        out.write_all(b" @@\n")?;
        let mut at = start;
        for change in &hunk {
            write_lines(b' ', &source[at..change.old.start], out)?;
            at = change.old.end;
            let (old, new) = (&source[change.old.clone()], &change.new[..]);
            let (gone, come) = match options.direction {
                Direction::Forward => (old, new),
                Direction::Reverse => (new, old),
            };
            write_lines(b'-', gone, out)?;
            write_lines(b'+', come, out)?;
        }
        write_lines(b' ', &source[at..end], out)?;
    }
    Ok(())
}

/// Writes a range of a hunk's header; one without lines names the line before it.
fn write_range((before, count): (usize, usize), out: &mut impl Write) -> io::Result<()> {
    match count {
        0 => write!(out, "{before},0"),
        1 => write!(out, "{}", before + 1),
        _ => write!(out, "{},{count}", before + 1),
    }
}

fn write_lines(mark: u8, lines: &[u8], out: &mut impl Write) -> io::Result<()> {
    for line in split_lines(lines) {
        out.write_all(&[mark])?;
        out.write_all(line)?;
    }
    if !at_line_start(lines, lines.len()) {
        out.write_all(b"\n\\ No newline at end of file\n")?;
    }
    Ok(())
}

/// Where the line `count` lines before a line's start starts.
fn lines_back(source: &[u8], offset: usize, count: usize) -> usize {
    // The first newline found ends the line before `offset`.
    crate::bytes::rpositions(b'\n', &source[..offset])
        .nth(count)
        .map_or(0, |newline| newline + 1)
}

/// Where `count` lines from a line's start on end.
fn lines_on(source: &[u8], offset: usize, count: usize) -> usize {
    if count == 0 {
        return offset;
    }
    crate::bytes::positions(b'\n', &source[offset..])
        .nth(count - 1)
        .map_or(source.len(), |newline| offset + newline + 1)
}
