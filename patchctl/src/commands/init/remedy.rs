//! What the orchestrator says about failures, and what is done about it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use patchcore::batch::{self, Limits};
use patchcore::dialect::{self, Dialect, Options};
use patchcore::operation::{Batch, Labels};
use patchcore::plan::Script as _;
use patchcore::task::{Manifest, Rules, Task, TaskStatus};
use patchcore::workspace::ApplyOptions;
use patchcore::{Code, Refusal};
use serde_json::{Value, json};

use super::{Marked, Run};
use crate::commands::manifest;
use crate::exit::Failure;
use crate::orchestrator::{Level, Remediation, RemediationAction};
use crate::report::task::TaskOutcome;

/// What a remediation asks for, once it is known to be possible.
enum Step {
    Move(String),
    Block(String),
}

impl Run<'_> {
    /// Acts on the remediations, and tries again what they may have mended; gives the manifest as
    /// it is then.
    pub(super) fn remedy(
        &mut self,
        remedies: Vec<Remediation>,
        manifest: &Manifest,
        marked: &mut Marked,
        notes: &mut HashMap<String, String>,
    ) -> Result<Manifest, Failure> {
        let mut steps: Vec<(String, Step)> = Vec::new();
        let mut again: BTreeSet<String> = BTreeSet::new();
        for remedy in remedies {
            let Some(uuid) = remedy.task_uuid.clone() else {
                continue;
            };
            // Only what was asked about is acted on.
            let Some(task) = manifest
                .get(&uuid)
                .filter(|_| marked.failed.contains_key(&uuid))
            else {
                continue;
            };
            let note = remedy.note.clone().unwrap_or_default();
            let blocked = |why: String| (Some(why.clone()), Some(Step::Block(why)));
            let (note, step) = match remedy.action {
                RemediationAction::UpdateFilePath => match patchcore::RelPath::new(&note) {
                    Ok(path) => {
                        let was = format!("was {}", task.file_path());
                        (Some(was), Some(Step::Move(path.to_string())))
                    }
                    Err(refusal) => {
                        blocked(format!("the remedy is not a path: {}", refusal.message))
                    }
                },
                RemediationAction::PatchReady => match self.patch(task, &remedy)? {
                    Ok(()) => (Some("patched".to_owned()), None),
                    Err(refusal) => blocked(format!("the patch was refused: {}", refusal.message)),
                },
                RemediationAction::Blocked | RemediationAction::RemediationError => {
                    let said = Some(note.clone()).filter(|note| !note.is_empty());
                    (said, Some(Step::Block(note)))
                }
                RemediationAction::None | RemediationAction::Unknown => continue,
            };
            if !matches!(step, Some(Step::Block(_))) {
                again.insert(uuid.clone());
            }
            notes.extend(note.map(|note| (uuid.clone(), note)));
            steps.extend(step.map(|step| (uuid, step)));
        }
        let (taken, manifest) = self.take(steps)?;
        for (uuid, operation, details) in taken {
            self.log(operation, Some(&uuid), Level::Warning, details);
        }
        if !again.is_empty() {
            self.try_again(&again, &manifest, marked, notes)?;
        }
        Ok(manifest)
    }

    /// Marks once more what the remediations may have mended.
    fn try_again(
        &mut self,
        again: &BTreeSet<String>,
        manifest: &Manifest,
        marked: &mut Marked,
        notes: &mut HashMap<String, String>,
    ) -> Result<(), Failure> {
        let second = self.mark(manifest, &|task| again.contains(task.uuid()))?;
        for (task, ended) in second.done {
            let details = json!({ "outcome": ended.as_str() });
            self.log("remedy", Some(&task), Level::Info, details);
            marked.failed.remove(&task);
            marked.done.insert(task, TaskOutcome::Repaired);
        }
        for (task, refusal) in second.failed {
            let first = notes.remove(&task).unwrap_or_default();
            notes.insert(task.clone(), format!("{first}; {}", refusal.message));
            marked.failed.insert(task, refusal);
        }
        Ok(())
    }

    /// Writes what the remediations change into the manifest.
    fn take(&self, steps: Vec<(String, Step)>) -> Result<(Vec<Taken>, Manifest), Failure> {
        manifest::update(&self.workspace, &self.options, |manifest| {
            let mut taken = Vec::new();
            for (uuid, step) in steps {
                let Some(task) = manifest.get_mut(&uuid) else {
                    continue;
                };
                taken.push(match step {
                    Step::Move(path) => {
                        task.remedy_file_path(&path);
                        (uuid, "update_file_path", json!({ "file_path": path }))
                    }
                    Step::Block(note) => {
                        task.set_status(TaskStatus::Blocked);
                        (uuid, "block_task", json!({ "note": note }))
                    }
                });
            }
            Ok(taken)
        })
    }

    /// Applies the patch of a remediation, under every guard and the rules of the manifest.
    fn patch(&mut self, task: &Task, remedy: &Remediation) -> Result<Result<(), Refusal>, Failure> {
        let batch = match self.batch(task, remedy)? {
            Ok(batch) => batch,
            Err(unread) => return Ok(Err(unread)),
        };
        // All of the patch or nothing, other than with the marks.
        let mut policy = self.options.policy.clone();
        policy.partial = false;
        let rules = Rules::new(policy.clone());
        let options = ApplyOptions {
            policy,
            review: Some(&rules),
            ..self.options.clone()
        };
        let mut applied = self.workspace.apply(&batch, &options)?;
        self.note(&mut applied);
        let operations = applied.report.operations.into_iter();
        let refusal = applied.report.refusal.or_else(|| {
            operations
                .filter_map(|operation| operation.refusal)
                .next()
                .map(Arc::unwrap_or_clone)
        });
        let details = match &refusal {
            Some(refusal) => json!({ "code": refusal.code, "message": refusal.message }),
            None => json!({ "transaction": self.transaction }),
        };
        let level = match refusal {
            Some(_) => Level::Error,
            None => Level::Info,
        };
        self.log("apply_remedy", Some(task.uuid()), level, details);
        Ok(refusal.map_or(Ok(()), Err))
    }

    fn batch(&self, task: &Task, remedy: &Remediation) -> Result<Result<Batch, Refusal>, Failure> {
        let labels = Labels {
            order_id: Some(self.args.order.clone()),
            task_id: Some(task.uuid().to_owned()),
            factory: Some(self.args.factory.clone()),
            phase: Some("remedy".to_owned()),
            agent: Some("orchestrator".to_owned()),
        };
        if let Some(batch) = &remedy.batch {
            return Ok(parse(batch.clone(), &labels));
        }
        let Some(content) = &remedy.content else {
            let message = "it holds neither a batch nor the file's content";
            return Ok(Err(Refusal::new(Code::InvalidBatch, message)));
        };
        let path = match task.file() {
            Ok(path) => path,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let tree = self.workspace.load(std::slice::from_ref(&path))?;
        let files = json!([{ "path": path.to_string(), "content": content }]).to_string();
        let mut options = Options::default();
        options.dialect = Some(Dialect::Files);
        let lowered = dialect::parse(files.as_bytes(), &options)
            .and_then(|patch| Ok(patch.lower(&tree)?.batch.into_owned()));
        let mut batch = match lowered {
            Ok(batch) => batch,
            Err(unread) => return Ok(Err(unread.into())),
        };
        batch.labels = Arc::new(labels);
        Ok(Ok(batch))
    }
}

/// A task, what was done about it, and the details for the log.
type Taken = (String, &'static str, Value);

/// Reads a batch that came with a remediation; it works for the task unless it says otherwise.
fn parse(mut batch: Value, labels: &Labels) -> Result<Batch, Refusal> {
    if let Value::Object(members) = &mut batch {
        for (name, label) in [
            ("order_id", &labels.order_id),
            ("task_id", &labels.task_id),
            ("factory", &labels.factory),
            ("phase", &labels.phase),
            ("agent", &labels.agent),
        ] {
            if let Some(label) = label {
                members.entry(name).or_insert_with(|| json!(label));
            }
        }
    }
    let text = batch.to_string();
    batch::parse(text.as_bytes(), &Limits::default())
        .map_err(|diagnostic| Refusal::new(Code::InvalidBatch, diagnostic.to_string()))
}
