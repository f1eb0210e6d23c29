//! The tree on disk: reading it, changing it all or nothing, and the log of what was done.

mod command;
mod commit;
mod disk;
#[cfg_attr(feature = "fault-injection", doc(hidden))]
pub mod fault;
mod history;
mod options;
mod read;
mod root;
mod seen;
mod state;
mod transaction_id;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::Error;
use crate::path::RelPath;
use crate::plan::Tree;

pub use crate::rebase::{BaseName, InvalidBaseName};
pub use command::{Command, EndedCommand, Ending, OpenCommand, Snapshot};
pub use commit::adopt::{AdoptedFile, Adoption};
pub use commit::apply::{Applied, Preview};
pub use commit::recover::Recovered;
pub use commit::verify::{MAX_OUTPUT, PRIVATE_VARIABLES};
pub use history::audit::{Audit, Damage, ForeignChange};
pub use history::rebuild::Rebuilt;
pub use history::status::{Unfinished, WorkspaceStatus};
pub use history::undo_to::Point;
pub use options::{ApplyOptions, Keep, LOCK_WAIT, Retention, VERIFY_LIMIT, Verify};
pub use read::compare::Comparison;
pub use read::load::MAX_FILE;
pub use read::walk::{SKIPPED, WalkOptions, WalkProgress, Walked, WalkedFile};
pub use seen::bases::Base;
pub use seen::view::{ReadFile, ReadFiles};
pub use state::gc::Collected;
pub use state::key::{InvalidSeal, Key, Seal};
pub use state::log::Log;
pub use state::private::{PrivateDir, PrivateLock};
pub use state::record;
pub use state::record::{Record, TransactionId};
pub use state::snapshot::LastRead;
pub use state::{STATE, SavedConflict, TASKS};

/// A tree of files below a root that nothing leaves, and the state beside it.
///
/// ```
/// use patchcore::RelPath;
/// use patchcore::workspace::Workspace;
/// # let root = tempfile::tempdir()?;
/// # std::fs::write(root.path().join("a.txt"), "one\n")?;
/// let workspace = Workspace::open(root.path())?;
/// let path = RelPath::new("a.txt")?;
/// let tree = workspace.load(&[path.clone()])?;
/// assert_eq!(tree.file(&path).map(|file| file.bytes()), Some(&b"one\n"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Workspace {
    root: root::Root,
    /// Takes the place of the key in the state directory.
    key_file: Option<state::key::KeyFile>,
    /// Something was found in the state that somebody else wrote, and nobody was told yet.
    foreign: Arc<AtomicBool>,
    /// What a person should know of what was done on the way, and nobody was told yet.
    notes: Arc<Mutex<Vec<String>>>,
}

impl Workspace {
    /// The root that belongs to a directory: the nearest one upward that holds `.mission_control`
    /// or `.git`, else the directory itself.
    ///
    /// Where the nearest one holds a `.mission_control` that was not made here and no `.git`, and
    /// another one further up could be the root as well, it is not chosen by itself: the state may
    /// have come with the tree that it lies in.
    ///
    /// # Errors
    /// `FOREIGN_STATE` where what is nearest belongs to another user (for root, the user behind
    /// `sudo` is not another one), or where two directories may be meant; `IO` where a directory on
    /// the way cannot be looked at.
    pub fn find(start: impl AsRef<Path>) -> Result<PathBuf, Error> {
        state::find::root_of(start.as_ref())
    }

    /// Opens a root. Nothing is written before the first batch.
    ///
    /// # Errors
    /// `IO` where there is no such directory.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, Error> {
        let root = root::Root::open(root.as_ref())?;
        Ok(Self {
            root,
            key_file: None,
            foreign: Arc::default(),
            notes: Arc::default(),
        })
    }

    /// Whether both were opened on the same directory, whatever stands at its path now. A directory
    /// that is held open here is not taken for one that was made after it.
    ///
    /// # Errors
    /// `IO` where one of them cannot be looked at.
    pub fn is_same_root(&self, other: &Self) -> Result<bool, Error> {
        let identity = |workspace: &Self| {
            let stat = workspace.root.dir.stat_self();
            stat.map(|stat| (stat.device, stat.ino))
                .map_err(|error| Error::io("look at", &workspace.root.path, error))
        };
        Ok(identity(self)? == identity(other)?)
    }

    /// Keeps the key in a file outside of the root instead of in the state directory: where inodes
    /// are not stable (FUSE), or where state has to outlive a copy (the cache of a CI, an image).
    ///
    /// The file holds 32 random bytes or more; the first batch makes it where it does not exist.
    ///
    /// # Errors
    /// `IO` where it lies in the root, has no name, or its directory cannot be opened.
    pub fn with_key_file(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        self.key_file = Some(state::key::KeyFile::outside(path.as_ref(), &self.root)?);
        Ok(self)
    }

    /// What to say of state that was found since the last call and was not written here; it is
    /// ignored, or was set aside. A [`Report`](crate::Report) has it among its warnings.
    #[must_use]
    pub fn foreign_note(&self) -> Option<String> {
        state::foreign_note(&self.foreign)
    }

    /// What a person should know since the last call: of commands that were interrupted and are
    /// recorded by now, and of state that was not written here. A [`Report`](crate::Report) has it
    /// among its warnings.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.foreign_note().into_iter().collect();
        notes.append(&mut self.notes.lock().expect("no thread panics with it"));
        notes
    }

    /// The key by which the state is recognized; `None` where nothing was ever written here, and
    /// where the state came from elsewhere.
    ///
    /// # Errors
    /// `FOREIGN_STATE` where state or key file belong to another user, `IO`.
    pub fn key(&self) -> Result<Option<Key>, Error> {
        Ok(self.state()?.and_then(|state| state.key))
    }

    /// The key by which the state is recognized, made under the lock where there is none.
    ///
    /// # Errors
    /// As any command that writes: `FOREIGN_STATE`, `LOCK_TIMEOUT`, `IO`.
    pub fn make_key(&self, lock_wait: Duration) -> Result<Key, Error> {
        match self.key()? {
            Some(key) => Ok(key),
            None => Ok(self.hold(lock_wait)?.key),
        }
    }

    /// The root, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root.path
    }

    /// Reads files, without a lock. What is not a regular file, or lies behind a link, becomes an
    /// [`Entry::Refused`](crate::plan::Entry::Refused).
    ///
    /// # Errors
    /// `IO` where a file that is there cannot be read.
    pub fn load(&self, paths: &[RelPath]) -> Result<Tree, Error> {
        Ok(read::load::load(&self.root, paths)?.tree)
    }
}

/// The time in RFC 3339, UTC, with six digits behind the second, so that texts sort as times do.
pub(crate) fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}
