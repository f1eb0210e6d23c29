//! Diffs of which something is lost on the way: what is left is never taken for the whole.

use patchcore::Code;
use patchcore::dialect::{Options, parse};
use patchcore::plan::{Script as _, plan};

use super::{Files, applied, policy, tree};

fn files(all: &[(&str, &str)]) -> Files {
    let file =
        |(name, text): &(&str, &str)| (name.as_bytes().to_vec(), (text.as_bytes().to_vec(), false));
    all.iter().map(file).collect()
}

/// The code of the refusal of a patch for `f`, of the lines `a` to `d`.
fn code(patch: &str, options: &Options) -> Option<Code> {
    let before = files(&[("f", "a\nb\nc\nd\n"), ("empty", "")]);
    applied(patch.as_bytes(), &before, options)
        .err()
        .map(|refusal| refusal.code)
}

fn zero() -> Options {
    let mut options = Options::default();
    options.unidiff_zero = true;
    options
}

#[test]
fn a_header_whose_hunks_are_lost_is_refused() {
    let whole = "diff --git a/f b/f\nindex 1234567..89abcde 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+A\n";
    let other = "diff --git a/empty b/empty\nold mode 100644\nnew mode 100755\n";
    for lost in [
        // Cut off, behind each of its lines.
        "diff --git a/f b/f\n",
        "diff --git a/f b/f\nindex 1234567..89abcde 100644\n",
        "diff --git a/f b/f\nindex 1234567..89abcde 100644\n--- a/f\n+++ b/f\n",
        "--- a/f\n+++ b/f\n",
        "diff --git a/n b/n\nnew file mode 100644\nindex 0000000..89abcde\n",
        "diff --git a/n b/n\nnew file mode 100644\nindex 0000000..89abcde\n--- /dev/null\n+++ b/n\n",
        // The line above its lines is gone.
        "diff --git a/f b/f\nindex 1234567..89abcde 100644\n--- a/f\n+++ b/f\n-a\n+A\n b\n",
        // One of two lines of modes.
        "diff --git a/f b/f\nold mode 100644\n",
        "diff --git a/f b/f\nold mode 100644\n\nnew mode 100755\n",
        // What stands between leaves out what is below it.
        "diff --git a/n b/n\n\nnew file mode 100755\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/f b/g\nsimilarity index 90%\n\nrename from f\nrename to g\n",
        // The line is joined to the first one of the hunk.
        "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@-a\n+A\n b\n",
        "--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@+x\n+y\n",
    ] {
        for patch in [lost.to_owned(), format!("{lost}{other}")] {
            assert_eq!(
                code(&patch, &Options::default()),
                Some(Code::InvalidBatch),
                "{patch}"
            );
        }
    }
    for complete in [
        whole,
        "diff --git a/f b/f\nold mode 100644\nnew mode 100755\n",
        "diff --git a/n b/n\nnew file mode 100644\nindex 0000000..e69de29\n",
        "diff --git a/n b/n\nnew file mode 100644\n",
        "diff --git a/empty b/empty\ndeleted file mode 100644\nindex e69de29..0000000\n",
        "diff --git a/f b/g\nsimilarity index 100%\nrename from f\nrename to g\n",
        // Nothing is lost of these.
        "diff --git a/f b/f\n\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+A\n",
        "diff --git a/f b/f\nindex 1234567..89abcde 100644\n\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+A\n",
        "diff --git a/f b/f\ndiff --git a/f b/f\nold mode 100644\nnew mode 100755\n",
    ] {
        assert_eq!(code(complete, &Options::default()), None, "{complete}");
    }
}

#[test]
fn two_hunks_that_add_lines_at_one_point_are_one_too_many() {
    for (header, name) in [
        ("--- /dev/null\n+++ b/n\n", "n"),
        ("--- a/empty\n+++ b/empty\n", "empty"),
    ] {
        let hunk = "@@ -0,0 +1,2 @@\n+x\n+y\n";
        let twice = format!("{header}{hunk}{hunk}");
        assert_eq!(code(&twice, &zero()), Some(Code::Overlap), "{twice}");
        assert_eq!(
            code(&twice, &Options::default()),
            Some(Code::Overlap),
            "{twice}"
        );
        // Its header says that the second one follows.
        let further = format!("{header}{hunk}@@ -0,0 +3 @@\n+z\n");
        let before = files(&[("empty", "")]);
        let after = applied(further.as_bytes(), &before, &zero()).unwrap();
        assert_eq!(after[name.as_bytes()].0, b"x\ny\nz\n");
    }
    let link = "diff --git a/l b/l\nnew file mode 120000\nindex 0000000..6a69f92\n--- /dev/null\n+++ b/l\n";
    let hunk = "@@ -0,0 +1 @@\n+f\n\\ No newline at end of file\n";
    let twice = format!("{link}{hunk}{hunk}");
    assert_eq!(code(&twice, &Options::default()), Some(Code::Overlap));
    let twice = "--- a/f\n+++ b/f\n@@ -2,0 +3 @@\n+x\n@@ -2,0 +3 @@\n+x\n";
    assert_eq!(code(twice, &zero()), Some(Code::Overlap));
    let further = "--- a/f\n+++ b/f\n@@ -2,0 +3 @@\n+x\n@@ -2,0 +4 @@\n+y\n";
    assert_eq!(code(further, &zero()), None);
}

/// Where the counts are wrong and the blob names are not, they tell whether a line is lost.
#[test]
fn a_hunk_with_other_counts_makes_the_blob_that_is_named_or_is_refused() {
    let patch = |index: &str, header: &str, body: &str| {
        format!(
            "diff --git a/f b/f\nindex {index} 100644\n--- a/f\n+++ b/f\n{header}\n{body}diff --git a/empty b/empty\nold mode 100644\nnew mode 100755\n"
        )
    };
    let body = " a\n-b\n+B\n c\n+D\n d\n";
    let (header, index) = ("@@ -1,4 +1,5 @@", "d68dd40..cfab4db");
    let options = Options::default();
    assert_eq!(code(&patch(index, header, body), &options), None);
    // Miscounted, and whole.
    for header in ["@@ -1,4 +1,6 @@", "@@ -1,3 +1,5 @@", "@@ -1,9 +1,9 @@"] {
        assert_eq!(
            code(&patch(index, header, body), &options),
            None,
            "{header}"
        );
    }
    for damaged in [
        " a\n-b\n+B\n c\n d\n",
        " a\n-b\n+B+\n c\n d\n",
        " a\n-b\n-c\n+D\n d\n",
    ] {
        let damaged = patch(index, header, damaged);
        assert_eq!(
            code(&damaged, &options),
            Some(Code::InvalidBatch),
            "{damaged}"
        );
        // The operator's word counts more.
        let mut recount = Options::default();
        recount.recount = true;
        assert_eq!(code(&damaged, &recount), None, "{damaged}");
    }
    // Names that are those of other bytes, as a model makes them up, prove nothing.
    assert_eq!(
        code(
            &patch("1234567..89abcde", "@@ -1,4 +1,6 @@", body),
            &options
        ),
        None
    );
    let new = |index: &str, body: &str| {
        format!(
            "diff --git a/n b/n\nnew file mode 100644\nindex 0000000..{index}\n--- /dev/null\n+++ b/n\n@@ -0,0 +1,3 @@\n{body}diff --git a/empty b/empty\nold mode 100644\nnew mode 100755\n"
        )
    };
    assert_eq!(
        code(&new("4a58007", "+x\n+y\n"), &options),
        Some(Code::InvalidBatch)
    );
    assert_eq!(code(&new("b77b4eb", "+x\n+y\n"), &options), None);
    assert_eq!(code(&new("e69de29", "+x\n+y\n"), &options), None);
}

/// A signature or words of a mail below a patch do not make its endings those of its files.
#[test]
fn endings_of_the_way_are_told_for_each_file() {
    let diff = "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+x\n+y\n";
    let on_its_way = diff.replace('\n', "\r\n");
    let of_its_file = diff.replace("+x\n+y\n", "+x\r\n+y\r\n");
    for around in [
        ("", ""),
        ("", "-- \n2.43.0\n"),
        ("See below.\n\n", ""),
        ("```diff\n", "```\n"),
    ] {
        for (patch, text) in [(&on_its_way, "x\ny\n"), (&of_its_file, "x\r\ny\r\n")] {
            let patch = format!("{}{patch}{}", around.0, around.1);
            let after = applied(patch.as_bytes(), &files(&[]), &Options::default()).unwrap();
            assert_eq!(after[&b"n"[..]].0, text.as_bytes(), "{patch}");
        }
    }
}

#[test]
fn an_empty_file_that_gets_lines_tells_the_level_of_its_name() {
    let patch = "diff --git old/empty new/empty\nindex e69de29..4a58007 100644\n--- old/empty\n+++ new/empty\n@@ -0,0 +1 @@\n+x\n";
    let after = applied(
        patch.as_bytes(),
        &files(&[("empty", "")]),
        &Options::default(),
    )
    .unwrap();
    assert_eq!(after[&b"empty"[..]].0, b"x\n");
    assert_eq!(after.len(), 1);
}

/// Without git's headers nothing says that a file was renamed, and nothing says that it was not.
#[test]
fn a_file_of_two_names_is_told() {
    let told = |old: &str, new: &str, there: &str| {
        let patch = format!("--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n");
        let options = Options::default();
        let script = parse(patch.as_bytes(), &options).unwrap();
        let tree = tree(&files(&[(there, "a\n")]), &script.paths());
        let batch = script.lower(&tree).unwrap().batch;
        let plan = plan(&batch, &tree, &policy(&options));
        assert_eq!(plan.changes.len(), 1, "{patch}");
        plan.verdicts[0]
            .note
            .clone()
            .is_some_and(|note| note.contains("not renamed"))
    };
    for (old, new, there, wanted) in [
        ("a/old.py", "b/new.py", "old.py", true),
        ("a/old.py", "b/new.py", "new.py", true),
        ("f.orig", "f", "f", false),
        ("f", "f.new", "f", false),
        ("x.orig/f", "x/f", "x/f", false),
        ("a/f", "b/f", "f", false),
    ] {
        assert_eq!(told(old, new, there), wanted, "{old} {new}");
    }
}
