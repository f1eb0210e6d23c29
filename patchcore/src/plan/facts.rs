//! Rules on what a plan leaves behind that need more of the tree than the files of the batch.

use super::{FileChange, Policy, link, repository};
use crate::error::Refusal;
use crate::path::RelPath;

/// What stands at a path that a batch leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing, or something below a file or a link.
    Nothing,
    /// A symbolic link with this target.
    Link(Vec<u8>),
    /// Anything else.
    Other,
}

/// The operations that leave what may not be: links that lead out, directories that git would take
/// for repositories. Asks for what stands at paths that the batch leaves alone, if any of its
/// changes may break a rule.
///
/// # Errors
/// Those of `standing`.
pub(crate) fn refusals<E>(
    changes: &[FileChange],
    policy: &Policy,
    mut standing: impl FnMut(&RelPath) -> Result<Standing, E>,
) -> Result<Vec<(usize, Refusal)>, E> {
    let mut refused = link::refusals(changes, policy, |path| {
        Ok(match standing(path)? {
            Standing::Link(target) => Some(target),
            Standing::Nothing | Standing::Other => None,
        })
    })?;
    refused.extend(repository::refusals(changes, policy, |path| {
        Ok(standing(path)? != Standing::Nothing)
    })?);
    Ok(refused)
}
