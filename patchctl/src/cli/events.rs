//! Options of `events` and `doctor`.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use patchcore::event::EventKind;
use patchcore::plan::Outcome;

use super::orchestrator::{Connection, EventForm, duration};

/// Shows what happened to the tree, and delivers it to the orchestrator.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    pub(crate) command: EventsCommand,
}

/// What to do with events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Lists events, newest first
    List(ListArgs),
    /// Shows one event, or all of a batch or transaction, with diffs
    Show {
        /// Id of an event, a transaction or a batch
        id: String,
    },
    /// Shows the last events, newest last
    Tail(TailArgs),
    /// Delivers what waits; exits with 4 where something is left
    Flush(FlushArgs),
    /// Delivers until it is stopped; SIGTERM delivers what it can within a bound first
    Watch(WatchArgs),
    /// Messages that the orchestrator refused for good
    Dead(DeadArgs),
}

/// Which events.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filter {
    /// Of this task
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) task: Option<String>,
    /// Of this order
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order: Option<String>,
    /// Of this file, or of files below this directory
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) file: Option<String>,
    /// With this outcome or of this kind: `applied`, `refused`, `PATCH_SKIPPED`, …
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub(crate) outcome: Option<String>,
    /// Not before this time: RFC 3339, or so long ago, such as `2h`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Not after this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
    /// That hold this text anywhere
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) text: Option<String>,
}

/// Options of `events list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Most events to list
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) limit: usize,
    /// Events to leave out first: pages on
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) skip: usize,
}

/// Options of `events tail`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value = "10")]
    pub(crate) lines: usize,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// How often deliveries are tried.
#[derive(Debug, Clone, Args)]
pub(crate) struct Attempts {
    /// Wait after a first failure; doubled after each further one
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(crate) backoff_min: Duration,
    /// Longest wait between attempts
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub(crate) backoff_max: Duration,
    /// Longest time for one request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Try at once, whatever back-off is pending, and although the orchestrator answered 410
    #[arg(long)]
    pub(crate) resume: bool,
}

/// Where events are delivered, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    pub(crate) attempts: Attempts,
    #[command(flatten)]
    pub(crate) form: EventForm,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Options of `events flush`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FlushArgs {
    /// Go on through back-offs for so long
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = duration)]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

/// Options of `events watch`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// Longest time that delivery goes on after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

/// Options of `events dead`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    pub(crate) command: DeadCommand,
}

/// What to do with dead letters.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DeadCommand {
    /// Lists dead letters, oldest first
    List {
        /// Most to list
        #[arg(long, value_name = "N", default_value = "50")]
        limit: usize,
        /// To leave out first
        #[arg(long, value_name = "N", default_value = "0")]
        skip: usize,
    },
    /// Puts dead letters back into the outbox, with the ids and bodies that they had
    Retry(Which),
    /// Drops dead letters for good
    Drop(Which),
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// Their ids
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}

/// Looks at configuration, orchestrator, log and outbox, and says what to do about each finding.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Reads a point in time, or how long ago it was.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let ago: SignedDuration = text
        .parse()
        .map_err(|_| "a time is RFC 3339, or how long ago: 2026-01-02T03:04:05Z, 2h".to_owned())?;
    let at = Timestamp::now().checked_sub(ago);
    at.map_err(|_| "that is before all time".to_owned())
}

/// Reads an outcome or the kind of an event, however it is spelt.
pub(crate) fn outcome(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase().replace('-', "_");
    let upper = lower.to_ascii_uppercase();
    let is_kind = |name: String| serde_json::from_value::<EventKind>(name.into()).is_ok();
    let is_outcome = serde_json::from_value::<Outcome>(lower.as_str().into()).is_ok();
    match is_outcome || is_kind(format!("PATCH_{upper}")) || is_kind(upper) {
        true => Ok(lower),
        false => Err(format!(
            "{text:?} is no outcome, such as applied, rebased, already_applied, refused, \
             not_applied, rolled_back or undone, and no kind of event, such as PATCH_SKIPPED"
        )),
    }
}
