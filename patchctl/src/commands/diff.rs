//! `diff`: what a batch would change, or how two files or trees differ.

use std::path::Path;

use patchcore::Report;
use patchcore::diff::Options;
use patchcore::plan::{Script, plan};
use patchcore::report::Mode;
use patchcore::workspace::Comparison;

use super::edit;
use super::place::Place;
use crate::cli::diff::DiffArgs;
use crate::cli::{Cli, Output};
use crate::exit::{Exit, Failure};
use crate::report::diff::DiffOutput;
use crate::report::{self, Context};

/// `diff`.
pub(crate) fn run(cli: &Cli, args: &DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let mut options = Options::default();
    options.context = args.unified;
    match (&args.input.batch, &args.new) {
        (Some(old), Some(new)) => compare(old, new, options, args, context),
        _ => edit::with_input(cli, &args.input, &args.policy, context, |place, script| {
            of_script(place, script, &options, args, context)
        }),
    }
}

/// Differences between two files or two trees.
fn compare(
    old: &Path,
    new: &Path,
    options: Options,
    args: &DiffArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let mut comparison = Comparison::new(old, new, options)?;
    let mut out = DiffOutput::new(context);
    let mut differ = false;
    for diff in &mut comparison {
        differ = true;
        out.write(&diff?)?;
    }
    out.finish(comparison.skipped())?;
    Ok(exit(differ, args))
}

/// What a batch or patch would change.
fn of_script(
    place: &Place,
    script: &dyn Script,
    options: &Options,
    args: &DiffArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let policy = edit::policy(&args.policy)?;
    let tree = place.open()?.load(&script.paths())?;
    let batch = script.lower(&tree)?;
    let plan = plan(&batch, &tree, &policy);
    if context.output == Output::Human {
        let mut out = DiffOutput::new(context);
        plan.write_diff(options, &mut out)
            .map_err(Failure::Output)?;
        out.finish(&[])?;
    }
    let report = Report::of(&batch, &plan, Mode::Preview);
    let details = report::edit::Details {
        batch: Some(&batch),
        plan: &plan,
        diff: context.output == Output::Json,
    };
    // The diff says it all, but for refusals and warnings.
    let context = Context {
        verbosity: context.verbosity - 1,
        ..context.clone()
    };
    match report::edit::print(&report, &details, false, &context)? {
        Exit::Done => Ok(exit(!plan.changes.is_empty(), args)),
        refused => Ok(refused),
    }
}

fn exit(differ: bool, args: &DiffArgs) -> Exit {
    if differ && args.exit_code {
        Exit::Code(5)
    } else {
        Exit::Done
    }
}
