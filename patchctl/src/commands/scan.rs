//! `scan`: where which placeholder stands.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use patchcore::order::{self, Payload};
use patchcore::placeholder::{Scanner, positions};
use patchcore::text::{Encoding, detect_encoding};
use patchcore::workspace::{WalkOptions, WalkProgress, Walked, Workspace};
use patchcore::{Code, Refusal, RelPath};

use super::manifest;
use crate::cli::placeholder::{ScanArgs, SyntaxArgs, WalkArgs};
use crate::cli::{Global, Output};
use crate::exit::{Exit, Failure};
use crate::place::{Location, read_bytes};
use crate::report::placeholder::{self as print, Found, Hit, Standing};
use crate::report::{Context, progress};

/// `scan`.
pub(crate) fn run(global: &Global, args: &ScanArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let found = find(&place, args, Some(context))?;
    match context.output {
        Output::Json => json(&found.hits, context),
        Output::Human => print::hits(&found.hits, context),
    }
    .map_err(Failure::Output)?;
    print::scanned(&found, context).map_err(Failure::Output)?;
    Ok(unread(&found.walked))
}

/// Finds the placeholders that are asked for; shows how far it is where a context is given.
pub(crate) fn find(
    place: &Location,
    args: &ScanArgs,
    context: Option<&Context>,
) -> Result<Found, Failure> {
    let workspace = place.open()?;
    let scanner = scanner(&args.syntax)?;
    let wanted = args.ids.as_deref().map(read_ids).transpose()?;
    let expected = expected_ids(place, args)?;
    let options = walk_options(place, &args.walk)?;
    let (mut hits, walked) = scan(&workspace, &options, &scanner, wanted.as_ref(), context)?;
    hits.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    judge(&mut hits, expected.as_ref());
    let looked_for = wanted.or(expected).unwrap_or_default();
    let found: HashSet<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
    let missing = looked_for
        .iter()
        .filter(|id| !found.contains(id.as_str()))
        .cloned()
        .collect();
    Ok(Found {
        hits,
        missing,
        walked,
    })
}

/// How a command exits whose walk could not read everything.
pub(crate) fn unread(walked: &Walked) -> Exit {
    match walked.failures.first() {
        Some(error) => Exit::of(error.code()),
        None => Exit::Done,
    }
}

fn json(hits: &[Hit], context: &Context) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(context.stdout());
    for hit in hits {
        serde_json::to_writer(&mut out, hit)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn scan(
    workspace: &Workspace,
    options: &WalkOptions,
    scanner: &Scanner,
    wanted: Option<&BTreeSet<String>>,
    context: Option<&Context>,
) -> Result<(Vec<Hit>, Walked), Failure> {
    let hits = Mutex::new(Vec::new());
    let progress = WalkProgress::default();
    let walk = || {
        workspace.walk(options, &progress, &|file| {
            let bytes = file.bytes();
            let mut found = scanner.find(bytes);
            if let Some(wanted) = wanted {
                found.retain(|placeholder| wanted.contains(placeholder.id));
            }
            // What is no text is no template.
            if found.is_empty() || detect_encoding(bytes) != Encoding::Text {
                return;
            }
            let Ok(path) = file.path() else { return };
            let name = path.to_string();
            let placed = positions(bytes, &found).zip(&found);
            let mut here: Vec<Hit> = placed
                .map(|(position, placeholder)| Hit {
                    id: placeholder.id.to_owned(),
                    syntax: placeholder.syntax,
                    file: name.clone(),
                    line: position.line,
                    column: position.column,
                    status: None,
                })
                .collect();
            hits.lock().expect("no holder panics").append(&mut here);
        })
    };
    let walked = match context {
        Some(context) => progress::watch(context, &progress, walk),
        None => walk(),
    }?;
    Ok((hits.into_inner().expect("no holder panics"), walked))
}

fn judge(hits: &mut [Hit], expected: Option<&BTreeSet<String>>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for hit in hits.iter() {
        match counts.get_mut(&hit.id) {
            Some(count) => *count += 1,
            None => {
                counts.insert(hit.id.clone(), 1);
            }
        }
    }
    for hit in hits {
        let is_expected = expected.map(|expected| expected.contains(&hit.id));
        let twice = counts.get(&hit.id).is_some_and(|count| *count > 1);
        hit.status = match (is_expected, twice) {
            (Some(false), _) => Some(Standing::Unknown),
            (_, true) => Some(Standing::Duplicate),
            (Some(true), false) => Some(Standing::Known),
            (None, false) => None,
        };
    }
}

/// The scanner for the built-in syntaxes and those of the command line.
pub(crate) fn scanner(args: &SyntaxArgs) -> Result<Scanner, Refusal> {
    args.syntax
        .iter()
        .try_fold(Scanner::new(), |scanner, syntax| {
            scanner.with_syntax(syntax)
        })
}

/// What the walk visits.
pub(crate) fn walk_options(place: &Location, args: &WalkArgs) -> Result<WalkOptions, Failure> {
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
    Ok(WalkOptions {
        paths,
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        enter_all: args.all_directories,
    })
}

/// Reads a payload, or the one of an order, for the syntaxes at hand.
pub(crate) fn read_payload(path: &Path, syntax: &SyntaxArgs) -> Result<Payload, Failure> {
    let bytes = read_bytes(path)?;
    let name = path.display().to_string();
    let payload = match syntax.syntax.is_empty() {
        true => Payload::parse(&bytes),
        false => Payload::parse_any(&bytes),
    };
    Ok(payload.map_err(|violations| order::refusal(&name, &violations))?)
}

fn expected_ids(place: &Location, args: &ScanArgs) -> Result<Option<BTreeSet<String>>, Failure> {
    if let Some(path) = &args.payload {
        let payload = read_payload(path, &args.syntax)?;
        return Ok(Some(payload.iter().map(|(id, _)| id.to_owned()).collect()));
    }
    let manifest = manifest::read(place)?;
    let ids = manifest
        .tasks()
        .iter()
        .map(patchcore::task::Task::placeholder);
    let ids: BTreeSet<String> = ids.filter(|id| !id.is_empty()).collect();
    Ok((!ids.is_empty()).then_some(ids))
}

/// Ids by line, or as a JSON list or object.
fn read_ids(path: &Path) -> Result<BTreeSet<String>, Failure> {
    let bytes = read_bytes(path)?;
    let malformed = |why: String| {
        let message = format!("{}: {why}", path.display());
        Failure::from(Refusal::new(Code::InvalidBatch, message))
    };
    if matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'{')) {
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        return match value {
            serde_json::Value::Object(ids) => Ok(ids.into_iter().map(|(id, _)| id).collect()),
            list => serde_json::from_value(list).map_err(|error| malformed(error.to_string())),
        };
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed("is not UTF-8".to_owned()))?;
    let ids = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(ids.map(str::to_owned).collect())
}
