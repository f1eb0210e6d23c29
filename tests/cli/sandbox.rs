//! A tree to run the program in.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A root of its own for one test.
pub(crate) struct Sandbox {
    dir: TempDir,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the run ended with this status.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.out, self.err
        );
        self
    }
}

impl Sandbox {
    /// A tree of these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let sandbox = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(sandbox.root()).unwrap();
        for (name, text) in files {
            sandbox.write(name, text);
        }
        sandbox
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The directory around the root: nothing but the root may be in it.
    pub(crate) fn outside(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.root().join(name)).unwrap()).into_owned()
    }

    /// Every file with its bytes and mode, the program's own state left out.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
        let files = walkdir::WalkDir::new(self.root())
            .into_iter()
            .filter_entry(|entry| entry.file_name() != ".mission_control");
        files
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| {
                let mode = entry
                    .path()
                    .symlink_metadata()
                    .unwrap()
                    .permissions()
                    .mode();
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                (entry.into_path(), (bytes, mode))
            })
            .collect()
    }

    /// Runs the program in the root.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with("", arguments)
    }

    /// Runs the program in the root, with standard input.
    pub(crate) fn run_with(&self, input: impl AsRef<[u8]>, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses early does not read all of its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().expect("it is not killed"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The program, untouched by the environment of whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
        // What stands behind `--` is somebody else's.
        let own = arguments.iter().position(|argument| *argument == "--");
        let (own, others) = arguments.split_at(own.unwrap_or(arguments.len()));
        command.args(own).arg("--root").arg(self.root());
        command.args(others).current_dir(self.root());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("ORCHESTRATOR") || name.starts_with("PATCHCTL") {
                command.env_remove(&*name);
            }
        }
        command.env_remove("TRACEPARENT");
        command
    }
}
