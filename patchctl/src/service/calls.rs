//! The calls: what they take, and the request that each becomes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use patchcore::dialect::Dialect;
use patchcore::operation::Labels;
use patchcore::plan::Part;
use patchcore::plan::{Labelled, Script};
use patchcore::workspace::Log;
use patchcore::workspace::record::TransactionState;
use patchcore::{Code, Digest, Refusal, RelPath, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Interrupt, Service};
use crate::cli::dialect::DialectOptions;
use crate::cli::edit::{PolicyArgs, ShowArgs};
use crate::cli::log::HistoryArgs;
use crate::cli::placeholder::{ScanArgs, SyntaxArgs, WalkArgs};
use crate::cli::task::{AskArgs, ClosingArgs, CompleteArgs, HelpArgs, ListArgs, TellArgs};
use crate::commands::edit::{self, Request};
#[cfg(feature = "serve")]
use crate::commands::manifest;
use crate::commands::{log, scan, task};
use crate::exit::{Exit, Failure};
use crate::report;

/// Most placeholders or tasks in one answer, unless the caller says otherwise.
const MOST: usize = 200;

/// Most events or batches in one answer.
pub(crate) const MAX_ENTRIES: usize = 1000;
/// Most placeholders or tasks in one answer.
pub(crate) const MAX_FOUND: usize = 10_000;
/// How far a task can be.
pub(crate) const STATUSES: [&str; 4] = ["pending", "in_progress", "complete", "blocked"];

/// How many are wanted in one answer.
///
/// # Errors
/// Where that is none, or more than the most.
pub(crate) fn limit(limit: Option<usize>, default: usize, most: usize) -> Result<usize, Failure> {
    match limit {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(Failure::Usage(format!(
            "`limit` is from 1 to {most}, not {limit}"
        ))),
    }
}

/// Refuses what is given and empty: it would be taken for something, or for nothing, without a
/// word.
fn not_empty<'a>(
    given: impl IntoIterator<Item = (&'static str, &'a Option<String>)>,
) -> Result<(), Failure> {
    for (name, value) in given {
        if value.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::Usage(format!("`{name}` is never empty")));
        }
    }
    Ok(())
}

/// Lines shown on either side of a placeholder.
const CONTEXT: u64 = 10;

/// How a batch or patch is applied or checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edit {
    /// Only show what would be done.
    pub(crate) preview: bool,
    /// The format; `None` has it detected.
    pub(crate) dialect: Option<Dialect>,
    /// The file to patch, where the patch names none.
    pub(crate) file: Option<String>,
    /// The task that the work belongs to, unless the operator names one.
    pub(crate) task_id: Option<String>,
    /// The batch's id where the input has none; another than its own is refused.
    pub(crate) batch_id: Option<String>,
    /// The only plan that is carried out, as `check` showed it.
    pub(crate) plan: Option<Digest>,
    /// Hashes that files must have.
    pub(crate) bases: BTreeMap<RelPath, Digest>,
    /// Whether the answer has the diff.
    pub(crate) diff: bool,
}

/// Files to read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    pub(crate) file: String,
    /// First and last line, from 1.
    #[serde(default)]
    pub(crate) lines: Option<[u64; 2]>,
    /// The id of a placeholder to show the surroundings of.
    #[serde(default)]
    pub(crate) around: Option<String>,
}

/// What of the history is listed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    pub(crate) limit: Option<usize>,
    /// Refused and replayed batches, too.
    pub(crate) all: bool,
}

/// Where placeholders are looked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scan {
    /// Files and directories, relative to the root; none for the whole tree.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) limit: Option<usize>,
}

/// Which tasks are listed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tasks {
    pub(crate) status: Vec<String>,
    pub(crate) order_id: Option<String>,
    pub(crate) limit: Option<usize>,
}

/// A question to the orchestrator, about a task or an order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) question: String,
    #[serde(default)]
    pub(crate) task_id: Option<String>,
    #[serde(default)]
    pub(crate) order_id: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// A list of which a part is left out.
#[derive(Serialize)]
struct Cut<'a, T> {
    #[serde(flatten)]
    list: T,
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Service {
    /// `apply` and `check`.
    pub(crate) fn edit(&self, input: &[u8], call: &Edit, interrupt: &Interrupt) -> Answer {
        // An empty id of the batch is refused with the batch.
        not_empty([("file", &call.file), ("task_id", &call.task_id)])
            .and_then(|()| self.enter(interrupt))
            .and_then(|()| self.try_edit(input, call, interrupt))
            .unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    fn try_edit(
        &self,
        input: &[u8],
        call: &Edit,
        interrupt: &Interrupt,
    ) -> Result<Answer, Failure> {
        let policy = PolicyArgs {
            plan: call.plan,
            ..self.args.policy.clone()
        };
        let show = ShowArgs {
            no_diff: !call.diff,
        };
        let request = self.request(&policy, &show, call.preview, interrupt);
        let dialect = DialectOptions {
            dialect: call.dialect,
            strict: self.args.strict,
            file: call.file.clone(),
            ..DialectOptions::default()
        };
        let of_call = Labels {
            task_id: call.task_id.clone(),
            ..Labels::default()
        };
        let input = edit::Input {
            bytes: input,
            dialect: dialect.resolve(Some(&self.place.root))?,
            labels: of_call,
            batch_id: None,
            bases: call.bases.clone(),
            is_last: false,
        };
        let done = edit::with_script(input, &policy, |script| {
            let own = script.as_batch().and_then(|batch| batch.id.as_deref());
            if let (Some(id), Some(own)) = (&call.batch_id, own)
                && own != id
            {
                let message = format!("the call names the batch {id:?}, and the batch {own:?}");
                return Err(Refusal::new(Code::InvalidBatch, message).into());
            }
            let id = call.batch_id.clone().filter(|_| own.is_none());
            if id.is_none() && self.labels == Labels::default() {
                return self.carry_out(script, &request);
            }
            let script = Labelled::new(script, self.labels.clone(), id);
            self.carry_out(&script, &request)
        })?;
        Ok(done.unwrap_or_else(|fault| {
            Answer::of_report(Exit::of(fault.code), &Report::faulty(&fault))
        }))
    }

    fn carry_out(&self, script: &dyn Script, request: &Request<'_>) -> Result<Answer, Failure> {
        let done = edit::carry_out(&self.place, script, request)?;
        answer(&done, request)
    }

    fn request<'a>(
        &'a self,
        policy: &'a PolicyArgs,
        show: &'a ShowArgs,
        preview: bool,
        interrupt: &Interrupt,
    ) -> Request<'a> {
        Request {
            policy,
            commit: Some(&self.args.commit),
            show,
            preview,
            detailed_exitcode: false,
            again: false,
            interrupt: Some(interrupt.0.clone()),
        }
    }

    /// `undo`: of a batch, or of the last one of the server's agent. Where the server has an agent,
    /// only its batches are taken back; where it has none, no batch of an agent's is unless it is
    /// named.
    pub(crate) fn undo(&self, batch: Option<&str>, diff: bool, interrupt: &Interrupt) -> Answer {
        let undo = || {
            not_empty([("batch_id", &batch.map(str::to_owned))])?;
            self.enter(interrupt)?;
            let log = self.place.open()?.log()?;
            let agent = self.labels.agent.as_deref();
            let batch = match batch {
                None => last_of(&log, agent)?,
                Some(name) => own(&log, name, agent)?,
            };
            let policy = PolicyArgs {
                allow_path: self.args.policy.allow_path.clone(),
                protect: self.args.policy.protect.clone(),
                replace: self.args.policy.replace.clone(),
                ..PolicyArgs::default()
            };
            let show = ShowArgs { no_diff: !diff };
            let request = self.request(&policy, &show, false, interrupt);
            let done = log::take_back(&self.place, Some(&batch), &request)?;
            answer(&done, &request)
        };
        undo().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `read`.
    pub(crate) fn read(&self, call: &Read) -> Answer {
        let read = || -> Result<Answer, Failure> {
            not_empty([("around", &call.around)])?;
            let part = match (call.lines, &call.around) {
                (None, None) => Part::Whole,
                (Some([first, last]), None) => Part::Lines(first, last),
                (None, Some(placeholder)) => Part::Around {
                    placeholder: placeholder.clone(),
                    context: CONTEXT,
                },
                (Some(_), Some(_)) => {
                    let message = "`lines` and `around` cannot be combined";
                    return Err(Failure::Usage(message.to_owned()));
                }
            };
            let agent = self.labels.agent.as_deref().unwrap_or_default();
            let wanted = vec![(RelPath::new(&call.file)?, part)];
            let wait = self.args.commit.lock_wait;
            let read = self.place.open()?.read(wanted, agent, wait)?;
            let refusal = read.files.iter().find_map(|file| file.excerpt().err());
            Ok(match refusal {
                Some(refusal) => Answer {
                    code: Some(refusal.code),
                    ..Answer::of(Exit::of(refusal.code), &read.report())
                },
                None => Answer::of(Exit::Done, &read.report()),
            })
        };
        read().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `history`.
    pub(crate) fn history(&self, call: &History) -> Answer {
        let history = || -> Result<Answer, Failure> {
            let args = HistoryArgs {
                limit: limit(call.limit, 20, MAX_ENTRIES)?,
                all: call.all,
                replay: None,
            };
            let mut entries = Vec::new();
            log::each_entry(&self.place, &args, &mut |entry| {
                entries.push(match entry {
                    log::Entry::Record(record, undone_by) => {
                        report::log::entry_json(&record, undone_by)
                    }
                    log::Entry::Damaged(transaction, error) => {
                        report::log::damaged_json(&transaction, &error)
                    }
                });
                Ok(())
            })?;
            Ok(Answer::of(
                Exit::Done,
                &serde_json::json!({ "entries": entries }),
            ))
        };
        history().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `scan`.
    pub(crate) fn scan(&self, call: &Scan) -> Answer {
        #[derive(Serialize)]
        struct Placeholders<'a> {
            placeholders: &'a [report::placeholder::Hit],
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            missing: &'a [String],
        }
        let scan = || -> Result<Answer, Failure> {
            let most = limit(call.limit, MOST, MAX_FOUND)?;
            if call.paths.iter().any(|path| path.as_os_str().is_empty()) {
                return Err(Failure::Usage("no path is empty".to_owned()));
            }
            let args = ScanArgs {
                walk: WalkArgs {
                    paths: call.paths.clone(),
                    ..WalkArgs::default()
                },
                syntax: SyntaxArgs::default(),
                ids: None,
                payload: None,
            };
            let found = scan::find(&self.place, &args, None)?;
            let shown = most.min(found.hits.len());
            let unread = found.walked.failures.iter();
            let warnings: Vec<String> = unread.map(ToString::to_string).collect();
            let list = Placeholders {
                placeholders: &found.hits[..shown],
                missing: &found.missing,
            };
            let cut = Cut {
                list,
                left_out: found.hits.len() - shown,
                warnings: &warnings,
            };
            Ok(Answer::of(scan::unread(&found.walked), &cut))
        };
        scan().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `task list`.
    pub(crate) fn tasks(&self, call: &Tasks) -> Answer {
        #[derive(Serialize)]
        struct List<'a> {
            tasks: &'a [patchcore::task::Task],
        }
        let tasks = || -> Result<Answer, Failure> {
            let most = limit(call.limit, MOST, MAX_FOUND)?;
            not_empty([("order_id", &call.order_id)])?;
            let is_unknown = |status: &&String| !STATUSES.contains(&status.as_str());
            if let Some(status) = call.status.iter().find(is_unknown) {
                let known = STATUSES.join(", ");
                let message = format!("`status` is one of {known}, not {status:?}");
                return Err(Failure::Usage(message));
            }
            let args = ListArgs {
                status: call.status.clone(),
                order_id: call.order_id.clone(),
            };
            let tasks = task::select(&self.place, &args)?;
            let shown = most.min(tasks.len());
            let cut = Cut {
                list: List {
                    tasks: &tasks[..shown],
                },
                left_out: tasks.len() - shown,
                warnings: &[],
            };
            Ok(Answer::of(Exit::Done, &cut))
        };
        tasks().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `task get`.
    #[cfg(feature = "serve")]
    pub(crate) fn task(&self, uuid: &str) -> Answer {
        let task = || -> Result<Answer, Failure> {
            let manifest = manifest::read(&self.place)?;
            Ok(Answer::of(Exit::Done, manifest.require(uuid)?))
        };
        task().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `task complete`.
    pub(crate) fn task_done(&self, uuid: &str) -> Answer {
        let done = || -> Result<Answer, Failure> {
            let delivery = &self.args.commit.delivery;
            let args = CompleteArgs {
                uuid: uuid.to_owned(),
                closing: ClosingArgs {
                    force: false,
                    syntax: SyntaxArgs::default(),
                    tell: TellArgs {
                        require_delivery: delivery.require_delivery,
                        connection: delivery.connection.clone(),
                    },
                },
            };
            not_empty([("task_id", &Some(uuid.to_owned()))])?;
            let changed = task::complete(&self.place, &args)?;
            let mut body = serde_json::json!({ "uuid": changed.uuid, "status": changed.status });
            if !changed.warnings.is_empty() {
                body["warnings"] = changed.warnings.into();
            }
            Ok(Answer::of(changed.exit, &body))
        };
        done().unwrap_or_else(|failure| Answer::of_failure(&failure))
    }

    /// `task ask`, or `ask` where no task is named.
    pub(crate) fn ask(&self, call: &Ask) -> Answer {
        let connection = self.args.commit.delivery.connection.clone();
        let ask = || -> Result<Value, Failure> {
            let question = Some(call.question.clone());
            not_empty([
                ("question", &question),
                ("task_id", &call.task_id),
                ("order_id", &call.order_id),
                ("error", &call.error),
            ])?;
            let unused = match (&call.task_id, &call.order_id, &call.error) {
                (Some(_), Some(_), _) => Some("order_id"),
                (None, _, Some(_)) => Some("error"),
                _ => None,
            };
            if let Some(name) = unused {
                let task = call.task_id.as_ref().map_or("without", |_| "with");
                let message = format!("`{name}` cannot be given {task} `task_id`");
                return Err(Failure::Usage(message));
            }
            let order_id = call.order_id.as_ref().or(self.labels.order_id.as_ref());
            match (&call.task_id, order_id) {
                (Some(uuid), _) => {
                    let agent = self.labels.agent.as_deref().unwrap_or("patchctl");
                    let args = HelpArgs {
                        uuid: uuid.clone(),
                        question: call.question.clone(),
                        error: call.error.clone(),
                        agent: agent.to_owned(),
                        connection,
                    };
                    task::help(&self.place, &args)
                }
                (None, Some(order_id)) => {
                    let args = AskArgs {
                        order_id: order_id.clone(),
                        question: call.question.clone(),
                        context: None,
                        retries: 0,
                        connection,
                    };
                    task::clarification(&args, &mut |_| {})
                }
                (None, None) => Err(Failure::Usage(
                    "a question is about a task or an order: name `task_id` or `order_id`"
                        .to_owned(),
                )),
            }
        };
        match ask() {
            Ok(answer) => Answer::of(Exit::Done, &answer),
            Err(failure) => Answer::of_failure(&failure),
        }
    }
}

fn answer(done: &edit::Done<'_>, request: &Request<'_>) -> Result<Answer, Failure> {
    let report = report::edit::whole(&done.applied.report, &done.details(request));
    let mut report = report.map_err(Failure::Output)?;
    report.warnings.extend(done.warnings.iter().cloned());
    Ok(Answer::of_report(done.exit, &report))
}

/// A batch, unless the server has an agent and the batch is another's.
fn own(log: &Log, name: &str, agent: Option<&str>) -> Result<String, Failure> {
    let transaction = log.find(name)?;
    let record = match &transaction {
        Some(transaction) => log.read(transaction)?,
        None => None,
    };
    let Some(record) = record else {
        // Taking it back says what is wrong.
        return Ok(name.to_owned());
    };
    let of = record.labels.agent.as_deref();
    if agent.is_some_and(|agent| of != Some(agent)) {
        let of = of.map_or("no agent".to_owned(), |of| format!("the agent {of:?}"));
        let message = format!(
            "batch {name:?} was made by {of}; this server takes back only batches of its own agent"
        );
        return Err(Refusal::new(Code::InvalidBatch, message).into());
    }
    Ok(record.transaction.to_string())
}

/// The last batch of an agent's, or of none, that is neither undone nor an undo itself.
fn last_of(log: &Log, agent: Option<&str>) -> Result<String, Failure> {
    for transaction in log.transactions()?.into_iter().rev() {
        if let Some(record) = log.read(&transaction)?
            && record.labels.agent.as_deref() == agent
            && record.state == TransactionState::Committed
            && !record.changes.is_empty()
            && record.undoes.is_none()
            && log.undone_by(&transaction)?.is_none()
        {
            return Ok(transaction.to_string());
        }
    }
    let message = match agent {
        Some(agent) => format!("the log has no batch of the agent {agent:?} that could be undone"),
        None => "the log has no batch that could be undone and that no agent made; name one with \
                 batch_id"
            .to_owned(),
    };
    Err(Refusal::new(Code::InvalidBatch, message).into())
}
