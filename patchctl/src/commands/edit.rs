//! `apply`, `check` and every other command that plans edits: one way through.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use patchcore::batch::{self, Diagnostic, Limits};
use patchcore::dialect::{self, Dialect};
use patchcore::event;
use patchcore::operation::Labels;
use patchcore::path::Protect;
use patchcore::plan::{Labelled, Script};
use patchcore::task::Rules;
use patchcore::workspace::{Applied, ApplyOptions, LOCK_WAIT, Verify};
use patchcore::{Digest, Error, Policy, Refusal, RelPath};

use crate::cli::edit::{
    ApplyArgs, CheckArgs, CommitArgs, EditArgs, InputArgs, PolicyArgs, ReplaceArgs, ShowArgs,
};
use crate::cli::{Cli, Output, labels};
use crate::delivery;
use crate::exit::{Exit, Failure};
use crate::orchestrator::Config;
use crate::place::Location;
use crate::redact;
use crate::report::edit::Details;
use crate::report::read::Form;
use crate::report::{self, Context};

/// What to do with a script.
pub(crate) struct Request<'a> {
    pub(crate) policy: &'a PolicyArgs,
    /// How it is committed; `None` for a preview, and for the defaults without an orchestrator.
    pub(crate) commit: Option<&'a CommitArgs>,
    pub(crate) show: &'a ShowArgs,
    /// Only show what would be done.
    pub(crate) preview: bool,
    pub(crate) detailed_exitcode: bool,
    /// Apply input without an id also where it was applied already.
    pub(crate) again: bool,
    /// Set by a caller to end a verification command early; without one, signals do.
    pub(crate) interrupt: Option<Arc<AtomicBool>>,
}

impl<'a> Request<'a> {
    /// What the arguments of a command that edits ask for.
    pub(crate) fn of(args: &'a EditArgs) -> Self {
        Self {
            policy: &args.policy,
            commit: Some(&args.commit),
            show: &args.show,
            preview: args.dry_run,
            detailed_exitcode: false,
            again: false,
            interrupt: None,
        }
    }

    /// How it is committed, in full.
    pub(crate) fn options<'o>(&self, place: &Location) -> Result<ApplyOptions<'o>, Failure> {
        let mut options = options(place, self.policy, self.commit)?;
        options.again = self.again;
        if let Some(interrupt) = &self.interrupt {
            options.interrupt = Some(interrupt.clone());
        } else if options.verify.is_some() {
            // Whoever stops us shall stop the command, too.
            let interrupt = interrupt()
                .map_err(|error| Error::io("handle signals of", "this process", error))?;
            options.interrupt = Some(interrupt);
        }
        Ok(options)
    }
}

/// `apply`.
pub(crate) fn apply(cli: &Cli, args: &ApplyArgs, context: &Context) -> Result<Exit, Failure> {
    let request = Request {
        again: args.input.again,
        ..Request::of(&args.edit)
    };
    with_input(
        cli,
        &args.input,
        request.policy,
        context,
        |place, script| run(place, script, &request, context),
    )
}

/// `check`.
pub(crate) fn check(cli: &Cli, args: &CheckArgs, context: &Context) -> Result<Exit, Failure> {
    let commit = CommitArgs::with_delivery(args.delivery.clone());
    let request = Request {
        policy: &args.policy,
        commit: Some(&commit),
        show: &args.show,
        preview: true,
        detailed_exitcode: args.detailed_exitcode,
        again: args.input.again,
        interrupt: None,
    };
    with_input(cli, &args.input, &args.policy, context, |place, script| {
        run(place, script, &request, context)
    })
}

/// Reads the batch or patch, and goes on with it.
pub(crate) fn with_input(
    cli: &Cli,
    args: &InputArgs,
    policy: &PolicyArgs,
    context: &Context,
    then: impl FnOnce(&Location, &dyn Script) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let place = Location::of(&cli.global)?;
    let (name, bytes) = read_input(args.batch.as_deref())?;
    let input = Input {
        bytes: &bytes,
        dialect: args.dialect.resolve(Some(&place.root))?,
        labels: args.labels.labels()?,
        batch_id: args.labels.batch_id()?,
        bases: BTreeMap::new(),
        is_last: true,
    };
    match with_script(input, policy, |script| then(&place, script))? {
        Ok(exit) => Ok(exit),
        Err(fault) => Ok(report::input_fault(&fault, &name, &bytes, context)),
    }
}

/// A batch or patch as it came, and what the operator says about it.
pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) dialect: dialect::Options,
    /// Labels that go before the input's own.
    pub(crate) labels: Labels,
    pub(crate) batch_id: Option<String>,
    /// Hashes that files must have, where the input does not say so itself.
    pub(crate) bases: BTreeMap<RelPath, Digest>,
    /// Whether the process ends when this is done.
    pub(crate) is_last: bool,
}

/// Parses a batch or patch, and goes on with it; `Err` says where it cannot be read.
pub(crate) fn with_script<T>(
    input: Input<'_>,
    policy: &PolicyArgs,
    then: impl FnOnce(&dyn Script) -> Result<T, Failure>,
) -> Result<Result<T, Diagnostic>, Failure> {
    let Input {
        bytes,
        dialect: mut options,
        labels,
        batch_id,
        bases,
        is_last: input_is_last,
    } = input;
    let is_plain = batch_id.is_none() && labels == Labels::default() && bases.is_empty();
    let then = |script: &dyn Script| match is_plain {
        true => then(script),
        false => then(&Labelled::new(script, labels, batch_id).with_bases(bases)),
    };
    options.allow_omission = policy.allow_omission;
    options.forbid_omission = forbids_omission(policy);
    options.max_growth = policy.max_growth;
    let dialect = match options.dialect {
        Some(dialect) => dialect,
        None => dialect::detect(bytes)?,
    };
    if dialect == Dialect::Batch {
        return match batch::parse(bytes, &Limits::default()) {
            Ok(batch) => {
                options.check(dialect, &batch)?;
                let done = then(&batch);
                if input_is_last {
                    // Its memory need not be given back piece by piece.
                    std::mem::forget(batch);
                }
                done.map(Ok)
            }
            Err(fault) => Ok(Err(fault)),
        };
    }
    options.dialect = Some(dialect);
    match dialect::parse(bytes, &options) {
        Ok(script) => then(&script).map(Ok),
        Err(unread) => match unread.diagnostic() {
            Some(fault) => Ok(Err(fault.clone())),
            None => Err(Refusal::from(unread).into()),
        },
    }
}

/// The bytes of a file or of standard input, within the limit, and a name for messages.
fn read_input(path: Option<&Path>) -> Result<(String, Vec<u8>), Failure> {
    let limits = Limits::default();
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Error::io("read", path, error))?;
            let len = regular_len(&file);
            let bytes = limits.read_sized(file, &name, len)?;
            Ok((name, bytes))
        }
        None => {
            let name = "standard input".to_owned();
            let input = std::io::stdin().lock();
            let file = std::os::fd::AsFd::as_fd(&input)
                .try_clone_to_owned()
                .map(File::from);
            let len = file.ok().as_ref().and_then(regular_len);
            let bytes = limits.read_sized(input, &name, len)?;
            Ok((name, bytes))
        }
    }
}

/// The length of a regular file; that of anything else says nothing.
fn regular_len(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Plans a script, carries it out unless it is to be previewed, and reports.
pub(crate) fn run(
    place: &Location,
    script: &dyn Script,
    request: &Request<'_>,
    context: &Context,
) -> Result<Exit, Failure> {
    let done = carry_out(place, script, request)?;
    let exit = present(&done, request, context);
    // The process is about to end: giving thousands of files back piece by piece would only take
    // time.
    std::mem::forget(done);
    exit
}

/// Plans a script, and carries it out unless it is to be previewed: what every command that edits
/// does, and every call of a server.
pub(crate) fn carry_out<'s>(
    place: &Location,
    script: &'s dyn Script,
    request: &Request<'_>,
) -> Result<Done<'s>, Failure> {
    let workspace = place.open()?;
    let orchestrator = orchestrator(place, request)?;
    let mut options = request.options(place)?;
    let rules = rules(&options.policy, request.policy);
    options.review = Some(&rules);
    let applied = match request.preview {
        true => workspace.check(script, &options)?,
        false => workspace.apply(script, &options)?,
    };
    Ok(conclude(place, applied, request, orchestrator.as_ref()))
}

/// Where the events of a command that commits go.
pub(crate) fn orchestrator(
    place: &Location,
    request: &Request<'_>,
) -> Result<Option<Config>, Failure> {
    let told = |commit: &&CommitArgs| !request.preview || commit.delivery.preview_events;
    let orchestrator = match request.commit.filter(told) {
        Some(commit) => Config::resolve(&commit.delivery.connection)?,
        None => None,
    };
    if let Some(commit) = request.commit.filter(|_| !request.preview) {
        let (config, options) = (orchestrator.as_ref(), &commit.delivery);
        delivery::before_commit(place, config, options, commit.lock_wait)?;
    }
    Ok(orchestrator)
}

/// What came of a batch or an undo; nothing of it is printed yet.
pub(crate) struct Done<'a> {
    pub(crate) applied: Applied<'a>,
    /// How the command ends.
    pub(crate) exit: Exit,
    /// What people should know beside the report.
    pub(crate) warnings: Vec<String>,
}

impl Done<'_> {
    /// What the report is printed from.
    pub(crate) fn details(&self, request: &Request<'_>) -> Details<'_> {
        Details {
            // Guards are shown beside what was found.
            batch: self.applied.batch.as_deref(),
            plan: &self.applied.plan,
            diff: !request.show.no_diff,
        }
    }
}

/// Delivers the events of what was done.
pub(crate) fn conclude<'a>(
    place: &Location,
    applied: Applied<'a>,
    request: &Request<'_>,
    orchestrator: Option<&Config>,
) -> Done<'a> {
    let delivered = request.commit.map(|commit| {
        let options = &commit.delivery;
        if request.preview {
            let events = orchestrator.map(|_| event::events(&applied.record).collect::<Vec<_>>());
            let events = events.unwrap_or_default();
            let wait = commit.lock_wait;
            return delivery::after_preview(place, orchestrator, options, wait, &events);
        }
        let transaction = applied.report.transaction.as_deref();
        delivery::after_commit(place, orchestrator, options, transaction)
    });
    let mut exit = Exit::of_report(&applied.report, &applied.plan, request.detailed_exitcode);
    let mut warnings = Vec::new();
    if let Some(error) = &applied.unfinished {
        warnings.push(format!(
            "committed, but not cleaned up: {error}; the next run finishes it"
        ));
        exit = Exit::Code(4);
    } else if let Some((commit, delivered)) = request.commit.zip(delivered) {
        warnings = delivered.notes;
        if exit == Exit::Done && commit.delivery.require_delivery && !delivered.complete {
            warnings.push(
                "not all events are delivered yet; `patchctl events flush` goes on".to_owned(),
            );
            exit = Exit::Code(4);
        }
    }
    Done {
        applied,
        exit,
        warnings,
    }
}

/// Prints what was done, and tells how to exit.
pub(crate) fn present(
    done: &Done<'_>,
    request: &Request<'_>,
    context: &Context,
) -> Result<Exit, Failure> {
    report::edit::print(&done.applied.report, &done.details(request), context)?;
    if let (Some(read), Output::Human) = (&done.applied.read, context.output) {
        report::read::files(read, Form::Numbered, context)?;
    }
    for warning in &done.warnings {
        report::warn(warning, context);
    }
    Ok(done.exit)
}

/// How a batch is applied, from the command line.
pub(crate) fn options<'a>(
    place: &Location,
    policy_args: &PolicyArgs,
    commit: Option<&CommitArgs>,
) -> Result<ApplyOptions<'a>, Failure> {
    let ReplaceArgs {
        break_hard_links,
        force_read_only,
        allow_owner_change,
    } = policy_args.replace;
    let mut options = ApplyOptions {
        policy: policy(policy_args)?,
        expected_plan: policy_args.plan,
        break_hard_links,
        force_read_only,
        allow_owner_change,
        retention: Some(delivery::retention(
            place,
            commit.map_or(LOCK_WAIT, |commit| commit.lock_wait),
        )),
        ..ApplyOptions::default()
    };
    let Some(commit) = commit else {
        return Ok(options);
    };
    options.durable = commit.durable;
    options.lock_wait = commit.lock_wait;
    if let Some(command) = &commit.verify {
        options.verify = Some(Verify {
            limit: commit.verify_timeout,
            redact: Some(redact::text),
            ..Verify::new(command)
        });
        redact::close_environment()
            .map_err(|error| Error::io("hide the environment of", "this process", error))?;
    }
    Ok(options)
}

/// Set when a signal asks this process to end; registered once, however often it is asked for.
fn interrupt() -> std::io::Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut known = FLAG.lock().unwrap_or_else(|poison| poison.into_inner());
    if let Some(flag) = &*known {
        return Ok(flag.clone());
    }
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, flag.clone())?;
    }
    Ok(known.insert(flag).clone())
}

/// What the tasks demand of a batch.
pub(crate) fn rules(policy: &Policy, args: &PolicyArgs) -> Rules {
    let rules = Rules::new(policy.clone());
    match args.require_task {
        true => rules.require_task(),
        false => rules,
    }
}

/// Whether a variable of the environment switches something on.
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable)
        .is_some_and(|value| !value.is_empty() && value != "0" && value != "false")
}

/// Whether the sender of an operation may not let new lines pass that stand for left out code.
fn forbids_omission(args: &PolicyArgs) -> bool {
    args.forbid_omission || is_set("PATCHCTL_FORBID_OMISSION")
}

/// What the operator lets pass when a batch is planned.
pub(crate) fn policy(args: &PolicyArgs) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    policy.allow_unguarded = args.allow_unguarded || is_set("PATCHCTL_ALLOW_UNGUARDED");
    policy.allow_odd_names = args.allow_odd_names;
    policy.allow_binary = args.allow_binary;
    policy.allow_encoding_change = args.allow_encoding_change;
    policy.overwrite = args.overwrite;
    policy.allow_omission = args.allow_omission;
    policy.forbid_omission = forbids_omission(args);
    policy.partial = args.partial;
    policy.rebase = args.rebase || is_set("PATCHCTL_REBASE");
    policy.max_growth = args.max_growth.unwrap_or(policy.max_growth);
    policy.allow_paths = args
        .allow_path
        .iter()
        .map(RelPath::new)
        .collect::<Result<_, _>>()?;
    policy.protect = protect(&args.protect)?;
    Ok(policy)
}

/// What the operator protects, on the command line and by the environment.
///
/// # Errors
/// `Usage` for a variable that is not UTF-8: read otherwise, its globs would protect nothing.
pub(crate) fn protect(globs: &[String]) -> Result<Protect, Failure> {
    let variable = labels::text_of("PATCHCTL_PROTECT")?;
    let globs = globs.iter().chain(&variable);
    Ok(Protect::new(globs.flat_map(|globs| globs.split(','))))
}
