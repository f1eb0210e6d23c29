//! A completed task whose placeholder comes back and goes again, whatever takes it there.

use std::fs;
use std::path::Path;

use patchcore::dialect::{self, Options};
use patchcore::report::{Mode, Status};
use patchcore::task::Manifest;
use patchcore::workspace::fault::{Fault, FaultKind, inject};
use patchcore::workspace::{Point, Workspace};

use super::entry::{self, ENTRIES, Entry};
use super::model::{Change, FORMS, Files, Form};
use super::{laid_out, options, times};
use crate::random::Random;
use crate::workspace::snapshot;

const MARK: &str = "// ###MARK###";
const MANIFEST: &str = ".mission_control/tasks.json";

/// Changes that take the placeholder out of `f`.
const CHANGES: [Change; 4] = [
    Change::Replace(MARK, &["filled"]),
    Change::Write("f", "written\n"),
    Change::Delete("f"),
    Change::Rename("f", "n"),
];

/// The tree of a form, with the placeholder behind its second line.
fn files(form: Form) -> Files {
    let mut files = form.files();
    let text = &mut files.get_mut("f").unwrap().0;
    let at = memchr::memmem::find(text, b"two").unwrap() + 3;
    let is_crlf = text[at] == b'\r';
    let at = at + if is_crlf { 2 } else { 1 };
    let line = format!("{MARK}{}", if is_crlf { "\r\n" } else { "\n" });
    text.splice(at..at, line.into_bytes());
    files
}

/// Two tasks, of which the second one is never worked on.
fn write_status(root: &Path, status: &str) {
    let text = format!(
        r####"{{"tasks": [{{"uuid": "t-1", "file_path": "f", "placeholder": "MARK", "status": "{status}", "more": 1.0}}, {{"uuid": "t-2", "file_path": "g", "placeholder": "MARK", "status": "pending"}}]}}"####
    );
    fs::create_dir_all(root.join(".mission_control")).unwrap();
    fs::write(root.join(MANIFEST), text).unwrap();
}

fn status(root: &Path) -> String {
    let manifest = Manifest::parse(&fs::read(root.join(MANIFEST)).unwrap()).unwrap();
    assert_eq!(manifest.tasks()[1].status().as_str(), "pending");
    manifest.tasks()[0].status().as_str().to_owned()
}

/// The last transaction of the log.
fn newest_of(root: &Path) -> String {
    let all = fs::read_dir(root.join(".mission_control/log")).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.len() == 36).max().unwrap()
}

/// What happened last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The placeholder went, and the task was completed.
    Completed,
    /// The placeholder went; nobody completed the task, or not since.
    Gone,
    /// It is back, and the task that was complete is open.
    Opened,
    /// It is back, and the task was open all the while.
    Back,
}

impl Last {
    fn is_back(self) -> bool {
        matches!(self, Self::Opened | Self::Back)
    }

    fn status(self) -> &'static str {
        match self {
            Self::Completed => "complete",
            _ => "pending",
        }
    }

    /// Behind the way back from it, or the way back from that.
    fn turned(self) -> Self {
        match self {
            Self::Completed => Self::Opened,
            Self::Opened => Self::Completed,
            Self::Gone => Self::Back,
            Self::Back => Self::Gone,
        }
    }
}

/// Takes a change back and forth, as it comes; false where the entry cannot say it.
fn follows(form: Form, entry: Entry, change: &Change, random: &mut Random) -> bool {
    let files = files(form);
    let Some(input) = entry::said(entry, change, &files) else {
        return false;
    };
    let mut options = options();
    options.policy.allow_encoding_change = true;
    let dir = laid_out(&files);
    let root = dir.path();
    write_status(root, "pending");
    let before = snapshot(root);
    let patch = dialect::parse(&input, &Options::default()).unwrap();
    let open = || Workspace::open(root).unwrap();
    let apply = || open().apply(&patch, &options).unwrap().report;
    let report = apply();
    if report.status != Status::Applied {
        assert_eq!((form, entry), (Form::Latin, entry), "{report:?}");
        return false;
    }
    let after = snapshot(root);
    let mut filled = report.transaction.clone().unwrap();
    let (mut last, mut newest, mut told) = (Last::Gone, filled.clone(), Vec::new());
    for _ in 0..6 {
        if last == Last::Gone && random.below(3) > 0 {
            write_status(root, "complete");
            last = Last::Completed;
        }
        let was = last;
        match random.below(4) {
            // Sent again, it lands; the task is nobody's.
            0 if last.is_back() => {
                let report = apply();
                assert_eq!(report.status, Status::Applied, "{told:?} {report:?}");
                newest = report.transaction.unwrap();
                filled = newest.clone();
                last = Last::Gone;
            }
            1 if last.is_back() => {
                let point = Point::parse(&filled);
                let report = open()
                    .undo_to(&point, Mode::Apply, &options)
                    .unwrap()
                    .report;
                assert_eq!(report.status, Status::Applied, "{told:?} {report:?}");
                newest = report.transaction.unwrap();
                last = last.turned();
            }
            // Dies on its way: both or nothing.
            2 => {
                let at = 1 + random.below(60) as usize;
                let kind = [FaultKind::Stop, FaultKind::Tear][random.below(2) as usize];
                let fault = Fault {
                    at: Some((at, kind)),
                    ..Fault::default()
                };
                let undo = || Workspace::open(root).map(|it| it.undo(Some(&newest), &options));
                let run = inject(fault, undo);
                drop(run);
                open().recover().unwrap();
                let is_there = snapshot(root)
                    == if was.is_back() {
                        after.clone()
                    } else {
                        before.clone()
                    };
                last = if is_there { was.turned() } else { was };
                if is_there {
                    newest = newest_of(root);
                }
            }
            _ => {
                let report = open().undo(Some(&newest), &options).unwrap().report;
                assert_eq!(report.status, Status::Applied, "{told:?} {report:?}");
                newest = report.transaction.unwrap();
                last = last.turned();
            }
        }
        told.push(last);
        let what = format!("{form:?} {change:?} by {entry:?}: {told:?}");
        let tree = if last.is_back() { &before } else { &after };
        assert_eq!(&snapshot(root), tree, "{what}");
        assert_eq!(status(root), last.status(), "{what}");
        assert!(open().audit().unwrap().is_clean(), "{what}");
    }
    true
}

#[test]
fn a_task_is_open_where_its_placeholder_is_back_and_complete_again_where_it_goes() {
    let mut random = Random(29);
    let mut held = 0;
    for _ in 0..times() {
        // That form has the placeholder already.
        for form in FORMS.into_iter().filter(|form| *form != Form::Placeholder) {
            for entry in ENTRIES {
                for change in &CHANGES {
                    held += usize::from(follows(form, entry, change, &mut random));
                }
            }
        }
    }
    assert!(held > 100 * times(), "{held}");
}
