//! `resolve`: where an address stands, and the guards that a batch would need there.

use std::io::Write as _;

use patchcore::anchor::Resolver;
use patchcore::batch::{Limits, PatchBatch};
use patchcore::operation::{Action, Batch, Lines, Target};
use patchcore::plan::Entry;
use patchcore::text::Text;
use patchcore::{Code, Refusal, Tree};
use serde_json::{Value, json};

use super::operation::line_range;
use super::place::Place;
use crate::cli::Global;
use crate::cli::resolve::ResolveArgs;
use crate::exit::{Exit, Failure};
use crate::report::{Context, printable};

/// Prints the place as one JSON object.
pub(crate) fn run(global: &Global, args: &ResolveArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Place::of(global)?;
    let path = place.relative(&args.file)?;
    let at = address(&args.address)?;
    let batch = probe(path.as_str().unwrap_or("file"), &at)?;
    let Some(Action::InsertBefore(insertion)) = batch.operations.first().map(|o| &o.action) else {
        return Err(Failure::Usage(format!("{:?} is no address", args.address)));
    };
    let tree: Tree = place.open()?.load(std::slice::from_ref(&path))?;
    let answer = match tree.get(&path) {
        Entry::Refused(refusal) => return Err((**refusal).clone().into()),
        Entry::Absent => json!({ "mode": "new" }),
        Entry::File(source) => {
            let text = Text::new(source.bytes());
            let block = match &insertion.at.target {
                Target::Text(block) => Some(block.clone()),
                _ => None,
            };
            let mut resolver = Resolver::new(&path, &text, &block);
            let located = resolver.locate(&insertion.at)?;
            let base = source.digest();
            if located.count == 0 {
                let line = located.line();
                json!({ "mode": "existing", "insert_before_line": line, "base": base })
            } else {
                let first = located.line().get();
                let last = first + located.count as u64 - 1;
                let lines = Lines::new(resolver.shown(&located.span).to_vec());
                let mut answer = json!({
                    "mode": "existing",
                    "span": { "first_line": first, "last_line": last },
                    "base": base,
                });
                if let Ok(expect) = std::str::from_utf8(lines.as_bytes()) {
                    answer["expect"] = json!(expect);
                }
                answer
            }
        }
    };
    writeln!(context.stdout(), "{}", printable(&answer.to_string())).map_err(Failure::Output)?;
    Ok(Exit::Done)
}

/// `12`, `10-14`, `/regex/`, an ID, or JSON.
fn address(text: &str) -> Result<Value, Failure> {
    let is_id = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_uppercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    if text.starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|error| Failure::Usage(format!("the address is no JSON: {error}")));
    }
    if let Some(regex) = text
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'))
    {
        return Ok(json!({ "match": regex }));
    }
    if is_id(text) {
        return Ok(json!({ "placeholder": text }));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(json!({ "lines": line_range(text)? }));
    }
    Err(Failure::Usage(format!(
        "{text:?} is no address: use 12, 10-14, /regex/, a placeholder's ID, or JSON such as \
         {{\"text\": \"…\"}}"
    )))
}

/// An operation at the address, read as a batch's is.
fn probe(file: &str, at: &Value) -> Result<Batch, Failure> {
    let batch = json!({ "operations": [
        { "op": "insert-before", "file": file, "at": at, "content": "" },
    ] });
    let batch = PatchBatch::parse(batch.to_string().as_bytes(), &Limits::default())
        .map_err(|diagnostic| Refusal::new(Code::InvalidBatch, diagnostic.message))?;
    Ok(batch.into())
}
