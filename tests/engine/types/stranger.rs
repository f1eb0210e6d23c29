//! What others do to links and types meanwhile.

use super::*;

/// A tree and a patch in which links change and types turn.
const TURNING: Tree<'_> = &[
    ("led", "-> a"),
    ("gone", "-> a"),
    ("file", "f\n"),
    ("dir/in/x", "x\n"),
];

fn turning() -> String {
    retarget("led", "a", "b")
        + &unlink("gone", "a")
        + &link("new", "a")
        + &gone("file", "f\n")
        + &file("file/sub/y", "y\n")
        + &gone("dir/in/x", "x\n")
        + &link("dir", "file/sub")
}

/// What a stranger does to a tree, where that can be done.
type Meddling = fn(&Path) -> std::io::Result<()>;

const STRANGERS: [(&str, Meddling); 7] = [
    ("a link led elsewhere", |root| {
        fs::remove_file(root.join("led"))?;
        symlink("stranger", root.join("led"))
    }),
    ("a link made a file", |root| {
        fs::remove_file(root.join("led"))?;
        fs::write(root.join("led"), "stranger")
    }),
    ("a link that goes, led elsewhere", |root| {
        fs::remove_file(root.join("gone"))?;
        symlink("stranger", root.join("gone"))
    }),
    ("a link where one comes", |root| {
        symlink("stranger", root.join("new"))
    }),
    ("a file that makes way", |root| {
        fs::write(root.join("file"), "stranger")
    }),
    ("a file in what comes", |root| {
        fs::write(root.join("file/other"), "stranger")
    }),
    (
        "a file in what makes way",
        |root| match fs::symlink_metadata(root.join("dir"))?.is_dir() {
            true => fs::write(root.join("dir/other"), "stranger"),
            false => Err(std::io::ErrorKind::NotADirectory.into()),
        },
    ),
];

/// How often the stranger's word stands anywhere below a root.
fn strangers(root: &Path) -> usize {
    let entries = walkdir::WalkDir::new(root).into_iter();
    let word = |path: &Path| match fs::read_link(path) {
        Ok(target) => target.as_os_str() == "stranger",
        Err(_) => fs::read(path).is_ok_and(|bytes| bytes == b"stranger"),
    };
    entries
        .filter(|entry| word(entry.as_ref().unwrap().path()))
        .count()
}

#[test]
fn r9_links_and_types_that_change_between_plan_and_commit_are_a_conflict() {
    for (what, meddle) in STRANGERS {
        let dir = made(TURNING);
        let root = dir.path().to_owned();
        let meddler = Meddler(|| drop(meddle(&root)));
        let options = ApplyOptions {
            review: Some(&meddler),
            ..ApplyOptions::default()
        };
        let patch = turning();
        let script = parse(patch.as_bytes(), &Options::default()).unwrap();
        let workspace = Workspace::open(&root).unwrap();
        let applied = workspace.apply(&script, &options).unwrap();
        let expected = made(TURNING);
        let happened = meddle(expected.path()).is_ok();
        let refused = applied.report.status == Status::Refused;
        assert_eq!(refused, happened, "{what}: {:?}", applied.report);
        if happened {
            let code = applied.report.code().unwrap();
            assert!(
                [Code::Conflict, Code::NotAFile].contains(&code),
                "{what}: {code}"
            );
            assert_eq!(snapshot(&root), snapshot(expected.path()), "{what}");
        }
    }
}

#[test]
fn r9_what_a_stranger_makes_of_links_and_types_before_recovery_is_never_lost() {
    let patch = turning();
    for missing in [&[][..], &[Call::Renameat2]] {
        let fault = Fault {
            missing,
            ..Fault::default()
        };
        let apply = |root: &Path, fault| {
            let script = parse(patch.as_bytes(), &Options::default()).unwrap();
            let workspace = Workspace::open(root).unwrap();
            inject(fault, || {
                workspace
                    .apply(&script, &ApplyOptions::default())
                    .map(|_| ())
            })
        };
        let steps = apply(made(TURNING).path(), fault).steps;
        let commit = steps.iter().rposition(|step| *step == "write").unwrap();
        for at in commit + 2..=steps.len() {
            for (what, meddle) in STRANGERS {
                let dir = made(TURNING);
                let root = dir.path();
                let stop = Fault {
                    at: Some((at, FaultKind::Stop)),
                    ..fault
                };
                let _ = apply(root, stop);
                let happened = meddle(root).is_ok();
                let workspace = Workspace::open(root).unwrap();
                if let Err(error) = workspace.recover() {
                    panic!("stop at {at}, {what}: {error}");
                }
                assert_eq!(
                    strangers(root) > 0,
                    happened,
                    "stop at {at}, {what} is lost"
                );
            }
        }
    }
}
