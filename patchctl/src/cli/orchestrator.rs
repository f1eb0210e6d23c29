//! Options of the commands that talk to the orchestrator. Token and secret are never arguments.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Most bytes of the log that wait for delivery, unless the operator says otherwise.
pub(crate) const LOG_BOUND: u64 = 1 << 30;

/// How the orchestrator is reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Orchestrator")]
pub(crate) struct Connection {
    /// Base URL of the orchestrator [env: ORCHESTRATOR_URL, or ORCHESTRATOR_URL_FILE]
    #[arg(long, value_name = "URL")]
    pub(crate) orchestrator: Option<String>,
    /// PEM file of the only certificate authorities to trust [env: ORCHESTRATOR_CA_FILE] [default: public ones]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Send token and signature over plain http to another host than this one
    #[arg(long)]
    pub(crate) insecure_http: bool,
}

/// How events are delivered after an edit.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Orchestrator")]
pub(crate) struct Delivery {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Longest that an edit waits for the delivery of its events; `0` leaves them to `events flush`
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    pub(crate) deliver_within: Duration,
    /// Exit with 4 where events are left undelivered
    #[arg(long)]
    pub(crate) require_delivery: bool,
    /// Tell the orchestrator of previews, too
    #[arg(long)]
    pub(crate) preview_events: bool,
    /// Most bytes of the log that may wait for delivery; when it is full, events of previews go
    /// first, then those of refusals, and then edits are refused
    #[arg(long, value_name = "BYTES", default_value_t = LOG_BOUND)]
    pub(crate) max_undelivered: u64,
    #[command(flatten)]
    pub(crate) form: EventForm,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            connection: Connection::default(),
            deliver_within: Duration::from_millis(500),
            require_delivery: false,
            preview_events: false,
            max_undelivered: LOG_BOUND,
            form: EventForm::default(),
        }
    }
}

/// What the events that are sent look like.
#[derive(Debug, Clone, Args)]
pub(crate) struct EventForm {
    /// Events in one request
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) event_batch: NonZeroUsize,
    /// Leave diffs out of events
    #[arg(long)]
    pub(crate) no_event_diff: bool,
}

impl Default for EventForm {
    fn default() -> Self {
        Self {
            event_batch: NonZeroUsize::MIN,
            no_event_diff: false,
        }
    }
}

/// Reads `500ms`, `2s`, `1m 30s` or a bare `0`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let signed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "a time is a number with its unit, such as 500ms, 2s or 5m".to_owned())?;
    signed
        .try_into()
        .map_err(|_| "a time cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(duration("5").is_err());
        assert!(duration("-1s").is_err());
        assert!(duration("soon").is_err());
    }
}
