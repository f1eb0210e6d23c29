//! The calls that agents make most, read without clap.
//!
//! Laying out the options of a command takes clap as long as a small edit takes in all. So `apply`
//! and `check` with nothing but a file and the most frequent options are read right here. Whatever
//! else is on the line goes to clap, which knows all options, help and hints.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::ValueEnum;

use super::dialect::DialectOptions;
use super::edit::{ApplyArgs, CheckArgs, CommitArgs, EditArgs, InputArgs, PolicyArgs, ShowArgs};
use super::labels::LabelArgs;
use super::orchestrator::Delivery;
use super::{Cli, Color, Command, Global, Output};

/// What a plain call says.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) global: Global,
    pub(super) input: InputArgs,
    pub(super) show: ShowArgs,
}

impl Plain {
    pub(super) fn into_apply(self) -> Cli {
        let edit = EditArgs {
            policy: PolicyArgs::default(),
            commit: CommitArgs::with_delivery(Delivery::default()),
            show: self.show,
            dry_run: false,
        };
        Cli {
            global: self.global,
            command: Command::Apply(ApplyArgs {
                input: self.input,
                edit,
            }),
        }
    }

    pub(super) fn into_check(self) -> Cli {
        Cli {
            global: self.global,
            command: Command::Check(CheckArgs {
                input: self.input,
                policy: PolicyArgs::default(),
                show: self.show,
                detailed_exitcode: false,
                delivery: Delivery::default(),
            }),
        }
    }
}

/// Reads the arguments behind the command's name; `None` where any of them is not a plain one, or
/// does not stand as clap would take it.
pub(super) fn read(arguments: &[OsString]) -> Option<Plain> {
    let mut root: Option<PathBuf> = None;
    let mut key_file: Option<PathBuf> = None;
    let mut output: Option<Output> = None;
    let mut color: Option<Color> = None;
    let mut batch: Option<PathBuf> = None;
    let (mut quiet, mut verbose, mut no_diff) = (0_u8, 0_u8, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let is_option = argument.len() > 1 && argument.as_bytes().starts_with(b"-");
        if !is_option {
            once(&mut batch, PathBuf::from(argument))?;
            continue;
        }
        let argument = argument.to_str()?;
        match argument {
            "-q" | "--quiet" => quiet = quiet.checked_add(1)?,
            "-v" | "--verbose" => verbose = verbose.checked_add(1)?,
            "--no-diff" if !no_diff => no_diff = true,
            "--" => {
                for argument in arguments.by_ref() {
                    once(&mut batch, PathBuf::from(argument))?;
                }
            }
            _ => {
                let (name, value) = option(argument, &mut arguments)?;
                match name {
                    "--key-file" => once(&mut key_file, PathBuf::from(value))?,
                    "--root" => once(&mut root, PathBuf::from(value))?,
                    "--output" => once(&mut output, one_of(value)?)?,
                    "--color" => once(&mut color, one_of(value)?)?,
                    _ => return None,
                }
            }
        }
    }
    let is_empty = |batch: &PathBuf| batch.as_os_str().is_empty();
    if batch.as_ref().is_some_and(is_empty) {
        return None;
    }
    let root = or_variable(root, "PATCHCTL_ROOT")?;
    let key_file = or_variable(key_file, "PATCHCTL_KEY_FILE")?;
    Some(Plain {
        global: Global {
            root,
            key_file,
            output: output.unwrap_or(Output::Human),
            color: color.unwrap_or(Color::Auto),
            quiet,
            verbose,
        },
        input: InputArgs {
            batch,
            dialect: DialectOptions::default(),
            labels: LabelArgs::default(),
            again: false,
        },
        show: ShowArgs { no_diff },
    })
}

/// The name of an option and its value. What looks like an option may be one, and what is empty is
/// no value.
fn option<'a>(
    argument: &'a str,
    rest: &mut std::slice::Iter<'a, OsString>,
) -> Option<(&'a str, &'a OsStr)> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, OsStr::new(value)),
        None => (argument, rest.next()?.as_os_str()),
    };
    let is_value = !value.is_empty() && !value.as_bytes().starts_with(b"-");
    is_value.then_some((name, value))
}

/// A path that is given, or else the one in a variable; `None` where the variable is set to nothing,
/// which clap has a word for.
fn or_variable(given: Option<PathBuf>, name: &str) -> Option<Option<PathBuf>> {
    match (given, std::env::var_os(name)) {
        (None, Some(value)) if value.is_empty() => None,
        (None, value) => Some(value.map(PathBuf::from)),
        (given, _) => Some(given),
    }
}

/// Takes a value that is given once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    match place.replace(value) {
        None => Some(()),
        Some(_) => None,
    }
}

fn one_of<T: ValueEnum>(value: &OsStr) -> Option<T> {
    T::from_str(value.to_str()?, false).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Alone;
    use super::*;

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    /// What the arguments mean, as read here and as read by clap.
    fn both(line: &[&str], command: &str) -> (Option<String>, Option<String>) {
        let shown = |cli: Cli| format!("{cli:?}");
        let plain = read(&words(line)).map(|plain| match command {
            "apply" => plain.into_apply(),
            _ => plain.into_check(),
        });
        let all = words(&[&["patchctl", command], line].concat());
        let clap = match command {
            "apply" => Alone::read(&all, Command::Apply),
            _ => Alone::read(&all, Command::Check),
        };
        (plain.map(shown), clap.map(shown))
    }

    #[test]
    fn frequent_calls_are_read_here() {
        for line in [
            &[][..],
            &["batch.json"],
            &["-", "--root", "/tmp", "--output", "json"],
            &["--no-diff", "-q", "--color=never", "--", "-odd-name"],
            &["-v", "-v", "--root=a=b", "x"],
            &["--key-file", "/tmp/key", "x"],
        ] {
            for command in ["apply", "check"] {
                let (plain, clap) = both(line, command);
                assert!(plain.is_some(), "{line:?}");
                assert_eq!(plain, clap, "{line:?}");
            }
        }
    }

    #[test]
    fn all_else_is_left_to_clap() {
        for line in [
            &["--durable", "batch.json"][..],
            &["a", "b"],
            &["--root"],
            &["--root", "--no-diff"],
            &["--root="],
            &["--output", "xml"],
            &["--no-diff", "--no-diff"],
            &["-qq"],
            &["--help"],
            &["--dry-run=true"],
            &[""],
        ] {
            assert!(read(&words(line)).is_none(), "{line:?}");
        }
    }

    proptest! {
        /// Whatever is read here, clap reads the same way.
        #[test]
        fn nothing_is_read_otherwise_than_by_clap(
            line in prop::collection::vec(
                prop::sample::select(vec![
                    "batch.json", "-", "--", "-q", "-v", "--quiet", "--verbose", "--no-diff",
                    "--no-diff=true", "--root", "--root=/tmp", "--root=", "-r", "--key-file", "--output",
                    "--output=json", "human", "json", "--color", "--color=always", "auto", "",
                    "--durable", "-h", "--version", "apply", "-1", "a=b", "--=x",
                ]),
                0..5,
            ),
        ) {
            let (plain, clap) = both(&line, "apply");
            if plain.is_some() {
                prop_assert_eq!(plain, clap);
            }
        }
    }
}
