//! R16: a symbolic link is judged by where it leads.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;

use crate::sandbox::Sandbox;

/// A diff that makes links, each `path -> target`.
fn made(links: &[&str]) -> String {
    let mut diff = String::new();
    for link in links {
        let (path, target) = link.split_once(" -> ").unwrap();
        write!(
            diff,
            "diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
        )
        .unwrap();
    }
    diff
}

fn moved(how: &str, from: &str, to: &str) -> String {
    format!("diff --git a/{from} b/{to}\nsimilarity index 100%\n{how} from {from}\n{how} to {to}\n")
}

/// A tree with a way out, a way to the repository, and honest links.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(&[("f", "f\n"), ("sub/f", "f\n"), ("sub/deep/f", "f\n")]);
    for (path, target) in [
        ("ext", "../outside"),
        ("repo", ".git"),
        ("sub/ext", "../../outside"),
        ("honest", "sub"),
        ("sub/deep/up", "../../f"),
        ("sub/side", "deep/f"),
        ("old", "ext/s"),
    ] {
        symlink(target, sandbox.root().join(path)).unwrap();
    }
    sandbox
}

#[test]
fn r16_no_link_leads_out_or_to_a_protected_path_through_others() {
    let swap = "diff --git a/honest b/honest\ndeleted file mode 120000\n--- a/honest\n+++ /dev/null\n@@ -1 +0,0 @@\n-sub\n\\ No newline at end of file\n";
    for (diff, code) in [
        (made(&["n -> ext"]), "PATH_ESCAPE"),
        (made(&["n -> ext/s"]), "PATH_ESCAPE"),
        (made(&["sub/n -> ../ext/s"]), "PATH_ESCAPE"),
        (made(&["n -> honest/ext/s"]), "PATH_ESCAPE"),
        (made(&["n -> old"]), "PATH_ESCAPE"),
        (made(&["n -> .git"]), "PATH_PROTECTED"),
        (made(&["n -> repo"]), "PATH_PROTECTED"),
        (made(&["n -> repo/hooks/x"]), "PATH_PROTECTED"),
        (made(&["a -> b/s", "b -> ext"]), "PATH_ESCAPE"),
        (made(&["a -> b/ext", "b -> sub"]), "PATH_ESCAPE"),
        (
            made(&["a -> b", "b -> c/hooks", "c -> repo"]),
            "PATH_PROTECTED",
        ),
        (made(&["a -> b", "b -> a"]), "SYMLINK"),
        (moved("rename", "old", "new"), "PATH_ESCAPE"),
        (moved("copy", "old", "new"), "PATH_ESCAPE"),
        (moved("rename", "repo", "new"), "PATH_PROTECTED"),
        (moved("rename", "sub/deep/up", "sub/up"), "PATH_ESCAPE"),
        (moved("copy", "sub/deep/up", "up"), "PATH_ESCAPE"),
        (
            format!("{swap}{}", made(&["n -> honest/x", "honest -> ext"])),
            "PATH_ESCAPE",
        ),
    ] {
        let sandbox = sandbox();
        let before = sandbox.tree();
        for command in ["check", "apply"] {
            let run = sandbox.run_with(&diff, &[command, "--no-diff"]);
            assert_eq!(run.code, 1, "{diff}{run:?}");
            assert!(run.err.contains(&format!("[{code}]")), "{diff}{run:?}");
            assert_eq!(sandbox.tree(), before, "{diff}");
        }
    }
}

#[test]
fn links_that_lead_to_what_anybody_may_edit_land() {
    for diff in [
        made(&["n -> honest/deep/f"]),
        made(&["n -> nothing/yet"]),
        made(&["a -> b", "b -> f"]),
        made(&["sub/n -> ../honest"]),
        moved("rename", "sub/deep/up", "sub/other/up"),
        moved("rename", "honest", "honest2"),
        moved("copy", "sub/side", "sub/side2"),
    ] {
        let sandbox = sandbox();
        sandbox.run_with(&diff, &["apply"]).exits(0);
    }
}

#[test]
fn the_operator_opens_a_protected_target_but_no_way_out() {
    let sandbox = sandbox();
    let open = ["apply", "--allow-path", ".git"];
    sandbox.run_with(made(&["n -> repo/info"]), &open).exits(0);
    sandbox.run_with(made(&["m -> ext"]), &open).exits(1);
}

#[test]
fn what_lands_in_part_is_judged_without_the_rest() {
    let sandbox = sandbox();
    // `sub/ext` would become harmless, but its section is refused; so `n` would lead out.
    let turned = "diff --git a/sub/ext b/sub/ext\n--- a/sub/ext\n+++ b/sub/ext\n@@ -1 +1 @@\n-../../elsewhere\n\\ No newline at end of file\n+deep\n\\ No newline at end of file\n";
    let diff = format!("{turned}{}", made(&["n -> sub/ext/s", "m -> f"]));
    sandbox.run_with(diff, &["apply", "--partial"]);
    let names = sandbox.tree();
    assert!(!names.contains_key(&sandbox.root().join("n")), "{names:?}");
}
