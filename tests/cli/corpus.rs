//! The corpus: a folder for each case in `fixtures/cases`, run through the binary.
//!
//! A case is `case.json` (what it shows, and the verdicts that it must have), `batch.json`, the
//! tree before it (`before/`, or a template with `before/` over it), and what comes of it:
//! `after/` (the files that are new or changed), `diff`, `report.json`. With `UPDATE_FIXTURES=1`
//! what comes of it is written anew, the verdicts never.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case shows.
    about: String,
    /// The template that the tree starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// What a repository cannot hold: done to the tree before the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    setup: Vec<Step>,
    /// More arguments of `apply`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    /// The exit status of `apply`.
    #[serde(default, skip_serializing_if = "is_zero")]
    exit: i32,
    /// For each operation its outcome, with the code of its refusal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<String>,
    /// The code of a refusal of the batch as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    /// The files that are gone afterwards.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    gone: BTreeSet<String>,
    /// Why `git apply` cannot make of the diff what `apply` makes of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    git: Option<String>,
}

fn is_zero(exit: &i32) -> bool {
    *exit == 0
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    /// A symbolic link: its path and its target.
    Symlink([String; 2]),
    /// Another name of a file: its path and the file's.
    HardLink([String; 2]),
    /// A named pipe.
    Fifo(String),
    /// An empty directory.
    Directory(String),
    /// The file's mode, in octal.
    Mode([String; 2]),
    /// A file that the repository ignores: its path and text.
    Write([String; 2]),
}

/// A file's bytes, or where a link leads, and whether it can be executed.
type Files = BTreeMap<String, (Vec<u8>, bool)>;

#[test]
fn corpus() {
    let cases = Path::new(FIXTURES).join("cases");
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let only = std::env::var("CASE").ok();
    let mut chosen = Vec::new();
    let mut templates = BTreeSet::new();
    let mut count = 0;
    for folder in entries(&cases) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case = read_case(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        templates.extend(case.template.clone());
        count += 1;
        if only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
        {
            chosen.push((name, folder, case));
        }
    }
    // Starting the program is most of the work.
    let queue = Mutex::new(chosen);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some((name, folder, case)) = next else {
                        break;
                    };
                    if let Err(why) = run(&folder, case, update) {
                        failures.lock().unwrap().push(format!("{name}: {why}"));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(count > 100, "there are more than {count} cases");
    let all: BTreeSet<String> = entries(&Path::new(FIXTURES).join("templates"))
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        templates, all,
        "templates that cases use, and those there are"
    );
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// A case ready to run in trees of its own.
#[cfg(all(feature = "mcp", feature = "serve"))]
pub(crate) struct Ready {
    pub(crate) name: String,
    /// What an operator says.
    pub(crate) args: Vec<String>,
    /// What a caller says beside its batch or patch.
    pub(crate) said: Vec<[String; 2]>,
    pub(crate) batch: Vec<u8>,
    input: PathBuf,
    folder: PathBuf,
    template: Option<String>,
    setup: Vec<Step>,
}

#[cfg(all(feature = "mcp", feature = "serve"))]
impl Ready {
    /// All cases.
    pub(crate) fn all() -> Vec<Self> {
        let folders = entries(&Path::new(FIXTURES).join("cases"));
        let ready = folders.into_iter().map(|folder| {
            let case = read_case(&folder).unwrap();
            let mut ready = Self::new(folder, "batch.json", case.args);
            ready.template = case.template;
            ready.setup = case.setup;
            ready
        });
        ready.collect()
    }

    /// Those of foreign formats, but for the few with options that no server has.
    pub(crate) fn foreign() -> Vec<Self> {
        let dialects = Path::new(FIXTURES).join("dialects");
        let folders = entries(&dialects).into_iter().filter(|path| path.is_dir());
        let folders = folders.flat_map(|dialect| entries(&dialect));
        folders.filter_map(Self::of_foreign).collect()
    }

    fn of_foreign(folder: PathBuf) -> Option<Self> {
        let case = fs::read(folder.join("case.json")).unwrap();
        let case: Value = serde_json::from_slice(&case).unwrap();
        // Positions alone prove nothing, and are let pass as where these cases are at home.
        let mut args = vec!["--allow-unguarded".to_owned()];
        let mut said = Vec::new();
        for (name, value) in case["options"].as_object().into_iter().flatten() {
            match (name.as_str(), value.as_str()) {
                ("strict" | "allow_omission", _) => {
                    args.push(format!("--{}", name.replace('_', "-")));
                }
                ("file", Some(file)) => said.push([name.clone(), file.to_owned()]),
                ("overwrite", _) => {}
                _ => return None,
            }
        }
        if case["detected"] == false {
            let dialect = folder.parent().and_then(Path::file_name).unwrap();
            let dialect = dialect.to_string_lossy().into_owned();
            said.push(["dialect".to_owned(), dialect]);
        }
        let mut ready = Self::new(folder, "patch", args);
        ready.said = said;
        Some(ready)
    }

    fn new(folder: PathBuf, input: &str, args: Vec<String>) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let input = folder.join(input);
        Self {
            name,
            args,
            said: Vec::new(),
            batch: fs::read(&input).unwrap(),
            input,
            folder,
            template: None,
            setup: Vec::new(),
        }
    }

    /// Lays the tree out that the case starts from.
    pub(crate) fn lay_out(&self, root: &Path) {
        fs::create_dir(root).unwrap();
        if let Some(template) = &self.template {
            copy(&Path::new(FIXTURES).join("templates").join(template), root);
        }
        copy(&self.folder.join("before"), root);
        for step in &self.setup {
            step.take(root);
        }
    }

    /// Runs `apply` on a tree that is laid out; gives its exit status and the report.
    pub(crate) fn apply(&self, root: &Path) -> (i32, Value) {
        let mut run = Command::new(env!("CARGO_BIN_EXE_patchctl"));
        run.args(["apply", "--output", "json", "--no-diff", "--root"]);
        run.arg(root).args(&self.args);
        for [name, value] in &self.said {
            run.arg(format!("--{name}")).arg(value);
        }
        let output = run.arg(&self.input).env_remove("PATCHCTL_ROOT").output();
        let output = output.unwrap();
        (output.status.code().unwrap(), report_of(&output).unwrap())
    }

    /// Whether it says itself under which id it is known.
    pub(crate) fn has_id(&self) -> bool {
        String::from_utf8_lossy(&self.batch).contains("batch_id")
    }

    /// The report without what differs from run to run.
    pub(crate) fn normal(&self, report: Value, root: &Path) -> Value {
        normal(report, self.has_id(), root)
    }

    /// All files of a tree but the engine's own.
    pub(crate) fn files(root: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
        files(root)
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// Reads a case, and finds what does not belong into its folder.
fn read_case(folder: &Path) -> Result<Case, String> {
    for path in entries(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ![
            "case.json",
            "batch.json",
            "before",
            "after",
            "diff",
            "report.json",
        ]
        .contains(&&*name)
        {
            return Err(format!("{name} is an orphan"));
        }
    }
    let text = fs::read(folder.join("case.json")).map_err(|error| format!("case.json: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("case.json: {error}"))
}

fn run(folder: &Path, mut case: Case, update: bool) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    fs::create_dir(&root).unwrap();
    if let Some(template) = &case.template {
        copy(&Path::new(FIXTURES).join("templates").join(template), &root);
    }
    copy(&folder.join("before"), &root);
    for step in &case.setup {
        step.take(&root);
    }
    let before = files(&root);

    let diff = patchctl("diff", &root, folder, &case);
    let check = patchctl("check", &root, folder, &case);
    if files(&root) != before {
        return Err("check and diff changed the tree".to_owned());
    }
    let applied = patchctl("apply", &root, folder, &case);
    let after = files(&root);

    let report = report_of(&applied)?;
    let preview = report_of(&check)?;
    let talk = String::from_utf8_lossy(&applied.stderr);
    if applied.status.code() != Some(case.exit) {
        return Err(format!(
            "exit {:?}, not {}: {report:#}{talk}",
            applied.status, case.exit
        ));
    }
    if verdicts(&report) != case.verdicts {
        return Err(format!(
            "verdicts {:?}, not {:?}: {report:#}",
            verdicts(&report),
            case.verdicts
        ));
    }
    let refusal = report["refusal"]["code"].as_str().map(str::to_owned);
    if refusal != case.refusal {
        return Err(format!(
            "refusal {refusal:?}, not {:?}: {report:#}",
            case.refusal
        ));
    }
    // What a command of the operator decides only shows when it is applied.
    if refusal.as_deref() != Some("VERIFY_FAILED") {
        if verdicts(&preview) != case.verdicts {
            return Err(format!("check foresaw {:?}", verdicts(&preview)));
        }
        if preview["plan"] != report["plan"] {
            return Err("check and apply have different plans".to_owned());
        }
    }
    if (1..=3).contains(&case.exit) && after != before {
        return Err("a refused batch changed the tree".to_owned());
    }

    if [0, 6].contains(&case.exit) && !diff.stdout.is_empty() {
        let result = git_apply(&before, &diff.stdout);
        match (&case.git, result) {
            (None, Err(why)) => return Err(why),
            (None, Ok(files)) if files != after => {
                return Err("git apply makes another tree of the diff".to_owned());
            }
            (Some(_), Ok(files)) if files == after => {
                return Err("git apply does the same, which case.json says it cannot".to_owned());
            }
            _ => {}
        }
    }

    let changed: Files = after
        .iter()
        .filter(|(path, file)| before.get(*path) != Some(file))
        .map(|(path, file)| (path.clone(), file.clone()))
        .collect();
    let gone: BTreeSet<String> = before
        .keys()
        .filter(|path| !after.contains_key(*path))
        .cloned()
        .collect();
    let batch = fs::read_to_string(folder.join("batch.json")).unwrap_or_default();
    let report = normal(report, batch.contains("batch_id"), &root);
    if update {
        write(&folder.join("after"), &changed);
        let text = if diff.stdout.is_empty() {
            None
        } else {
            Some(diff.stdout)
        };
        write_file(&folder.join("diff"), text.as_deref());
        write_file(
            &folder.join("report.json"),
            Some(format!("{report:#}\n").as_bytes()),
        );
        case.gone = gone;
        let text = format!("{}\n", serde_json::to_string_pretty(&case).unwrap());
        write_file(&folder.join("case.json"), Some(text.as_bytes()));
        return Ok(());
    }
    if gone != case.gone {
        return Err(format!("gone are {gone:?}, not {:?}", case.gone));
    }
    let expected = if folder.join("after").is_dir() {
        files(&folder.join("after"))
    } else {
        Files::new()
    };
    for path in changed.keys().chain(expected.keys()) {
        if changed.get(path) != expected.get(path) {
            let show = |files: &Files| {
                files
                    .get(path)
                    .map(|(bytes, x)| (String::from_utf8_lossy(bytes).into_owned(), *x))
            };
            return Err(format!(
                "{path} is {:?}, not {:?}",
                show(&changed),
                show(&expected)
            ));
        }
    }
    let expected = fs::read(folder.join("diff")).unwrap_or_default();
    if diff.stdout != expected {
        return Err(format!(
            "another diff:\n{}",
            String::from_utf8_lossy(&diff.stdout)
        ));
    }
    let expected = fs::read_to_string(folder.join("report.json")).unwrap_or_default();
    if format!("{report:#}\n") != expected {
        return Err(format!("another report:\n{report:#}"));
    }
    Ok(())
}

fn patchctl(command: &str, root: &Path, folder: &Path, case: &Case) -> Output {
    let mut run = Command::new(env!("CARGO_BIN_EXE_patchctl"));
    run.arg(command).arg("--root").arg(root);
    if command != "diff" {
        run.args(["--output", "json", "--no-diff"]);
    }
    let mut args = case.args.iter();
    while let Some(arg) = args.next() {
        // These say how to commit, which a preview does not.
        if command != "apply" && arg == "--verify" {
            args.next();
            continue;
        }
        run.arg(arg);
    }
    run.arg(folder.join("batch.json"));
    run.env_remove("PATCHCTL_ROOT").output().unwrap()
}

/// The tree that git makes of a diff.
fn git_apply(before: &Files, diff: &[u8]) -> Result<Files, String> {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    fs::create_dir(&root).unwrap();
    for (path, (bytes, executable)) in before {
        write_executable(&root.join(path), bytes, *executable);
    }
    let patch = dir.path().join("diff");
    fs::write(&patch, diff).unwrap();
    let output = Command::new("git")
        .args(["apply", "--whitespace=nowarn"])
        .arg(&patch)
        .current_dir(&root)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", dir.path())
        .output()
        .unwrap();
    if output.status.success() {
        Ok(files(&root))
    } else {
        let talk = String::from_utf8_lossy(&output.stderr);
        Err(format!("git apply: {talk}"))
    }
}

fn report_of(output: &Output) -> Result<Value, String> {
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let talk = String::from_utf8_lossy(&output.stderr);
        format!("no report: {error}; exit {:?}: {talk}", output.status)
    })
}

/// The verdicts as a case lists them; of a preview, those that applying would give.
fn verdicts(report: &Value) -> Vec<String> {
    let operations = report["operations"].as_array().into_iter().flatten();
    operations
        .map(|operation| {
            let outcome = operation["would"]
                .as_str()
                .or(operation["outcome"].as_str());
            let outcome = outcome.unwrap_or("none");
            match operation["refusal"]["code"].as_str() {
                Some(code) => format!("{outcome} {code}"),
                None => outcome.to_owned(),
            }
        })
        .collect()
}

/// The report without what differs from run to run.
fn normal(report: Value, has_id: bool, root: &Path) -> Value {
    let text = report.to_string();
    let text = text.replace(root.to_str().unwrap(), "/ROOT");
    let mut report: Value = serde_json::from_str(&text).unwrap();
    if let Some(report) = report.as_object_mut() {
        report.remove("transaction");
        if !has_id {
            report.remove("batch_id");
        }
    }
    report
}

impl Step {
    fn take(&self, root: &Path) {
        match self {
            Self::Symlink([at, to]) => std::os::unix::fs::symlink(to, root.join(at)).unwrap(),
            Self::HardLink([at, to]) => fs::hard_link(root.join(to), root.join(at)).unwrap(),
            Self::Fifo(at) => {
                let made = Command::new("mkfifo").arg(root.join(at)).status().unwrap();
                assert!(made.success());
            }
            Self::Directory(at) => fs::create_dir_all(root.join(at)).unwrap(),
            Self::Mode([at, mode]) => {
                let mode = u32::from_str_radix(mode, 8).unwrap();
                fs::set_permissions(root.join(at), fs::Permissions::from_mode(mode)).unwrap();
            }
            Self::Write([at, text]) => {
                let path = root.join(at);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for (path, (bytes, executable)) in if from.is_dir() {
        files(from)
    } else {
        Files::new()
    } {
        write_executable(&to.join(path), &bytes, executable);
    }
}

/// All files of a tree but the engine's own.
fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let kind = fs::symlink_metadata(&path).unwrap();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(name, (target.into_os_string().into_encoded_bytes(), false));
            } else if kind.is_dir() && name != ".mission_control" {
                folders.push(path);
            } else if kind.is_file() {
                let executable = kind.permissions().mode() & 0o100 != 0;
                found.insert(name, (fs::read(&path).unwrap(), executable));
            }
        }
    }
    found
}

fn write(folder: &Path, files: &Files) {
    let _ = fs::remove_dir_all(folder);
    for (path, (bytes, executable)) in files {
        write_executable(&folder.join(path), bytes, *executable);
    }
}

fn write_executable(path: &Path, bytes: &[u8], executable: bool) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn write_file(path: &Path, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => {
            let _ = fs::remove_file(path);
        }
    }
}
