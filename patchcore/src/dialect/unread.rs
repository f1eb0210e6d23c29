//! Why a patch could not be read.

use std::fmt;
use std::ops::Deref;

use crate::batch::Diagnostic;
use crate::error::{Refusal, Stop};

/// Why a patch could not be read: a refusal of the whole, and where the input is JSON, every fault
/// in it with its place.
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
