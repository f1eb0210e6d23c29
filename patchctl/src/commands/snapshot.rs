//! `snapshot`: what stands in the tree is kept.

use std::io::Write as _;

use patchcore::RelPath;
use patchcore::workspace::ApplyOptions;

use crate::cli::snapshot::SnapshotArgs;
use crate::cli::{Global, Output};
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::{self, Context, edit::count, printable_json};

/// `snapshot`.
pub(crate) fn run(
    global: &Global,
    args: &SnapshotArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let workspace = place.open()?;
    let mut paths: Vec<RelPath> = Vec::new();
    for path in &args.paths {
        match place.relative_or_root(path)? {
            Some(path) => paths.push(path),
            // The whole tree is what no path stands for.
            None => {
                paths.clear();
                break;
            }
        }
    }
    let options = ApplyOptions {
        lock_wait: args.lock_wait,
        ..ApplyOptions::default()
    };
    let snapshot = workspace.snapshot(&paths, &options)?;
    report::warn_of_notes(&workspace, context);
    let mut out = context.stdout();
    match context.output {
        Output::Json => {
            let json =
                serde_json::to_string(&snapshot).map_err(|error| Failure::Output(error.into()))?;
            writeln!(out, "{}", printable_json(&json))
        }
        Output::Human => writeln!(
            out,
            "kept {}, {}",
            count(snapshot.files, "file"),
            count(
                usize::try_from(snapshot.bytes).unwrap_or(usize::MAX),
                "byte"
            ),
        ),
    }
    .map_err(Failure::Output)?;
    Ok(Exit::Done)
}
