//! `task` and `ask`: the manifest's tasks, their states, and questions about them.

use std::io::Write as _;
use std::time::Duration;

use patchcore::placeholder::Scanner;
use patchcore::task::{Clearing, Forced, Manifest, Task, TaskStatus, check_completion};
use patchcore::workspace::{ApplyOptions, Workspace};
use patchcore::{Code, Refusal};
use serde_json::{Map, Value};

use super::{manifest, scan};
use crate::cli::Global;
use crate::cli::task::{
    AskArgs, ChangeArgs, CompleteArgs, GetArgs, HelpArgs, ListArgs, StatusArgs, TaskCommand,
    TellArgs,
};
use crate::exit::{Exit, Failure};
use crate::orchestrator::{Api, CallError, Clarification, Config, Help};
use crate::place::Location;
use crate::report::{self, Context, task as print};

/// `task`.
pub(crate) fn run(
    global: &Global,
    command: &TaskCommand,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    match command {
        TaskCommand::List(args) => list(&place, args, context),
        TaskCommand::Get(args) => get(&place, args, context),
        TaskCommand::Status(args) => status(&place, args, context),
        TaskCommand::Start(args) => change(&place, args, TaskStatus::InProgress, context),
        TaskCommand::Block(args) => change(&place, args, TaskStatus::Blocked, context),
        TaskCommand::Complete(args) => show(&complete(&place, args)?, context),
        TaskCommand::Ask(args) => {
            print::answer(&help(&place, args)?, context).map_err(Failure::Output)?;
            Ok(Exit::Done)
        }
    }
}

fn list(place: &Location, args: &ListArgs, context: &Context) -> Result<Exit, Failure> {
    let tasks = select(place, args)?;
    print::list(&tasks, context).map_err(Failure::Output)?;
    Ok(Exit::Done)
}

/// The tasks of the manifest that are asked for.
pub(crate) fn select(place: &Location, args: &ListArgs) -> Result<Vec<Task>, Failure> {
    let manifest = manifest::read(place)?;
    let of_order = |task: &&Task| {
        let order = args.order_id.as_ref();
        order.is_none_or(|order| {
            task.order_id().or_else(|| manifest.order_id()).as_ref() == Some(order)
        })
    };
    let of_status = |task: &&Task| {
        let status = task.status();
        args.status.is_empty() || args.status.iter().any(|wanted| wanted == status.as_str())
    };
    let tasks = manifest.tasks().iter().filter(of_order).filter(of_status);
    Ok(tasks.cloned().collect())
}

fn get(place: &Location, args: &GetArgs, context: &Context) -> Result<Exit, Failure> {
    let task = if args.remote {
        let api = Api::new(&Config::require(&args.connection)?)?;
        api.task(&args.uuid)?.ok_or_else(|| {
            let message = format!("the orchestrator knows no task {:?}", args.uuid);
            Refusal::new(Code::TaskUnknown, message)
        })?
    } else {
        manifest::read(place)?.require(&args.uuid)?.clone()
    };
    print::one(&task, context).map_err(Failure::Output)?;
    Ok(Exit::Done)
}

fn status(place: &Location, args: &StatusArgs, context: &Context) -> Result<Exit, Failure> {
    let Some(status) = &args.status else {
        let manifest = manifest::read(place)?;
        let status = manifest.require(&args.uuid)?.status();
        print::status(&args.uuid, &status, context).map_err(Failure::Output)?;
        return Ok(Exit::Done);
    };
    let change = Change {
        uuid: &args.uuid,
        status: status.as_str().into(),
        forced: forced(args.closing.force),
        scanner: scan::scanner(&args.closing.syntax)?,
    };
    show(&change.carry_out(place, &args.closing.tell)?, context)
}

fn change(
    place: &Location,
    args: &ChangeArgs,
    status: TaskStatus,
    context: &Context,
) -> Result<Exit, Failure> {
    let change = Change {
        uuid: &args.uuid,
        status,
        forced: Forced::No,
        scanner: Scanner::new(),
    };
    show(&change.carry_out(place, &args.tell)?, context)
}

/// Sets a task's status to complete, unless its placeholder still stands.
pub(crate) fn complete(place: &Location, args: &CompleteArgs) -> Result<Changed, Failure> {
    let change = Change {
        uuid: &args.uuid,
        status: TaskStatus::Complete,
        forced: forced(args.closing.force),
        scanner: scan::scanner(&args.closing.syntax)?,
    };
    change.carry_out(place, &args.closing.tell)
}

/// What came of a new status for a task.
pub(crate) struct Changed {
    pub(crate) uuid: String,
    pub(crate) status: TaskStatus,
    /// What people should know.
    pub(crate) warnings: Vec<String>,
    /// How the command ends.
    pub(crate) exit: Exit,
}

fn show(changed: &Changed, context: &Context) -> Result<Exit, Failure> {
    print::status(&changed.uuid, &changed.status, context).map_err(Failure::Output)?;
    report::warn_of_all(&changed.warnings, context);
    Ok(changed.exit)
}

fn forced(force: bool) -> Forced {
    if force { Forced::Yes } else { Forced::No }
}

/// A new status for a task.
struct Change<'a> {
    uuid: &'a str,
    status: TaskStatus,
    forced: Forced,
    scanner: Scanner,
}

impl Change<'_> {
    /// Writes it into the manifest, then tells the orchestrator; what it could not be told it is
    /// told with the next change, or by `init`. Once it is written it stands: what fails then is
    /// told, and left to the next run.
    fn carry_out(&self, place: &Location, tell: &TellArgs) -> Result<Changed, Failure> {
        let workspace = place.open()?;
        let config = Config::resolve(&tell.connection)?;
        let api = config.as_ref().map(Api::new).transpose()?;
        let (_, manifest) = manifest::update(&workspace, &ApplyOptions::default(), |manifest| {
            let task = manifest.require(self.uuid)?;
            if self.status == TaskStatus::Complete {
                self.check(&workspace, task)?;
            }
            if let Some(task) = manifest.get_mut(self.uuid)
                && task.status() != self.status
            {
                task.set_status(self.status.clone());
            }
            Ok(())
        })?;
        let mut changed = Changed {
            uuid: self.uuid.to_owned(),
            status: self.status.clone(),
            warnings: workspace.notes(),
            exit: Exit::Done,
        };
        if self.status == TaskStatus::Complete
            && let Err(failure) = self.clear(&workspace, &manifest, &mut changed)
        {
            changed.warnings.push(format!(
                "task {0} is complete, but its comments are not taken out: {failure}; the next `task complete {0}` goes on",
                self.uuid
            ));
            changed.exit = Exit::Code(4);
        }
        let Some(api) = api else {
            return Ok(changed);
        };
        let untold = send_statuses(&workspace, &manifest, &api);
        if !untold.is_empty() && tell.require_delivery {
            changed.exit = Exit::Code(4);
        }
        changed.warnings.extend(untold);
        Ok(changed)
    }

    /// Takes the task's comments out of its file, as a batch of its own; tells what stays. The
    /// task is complete whatever becomes of them.
    fn clear(
        &self,
        workspace: &Workspace,
        manifest: &Manifest,
        changed: &mut Changed,
    ) -> Result<(), Failure> {
        let Ok(clearing) = Clearing::of(manifest, manifest.require(self.uuid)?) else {
            return Ok(());
        };
        let clearing = clearing.with_scanner(self.scanner.clone());
        let options = ApplyOptions::default();
        let looked = workspace.check(&clearing, &options)?;
        let missing = looked.notes.missing.iter();
        let missing = missing.map(|missing| missing.refusal.message.clone());
        changed.warnings.extend(missing);
        if !looked.report.operations.is_empty() {
            let applied = workspace.apply(&clearing, &options)?;
            let refused = applied.report.operations.iter();
            let refused = refused.filter_map(|operation| operation.refusal.as_deref());
            let refused = refused.chain(&applied.report.refusal);
            changed.warnings.extend(refused.map(|refusal| {
                format!(
                    "the comments of task {} stay: {}",
                    self.uuid, refusal.message
                )
            }));
            changed.warnings.extend(applied.report.warnings);
            if applied.unfinished.is_some() {
                changed.exit = Exit::Code(4);
            }
        }
        Ok(())
    }

    fn check(&self, workspace: &Workspace, task: &Task) -> Result<(), Refusal> {
        let Ok(path) = task.file() else { return Ok(()) };
        let tree = workspace
            .load(std::slice::from_ref(&path))
            .map_err(|error| error.to_refusal())?;
        let bytes = tree.file(&path).map(|source| source.bytes());
        check_completion(task, &self.scanner, bytes, self.forced)
    }
}

/// Tells the orchestrator of every status that it has not heard of; gives what it still has not
/// heard of, or will hear again, and why.
pub(crate) fn send_statuses(workspace: &Workspace, manifest: &Manifest, api: &Api) -> Vec<String> {
    let mut told = Vec::new();
    let mut untold = Vec::new();
    for task in manifest.tasks().iter().filter(|task| task.is_unsent()) {
        let status = task.status();
        match api.set_status(task.uuid(), status.as_str()) {
            Ok(_) => told.push((task.uuid().to_owned(), status)),
            Err(error) => {
                // One that is out of reach now is so for the next task, too.
                let out_of_reach = matches!(error, CallError::Transport(_) | CallError::Timeout(_));
                untold.push(format!(
                    "the orchestrator was not told of task {} yet: {error}",
                    task.uuid()
                ));
                if out_of_reach {
                    break;
                }
            }
        }
    }
    if told.is_empty() {
        return untold;
    }
    let marked = manifest::update(workspace, &ApplyOptions::default(), |manifest| {
        for (uuid, status) in &told {
            // Unless somebody changed it again meanwhile.
            if let Some(task) = manifest.get_mut(uuid)
                && task.status() == *status
            {
                task.mark_sent();
            }
        }
        Ok(())
    });
    if let Err(failure) = marked {
        untold.push(format!(
            "the orchestrator will be told of {} once more: that it was told cannot be written down: {failure}",
            match &told[..] {
                [(uuid, _)] => format!("task {uuid}"),
                _ => format!("{} tasks", told.len()),
            }
        ));
    }
    untold
}

/// Asks for help with a task.
pub(crate) fn help(place: &Location, args: &HelpArgs) -> Result<Value, Failure> {
    let api = Api::new(&Config::require(&args.connection)?)?;
    let known = manifest::read(place)?;
    if !known.tasks().is_empty() {
        known.require(&args.uuid)?;
    }
    let help = Help {
        agent_name: args.agent.clone(),
        question: args.question.clone(),
        error: args.error.clone(),
    };
    Ok(api.help(&args.uuid, &help)?)
}

/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(10);

/// `ask`.
pub(crate) fn clarify(args: &AskArgs, context: &Context) -> Result<Exit, Failure> {
    let answer = clarification(args, &mut |why| report::warn(why, context))?;
    let mut out = context.stdout();
    // An agent parses it, whoever looks on.
    serde_json::to_writer(&mut out, &answer)
        .map_err(std::io::Error::from)
        .and_then(|()| writeln!(out))
        .map_err(Failure::Output)?;
    Ok(Exit::Done)
}

/// Asks for clarification of an order; says why it tries again.
pub(crate) fn clarification(args: &AskArgs, again: &mut dyn FnMut(&str)) -> Result<Value, Failure> {
    let api = Api::new(&Config::require(&args.connection)?)?;
    let more: Map<String, Value> = match &args.context {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::Usage(format!("--context is not a JSON object: {error}")))?,
        None => Map::new(),
    };
    let question = Clarification {
        order_id: args.order_id.clone(),
        question: args.question.clone(),
        more,
    };
    let mut wait = Duration::from_millis(200);
    let mut left = args.retries;
    loop {
        match api.clarify(&question) {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_temporary() && left > 0 => {
                let asked = match &error {
                    CallError::Status { retry_after, .. } => *retry_after,
                    _ => None,
                };
                again(&format!("{error}; trying again"));
                std::thread::sleep(asked.unwrap_or(wait).min(LONGEST));
                wait = (wait * 2).min(LONGEST);
                left -= 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
