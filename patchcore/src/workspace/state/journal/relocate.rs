//! Moving a transaction's directory where a rename does not: a directory in the lower layer of an
//! overlay, which is what the image of a killed container leaves, says `EXDEV`.

use std::io;

use super::MANIFEST;
use crate::workspace::MAX_FILE;
use crate::workspace::disk::{Dir, FileKind, copy};
use crate::workspace::state::{CURRENT, Held};

/// The copy on its way to the log.
const NEXT: &str = "next";

/// Gives the transaction its place in the log by a copy that is there as a whole or not at all.
pub(super) fn copy_to_log(held: &Held, name: &str) -> io::Result<()> {
    let current = held
        .txn
        .directory(CURRENT)?
        .ok_or(io::ErrorKind::NotFound)?;
    // Where a crash came behind the copy, only the rest has to go.
    if held.log.stat(name.as_bytes())?.is_none() {
        remove(&held.txn, NEXT.as_bytes())?;
        held.txn.make_directory(NEXT.as_bytes(), 0o700)?;
        let next = held.txn.directory(NEXT)?.ok_or(io::ErrorKind::NotFound)?;
        for file in current.names()? {
            let new = String::from_utf8_lossy(&file);
            copy(&current, &file, &next, &new, MAX_FILE)?;
        }
        next.sync()?;
        held.txn
            .rename(NEXT.as_bytes(), &held.log, name.as_bytes())?;
        held.log.sync()?;
    }
    // Without it the rest is of no transaction.
    current.remove_file(MANIFEST)?;
    remove(&held.txn, CURRENT.as_bytes())
}

/// Moves whatever has a name to another one; a directory that cannot be moved is emptied into a
/// new one, its record last.
pub(crate) fn set_aside(from: &Dir, name: &[u8], to: &Dir, new: &[u8]) -> io::Result<()> {
    // A directory can only be moved by who may write to it.
    from.open_up(name)?;
    match from.rename_new(name, to, new) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        result => return result,
    }
    let is_directory = from
        .stat(name)?
        .is_some_and(|there| there.kind == FileKind::Directory);
    if !is_directory {
        copy(from, name, to, &String::from_utf8_lossy(new), MAX_FILE)?;
        return from.remove_file(name).map(|_| ());
    }
    to.make_directory(new, 0o700)?;
    let open = |dir: &Dir, name: &[u8]| {
        let name = std::str::from_utf8(name).map_err(io::Error::other)?;
        dir.directory(name)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let (old, new) = (open(from, name)?, open(to, new)?);
    let mut names = old.names()?;
    names.sort_by_key(|name| name == MANIFEST);
    for name in names {
        set_aside(&old, &name, &new, &name)?;
    }
    from.remove_directory(name).map(|_| ())
}

/// Removes a directory with the files in it, if it is there.
fn remove(dir: &Dir, name: &[u8]) -> io::Result<()> {
    let shown = String::from_utf8_lossy(name);
    let Some(gone) = dir.directory(&shown)? else {
        return Ok(());
    };
    for name in gone.names()? {
        gone.remove_file(&name)?;
    }
    dir.remove_directory(name).map(|_| ())
}
