//! Symbolic links as content, and files that become directories or links, on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use patchcore::dialect::{Dialect, Options, parse};
use patchcore::event::add_diff;
use patchcore::operation::{Action, Operation};
use patchcore::report::Status;
use patchcore::workspace::fault::{Call, Fault, FaultKind, inject};
use patchcore::workspace::{Applied, ApplyOptions, Comparison, Workspace};
use patchcore::{Code, Digest};
use tempfile::TempDir;

use crate::stranger::Meddler;
use crate::workspace::{apply_new, batch, path, snapshot};

mod random;
mod stranger;

/// What stands at a path: a file's text, or `-> ` and a link's target.
type Tree<'a> = &'a [(&'a str, &'a str)];

fn made(tree: Tree<'_>) -> TempDir {
    let dir = crate::workspace::tree(&[]);
    fill(dir.path(), tree);
    dir
}

fn fill(root: &Path, tree: Tree<'_>) {
    fs::create_dir_all(root).unwrap();
    for (name, text) in tree {
        let at = root.join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, at).unwrap(),
            None => fs::write(at, text).unwrap(),
        }
    }
}

/// What stands below a root, as [`Tree`] says it; an empty directory is `/`.
fn found(root: &Path) -> BTreeMap<String, String> {
    snapshot(root)
        .into_iter()
        .filter_map(|(name, mode, bytes)| {
            let text = String::from_utf8(bytes).unwrap();
            let at = root.join(&name);
            Some((
                name,
                match mode & 0o170_000 {
                    0o120_000 => format!("-> {}", fs::read_link(at).unwrap().display()),
                    0o040_000 if fs::read_dir(at).unwrap().next().is_some() => return None,
                    0o040_000 => "/".to_owned(),
                    _ => text,
                },
            ))
        })
        .collect()
}

fn wanted(tree: Tree<'_>) -> BTreeMap<String, String> {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    tree.iter().map(own).collect()
}

fn apply_patch(root: &Path, patch: &[u8], reverse: bool) -> Applied<'static> {
    let mut options = Options::default();
    options.dialect = Some(Dialect::UnifiedDiff);
    options.reverse = reverse;
    options.strip = patch.starts_with(b"diff --git").then_some(1);
    let patch: &'static [u8] = patch.to_vec().leak();
    let script: &'static _ = Box::leak(Box::new(parse(patch, &options).unwrap()));
    let options = ApplyOptions::default();
    Workspace::open(root)
        .unwrap()
        .apply(script, &options)
        .unwrap()
}

/// A section that makes a file or link of this mode, or takes it away.
fn section(sign: char, mode: &str, name: &str, text: &str) -> String {
    let verb = if sign == '+' { "new" } else { "deleted" };
    let mut lines = text
        .split_inclusive('\n')
        .map(|line| format!("{sign}{line}"))
        .collect::<String>();
    if !text.ends_with('\n') {
        lines.push_str("\n\\ No newline at end of file\n");
    }
    let count = text.split_inclusive('\n').count();
    let (names, ranges) = match sign {
        '+' => (
            format!("--- /dev/null\n+++ b/{name}"),
            format!("-0,0 +1,{count}"),
        ),
        _ => (
            format!("--- a/{name}\n+++ /dev/null"),
            format!("-1,{count} +0,0"),
        ),
    };
    format!(
        "diff --git a/{name} b/{name}\n{verb} file mode {mode}\n{names}\n@@ {ranges} @@\n{lines}"
    )
}

fn link(name: &str, target: &str) -> String {
    section('+', "120000", name, target)
}

fn unlink(name: &str, target: &str) -> String {
    section('-', "120000", name, target)
}

fn file(name: &str, text: &str) -> String {
    section('+', "100644", name, text)
}

fn gone(name: &str, text: &str) -> String {
    section('-', "100644", name, text)
}

fn retarget(name: &str, old: &str, new: &str) -> String {
    format!(
        "diff --git a/{name} b/{name}\nindex 1111111..2222222 120000\n--- a/{name}\n+++ b/{name}\n\
         @@ -1 +1 @@\n-{old}\n\\ No newline at end of file\n+{new}\n\\ No newline at end of file\n"
    )
}

fn moved(verb: &str, from: &str, to: &str) -> String {
    format!(
        "diff --git a/{from} b/{to}\nsimilarity index 100%\n{verb} from {from}\n{verb} to {to}\n"
    )
}

/// A patch does what it says, its own diff and git say the same, and every way back leads back.
fn passes(before: Tree<'_>, patch: &str, after: Tree<'_>) {
    let dir = made(before);
    let root = dir.path();
    let old = snapshot(root);
    let applied = apply_patch(root, patch.as_bytes(), false);
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    assert!(applied.unfinished.is_none(), "{:?}", applied.unfinished);
    assert_eq!(found(root), wanted(after));
    let workspace = Workspace::open(root).unwrap();
    let audit = workspace.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    let mut diff = Vec::new();
    let options = patchcore::diff::DiffOptions::default();
    applied.plan.write_diff(&options, &mut diff).unwrap();
    let log = workspace.log().unwrap();
    let mut logged = Vec::new();
    let record = &applied.record;
    log.write_diff(record, &mut logged).unwrap();
    if !patch.contains("copy from") {
        assert_eq!(
            String::from_utf8_lossy(&logged),
            String::from_utf8_lossy(&diff)
        );
    }

    let mut told = String::new();
    for mut event in patchcore::event::events(record) {
        add_diff(&mut event, record, &mut |slot| {
            log.pre_image(&record.transaction, slot)
                .unwrap()
                .map(Arc::new)
        });
        told.push_str(&event.diff.unwrap_or_default());
    }
    for line in logged.split(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(line).unwrap();
        assert!(told.contains(line), "no event tells {line:?}: {told}");
    }

    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.status, Status::Applied, "{:?}", undone.report);
    assert_eq!(snapshot(root), old);
    assert!(workspace.audit().unwrap().is_clean());
    let again = workspace.undo(
        Some(&undone.record.transaction.to_string()),
        &ApplyOptions::default(),
    );
    assert_eq!(again.unwrap().report.status, Status::Applied);
    assert_eq!(found(root), wanted(after));

    for patch in [patch.as_bytes(), &diff] {
        assert_eq!(by_git(before, patch), Ok(wanted(after)));
    }
    let dir = made(before);
    apply_patch(dir.path(), &diff, false);
    assert_eq!(found(dir.path()), wanted(after));
    // A copy has no opposite, and no patch makes a link that leads out.
    let leads_out =
        |(_, text): &(&str, &str)| ["-> /", "-> .."].iter().any(|out| text.starts_with(out));
    if !patch.contains("copy from") && !before.iter().any(leads_out) {
        let back = apply_patch(dir.path(), patch.as_bytes(), true);
        assert_eq!(back.report.status, Status::Applied, "{:?}", back.report);
        assert_eq!(found(dir.path()), wanted(before));
    }
}

fn by_git(before: Tree<'_>, patch: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let dir = made(before);
    let mut git = Command::new("git")
        .args(["apply", "-"])
        .current_dir(dir.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", dir.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut git.stdin.take().unwrap(), patch).unwrap();
    let output = git.wait_with_output().unwrap();
    if output.status.success() {
        Ok(found(dir.path()))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

macro_rules! types {
    ($($name:ident: $before:expr, $patch:expr => $after:expr;)*) => {$(
        #[test]
        fn $name() {
            passes(&$before, &$patch, &$after);
        }
    )*};
}

types! {
    a_link_is_made: [("f", "f\n")], link("d/l", "../f") => [("f", "f\n"), ("d/l", "-> ../f")];
    a_dangling_link_is_made: [("f", "f\n")], link("l", "nowhere") => [("f", "f\n"), ("l", "-> nowhere")];
    a_link_is_led_elsewhere: [("l", "-> a")], retarget("l", "a", "b/c") => [("l", "-> b/c")];
    a_link_that_leads_out_is_led_inside: [("l", "-> /etc")], retarget("l", "/etc", "b") => [("l", "-> b")];
    a_link_is_deleted: [("l", "-> a"), ("f", "f\n")], unlink("l", "a") => [("f", "f\n")];
    a_link_that_leads_out_is_deleted: [("l", "-> ../.."), ("f", "f\n")], unlink("l", "../..") => [("f", "f\n")];
    a_link_to_a_directory_is_deleted: [("l", "-> d"), ("d/f", "f\n")], unlink("l", "d") => [("d/f", "f\n")];
    a_link_is_renamed: [("l", "-> a")], moved("rename", "l", "m") => [("m", "-> a")];
    a_link_is_copied: [("l", "-> a")], moved("copy", "l", "d/m") => [("l", "-> a"), ("d/m", "-> a")];
    links_change_places:
        [("l", "-> a"), ("m", "-> b")], moved("rename", "l", "m") + &moved("rename", "m", "l")
        => [("l", "-> b"), ("m", "-> a")];
    a_file_becomes_a_link:
        [("f", "a\nb\n"), ("g", "g\n")], gone("f", "a\nb\n") + &link("f", "g") => [("f", "-> g"), ("g", "g\n")];
    a_link_becomes_a_file: [("l", "-> g")], unlink("l", "g") + &file("l", "new\n") => [("l", "new\n")];
    a_link_becomes_a_file_with_its_target_in_it: [("l", "-> g")], unlink("l", "g") + &file("l", "g") => [("l", "g")];
    a_link_is_deleted_and_made_anew: [("l", "-> a")], unlink("l", "a") + &link("l", "b") => [("l", "-> b")];
    a_file_becomes_a_directory:
        [("foo", "old\n")], gone("foo", "old\n") + &file("foo/bar/baz", "new\n") => [("foo/bar/baz", "new\n")];
    a_file_moves_into_a_directory_of_its_name: [("foo", "old\n")], moved("rename", "foo", "foo/baz") => [("foo/baz", "old\n")];
    a_directory_becomes_a_file:
        [("foo/a/b", "b\n"), ("foo/c", "c\n")],
        file("foo", "new\n") + &gone("foo/a/b", "b\n") + &gone("foo/c", "c\n") => [("foo", "new\n")];
    a_file_moves_to_its_directory_s_name: [("foo/baz", "old\n")], moved("rename", "foo/baz", "foo") => [("foo", "old\n")];
    a_link_becomes_a_directory:
        [("foo", "-> d"), ("d/f", "f\n")], unlink("foo", "d") + &file("foo/f", "new\n")
        => [("d/f", "f\n"), ("foo/f", "new\n")];
    a_directory_becomes_a_link:
        [("foo/f", "f\n"), ("d/f", "f\n")], gone("foo/f", "f\n") + &link("foo", "d")
        => [("foo", "-> d"), ("d/f", "f\n")];
    a_file_and_a_directory_change_places:
        [("a", "a\n"), ("b/x", "x\n")], moved("rename", "a", "b") + &moved("rename", "b/x", "a/x")
        => [("a/x", "x\n"), ("b", "a\n")];
}

#[test]
fn the_diff_of_two_trees_shows_links_and_changes_of_type_as_git_takes_them() {
    let one = [
        ("away", "-> a"),
        ("dir/x", "x\n"),
        ("file", "f\n"),
        ("led", "-> a"),
        ("same", "-> a"),
        ("t", "b"),
        ("u", "-> d"),
        ("v", "-> dir"),
    ];
    let other = [
        ("dir", "-> file"),
        ("file/y", "y\n"),
        ("led", "-> b"),
        ("made", "-> nowhere"),
        ("same", "-> a"),
        ("t", "-> b"),
        ("u", "d"),
        ("v/x", "x\n"),
    ];
    for (old, new) in [(one, other), (other, one)] {
        let (first, second) = (made(&old), made(&new));
        let options = patchcore::diff::DiffOptions::default();
        let comparison = Comparison::new(first.path(), second.path(), options).unwrap();
        let diffs = comparison.collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(by_git(&old, &diffs.concat()), Ok(wanted(&new)));
        let applied = apply_patch(first.path(), &diffs.concat(), false);
        assert_eq!(
            applied.report.status,
            Status::Applied,
            "{:?}",
            applied.report
        );
        assert_eq!(found(first.path()), wanted(&new));
    }
}

#[test]
fn the_diff_of_a_link_is_gits() {
    let root = made(&[("l", "-> target1")]);
    let patch = retarget("l", "target1", "target2");
    let applied = apply_patch(root.path(), patch.as_bytes(), false);
    let mut diff = Vec::new();
    let options = patchcore::diff::DiffOptions::default();
    applied.plan.write_diff(&options, &mut diff).unwrap();
    let blobs = patch.replace("1111111..2222222", "12a8d8a..3b7781e");
    assert_eq!(String::from_utf8(diff).unwrap(), blobs);
}

/// The first refusal's code of a patch that leaves the tree as it was.
fn refused(before: Tree<'_>, patch: &str) -> Code {
    let dir = made(before);
    let old = snapshot(dir.path());
    let applied = apply_patch(dir.path(), patch.as_bytes(), false);
    assert_eq!(applied.report.status, Status::Refused, "{patch}");
    assert_eq!(snapshot(dir.path()), old, "{patch}");
    assert_eq!(found(dir.path()), wanted(before), "{patch}");
    applied.report.code().unwrap()
}

#[test]
fn r16_nothing_is_made_below_a_link_of_the_same_patch() {
    for patch in [
        link("l", "d") + &file("l/x", "x\n"),
        file("l/x", "x\n") + &link("l", "d"),
        link("l", "d") + &link("l/m", "f"),
        link("l", "d") + &moved("rename", "f", "l/f"),
        link("L", "d") + &file("l/x", "x\n"),
    ] {
        let code = refused(&[("d/f", "f\n"), ("f", "f\n")], &patch);
        assert_eq!(code, Code::PathCollision, "{patch}");
    }
    let renamed = moved("rename", "l", "m") + &file("m/x", "x\n");
    assert_eq!(
        refused(&[("l", "-> d"), ("d/f", "f\n")], &renamed),
        Code::PathCollision
    );
}

#[test]
fn r16_a_link_that_stands_there_is_no_way() {
    let tree = [("d/f", "f\n"), ("l", "-> d"), ("lf", "-> d/f")];
    for patch in [
        file("l/x", "x\n"),
        gone("l/f", "f\n"),
        link("l/m", "f"),
        unlink("l/f", "f"),
        moved("rename", "l/f", "g"),
        moved("copy", "d/f", "l/g"),
        // What does not say that it means a link means the file.
        "--- lf\n+++ lf\n@@ -1 +1 @@\n-f\n+g\n".to_owned(),
        "--- lf\n+++ lf\n@@ -1 +1 @@\n-d/f\n\\ No newline at end of file\n+g\n".to_owned(),
        gone("lf", "f\n"),
    ] {
        assert_eq!(refused(&tree, &patch), Code::Symlink, "{patch}");
    }
}

#[test]
fn a_link_never_leads_out_of_the_root_nor_to_what_is_protected() {
    use Code::{InvalidBatch, PathEscape, PathProtected};
    for (patch, code) in [
        (link("l", "/etc/passwd"), PathEscape),
        (link("l", "../x"), PathEscape),
        (link("l", "d/../../x"), PathEscape),
        (link("d/l", "../../x"), PathEscape),
        (link("l", ".git/config"), PathProtected),
        (link("d/l", "../.mission_control"), PathProtected),
        (link(".envrc", "f"), PathProtected),
        (link("l", "f\n"), InvalidBatch),
        (link("l", "f\0"), InvalidBatch),
        (retarget("in", "f", "../f"), PathEscape),
        (retarget("out", "/etc", "/usr"), PathEscape),
        (moved("rename", "d/up", "up"), PathEscape),
        (moved("copy", "d/up", "up"), PathEscape),
        (moved("rename", "out", "elsewhere"), PathEscape),
        (gone("f", "f\n") + &link("f", "/etc"), PathEscape),
    ] {
        let tree = [
            ("f", "f\n"),
            ("in", "-> f"),
            ("out", "-> /etc"),
            ("d/up", "-> ../f"),
        ];
        assert_eq!(refused(&tree, &patch), code, "{patch}");
    }
    let empty = "diff --git a/l b/l\nnew file mode 120000\nindex 0000000..e69de29\n";
    assert_eq!(refused(&[("f", "f\n")], empty), InvalidBatch);
}

#[test]
fn what_stands_there_must_be_of_the_kind_and_text_that_the_patch_says() {
    let tree = [("f", "g"), ("l", "-> g"), ("d/f", "f\n")];
    for (patch, code) in [
        (unlink("f", "g"), Code::ExpectMismatch),
        (retarget("f", "g", "h"), Code::ExpectMismatch),
        (unlink("l", "other"), Code::AnchorNotFound),
        (retarget("l", "other", "h"), Code::AnchorNotFound),
        (link("l", "h"), Code::Symlink),
        (link("f", "h"), Code::FileExists),
        (link("d", "h"), Code::NotAFile),
        (file("f/x", "x\n"), Code::NotAFile),
        (file("d", "x\n"), Code::NotAFile),
        (
            gone("f", "g") + &file("f", "h") + &file("f/x", "x\n"),
            Code::PathCollision,
        ),
    ] {
        assert_eq!(refused(&tree, &patch), code, "{patch}");
    }
    let turned = "diff --git a/f b/f\nold mode 100644\nnew mode 120000\n";
    let mut options = Options::default();
    options.dialect = Some(Dialect::UnifiedDiff);
    let refusal = parse(turned.as_bytes(), &options).err().unwrap();
    assert_eq!(refusal.code, Code::InvalidBatch);
}

#[test]
fn a_directory_with_other_files_in_it_stays_one() {
    let tree = [("foo/a", "a\n"), ("foo/other", "x\n")];
    for made in [file("foo", "new\n"), link("foo", "a")] {
        assert_eq!(
            refused(&tree, &(gone("foo/a", "a\n") + &made)),
            Code::NotAFile
        );
    }
    let empty = made(&[("foo/a", "a\n")]);
    fs::create_dir(empty.path().join("foo/empty")).unwrap();
    let applied = apply_patch(
        empty.path(),
        (gone("foo/a", "a\n") + &link("foo", "a")).as_bytes(),
        false,
    );
    assert_eq!(applied.report.code(), Some(Code::NotAFile));
}

#[test]
fn undo_leaves_a_directory_in_which_others_work() {
    let dir = made(&[("foo", "old\n")]);
    let root = dir.path();
    apply_patch(
        root,
        (gone("foo", "old\n") + &file("foo/a", "a\n")).as_bytes(),
        false,
    );
    fs::write(root.join("foo/other"), "theirs\n").unwrap();
    let workspace = Workspace::open(root).unwrap();
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.code(), Some(Code::NotAFile));
    let tree = [("foo/a", "a\n"), ("foo/other", "theirs\n")];
    assert_eq!(found(root), wanted(&tree));
}

#[test]
fn undo_and_audit_tell_a_link_from_a_file_with_its_target_in_it() {
    let dir = made(&[("l", "-> a")]);
    let root = dir.path();
    apply_patch(root, retarget("l", "a", "b").as_bytes(), false);
    fs::remove_file(root.join("l")).unwrap();
    fs::write(root.join("l"), "b").unwrap();
    let workspace = Workspace::open(root).unwrap();
    assert_eq!(workspace.audit().unwrap().changed.len(), 1);
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.code(), Some(Code::ChangedSince));
    assert_eq!(found(root), wanted(&[("l", "b")]));
}

#[test]
fn operations_that_do_not_mean_a_link_are_refused() {
    let dir = made(&[("l", "-> a"), ("a", "a\n")]);
    let root = dir.path();
    let delete = Operation {
        base: Some(Digest::of(b"a")),
        ..Operation::new(path("l"), Action::DeleteFile { expect: None })
    };
    let link = Operation {
        link: true,
        ..delete.clone()
    };
    let applied = apply_new(root, batch(vec![delete]));
    assert_eq!(applied.report.code(), Some(Code::Symlink));
    assert_eq!(
        apply_new(root, batch(vec![link])).report.status,
        Status::Applied
    );
    assert_eq!(found(root), wanted(&[("a", "a\n")]));
}

#[test]
fn what_ends_to_be_a_link_is_a_new_file() {
    let dir = made(&[("l", "-> a")]);
    let root = dir.path();
    apply_patch(
        root,
        (unlink("l", "a") + &file("l", "new\n")).as_bytes(),
        false,
    );
    fs::write(root.join("plain"), "").unwrap();
    let mode = |name: &str| fs::symlink_metadata(root.join(name)).unwrap().mode();
    assert_eq!(mode("l"), mode("plain"));
}
