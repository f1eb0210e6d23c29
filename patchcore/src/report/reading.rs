//! What `read` shows of files, with what an edit of them needs as guards.

use std::ops::Range;

use base64::Engine as _;
use serde::{Deserialize, Serialize};

use crate::anchor::Resolver;
use crate::digest::Digest;
use crate::error::{Code, Refusal};
use crate::operation::{Address, Occurrence, Target};
use crate::path::RelPath;
use crate::plan::{Part, Source};
use crate::text::{Encoding, LineEnding, LineNumber, Text};

/// Files as they were read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Reading {
    /// Always 1.
    pub version: u32,
    /// The files, in the order in which they were asked for.
    pub files: Vec<FileReading>,
    /// What a person should know: that what was read could not be remembered, for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A file as it was read: `text` or `text_base64`, or a `refusal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FileReading {
    /// Path relative to the root.
    pub path: String,
    /// SHA-256 of the whole file: an edit that carries it as its `base` lands only while the file is
    /// as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Lines of the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_count: Option<usize>,
    /// The lines that are shown, from 1, both inclusive; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<[LineNumber; 2]>,
    /// These lines as they stand in the file, line endings included, without a byte order mark.
    /// An edit that carries them as `expect` lands only where they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The same where the bytes are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_base64: Option<String>,
    /// `"crlf"` where most lines end so; else absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_endings: Option<Endings>,
    /// Whether the last line of the file has no newline.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_final_newline: bool,
    /// Whether the file starts with a byte order mark, which is no part of line 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bom: bool,
    /// Whether the file can be executed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
    /// Why it is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Box<Refusal>>,
}

/// How the lines of a file end, where that is not by a newline alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Endings {
    /// By a carriage return and a newline.
    Crlf,
}

/// A file as it was read: where the lines to be shown stand, or why none are.
#[derive(Debug, Clone)]
pub struct Excerpt<'a> {
    /// The file.
    pub path: &'a RelPath,
    /// All of it.
    pub source: &'a Source,
    /// The bytes of the lines that are shown, without a byte order mark.
    pub span: Range<usize>,
    /// These lines; `None` where there are none.
    pub lines: Option<[LineNumber; 2]>,
}

impl<'a> Excerpt<'a> {
    /// Finds a part of a file.
    ///
    /// ```
    /// use patchcore::plan::Source;
    /// use patchcore::plan::Part;
    /// use patchcore::report::Excerpt;
    /// let (path, file) = (patchcore::RelPath::new("a")?, Source::new(b"1\n2\n3\n".to_vec(), false));
    /// let excerpt = Excerpt::of(&path, &file, &Part::Lines(2, 9))?;
    /// assert_eq!(excerpt.bytes(), b"2\n3\n");
    /// # Ok::<(), patchcore::Refusal>(())
    /// ```
    ///
    /// # Errors
    /// `BINARY_FILE` and `UNSUPPORTED_ENCODING` for what is no text, `LINE_OUT_OF_RANGE` where the
    /// file ends above the lines or these make no range; `PLACEHOLDER_NOT_FOUND`,
    /// `ANCHOR_AMBIGUOUS`.
    pub fn of(path: &'a RelPath, source: &'a Source, part: &Part) -> Result<Self, Refusal> {
        let unreadable = |code, what: String| {
            let (size, digest) = (source.bytes().len(), source.digest());
            let message = format!("{path} {what}; it has {size} bytes, and its hash is {digest}");
            Err(Refusal::new(code, message).in_file(path))
        };
        match source.encoding() {
            Encoding::Text => {}
            Encoding::Wide => {
                return unreadable(
                    Code::UnsupportedEncoding,
                    "is UTF-16 or UTF-32, whose lines cannot be edited".to_owned(),
                );
            }
            Encoding::Binary(at) => {
                return unreadable(
                    Code::BinaryFile,
                    format!("is a binary file: it contains a NUL byte at offset {at}"),
                );
            }
        }
        let text = source.text();
        let lines = range_of(path, &text, part)?;
        let number = |number| LineNumber::new(number).expect("lines are counted from 1");
        let lines = lines.map(|(first, last)| [number(first), number(last)]);
        let span = match lines {
            Some([first, last]) => text.lines(first, last).expect("the lines are in the file"),
            None => text.bom_len()..source.bytes().len(),
        };
        Ok(Self {
            path,
            source,
            span: span.start.max(text.bom_len())..span.end,
            lines,
        })
    }

    /// The bytes of the lines.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        &self.source.bytes()[self.span.clone()]
    }
}

/// The first and the last line of a part; `None` for all of an empty file.
fn range_of(path: &RelPath, text: &Text<'_>, part: &Part) -> Result<Option<(u64, u64)>, Refusal> {
    let count = text.line_count() as u64;
    Ok(match part {
        Part::Whole if count == 0 => None,
        Part::Whole => Some((1, count)),
        Part::Lines(first, last) if *first == 0 || first > last => {
            let last = match *last {
                u64::MAX => String::new(),
                last => last.to_string(),
            };
            let message = format!(
                "{first}-{last} is not a range of lines; lines are counted from 1, the first one first"
            );
            return Err(Refusal::new(Code::LineOutOfRange, message).in_file(path));
        }
        Part::Lines(first, _) if *first > count => {
            let message =
                format!("line {first} is past the end of {path}, which has {count} lines");
            return Err(Refusal::new(Code::LineOutOfRange, message).in_file(path));
        }
        Part::Lines(first, last) => Some((*first, count.min(*last))),
        Part::Around {
            placeholder,
            context,
        } => {
            let line = line_of(path, text, placeholder)?.get();
            let first = line.saturating_sub(*context).max(1);
            Some((first, line.saturating_add(*context).min(count)))
        }
    })
}

/// The one line with a placeholder.
fn line_of(path: &RelPath, text: &Text<'_>, placeholder: &str) -> Result<LineNumber, Refusal> {
    let address = Address {
        target: Target::Placeholder(placeholder.to_owned()),
        occurrence: Occurrence::Only,
    };
    let located = Resolver::new(path, text, []).locate(&address)?;
    Ok(located.line())
}

impl Reading {
    /// A reading of no file yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            version: 1,
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The code that decides the exit status: that of the first file that is not shown.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let mut refusals = self.files.iter().filter_map(|file| file.refusal.as_deref());
        refusals.next().map(|refusal| refusal.code)
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::new()
    }
}

impl FileReading {
    /// A file that is shown.
    #[must_use]
    pub fn shown(excerpt: &Excerpt<'_>) -> Self {
        let (source, text) = (excerpt.source, excerpt.source.text());
        let bytes = excerpt.bytes();
        let (shown, encoded) = match str::from_utf8(bytes) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(base64::prelude::BASE64_STANDARD.encode(bytes))),
        };
        Self {
            base: Some(source.digest()),
            line_count: Some(text.line_count()),
            lines: excerpt.lines,
            text: shown,
            text_base64: encoded,
            line_endings: (text.prevailing_ending() == LineEnding::CrLf).then_some(Endings::Crlf),
            no_final_newline: !text.is_empty() && !text.ends_in_newline(),
            bom: text.bom_len() > 0,
            executable: source.executable(),
            ..Self::blank(excerpt.path)
        }
    }

    /// A file that is not shown.
    #[must_use]
    pub fn refused(path: &RelPath, refusal: Refusal) -> Self {
        Self {
            refusal: Some(Box::new(refusal)),
            ..Self::blank(path)
        }
    }

    fn blank(path: &RelPath) -> Self {
        Self {
            path: path.to_string(),
            base: None,
            line_count: None,
            lines: None,
            text: None,
            text_base64: None,
            line_endings: None,
            no_final_newline: false,
            bom: false,
            executable: false,
            refusal: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
