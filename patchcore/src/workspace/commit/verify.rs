//! The command that judges a changed tree before it counts.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::error::{Code, Refusal, excerpt};
use crate::workspace::options::Verify;
use crate::workspace::state::record::TransactionId;

mod stray;

/// Most bytes of the command's output that are kept, in all.
pub const MAX_OUTPUT: usize = 64 << 10;
/// Most bytes of it that the refusal shows: the end, where the verdict stands.
const SHOWN: usize = 400;
/// What begins so in the environment may be a secret of ours: a command that somebody else wrote does
/// not get it.
pub const PRIVATE_VARIABLES: &str = "ORCHESTRATOR_";

/// The variable by which what the command starts is known, wherever it goes.
const MARK: &str = "PATCHCTL_VERIFY";

/// How a command judged.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// A refusal says why the batch cannot stay.
    pub(crate) verdict: Result<(), Refusal>,
    /// What the operator should know beside it.
    pub(crate) notes: Vec<String>,
}

/// Runs a command in the root, for a transaction.
///
/// What it leaves running in its process group ends with it. What left the group, a daemon of a
/// build tool say, is left alone where the command succeeds, and killed where it does not, since it
/// would go on changing the tree. `meanwhile` is called every few milliseconds while it runs.
pub(crate) fn run(
    verify: &Verify,
    root: &Path,
    transaction: &TransactionId,
    interrupt: Option<&AtomicBool>,
    meanwhile: impl FnMut(),
) -> Judgement {
    let mark = transaction.to_string();
    let verdict = judge(verify, root, &mark, interrupt, meanwhile);
    let notes = match &verdict {
        Ok(()) => stray::names(MARK, &mark)
            .map(|names| format!("the verification command left processes running: {names}")),
        Err(_) => stray::kill(MARK, &mark).map(|names| {
            format!("the verification command left processes running, which were killed: {names}")
        }),
    };
    Judgement {
        verdict,
        notes: notes.into_iter().collect(),
    }
}

fn judge(
    verify: &Verify,
    root: &Path,
    mark: &str,
    interrupt: Option<&AtomicBool>,
    meanwhile: impl FnMut(),
) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::new(Code::VerifyFailed, why);
    let mut child = command(verify, root, mark).spawn().map_err(|error| {
        refuse(format!(
            "the verification command cannot be started: {error}"
        ))
    })?;
    let output = match collect(&mut child) {
        Ok(output) => output,
        Err(error) => {
            kill(&child);
            let _ = child.wait();
            return Err(refuse(format!(
                "the verification command cannot be listened to: {error}"
            )));
        }
    };
    let ended = wait(&mut child, verify.limit, interrupt, meanwhile);
    // Whatever it left behind in its group would go on changing the tree.
    kill(&child);
    let why = match ended {
        End::Exited(status) if status.success() => return Ok(()),
        End::Exited(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "failed".to_owned(),
        },
        End::TimedOut => format!("took longer than {} seconds", verify.limit.as_secs()),
        End::Interrupted => "was interrupted".to_owned(),
        End::Lost(error) => format!("cannot be waited for: {error}"),
    };
    let output = output
        .recv_timeout(Duration::from_secs(1))
        .unwrap_or_default();
    let refusal = refuse(format!(
        "the verification command {why}; the batch is taken back"
    ));
    Err(Refusal {
        found: shown(output, verify),
        ..refusal
    })
}

/// The command, in a group of its own and without what is ours in its environment.
fn command(verify: &Verify, root: &Path, mark: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(&verify.command)
        .current_dir(root)
        .env(MARK, mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it starts ends with it.
        .process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(PRIVATE_VARIABLES) {
            command.env_remove(name);
        }
    }
    command
}

/// The end of what the command has said, as it may be shown.
fn shown(output: Vec<u8>, verify: &Verify) -> Option<String> {
    if output.is_empty() {
        return None;
    }
    let output = match verify.redact {
        Some(redact) => redact(&String::from_utf8_lossy(&output)).into_bytes(),
        None => output,
    };
    let tail = &output[output.len().saturating_sub(SHOWN)..];
    let mut shown = excerpt(tail, SHOWN);
    if tail.len() < output.len() {
        shown.insert(0, '…');
    }
    Some(shown)
}

enum End {
    Exited(ExitStatus),
    TimedOut,
    Interrupted,
    Lost(std::io::Error),
}

fn wait(
    child: &mut Child,
    limit: Duration,
    interrupt: Option<&AtomicBool>,
    mut meanwhile: impl FnMut(),
) -> End {
    const LONGEST: Duration = Duration::from_millis(20);
    let began = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return End::Exited(status),
            Ok(None) => {}
            Err(error) => return End::Lost(error),
        }
        let ended = if interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            Some(End::Interrupted)
        } else {
            (began.elapsed() >= limit).then_some(End::TimedOut)
        };
        if let Some(ended) = ended {
            kill(child);
            let _ = child.wait();
            return ended;
        }
        meanwhile();
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// Ends the command's whole group; that it has ended already is no matter.
fn kill(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Reads both streams to their ends, and keeps the last [`MAX_OUTPUT`] bytes.
fn collect(child: &mut Child) -> std::io::Result<mpsc::Receiver<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let errors = Builder::new().spawn(move || stderr.map(tail).unwrap_or_default())?;
    Builder::new().spawn(move || {
        let mut output = stdout.map(tail).unwrap_or_default();
        output.extend(errors.join().unwrap_or_default());
        // Nobody may be waiting any more.
        let _ = send.send(output);
    })?;
    Ok(receive)
}

fn tail(mut stream: impl std::io::Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > MAX_OUTPUT {
            kept.drain(..kept.len() - MAX_OUTPUT / 2);
        }
    }
    kept
}
