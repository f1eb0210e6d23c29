//! What adopting a transaction that was not written here would do.

use std::io::{self, Write};

use patchcore::workspace::record::Identity;
use patchcore::workspace::{AdoptedFile, Adoption};
use serde_json::{Value, json};

use super::log::print;
use super::{Context, one_line};
use crate::exit::{Exit, Failure};

/// Prints it; the exit is 0, since nothing was asked for but to look.
pub(crate) fn adoption(adoption: Option<&Adoption>, context: &Context) -> Result<Exit, Failure> {
    let json = || match adoption {
        Some(adoption) => to_json(adoption),
        None => json!({"version": 1, "adoption": null}),
    };
    print(context, json, |out| match adoption {
        Some(adoption) => human(adoption, out),
        None => writeln!(
            out,
            "nothing to adopt: no transaction is unfinished that was not written here"
        ),
    })?;
    Ok(Exit::Done)
}

fn to_json(adoption: &Adoption) -> Value {
    let identity = |identity: Option<Identity>| {
        identity.map(|it| {
            json!({
                "hash": it.digest,
                "size": it.size,
                "mode": format!("{:o}", it.mode),
                "link": it.link,
            })
        })
    };
    let directory = |it: &patchcore::workspace::record::DirectoryRecord| json!({"path": it.path.to_string(), "mode": format!("{:o}", it.mode)});
    let files = adoption.files.iter().map(|file| {
        json!({
            "path": file.path.to_string(),
            "expects": identity(file.before),
            "found": file.found,
            "leaves": identity(file.after),
        })
    });
    json!({
        "version": 1,
        "adoption": {
            "digest": adoption.digest,
            "takes_back": adoption.takes_back,
            "batch_id": adoption.record.batch_id,
            "at": adoption.record.at,
            "undoes": adoption.record.undoes.map(|id| id.to_string()),
            "files": files.collect::<Vec<_>>(),
            "directories_made": adoption.made.iter().map(directory).collect::<Vec<_>>(),
            "directories_removed": adoption.removed.iter().map(directory).collect::<Vec<_>>(),
            "obstacle": adoption.obstacle,
        }
    })
}

fn human(adoption: &Adoption, out: &mut dyn Write) -> io::Result<()> {
    let what = match adoption.takes_back {
        true => "taken back",
        false => "finished",
    };
    writeln!(
        out,
        "the unfinished transaction was not written here; adopted, it would be {what}:"
    )?;
    writeln!(
        out,
        "batch {} of {}",
        one_line(&adoption.record.batch_id),
        one_line(&adoption.record.at)
    )?;
    if let Some(undone) = &adoption.record.undoes {
        writeln!(out, "  it undoes transaction {undone}")?;
    }
    for made in &adoption.made {
        let path = made.path.to_string();
        writeln!(
            out,
            "  make directory {} (mode {:o})",
            one_line(&path),
            made.mode
        )?;
    }
    for file in &adoption.files {
        one_file(file, out)?;
    }
    for removed in &adoption.removed {
        let path = removed.path.to_string();
        writeln!(out, "  remove directory {} if it is empty", one_line(&path))?;
    }
    match &adoption.obstacle {
        Some(why) => writeln!(out, "it cannot be adopted: {}", one_line(why)),
        None => writeln!(
            out,
            "to do that: patchctl recover --adopt {}\nto set it aside: patchctl recover --abandon",
            adoption.digest
        ),
    }
}

fn one_file(file: &AdoptedFile, out: &mut dyn Write) -> io::Result<()> {
    let verb = match (&file.before, &file.after) {
        (None, Some(_)) => "create",
        (Some(_), None) => "delete",
        _ => "replace",
    };
    writeln!(out, "  {verb} {}", one_line(&file.path.to_string()))?;
    writeln!(out, "    expects {}", shown(file.before.as_ref()))?;
    let is_expected = file.found == file.before.map(|before| before.digest);
    if !is_expected {
        let found = file
            .found
            .map_or_else(|| "no file".to_owned(), |hash| hash.to_string());
        writeln!(out, "    finds   {found}; that would be kept as a conflict")?;
    }
    writeln!(out, "    leaves  {}", shown(file.after.as_ref()))
}

fn shown(identity: Option<&Identity>) -> String {
    match identity {
        Some(it) if it.link => format!("a link, {} bytes, {}", it.size, it.digest),
        Some(it) => format!("{} bytes, mode {:o}, {}", it.size, it.mode, it.digest),
        None => "no file".to_owned(),
    }
}
