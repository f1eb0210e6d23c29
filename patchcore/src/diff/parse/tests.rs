use super::*;

fn parsed(diff: &str) -> Diff<'_> {
    parse(diff.as_bytes(), ParseOptions::default()).unwrap()
}

fn fault(diff: &str) -> ParseError {
    parse(diff.as_bytes(), ParseOptions::default()).unwrap_err()
}

#[test]
fn headers_of_git_say_all_that_they_say() {
    let diff = parsed(
        "diff --git \"a/\\303\\251\" b/y\nold mode 100644\nnew mode 100755\nsimilarity index 90%\n\
         rename from \"\\303\\251\"\nrename to y\nindex 1234567..89abcde\n--- \"a/\\303\\251\"\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n",
    );
    let [file] = &diff.files[..] else {
        panic!("one file")
    };
    assert_eq!(file.rename_from.as_deref(), Some("\u{e9}".as_bytes()));
    assert_eq!(file.rename_to.as_deref(), Some(&b"y"[..]));
    assert_eq!(
        (file.old_mode, file.new_mode),
        (Some(0o100_644), Some(0o100_755))
    );
    assert_eq!(file.index, Some((&b"1234567"[..], &b"89abcde"[..])));
    assert_eq!(file.hunks.len(), 1);
    assert_eq!(file.reversed().reversed(), *file);
}

#[test]
fn time_stamps_are_no_part_of_a_name_and_the_epoch_is_known_in_every_zone() {
    let name = |line: &str| {
        let diff = format!("--- {line}\n+++ x\n@@ -1 +1 @@\n-a\n+b\n");
        parsed(&diff).files[0].old.clone().unwrap()
    };
    let path = |bytes: &str, epoch| Name::Path {
        bytes: bytes.as_bytes().to_vec(),
        epoch,
    };
    assert_eq!(
        name("a b\t2010-08-18 20:13:31.616002255 -0500"),
        path("a b", false)
    );
    assert_eq!(name("a\tb\t2010-08-18 20:13:31 -0500"), path("a\tb", false));
    assert_eq!(
        name("a\t1970-01-01 01:00:00.000000000 +0100"),
        path("a", true)
    );
    assert_eq!(name("a\t1969-12-31 19:00:00 -0500"), path("a", true));
    assert_eq!(name("a\t1970-01-01 00:00:01 +0000"), path("a", false));
    assert_eq!(name("a\theader"), path("a", false));
    assert_eq!(name("\"a/\"sub/f"), path("\"a/\"sub/f", false));
    assert_eq!(name("/dev/null"), Name::Null);
}

#[test]
fn hunk_headers_that_overflow_are_errors() {
    for header in [
        "@@ -18446744073709551616 +1 @@",
        "@@ -1,18446744073709551615 +1 @@",
        "@@ -9223372036854775807,2 +1 @@",
        "@@ -1 +99999999999999999999999999 @@",
        "@@ -1 @@",
        "@@ -1 +1",
    ] {
        let fault = fault(&format!("--- f\n+++ f\n{header}\n-a\n+b\n"));
        assert_eq!(fault.line, 3, "{header}: {fault}");
    }
}

#[test]
fn counts_that_lie_are_mended_where_the_end_is_clear() {
    let hunk = |body: &str| format!("--- f\n+++ f\n@@ -1,9 +1,9 @@\n{body}");
    let mended = |diff: &str| {
        let diff = parsed(diff);
        (diff.files[0].hunks[0].lines.len(), diff.remarks.len())
    };
    assert_eq!(mended(&hunk(" a\n-b\n+c\n@@ -20 +20 @@\n-x\n+y\n")), (3, 1));
    assert_eq!(mended(&hunk(" a\n-b\n+c\n```\n")), (3, 2));
    assert_eq!(
        mended(&hunk(
            " a\n-b\n+c\n\ndiff --git a/x b/x\nold mode 100644\nnew mode 100755\n"
        )),
        (3, 1)
    );
    assert_eq!(
        mended("--- f\n+++ f\n@@ -1 +1 @@\n-b\n+c\n-- \n2.43.0\n"),
        (2, 0)
    );
    assert_eq!(fault(&hunk(" a\n-b\n+c\nprose\n")).line, 7);
}

#[test]
fn what_only_the_file_can_decide_is_a_doubt() {
    let doubt = |diff: &'static str| parsed(diff).files[0].hunks[0].doubt.clone().map(|d| *d);
    let line = |role, text| HunkLine {
        role,
        text,
        newline: true,
    };
    assert_eq!(
        doubt("--- f\n+++ f\n@@ -1 +1 @@\n-b\n+c\n d\n-e\n"),
        Some(Doubt::Behind {
            line: 6,
            lines: vec![line(Role::Context, b"d"), line(Role::Removed, b"e")],
        })
    );
    assert_eq!(
        doubt("--- f\n+++ f\n@@ -1,4 +1,5 @@\n a\n-b\n+c\n d\n"),
        Some(Doubt::Short { old: 1, new: 2 })
    );
    for whole in [
        "--- f\n+++ f\n@@ -1 +1 @@\n-b\n+c\n\nSome words.\n",
        "--- f\n+++ f\n@@ -1 +1 @@\n-b\n+c\n--- g\n+++ g\n@@ -1 +1 @@\n-b\n+c\n",
        "--- f\n+++ f\n@@ -1 +1 @@\n-b\n+c\n-- \n2.43.0\n",
    ] {
        assert_eq!(doubt(whole), None, "{whole}");
    }
}

#[test]
fn a_header_that_is_lost_or_joined_to_a_hunk_is_refused() {
    let hunk = "--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n";
    for (rest, line) in [
        ("+c--- a/g\n+++ b/g\n@@ -1 +1 @@\n-x\n+y\n", 6),
        (
            "+cdiff --git a/g b/g\nindex 1..2 100644\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-x\n+y\n",
            6,
        ),
        ("+c@@ -9,2 +9,2 @@\n x\n-y\n+z\n", 6),
        ("+c\n+++ b/g\n@@ -1 +1 @@\n-x\n+y\n", 7),
    ] {
        let fault = fault(&format!("{hunk}{rest}"));
        assert_eq!(fault.line, line, "{rest}: {fault}");
    }
}

#[test]
fn binary_patches_keep_both_directions() {
    let diff = parsed(
        "diff --git a/b b/b\nindex 1..2\nGIT binary patch\ndelta 7\nOcmdlHF-K>Ej2Hk7IRd)?\n\ndelta 10\nQcmbQEvm;`Ij2I9B02ep|od5s;\n\ndiff --git a/c b/c\nold mode 100644\nnew mode 100755\n",
    );
    let binary = diff.files[0].binary.clone().unwrap();
    assert_eq!(
        binary
            .forward
            .as_ref()
            .map(|hunk| (hunk.delta, hunk.size, hunk.data.len())),
        Some((true, 7, 15))
    );
    assert_eq!(binary.reverse.map(|hunk| hunk.size), Some(10));
    assert_eq!(diff.files.len(), 2);
    assert!(
        parse(
            b"diff --git a/b b/b\nGIT binary patch\nliteral 2\nJcmZ\n",
            ParseOptions::default()
        )
        .is_err()
    );
}

#[test]
fn combined_and_context_diffs_are_told() {
    assert!(fault("diff --cc f\n").message.contains("merge"));
    assert!(
        fault("*** a\n--- b\n***************\n*** 1 ****\n")
            .message
            .contains("context diff")
    );
    assert!(
        fault("@@ -1 +1 @@\n-a\n+b\n")
            .message
            .contains("without a file name")
    );
}

#[test]
fn a_hunk_below_text_that_names_another_file_is_refused() {
    let first = "--- a/src/f.rs\n+++ b/src/f.rs\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n";
    let second = "@@ -8,2 +8,2 @@\n-c\n+C\n d\n";
    for between in [
        "--- a/g.rs\n",
        "+++ b/g.rs\n",
        "-- a/g.rs\n++ b/g.rs\n",
        "Index: g\n",
        "Index: g.rs\n====\n",
        "g.rs\n",
        "\n### `lib/g.rs`\n\n",
        "Then in **g.rs**:\n",
        "File: Makefile\n",
        // A header that is none: its changes would be left out.
        "@ -4,2 +4,2 @\n-e\n+E\n f\n",
        "\n@ -4,2 +4,2 @\n+E\n",
    ] {
        let text = format!("{first}{between}{second}");
        let read = parse(text.as_bytes(), ParseOptions::default());
        assert!(read.is_err(), "{text}");
    }
    for between in [
        "",
        "\n",
        "And further down:\n",
        "Further down in f.rs:\n",
        "\n**src/f.rs**, e.g. the end:\n",
        "--- a/src/f.rs\n+++ b/src/f.rs\n",
        "see https://example.org/x.html\n",
    ] {
        let text = format!("{first}{between}{second}");
        let read = parse(text.as_bytes(), ParseOptions::default());
        assert!(read.is_ok(), "{text}: {:?}", read.err());
    }
}
