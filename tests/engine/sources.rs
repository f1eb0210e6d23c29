//! The project's own code, for laws about it.

use std::path::{Path, PathBuf};

/// Every file below the `src` of a crate that is no test, by its path there, without its own tests;
/// comments are empty lines.
pub(crate) fn sources(of: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.join(of).join("src");
    let mut sources = Vec::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(&root).unwrap();
        let is_test = path.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            name == "tests" || name == "tests.rs"
        });
        if is_test || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<&str> = code
            .lines()
            .map(|line| Some(line).filter(is_code).unwrap_or_default())
            .collect();
        sources.push((path.to_owned(), code.join("\n")));
    }
    assert!(sources.len() > 80, "only {} sources found", sources.len());
    sources
}
