//! Calls that write a whole file, or put text at one end of it.

use super::Act;
use super::edits::{Reader, required};
use super::fields::{Arguments, Field, Taken, plain};
use super::tools::{is_writer, tool_end};
use crate::dialect::whole;
use crate::error::excerpt;

/// The parameters that a whole file is read from.
pub(super) const WHOLE: &[Field] = &[
    Field::Content,
    Field::FinalNewline,
    Field::Verbatim,
    Field::Overwrite,
    Field::OnlyNew,
    Field::IfExists,
];

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is written over.
    Overwritten,
    /// The call is for a new file alone.
    Refused,
    /// The text goes behind what it holds.
    Extended,
}

impl Existing {
    /// What the parameters say of it; `None` after a fault.
    pub(super) fn of(arguments: &mut Arguments<'_, '_, '_>) -> Option<Self> {
        let mut existing = Self::Overwritten;
        if arguments.flag(Field::Append).ok() == Some(true) {
            existing = Self::Extended;
        }
        if let Taken::Set(said) = arguments.text(Field::IfExists) {
            match &*plain(&said) {
                "overwrite" | "replace" | "truncate" | "update" | "force" | "write" | "" => {}
                "fail" | "error" | "abort" | "raise" | "throw" | "deny" | "refuse" | "reject"
                | "exception" | "stop" | "never" | "skip" | "ignore" | "keep" | "createonly"
                | "createnew" => existing = Self::Refused,
                "append" => existing = Self::Extended,
                _ => {
                    let key = arguments.key(Field::IfExists).unwrap_or_default();
                    let said = excerpt(said.as_bytes(), 40);
                    arguments.fault(format!(
                        "{key:?} is {said:?}; expected \"overwrite\", \"append\" or \"fail\""
                    ));
                    return None;
                }
            }
        }
        let is_new = arguments.flag(Field::OnlyNew).ok() == Some(true)
            || arguments.flag(Field::Overwrite).ok() == Some(false);
        if is_new && existing == Self::Extended {
            arguments.fault("the text is to be appended, and only to a new file; send one of them");
            return None;
        }
        Some(if is_new { Self::Refused } else { existing })
    }
}

/// An end of a file that text is put at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Top,
    Bottom,
}

impl Reader<'_> {
    /// `create` of the text-editor tool: a file that does not exist.
    pub(super) fn create(&mut self, arguments: &mut Arguments<'_, '_, '_>) {
        self.on_file(arguments, |arguments| {
            let key = if arguments
                .key(Field::Command)
                .is_some_and(|key| plain(key) == "command")
            {
                "file_text"
            } else {
                "content"
            };
            content(arguments, key).map(Act::Create)
        });
    }

    /// Text for an end of a file.
    pub(super) fn extend(&mut self, arguments: &mut Arguments<'_, '_, '_>, end: End) {
        self.on_file(arguments, |arguments| {
            let text = match arguments.has(Field::New) {
                true => arguments.new_text("new_str"),
                false => required(arguments, Field::Content, "content"),
            }?;
            if text.is_empty() {
                arguments.fault("there is no text to put into the file; send some");
                return None;
            }
            Some(match end {
                End::Top => Act::Prepend(text.into_owned()),
                End::Bottom => Act::Append(text.into_owned()),
            })
        });
    }

    /// A path and a text without more: what that means, the name of the tool has to say.
    pub(super) fn write(
        &mut self,
        arguments: &mut Arguments<'_, '_, '_>,
        says_whole: bool,
    ) -> &'static [Field] {
        const EXTENDED: &[Field] = &[Field::Content, Field::Append, Field::IfExists];
        if let Some(end) = tool_end(self.tool) {
            self.extend(arguments, end);
            return EXTENDED;
        }
        let Some(existing) = Existing::of(arguments) else {
            return WHOLE;
        };
        if existing == Existing::Extended {
            self.extend(arguments, End::Bottom);
            return EXTENDED;
        }
        if !says_whole && !is_writer(self.tool) {
            let name = self.call.name.as_deref().unwrap_or_default();
            let key = arguments.key(Field::Content).unwrap_or_default();
            arguments.fault(format!("{:?} is no tool that is known to write whole files, and {key:?} may be a part of one; send \"old_string\" and \"new_string\", or the whole file by \"write_file\"", excerpt(name.as_bytes(), 60)));
            return WHOLE;
        }
        self.on_file(arguments, |arguments| {
            let text = content(arguments, "content")?;
            let verbatim = arguments.flag(Field::Verbatim).ok().unwrap_or_default();
            Some(match existing {
                Existing::Refused => Act::Create(text),
                _ => Act::Write(text, whole::Form::of(verbatim)),
            })
        });
        WHOLE
    }
}

/// The text of a whole file, with the newline at its end that a flag may ask for.
fn content(arguments: &mut Arguments<'_, '_, '_>, key: &str) -> Option<String> {
    let mut text = required(arguments, Field::Content, key)?.into_owned();
    let wants_newline = arguments.has(Field::FinalNewline)
        && arguments.flag(Field::FinalNewline).ok() == Some(true);
    if wants_newline && !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text)
}
