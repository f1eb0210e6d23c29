//! `run`: what a command does to the tree becomes a batch.

use std::io::{ErrorKind, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use patchcore::workspace::{Applied, ApplyOptions, Command, Ending, PRIVATE_VARIABLES, Workspace};
use patchcore::{Error, Stop};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::edit::{self, Request};
use crate::cli::edit::{CommitArgs, PolicyArgs, ShowArgs};
use crate::cli::labels::LabelArgs;
use crate::cli::run::{CommandArgs, Violation};
use crate::cli::{Global, Output};
use crate::delivery;
use crate::exit::{Exit, Failure};
use crate::orchestrator::Config;
use crate::place::Location;
use crate::redact;
use crate::report::{self, Context};

/// This program failed, so nothing can be said of the command.
const FAILED: u8 = 125;
/// The command cannot be run.
const NOT_RUN: i32 = 126;
/// There is no such command.
const NOT_FOUND: i32 = 127;

/// `run`.
pub(crate) fn run(global: &Global, args: &CommandArgs, context: &Context) -> Result<Exit, Failure> {
    let is_wrapper = !args.command.is_empty();
    match Recording::of(global, args).and_then(|recording| recording.run(context)) {
        // Status 2 would keep the agent from using its tool.
        Err(failure) if args.hook => {
            report::failure(&failure, context);
            Ok(Exit::Code(1))
        }
        Err(failure) if is_wrapper => {
            report::failure(&failure, context);
            Ok(Exit::Code(FAILED))
        }
        result => result,
    }
}

/// A command between its snapshot and its record.
struct Recording<'a> {
    args: &'a CommandArgs,
    place: Location,
    workspace: Workspace,
    commit: CommitArgs,
    policy: PolicyArgs,
    orchestrator: Option<Config>,
}

impl<'a> Recording<'a> {
    fn of(global: &Global, args: &'a CommandArgs) -> Result<Self, Failure> {
        let place = Location::of(global)?;
        let workspace = place.open()?;
        let commit = CommitArgs {
            durable: args.durable,
            lock_wait: args.lock_wait,
            ..CommitArgs::with_delivery(args.delivery.clone())
        };
        let policy = PolicyArgs::default();
        let show = ShowArgs::default();
        let request = Request {
            policy: &policy,
            commit: Some(&commit),
            show: &show,
            preview: false,
            detailed_exitcode: false,
            again: false,
            interrupt: None,
        };
        let orchestrator = edit::orchestrator(&place, &request)?;
        Ok(Self {
            args,
            place,
            workspace,
            commit,
            policy,
            orchestrator,
        })
    }

    fn options<'o>(&self) -> Result<ApplyOptions<'o>, Failure> {
        edit::options(&self.place, &self.policy, Some(&self.commit))
    }

    fn command(&self) -> Result<Command, Failure> {
        let args = self.args;
        let also = args.also.iter().map(|path| self.place.relative(path));
        let argv = args.command.iter();
        Ok(Command {
            argv: argv
                .map(|arg| redact::text(&arg.to_string_lossy()))
                .collect(),
            labels: LabelArgs {
                batch_id: None,
                order_id: args.order_id.clone(),
                task_id: args.task_id.clone(),
                factory: args.factory.clone(),
                phase: args.phase.clone(),
                agent: args.agent.clone(),
            }
            .labels()?,
            also: also.collect::<Result<_, _>>()?,
            name: None,
        })
    }

    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let args = self.args;
        if args.begin {
            let open = self
                .workspace
                .begin_command(&self.command()?, false, &self.options()?)?;
            report::warn_of_notes(&self.workspace, context);
            report::run::begun(&open.id, context)?;
            return Ok(Exit::Done);
        }
        if let Some(id) = &args.end {
            return self.end(id, args.exit_status, 0, context);
        }
        if args.hook {
            return self.hook(context);
        }
        let signals = Signals::hold()?;
        let open = self
            .workspace
            .begin_command(&self.command()?, true, &self.options()?)?;
        report::warn_of_notes(&self.workspace, context);
        if signals.came() {
            let message = "interrupted before the command was run";
            return Err(Failure::Usage(message.to_owned()));
        }
        let status = match spawn(args) {
            Ok(child) => signals.attend(child)?,
            Err(error) => {
                let name = args.command[0].to_string_lossy().into_owned();
                report::failure(&Error::io("run", name, clone(&error)).into(), context);
                match error.kind() {
                    ErrorKind::NotFound => NOT_FOUND,
                    _ => NOT_RUN,
                }
            }
        };
        self.end(&open.id, Some(status), status, context)
    }

    /// Does what an agent's hook asks for. Standard output is the agent's: nothing is printed there.
    fn hook(&self, context: &Context) -> Result<Exit, Failure> {
        /// Longest input, in bytes.
        const MOST: u64 = 16 << 20;
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(MOST)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("read", "standard input", error))?;
        let call: HookCall = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Usage(format!("this is not the input of a hook: {error}")))?;
        let name = format!("{}/{}", call.session_id, call.tool_use_id);
        if call.hook_event_name == "PreToolUse" {
            let command = Command {
                argv: (call.tool_input.command.iter())
                    .map(|command| redact::text(command))
                    .collect(),
                name: Some(name),
                ..self.command()?
            };
            self.workspace
                .begin_command(&command, false, &self.options()?)?;
            report::warn_of_notes(&self.workspace, context);
            return Ok(Exit::Done);
        }
        let wait = self.commit.lock_wait;
        let Some(id) = self.workspace.command_named(&name, wait)? else {
            let message = format!("no PreToolUse hook began the run {name}");
            return Err(Failure::Usage(message));
        };
        let quiet = Context {
            output: Output::Human,
            ..context.clone()
        };
        self.end(&id, None, 0, &quiet)
    }

    /// Records and delivers what was done. `status` is what the command ended with.
    fn end(
        &self,
        id: &patchcore::workspace::TransactionId,
        told: Option<i32>,
        status: i32,
        context: &Context,
    ) -> Result<Exit, Failure> {
        let mut options = self.options()?;
        let rules = edit::rules(&options.policy, &self.policy);
        options.review = Some(&rules);
        let passed_on = Exit::of_status(status);
        let ended = self
            .workspace
            .end_command(id, Ending::Exited(told), &options);
        let ended = ended.inspect_err(|stop| self.warn_of_unrecorded(stop, context))?;
        for note in &ended.warnings {
            report::warn(note, context);
        }
        let mut complete = true;
        match &ended.applied {
            Some(applied) => {
                let delivered = self.deliver(applied);
                report::run::recorded(&applied.report, &applied.plan, self.args.diff, context)?;
                complete = delivered.complete;
                for note in &delivered.notes {
                    report::warn(note, context);
                }
            }
            None => report::run::nothing(&ended, context)?,
        }
        if ended.breaks_rules && self.args.on_violation == Violation::Undo {
            let last = ended.applied.as_ref().map(|applied| &applied.record);
            for record in last.into_iter().chain(ended.earlier.iter().rev()) {
                let name = record.transaction.to_string();
                let undone = self.workspace.undo(Some(&name), &self.options()?)?;
                complete &= self.deliver(&undone).complete;
                report::run::taken_back(&undone.report, context)?;
            }
        }
        Ok(match passed_on {
            Exit::Done if ended.breaks_rules => Exit::Code(1),
            Exit::Done if self.args.delivery.require_delivery && !complete => Exit::Code(4),
            exit => exit,
        })
    }

    /// Says who records what was done where that could not be written down. Where nobody can, the
    /// error says so itself.
    fn warn_of_unrecorded(&self, stop: &Stop, context: &Context) {
        let is_over = matches!(
            stop,
            Stop::Refused(_) | Stop::Failed(Error::Damaged { .. } | Error::Unrecorded(_))
        );
        if is_over {
            return;
        }
        let who = match self.args.command.is_empty() {
            true => "what was done since the run began is not recorded yet: end the run once more",
            false => {
                "the command was run, but what it did is not recorded yet: the next command that writes, `patchctl recover` for one, records it"
            }
        };
        report::warn(who, context);
    }

    fn deliver(&self, applied: &Applied<'_>) -> delivery::Delivered {
        delivery::after_commit(
            &self.place,
            self.orchestrator.as_ref(),
            &self.args.delivery,
            applied.report.transaction.as_deref(),
        )
    }
}

/// What agents tell their hooks, as far as it is used.
#[derive(Debug, serde::Deserialize)]
struct HookCall {
    hook_event_name: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    tool_use_id: String,
    #[serde(default)]
    tool_input: ToolInput,
}

#[derive(Debug, Default, serde::Deserialize)]
struct ToolInput {
    #[serde(default)]
    command: Option<String>,
}

fn clone(error: &std::io::Error) -> std::io::Error {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => std::io::Error::other(error.to_string()),
    }
}

/// Starts the command, without the orchestrator's variables: what an agent runs needs no secret.
fn spawn(args: &CommandArgs) -> std::io::Result<Child> {
    redact::close_environment()?;
    let mut command = std::process::Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(PRIVATE_VARIABLES) {
            command.env_remove(name);
        }
    }
    command.spawn()
}

/// Signals that would end this process, held from the snapshot to the record.
struct Signals {
    /// The terminal sends these to the command as well.
    from_terminal: [Arc<AtomicBool>; 2],
    passed_on: [(Arc<AtomicBool>, Signal); 2],
}

impl Signals {
    fn hold() -> Result<Self, Failure> {
        let flag = |signal| -> Result<Arc<AtomicBool>, Failure> {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, flag.clone())
                .map_err(|error| Error::io("handle signals of", "this process", error))?;
            Ok(flag)
        };
        Ok(Self {
            from_terminal: [flag(SIGINT)?, flag(SIGQUIT)?],
            passed_on: [(flag(SIGTERM)?, Signal::TERM), (flag(SIGHUP)?, Signal::HUP)],
        })
    }

    /// Whether somebody wants this process to end.
    fn came(&self) -> bool {
        let passed_on = self.passed_on.iter().map(|(flag, _)| flag);
        let mut all = self.from_terminal.iter().chain(passed_on);
        all.any(|flag| flag.load(Ordering::Relaxed))
    }

    /// Waits for the command. What the terminal sends, the command gets by itself; what is sent to
    /// us alone is passed on.
    fn attend(&self, mut child: Child) -> Result<i32, Failure> {
        /// How long a signal may wait to be passed on.
        const PAUSE: Duration = Duration::from_millis(20);
        let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            // Who waits for it does so until it is sent.
            let _ = send.send(child.wait());
        });
        let lost = |error| Error::io("wait for", "the command", error);
        loop {
            match receive.recv_timeout(PAUSE) {
                Ok(status) => return Ok(of(status.map_err(lost)?)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let gone = std::io::Error::other("the thread that waits for it ended");
                    return Err(lost(gone).into());
                }
            }
            for (flag, signal) in &self.passed_on {
                if let (true, Some(process)) = (flag.swap(false, Ordering::Relaxed), process) {
                    // It may have ended meanwhile.
                    let _ = kill_process(process, *signal);
                }
            }
        }
    }
}

fn of(status: ExitStatus) -> i32 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => NOT_RUN,
    }
}
