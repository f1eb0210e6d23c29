//! A tree to run the program in.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A root of its own, with files.
pub(crate) struct Tree {
    dir: TempDir,
}

/// What a run said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Demands an exit status.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.out, self.err
        );
        self
    }

    /// The output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        // What lies above is none of the test's business.
        std::fs::create_dir(tree.root().join(".git")).unwrap();
        for (path, content) in files {
            tree.write(path, content);
        }
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// The task manifest.
    #[track_caller]
    pub(crate) fn manifest(&self) -> Value {
        serde_json::from_str(&self.read(".mission_control/tasks.json")).unwrap()
    }

    /// All files but our own state, with their bytes.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        fn add(dir: &Path, root: &Path, files: &mut Vec<(String, Vec<u8>)>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                if name == ".mission_control" {
                    continue;
                }
                match path.is_dir() {
                    true => add(&path, root, files),
                    false => files.push((name, std::fs::read(&path).unwrap())),
                }
            }
        }
        let mut files = Vec::new();
        add(self.root(), self.root(), &mut files);
        files.sort();
        files
    }

    /// Runs the program in the root, without the caller's orchestrator and proxies.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
        command.args(arguments).current_dir(self.root());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("ORCHESTRATOR")
                || name.starts_with("PATCHCTL")
                || name.to_ascii_lowercase().contains("proxy")
            {
                command.env_remove(&*name);
            }
        }
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Said {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}
