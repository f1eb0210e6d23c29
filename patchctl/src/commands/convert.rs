//! `convert`: a patch of any format as a batch or a unified diff.

use std::fmt::Write as _;
use std::io::Write as _;

use patchcore::dialect::{check_sayable_as_diff, to_batch};
use patchcore::diff::Options;
use patchcore::plan::{Script, plan};
use patchcore::report::Mode;
use patchcore::{Code, Refusal, Report};

use super::edit;
use super::place::Place;
use crate::cli::Cli;
use crate::cli::convert::{ConvertArgs, Target};
use crate::exit::{Exit, Failure};
use crate::report::diff::DiffOutput;
use crate::report::{self, Context};

/// `convert`.
pub(crate) fn run(cli: &Cli, args: &ConvertArgs, context: &Context) -> Result<Exit, Failure> {
    edit::with_input(cli, &args.input, &args.policy, context, |place, script| {
        convert(place, script, args, context)
    })
}

fn convert(
    place: &Place,
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
        return report::edit::print(&report, &details, false, context);
    }
    match args.to {
        Target::Batch => {
            let converted = to_batch(&plan, &tree, &policy)?;
            let json = serde_json::to_string_pretty(&converted)
                .map_err(|error| Refusal::new(Code::InvalidBatch, error.to_string()))?;
            writeln!(context.stdout(), "{}", escaped(&json)).map_err(Failure::Output)?;
        }
        Target::UnifiedDiff => {
            check_sayable_as_diff(&plan)?;
            let mut out = DiffOutput::new(context);
            plan.write_diff(&Options::default(), &mut out)
                .map_err(Failure::Output)?;
            out.finish(&[])?;
        }
    }
    Ok(Exit::Done)
}

/// JSON in which nothing can act on a terminal: such characters stand as `\u` escapes, which mean
/// the same to every reader.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if report::printable(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8() {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn escaped_json_means_the_same() {
        let text = "\"a\u{202e}b\u{9b}c\u{7f} é 😀\"";
        let safe = escaped(text);
        assert_eq!(safe, "\"a\\u202eb\\u009bc\\u007f é 😀\"");
        let read = |json: &str| serde_json::from_str::<String>(json).unwrap();
        assert_eq!(read(&safe), read(text));
    }
}
