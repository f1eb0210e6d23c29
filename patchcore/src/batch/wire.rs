//! The batch as it travels: one type for each object of the JSON form.

use std::collections::BTreeMap;
use std::mem::take;

use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Limits;
use crate::digest::Digest;
use crate::operation::{Allowance, Coordinates, Indent, Labels, Occurrence, Pattern};

/// Operations that land together or not at all.
///
/// Unknown fields and duplicate keys are errors; `null` stands for a field that is left out.
///
/// ```
/// use patchcore::batch::{Limits, PatchBatch};
/// let json = br#"{"operations": [{"op": "append", "file": "README.md", "content": "One more line"}]}"#;
/// let batch = PatchBatch::parse(json, &Limits::default())?;
/// assert_eq!(batch.operations[0].file(), "README.md");
/// # Ok::<(), patchcore::batch::Diagnostic>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields, transform = super::schema::empty_only_beside_a_hash)
)]
pub struct PatchBatch {
    /// Version of the format: 1, also where it is left out.
    #[serde(default = "one")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1)))]
    pub version: u32,
    /// The sender's id: a batch that was committed under it is not applied again. One is made
    /// where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub batch_id: Option<String>,
    /// Labels of all operations that do not bear their own.
    #[serde(flatten)]
    pub labels: Labels,
    /// SHA-256 of files as the sender saw them, by path; holds for every operation on the file
    /// that has no `base` of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub base: BTreeMap<String, Digest>,
    /// Which tree the addresses speak of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub coordinates: Coordinates,
    /// What to do; at most 1,000,000 operations.
    pub operations: Vec<PatchOperation>,
}

impl<'de> Deserialize<'de> for PatchBatch {
    /// Goes through [`PatchBatch::parse`], so that one set of rules holds. Prefer `parse` for
    /// text: it knows positions and finds duplicate keys.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = serde_json::to_vec(&value).map_err(serde::de::Error::custom)?;
        Self::parse(&text, &Limits::default()).map_err(serde::de::Error::custom)
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($op:literal) {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
            pub struct $name {
                /// The file: relative to the root, `/`-separated.
                pub file: String,
                $($(#[$field_doc])* pub $field: $type,)*
                /// SHA-256 that the file must have; goes before the batch's `base` and every
                /// other guard.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub base: Option<Digest>,
                /// What the sender lets pass on its own responsibility; the operator can forbid
                /// it.
                #[serde(default, skip_serializing_if = "Vec::is_empty")]
                pub allow: Vec<Allowance>,
                /// Labels of this operation alone.
                #[serde(flatten)]
                pub labels: Labels,
            }
        )+

        /// One change of one file.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "op")]
        #[non_exhaustive]
        pub enum PatchOperation {
            $($(#[$doc])* #[serde(rename = $op)] $name($name),)+
        }

        impl PatchOperation {
            /// The names of all operations.
            pub const NAMES: &[&str] = &[$($op),+];

            /// The operation's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $op,)+ }
            }

            /// The file as the sender spelt it.
            #[must_use]
            pub fn file(&self) -> &str {
                match self { $(Self::$name(operation) => &operation.file,)+ }
            }

            /// The operation's own hash guard.
            #[must_use]
            pub fn base(&self) -> Option<Digest> {
                match self { $(Self::$name(operation) => operation.base,)+ }
            }

            /// What the sender lets pass.
            #[must_use]
            pub fn allow(&self) -> &[Allowance] {
                match self { $(Self::$name(operation) => &operation.allow,)+ }
            }

            /// The operation's own labels.
            #[must_use]
            pub fn labels(&self) -> &Labels {
                match self { $(Self::$name(operation) => &operation.labels,)+ }
            }

            /// Takes out what every operation has, and leaves its own fields.
            #[inline]
            pub(super) fn take_common(&mut self) -> Common {
                match self {
                    $(Self::$name(operation) => Common {
                        file: take(&mut operation.file),
                        base: operation.base,
                        allow: take(&mut operation.allow),
                        labels: take(&mut operation.labels),
                    },)+
                }
            }
        }
    };
}

/// The fields that every operation has.
#[derive(Default)]
pub(crate) struct Common {
    pub(crate) file: String,
    pub(crate) base: Option<Digest>,
    pub(crate) allow: Vec<Allowance>,
    pub(crate) labels: Labels,
}

impl Common {
    /// A file, and nothing that is said beside it.
    pub(crate) fn of(file: String) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }
}

/// An operation of its own fields and a [`Common`], of which it takes all.
macro_rules! with_common {
    ($name:ident { $($field:ident $(: $value:expr)?),+ $(,)? } from $common:ident) => {
        $crate::batch::PatchOperation::$name($crate::batch::$name {
            $($field $(: $value)?,)+
            file: $common.file,
            base: $common.base,
            allow: $common.allow,
            labels: $common.labels,
        })
    };
}
pub(crate) use with_common;

operations! {
    /// Lines give way to other lines; empty content deletes them.
    ReplaceBlock("replace-block") {
        /// Which lines.
        at: At,
        /// What must stand there.
        #[serde(flatten)]
        guard: Expectation,
        /// What comes instead, as lines.
        #[serde(flatten)]
        content: Content,
        /// Fill content that is shorter than the range up with blank lines, so that the numbers
        /// of the lines below stay valid; longer content is refused.
        #[serde(default, skip_serializing_if = "is_default")]
        pad: bool,
        /// How content is indented.
        #[serde(default, skip_serializing_if = "is_default")]
        indent: Indent,
    }
    /// Lines before the first line of the address.
    InsertBefore("insert-before") {
        /// Where.
        at: At,
        /// What must stand there.
        #[serde(flatten)]
        guard: Expectation,
        /// What to insert, as lines.
        #[serde(flatten)]
        content: Content,
        /// How content is indented.
        #[serde(default, skip_serializing_if = "is_default")]
        indent: Indent,
    }
    /// Lines behind the last line of the address.
    InsertAfter("insert-after") {
        /// Where.
        at: At,
        /// What must stand there.
        #[serde(flatten)]
        guard: Expectation,
        /// What to insert, as lines.
        #[serde(flatten)]
        content: Content,
        /// How content is indented.
        #[serde(default, skip_serializing_if = "is_default")]
        indent: Indent,
    }
    /// Lines at the end of the file.
    Append("append") {
        /// What to add, as lines.
        #[serde(flatten)]
        content: Content,
    }
    /// Lines at the start of the file, behind a byte order mark and a `#!` line.
    Prepend("prepend") {
        /// What to add, as lines.
        #[serde(flatten)]
        content: Content,
    }
    /// Exact characters inside lines; `\n` in both texts stands for the file's line ending.
    ReplaceText("replace-text") {
        /// What to look for.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        find: String,
        /// What comes instead, verbatim.
        #[serde(flatten)]
        content: Content,
        /// Which of the matches; more than one under `only` is refused.
        #[serde(default, skip_serializing_if = "is_default")]
        occurrence: Occurrence,
    }
    /// A new file, verbatim.
    CreateFile("create-file") {
        /// All of its bytes.
        #[serde(flatten)]
        content: Content,
        /// Whether it can be executed.
        #[serde(default, skip_serializing_if = "is_default")]
        executable: bool,
    }
    /// The file goes away. Needs a hash, or all of its lines in `expect`.
    DeleteFile("delete-file") {
        /// All lines of the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<String>,
    }
    /// The file gets another name.
    RenameFile("rename-file") {
        /// The new name, relative to the root.
        to: String,
    }
    /// The file, as it was before the batch, gets a copy.
    CopyFile("copy-file") {
        /// The copy's name, relative to the root.
        to: String,
    }
    /// The file's executable bit is set or cleared.
    SetMode("set-mode") {
        /// Whether it can be executed.
        executable: bool,
    }
}

/// Where an operation works.
///
/// More than one candidate is ambiguous unless `occurrence` picks one of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
#[serde(untagged)]
#[non_exhaustive]
pub enum At {
    /// One line by its number.
    Line {
        /// Counted from 1.
        #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
        line: u64,
    },
    /// Lines by their numbers.
    Lines {
        /// First and last line, counted from 1, both inclusive.
        #[cfg_attr(feature = "schema", schemars(inner(range(min = 1))))]
        lines: [u64; 2],
    },
    /// These whole lines, exactly, line endings aside.
    Text {
        /// The lines; overlapping matches count.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        text: String,
        /// Which match.
        #[serde(default, skip_serializing_if = "is_default")]
        #[cfg_attr(feature = "schema", schemars(with = "super::schema::OneOccurrence"))]
        occurrence: Occurrence,
    },
    /// A line that holds a match.
    Match {
        /// A regular expression without look-around and back-references; `^` and `$` are the
        /// line's ends.
        #[serde(rename = "match")]
        pattern: Pattern,
        /// Which match.
        #[serde(default, skip_serializing_if = "is_default")]
        #[cfg_attr(feature = "schema", schemars(with = "super::schema::OneOccurrence"))]
        occurrence: Occurrence,
    },
    /// The lines between a start line and the next end line. There may be none, and a line can be
    /// inserted there.
    Between {
        /// Regular expressions of the start line and of the end line.
        between: [Pattern; 2],
        /// Whether the range takes in both marker lines.
        #[serde(default, skip_serializing_if = "is_default")]
        inclusive: bool,
        /// Which match.
        #[serde(default, skip_serializing_if = "is_default")]
        #[cfg_attr(feature = "schema", schemars(with = "super::schema::OneOccurrence"))]
        occurrence: Occurrence,
    },
    /// The line that bears a placeholder.
    Placeholder {
        /// The placeholder's id.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        placeholder: String,
        /// Which match.
        #[serde(default, skip_serializing_if = "is_default")]
        #[cfg_attr(feature = "schema", schemars(with = "super::schema::OneOccurrence"))]
        occurrence: Occurrence,
    },
}

/// Lines that must stand at the address, line endings aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// The addressed lines, exactly; a blank line is `"\n"`, beside a hash of the file also `""`.
    /// For an insertion, the one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// The lines right above them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub before: Option<String>,
    /// The lines right below them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub after: Option<String>,
}

/// Content: as text, or in base 64 where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Content {
    /// As text. Where content is lines, one final newline ends the last line and starts no other.
    #[serde(rename = "content")]
    Text(String),
    /// Any bytes, in base 64 (RFC 4648, section 4).
    #[serde(rename = "content_base64", serialize_with = "to_base64")]
    Base64(#[cfg_attr(feature = "schema", schemars(with = "String"))] Vec<u8>),
}

impl Content {
    /// Bytes as text where they are UTF-8.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(error.into_bytes()),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Base64(bytes) => bytes,
        }
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::prelude::BASE64_STANDARD.encode(bytes))
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Occurrence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Only => serializer.serialize_str("only"),
            Self::First => serializer.serialize_str("first"),
            Self::Last => serializer.serialize_str("last"),
            Self::All => serializer.serialize_str("all"),
            Self::Nth(number) => serializer.serialize_u64(number.get()),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(feature = "schema")]
fn one() -> u32 {
    1
}
