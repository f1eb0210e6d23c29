//! What the README shows is what the program says.

use std::path::Path;
use std::process::{Command, Output};

const README: &str = include_str!("../../README.md");

fn patchctl(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(args)
        .current_dir(dir)
        .env_remove("PATCHCTL_ROOT")
        .output()
        .unwrap()
}

/// The block behind a line of the README, without what follows.
fn block(start: &str) -> &'static str {
    let (_, rest) = README.split_once(start).expect(start);
    rest.split("```").next().unwrap()
}

#[test]
fn the_batch_works_on_the_demos_template() {
    let dir = tempfile::tempdir().unwrap();
    let demo = patchctl(&["demo", "demo"], dir.path());
    assert!(demo.status.success(), "{demo:?}");
    let root = dir.path().join("demo/template");
    assert!(patchctl(&["undo"], &root).status.success());

    std::fs::write(dir.path().join("batch.json"), block("```json\n")).unwrap();
    let checked = patchctl(&["check", "../../batch.json"], &root);
    assert!(checked.status.success(), "{checked:?}");
    let applied = patchctl(&["apply", "../../batch.json"], &root);
    assert!(applied.status.success(), "{applied:?}");
}

#[test]
fn refusals_look_as_they_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    patchctl(&["demo", "demo"], dir.path());
    let root = dir.path().join("demo/template");
    let refused = patchctl(&["apply", "../stale.json"], &root);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(said, block("$ patchctl apply stale.json\n"));

    let shown = block("$ patchctl apply batch.json\nerror");
    let line = shown
        .lines()
        .find_map(|line| line.strip_prefix("3 | "))
        .unwrap();
    let batch = format!("{{\n  \"operations\": [\n{line}\n  ]\n}}\n");
    std::fs::write(root.join("batch.json"), batch).unwrap();
    let refused = patchctl(&["apply", "batch.json"], &root);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(said, format!("error{shown}"));
}
