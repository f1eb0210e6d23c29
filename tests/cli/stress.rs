//! Many processes on one tree, of which some are killed at any moment: nothing is lost, nothing is
//! there twice or half, and the log leads to the tree.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::numbers::Numbers;
use crate::sandbox::Sandbox;

const WORKERS: u64 = 6;
const FILES: u64 = 6;
/// Commands of each worker, unless `PATCHCORE_STRESS` says for how many seconds they go on.
const COMMANDS: usize = 40;

/// How a command ended; `None` where it was killed.
type Code = Option<i32>;

/// What a worker did: a token, and the places where it stands, all of them or none.
struct Edit {
    token: String,
    files: Vec<u64>,
    makes: Option<String>,
    code: Code,
    undone: Option<Code>,
}

struct Worker<'a> {
    sandbox: &'a Sandbox,
    numbers: Numbers,
    name: u64,
    /// What no command may answer.
    odd: &'a Mutex<Vec<String>>,
}

impl Worker<'_> {
    /// Runs the program, and often kills it.
    fn run(&mut self, arguments: &[&str], input: &str, allowed: &[i32]) -> Code {
        let mut child = self
            .sandbox
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        if self.numbers.below(3) == 0 {
            let pause = self.numbers.below(300);
            std::thread::sleep(Duration::from_micros(pause * pause));
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let code = output.status.code();
        if code.is_some_and(|code| !allowed.contains(&code)) {
            let said = String::from_utf8_lossy(&output.stderr);
            let mut odd = self.odd.lock().unwrap();
            odd.push(format!("{arguments:?} {input}: {code:?}: {said}"));
        }
        code
    }

    fn edit(&mut self, number: usize) -> Edit {
        let token = format!("token-{}-{number}", self.name);
        let first = self.numbers.below(FILES);
        let files = vec![first, (first + 1 + self.numbers.below(FILES - 1)) % FILES];
        let mut operations: Vec<_> = files
            .iter()
            .map(|file| json!({"op": "append", "file": format!("f{file}"), "content": token}))
            .collect();
        let makes = (self.numbers.below(4) == 0).then(|| format!("n/{token}"));
        if let Some(file) = &makes {
            operations.push(json!({"op": "create-file", "file": file, "content": token}));
        }
        let batch = json!({"batch_id": token, "operations": operations}).to_string();
        let mut arguments = vec!["apply", "--no-diff", "--lock-wait", "600"];
        let verify = format!("sleep 0.0{}", self.numbers.below(9));
        let fails = format!("{verify}; false");
        match self.numbers.below(16) {
            0 => arguments.push("--durable"),
            1 => arguments.extend(["--verify", &verify]),
            2 => arguments.extend(["--verify", &fails]),
            _ => {}
        }
        arguments.push("-");
        let code = self.run(&arguments, &batch, &[0, 1, 4]);
        let is_undone = code == Some(0) && self.numbers.below(3) == 0;
        // Somebody appended behind it: then it is refused.
        let undone = is_undone.then(|| self.run(&["undo", &token, "--no-diff"], "", &[0, 1, 4]));
        Edit {
            token,
            files,
            makes,
            code,
            undone,
        }
    }

    fn command(&mut self, number: usize) -> Edit {
        let token = format!("token-{}-{number}", self.name);
        let file = format!("r/{token}");
        let script = format!("mkdir -p r; echo {token} > {file}");
        let code = self.run(&["run", "--", "sh", "-c", &script], "", &[0]);
        // The command itself may have been killed halfway.
        Edit {
            token,
            files: Vec::new(),
            makes: code.map(|_| file),
            code,
            undone: None,
        }
    }

    fn other(&mut self) {
        // A reader that finds what a dead process left does not finish it.
        let (arguments, allowed): (&[&str], &[i32]) = match self.numbers.below(6) {
            0 => (&["gc"], &[0]),
            1 => (&["recover"], &[0]),
            2 => (&["snapshot", "--lock-wait", "600"], &[0]),
            3 => (&["history"], &[0]),
            4 => (&["status"], &[0]),
            _ => (&["read", "f0", "--agent", "reader"], &[0, 3]),
        };
        self.run(arguments, "", allowed);
    }
}

#[test]
fn many_processes_of_which_some_are_killed_lose_nothing() {
    let files: Vec<String> = (0..FILES).map(|file| format!("f{file}")).collect();
    let start: Vec<_> = files.iter().map(|file| (&**file, "start\n")).collect();
    let sandbox = Sandbox::new(&start);
    sandbox.run(&["snapshot"]).exits(0);
    let limit = std::env::var("PATCHCORE_STRESS").ok();
    let limit = limit.map(|text| Duration::from_secs(text.parse().unwrap()));
    let began = Instant::now();
    let (edits, odd) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for name in 0..WORKERS {
            let (sandbox, edits, odd) = (&sandbox, &edits, &odd);
            let numbers = Numbers(name * 7919 + 11);
            scope.spawn(move || {
                let mut worker = Worker {
                    sandbox,
                    numbers,
                    name,
                    odd,
                };
                let goes_on = |number| match limit {
                    Some(limit) => began.elapsed() < limit,
                    None => number < COMMANDS,
                };
                for number in (0..).take_while(|number| goes_on(*number)) {
                    let edit = match worker.numbers.below(10) {
                        0..=6 => worker.edit(number),
                        7 => worker.command(number),
                        _ => {
                            worker.other();
                            continue;
                        }
                    };
                    edits.lock().unwrap().push(edit);
                }
            });
        }
    });
    sandbox.run(&["recover"]).exits(0);
    assert_eq!(odd.into_inner().unwrap(), [""; 0]);

    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    for file in 0..FILES {
        for line in sandbox.read(&format!("f{file}")).lines().skip(1) {
            found.entry(line.to_owned()).or_default().push(file);
        }
    }
    let edits = edits.into_inner().unwrap();
    let (mut landed, mut killed) = (0, 0);
    for edit in &edits {
        let mut there = found.remove(&edit.token).unwrap_or_default();
        let mut expected = edit.files.clone();
        there.sort_unstable();
        expected.sort_unstable();
        let made = edit.makes.as_ref();
        let made = made.map(|file| sandbox.root().join(file).try_exists().unwrap());
        let is_there = there == expected && made != Some(false);
        let is_absent = there.is_empty() && made != Some(true);
        let what = format!("{}: {:?}, undone {:?}", edit.token, edit.code, edit.undone);
        assert!(is_there || is_absent, "{what}: half of it is there");
        landed += usize::from(is_there);
        killed += usize::from(edit.code.is_none());
        match (edit.code, edit.undone) {
            (Some(0 | 4), None | Some(Some(1))) => assert!(is_there, "{what}: lost"),
            (Some(0 | 4), Some(Some(_))) => assert!(is_absent, "{what}: still there"),
            // It was killed when it was to be taken back, or before it answered.
            (Some(0 | 4), Some(None)) | (None, _) => {}
            _ => assert!(is_absent, "{what}: it is there"),
        }
    }
    assert!(found.is_empty(), "nobody wrote {found:?}");
    assert!(landed > 0 && killed > 0, "{landed} landed, {killed} killed");
    println!("{} batches, {landed} landed, {killed} killed", edits.len());

    let audit = sandbox.run(&["audit"]);
    assert_eq!(audit.code, 0, "{audit:?}");
    let txn = sandbox.root().join(".mission_control/txn/current");
    assert!(!txn.try_exists().unwrap());
    let copy = sandbox.outside().join("copy");
    sandbox
        .run(&["history", "--replay", copy.to_str().unwrap()])
        .exits(0);
    let relative = |root: &std::path::Path| -> HashMap<_, _> {
        let files = walkdir::WalkDir::new(root).into_iter();
        let files = files.filter_entry(|entry| entry.file_name() != ".mission_control");
        let files = files
            .map(Result::unwrap)
            .filter(|it| it.file_type().is_file());
        let read = |it: walkdir::DirEntry| {
            let name = it.path().strip_prefix(root).unwrap().to_owned();
            (name, std::fs::read(it.path()).unwrap())
        };
        files.map(read).collect()
    };
    let (mut copy, mut tree) = (relative(&copy), relative(&sandbox.root()));
    // The command of a run that was killed lives on: what it writes once the run is recorded is in
    // no record.
    for edit in edits.iter().filter(|edit| edit.code.is_none()) {
        let file = std::path::PathBuf::from(format!("r/{}", edit.token));
        if copy.get(&file) != tree.get(&file) {
            copy.remove(&file);
            tree.remove(&file);
        }
    }
    assert_eq!(copy, tree);
}
