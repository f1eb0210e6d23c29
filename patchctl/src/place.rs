//! Where a command works: the root, and files named on the command line.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use patchcore::workspace::Workspace;
use patchcore::{Code, Error, Refusal, RelPath};

use crate::cli::Global;
use crate::exit::Failure;

/// The root that a command works in.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// Absolute, without links.
    pub(crate) root: PathBuf,
    current: PathBuf,
    /// Where the key is kept, if not in the state.
    key_file: Option<PathBuf>,
    /// The directory that a server was started on, held open.
    started_on: Option<Arc<Workspace>>,
}

impl Location {
    /// `--root`, else the nearest root upward of the current directory.
    pub(crate) fn of(global: &Global) -> Result<Self, Failure> {
        let current = std::env::current_dir()
            .map_err(|error| Error::io("find", "the current directory", error))?;
        let root = match &global.root {
            Some(root) => root.clone(),
            None => Workspace::find(&current).map_err(named_by_root)?,
        };
        let root = std::fs::canonicalize(&root)
            .map_err(|error| Error::io("open the root", &root, error))?;
        Ok(Self {
            root,
            current,
            key_file: global.key_file.clone(),
            started_on: None,
        })
    }

    /// The same root for callers who know no current directory: paths are relative to the root. It
    /// is the directory that is there now: what later takes its place is not opened.
    #[cfg(any(feature = "mcp", feature = "serve"))]
    pub(crate) fn of_server(global: &Global) -> Result<Self, Failure> {
        let place = Self::of(global)?;
        Ok(Self {
            key_file: place.key_file.map(|file| place.current.join(file)),
            current: place.root.clone(),
            started_on: Some(Arc::new(Workspace::open(&place.root)?)),
            root: place.root,
        })
    }

    /// Opens the root.
    pub(crate) fn open(&self) -> Result<Workspace, Failure> {
        let workspace = Workspace::open(&self.root)?;
        if let Some(started_on) = &self.started_on
            && !workspace.is_same_root(started_on)?
        {
            let why = "another directory has taken its place; start the server again to work there";
            let error = std::io::Error::other(why);
            return Err(Error::io("open the root", &self.root, error).into());
        }
        Ok(match &self.key_file {
            Some(path) => workspace.with_key_file(self.current.join(path))?,
            None => workspace,
        })
    }

    /// A file or directory named relative to the current directory, relative to the root; `None`
    /// for the root itself.
    pub(crate) fn relative_or_root(&self, path: &Path) -> Result<Option<RelPath>, Failure> {
        let is_root =
            std::fs::canonicalize(self.current.join(path)).is_ok_and(|path| path == self.root);
        if is_root {
            return Ok(None);
        }
        // A directory may be named with a slash at its end.
        let bare: PathBuf = path.components().collect();
        self.relative(&bare).map(Some)
    }

    /// A file named relative to the current directory, relative to the root.
    pub(crate) fn relative(&self, file: &Path) -> Result<RelPath, Failure> {
        use std::os::unix::ffi::OsStrExt as _;
        let mut whole = PathBuf::new();
        for component in self.current.join(file).components() {
            match component {
                Component::ParentDir => {
                    whole.pop();
                }
                Component::CurDir => {}
                other => whole.push(other),
            }
        }
        let Ok(inside) = whole.strip_prefix(&self.root) else {
            return Err(Refusal::new(
                Code::PathEscape,
                format!(
                    "{} is outside of the root {}",
                    file.display(),
                    self.root.display()
                ),
            )
            .into());
        };
        let mut bytes = inside.as_os_str().as_bytes().to_vec();
        if file.as_os_str().as_bytes().ends_with(b"/") {
            bytes.push(b'/');
        }
        Ok(RelPath::new(bytes)?)
    }
}

/// Says how to name the root where it cannot be found.
fn named_by_root(error: Error) -> Error {
    match error {
        Error::Foreign { path, why, hint } => Error::Foreign {
            path,
            hint,
            why: format!("{why}; name the root with --root"),
        },
        error => error,
    }
}

/// Reads a file that the operator named.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(std::fs::read(path).map_err(|error| Error::io("read", path, error))?)
}
