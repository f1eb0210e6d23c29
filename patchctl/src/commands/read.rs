//! `read`: files for somebody who will edit them.

use patchcore::plan::Part;

use crate::cli::Global;
use crate::cli::labels::LabelArgs;
use crate::cli::read::ReadArgs;
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::{self, Context, read::Form};

/// `read`.
pub(crate) fn run(global: &Global, args: &ReadArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let part = match (args.lines, &args.around) {
        (Some((first, last)), _) => Part::Lines(first, last),
        (None, Some(placeholder)) => Part::Around {
            placeholder: placeholder.clone(),
            context: args.context,
        },
        (None, None) => Part::Whole,
    };
    if part != Part::Whole && args.files.len() > 1 {
        let message = "a part can be shown of one file at a time; name one file";
        return Err(Failure::Usage(message.to_owned()));
    }
    let files = args.files.iter().map(|file| place.relative(file));
    let files = files.map(|file| Ok((file?, part.clone())));
    let files = files.collect::<Result<Vec<_>, Failure>>()?;
    let read = place
        .open()?
        .read(files, &agent(&args.agent)?, args.lock_wait)?;
    let form = match args.hashline {
        true => Form::Hashline,
        false => Form::Numbered,
    };
    report::read::files(&read, form, context)?;
    report::warn_of_all(&read.warnings, context);
    Ok(read.report().code().map_or(Exit::Done, Exit::of))
}

/// The agent's name, from the option or the environment; empty where there is none.
fn agent(given: &Option<String>) -> Result<String, Failure> {
    let labels = LabelArgs {
        agent: given.clone(),
        ..LabelArgs::default()
    };
    Ok(labels.labels()?.agent.unwrap_or_default())
}
