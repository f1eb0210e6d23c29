//! What a front end found out while it read an operation.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use super::Action;
use crate::edit::Edit;
use crate::rebase::{BaseName, Rebased};

/// What a front end found out while it read an operation. For most operations that is nothing, which
/// takes no memory: with these fields in it, an operation is 392 bytes long instead of 280.
#[derive(Debug, Clone, Default)]
pub struct Reading(Option<Box<Findings>>);

/// What a front end may find out while it reads an operation.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Findings {
    /// What a front end has to say about how it read the operation, for the verdict: white space
    /// or punctuation that it folded to find the place, say.
    pub note: Option<String>,
    /// For an [`Action::Refused`] whose path is none: what the sender wrote. `file` is then a
    /// stand-in that no operation can work on.
    pub spelled: Option<Box<Spelling>>,
    /// For a refused edit by text whose new text stands in the file: what it would replace by what.
    /// It has landed if the log shows it.
    pub doubt: Option<Box<TextEdit>>,
    /// What a sender of its format does to guard it, for the refusal of one without a guard; `None`
    /// where that is `expect` or `base`.
    pub to_guard: Option<String>,
    /// For an [`Action::Refused`], what it would have done, as
    /// [`Operation::name`](super::Operation::name) gives it.
    pub meant: Option<&'static str>,
    /// For an [`Action::Refused`] whose sender named another state of the file: what it would do
    /// there. It may land where its lines are now.
    pub older: Option<Box<Older>>,
    /// Where its lines were and where they are, where it was made for an older state of the file.
    pub rebased: Option<Rebased>,
}

impl Findings {
    /// No findings.
    const NONE: Self = Self {
        note: None,
        spelled: None,
        doubt: None,
        to_guard: None,
        meant: None,
        older: None,
        rebased: None,
    };
}

impl Reading {
    /// Says how the operation was read, where there is something to say.
    pub(crate) fn say(&mut self, note: Option<String>) {
        if note.is_some() {
            self.note = note;
        }
    }
}

impl Deref for Reading {
    type Target = Findings;

    fn deref(&self) -> &Findings {
        static NONE: Findings = Findings::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut Findings {
        self.0.get_or_insert_default()
    }
}

/// What was folded away to find the one place of a text that stands nowhere exactly.
///
/// Foreign dialects find their places by these steps, in this order; each counts only where exactly
/// one place in the file matches and none did at a step before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Matched {
    /// `\r\n` and `\n` were held for the same.
    LineEndings,
    /// White space at the end of lines was ignored.
    TrailingBlanks,
    /// Typographic quotes, dashes and spaces were held for their ASCII spelling.
    Typography,
    /// All lines are indented by the same amount more, or less, than they were sent; the new lines
    /// were indented likewise.
    Indentation,
    /// Blank lines at the start and the end, the same in both halves, were left out.
    EdgeBlanks,
    /// One level of escaping was undone.
    Escapes,
}

/// What an operation does to the state of its file that it was made for.
#[derive(Debug, Clone)]
pub struct Older {
    /// What the sender calls that state.
    pub base: BaseName,
    /// What it does there.
    pub edit: OlderEdit,
}

/// An edit of an older state of a file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum OlderEdit {
    /// An action whose address speaks of that state.
    Action(Action),
    /// Whole lines of a diff.
    Hunk {
        /// How many lines stand above them.
        above: usize,
        /// All that has to stand there, byte for byte.
        old: Vec<u8>,
        /// Edits of `old`, each of whole lines.
        edits: Vec<Edit>,
        /// Whether other line endings than the state has are a fault.
        strict: bool,
    },
}

/// A text that gives way to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextEdit {
    /// What is looked for.
    pub old: Vec<u8>,
    /// What comes instead.
    pub new: Vec<u8>,
}

/// Name and path of an operation as the sender spelt them, where the path could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling {
    /// The operation's name.
    pub op: &'static str,
    /// Its file.
    pub file: String,
}
