//! `demo`: a small template, a batch on it, and what to try next.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use patchcore::Error;
use patchcore::batch::{self, Limits};

use super::edit::{Request, run as run_edit};
use crate::cli::demo::DemoArgs;
use crate::cli::edit::{PolicyArgs, ShowArgs};
use crate::cli::{Cli, Global, Output};
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::{Context, printable};

/// The template: path and bytes.
const TEMPLATE: [(&str, &[u8]); 4] = [
    ("README.md", include_bytes!("../../demo/README.md")),
    ("deploy.yaml", include_bytes!("../../demo/deploy.yaml")),
    (
        "pipeline/worker.py",
        include_bytes!("../../demo/pipeline/worker.py"),
    ),
    ("src/agent.ts", include_bytes!("../../demo/src/agent.ts")),
];
const BATCH: &[u8] = include_bytes!("../../demo/batch.json");
const STALE: &[u8] = include_bytes!("../../demo/stale.json");

/// Lays the template out, applies the batch, and says what to try next.
pub(crate) fn run(cli: &Cli, args: &DemoArgs, context: &Context) -> Result<Exit, Failure> {
    let dir = directory(args)?;
    let tree = dir.join("template");
    for (name, bytes) in TEMPLATE {
        write(&tree.join(name), bytes)?;
    }
    write(&dir.join("batch.json"), BATCH)?;
    write(&dir.join("stale.json"), STALE)?;

    let say = |text: &str| match context.output {
        Output::Human if context.verbosity >= 0 => {
            writeln!(context.stderr(), "{text}").map_err(Failure::Output)
        }
        _ => Ok(()),
    };
    let shown = printable(&dir.to_string_lossy()).into_owned();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "patchctl".to_owned());
    say(&format!(
        "A template of {} files with placeholders is in {shown}/template.\n\
         $ {program} apply --root {shown}/template {shown}/batch.json\n",
        TEMPLATE.len()
    ))?;

    let batch =
        batch::parse(BATCH, &Limits::default()).map_err(|fault| Failure::Usage(fault.message))?;
    // The clean tree shall be a root of its own, wherever the demo runs.
    let place = Location::of(&Global {
        root: Some(tree),
        ..cli.global.clone()
    })?;
    let request = Request {
        policy: &PolicyArgs::default(),
        commit: None,
        show: &ShowArgs::default(),
        preview: false,
        detailed_exitcode: false,
        again: false,
        interrupt: None,
    };
    let exit = run_edit(&place, &batch, &request, context)?;
    say(&format!(
        "\nTry next:\n\
         $ {program} apply --root {shown}/template {shown}/stale.json   # a stale batch: refused, nothing written\n\
         $ {program} history --root {shown}/template                    # what was done\n\
         $ {program} undo --root {shown}/template                       # take it back\n\
         $ {program} check --root {shown}/template {shown}/batch.json   # the same batch, nothing written\n\
         $ {program} scan --root {shown}/template                       # the placeholders\n\
         $ {program} replace-text {shown}/template/deploy.yaml --root {shown}/template --find 8080 --content 9090"
    ))?;
    Ok(exit)
}

/// The directory that was asked for, or a new one among the temporary ones.
fn directory(args: &DemoArgs) -> Result<PathBuf, Failure> {
    let create =
        |dir: &Path| std::fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error));
    if let Some(dir) = &args.dir {
        create(dir)?;
        let mut entries = std::fs::read_dir(dir).map_err(|error| Error::io("list", dir, error))?;
        if entries.next().is_some() {
            return Err(Failure::Usage(format!(
                "{} is not empty; name a directory that is, or none",
                dir.display()
            )));
        }
        return Ok(dir.clone());
    }
    let id = uuid::Uuid::now_v7().simple().to_string();
    let dir = std::env::temp_dir().join(format!("patchctl-demo-{}", &id[20..]));
    create(&dir)?;
    Ok(dir)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error))?;
    }
    Ok(std::fs::write(path, bytes).map_err(|error| Error::io("write", path, error))?)
}
