//! Why a patch could not be read.

use std::fmt;
use std::ops::Deref;

use crate::batch::Diagnostic;
use crate::batch::diagnostic::{Fault, MAX_FAULTS, Span};
use crate::error::{Code, Hint, Refusal, Stop};
use crate::text::{BOM, split_lines, trim_ending};

/// Why a patch could not be read: a refusal of the whole, and wherever the dialect has a place to go
/// on from behind a fault, every fault with its place.
///
/// ```
/// use patchcore::dialect::{Options, parse};
/// let call = br#"{"path": "f", "old_str": 1, "new_str": []}"#;
/// let unread = parse(call, &Options::default()).expect_err("a list is no text");
/// let fault = unread.diagnostic().expect("JSON has faults with places");
/// assert_eq!((&*fault.path, fault.line, fault.column), ("new_str", 1, 40));
/// ```
#[derive(Debug, Clone)]
pub struct Unread {
    refusal: Box<Refusal>,
    diagnostic: Option<Box<Diagnostic>>,
}

impl Unread {
    pub(super) fn of(diagnostic: Diagnostic) -> Self {
        Self {
            refusal: Box::new(diagnostic.clone().into()),
            diagnostic: Some(Box::new(diagnostic)),
        }
    }

    /// The faults of a patch in lines, in their order, of which there is at least one.
    fn of_lines(faults: Vec<Misread>, input: &[u8]) -> Self {
        let spans = spans(input);
        let faults = faults.into_iter().map(|Misread { line, refusal }| {
            let end = Span::at(input.len());
            let span = spans.get(line).copied().unwrap_or(end);
            let mut fault = Fault::new(refusal.code, span, refusal.message);
            fault.hint = refusal.hint;
            fault.near = refusal.candidates.into_iter().next().map(|near| near.text);
            fault
        });
        Self::of(Diagnostic::of_patch(faults.collect(), input))
    }

    /// The same, of an input in which the patch that was read stands quoted: `place` says where each
    /// of its lines, from 0, is there.
    pub(super) fn moved(self, place: impl Fn(usize) -> Span, input: &[u8]) -> Self {
        let Some(diagnostic) = self.diagnostic else {
            return self;
        };
        let faults = diagnostic.all().map(|fault| {
            let span = place(fault.line - 1);
            let mut moved = Fault::new(fault.code, span, fault.message.clone());
            moved.hint = fault.hint;
            moved.near = fault.near.clone();
            moved
        });
        Self::of(Diagnostic::of_patch(faults.collect(), input))
    }

    /// The refusal of the whole.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// The faults, in the order in which they are told, where each has a place.
    #[must_use]
    pub fn diagnostic(&self) -> Option<&Diagnostic> {
        self.diagnostic.as_deref()
    }
}

/// A fault of a patch in lines.
pub(super) struct Misread {
    /// The line, from 0.
    line: usize,
    refusal: Refusal,
}

impl Misread {
    pub(super) fn new(line: usize, refusal: Refusal) -> Self {
        Self { line, refusal }
    }

    /// The same, with the option that would let it pass.
    pub(super) fn with_hint(mut self, hint: Hint) -> Self {
        self.refusal.hint = Some(hint);
        self
    }
}

/// A reader of a patch in lines.
pub(super) trait AtLine {
    /// The line that is read, from 0.
    fn line(&self) -> usize;

    /// What is wrong there.
    fn misread(&self, refusal: Refusal) -> Misread {
        Misread::new(self.line(), refusal)
    }

    /// `INVALID_BATCH` there.
    fn invalid(&self, message: impl Into<String>) -> Misread {
        self.misread(Refusal::new(Code::InvalidBatch, message))
    }

    /// `INVALID_BATCH` there, which is no fault unless the patch is read strictly.
    fn invalid_strict(&self, message: &str) -> Misread {
        self.misread(Refusal::new(Code::InvalidBatch, message).with_hint(Hint::Lenient))
    }
}

/// The faults of a patch that is read on behind each of them, up to a bound.
#[derive(Default)]
pub(super) struct Misreads(Vec<Misread>);

impl Misreads {
    pub(super) fn push(&mut self, fault: Misread) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(fault);
        }
    }

    pub(super) fn append(&mut self, faults: Self) {
        faults.0.into_iter().for_each(|fault| self.push(fault));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with the input, if anything is.
    pub(super) fn check(self, input: &[u8]) -> Result<(), Unread> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(self.unread(input)),
        }
    }

    /// What is wrong with the input, where there is a fault.
    pub(super) fn unread(self, input: &[u8]) -> Unread {
        Unread::of_lines(self.0, input)
    }
}

/// Where each line of the input is, without its ending.
fn spans(input: &[u8]) -> Vec<Span> {
    let mut at = if input.starts_with(BOM) { BOM.len() } else { 0 };
    split_lines(&input[at..])
        .map(|line| {
            let start = at;
            at += line.len();
            Span {
                start,
                end: start + trim_ending(line).len(),
            }
        })
        .collect()
}

impl Deref for Unread {
    type Target = Refusal;

    fn deref(&self) -> &Refusal {
        &self.refusal
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl std::error::Error for Unread {}

impl From<Refusal> for Unread {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal: Box::new(refusal),
            diagnostic: None,
        }
    }
}

impl From<Diagnostic> for Unread {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::of(diagnostic)
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        *unread.refusal
    }
}

impl From<Unread> for Stop {
    fn from(unread: Unread) -> Self {
        Self::Refused(unread.refusal)
    }
}
