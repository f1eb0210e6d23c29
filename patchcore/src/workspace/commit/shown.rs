//! What the sender of an edit was shown: a guard for positions that have none of their own.

use std::borrow::Cow;

use crate::error::Error;
use crate::path::RelPath;
use crate::plan::Part;
use crate::plan::{Lowered, Policy, Script, Tree};
use crate::workspace::Workspace;
use crate::workspace::commit::apply::Applied;
use crate::workspace::options::ApplyOptions;
use crate::workspace::seen::view::ReadFiles;

impl Workspace {
    /// Holds each operation that nothing guards to the state of its file which its agent read last:
    /// the file must not have changed since.
    ///
    /// Where the operator lets such operations pass, one is held to it only if it stands.
    pub(crate) fn guard_by_last_read(
        &self,
        lowered: &mut Lowered<'_>,
        tree: &Tree,
        policy: &Policy,
    ) -> Result<(), Error> {
        let unguarded = lowered.batch.operations.iter().enumerate();
        let unguarded = unguarded.filter(|(_, operation)| operation.lacks_guard());
        let mut bases = Vec::new();
        for (index, operation) in unguarded {
            let labels = [&operation.labels, &lowered.batch.labels];
            let mut agents = labels.iter().filter_map(|labels| labels.agent.as_deref());
            let (Some(agent), Some(file)) = (agents.next(), tree.file(&operation.file)) else {
                continue;
            };
            let last = self.last_read(agent, &operation.file)?;
            let base = last.map(|last| last.digest);
            bases.extend(
                base.filter(|base| !policy.allow_unguarded || *base == file.digest())
                    .map(|base| (index, base)),
            );
        }
        if !bases.is_empty() {
            let batch = Cow::to_mut(&mut lowered.batch);
            for (index, base) in bases {
                batch.operations[index].base = Some(base);
                batch.operations[index].shown = true;
            }
        }
        Ok(())
    }

    /// Reads the files that the script asks to look at, as they are after it.
    pub(crate) fn read_for(
        &self,
        script: &dyn Script,
        applied: &mut Applied<'_>,
        options: &ApplyOptions<'_>,
        remember: bool,
    ) -> Result<(), Error> {
        let wanted: Vec<(RelPath, Part)> = script.reads();
        if wanted.is_empty() {
            return Ok(());
        }
        let agent = applied
            .batch
            .as_deref()
            .and_then(|batch| batch.labels.agent.clone());
        let read: ReadFiles = match remember {
            true => self.read(wanted, &agent.unwrap_or_default(), options.lock_wait)?,
            false => self.look(wanted, options.lock_wait)?,
        };
        applied.report.reads = read.report().files;
        applied
            .report
            .warnings
            .extend(read.warnings.iter().cloned());
        applied.read = Some(read);
        Ok(())
    }
}
