//! `init`: from an order to a marked template, as far as it goes by itself.
//!
//! Every step is one that can be done again: pull the tasks, write the manifest, mark what can be
//! marked, report the rest, act on the remedies. Whatever ends a run early, the next goes on.

mod remedy;

use std::collections::{BTreeMap, HashMap};

use patchcore::plan::{Missing, Outcome};
use patchcore::report::OperationReport;
use patchcore::task::{Injection, Manifest, Task, TaskStatus};
use patchcore::workspace::{Applied, ApplyOptions, Workspace};
use patchcore::{Code, Policy, Refusal};
use serde_json::{Map, Value, json};

use super::{edit, manifest, scan, task};
use crate::cli::Global;
use crate::cli::task::InitArgs;
use crate::delivery;
use crate::exit::{Exit, Failure};
use crate::orchestrator::{Api, Config, ErrorCode, FactoryError, Level, OpLog, Remediation};
use crate::place::Location;
use crate::report::task::{Row, TaskOutcome};
use crate::report::{self, Context};

/// A run of `init`.
struct Run<'a> {
    args: &'a InitArgs,
    place: &'a Location,
    workspace: Workspace,
    options: ApplyOptions<'a>,
    api: Api,
    /// What is to be logged when it ends.
    log: Vec<OpLog>,
    /// The last transaction, whose events are delivered with those before it.
    transaction: Option<String>,
    /// What its batches left to say.
    warnings: Vec<String>,
    /// Whether the last batch is left to the next run to finish.
    is_unfinished: bool,
}

/// What marking came to, by task.
#[derive(Default)]
struct Marked {
    done: HashMap<String, TaskOutcome>,
    failed: BTreeMap<String, Refusal>,
}

impl Marked {
    /// Notes what became of a task's placeholder.
    fn take(&mut self, task: String, operation: &OperationReport) {
        if let Some(refusal) = &operation.refusal {
            self.failed
                .entry(task)
                .or_insert_with(|| (**refusal).clone());
            return;
        }
        match operation.outcome {
            Outcome::AlreadyApplied => {
                self.done.entry(task).or_insert(TaskOutcome::Unchanged);
            }
            Outcome::NotApplied => {
                let message = format!("{} holds another that cannot be marked", operation.file);
                let refusal = Refusal::new(Code::Conflict, message).in_file(&operation.file);
                self.failed.entry(task).or_insert(refusal);
            }
            _ => {
                self.done.insert(task, TaskOutcome::Injected);
            }
        }
    }
}

/// `init`.
pub(crate) fn run(global: &Global, args: &InitArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let config = Config::require(&args.commit.delivery.connection)?;
    let wait = args.commit.lock_wait;
    delivery::before_commit(&place, Some(&config), &args.commit.delivery, wait)?;
    let mut policy = Policy::default();
    // A file that cannot be marked holds up no other.
    policy.partial = true;
    policy.protect = edit::protect(&args.protect)?;
    let mut run = Run {
        args,
        place: &place,
        workspace: place.open()?,
        options: ApplyOptions {
            policy,
            durable: args.commit.durable,
            lock_wait: wait,
            retention: Some(delivery::retention(&place, wait)),
            ..ApplyOptions::default()
        },
        api: Api::new(&config)?,
        log: Vec::new(),
        transaction: None,
        warnings: Vec::new(),
        is_unfinished: false,
    };
    let result = run.go(context);
    report::warn_of_all(&run.warnings, context);
    run.finish(&config, context);
    let rows = result?;
    report::task::table(&args.order, &rows, context).map_err(Failure::Output)?;
    let is_stuck = |row: &Row| matches!(row.ended, TaskOutcome::Blocked | TaskOutcome::Failed);
    Ok(match rows.iter().any(is_stuck) {
        true => Exit::Code(1),
        false if run.is_unfinished => Exit::Code(4),
        false => Exit::Done,
    })
}

fn is_about(remedy: &Remediation, error: &FactoryError) -> bool {
    remedy.task_uuid.is_some() && remedy.task_uuid == error.task_uuid
}

impl Run<'_> {
    fn go(&mut self, context: &Context) -> Result<Vec<Row>, Failure> {
        let order = self.args.order.as_str();
        let tasks: Vec<Task> = self.api.tasks(order)?;
        self.log(
            "fetch_tasks",
            None,
            Level::Info,
            json!({ "tasks": tasks.len() }),
        );
        if tasks.is_empty() {
            report::warn(&format!("order {order} has no tasks"), context);
        }
        let ((), mut manifest) = manifest::update(&self.workspace, &self.options, |manifest| {
            manifest.take_over(order, tasks);
            Ok(())
        })?;
        report::warn_of_notes(&self.workspace, context);
        let untold = task::send_statuses(&self.workspace, &manifest, &self.api);
        report::warn_of_all(&untold, context);
        let mut marked = self.mark(&manifest, &|task| task.status().is_open())?;
        let mut notes: HashMap<String, String> = HashMap::new();
        if !marked.failed.is_empty() {
            let errors = self.errors(&manifest, &marked.failed);
            let remedies = self.ask(&errors, context)?;
            let count = json!({ "errors": errors.len(), "remedies": remedies.len() });
            self.log("report_errors", None, Level::Warning, count);
            manifest = self.remedy(remedies, &manifest, &mut marked, &mut notes)?;
            let untold = task::send_statuses(&self.workspace, &manifest, &self.api);
            report::warn_of_all(&untold, context);
        }
        self.log_marks(&marked);
        let of_order = |task: &&Task| task.order_id().is_none_or(|id| id == order);
        let rows = manifest.tasks().iter().filter(of_order);
        Ok(rows.map(|task| row(task, &marked, &mut notes)).collect())
    }

    /// What the orchestrator says about failures. Those that it answered while they lay in the
    /// outbox are not told again; where it cannot be reached, they are left to the outbox.
    fn ask(&self, errors: &[FactoryError], context: &Context) -> Result<Vec<Remediation>, Failure> {
        let mut remedies = delivery::take_remediations(self.place, self.options.lock_wait)?;
        remedies.retain(|remedy| errors.iter().any(|error| is_about(remedy, error)));
        let untold: Vec<FactoryError> = errors
            .iter()
            .filter(|error| !remedies.iter().any(|remedy| is_about(remedy, error)))
            .cloned()
            .collect();
        if untold.is_empty() {
            return Ok(remedies);
        }
        match self.api.report_errors(&untold) {
            Ok(mut more) => {
                // One that names no task answers the error at its place.
                for (remedy, error) in more.iter_mut().zip(&untold) {
                    if remedy.task_uuid.is_none() {
                        remedy.task_uuid.clone_from(&error.task_uuid);
                    }
                }
                remedies.extend(more);
            }
            Err(error) => {
                if error.is_temporary() {
                    delivery::queue_errors(self.place, self.options.lock_wait, &untold)?;
                }
                if remedies.is_empty() {
                    return Err(error.into());
                }
                report::warn(&error.to_string(), context);
            }
        }
        Ok(remedies)
    }

    /// Keeps what else came of a batch than the outcomes of its operations.
    fn note(&mut self, applied: &mut Applied<'_>) {
        let transaction = applied.report.transaction.clone();
        self.transaction = transaction.or(self.transaction.take());
        self.warnings.append(&mut applied.report.warnings);
        // Each batch finishes the one before it.
        self.is_unfinished = applied.unfinished.is_some();
    }

    /// Marks the placeholders of the tasks chosen, file by file.
    fn mark(
        &mut self,
        manifest: &Manifest,
        choose: &dyn Fn(&Task) -> bool,
    ) -> Result<Marked, Failure> {
        let order = self.args.order.as_str();
        let is_chosen = |task: &Task| task.order_id().is_none_or(|id| id == order) && choose(task);
        let mut marked = Marked::default();
        let mut injection = Injection::of_tasks(manifest, is_chosen)
            .with_scanner(scan::scanner(&self.args.syntax)?)
            .leaving_out_missing();
        if self.args.overwrite {
            injection = injection.overwriting();
        }
        let options = ApplyOptions {
            review: Some(&injection),
            ..self.options.clone()
        };
        let mut applied = self.workspace.apply(&injection, &options)?;
        self.note(&mut applied);
        if let Some(refusal) = applied.report.refusal {
            return Err(refusal.into());
        }
        let operations = applied.batch.as_deref().map_or(&[][..], |b| &b.operations);
        for (operation, lowered) in applied.report.operations.iter().zip(operations) {
            let Some(task) = lowered.labels.task_id.clone() else {
                continue;
            };
            marked.take(task, operation);
        }
        for Missing { task, refusal, .. } in applied.notes.missing {
            if let Some(task) = task {
                marked.failed.insert(task, refusal);
            }
        }
        marked
            .done
            .retain(|task, _| !marked.failed.contains_key(task));
        Ok(marked)
    }

    /// The failures as the orchestrator takes them.
    fn errors(&self, manifest: &Manifest, failed: &BTreeMap<String, Refusal>) -> Vec<FactoryError> {
        let of_task = |(uuid, refusal): (&String, &Refusal)| {
            let task = manifest.get(uuid)?;
            let mut context = Map::new();
            context.insert("code".to_owned(), json!(refusal.code));
            if let Some(preview) = self.preview(task) {
                context.insert("preview".to_owned(), preview.into());
            }
            Some(FactoryError {
                order_id: self.args.order.clone(),
                factory: self.args.factory.clone(),
                file_path: task.file_path(),
                placeholder: Some(task.placeholder()).filter(|id| !id.is_empty()),
                task_uuid: Some(uuid.clone()),
                error_code: match refusal.code {
                    Code::FileNotFound => ErrorCode::FileNotFound,
                    Code::PlaceholderNotFound => ErrorCode::PlaceholderNotFound,
                    Code::Io | Code::LimitExceeded => ErrorCode::Unknown,
                    _ => ErrorCode::InjectFailed,
                },
                message: refusal.message.clone(),
                context: Some(Value::Object(context)),
            })
        };
        failed.iter().filter_map(of_task).collect()
    }

    /// The first 400 characters of a task's file.
    fn preview(&self, task: &Task) -> Option<String> {
        const SHOWN: usize = 400;
        let path = task.file().ok()?;
        // What is protected, kept out of the repository, or likely to hold secrets is shown to
        // nobody.
        let is_env = |component: &[u8]| component.to_ascii_lowercase().starts_with(b".env");
        if path.protected_component().is_some()
            || self.options.policy.protect.covering(&path).is_some()
            || path.components().any(is_env)
            || self.workspace.is_ignored(&path).unwrap_or(true)
        {
            return None;
        }
        let tree = self.workspace.load(std::slice::from_ref(&path)).ok()?;
        let bytes = tree.file(&path)?.bytes();
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
        Some(text.chars().take(SHOWN).collect())
    }

    fn log(&mut self, operation: &str, task: Option<&str>, level: Level, details: Value) {
        self.log.push(OpLog {
            source: "patchctl".to_owned(),
            operation: operation.to_owned(),
            order_id: Some(self.args.order.clone()),
            task_uuid: task.map(str::to_owned),
            level,
            details: match details {
                Value::Object(details) => details,
                _ => Map::new(),
            },
        });
    }

    fn log_marks(&mut self, marked: &Marked) {
        let mut done: Vec<_> = marked.done.iter().collect();
        done.sort_by_key(|(task, _)| *task);
        for (task, ended) in done {
            let details = json!({ "outcome": ended.as_str() });
            self.log("inject_placeholder", Some(task), Level::Info, details);
        }
        for (task, refusal) in &marked.failed {
            let details = json!({ "code": refusal.code, "message": refusal.message });
            self.log("inject_placeholder", Some(task), Level::Error, details);
        }
    }

    /// Leaves what was logged to the outbox, and lets it go out with the events.
    fn finish(&mut self, config: &Config, context: &Context) {
        let log = std::mem::take(&mut self.log);
        let queued = match log.is_empty() {
            true => Ok(()),
            false => delivery::queue_operations(self.place, self.options.lock_wait, &log),
        };
        if let Err(error) = queued {
            report::warn(
                &format!("the operations log was not kept: {error}"),
                context,
            );
        }
        let delivered = delivery::after_commit(
            self.place,
            Some(config),
            &self.args.commit.delivery,
            self.transaction.as_deref(),
        );
        for note in &delivered.notes {
            report::warn(note, context);
        }
    }
}

fn row(task: &Task, marked: &Marked, notes: &mut HashMap<String, String>) -> Row {
    let failure = marked.failed.get(task.uuid());
    let ended = match (task.status(), marked.done.get(task.uuid())) {
        (_, Some(ended)) => *ended,
        (TaskStatus::Complete, _) => TaskOutcome::Complete,
        (TaskStatus::Blocked, _) => TaskOutcome::Blocked,
        _ if failure.is_some() => TaskOutcome::Failed,
        (TaskStatus::Other(_), _) => TaskOutcome::Complete,
        _ => TaskOutcome::Unchanged,
    };
    Row {
        uuid: task.uuid().to_owned(),
        file: task.file_path(),
        placeholder: task.placeholder(),
        ended,
        note: notes
            .remove(task.uuid())
            .or_else(|| failure.map(|refusal| refusal.message.clone())),
    }
}
