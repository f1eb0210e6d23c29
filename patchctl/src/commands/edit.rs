//! `apply`, `check` and every other command that plans edits: one way through.

use std::path::Path;

use patchcore::batch::{self, Limits};
use patchcore::dialect::{self, Dialect};
use patchcore::plan::Script;
use patchcore::workspace::{ApplyOptions, Verify};
use patchcore::{Error, Policy, RelPath};

use super::place::Place;
use crate::cli::Cli;
use crate::cli::edit::{ApplyArgs, CheckArgs, CommitArgs, InputArgs, PolicyArgs, ShowArgs};
use crate::exit::{Exit, Failure};
use crate::report::{self, Context};

/// What to do with a script.
pub(crate) struct Request<'a> {
    pub(crate) policy: &'a PolicyArgs,
    pub(crate) commit: &'a CommitArgs,
    pub(crate) show: &'a ShowArgs,
    /// Only show what would be done.
    pub(crate) preview: bool,
    pub(crate) detailed_exitcode: bool,
}

/// `apply`.
pub(crate) fn apply(cli: &Cli, args: &ApplyArgs, context: &Context) -> Result<Exit, Failure> {
    let request = Request {
        policy: &args.policy,
        commit: &args.commit,
        show: &args.show,
        preview: args.dry_run,
        detailed_exitcode: false,
    };
    with_input(cli, &args.input, context, |place, script| {
        run(place, script, &request, context)
    })
}

/// `check`.
pub(crate) fn check(cli: &Cli, args: &CheckArgs, context: &Context) -> Result<Exit, Failure> {
    let request = Request {
        policy: &args.policy,
        commit: &CommitArgs::default(),
        show: &args.show,
        preview: true,
        detailed_exitcode: args.detailed_exitcode,
    };
    with_input(cli, &args.input, context, |place, script| {
        run(place, script, &request, context)
    })
}

/// Reads the batch or patch, and goes on with it.
pub(crate) fn with_input(
    cli: &Cli,
    input: &InputArgs,
    context: &Context,
    go_on: impl FnOnce(&Place, &dyn Script) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let place = Place::of(&cli.global)?;
    let (name, bytes) = read_input(input.batch.as_deref())?;
    let options = input.dialect.resolve(Some(&place.root))?;
    let dialect = match options.dialect {
        Some(dialect) => dialect,
        None => dialect::detect(&bytes)?,
    };
    if dialect == Dialect::Batch {
        return match batch::parse(&bytes, &Limits::default()) {
            Ok(batch) => go_on(&place, &batch),
            Err(fault) => Ok(report::input_fault(&fault, &name, &bytes, context)),
        };
    }
    go_on(&place, &dialect::parse(&bytes, &options)?)
}

/// The bytes of a file or of standard input, within the limit, and a name for messages.
fn read_input(path: Option<&Path>) -> Result<(String, Vec<u8>), Failure> {
    let limits = Limits::default();
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path).map_err(|error| Error::io("read", path, error))?;
            let bytes = limits.read(file, &name)?;
            Ok((name, bytes))
        }
        None => {
            let name = "standard input".to_owned();
            let bytes = limits.read(std::io::stdin().lock(), &name)?;
            Ok((name, bytes))
        }
    }
}

/// Plans a script, carries it out unless it is to be previewed, and reports.
pub(crate) fn run(
    place: &Place,
    script: &dyn Script,
    request: &Request<'_>,
    context: &Context,
) -> Result<Exit, Failure> {
    let workspace = place.open()?;
    let options = options(request)?;
    let tree = workspace.load(&script.paths())?;
    let batch = script.lower(&tree)?;
    let plan = patchcore::plan::plan(&batch, &tree, &options.policy);
    let report = patchcore::Report::of(&batch, &plan, patchcore::report::Mode::Preview);
    let details = report::edit::Details {
        batch: &batch,
        plan: &plan,
        diff: !request.show.no_diff,
    };
    report::edit::print(&report, &details, request.detailed_exitcode, context)
}

fn options(request: &Request<'_>) -> Result<ApplyOptions<'static>, Failure> {
    let PolicyArgs {
        plan,
        break_hard_links,
        force_read_only,
        allow_owner_change,
        ..
    } = request.policy.clone();
    let verify = request.commit.verify.as_ref().map(|command| Verify {
        limit: request.commit.verify_timeout,
        ..Verify::new(command)
    });
    Ok(ApplyOptions {
        policy: policy(request.policy)?,
        durable: request.commit.durable,
        verify,
        expected_plan: plan,
        lock_wait: request.commit.lock_wait,
        break_hard_links,
        force_read_only,
        allow_owner_change,
        ..ApplyOptions::default()
    })
}

/// What the operator lets pass when a batch is planned.
pub(crate) fn policy(args: &PolicyArgs) -> Result<Policy, Failure> {
    let mut policy = Policy::default();
    policy.allow_unguarded = args.allow_unguarded;
    policy.allow_binary = args.allow_binary;
    policy.partial = args.partial;
    policy.allow_paths = args
        .allow_path
        .iter()
        .map(RelPath::new)
        .collect::<Result<_, _>>()?;
    Ok(policy)
}
