//! Copying where a rename cannot cross.

use std::io;

use rustix::io::Errno;

use super::{Dir, FileKind};

/// Copies a file of at most `limit` bytes, or a link, to a name that is made anew, whatever a crash
/// left there.
pub(crate) fn copy(from: &Dir, name: &[u8], to: &Dir, new: &str, limit: u64) -> io::Result<()> {
    let draft = format!("{new}.draft");
    let file = match from.file(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(Errno::NOENT.into()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            let target = from.read_link(name)?.ok_or(Errno::NOENT)?;
            to.remove_file(draft.as_bytes())?;
            to.make_link(draft.as_bytes(), &target)?;
            return to.rename(draft.as_bytes(), to, new.as_bytes());
        }
        Err(error) => return Err(error),
    };
    let meta = file.stat()?;
    if meta.kind != FileKind::File {
        return Err(Errno::INVAL.into());
    }
    let bytes = file
        .read(meta.size, limit)?
        .ok_or(io::ErrorKind::FileTooLarge)?;
    to.remove_file(draft.as_bytes())?;
    let copy = to.create(draft.as_bytes(), meta.mode & 0o777)?;
    copy.write_chunks([&*bytes].into_iter())?;
    let made = copy.stat()?;
    // Best effort: what cannot be given away is kept as ours, and lends nobody's privileges.
    let is_same_owner =
        (made.uid, made.gid) == (meta.uid, meta.gid) || copy.set_owner(meta.uid, meta.gid).is_ok();
    let bits = if is_same_owner { 0o7777 } else { 0o777 };
    copy.set_mode(meta.mode & bits)?;
    for (name, value) in file.attributes()? {
        let _ = copy.set_attribute(&name, &value);
    }
    copy.sync()?;
    to.rename(draft.as_bytes(), to, new.as_bytes())
}
