//! The modules know each other in one direction, as CONTRIBUTING's tables list them.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use regex::Regex;

use crate::sources::sources;

/// The names in the first column of the table below a heading, in order.
fn listed(contributing: &str, heading: &str) -> Vec<String> {
    let (_, below) = contributing.split_once(heading).unwrap();
    let rows = below.lines().skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The modules that code names behind `prefix`, one or several in braces.
fn named(code: &str, prefix: &str) -> BTreeSet<String> {
    let pattern = format!(r"\b{prefix}(?:(\w+)|\{{([^;]*?)\}};)");
    let mut names = BTreeSet::new();
    for found in Regex::new(&pattern).unwrap().captures_iter(code) {
        let list = found.get(1).or(found.get(2)).unwrap().as_str();
        let mut depth = 0;
        let outer = list.split_inclusive(['{', '}', ',']).filter_map(|part| {
            let is_outer = depth == 0;
            depth += part.matches('{').count();
            depth -= part.matches('}').count();
            is_outer.then(|| part.trim_matches(['{', '}', ',', ' ', '\n']))
        });
        let modules = outer.map(|part| part.split("::").next().unwrap());
        // A type that the module above shows as its own stands in one of these modules itself.
        let is_module = |name: &&str| name.starts_with(|first: char| first.is_ascii_lowercase());
        names.extend(modules.filter(is_module).map(str::to_owned));
    }
    names
}

/// What names a module that is listed after its own, below a folder of a crate.
fn upward(listed: &[String], of: &str, folder: &str, prefix: &str) -> Vec<String> {
    let rank = |name: &str| listed.iter().position(|listed| listed == name);
    let mut found = Vec::new();
    for (path, code) in sources(of) {
        let Ok(inner) = path.strip_prefix(folder) else {
            continue;
        };
        let Some(Component::Normal(module)) = inner.components().next() else {
            continue;
        };
        let module = module.to_string_lossy();
        let module = module.trim_end_matches(".rs");
        if ["lib", "main", "mod"].contains(&module) {
            continue;
        }
        let own = rank(module).unwrap_or_else(|| panic!("{module} is not listed"));
        for name in named(&code, prefix) {
            // What is no module is a function or a macro of the module above.
            if rank(&name).is_some_and(|other| other > own) {
                found.push(format!("{}: {name}", path.display()));
            }
        }
    }
    found
}

#[test]
fn no_module_names_one_that_is_listed_after_it() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contributing = std::fs::read_to_string(library.join("../CONTRIBUTING.md")).unwrap();
    for (heading, of, folder, prefix, least) in [
        ("| module | owns | entry |", "patchcore", "", "crate::", 20),
        (
            "| room in `workspace/` | owns |",
            "patchcore",
            "workspace",
            "crate::workspace::",
            8,
        ),
        (
            "| module of `patchctl` | owns |",
            "patchctl",
            "",
            "crate::",
            10,
        ),
    ] {
        let modules = listed(&contributing, heading);
        assert!(modules.len() > least, "{modules:?}");
        assert_eq!(upward(&modules, of, folder, prefix), [""; 0]);
    }
}

#[test]
fn the_modules_of_an_import_are_found() {
    let code = "use crate::a::{b, c};\nuse crate::{d::{e, f}, g};\nlet x = crate::h::i(crate::T);";
    let found: Vec<String> = named(code, "crate::").into_iter().collect();
    assert_eq!(found, ["a", "d", "g", "h"]);
}
