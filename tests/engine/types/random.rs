//! Random trees, and what git makes of the diffs between them.

use super::*;
use crate::random::Random;

impl Random {
    /// Files and links below a directory, few names and three levels deep.
    fn fill(&mut self, prefix: &str, depth: usize, tree: &mut BTreeMap<String, String>) {
        for name in ["a", "b", "c"] {
            let path = format!("{prefix}{name}");
            match self.below(5) {
                0 => {
                    let lines = (0..=self.below(6)).map(|_| format!("line {}\n", self.below(3)));
                    tree.insert(path, lines.collect());
                }
                1 => {
                    let up = "../".repeat(self.below(depth as u64 + 1) as usize);
                    tree.insert(path, format!("-> {up}no/where{}", self.below(2)));
                }
                2 | 3 if depth < 2 => self.fill(&format!("{path}/"), depth + 1, tree),
                _ => {}
            }
        }
    }

    /// A tree that shares some of another.
    fn changed(&mut self, old: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut new: BTreeMap<String, String> = old.clone();
        new.retain(|_, _| self.below(2) == 0);
        let mut fresh = BTreeMap::new();
        self.fill("", 0, &mut fresh);
        for (path, text) in fresh {
            let nested = |one: &str, other: &str| {
                one.strip_prefix(other)
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            let clashes = |other: &String| nested(other, &path) || nested(&path, other);
            if !new.keys().any(clashes) {
                new.entry(path).or_insert(text);
            }
        }
        new
    }
}

fn borrowed(tree: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    tree.iter().map(|(path, text)| (&**path, &**text)).collect()
}

#[test]
fn what_git_diffs_of_links_and_types_comes_out_as_git_has_it_and_back() {
    let mut random = Random(20_261);
    let mut turned = 0;
    for round in 0..40 {
        let mut old = BTreeMap::new();
        random.fill("", 0, &mut old);
        let new = random.changed(&old);
        if old == new {
            continue;
        }
        // Two directories by these names make the prefixes of a diff.
        let both = made(&[]);
        let (root, other) = (both.path().join("a"), both.path().join("b"));
        fill(&root, &borrowed(&old));
        fill(&other, &borrowed(&new));
        let renames = ["-M", "--no-renames"][round % 2];
        let output = Command::new("git")
            .args(["diff", "--no-index", "--no-prefix", renames, "a", "b"])
            .current_dir(both.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        let diff = String::from_utf8(output.stdout).unwrap();
        let diff = diff
            .replace("rename from a/", "rename from ")
            .replace("rename to b/", "rename to ");
        turned += usize::from(diff.contains("120000"));
        let root = &*root;
        let before = snapshot(root);
        let applied = apply_patch(root, diff.as_bytes(), false);
        assert_eq!(
            applied.report.status,
            Status::Applied,
            "{:?}\n{diff}",
            applied.report
        );
        assert_eq!(found(root), new, "{diff}");
        assert_eq!(snapshot(root), snapshot(&other), "{diff}");
        let workspace = Workspace::open(root).unwrap();
        assert!(workspace.audit().unwrap().is_clean());
        let mut ours = Vec::new();
        let options = patchcore::diff::DiffOptions::default();
        applied.plan.write_diff(&options, &mut ours).unwrap();
        match by_git(&borrowed(&old), &ours) {
            Ok(files) => assert_eq!(files, new),
            // It does not see that a link which is only renamed is gone.
            Err(why) => assert!(by_git(&borrowed(&old), diff.as_bytes()).is_err(), "{why}"),
        }
        workspace.undo(None, &ApplyOptions::default()).unwrap();
        assert_eq!(snapshot(root), before, "{diff}");
        apply_patch(root, diff.as_bytes(), false);
        let back = apply_patch(root, diff.as_bytes(), true);
        assert_eq!(
            back.report.status,
            Status::Applied,
            "{:?}\n{diff}",
            back.report
        );
        assert_eq!(found(root), old, "{diff}");
    }
    assert!(turned > 30);
}
