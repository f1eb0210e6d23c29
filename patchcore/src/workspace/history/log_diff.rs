//! The diff of a record: what it changed, from its spans and pre-images.

use std::io::{self, Write};

use crate::diff::{Copies, DiffOptions, FileDiff, Origin, Side};
use crate::edit::{Edit, EditSet};
use crate::error::Error;
use crate::path::RelPath;
use crate::plan::{ChangeKind, FileState};
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{ChangeRecord, Record};

impl Log {
    /// Writes what a record changed, in git's format. Where the record does not hold all of a
    /// file's new text, or its pre-image is gone, a line that begins with `#` says so instead.
    ///
    /// # Errors
    /// `IO` where a pre-image cannot be read or `out` fails.
    pub fn write_diff(&self, record: &Record, out: &mut impl Write) -> Result<(), Error> {
        let options = DiffOptions {
            // A copy's source is not kept: it did not change.
            copies: Copies::Copied,
            ..DiffOptions::default()
        };
        for change in &record.changes {
            self.write_change(record, change, &options, out)?
                .map_err(|error| Error::io("write", "the diff", error))?;
        }
        Ok(())
    }

    fn write_change(
        &self,
        record: &Record,
        change: &ChangeRecord,
        options: &DiffOptions,
        out: &mut impl Write,
    ) -> Result<io::Result<()>, Error> {
        let path = &change.path;
        if change.edits.iter().any(|edit| edit.is_cut()) {
            let why = "the record keeps only the start of its new text";
            return Ok(writeln!(out, "# {path}: {why}"));
        }
        let source = match change.slot.filter(|_| !change.edits.is_empty()) {
            Some(slot) => self.pre_image(&record.transaction, slot)?,
            None => Some(Vec::new()),
        };
        let Some(source) = source else {
            return Ok(writeln!(out, "# {path}: its pre-image is gone"));
        };
        let edits = change
            .edits
            .iter()
            .map(|edit| Edit::replace(edit.span[0]..edit.span[1], edit.text.clone()))
            .collect();
        let Ok(edits) = EditSet::new(edits, source.len()) else {
            return Ok(writeln!(
                out,
                "# {path}: the record does not fit its pre-image"
            ));
        };
        Ok(change.diff(&source, &edits).write(options, out))
    }
}

impl ChangeRecord {
    /// What the change did, shown by these of its edits of its pre-image.
    pub(crate) fn diff<'a>(&'a self, source: &'a [u8], edits: &'a EditSet) -> FileDiff<'a> {
        let side = |path: &'a RelPath, state: FileState| Side {
            path: path.as_bytes(),
            executable: state.executable,
            link: state.link,
        };
        let old = match self.kind {
            ChangeKind::Created => None,
            _ => {
                let path = self.from.as_ref().unwrap_or(&self.path);
                let was = self.before.or(self.after);
                was.map(|was| side(path, self.moved(was)))
            }
        };
        FileDiff {
            old,
            new: self.after.map(|after| side(&self.path, after)),
            origin: match self.kind {
                ChangeKind::Renamed => Origin::Renamed,
                ChangeKind::Copied => Origin::Copied,
                _ => Origin::Same,
            },
            source,
            edits: edits.as_slice(),
            lines: None,
        }
    }
}
