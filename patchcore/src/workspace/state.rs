//! The state beside the tree, `.mission_control`, and the lock on it.
//!
//! | entry | holds |
//! |---|---|
//! | `tasks.json` | the task manifest, readable by all |
//! | `.gitignore` | all but the manifest |
//! | `lock` | the lock; the kernel frees it when its holder dies |
//! | `key` | the secret that seals what is written, so that nothing else is acted on |
//! | `txn/current` | the transaction that is being worked on |
//! | `head` | a link whose text names the last record of the log |
//! | `removed` | which records `gc` removed |
//! | `log/ID` | the record of a batch; a directory where it has pre-images, else a file |
//! | `ledger/HASH` | a link whose text says which transaction committed the batch of that id |
//! | `snapshots/` | what the tree held before a command that is recorded |
//! | `conflicts/` | what strangers wrote where a batch was being installed |
//! | `abandoned/` | transactions that were set aside |

pub(super) mod chain;
pub(super) mod find;
pub(super) mod gc;
pub(super) mod journal;
pub(super) mod key;
pub(super) mod ledger;
pub(super) mod log;
pub(super) mod private;
pub(super) mod reader;
pub mod record;
pub(super) mod removed;
pub(super) mod snapshot;
pub(super) mod tasks;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::Workspace;
use crate::workspace::disk::{self, Dir, File, FileKind, Meta, Open};
use crate::workspace::root::{Root, is_no_directory};
use crate::workspace::state::key::Key;
use crate::workspace::state::record::TransactionId;

/// What a stranger wrote where a batch was being installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedConflict {
    /// The path where it stood.
    pub path: RelPath,
    /// Where it is kept, relative to the root.
    pub kept: String,
}

/// Name of the directory that holds the state.
pub const STATE: &str = ".mission_control";
/// Name of the task manifest in it.
pub const TASKS: &str = "tasks.json";
pub(crate) const CURRENT: &str = "current";
/// The directories in the state that a batch may need.
const PARTS: [&str; 5] = ["txn", "log", "ledger", "conflicts", "abandoned"];
const LOCK: &str = "lock";
const IGNORED: &str = "*\n!tasks.json\n";

/// The state directory as a reader sees it: whatever is missing is empty.
#[derive(Debug)]
pub(crate) struct StateDir {
    pub(crate) dir: Dir,
    /// By which the state is recognized; `None` where there is none, so that nothing in the state
    /// is ours.
    pub(crate) key: Option<Key>,
    /// Something was found that somebody else wrote; the workspace's.
    foreign: Arc<AtomicBool>,
    /// Commands are being recorded, which new bytes are kept for.
    pub(crate) records_commands: AtomicBool,
    /// What a person should know of it.
    notes: Arc<Mutex<Vec<String>>>,
}

/// The state directory in the hands of the one writer.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) state: StateDir,
    pub(crate) txn: Dir,
    pub(crate) log: Dir,
    /// Seals what is written.
    pub(crate) key: Key,
    /// Kept for what its end does: it frees the lock.
    lock: Arc<File>,
}

/// The state after somebody removed or replaced parts of it.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) held: Held,
    /// What was in the way, and where it is kept.
    pub(crate) moved: Vec<SavedConflict>,
}

impl StateDir {
    fn new(dir: Dir, key: Option<Key>, workspace: &Workspace) -> Self {
        Self {
            dir,
            key,
            foreign: Arc::clone(&workspace.foreign),
            records_commands: AtomicBool::new(false),
            notes: Arc::clone(&workspace.notes),
        }
    }

    /// Remembers that something was found which somebody else wrote.
    pub(crate) fn meet_foreign(&self) {
        self.foreign.store(true, Ordering::Relaxed);
    }

    /// Remembers what a person should know.
    pub(crate) fn note(&self, note: String) {
        self.notes
            .lock()
            .expect("no thread panics with it")
            .push(note);
    }

    /// What a person should know, once.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().expect("no thread panics with it"))
    }

    /// What to say of it, once.
    pub(crate) fn foreign_note(&self) -> Option<String> {
        foreign_note(&self.foreign)
    }

    /// Waits until the key has reached the disk, if it lies here.
    pub(crate) fn sync_key(&self) -> Result<(), Error> {
        let sync = || -> io::Result<()> {
            if let Some(file) = self.dir.file(key::KEY.as_bytes())? {
                file.sync()?;
                self.dir.sync()?;
            }
            Ok(())
        };
        sync().map_err(|error| fail("sync", key::KEY, error))
    }

    /// A part of the state, for reading; `None` where it does not exist, and where what has its
    /// name is not a directory, which was never made here.
    pub(crate) fn part(&self, name: &str) -> Result<Option<Dir>, Error> {
        match self.dir.directory(name) {
            Err(error) if is_no_directory(&error) => {
                self.meet_foreign();
                Ok(None)
            }
            result => result.map_err(|error| fail("open", name, error)),
        }
    }

    /// A part of the state, made where it does not exist; under the lock. What is no directory is
    /// set aside.
    pub(crate) fn make_part(&self, name: &str) -> Result<Dir, Error> {
        match self.dir.directory(name) {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) => {}
            Err(error) if is_no_directory(&error) => self.set_aside(name)?,
            Err(error) => return Err(fail("open", name, error)),
        }
        self.make_new_part(name)
    }

    fn make_new_part(&self, name: &str) -> Result<Dir, Error> {
        match self.dir.make_directory(name.as_bytes(), 0o700) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(fail("make", name, error));
            }
            _ => {}
        }
        self.dir
            .directory(name)
            .and_then(|dir| dir.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(|error| fail("open", name, error))
    }

    /// Moves what has the name of a part but was not made here to `abandoned`, under the lock.
    pub(crate) fn set_aside(&self, name: &str) -> Result<(), Error> {
        self.set_aside_in(&self.dir, name)
    }

    /// As [`set_aside`](Self::set_aside), from a directory of the state.
    pub(crate) fn set_aside_in(&self, dir: &Dir, name: &str) -> Result<(), Error> {
        const ABANDONED: &str = "abandoned";
        self.meet_foreign();
        let new = format!("{name}-{}", TransactionId::now());
        let failed = |error| fail("set aside", name, error);
        let abandoned = match self.dir.directory(ABANDONED) {
            Ok(Some(abandoned)) => abandoned,
            Ok(None) => self.make_new_part(ABANDONED)?,
            Err(error) if is_no_directory(&error) => {
                let aside = format!("{ABANDONED}-{}", TransactionId::now());
                let moved =
                    (self.dir).rename_new(ABANDONED.as_bytes(), &self.dir, aside.as_bytes());
                moved.map_err(failed)?;
                let made = self.make_new_part(ABANDONED)?;
                let moved = (self.dir).rename_new(aside.as_bytes(), &made, aside.as_bytes());
                moved.map_err(failed)?;
                if name == ABANDONED {
                    return Ok(());
                }
                made
            }
            Err(error) => return Err(fail("open", ABANDONED, error)),
        };
        journal::set_aside(dir, name.as_bytes(), &abandoned, new.as_bytes()).map_err(failed)
    }

    /// The task manifest's bytes, if there is one.
    pub(crate) fn tasks(&self) -> Result<Option<Vec<u8>>, Error> {
        let read = || -> io::Result<Option<Vec<u8>>> {
            let Some(file) = self.dir.file(TASKS.as_bytes())? else {
                return Ok(None);
            };
            let meta = file.stat()?;
            // What cannot be read to its end is no manifest, also not an empty one.
            if meta.kind != FileKind::File {
                return Err(io::Error::other("it is not a regular file; remove it"));
            }
            file.read(meta.size, crate::workspace::MAX_FILE)?
                .ok_or_else(|| io::ErrorKind::FileTooLarge.into())
                .map(Some)
        };
        read().map_err(|error| fail("read", TASKS, error))
    }

    /// Whether another process holds the lock.
    pub(crate) fn is_locked(&self) -> Result<bool, Error> {
        let test = || -> io::Result<bool> {
            match self.dir.file(b"lock") {
                Ok(Some(lock)) => Ok(!lock.try_lock()?),
                Ok(None) => Ok(false),
                // Nobody locks what was not made here.
                Err(error) if is_in_the_way(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        test().map_err(|error| fail("look at", "lock", error))
    }
}

impl Workspace {
    /// Opens the state; `None` where nothing was ever written.
    pub(crate) fn state(&self) -> Result<Option<StateDir>, Error> {
        let Some(dir) = self.state_dir()? else {
            return Ok(None);
        };
        let key = self.read_key(&dir)?;
        Ok(Some(StateDir::new(dir, key, self)))
    }

    /// Opens the state for writing, making what is missing, and waits for the lock.
    ///
    /// Where an unfinished transaction lies that cannot be ours, nothing is made: `FOREIGN_STATE`.
    pub(crate) fn hold(&self, wait: Duration) -> Result<Held, Error> {
        self.hold_with(wait, journal::foreign_if_left)
    }

    /// As [`hold`](Self::hold), to adopt or to set aside what lies there.
    pub(crate) fn hold_whatever(&self, wait: Duration) -> Result<Held, Error> {
        self.hold_with(wait, |_| Ok(()))
    }

    /// `judge` may refuse a state in which nothing is ours.
    fn hold_with(
        &self,
        wait: Duration,
        judge: impl FnOnce(&StateDir) -> Result<(), Error>,
    ) -> Result<Held, Error> {
        let (state, lock) = self.lock_state(wait)?;
        let key = self.writers_key(&state, judge)?;
        self.hold_locked(state, lock, key)
    }

    /// Opens the state, making it where it does not exist, and waits for its lock. Where somebody
    /// removed or replaced either meanwhile, the lock keeps nobody out, so what stands there now is
    /// locked instead.
    fn lock_state(&self, wait: Duration) -> Result<(StateDir, Arc<File>), Error> {
        let began = Instant::now();
        loop {
            let state = self.make_state()?;
            if let Some(lock) = lock(&state, wait.saturating_sub(began.elapsed()))?
                && self.is_in_place(&state, &lock)?
            {
                return Ok((state, Arc::new(lock)));
            }
            if began.elapsed() >= wait {
                return Err(locked(wait));
            }
        }
    }

    /// Whether a state and its lock are still those of the root.
    fn is_in_place(&self, state: &StateDir, lock: &File) -> Result<bool, Error> {
        let is_in_place = || -> io::Result<bool> {
            Ok(self.root.dir.still_has(STATE, &state.dir.stat_self()?)?
                && state.dir.still_has(LOCK, &lock.stat()?)?)
        };
        is_in_place().map_err(|error| fail("look at", LOCK, error))
    }

    /// Opens the state, making it where it does not exist.
    fn make_state(&self) -> Result<StateDir, Error> {
        if let Some(state) = self.state()? {
            return Ok(state);
        }
        let root = &self.root;
        match root.dir.make_directory(STATE.as_bytes(), 0o777) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(state_error(root, "make", error));
            }
            _ => {}
        }
        let gone = || Error::io("open", root.path.join(STATE), Errno::NOENT);
        let dir = self.state_dir()?.ok_or_else(gone)?;
        Ok(StateDir::new(dir, None, self))
    }

    /// Opens the parts of the state, making what is missing.
    fn hold_locked(&self, mut state: StateDir, lock: Arc<File>, key: Key) -> Result<Held, Error> {
        state.key = Some(key.clone());
        let txn = match state.part("txn")? {
            Some(txn) => txn,
            None => {
                ignore_all_but_tasks(&state.dir)?;
                state.make_part("txn")?
            }
        };
        let log = state.make_part("log")?;
        Ok(Held {
            state,
            txn,
            log,
            key,
            lock,
        })
    }

    fn state_dir(&self) -> Result<Option<Dir>, Error> {
        let failed = |error| state_error(&self.root, "open", error);
        let dir = match self.root.open_path(&state_path(), Open::Directory) {
            Ok(fd) => Dir(fd),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let owner = dir.stat_self().map_err(failed)?.uid;
        if !disk::is_ours(owner) {
            return Err(Error::Foreign {
                path: STATE.into(),
                why: format!("belongs to user {owner}; use another root, or change its owner"),
                hint: None,
            });
        }
        Ok(Some(dir))
    }

    fn read_key(&self, dir: &Dir) -> Result<Option<Key>, Error> {
        match &self.key_file {
            Some(file) => file.open(),
            None => key::open(dir),
        }
    }

    /// The key, under the lock: another process may have made it meanwhile.
    fn writers_key(
        &self,
        state: &StateDir,
        judge: impl FnOnce(&StateDir) -> Result<(), Error>,
    ) -> Result<Key, Error> {
        if let Some(key) = &state.key {
            return Ok(key.clone());
        }
        if let Some(key) = self.read_key(&state.dir)? {
            return Ok(key);
        }
        judge(state)?;
        let names = state.dir.names().map_err(|error| fail("list", "", error))?;
        if names.iter().any(|name| !AT_FIRST.contains(&&**name)) {
            state.meet_foreign();
        }
        self.make_key_of(state, None)
    }

    /// Makes the file of a key, of this one or of a new one.
    fn make_key_of(&self, state: &StateDir, key: Option<&Key>) -> Result<Key, Error> {
        match &self.key_file {
            Some(file) => file.open_or_make(key),
            None => key::make(state, key),
        }
    }
}

impl Held {
    /// Whether the directory of a transaction is where the next run looks for it: among the journals,
    /// or in the log already.
    pub(crate) fn leads_to(&self, root: &Root, current: &Dir, id: &TransactionId) -> bool {
        // Where nobody can look, nothing is known to be gone.
        let leads = |dir: &Dir, name: &str, opened: &Dir| {
            let opened = opened.stat_self();
            let leads = opened.and_then(|opened| dir.still_has(name, &opened));
            leads.unwrap_or(true)
        };
        let state = &self.state.dir;
        leads(&root.dir, STATE, state)
            && (leads(state, "txn", &self.txn) && leads(&self.txn, CURRENT, current)
                || leads(state, "log", &self.log) && leads(&self.log, &id.to_string(), current))
    }

    /// The state as it is now; `None` where it is still the one that we hold.
    ///
    /// What was removed is made again, and what is no directory of its own is moved out of the way.
    pub(crate) fn renewed(
        &self,
        workspace: &Workspace,
        transaction: TransactionId,
        wait: Duration,
    ) -> Result<Option<Renewed>, Error> {
        let root = &workspace.root;
        let mut moved = Moved::new(transaction);
        let io = |error| root.error("look at", &state_path(), error);
        root.dir.open_up(STATE.as_bytes()).map_err(io)?;
        moved.aside(&root.dir, STATE).map_err(io)?;
        let state = workspace.make_state()?;
        let own = |name: &str, error| fail("look at", name, error);
        for name in PARTS {
            let io = |error| own(name, error);
            state.dir.open_up(name.as_bytes()).map_err(io)?;
            moved.aside(&state.dir, name).map_err(io)?;
        }
        let stays = |name: &str, known: io::Result<Meta>| -> Result<bool, Error> {
            known
                .and_then(|known| state.dir.still_has(name, &known))
                .map_err(|error| own(name, error))
        };
        let keeps_lock = stays("lock", self.lock.stat())?;
        let mark = |key: &Key| key.seal("renewed", &[]);
        let keeps_key = state.key.as_ref().map(mark) == Some(mark(&self.key));
        if keeps_lock
            && keeps_key
            && moved.is_empty()
            && stays("txn", self.txn.stat_self())?
            && stays("log", self.log.stat_self())?
        {
            return Ok(None);
        }
        let (state, lock) = if keeps_lock {
            (state, Arc::clone(&self.lock))
        } else {
            workspace.lock_state(wait)?
        };
        // Where the key went, too, what is left of the state is still ours.
        let key = match &state.key {
            Some(key) => key.clone(),
            None => workspace.make_key_of(&state, Some(&self.key))?,
        };
        let held = workspace.hold_locked(state, lock, key)?;
        let moved = moved.keep(root, &held.state)?;
        Ok(Some(Renewed { held, moved }))
    }
}

/// What stood where a directory of the state should be.
struct Moved {
    transaction: TransactionId,
    /// In the root, or in the state.
    names: Vec<&'static str>,
}

impl Moved {
    fn new(transaction: TransactionId) -> Self {
        Self {
            transaction,
            names: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Gives what is no directory another name.
    fn aside(&mut self, dir: &Dir, name: &'static str) -> io::Result<()> {
        match dir.stat(name.as_bytes())? {
            Some(there) if there.kind != FileKind::Directory => {}
            _ => return Ok(()),
        }
        let aside = self.aside_name(name);
        dir.rename_new(name.as_bytes(), dir, aside.as_bytes())?;
        self.names.push(name);
        Ok(())
    }

    /// Moves all of it to the conflicts.
    fn keep(self, root: &Root, state: &StateDir) -> Result<Vec<SavedConflict>, Error> {
        let mut kept = Vec::new();
        for &name in &self.names {
            let conflicts = state.make_part("conflicts")?;
            let dir = if name == STATE {
                &*root.dir
            } else {
                &state.dir
            };
            let aside = self.aside_name(name);
            let new = format!("{}-{name}", self.transaction);
            dir.rename_new(aside.as_bytes(), &conflicts, new.as_bytes())
                .map_err(|error| fail("keep", name, error))?;
            let path = match name {
                STATE => state_path(),
                _ => RelPath::new(format!("{STATE}/{name}")).expect("two plain components"),
            };
            kept.push(SavedConflict {
                path,
                kept: format!("{STATE}/conflicts/{new}"),
            });
        }
        Ok(kept)
    }

    fn aside_name(&self, name: &str) -> String {
        format!("{name}.{}", self.transaction)
    }
}

/// What to say of state that somebody else wrote, once.
pub(crate) fn foreign_note(met: &AtomicBool) -> Option<String> {
    let note = || {
        format!(
            "{STATE} holds state that was not written here (it came with a clone, an archive or a copy); it is ignored"
        )
    };
    met.swap(false, Ordering::Relaxed).then(note)
}

/// An error on a part of the state.
pub(crate) fn fail(action: &'static str, name: &str, error: io::Error) -> Error {
    let path = std::path::Path::new(STATE).join(name);
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP | Errno::NOTDIR) => Error::Redirected { path },
        _ => Error::io(action, path, error),
    }
}

/// An error on the state's directory itself.
fn state_error(root: &Root, action: &'static str, error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP | Errno::NOTDIR) => Error::Redirected { path: STATE.into() },
        _ => root.error(action, &state_path(), error),
    }
}

pub(crate) fn state_path() -> RelPath {
    RelPath::new(STATE).expect("one plain component")
}

/// Waits for the lock in a state; `None` where the state's directory was removed.
fn lock(state: &StateDir, wait: Duration) -> Result<Option<File>, Error> {
    let open = || state.dir.lock_file(LOCK);
    let opened = match open() {
        Err(error) if is_in_the_way(&error) => {
            clear_lock(state, wait)?;
            open()
        }
        result => result,
    };
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(|error| fail("open", LOCK, error))?,
    };
    wait_for(&file, wait)?;
    Ok(Some(file))
}

/// Sets aside what has the place of the lock but cannot be locked: a link, a directory. The lock
/// on the state's directory keeps two processes from doing so at once, and the second one from
/// setting aside what the first one made.
fn clear_lock(state: &StateDir, wait: Duration) -> Result<(), Error> {
    let io = |error| fail("look at", LOCK, error);
    let guard = state.dir.lockable().map_err(io)?;
    wait_for(&guard, wait)?;
    match state.dir.stat(LOCK.as_bytes()).map_err(io)? {
        Some(there) if there.kind != FileKind::File => state.set_aside(LOCK),
        _ => Ok(()),
    }
}

/// Whether what was to be opened to lock it is not a file that can be.
fn is_in_the_way(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV)
    )
}

/// The error of one who has waited for the lock for so long.
pub(crate) fn locked(waited: Duration) -> Error {
    let path = std::path::Path::new(STATE).join(LOCK);
    Error::LockTimeout { path, waited }
}

/// Waits until a file is locked.
fn wait_for(file: &File, wait: Duration) -> Result<(), Error> {
    const SHORTEST: Duration = Duration::from_micros(200);
    const LONGEST: Duration = Duration::from_millis(8);
    let mut pause = SHORTEST;
    let mut began = None;
    // The kernel's own queue knows no time limit, so waiters ask again: soon at first, since most
    // holders need a millisecond.
    while !file.try_lock().map_err(|error| fail("lock", LOCK, error))? {
        let waited = began.get_or_insert_with(Instant::now).elapsed();
        if waited >= wait {
            return Err(locked(wait));
        }
        std::thread::sleep(pause.min(wait - waited));
        pause = (pause * 2).min(LONGEST);
    }
    Ok(())
}

/// What the state may hold before there is a key: the manifest, which is data, and what a run that
/// died on its way there leaves.
const AT_FIRST: [&[u8]; 5] = [
    b"tasks.json",
    b".gitignore",
    b".gitignore.new",
    b"lock",
    b"key.new",
];

/// Written once, when the state comes into being; whoever edits or removes it means it.
fn ignore_all_but_tasks(dir: &Dir) -> Result<(), Error> {
    const NAME: &[u8] = b".gitignore";
    const DRAFT: &[u8] = b".gitignore.new";
    let write = || -> io::Result<()> {
        if dir.stat(NAME)?.is_some() {
            return Ok(());
        }
        dir.clear(DRAFT)?;
        dir.create(DRAFT, 0o644)?
            .write_chunks([IGNORED.as_bytes()].into_iter())?;
        dir.rename(DRAFT, dir, NAME)
    };
    write().map_err(|error| fail("write", ".gitignore", error))
}
