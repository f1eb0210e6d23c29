//! Exit statuses, and what ends a command early.

use std::process::ExitCode;

use patchcore::plan::Plan;
use patchcore::report::{Report, Status};
use patchcore::{Code, Error, Refusal, Stop};

use crate::cli::labels::NotUtf8;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done,
    /// The code's status.
    Code(u8),
}

impl Exit {
    /// The exit status of a command that ends with this code: 1 refused, 2 not a batch, 3 the
    /// environment failed.
    pub(crate) fn of(code: Code) -> Self {
        Self::Code(match code {
            Code::InvalidBatch | Code::UnsupportedVersion | Code::LimitExceeded => 2,
            Code::LockTimeout | Code::Unfinished | Code::ForeignState | Code::Io => 3,
            _ => 1,
        })
    }
}

impl Exit {
    /// The exit status of what a report says.
    pub(crate) fn of_report(report: &Report, plan: &Plan, detailed: bool) -> Self {
        match (report.status, report.code()) {
            (Status::Partial, _) => Self::Code(6),
            (Status::Previewed, Some(_)) => Self::Code(6),
            (Status::Refused | Status::RolledBack, Some(code)) => Self::of(code),
            (Status::Previewed, None) if detailed && !plan.changes.is_empty() => Self::Code(5),
            _ => Self::Done,
        }
    }

    /// The exit status of a command that is passed on.
    pub(crate) fn of_status(status: i32) -> Self {
        match u8::try_from(status & 0xff).unwrap_or(u8::MAX) {
            0 => Self::Done,
            status => Self::Code(status),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Code(code) => Self::from(code),
        }
    }
}

/// What ends a command before it has a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The input is refused, or the environment failed.
    #[error(transparent)]
    Core(#[from] Stop),
    /// Wrong arguments: exit 2.
    #[error("{0}")]
    Usage(String),
    /// The orchestrator is wrongly configured: exit 2.
    #[error(transparent)]
    Config(#[from] crate::orchestrator::ConfigError),
    /// The orchestrator did not do what it was asked: exit 3.
    #[error(transparent)]
    Call(#[from] crate::orchestrator::CallError),
    /// The delivery store failed: exit 3.
    #[error(transparent)]
    Store(crate::store::StoreError),
    /// Writing to standard output failed.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error.into())
    }
}

impl From<NotUtf8> for Failure {
    fn from(error: NotUtf8) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Core(refusal.into())
    }
}

impl Failure {
    /// The form in which a report shows it.
    #[cfg(any(feature = "mcp", feature = "serve"))]
    pub(crate) fn to_refusal(&self) -> Refusal {
        match self {
            Self::Core(stop) => stop.to_refusal(),
            Self::Usage(_) | Self::Config(_) => Refusal::new(Code::InvalidBatch, self.to_string()),
            Self::Call(_) | Self::Store(_) | Self::Output(_) => {
                Refusal::new(Code::Io, self.to_string())
            }
        }
    }

    /// The status that the command exits with; a closed pipe is no error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Core(stop) => Exit::of(stop.code()),
            Self::Usage(_) | Self::Config(_) => Exit::Code(2),
            Self::Call(_) | Self::Store(_) => Exit::Code(3),
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) => Exit::Code(3),
        }
    }
}
