//! `diff`: what a batch would change, or how two files or trees differ.

use std::path::Path;

use patchcore::diff::DiffOptions;
use patchcore::plan::Script;
use patchcore::workspace::{Comparison, Preview};

use super::edit;
use crate::cli::diff::DiffArgs;
use crate::cli::{Cli, Output};
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::diff::DiffOutput;
use crate::report::{self, Context};

/// `diff`.
pub(crate) fn run(cli: &Cli, args: &DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let mut options = DiffOptions::default();
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
    options: DiffOptions,
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
    Ok(differing(differ, args))
}

/// What a batch or patch would change.
fn of_script(
    place: &Location,
    script: &dyn Script,
    options: &DiffOptions,
    args: &DiffArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let mut apply_options = edit::options(place, &args.policy, None)?;
    apply_options.again = args.input.again;
    let rules = edit::rules(&apply_options.policy, &args.policy);
    apply_options.review = Some(&rules);
    let preview = place.open()?.preview(script, &apply_options)?;
    let exit = if context.output == Output::Json {
        report(&preview, true, context)?
    } else {
        let mut out = DiffOutput::new(context);
        preview
            .plan
            .write_diff(options, &mut out)
            .map_err(Failure::Output)?;
        out.finish(&[])?;
        // The diff says it all, but for refusals.
        let context = Context {
            verbosity: context.verbosity - 1,
            ..context.clone()
        };
        match preview.has_refusal() {
            true => report(&preview, false, &context)?,
            false => Exit::Done,
        }
    };
    let exit = match exit {
        Exit::Done => differing(!preview.plan.changes.is_empty(), args),
        refused => refused,
    };
    // The process is about to end: large files need not be given back.
    std::mem::forget(preview);
    Ok(exit)
}

fn report(preview: &Preview<'_>, diff: bool, context: &Context) -> Result<Exit, Failure> {
    let details = report::edit::Details {
        batch: preview.batch.as_deref(),
        plan: &preview.plan,
        diff,
    };
    let report = preview.record().report();
    report::edit::print(&report, &details, context)?;
    Ok(Exit::of_report(&report, &preview.plan, false))
}

fn differing(differ: bool, args: &DiffArgs) -> Exit {
    if differ && args.exit_code {
        Exit::Code(5)
    } else {
        Exit::Done
    }
}
