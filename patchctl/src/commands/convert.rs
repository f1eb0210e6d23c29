//! `convert`: a patch of any format as a batch or a unified diff.

use std::io::Write as _;

use patchcore::dialect::{check_representable_as_diff, to_batch};
use patchcore::diff::DiffOptions;
use patchcore::plan::{Script, plan};
use patchcore::report::Mode;
use patchcore::{Code, Refusal, Report};

use super::edit;
use crate::cli::Cli;
use crate::cli::convert::{ConvertArgs, Target};
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::diff::DiffOutput;
use crate::report::{self, Context, printable_json};

/// `convert`.
pub(crate) fn run(cli: &Cli, args: &ConvertArgs, context: &Context) -> Result<Exit, Failure> {
    edit::with_input(cli, &args.input, &args.policy, context, |place, script| {
        convert(place, script, args, context)
    })
}

fn convert(
    place: &Location,
    script: &dyn Script,
    args: &ConvertArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let policy = edit::policy(&args.policy)?;
    let tree = place.open()?.load(&script.paths())?;
    let batch = script.lower(&tree)?.batch;
    let plan = plan(&batch, &tree, &policy);
    if plan
        .verdicts
        .iter()
        .any(|verdict| verdict.refusal.is_some())
    {
        let report = Report::of(&batch, &plan, Mode::Preview);
        let details = report::edit::Details {
            batch: Some(&batch),
            plan: &plan,
            diff: false,
        };
        report::edit::print(&report, &details, context)?;
        return Ok(Exit::of_report(&report, &plan, false));
    }
    match args.to {
        Target::Batch => {
            let converted = to_batch(&plan, &tree, &policy)?;
            let json = serde_json::to_string_pretty(&converted)
                .map_err(|error| Refusal::new(Code::InvalidBatch, error.to_string()))?;
            writeln!(context.stdout(), "{}", printable_json(&json)).map_err(Failure::Output)?;
        }
        Target::UnifiedDiff => {
            check_representable_as_diff(&plan)?;
            let mut out = DiffOutput::new(context);
            plan.write_diff(&DiffOptions::default(), &mut out)
                .map_err(Failure::Output)?;
            out.finish(&[])?;
        }
    }
    Ok(Exit::Done)
}
