//! Reading files for somebody who will edit them: what was shown is kept, so that an edit can be
//! held to it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Code, Error, Refusal};
use crate::path::RelPath;
use crate::plan::Part;
use crate::plan::{Entry, Source, not_found};
use crate::report::{Excerpt, FileReading, Reading};
use crate::workspace::TASKS;
use crate::workspace::Workspace;
use crate::workspace::read::near_names;
use crate::workspace::state::snapshot::{self, Objects};
use crate::workspace::state::state_path;

/// Longest file whose bytes are kept because somebody read them, in bytes; of a longer one only the
/// hash is.
const MAX_KEPT: usize = 16 << 20;

/// Files as they were read.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadFiles {
    /// In the order in which they were asked for.
    pub files: Vec<ReadFile>,
    /// What a person should know: that what was read could not be remembered, for one.
    pub warnings: Vec<String>,
}

/// A file as it was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReadFile {
    /// The file.
    pub path: RelPath,
    /// What of it was asked for.
    pub part: Part,
    /// All of it, or why there is nothing to show.
    pub source: Result<Arc<Source>, Refusal>,
}

impl ReadFile {
    /// The part that was asked for.
    ///
    /// # Errors
    /// Why nothing is shown: as [`Excerpt::of`], or what stands there is no file.
    pub fn excerpt(&self) -> Result<Excerpt<'_>, Refusal> {
        match &self.source {
            Ok(source) => Excerpt::of(&self.path, source, &self.part),
            Err(refusal) => Err(refusal.clone()),
        }
    }
}

impl ReadFiles {
    /// What to tell on standard output with `--output json`.
    #[must_use]
    pub fn report(&self) -> Reading {
        let mut reading = Reading::new();
        reading.files = (self.files.iter())
            .map(|file| match file.excerpt() {
                Ok(excerpt) => FileReading::shown(&excerpt),
                Err(refusal) => FileReading::refused(&file.path, refusal),
            })
            .collect();
        reading.warnings.clone_from(&self.warnings);
        reading
    }
}

impl Workspace {
    /// Reads files for somebody who will edit them, and remembers what was shown: the hash of each
    /// file for the agent, and the bytes, so that an edit of this state is known when the file has
    /// moved on. `agent` is empty for somebody without a name.
    ///
    /// The tree is read without the lock. What was read is remembered under the lock; where that is
    /// held for longer than `lock_wait`, or nothing can be written, a warning says so.
    ///
    /// ```
    /// # use patchcore::RelPath;
    /// # use patchcore::workspace::Workspace;
    /// use patchcore::plan::Part;
    /// # let root = tempfile::tempdir()?;
    /// # std::fs::write(root.path().join("a.txt"), "one\ntwo\n")?;
    /// let workspace = Workspace::open(root.path())?;
    /// let path = RelPath::new("a.txt")?;
    /// let wanted = vec![(path.clone(), Part::Lines(2, 2))];
    /// let read = workspace.read(wanted, "codex", std::time::Duration::from_secs(2))?;
    /// assert_eq!(read.report().files[0].text.as_deref(), Some("two\n"));
    /// let last = workspace.last_read("codex", &path)?;
    /// assert_eq!(last.map(|last| last.digest), read.report().files[0].base);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `LOCK_TIMEOUT` where another process installs or verifies a batch all the while, `UNFINISHED`
    /// where one left the tree half installed, `IO` where a file that is there cannot be read.
    pub fn read(
        &self,
        wanted: Vec<(RelPath, Part)>,
        agent: &str,
        lock_wait: Duration,
    ) -> Result<ReadFiles, Error> {
        let mut read = self.look(wanted, lock_wait)?;
        if let Err(error) = self.remember(&read.files, agent, lock_wait) {
            read.warnings.push(format!(
                "what was read could not be remembered, so an edit has to name its base: {error}"
            ));
        }
        read.warnings.extend(self.notes());
        Ok(read)
    }

    /// As [`read`](Self::read), with nothing remembered.
    pub(crate) fn look(
        &self,
        wanted: Vec<(RelPath, Part)>,
        lock_wait: Duration,
    ) -> Result<ReadFiles, Error> {
        let mut paths: Vec<RelPath> = wanted.iter().map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| !is_private(path));
        let tree = self.read_steadily(lock_wait, |_| self.load(&paths))?;
        let mut files: Vec<ReadFile> = wanted
            .into_iter()
            .map(|(path, part)| {
                let source = match tree.get(&path) {
                    _ if is_private(&path) => Err(private(&path)),
                    Entry::File(source) => Ok(Arc::clone(source)),
                    Entry::Absent => Err(not_found(&path)),
                    Entry::Refused(refusal) => Err((**refusal).clone()),
                };
                ReadFile { path, part, source }
            })
            .collect();
        let refusals = files
            .iter_mut()
            .filter_map(|file| file.source.as_mut().err());
        near_names::add_to(&self.root, self.path(), refusals);
        Ok(ReadFiles {
            files,
            warnings: Vec::new(),
        })
    }

    fn remember(&self, files: &[ReadFile], agent: &str, lock_wait: Duration) -> Result<(), Error> {
        // What cannot be shown was not read.
        let shown = files.iter().filter(|file| file.excerpt().is_ok());
        let shown: Vec<(&RelPath, &Source)> = shown
            .filter_map(|file| Some((&file.path, &**file.source.as_ref().ok()?)))
            .collect();
        if shown.is_empty() {
            return Ok(());
        }
        let held = self.hold(lock_wait)?;
        let objects = Objects::open(&held.state)?;
        for (path, source) in shown {
            if source.bytes().len() <= MAX_KEPT {
                objects.put(&source.digest(), source.bytes())?;
            }
            snapshot::remember_read(&held, &objects.dir, agent, path, source.digest())?;
        }
        Ok(())
    }
}

/// Whether a path leads into the state, whose key is nobody's to read; the manifest is data.
fn is_private(path: &RelPath) -> bool {
    let state = state_path();
    let tasks = [state.as_bytes(), b"/", TASKS.as_bytes()].concat();
    (*path == state || path.lies_below(&state)) && path.as_bytes() != tasks
}

fn private(path: &RelPath) -> Refusal {
    let message = format!("{path} is part of the engine's own state, which is not shown");
    Refusal::new(Code::PathProtected, message).in_file(path)
}
