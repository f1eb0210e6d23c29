//! `doctor`: what is configured, what answers, what waits; and what to do about each finding.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use patchcore::workspace::{STATE, Unfinished, Workspace};
use ureq::http::Method;

use crate::cli::Cli;
use crate::cli::events::DoctorArgs;
use crate::cli::orchestrator::LOG_BOUND;
use crate::delivery::{self, EventLog};
use crate::exit::{Exit, Failure};
use crate::orchestrator::http_date;
use crate::orchestrator::{CallError, Client, Config, EVENT_ANSWER, Request};
use crate::place::Location;
use crate::report::Context;
use crate::report::doctor::{self as report, Finding, Level};
use crate::store::{Check, Endpoint, SHORT_WAIT, Store};

/// The longest that the orchestrator may take to answer.
const ASK: Duration = Duration::from_secs(5);
/// Clocks further apart than this are worth a word, in seconds.
const SKEW: i64 = 30;
/// Receivers of Standard Webhooks refuse time stamps further off than this, in seconds.
const TOLERANCE: i64 = 300;

/// `doctor`: exit 1 where something has to be done.
pub(crate) fn run(cli: &Cli, args: &DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(&cli.global)?;
    let mut findings = vec![Finding::good("root", place.root.display().to_string())];
    let config = configuration(args, &mut findings);
    if let Some(config) = &config {
        orchestrator(config, &mut findings);
    }
    match place
        .open()
        .and_then(|workspace| Ok((workspace.has_state()?, workspace)))
    {
        Ok((false, _)) => findings.push(Finding::good("state", "nothing was done here yet")),
        Err(error) => findings.push(Finding::bad(
            "state",
            error.to_string(),
            "give this user access to it, or remove what has its place",
        )),
        Ok((true, workspace)) => {
            state(&workspace, &mut findings);
            permissions(&place.root, &mut findings);
            match EventLog::open(&place) {
                Ok(mut journal) => log(&mut journal, &mut findings),
                Err(error) => findings.push(unopened(&error)),
            }
            outbox(&workspace, config.as_ref(), &mut findings);
        }
    }
    report::print(&findings, context)?;
    Ok(if findings.iter().any(|f| f.level == Level::Bad) {
        Exit::Code(1)
    } else {
        Exit::Done
    })
}

fn configuration(args: &DoctorArgs, findings: &mut Vec<Finding>) -> Option<Config> {
    match Config::resolve(&args.connection) {
        Ok(Some(config)) => {
            let is = |set: bool| if set { "set" } else { "not set" };
            findings.push(Finding::good(
                "configuration",
                format!(
                    "orchestrator {}, token {}, webhook secret {}, certificate authorities {}",
                    config.base,
                    is(config.token.is_some()),
                    is(config.signing.is_some()),
                    match &config.ca_file {
                        Some(path) => path.display().to_string(),
                        None => "public ones".to_owned(),
                    },
                ),
            ));
            Some(config)
        }
        Ok(None) => {
            findings.push(Finding::good(
                "configuration",
                "no orchestrator: events stay in the log, and `patchctl events list` shows them",
            ));
            None
        }
        Err(error) => {
            findings.push(Finding::bad(
                "configuration",
                error.to_string(),
                "correct the option or variable that it names",
            ));
            None
        }
    }
}

fn orchestrator(config: &Config, findings: &mut Vec<Finding>) {
    const NAME: &str = "orchestrator";
    let client = match Client::new(config) {
        Ok(client) => client,
        Err(error) => {
            let todo = "point --ca-file at a PEM file with the authorities' certificates";
            findings.push(Finding::bad(NAME, error.to_string(), todo));
            return;
        }
    };
    let answer = client.call(&Request {
        method: Method::GET,
        path: "/api/tasks/doctor",
        body: None,
        headers: Vec::new(),
        within: ASK,
        limit: EVENT_ANSWER,
    });
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            findings.push(Finding::bad(NAME, error.to_string(), unreachable(&error)));
            return;
        }
    };
    findings.push(match response.status {
        200..=299 | 404 => Finding::good(NAME, format!("answers {}", response.status)),
        401 | 403 => Finding::bad(
            NAME,
            format!("answers {}: it does not accept the token", response.status),
            "set ORCHESTRATOR_TOKEN, or ORCHESTRATOR_TOKEN_FILE, to a valid one",
        ),
        300..=399 => Finding::bad(
            NAME,
            format!("answers {}: redirects are not followed", response.status),
            "configure the address that it redirects to",
        ),
        status => Finding::bad(
            NAME,
            format!("answers {status}"),
            "look at the orchestrator's own log",
        ),
    });
    let tls = if config.is_https() {
        Finding::good("tls", "the certificate is trusted")
    } else if config.loopback {
        Finding::good("tls", "plain http, to this host alone")
    } else {
        Finding::odd(
            "tls",
            "plain http: anybody on the way can read and change what is sent",
            "use https",
        )
    };
    findings.push(tls);
    if let Some(date) = response.header("date").and_then(http_date) {
        let skew = date.as_second() - jiff::Timestamp::now().as_second();
        findings.push(clock(skew));
    }
}

fn unreachable(error: &CallError) -> &'static str {
    match error {
        CallError::Tls(_) => {
            "the certificate is not trusted: give --ca-file the authority that signed it"
        }
        CallError::Timeout(_) => {
            "it hangs, or something on the way swallows packets: look at it and at firewalls"
        }
        _ => "check address and port, and that it runs",
    }
}

fn clock(skew: i64) -> Finding {
    let ahead = if skew > 0 { "behind" } else { "ahead of" };
    let text = format!("this clock is {} s {ahead} the orchestrator's", skew.abs());
    match skew.abs() {
        0..=1 => Finding::good("clock", "agrees with the orchestrator's"),
        2..=SKEW => Finding::good("clock", text),
        far if far < TOLERANCE => Finding::odd("clock", text, "synchronise the clocks (NTP)"),
        _ => Finding::bad(
            "clock",
            format!("{text}: it will refuse signatures"),
            "synchronise the clocks (NTP)",
        ),
    }
}

fn state(workspace: &Workspace, findings: &mut Vec<Finding>) {
    let status = match workspace.status() {
        Ok(status) => status,
        Err(error) => {
            let todo = "give this user access to it, or remove what has its place";
            findings.push(Finding::bad("state", error.to_string(), todo));
            return;
        }
    };
    findings.push(match status.unfinished {
        Some(Unfinished::Foreign) => Finding::bad(
            "transaction",
            "one is unfinished that was not written here; nothing of it is followed",
            "`patchctl recover --adopt` shows what it would do; `--abandon` sets it aside",
        ),
        Some(_) => Finding::bad(
            "transaction",
            "one is unfinished, unless another process works on it right now",
            "run `patchctl recover`",
        ),
        None => Finding::good("transaction", "none is unfinished"),
    });
    if status.foreign > 0 {
        findings.push(Finding::odd(
            "foreign state",
            format!(
                "{} entries of the log were not written here (a clone, an archive or a copy); they are ignored",
                status.foreign
            ),
            "nothing; where state has to outlive a copy, keep the key in PATCHCTL_KEY_FILE",
        ));
    }
    findings.push(match status.locked {
        false => Finding::good("lock", "free"),
        true => Finding::odd(
            "lock",
            "another process works on the tree right now",
            "wait for it; if it hangs, end it, and the lock is free",
        ),
    });
}

fn permissions(root: &Path, findings: &mut Vec<Finding>) {
    for name in ["txn", "log", "store"] {
        let path = root.join(STATE).join(name);
        if let Ok(meta) = std::fs::symlink_metadata(&path)
            && meta.is_dir()
            && meta.permissions().mode() & 0o077 != 0
        {
            findings.push(Finding::bad(
                "permissions",
                format!("others can read {}", path.display()),
                "chmod 700 it",
            ));
        }
    }
}

fn unopened(error: &dyn std::fmt::Display) -> Finding {
    let todo = "give this user access to .mission_control/log";
    Finding::bad("log", error.to_string(), todo)
}

fn log(journal: &mut EventLog, findings: &mut Vec<Finding>) {
    let entries = match journal.entries() {
        Ok(entries) => entries,
        Err(error) => {
            findings.push(unopened(&error));
            return;
        }
    };
    let damaged: Vec<String> = entries
        .iter()
        .filter(|id| journal.record(id).is_err())
        .map(ToString::to_string)
        .collect();
    findings.push(match damaged.first() {
        None => Finding::good("log", format!("{} entries, all readable", entries.len())),
        Some(first) => Finding::bad(
            "log",
            format!(
                "{} of {} entries are damaged, {first} first",
                damaged.len(),
                entries.len()
            ),
            "`patchctl audit` says more; the others are used as they are",
        ),
    });
}

fn outbox(workspace: &Workspace, config: Option<&Config>, findings: &mut Vec<Finding>) {
    if let Err(error) = look_into(workspace, config, findings) {
        findings.push(Finding::bad(
            "outbox",
            error.to_string(),
            "make room on the disk and give this user access; a damaged store is rebuilt by the next delivery",
        ));
    }
}

fn look_into(
    workspace: &Workspace,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    if !Store::is_present(workspace)? {
        findings.push(Finding::good(
            "outbox",
            "nothing was ever delivered from here",
        ));
        return Ok(());
    }
    let opened = Store::open(workspace, Check::Pages, SHORT_WAIT)?;
    if let Some(note) = delivery::origin_note(&opened.origin) {
        findings.push(Finding::odd(
            "outbox",
            note,
            "nothing: it is rebuilt already",
        ));
    }
    let store = opened.store;
    let pending = store.pending()?;
    findings.push(waiting(pending.messages, pending.bytes));
    for (what, attempts, error) in store.failing(5)? {
        findings.push(Finding::odd(
            "outbox",
            format!("{what} failed {attempts} times: {error}"),
            "the next edit, `events flush` or `events watch` tries again",
        ));
    }
    let dead = store.dead_count()?;
    if dead > 0 {
        findings.push(Finding::bad(
            "dead letters",
            format!("{dead} messages were refused for good"),
            "`patchctl events dead list` says why; then retry or drop them",
        ));
    }
    lost(&store, findings)?;
    if let Some(config) = config {
        endpoint(&store.endpoint(&config.base)?, findings);
    }
    Ok(())
}

/// How much waits to be delivered.
fn waiting(messages: u64, bytes: u64) -> Finding {
    let text = format!(
        "{messages} messages wait, {} of at most {} MiB",
        bytes >> 20,
        LOG_BOUND >> 20
    );
    match (bytes, messages) {
        (bytes, _) if bytes > LOG_BOUND / 2 => {
            let todo = "deliver them: `patchctl events flush --wait 5m`";
            Finding::bad("outbox", text, todo)
        }
        (_, 0) => Finding::good("outbox", "nothing waits"),
        _ => Finding::odd("outbox", text, "`patchctl events flush` delivers them"),
    }
}

/// What of the outbox is not delivered, and does not wait either.
fn lost(store: &Store, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let dropped = store.dropped()?;
    if dropped > 0 {
        findings.push(Finding::odd(
            "outbox",
            format!(
                "{dropped} events of previews and refusals were dropped because the log was full"
            ),
            "deliver more often: `patchctl events watch`",
        ));
    }
    let foreign = store.foreign()?;
    if foreign > 0 {
        findings.push(Finding::odd(
            "outbox",
            format!(
                "{foreign} rows were not written by patchctl in this workspace; they were set aside"
            ),
            "nothing: they are not acted on; the table \"aside\" of the store has them",
        ));
    }
    Ok(())
}

fn endpoint(state: &Endpoint, findings: &mut Vec<Finding>) {
    if state.stopped {
        findings.push(Finding::bad(
            "delivery",
            "the orchestrator answered 410: nothing is sent any more",
            "check the address; `patchctl events flush --resume` tries again",
        ));
    } else if state.failures > 0 {
        let wait = (state.next_try - crate::store::now()).max(0) / 1000;
        let error = state.last_error.as_deref().unwrap_or("unknown");
        findings.push(Finding::odd(
            "delivery",
            format!(
                "{} failures in a row, last: {error}; next try in {wait} s",
                state.failures
            ),
            "the next edit or flush after that tries again; `patchctl events flush --resume` does at once",
        ));
    } else if let Some(at) = state.last_success {
        let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
        findings.push(Finding::good(
            "delivery",
            format!("last answered at {at:.0}"),
        ));
    }
}
