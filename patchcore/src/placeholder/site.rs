//! Where a comment goes, and in which style: what surrounds a placeholder's line.

use memchr::memmem;

use super::language::{Embedded, Language};
use super::style::{CommentStyle, JSX_CHILD};

/// Tells the comment style at one line of a file after the other, from its start to its end.
pub(super) struct Surroundings<'a> {
    bytes: &'a [u8],
    language: &'static Language,
    sections: Vec<(&'static Embedded, Tracker)>,
    comments: Vec<(&'static str, Tracker)>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(bytes: &'a [u8], language: &'static Language) -> Self {
        let section =
            |embedded: &'static Embedded| (embedded, Tracker::new(embedded.open, embedded.close));
        Self {
            bytes,
            language,
            sections: language.embedded.iter().map(section).collect(),
            comments: Vec::new(),
        }
    }

    /// The style of a comment that is to stand above a line; the lines must come in order.
    ///
    /// # Errors
    /// Why no comment can stand there, as the end of a sentence about the line.
    pub(super) fn style_above(
        &mut self,
        line: std::ops::Range<usize>,
        first: bool,
    ) -> Result<&'static CommentStyle, String> {
        let Some(mut style) = self.language.style else {
            return Err(format!("{} has no comments", self.language.name));
        };
        for (embedded, tracker) in &mut self.sections {
            if let Some(open) = tracker.open_at(self.bytes, line.start) {
                let tag = &self.bytes[open..line.start];
                let tag = &tag[..crate::bytes::find(b'>', tag).unwrap_or(tag.len())];
                if embedded.open == b"<script" && memmem::find(tag, b"json").is_some() {
                    return Err("JSON has no comments".to_owned());
                }
                style = embedded.style;
            }
        }
        let text = &self.bytes[line.clone()];
        if first && (text.starts_with(b"#!") || text.starts_with(b"<?")) {
            return Err("line 1 has to stay the first".to_owned());
        }
        let above = crate::text::trim_ending(&self.bytes[..line.start]);
        if style.continues && above.ends_with(b"\\") {
            return Err("the line above goes on over it".to_owned());
        }
        if matches!(self.language.name, "TSX" | "JSX") && text.trim_ascii().starts_with(b"{/*") {
            return Ok(&JSX_CHILD);
        }
        if style.is_line() {
            return Ok(style);
        }
        match self.comment_open_at(style, line.start) {
            None => Ok(style),
            // Or what looks like a comment is a string: a comment to the line's end serves both.
            Some(open) => style.inside.ok_or_else(|| {
                let line = crate::text::Text::new(self.bytes).line_at(open);
                format!("line {line} opens a comment around it")
            }),
        }
    }

    fn comment_open_at(&mut self, style: &CommentStyle, offset: usize) -> Option<usize> {
        let opener = style.opener();
        let index = match self.comments.iter().position(|(key, _)| *key == opener) {
            Some(index) => index,
            None => {
                let tracker = Tracker::new(opener.as_bytes(), style.closer().as_bytes());
                self.comments.push((opener, tracker));
                self.comments.len() - 1
            }
        };
        self.comments[index].1.open_at(self.bytes, offset)
    }
}

/// Whether the last mark before an offset opens or closes; the offset only grows.
struct Tracker {
    open: &'static [u8],
    close: &'static [u8],
    at: usize,
    opened: Option<usize>,
}

impl Tracker {
    fn new(open: &'static [u8], close: &'static [u8]) -> Self {
        Self {
            open,
            close,
            at: 0,
            opened: None,
        }
    }

    /// Where the mark stands that is still open at an offset.
    fn open_at(&mut self, bytes: &[u8], offset: usize) -> Option<usize> {
        // From the offset backwards: the nearest mark decides, and what lies before the offset
        // asked for last is known. Searching for one byte each is faster than for the whole.
        let (open, close) = (rare_byte(self.open), rare_byte(self.close));
        let known = self.at.min(offset);
        let mut end = offset;
        while let Some(at) = memchr::memrchr2(open.1, close.1, &bytes[known..end]) {
            let at = known + at;
            let is_at = |mark: &[u8], rare: (usize, u8)| {
                let start = at.checked_sub(rare.0)?;
                (bytes[start..offset].starts_with(mark)).then_some(start)
            };
            // In `*/` behind `/` the same star may end both: what closes goes first.
            if is_at(self.close, close).is_some() {
                self.opened = None;
                break;
            }
            if let Some(start) = is_at(self.open, open) {
                self.opened = Some(start);
                break;
            }
            end = at;
        }
        // A mark may lie across the offset; it is found with the next.
        let longest = self.open.len().max(self.close.len());
        self.at = self.at.max(offset.saturating_sub(longest - 1));
        self.opened
    }
}

/// The byte of a mark that stands least often elsewhere, and its place in the mark.
fn rare_byte(mark: &[u8]) -> (usize, u8) {
    let rarity = |byte: u8| match byte {
        b'*' | b'!' | b'?' | b'#' | b'%' => 0,
        b'<' | b'>' | b'{' | b'}' => 1,
        _ => 2,
    };
    let rarest = (0..mark.len()).min_by_key(|&at| rarity(mark[at]));
    rarest.map_or((0, 0), |at| (at, mark[at]))
}
