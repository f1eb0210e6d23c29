use super::*;
use crate::edit::{Edit, EditSet};
use crate::text::LineIndex;

fn side(path: &str, executable: bool) -> Option<Side<'_>> {
    Some(Side {
        path: path.as_bytes(),
        executable,
        link: false,
    })
}

fn render(diff: &FileDiff<'_>, options: &DiffOptions) -> String {
    let mut out = Vec::new();
    diff.write(options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn modified<'a>(source: &'a str, edits: &'a [Edit]) -> FileDiff<'a> {
    let f = side("f", false).unwrap();
    FileDiff::modified(f, f, source.as_bytes(), edits)
}

/// The hunks of a diff of `f`, without the header.
fn hunks(source: &str, edits: &[Edit], options: &DiffOptions) -> String {
    let text = render(&modified(source, edits), options);
    let header = "diff --git a/f b/f\n--- a/f\n+++ b/f\n";
    text.strip_prefix(header).expect("a header").to_owned()
}

#[test]
fn context_that_touches_joins_hunks_and_more_parts_them() {
    let source = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let edits = [Edit::replace(0..1, "one"), Edit::replace(14..15, "eight")];
    let joined = "@@ -1,9 +1,9 @@\n-1\n+one\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+eight\n 9\n";
    assert_eq!(hunks(source, &edits, &DiffOptions::default()), joined);
    let edits = [Edit::replace(0..1, "one"), Edit::replace(16..17, "nine")];
    let parted = "@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n\
                  @@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+nine\n";
    assert_eq!(hunks(source, &edits, &DiffOptions::default()), parted);
}

#[test]
fn ranges_without_lines_name_the_line_before() {
    let none = DiffOptions {
        context: 0,
        ..DiffOptions::default()
    };
    let edits = [Edit::insert(2, "x\ny\n"), Edit::delete(4..6)];
    let expected = "@@ -1,0 +2,2 @@\n+x\n+y\n@@ -3 +4,0 @@\n-3\n";
    assert_eq!(hunks("1\n2\n3\n", &edits, &none), expected);
    let reverse = DiffOptions {
        direction: Direction::Reverse,
        ..none
    };
    let expected = "@@ -2,2 +1,0 @@\n-x\n-y\n@@ -4,0 +3 @@\n+3\n";
    assert_eq!(hunks("1\n2\n3\n", &edits, &reverse), expected);
}

#[test]
fn a_missing_final_newline_is_marked_on_each_side() {
    let edits = [Edit::insert(3, "\n")];
    let expected = "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n";
    assert_eq!(hunks("a\nb", &edits, &DiffOptions::default()), expected);
    let edits = [Edit::replace(0..1, "A")];
    let expected = "@@ -1,2 +1,2 @@\n-a\n+A\n b\n\\ No newline at end of file\n";
    assert_eq!(hunks("a\nb", &edits, &DiffOptions::default()), expected);
}

#[test]
fn headers_are_those_of_git() {
    let diff = |old, new, origin, source: &'static str, edits: &'static [Edit]| {
        let diff = FileDiff {
            old,
            new,
            origin,
            source: source.as_bytes(),
            edits,
            lines: None,
        };
        render(&diff, &DiffOptions::default())
    };
    let same = Origin::Same;
    assert_eq!(
        diff(None, side("a b", true), same, "", &[]),
        "diff --git \"a/a b\" \"b/a b\"\nnew file mode 100755\nindex 0000000..e69de29\n"
    );
    assert_eq!(
        diff(side("e", false), None, same, "", &[]),
        "diff --git a/e b/e\ndeleted file mode 100644\nindex e69de29..0000000\n"
    );
    assert_eq!(
        diff(
            side("é", false),
            side("x\t", true),
            Origin::Renamed,
            "a\n",
            &[]
        ),
        "diff --git \"a/\\303\\251\" \"b/x\\t\"\nold mode 100644\nnew mode 100755\n\
         similarity index 100%\nrename from \"\\303\\251\"\nrename to \"x\\t\"\n"
    );
    assert_eq!(diff(side("e", false), side("e", false), same, "", &[]), "");
    assert_eq!(diff(None, None, same, "", &[]), "");
}

#[test]
fn names_with_spaces_end_in_a_tab_and_similarity_counts_bytes() {
    let edits = [Edit::replace(0..2, "x\n")];
    let diff = FileDiff {
        old: side("o", false),
        new: side("n n", false),
        origin: Origin::Renamed,
        source: b"1\n2\n3\n4\n5\n",
        edits: &edits,
        lines: None,
    };
    let text = render(&diff, &DiffOptions::default());
    assert!(text.starts_with(
        "diff --git a/o b/n n\nsimilarity index 80%\nrename from o\nrename to n n\n\
         --- a/o\n+++ b/n n\t\n@@ -1,4 +1,4 @@\n"
    ));
}

#[test]
fn a_copy_is_created_and_deleted_unless_it_is_to_be_shown_as_one() {
    let edits = [Edit::insert(2, "b\n")];
    let diff = FileDiff {
        old: side("o", false),
        new: side("c", true),
        origin: Origin::Copied,
        source: b"a\n",
        edits: &edits,
        lines: None,
    };
    let mut options = DiffOptions::default();
    assert_eq!(
        render(&diff, &options),
        "diff --git a/c b/c\nnew file mode 100755\n--- /dev/null\n+++ b/c\n\
         @@ -0,0 +1,2 @@\n+a\n+b\n"
    );
    options.direction = Direction::Reverse;
    let deleted = "diff --git a/c b/c\ndeleted file mode 100755\n--- a/c\n+++ /dev/null\n\
                   @@ -1,2 +0,0 @@\n-a\n-b\n";
    assert_eq!(render(&diff, &options), deleted);
    options.copies = Copies::Copied;
    assert_eq!(render(&diff, &options), deleted);
    options.direction = Direction::Forward;
    assert_eq!(
        render(&diff, &options),
        "diff --git a/o b/c\nold mode 100644\nnew mode 100755\nsimilarity index 50%\n\
         copy from o\ncopy to c\n--- a/o\n+++ b/c\n@@ -1 +1,2 @@\n a\n+b\n"
    );
}

#[test]
fn a_bound_cuts_behind_a_line_and_says_so() {
    let edits = [Edit::replace(0..2, "x\n")];
    let diff = modified("a\n", &edits);
    let whole = diff.render(&DiffOptions::default(), 1000);
    assert!(!whole.truncated);
    let exact = diff.render(&DiffOptions::default(), whole.diff.len());
    assert_eq!(exact, whole);
    let cut = diff.render(&DiffOptions::default(), whole.diff.len() - 1);
    assert!(cut.truncated);
    assert_eq!(cut.diff, &whole.diff[..whole.diff.len() - "+x\n".len()]);
    assert_eq!(diff.render(&DiffOptions::default(), 0).diff, b"");
}

#[test]
fn lines_looked_up_and_lines_counted_agree() {
    let source: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    let edits: Vec<Edit> = source
        .match_indices("99\n")
        .map(|(at, _)| Edit::insert(at, "!"))
        .collect();
    let counted = modified(&source, &edits);
    let lines = LineIndex::new(source.as_bytes());
    let looked_up = FileDiff {
        lines: Some(&lines),
        ..counted
    };
    let options = DiffOptions::default();
    assert_eq!(render(&counted, &options), render(&looked_up, &options));
}

#[test]
fn statistics_are_what_the_diff_shows() {
    let source = "a\nb\nc\nd";
    let edits = [Edit::replace(0..4, "a\nB\nx\n"), Edit::insert(7, "\ne")];
    let text = hunks(source, &edits, &DiffOptions::default());
    let count = |mark| text.lines().filter(|line| line.starts_with(mark)).count();
    let stats = LineStats::of(source.as_bytes(), &edits);
    assert_eq!((stats.added, stats.removed), (count('+'), count('-')));
    assert!(EditSet::new(edits.to_vec(), 7).is_ok());
}
