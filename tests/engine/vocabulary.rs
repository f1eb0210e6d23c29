//! What the library's own words may not say.

use crate::sources::sources;

/// A library does not know how its caller spells an option: it gives a `Hint`.
#[test]
fn the_library_names_no_command_line_option() {
    let mut named = Vec::new();
    for (path, code) in sources("patchcore") {
        for (index, line) in code.lines().enumerate() {
            // Git's own: `git diff --binary`, the header `diff --git`.
            if !line.contains("diff --") && names_option(line) {
                named.push(format!("{}:{}: {line}", path.display(), index + 1));
            }
        }
    }
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
