//! Paths that the operator protects, beside those that always are.

use super::{RelPath, fold, glob, on_shares};

/// What the set `ci` stands for: files that decide what runs on the machines of others, or what
/// agents are told.
const CI: [&str; 54] = [
    ".github/workflows",
    ".github/actions",
    ".github/dependabot.yml",
    ".gitlab-ci.yml",
    ".gitlab",
    ".circleci",
    ".travis.yml",
    ".drone.yml",
    ".woodpecker*",
    ".buildkite",
    ".gitea/workflows",
    ".forgejo/workflows",
    "azure-pipelines.y*ml",
    "bitbucket-pipelines.y*ml",
    "Jenkinsfile",
    ".gitmodules",
    ".gitattributes",
    ".pre-commit-config.y*ml",
    ".pre-commit-hooks.y*ml",
    ".lefthook*",
    "lefthook*.y*ml",
    ".githooks",
    ".devcontainer",
    ".devcontainer.json",
    ".npmrc",
    ".yarnrc*",
    ".pnpmfile.cjs",
    ".cargo",
    "conftest.py",
    "sitecustomize.py",
    ".env*",
    "AGENTS.md",
    "AGENTS.override.md",
    "AGENT.md",
    ".agents",
    "CLAUDE*.md",
    "GEMINI.md",
    "QWEN.md",
    "WARP.md",
    ".github/copilot-instructions.md",
    ".github/instructions",
    ".cursorrules",
    ".windsurf*",
    ".cline*",
    ".aider*",
    ".roo*",
    ".kiro",
    ".junie",
    ".goosehints",
    ".amazonq",
    ".augment*",
    ".opencode",
    "opencode.json*",
    ".rules",
];

/// Globs of paths that are refused to a batch (`PATH_PROTECTED`).
///
/// A glob without `/` matches a file or directory of that name at any depth, one with `/` a path
/// from the root on; what lies below a match is protected, too. `*` and `?` stay within a
/// component, `**` stands for any number of them. Names are taken for those that some file systems
/// take them for: case is folded, and what Windows leaves out at a name's end. `ci` is
/// a set of globs: workflows, hooks, package managers' settings, `.env*`, agents' instructions.
///
/// ```
/// use patchcore::RelPath;
/// use patchcore::path::Protect;
///
/// let protect = Protect::new(["ci", "docs/**/*.lock"]);
/// let covering = |path: &str| protect.covering(&RelPath::new(path).unwrap());
/// assert_eq!(covering(".github/workflows/test.yml"), Some(".github/workflows"));
/// assert_eq!(covering("docs/a/b/x.lock"), Some("docs/**/*.lock"));
/// assert_eq!(covering("src/main.rs"), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protect {
    globs: Vec<Glob>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob {
    text: String,
    /// Folded, from the root on where there is more than one, or where it began with `/`.
    components: Vec<String>,
    anchored: bool,
}

impl Protect {
    /// Takes globs, and sets by their name.
    #[must_use]
    pub fn new<T: AsRef<str>>(globs: impl IntoIterator<Item = T>) -> Self {
        let mut all = Vec::new();
        for text in globs {
            match text.as_ref().trim() {
                "" => {}
                "ci" => all.extend(CI.map(Glob::new)),
                glob => all.push(Glob::new(glob)),
            }
        }
        Self { globs: all }
    }

    /// The first glob that protects a path.
    #[must_use]
    pub fn covering(&self, path: &RelPath) -> Option<&str> {
        if self.globs.is_empty() {
            return None;
        }
        let as_written: Vec<String> = path.components().map(fold).collect();
        let on_shares = || path.components().flat_map(on_shares).collect();
        let is_other = path.as_bytes().iter().any(|byte| b"\\:. ".contains(byte));
        let on_shares: Vec<String> = if is_other { on_shares() } else { Vec::new() };
        let covers = |glob: &&Glob| glob.covers(&as_written) || glob.covers(&on_shares);
        self.globs.iter().find(covers).map(|glob| &*glob.text)
    }
}

impl Glob {
    fn new(text: &str) -> Self {
        let bare = text.trim_start_matches("./");
        let components = bare.split('/').filter(|component| !component.is_empty());
        let components: Vec<String> = components.map(|it| fold(it.as_bytes())).collect();
        Self {
            text: text.to_owned(),
            anchored: bare.starts_with('/') || components.len() > 1,
            components,
        }
    }

    /// Whether it matches a path or a directory above it.
    fn covers(&self, path: &[String]) -> bool {
        match self.anchored {
            true => matches_start(&self.components, path),
            false => (self.components.first())
                .is_some_and(|glob| path.iter().any(|name| matches_name(glob, name))),
        }
    }
}

fn matches_name(glob: &str, name: &str) -> bool {
    glob::matches(glob.as_bytes(), name.as_bytes())
}

/// Whether globs match the first components of a path, all of them in time linear in their
/// product.
fn matches_start(globs: &[String], path: &[String]) -> bool {
    // Which numbers of components the globs so far may have taken.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    for glob in globs {
        let mut next = vec![false; path.len() + 1];
        if glob == "**" {
            let mut any = false;
            for (end, next) in ends.iter().zip(&mut next) {
                any |= end;
                *next = any;
            }
        } else {
            for (at, name) in path.iter().enumerate() {
                next[at + 1] = ends[at] && matches_name(glob, name);
            }
        }
        ends = next;
    }
    // The root itself is no match.
    ends[1..].contains(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_names_paths_and_what_lies_below() {
        for (glob, path, expected) in [
            ("conftest.py", "conftest.py", true),
            ("conftest.py", "a/b/CONFTEST.PY", true),
            ("conftest.py", "a/conftest.py.txt", false),
            (".cargo", "sub/.cargo/config.toml", true),
            (".env*", ".env.local", true),
            (".env*", "sub/.env/x", true),
            (".env*", "env", false),
            ("docs/*.md", "docs/a.md", true),
            ("docs/*.md", "docs/a/b.md", false),
            ("docs/*.md", "x/docs/a.md", false),
            ("/docs", "docs/a/b", true),
            ("/docs", "x/docs/a", false),
            ("./docs/", "x/docs/a", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x/y", true),
            ("a/**/x", "a/x", true),
            ("a/**/x", "a/b/c/x", true),
            ("a/**/x", "b/a/x", false),
            ("a/**", "a/b", true),
            ("**", "a", true),
            ("[ab]?", "bc", true),
            ("src\\x", "src", false),
            ("src\\x", "src\\x", true),
            (".github/workflows", ".github./workflows \\x.yml", true),
            ("conftest.py", "a\\Conftest.py::$DATA", true),
            (".npmrc", "\u{200c}.npmrc. .", true),
            ("a.b", "a.b.c", false),
        ] {
            let protect = Protect::new([glob]);
            let covering = protect.covering(&RelPath::new(path).unwrap());
            assert_eq!(covering.is_some(), expected, "{glob} {path}");
        }
        assert_eq!(Protect::new(["", " "]), Protect::default());
    }

    #[test]
    fn the_set_ci_names_what_runs_elsewhere() {
        let ci = Protect::new(["ci"]);
        for path in [
            ".github/workflows/a.yml",
            ".gitlab-ci.yml",
            ".gitmodules",
            "sub/.gitattributes",
            ".pre-commit-config.yaml",
            ".githooks/pre-push",
            ".devcontainer/devcontainer.json",
            "pkg/.npmrc",
            ".cargo/config.toml",
            "tests/conftest.py",
            ".env.production",
            "AGENTS.md",
            "sub/CLAUDE.md",
            ".cursorrules",
            ".roo/rules/a.md",
            ".kiro/steering/a.md",
            "QWEN.md",
        ] {
            assert!(
                ci.covering(&RelPath::new(path).unwrap()).is_some(),
                "{path}"
            );
        }
        for path in [
            "src/ci.rs",
            ".github/ISSUE_TEMPLATE.md",
            "environment.yml",
            "README.md",
        ] {
            assert_eq!(ci.covering(&RelPath::new(path).unwrap()), None, "{path}");
        }
    }
}
