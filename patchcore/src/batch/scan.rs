//! JSON, token by token, over text that is known to be UTF-8; every token knows where it stands.

use std::borrow::Cow;

use super::diagnostic::{Fault, Span};
use crate::error::Code;

/// What a value is, by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl TokenKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Null => "null",
        }
    }
}

/// Walks over the text; a fault of syntax ends the walk.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    max_depth: usize,
    /// What stands behind the text, where the text is the readable part of more.
    beyond: Option<&'static str>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, max_depth: usize, beyond: Option<&'static str>) -> Self {
        // Some shells and editors put a byte order mark in front.
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            text,
            at,
            depth: 0,
            max_depth,
            beyond,
        }
    }

    /// Byte offset of the next token's first byte, once white space is behind.
    pub(crate) fn offset(&mut self) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        self.at
    }

    /// Where the last token ended.
    pub(crate) fn end(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(crate) fn rest(&self) -> usize {
        self.text.len() - self.at
    }

    /// What comes next.
    pub(crate) fn kind(&mut self) -> Result<TokenKind, Fault> {
        let at = self.offset();
        Ok(match self.text.as_bytes().get(at) {
            Some(b'{') => TokenKind::Object,
            Some(b'[') => TokenKind::Array,
            Some(b'"') => TokenKind::String,
            Some(b'-' | b'0'..=b'9') => TokenKind::Number,
            Some(b't' | b'f') => TokenKind::Boolean,
            Some(b'n') => TokenKind::Null,
            _ => return Err(self.unexpected("a value")),
        })
    }

    /// Goes into an object or array, whose first character is next.
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == self.max_depth {
            return Err(Fault::new(
                Code::LimitExceeded,
                Span::at(self.at),
                format!("nested deeper than the limit of {} levels", self.max_depth),
            ));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Goes on to the next member: `false` where `close` ends the object or array.
    pub(crate) fn next(&mut self, first: bool, close: u8) -> Result<bool, Fault> {
        let at = self.offset();
        let found = self.text.as_bytes().get(at);
        if found == Some(&close) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if found != Some(&b',') {
            let close = char::from(close);
            return Err(self.unexpected(&format!("\",\" or \"{close}\"")));
        }
        self.at += 1;
        let at = self.offset();
        if self.text.as_bytes().get(at) == Some(&close) {
            return Err(Fault::new(
                Code::InvalidBatch,
                Span::at(at),
                "a comma with nothing after it",
            ));
        }
        Ok(true)
    }

    /// A member's name and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<(Cow<'a, str>, Span), Fault> {
        let at = self.offset();
        if self.text.as_bytes().get(at) != Some(&b'"') {
            return Err(self.unexpected("a field's name in double quotes"));
        }
        let key = self.string()?;
        let span = Span {
            start: at,
            end: self.at,
        };
        self.offset();
        if self.text.as_bytes().get(self.at) != Some(&b':') {
            return Err(self.unexpected("\":\""));
        }
        self.at += 1;
        Ok((key, span))
    }

    /// A string, whose opening quote is next; borrowed where it holds no escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at + 1;
        self.at = start;
        let bytes = self.text.as_bytes();
        self.run();
        if bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        // Content is what strings mostly are: escapes make it shorter, one byte may be appended.
        let mut text = String::with_capacity((self.at - start) * 5 / 4 + 16);
        let mut run = start;
        loop {
            text.push_str(&self.text[run..self.at]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(&control) => {
                    return Err(Fault::new(
                        Code::InvalidBatch,
                        Span::at(self.at),
                        match control {
                            b'\n' => {
                                "a line ends inside a string; write the line break as \\n".into()
                            }
                            b'\t' => "a tab inside a string; write it as \\t".into(),
                            _ => format!(
                                "a control character inside a string; write it as \\u{control:04x}"
                            ),
                        },
                    ));
                }
                None => return Err(self.unexpected("the string's closing quote")),
            }
            run = self.at;
            self.run();
        }
    }

    /// Goes over what stands for itself in a string.
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        // Eight bytes at once: a byte is special if it is a quote, a backslash or below a space.
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        while let Some(chunk) = bytes[self.at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let special = zero(word ^ (ONES * u64::from(b'"')))
                | zero(word ^ (ONES * u64::from(b'\\')))
                | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = bytes.get(self.at)
            && byte >= 0x20
            && byte != b'"'
            && byte != b'\\'
        {
            self.at += 1;
        }
    }

    /// An escape, whose backslash is next.
    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let Some(&byte) = self.text.as_bytes().get(start + 1) else {
            self.at = self.text.len();
            return Err(self.unexpected("the rest of an escape"));
        };
        self.at += 2;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex(start)?;
                let lone = |end| {
                    Fault::new(
                        Code::InvalidBatch,
                        Span { start, end },
                        format!("\\u{unit:04x} is half of a surrogate pair"),
                    )
                };
                match unit {
                    0xd800..=0xdbff => {
                        let end = self.at;
                        if !self.text[self.at..].starts_with("\\u") {
                            return Err(lone(end));
                        }
                        self.at += 2;
                        let low = self.hex(end)?;
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return Err(lone(end));
                        }
                        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(code).ok_or_else(|| lone(end))?
                    }
                    _ => char::from_u32(unit).ok_or_else(|| lone(self.at))?,
                }
            }
            _ => {
                let shown = self.text[start + 1..].chars().next().unwrap_or('\\');
                return Err(Fault::new(
                    Code::InvalidBatch,
                    Span {
                        start,
                        end: start + 1 + shown.len_utf8(),
                    },
                    format!(
                        "\"\\{}\" is not a JSON escape; a backslash itself is \"\\\\\"",
                        shown.escape_default()
                    ),
                ));
            }
        })
    }

    /// Four hexadecimal digits of the escape that starts at `start`.
    fn hex(&mut self, start: usize) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let number = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(number) = number else {
            return Err(Fault::new(
                Code::InvalidBatch,
                Span {
                    start,
                    end: self.text.len().min(self.at + 4),
                },
                "\\u needs four hexadecimal digits",
            ));
        };
        self.at += 4;
        Ok(number)
    }

    /// A number as it is written, whose first character is next; its form is not checked.
    pub(crate) fn number(&mut self) -> &'a str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(b'+' | b'-' | b'.' | b'e' | b'E' | b'0'..=b'9') = bytes.get(self.at) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// `true`, `false` or `null`: `None` for `null`.
    pub(crate) fn word(&mut self) -> Result<Option<bool>, Fault> {
        for (word, value) in [("true", Some(true)), ("false", Some(false)), ("null", None)] {
            let rest = &self.text.as_bytes()[self.at..];
            if rest.starts_with(word.as_bytes())
                && !rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric)
            {
                self.at += word.len();
                return Ok(value);
            }
            if word.as_bytes().starts_with(rest) {
                self.at = self.text.len();
            }
        }
        Err(self.unexpected("a value"))
    }

    /// Goes over a value that is not wanted. It is not checked beyond what finds its end.
    pub(crate) fn skip(&mut self) -> Result<Span, Fault> {
        let start = self.offset();
        let outside = self.depth;
        loop {
            let kind = match self.text.as_bytes().get(self.offset()) {
                Some(b']' | b'}') if self.depth > outside => {
                    self.at += 1;
                    self.depth -= 1;
                    None
                }
                Some(b',' | b':') if self.depth > outside => {
                    self.at += 1;
                    continue;
                }
                _ => Some(self.kind()?),
            };
            match kind {
                Some(TokenKind::Object | TokenKind::Array) => self.enter()?,
                Some(TokenKind::String) => self.skip_string()?,
                Some(TokenKind::Number) => {
                    self.number();
                }
                Some(TokenKind::Boolean | TokenKind::Null) => {
                    self.word()?;
                }
                None => {}
            }
            if self.depth == outside {
                return Ok(Span {
                    start,
                    end: self.at,
                });
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[self.at..]) {
            self.at += found + 1;
            if bytes[self.at - 1] == b'"' {
                return Ok(());
            }
            // What a backslash escapes ends no string; a character that is not ASCII is none of it.
            if bytes.get(self.at).is_some_and(u8::is_ascii) {
                self.at += 1;
            }
        }
        self.at = bytes.len();
        Err(self.unexpected("the string's closing quote"))
    }

    /// Nothing but white space may come now.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        let at = self.offset();
        if at == self.text.len() && self.beyond.is_none() {
            return Ok(());
        }
        if at == self.text.len() {
            return Err(self.unexpected("the end"));
        }
        Err(Fault::new(
            Code::InvalidBatch,
            Span::at(at),
            "more data after the batch",
        ))
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let message = match (self.text[self.at..].chars().next(), self.beyond) {
            (Some(found), _) => {
                format!("expected {wanted}, found {:?}", found.to_string())
            }
            (None, Some(beyond)) => beyond.to_owned(),
            (None, None) if self.text.trim_start_matches('\u{feff}').trim().is_empty() => {
                "the batch is empty".to_owned()
            }
            (None, None) => format!("the batch ends where {wanted} is expected"),
        };
        Fault::new(Code::InvalidBatch, Span::at(self.at), message)
    }
}
