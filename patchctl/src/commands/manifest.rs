//! The task manifest on disk: read as it is, changed through a transaction.

use std::sync::Mutex;

use patchcore::operation::Batch;
use patchcore::plan::Plan;
use patchcore::task::Manifest;
use patchcore::workspace::{ApplyOptions, Review, Reviewed, Workspace};
use patchcore::{Digest, Error, Refusal, Tree};

use super::place::Place;
use crate::exit::Failure;

/// The manifest of the tree; an empty one where there is none.
pub(crate) fn read(place: &Place) -> Result<Manifest, Failure> {
    let path = place.root.join(".mission_control").join("tasks.json");
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Manifest::parse(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Manifest::default()),
        Err(error) => Err(Error::io("read", path, error).into()),
    }
}

/// Changes the manifest under the lock, atomically; gives what the change gives, and the manifest
/// as it is then.
pub(crate) fn update<T>(
    workspace: &Workspace,
    options: &ApplyOptions<'_>,
    change: impl FnOnce(&mut Manifest) -> Result<T, Refusal>,
) -> Result<(T, Manifest), Failure> {
    let writer = Writer {
        change: Mutex::new(Some(change)),
        result: Mutex::new(None),
    };
    let nothing = Batch::new(Vec::new(), Digest::of(b""));
    let applied = workspace.apply(
        &nothing,
        &ApplyOptions {
            review: Some(&writer),
            expected_plan: None,
            verify: None,
            ..options.clone()
        },
    )?;
    if let Some(refusal) = applied.report.refusal {
        return Err(refusal.into());
    }
    let result = writer.result.into_inner().expect("no holder panics");
    Ok(result.expect("a batch that was not refused was reviewed"))
}

/// Changes the manifest where others judge a plan.
struct Writer<F, T> {
    change: Mutex<Option<F>>,
    result: Mutex<Option<(T, Manifest)>>,
}

impl<T, F: FnOnce(&mut Manifest) -> Result<T, Refusal>> Review for Writer<F, T> {
    fn review(
        &self,
        _: &Batch,
        _: &Tree,
        plan: Plan,
        tasks: Option<&[u8]>,
    ) -> Result<Reviewed, Refusal> {
        let mut manifest = Manifest::parse_or_default(tasks)?;
        let change = self.change.lock().expect("no holder panics").take();
        let change = change.expect("a plan is judged once");
        let result = change(&mut manifest)?;
        let bytes = manifest.to_bytes();
        *self.result.lock().expect("no holder panics") = Some((result, manifest));
        let tasks = (tasks != Some(bytes.as_slice())).then_some(bytes);
        Ok(Reviewed { plan, tasks })
    }
}
