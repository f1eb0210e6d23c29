//! The tree walk: every file's bytes, on two threads, links and special files left alone.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, WalkBuilder, WalkState};
use rustix::io::Errno;

use crate::error::{Code, Error, Refusal, Stop};
use crate::path::RelPath;
use crate::workspace::LOCK_WAIT;
use crate::workspace::MAX_FILE;
use crate::workspace::Workspace;
use crate::workspace::disk::{FileKind, Open};
use crate::workspace::root::{self, Parents};

/// Directories that are not entered unless asked: version control, our own state, what package
/// managers and compilers make.
pub const SKIPPED: [&str; 4] = [".git", ".mission_control", "node_modules", "target"];
/// Most failures that a walk keeps for its report.
const MAX_FAILURES: usize = 100;
const THREADS: usize = 2;

/// Which files a walk visits. The default is all of them but what lies in [`SKIPPED`]; hidden and
/// ignored files are files like others.
#[derive(Debug, Clone, Default)]
pub struct WalkOptions {
    /// Files and directories to visit; none stands for the whole tree.
    pub paths: Vec<RelPath>,
    /// Visit only files that one of these globs matches, if there are any.
    pub include: Vec<String>,
    /// Leave out files and directories that one of these globs matches.
    pub exclude: Vec<String>,
    /// Enter the directories of [`SKIPPED`], too.
    pub enter_all: bool,
}

/// A file of a walk.
#[derive(Debug)]
pub struct WalkedFile<'a> {
    root: &'a Path,
    path: &'a Path,
    bytes: &'a [u8],
}

impl WalkedFile<'_> {
    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The path below the root.
    ///
    /// # Errors
    /// `PATH_ESCAPE` for a path that is too long.
    pub fn path(&self) -> Result<RelPath, Refusal> {
        use std::os::unix::ffi::OsStrExt as _;
        let below = self.path.strip_prefix(self.root).unwrap_or(self.path);
        RelPath::new(below.as_os_str().as_bytes())
    }
}

/// What a walk came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Walked {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files and directories that could not be read, at most 100 of them, sorted.
    pub failures: Vec<Error>,
}

/// Counts what a walk has done so far; another thread may look at it.
#[derive(Debug, Default)]
pub struct WalkProgress {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl WalkProgress {
    /// Files that were read so far.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Workspace {
    /// Whether a walk may start at a path: it exists, and leads through no link.
    fn check_start(&self, path: &RelPath) -> Result<(), Stop> {
        let name = path.components().next_back().unwrap_or_default();
        let meta = Parents::new(&self.root)
            .of(path)
            .and_then(|parent| parent.stat(name));
        let error = match meta {
            Ok(Some(meta)) if meta.kind == FileKind::Symlink => Errno::LOOP.into(),
            Ok(Some(_)) => return Ok(()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => error,
            _ => {
                let message = format!("{path} does not exist");
                let refusal = Refusal::new(Code::FileNotFound, message);
                return Err(refusal.in_file(path).into());
            }
        };
        Err(match root::refusal(path, &error) {
            Some(refusal) => refusal.into(),
            None => self.root.error("look at", path, error).into(),
        })
    }

    /// Opens a file that the walk found, beneath the root and through no link.
    fn open_walked(&self, path: &Path) -> std::io::Result<OwnedFd> {
        use std::os::unix::ffi::OsStrExt as _;
        let below = path.strip_prefix(self.path()).unwrap_or(path);
        // What the walk finds below the root can only be too long.
        let path = RelPath::new(below.as_os_str().as_bytes()).map_err(|_| Errno::NAMETOOLONG)?;
        self.root.open_path(&path, Open::Read)
    }

    /// Reads every file of the tree, or of a part of it, and shows its bytes to `visit`, on two
    /// threads and in no order. Symbolic links are not followed.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use patchcore::workspace::{WalkOptions, WalkProgress, Workspace};
    /// # let root = tempfile::tempdir()?;
    /// # std::fs::write(root.path().join(".hidden"), "###A###\n")?;
    /// let found = AtomicUsize::new(0);
    /// let walked = Workspace::open(root.path())?.walk(
    ///     &WalkOptions::default(),
    ///     &WalkProgress::default(),
    ///     &|file| {
    ///         let placeholders = patchcore::placeholder::find(file.bytes());
    ///         found.fetch_add(placeholders.len(), Ordering::Relaxed);
    ///     },
    /// )?;
    /// assert_eq!((walked.files, found.into_inner()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `INVALID_BATCH` for a malformed glob, `FILE_NOT_FOUND` for a path that does not exist,
    /// `UNFINISHED` where another run left the tree half installed. What cannot be read is listed
    /// in the result. A batch that is installed meanwhile may be seen in part.
    pub fn walk(
        &self,
        options: &WalkOptions,
        progress: &WalkProgress,
        visit: &(dyn Fn(&WalkedFile<'_>) + Sync),
    ) -> Result<Walked, Stop> {
        self.read_steadily(LOCK_WAIT, |_| Ok(()))?;
        let root = self.path();
        let builder = self.builder(options)?;
        let failures = Mutex::new(Vec::new());
        let fail = |error| {
            let mut failures = failures.lock().expect("no holder panics");
            if failures.len() < MAX_FAILURES {
                failures.push(error);
            }
        };
        builder.build_parallel().run(|| {
            let mut buffer = vec![0; 1 << 18];
            let fail = &fail;
            Box::new(move |entry| {
                match entry {
                    Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                        let path = entry.path();
                        let opened = self.open_walked(path);
                        match opened.and_then(|file| read(&file, &mut buffer)) {
                            Ok(Some(len)) => {
                                progress.files.fetch_add(1, Ordering::Relaxed);
                                progress.bytes.fetch_add(len as u64, Ordering::Relaxed);
                                visit(&WalkedFile {
                                    root,
                                    path,
                                    bytes: &buffer[..len],
                                });
                            }
                            Ok(None) => fail(Error::LimitExceeded(format!(
                                "{} is longer than 1 GiB, the limit for a file",
                                path.display()
                            ))),
                            // It went away, or became a link, since its directory was listed.
                            Err(error) if is_gone(&error) => {}
                            Err(error) => fail(Error::io("read", path, error)),
                        }
                    }
                    Ok(_) => {}
                    Err(error) => fail(walk_error(root, error)),
                }
                WalkState::Continue
            })
        });
        let mut failures = failures.into_inner().expect("no holder panics");
        failures.sort_by_key(ToString::to_string);
        Ok(Walked {
            files: progress.files(),
            bytes: progress.bytes(),
            failures,
        })
    }

    /// What is walked: the parts that the options name, or all, with their globs.
    fn builder(&self, options: &WalkOptions) -> Result<WalkBuilder, Stop> {
        let root = self.path();
        let starts: Vec<_> = match options.paths.as_slice() {
            [] => vec![root.to_owned()],
            paths => paths.iter().map(|path| root.join(path.as_path())).collect(),
        };
        for path in &options.paths {
            self.check_start(path)?;
        }
        let mut builder = WalkBuilder::new(&starts[0]);
        for start in &starts[1..] {
            builder.add(start);
        }
        let enter_all = options.enter_all;
        builder
            .standard_filters(false)
            .follow_links(false)
            .threads(THREADS)
            .overrides(globs(root, options)?)
            .filter_entry(move |entry| enter_all || !is_skipped(entry));
        Ok(builder)
    }
}

pub(crate) fn is_skipped(entry: &DirEntry) -> bool {
    entry.depth() > 0
        && entry
            .file_name()
            .to_str()
            .is_some_and(|name| SKIPPED.contains(&name))
}

fn globs(root: &Path, options: &WalkOptions) -> Result<Override, Stop> {
    let mut builder = OverrideBuilder::new(root);
    let include = options.include.iter().map(|glob| (glob, glob.clone()));
    let exclude = options
        .exclude
        .iter()
        .map(|glob| (glob, format!("!{glob}")));
    let malformed = |glob: &str, error: ignore::Error| {
        let message = format!("{glob:?} is not a valid glob: {error}");
        Stop::from(Refusal::new(Code::InvalidBatch, message))
    };
    for (glob, line) in include.chain(exclude) {
        builder.add(&line).map_err(|error| malformed(glob, error))?;
    }
    builder.build().map_err(|error| malformed("", error))
}

/// Reads a whole file into the buffer, which grows as it must; `None` for one past the limit.
fn read(file: &OwnedFd, buffer: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    let mut len = 0;
    loop {
        match rustix::io::read(file, &mut buffer[len..]) {
            Ok(0) => return Ok(Some(len)),
            Ok(count) => len += count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if len as u64 > MAX_FILE {
            return Ok(None);
        }
        if len == buffer.len() {
            buffer.resize(len * 2, 0);
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR)
    )
}

fn walk_error(root: &Path, error: ignore::Error) -> Error {
    let mut path = root.to_owned();
    let mut inner = &error;
    loop {
        match inner {
            ignore::Error::WithPath { path: at, err } => {
                path.clone_from(at);
                inner = err;
            }
            ignore::Error::WithDepth { err, .. } => inner = err,
            _ => break,
        }
    }
    let message = inner.to_string();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| std::io::Error::other(message));
    Error::io("list", path, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(root: &Path, options: &WalkOptions) -> (Vec<String>, Walked) {
        let seen = Mutex::new(Vec::new());
        let walked = Workspace::open(root)
            .unwrap()
            .walk(options, &WalkProgress::default(), &|file| {
                let path = file.path().unwrap().to_string();
                seen.lock().unwrap().push(path);
            })
            .unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        (seen, walked)
    }

    #[test]
    fn hidden_and_ignored_files_are_visited_links_and_our_state_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in [
            "a.ts",
            ".hidden/b",
            "ignored.log",
            "sub/node_modules/x",
            "target/y",
            ".git/config",
            ".mission_control/tasks.json",
            "sub/c.ts",
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::fs::write(root.join(".gitignore"), "*.log\n").unwrap();
        std::os::unix::fs::symlink("a.ts", root.join("link")).unwrap();
        std::os::unix::fs::symlink("sub", root.join("linked")).unwrap();
        let (seen, walked) = walk(root, &WalkOptions::default());
        assert_eq!(
            seen,
            [".gitignore", ".hidden/b", "a.ts", "ignored.log", "sub/c.ts"]
        );
        assert_eq!((walked.files, walked.bytes), (5, 4 + 6));
        let all = WalkOptions {
            enter_all: true,
            ..WalkOptions::default()
        };
        assert_eq!(walk(root, &all).0.len(), 9);
    }

    #[test]
    fn paths_and_globs_narrow_the_walk() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in ["a.ts", "b.md", "sub/c.ts", "sub/gen/d.ts"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let options = |paths: &[&str], include: &[&str], exclude: &[&str]| WalkOptions {
            paths: paths
                .iter()
                .map(|path| RelPath::new(path).unwrap())
                .collect(),
            include: include.iter().map(ToString::to_string).collect(),
            exclude: exclude.iter().map(ToString::to_string).collect(),
            enter_all: false,
        };
        let seen = |paths: &[&str], include: &[&str], exclude: &[&str]| {
            walk(root, &options(paths, include, exclude)).0
        };
        assert_eq!(
            seen(&[], &["*.ts"], &[]),
            ["a.ts", "sub/c.ts", "sub/gen/d.ts"]
        );
        assert_eq!(seen(&[], &["*.ts"], &["gen"]), ["a.ts", "sub/c.ts"]);
        assert_eq!(
            seen(&["sub", "b.md"], &[], &[]),
            ["b.md", "sub/c.ts", "sub/gen/d.ts"]
        );
        let missing = options(&["nowhere"], &[], &[]);
        let workspace = Workspace::open(root).unwrap();
        let error = workspace
            .walk(&missing, &WalkProgress::default(), &|_| ())
            .unwrap_err();
        assert_eq!(error.code(), Code::FileNotFound);
        std::fs::create_dir_all(root.join("out/sub")).unwrap();
        for (link, target) in [("into", "out"), ("away", "/etc"), ("leaf", "a.ts")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        for path in ["into", "into/sub", "away", "away/ssl", "leaf"] {
            let linked = options(&[path], &[], &[]);
            let error = workspace
                .walk(&linked, &WalkProgress::default(), &|_| ())
                .unwrap_err();
            assert_eq!(error.code(), Code::Symlink, "{path}");
        }
        let malformed = options(&[], &["{"], &[]);
        let error = workspace
            .walk(&malformed, &WalkProgress::default(), &|_| ())
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidBatch);
    }
}
