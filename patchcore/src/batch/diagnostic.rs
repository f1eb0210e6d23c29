//! What is wrong with a batch, and exactly where.

use std::fmt;
use std::ops::Range;

use crate::error::{Code, Hint, Refusal, Stop, excerpt};
use crate::text::LineNumber;

/// Most faults that one parse reports.
pub const MAX_FAULTS: usize = 16;
/// Most bytes of a batch that a diagnostic repeats.
const MAX_SHOWN: usize = 80;
/// Most bytes of the message that other faults take in a [`Refusal`].
const MAX_OTHERS: usize = 500;

/// A byte range of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn at(start: usize) -> Self {
        Self {
            start,
            end: start + 1,
        }
    }
}

/// A fault while the batch is still being read: its line is not counted yet.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) near: Option<String>,
    pub(crate) hint: Option<Hint>,
    pub(crate) path: String,
}

impl Fault {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            span,
            message: message.into(),
            near: None,
            hint: None,
            path: String::new(),
        }
    }

    /// Which fault is told first: a limit and a version explain all others.
    fn rank(&self) -> usize {
        match self.code {
            Code::LimitExceeded => 0,
            Code::UnsupportedVersion => 1,
            _ => 2,
        }
    }
}

/// What is wrong with a batch, and where.
///
/// ```
/// use patchcore::batch::{self, Limits};
/// let fault = batch::parse(b"{\"operations\":\n[{\"op\": \"apend\"}]}", &Limits::default())
///     .expect_err("no such operation");
/// assert_eq!((fault.line, fault.column), (2, 9));
/// assert_eq!(fault.path, "operations[0].op");
/// assert_eq!(fault.near.as_deref(), Some("append"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// `INVALID_BATCH`, `UNSUPPORTED_VERSION` or `LIMIT_EXCEEDED`.
    pub code: Code,
    /// What is wrong, in lower case, without the place.
    pub message: String,
    /// JSON path of the value, like `operations[3].at.lines[0]`; `$` for the batch as a whole.
    pub path: String,
    /// Line of the batch, from 1.
    pub line: usize,
    /// Column in that line, in characters from 1.
    pub column: usize,
    /// Byte range in the batch; it may end one byte behind the batch's end.
    pub span: Range<usize>,
    /// The known name that may be meant.
    pub near: Option<String>,
    /// What would let it pass.
    pub hint: Option<Hint>,
    /// What stands there, cut short.
    pub found: String,
    /// What the input is called.
    input: &'static str,
    /// Other faults of the same batch, in order, at most [`MAX_FAULTS`] in all.
    pub others: Vec<Diagnostic>,
}

impl Diagnostic {
    /// The faults of a patch that is no batch, of which there is at least one.
    pub(crate) fn of_patch(faults: Vec<Fault>, input: &[u8]) -> Self {
        let mut first = Self::of(faults, input);
        for fault in std::iter::once(&mut first.input)
            .chain(first.others.iter_mut().map(|other| &mut other.input))
        {
            *fault = "patch";
        }
        first
    }

    /// The faults of one parse, of which there is at least one.
    pub(crate) fn of(mut faults: Vec<Fault>, input: &[u8]) -> Self {
        faults.sort_by_key(|fault| (fault.rank(), fault.span.start));
        let mut all = faults.into_iter().map(|fault| Self::locate(fault, input));
        let mut first = all.next().expect("a failed parse has recorded a fault");
        first.others = all.collect();
        first
    }

    fn locate(fault: Fault, input: &[u8]) -> Self {
        let start = fault.span.start.min(input.len());
        let end = fault.span.end.clamp(start, input.len());
        let line_start = crate::bytes::rfind(b'\n', &input[..start]).map_or(0, |at| at + 1);
        Self {
            code: fault.code,
            message: fault.message,
            path: if fault.path.is_empty() {
                "$".to_owned()
            } else {
                fault.path
            },
            line: 1 + crate::bytes::count(b'\n', &input[..start]),
            // Bytes that continue a character count for nothing.
            column: 1 + input[line_start..start]
                .iter()
                .filter(|&&byte| byte & 0xc0 != 0x80)
                .count(),
            span: start..end.max(start + 1),
            near: fault.near,
            hint: fault.hint,
            found: excerpt(&input[start..end], MAX_SHOWN),
            input: "batch",
            others: Vec::new(),
        }
    }

    /// A fault that has no place inside the batch: it is too large to be read, say.
    #[must_use]
    pub(crate) fn whole(code: Code, message: impl Into<String>) -> Self {
        Self::locate(Fault::new(code, Span::default(), message), b"")
    }

    /// This fault and the others, in the order in which they are told.
    pub fn all(&self) -> impl Iterator<Item = &Diagnostic> {
        std::iter::once(self).chain(&self.others)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            path,
            message,
            input,
            ..
        } = self;
        write!(f, "{input} line {line}, column {column}: ")?;
        // A patch in lines has no path.
        if *input != "patch" || path != "$" {
            write!(f, "{path}: ")?;
        }
        f.write_str(message)
    }
}

impl std::error::Error for Diagnostic {}

impl From<Diagnostic> for Refusal {
    fn from(diagnostic: Diagnostic) -> Self {
        let mut message = diagnostic.to_string();
        let others = diagnostic.others.len();
        let limit = message.len() + MAX_OTHERS;
        for (told, other) in diagnostic.others.iter().enumerate() {
            let text = other.to_string();
            if message.len() + text.len() > limit {
                message.push_str(&format!("; and {} more", others - told));
                break;
            }
            message.push_str("; ");
            message.push_str(&text);
        }
        let mut refusal = Refusal::new(diagnostic.code, message);
        refusal.line = LineNumber::new(diagnostic.line as u64);
        if !diagnostic.found.is_empty() {
            refusal = refusal.with_found(diagnostic.found.as_bytes());
        }
        refusal.hint = diagnostic.all().find_map(|fault| fault.hint);
        if let Some(near) = &diagnostic.near {
            refusal = refusal.with_candidate(None, near.as_bytes());
        }
        refusal
    }
}

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Self {
        Refusal::from(diagnostic).into()
    }
}
