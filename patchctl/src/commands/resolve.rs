//! `resolve`: where an address leads, and the guards that a batch would need there.

use std::io::Write as _;

use patchcore::Tree;
use patchcore::anchor::Resolver;
use patchcore::batch::At;
use patchcore::operation::{Address, Lines, Occurrence, Pattern, Target};
use patchcore::plan::Entry;
use patchcore::text::Text;
use serde_json::json;

use super::operation::{line_range, usage};
use crate::cli::Global;
use crate::cli::resolve::ResolveArgs;
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::{Context, printable_json};

/// Prints the place as one JSON object.
pub(crate) fn run(global: &Global, args: &ResolveArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let path = place.relative(&args.file)?;
    let at = Address::from(address(&args.address)?);
    let tree: Tree = place.open()?.load(std::slice::from_ref(&path))?;
    let answer = match tree.get(&path) {
        Entry::Refused(refusal) => return Err((**refusal).clone().into()),
        Entry::Absent => json!({ "mode": "new" }),
        Entry::File(source) => {
            let text = Text::new(source.bytes());
            let block = match &at.target {
                Target::Text(block) => Some(block.clone()),
                _ => None,
            };
            let mut resolver = Resolver::new(&path, &text, &block);
            let located = resolver.locate(&at)?;
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
    writeln!(context.stdout(), "{}", printable_json(&answer.to_string()))
        .map_err(Failure::Output)?;
    Ok(Exit::Done)
}

/// `12`, `10-14`, `/regex/`, an ID, or JSON.
fn address(text: &str) -> Result<At, Failure> {
    let is_id = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_uppercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    if text.starts_with('{') {
        return At::parse(text.as_bytes()).map_err(|fault| {
            let (path, message) = (&fault.path, &fault.message);
            Failure::Usage(format!("invalid address: {path}: {message}"))
        });
    }
    if let Some(regex) = text
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'))
    {
        return Ok(At::Match {
            pattern: Pattern::new(regex).map_err(usage)?,
            occurrence: Occurrence::Only,
        });
    }
    if is_id(text) {
        return Ok(At::Placeholder {
            placeholder: text.to_owned(),
            occurrence: Occurrence::Only,
        });
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return line_range(text);
    }
    Err(Failure::Usage(format!(
        "invalid address {text:?}; expected 12, 10-14, /regex/, a placeholder's ID, or JSON such as \
         {{\"text\": \"…\"}}"
    )))
}
