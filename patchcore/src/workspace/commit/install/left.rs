//! What could not be taken back, and where its old bytes are.

use super::Install;
use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::STATE;
use crate::workspace::root::Parents;
use crate::workspace::state::record::Step;

/// Files that are named in a message; the others are counted.
const NAMED: usize = 20;

/// What could not be taken back.
#[derive(Debug, Default)]
pub(crate) struct Left {
    files: Vec<(RelPath, String)>,
    other: Option<Error>,
}

impl Left {
    pub(super) fn add(&mut self, install: &Install<'_>, step: &Step, error: &Error) {
        let name = install.slot_name(step);
        let dir = if step.beside {
            Parents::new(install.root).of(&step.path).ok()
        } else {
            None
        };
        let place = (dir.as_deref().unwrap_or(install.current), name.as_bytes());
        let held = install.holds_expected(place, step.old.as_ref());
        let (what, is_gone) = match (held, place.0.stat(place.1)) {
            (Ok(true), _) => (Some("its old bytes are"), false),
            // It is on its way to the conflicts.
            (Ok(false), Ok(Some(_))) => (Some("what another program wrote is"), false),
            (Ok(false), Ok(None)) => (None, step.old.is_some()),
            _ => (None, false),
        };
        let mut why = error.to_refusal().message;
        // The process that remembers them ends now.
        let is_remembered = install.memory.is_some();
        if is_gone && is_remembered && matches!(install.first_conflict(step), Ok(None)) {
            why.push_str("; its old bytes are lost");
        }
        if let Some(what) = what {
            let kept = match (step.beside, step.path.parent()) {
                (true, Some(parent)) => format!("{parent}/{name}"),
                (true, None) => name,
                (false, _) => format!("{STATE}/txn/current/{name}"),
            };
            why.push_str(&format!("; {what} in {kept}"));
        }
        self.files.push((step.path.clone(), why));
    }

    /// Notes the first error that is of no file.
    pub(super) fn note(&mut self, result: Result<(), Error>) {
        if let (Err(error), None) = (result, &self.other) {
            self.other = Some(error);
        }
    }

    pub(super) fn into_result(mut self, install: &Install<'_>) -> Result<(), Error> {
        if self.files.is_empty() {
            return self.other.map_or(Ok(()), Err);
        }
        self.files.sort_by(|a, b| a.0.cmp(&b.0));
        let count = self.files.len();
        let of = install.journal.steps.len();
        let mut message = format!("taking back is not finished for {count} of {of} files: ");
        let named = self.files.iter().take(NAMED);
        let named = named.map(|(path, why)| format!("{path} ({why})"));
        message.push_str(&named.collect::<Vec<_>>().join(", "));
        if count > NAMED {
            message.push_str(&format!(" and {} more", count - NAMED));
        }
        Err(Error::unfinished(message))
    }
}
