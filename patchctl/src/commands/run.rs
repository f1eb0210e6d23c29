//! `run`: what a command does to the tree becomes a batch.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use patchcore::operation::Labels;
use patchcore::workspace::{Applied, ApplyOptions, Command, Ending, Workspace};
use patchcore::Error;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::edit::{self, Request};
use super::place::Place;
use crate::cli::Global;
use crate::cli::edit::{CommitArgs, PolicyArgs, ShowArgs};
use crate::cli::run::{CommandArgs, Violation};
use crate::delivery;
use crate::exit::{Exit, Failure};
use crate::orchestrator::Config;
use crate::report::{self, Context};

/// This program failed, so nothing can be said of the command.
const FAILED: u8 = 125;
/// The command cannot be run.
const NOT_RUN: i32 = 126;
/// There is no such command.
const NOT_FOUND: i32 = 127;

/// `run`.
pub(crate) fn run(global: &Global, args: &CommandArgs, context: &Context) -> Result<Exit, Failure> {
    let is_wrapper = !args.begin && args.end.is_none();
    match Recording::of(global, args).and_then(|recording| recording.run(context)) {
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
    place: Place,
    workspace: Workspace,
    commit: CommitArgs,
    policy: PolicyArgs,
    orchestrator: Option<Config>,
}

impl<'a> Recording<'a> {
    fn of(global: &Global, args: &'a CommandArgs) -> Result<Self, Failure> {
        let place = Place::of(global)?;
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
            argv: argv.map(|arg| arg.to_string_lossy().into_owned()).collect(),
            labels: Labels {
                order_id: args.order_id.clone(),
                task_id: args.task_id.clone(),
                factory: args.factory.clone(),
                phase: args.phase.clone(),
                agent: args.agent.clone(),
            },
            also: also.collect::<Result<_, _>>()?,
        })
    }

    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let args = self.args;
        if args.begin {
            let open = self
                .workspace
                .begin_command(&self.command()?, false, &self.options()?)?;
            report::run::begun(&open.id, context)?;
            return Ok(Exit::Done);
        }
        if let Some(id) = &args.end {
            return self.end(id, args.exit_status, 0, context);
        }
        let open = self
            .workspace
            .begin_command(&self.command()?, true, &self.options()?)?;
        let status = match spawn(args) {
            Ok(child) => attend(child)?,
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
            .end_command(id, Ending::Exited(told), &options)?;
        let Some(applied) = ended else {
            report::run::nothing(context)?;
            return Ok(passed_on);
        };
        let delivered = self.deliver(&applied);
        report::run::recorded(&applied.report, &applied.plan, self.args.diff, context)?;
        let breaks = applied
            .report
            .operations
            .iter()
            .any(|operation| operation.note.is_some());
        let mut complete = delivered.complete;
        for note in &delivered.notes {
            report::warn(note, context);
        }
        if breaks && self.args.on_violation == Violation::Undo {
            let undone = self
                .workspace
                .undo(applied.report.transaction.as_deref(), &self.options()?)?;
            complete &= self.deliver(&undone).complete;
            report::run::taken_back(&undone.report, context)?;
        }
        Ok(match passed_on {
            Exit::Done if breaks => Exit::Code(1),
            Exit::Done if self.args.delivery.require_delivery && !complete => Exit::Code(4),
            exit => exit,
        })
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

fn clone(error: &std::io::Error) -> std::io::Error {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => std::io::Error::other(error.to_string()),
    }
}

fn spawn(args: &CommandArgs) -> std::io::Result<Child> {
    std::process::Command::new(&args.command[0])
        .args(&args.command[1..])
        .spawn()
}

/// Waits for the command. What the terminal sends, the command gets by itself; what is sent to us
/// alone is passed on.
fn attend(mut child: Child) -> Result<i32, Failure> {
    /// How long a signal may wait to be passed on.
    const PAUSE: Duration = Duration::from_millis(20);
    let flag = |signal| -> Result<Arc<AtomicBool>, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal, flag.clone())
            .map_err(|error| Error::io("handle signals of", "this process", error))?;
        Ok(flag)
    };
    let _ = (flag(SIGINT)?, flag(SIGQUIT)?);
    let passed_on = [
        (flag(SIGTERM)?, Signal::TERM),
        (flag(SIGHUP)?, Signal::HUP),
    ];
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // Who waits for it does so until it is sent.
        let _ = send.send(child.wait());
    });
    let status = loop {
        match receive.recv_timeout(PAUSE) {
            Ok(status) => break status.map_err(|error| Error::io("wait for", "the command", error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let gone = std::io::Error::other("the thread that waits for it ended");
                break Err(Error::io("wait for", "the command", gone));
            }
        }
        for (flag, signal) in &passed_on {
            if let (true, Some(process)) = (flag.swap(false, Ordering::Relaxed), process) {
                // It may have ended meanwhile.
                let _ = kill_process(process, *signal);
            }
        }
    };
    Ok(of(status?))
}

fn of(status: ExitStatus) -> i32 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => NOT_RUN,
    }
}
