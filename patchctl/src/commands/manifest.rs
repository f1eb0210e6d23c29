//! The task manifest on disk: read as it is, changed under the lock.

use patchcore::Refusal;
use patchcore::task::Manifest;
use patchcore::workspace::{ApplyOptions, Workspace};

use crate::exit::Failure;
use crate::place::Location;

/// The manifest of the tree; an empty one where there is none.
pub(crate) fn read(place: &Location) -> Result<Manifest, Failure> {
    of(&place.open()?)
}

/// The manifest of an open workspace; an empty one where there is none.
pub(crate) fn of(workspace: &Workspace) -> Result<Manifest, Failure> {
    let tasks = workspace.tasks()?;
    Ok(Manifest::parse_or_default(tasks.as_deref())?)
}

/// Changes the manifest under the lock, in one step; gives what the change gives, and the manifest
/// as it is then.
pub(crate) fn update<T>(
    workspace: &Workspace,
    options: &ApplyOptions<'_>,
    change: impl FnOnce(&mut Manifest) -> Result<T, Refusal>,
) -> Result<(T, Manifest), Failure> {
    let mut done = None;
    workspace.update_tasks(options.lock_wait, |old| -> Result<_, Failure> {
        let mut manifest = Manifest::parse_or_default(old)?;
        let result = change(&mut manifest)?;
        let new = manifest.to_bytes();
        done = Some((result, manifest));
        Ok((old != Some(new.as_slice())).then_some(new))
    })?;
    Ok(done.expect("the change was called, or its failure returned"))
}
