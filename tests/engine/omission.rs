//! Lines that stand for code that was left out, and ordinary lines, through an edit.

mod made;

use std::fs;
use std::path::Path;

use patchcore::dialect::{Options, parse};
use patchcore::plan::{Script as _, plan};
use patchcore::{Code, Policy, RelPath, Tree};

const OLD: &str = "one\ntwo\nthree\nfour\nfive\nsix\n";

/// The lines of a list in `fixtures/omission`, without its headings.
fn list(name: &str) -> Vec<String> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/omission");
    let text = fs::read_to_string(fixtures.join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("== "));
    lines.map(str::to_owned).collect()
}

/// Whether an edit is refused because of its new line.
fn is_refused(old: &str, new: &str) -> bool {
    let path = RelPath::new("f").unwrap();
    let patch = format!("f\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n");
    let patch = parse(patch.as_bytes(), &Options::default()).unwrap();
    let tree = Tree::new().with_file(path, OLD);
    let lowered = patch.lower(&tree).unwrap();
    let plan = plan(&lowered.batch, &tree, &Policy::default());
    let refusal = plan.verdicts[0].refusal.as_deref();
    assert!(
        refusal.is_none_or(|refusal| refusal.code == Code::LazyOmission),
        "{new}: {refusal:?}"
    );
    refusal.is_some()
}

#[test]
fn of_the_elisions_that_models_write_nearly_all_are_found() {
    let lines = list("elisions.txt");
    let missed: Vec<&String> = lines
        .iter()
        .filter(|line| !is_refused("two\nthree\nfour\nfive", &format!("two\n{line}\nfive")))
        .collect();
    assert!(lines.len() > 80, "{} lines", lines.len());
    assert!(missed.len() * 20 <= lines.len(), "missed: {missed:#?}");
}

#[test]
fn ordinary_lines_pass_in_any_edit() {
    let lines = list("ordinary.txt");
    assert!(lines.len() > 60, "{} lines", lines.len());
    for line in lines {
        assert!(!is_refused("two", &format!("{line}\nz")), "{line}");
        assert!(
            !is_refused("two\nthree\nfour\nfive", &format!("{line}\nz")),
            "{line}, in an edit that shrinks"
        );
    }
}
