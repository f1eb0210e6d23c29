//! `order`: everything that is wrong with an order or payload; and orders at the orchestrator.

use std::io::{Read as _, Write as _};
use std::path::Path;

use patchcore::order::{Order, Payload, Violation};
use patchcore::{Code, Error};

use crate::cli::Output;
use crate::cli::task::{CreateArgs, OrderArgs, OrderCommand, ValidateArgs};
use crate::exit::{Exit, Failure};
use crate::orchestrator::{Api, Config, NewOrder};
use crate::place::read_bytes;
use crate::report::{Context, printable};

/// `order`.
pub(crate) fn run(args: &OrderArgs, context: &Context) -> Result<Exit, Failure> {
    match &args.command {
        OrderCommand::Validate(args) => validate(args, context),
        OrderCommand::Create(args) => create(args, context),
        OrderCommand::Placeholders(args) => {
            let api = Api::new(&Config::require(&args.connection)?)?;
            print(&api.placeholders(&args.order)?, context)
        }
    }
}

fn create(args: &CreateArgs, context: &Context) -> Result<Exit, Failure> {
    let api = Api::new(&Config::require(&args.connection)?)?;
    let order: NewOrder = serde_json::from_slice(&read(&args.file)?)
        .map_err(|error| Failure::Usage(format!("no order can be made: {error}")))?;
    print(&api.create_order(&order)?, context)
}

/// An answer as JSON, with nothing in it that a terminal would act on.
fn print(answer: &serde_json::Value, context: &Context) -> Result<Exit, Failure> {
    let text = format!("{answer:#}");
    writeln!(context.stdout(), "{}", printable(&text)).map_err(Failure::Output)?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path != Path::new("-") {
        return read_bytes(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", "standard input", error))?;
    Ok(bytes)
}

fn validate(args: &ValidateArgs, context: &Context) -> Result<Exit, Failure> {
    let bytes = read(&args.file)?;
    let result = if args.payload {
        Payload::parse(&bytes).map(drop)
    } else {
        Order::parse(&bytes).map(drop)
    };
    let violations = result.err().unwrap_or_default();
    show(&violations, context).map_err(Failure::Output)?;
    if violations.is_empty() {
        if context.verbosity >= 0 && context.output == Output::Human {
            let what = if args.payload { "payload" } else { "order" };
            writeln!(context.stderr(), "a valid {what}").map_err(Failure::Output)?;
        }
        return Ok(Exit::Done);
    }
    Ok(Exit::of(Code::InvalidBatch))
}

fn show(violations: &[Violation], context: &Context) -> std::io::Result<()> {
    let mut out = context.stdout();
    match context.output {
        Output::Json => {
            let answer = serde_json::json!({
                "valid": violations.is_empty(),
                "violations": violations,
            });
            serde_json::to_writer(&mut out, &answer)?;
            writeln!(out)
        }
        Output::Human => violations
            .iter()
            .try_for_each(|violation| writeln!(out, "{}", printable(&violation.to_string()))),
    }
}
