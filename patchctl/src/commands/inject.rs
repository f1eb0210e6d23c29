//! `inject`: comments above placeholders, by one plan through the engine.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use patchcore::placeholder::{Marker, Scanner};
use patchcore::task::{Injection, Manifest, TaskStatus};
use patchcore::workspace::{WalkOptions, WalkProgress, Workspace};
use patchcore::{Code, Refusal, RelPath, Report};

use super::edit::{self, Request};
use super::{manifest, scan};
use crate::cli::Global;
use crate::cli::placeholder::InjectArgs;
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::{self, Context, progress};

/// `inject`.
pub(crate) fn run(global: &Global, args: &InjectArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let workspace = place.open()?;
    let manifest = manifest::of(&workspace)?;
    let scanner = scan::scanner(&args.syntax)?;
    let injection = match &args.what.payload {
        Some(path) => {
            let payload = scan::read_payload(path, &args.syntax)?;
            let walk = scan::walk_options(&place, &args.walk)?;
            let wanted = |id: &str| payload.get(id).is_some();
            let files = find_files(&workspace, &walk, &scanner, &wanted, args, context)?;
            Injection::of_payload(payload, files, &manifest)
        }
        None => of_tasks(&place, args, &manifest)?,
    };
    let orphans = match args.check && !args.remove {
        true => orphans(&workspace, &place, args, &scanner, &manifest)?,
        false => Vec::new(),
    };
    let injection = as_asked(injection, args).with_scanner(scanner);
    let mut request = Request::of(&args.edit);
    if args.check {
        request.preview = true;
        request.detailed_exitcode = true;
    }
    let orchestrator = edit::orchestrator(&place, &request)?;
    let mut options = request.options(&place)?;
    // The task rules have nothing to say: a comment takes no placeholder away.
    options.review = Some(&injection);
    let applied = match request.preview {
        true => workspace.check(&injection, &options)?,
        false => workspace.apply(&injection, &options)?,
    };
    let mut done = edit::conclude(&place, applied, &request, orchestrator.as_ref());
    done.applied.report.orphans = orphans;
    let left_out = done.applied.notes.missing.iter();
    let left_out = left_out.map(|missing| format!("left out: {}", missing.refusal.message));
    done.applied.report.warnings.extend(left_out);
    let mut exit = edit::present(&done, &request, context)?;
    let report = &done.applied.report;
    if args.check && is_out_of_date(report) {
        exit = Exit::Code(5);
    }
    let (orphans, missing) = (&report.orphans, &done.applied.notes.missing);
    let orphaned = orphans
        .iter()
        .map(|orphan| format!("orphaned: {}", orphan.message));
    report::warn_of_all(&orphaned.collect::<Vec<_>>(), context);
    match exit {
        Exit::Done if !orphans.is_empty() => Ok(Exit::Code(5)),
        Exit::Done if args.check && !missing.is_empty() => Ok(Exit::Code(5)),
        Exit::Done if !missing.is_empty() => Ok(Exit::Code(6)),
        exit => Ok(exit),
    }
}

fn as_asked(mut injection: Injection, args: &InjectArgs) -> Injection {
    if args.remove {
        injection = injection.removing();
    }
    if args.edit.policy.overwrite {
        injection = injection.overwriting();
    }
    if args.edit.policy.partial {
        injection = injection.leaving_out_missing();
    }
    injection
}

/// Whether all that is refused is a comment that somebody edited, or a placeholder that is gone.
fn is_out_of_date(report: &Report) -> bool {
    let operations = report.operations.iter();
    let refused = operations.filter_map(|operation| operation.refusal.as_deref());
    let mut refused = refused.chain(report.refusal.as_ref()).peekable();
    refused.peek().is_some()
        && refused.all(|refusal| {
            matches!(
                refusal.code,
                Code::CommentEdited | Code::PlaceholderNotFound
            )
        })
}

/// The comments whose placeholder or task is gone, in the order of the files.
fn orphans(
    workspace: &Workspace,
    place: &Location,
    args: &InjectArgs,
    scanner: &Scanner,
    manifest: &Manifest,
) -> Result<Vec<Refusal>, Failure> {
    let open: HashSet<&str> = manifest
        .tasks()
        .iter()
        .filter(|task| task.status() != TaskStatus::Complete)
        .map(|task| task.uuid())
        .collect();
    let marker = Marker::new(scanner, manifest.injected());
    let orphans = Mutex::new(BTreeMap::new());
    let options = scan::walk_options(place, &args.walk)?;
    workspace.walk(&options, &WalkProgress::default(), &|file| {
        if let Ok(path) = file.path() {
            let here = marker.orphans(&path, file.bytes(), &|task| open.contains(task));
            if !here.is_empty() {
                orphans.lock().expect("no holder panics").insert(path, here);
            }
        }
    })?;
    let orphans = orphans.into_inner().expect("no holder panics");
    Ok(orphans.into_values().flatten().collect())
}

/// The tasks of the manifest, those of the files that were named if any were.
fn of_tasks(
    place: &Location,
    args: &InjectArgs,
    manifest: &Manifest,
) -> Result<Injection, Failure> {
    let walk = scan::walk_options(place, &args.walk)?;
    if !walk.include.is_empty() || !walk.exclude.is_empty() {
        let message = "--include and --exclude choose among files that are looked through; the tasks name theirs";
        return Err(Failure::Usage(message.to_owned()));
    }
    let below = |file: &RelPath, path: &RelPath| {
        let mut components = file.components();
        path.components()
            .all(|part| components.next() == Some(part))
    };
    Ok(Injection::of_tasks(manifest, |task| {
        walk.paths.is_empty()
            || task
                .file()
                .is_ok_and(|file| walk.paths.iter().any(|path| below(&file, path)))
    }))
}

/// The files with a placeholder of the payload.
fn find_files(
    workspace: &Workspace,
    options: &WalkOptions,
    scanner: &Scanner,
    is_wanted: &(dyn Fn(&str) -> bool + Sync),
    args: &InjectArgs,
    context: &Context,
) -> Result<Vec<RelPath>, Failure> {
    let files = Mutex::new(Vec::new());
    let progress = WalkProgress::default();
    let walk = || {
        workspace.walk(options, &progress, &|file| {
            let found = scanner.find(file.bytes());
            if found.iter().any(|placeholder| is_wanted(placeholder.id))
                && let Ok(path) = file.path()
            {
                files.lock().expect("no holder panics").push(path);
            }
        })
    };
    let walked = progress::watch(context, &progress, || match walk() {
        // What another run left is finished first, as by any command that writes.
        Err(error) if error.code() == Code::Unfinished && !args.edit.dry_run => {
            workspace.recover()?;
            walk()
        }
        walked => walked,
    })?;
    // All or nothing needs to have looked at all.
    if let Some(error) = walked.failures.into_iter().next() {
        return Err(error.into());
    }
    Ok(files.into_inner().expect("no holder panics"))
}
