//! A tree whose log is written by hand, so that delivery can be tested without edits.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use patchcore::event;
use patchcore::operation::Labels;
use patchcore::plan::{Outcome, Verdict};
use patchcore::report::Status;
use patchcore::workspace::record::{Record, TransactionState};
use patchcore::workspace::{TransactionId, Workspace};
use patchcore::{Digest, Refusal};
use serde_json::Value;
use tempfile::TempDir;

/// A root with a log.
pub(crate) struct Hand {
    dir: TempDir,
}

/// A secret as operators set it.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Hand {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(".mission_control/log");
        std::fs::create_dir_all(&log).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(log, private).unwrap();
        Self { dir }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Adds a batch of so many appends to the log.
    pub(crate) fn batch(&self, operations: usize) -> Record {
        let record = record(operations);
        self.add(&record);
        record
    }

    pub(crate) fn add(&self, record: &Record) {
        let name = record.transaction.to_string();
        let path = self.root().join(".mission_control/log").join(name);
        let workspace = Workspace::open(self.root()).unwrap();
        let key = workspace.make_key(Duration::from_secs(30)).unwrap();
        std::fs::write(path, record.to_bytes(Some(&key))).unwrap();
    }

    /// The program in this root, without anything of the caller's environment that matters to it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
        command.args(arguments).current_dir(self.root());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("ORCHESTRATOR") || name.to_ascii_lowercase().contains("proxy") {
                command.env_remove(&*name);
            }
        }
        command.env_remove("TRACEPARENT");
        command
    }

    /// Runs it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Delivers to a URL, quickly again after failures, for at most half a minute.
    pub(crate) fn flush(&self, url: &str, more: &[&str]) -> Ran {
        let mut arguments = vec![
            "events",
            "flush",
            "--output",
            "json",
            "--orchestrator",
            url,
            "--wait",
            "30s",
            "--backoff-min",
            "1ms",
            "--backoff-max",
            "20ms",
        ];
        arguments.extend_from_slice(more);
        self.run(&arguments)
    }

    /// One attempt to deliver.
    pub(crate) fn try_once(&self, url: &str) -> Ran {
        self.run(&["events", "flush", "--output", "json", "--orchestrator", url])
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as lines of JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap();
        self.out.lines().map(parse).collect()
    }
}

/// A committed batch of so many appends.
pub(crate) fn record(operations: usize) -> Record {
    let operation = |n: usize| Verdict {
        op: "append".into(),
        file: format!("src/{}.txt", n % 7),
        outcome: Outcome::Applied,
        lines: None,
        guarded: true,
        note: None,
        matched: None,
        rebased: None,
        refusal: None,
        allow: patchcore::operation::Allowances::default(),
        labels: None,
    };
    let transaction = TransactionId::now();
    Record {
        version: 1,
        transaction,
        batch_id: format!("b-{transaction}"),
        content: Digest::of(b"content"),
        request: None,
        labels: Labels::default(),
        state: TransactionState::Committed,
        status: Status::Applied,
        plan: Digest::of(b"plan"),
        at: jiff::Timestamp::now().to_string(),
        duration_ms: 1,
        overrides: Default::default(),
        refusal: None,
        previous: None,
        undoes: None,
        undoes_batch: None,
        redoes: None,
        undoes_also: Vec::new(),
        redoes_also: Vec::new(),
        command: None,
        operations: (0..operations).map(operation).collect(),
        changes: Vec::new(),
        journal: Default::default(),
    }
}

/// A batch that was refused.
pub(crate) fn refused(code: patchcore::Code) -> Record {
    let mut record = record(1);
    record.state = TransactionState::Refused;
    record.status = Status::Refused;
    record.operations[0].outcome = Outcome::Refused;
    record.operations[0].refusal = Some(Refusal::new(code, "told to refuse").into());
    record
}

/// The ids of all events of a record, in order.
pub(crate) fn ids(record: &Record) -> Vec<String> {
    event::events(record).map(|event| event.event_id).collect()
}
