//! The table of rules names functions and tests that there are.

use std::fs;
use std::path::Path;

/// The names in backticks of a cell, with the files that they are in: `a`, `b` in `f.rs`, `c` in …
fn named(cell: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let mut waiting = Vec::new();
    for (index, part) in cell.split('`').enumerate() {
        if index % 2 == 0 {
            continue;
        }
        if part.ends_with(".rs") {
            let file = |name: String| (name, part.to_owned());
            names.extend(waiting.drain(..).map(file));
        } else {
            waiting.push(part.to_owned());
        }
    }
    assert!(waiting.is_empty(), "{waiting:?} without a file");
    names
}

#[test]
fn every_function_and_every_test_of_the_rules_is_there() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(library.join("docs/rules.md")).unwrap();
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    assert!(rows.len() > 12, "{} rows", rows.len());
    for row in &rows[1..] {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [_, _, enforced, tests] = cells[..] else {
            panic!("not four cells: {row}");
        };
        for (folder, cell) in [("src", enforced), ("../tests/engine", tests)] {
            let names = named(cell);
            assert!(!names.is_empty(), "nothing is named: {row}");
            for (name, file) in names {
                let text = fs::read_to_string(library.join(folder).join(&file));
                let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
                let is_there =
                    text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"));
                assert!(is_there, "{file} has no function {name}");
            }
        }
    }
}
