//! What the library's own words may not say.

use std::path::Path;

/// A library does not know how its caller spells an option: it gives a `Hint`.
#[test]
fn the_library_names_no_command_line_option() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut named = Vec::new();
    let mut seen = 0;
    for entry in walkdir::WalkDir::new(&sources) {
        let entry = entry.unwrap();
        let path = entry.path();
        let is_test = path.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            name == "tests" || name == "tests.rs"
        });
        if is_test || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (index, line) in code.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            // Git's own: `git diff --binary`, the header `diff --git`.
            if !is_comment && !line.contains("diff --") && names_option(line) {
                named.push(format!("{}:{}: {line}", path.display(), index + 1));
            }
        }
    }
    assert!(seen > 100, "only {seen} sources found");
    assert!(named.is_empty(), "{}", named.join("\n"));
}

fn names_option(line: &str) -> bool {
    line.match_indices("--").any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + 2..].chars().next();
        before != Some('-') && after.is_some_and(|c| c.is_ascii_lowercase())
    })
}

#[test]
fn an_option_is_recognised() {
    for line in ["allow it with --force", "\"--strict\"", "(--all)"] {
        assert!(names_option(line), "{line}");
    }
    for line in ["--- a/x", "a -- b", "-x", "----x"] {
        assert!(!names_option(line), "{line}");
    }
}
