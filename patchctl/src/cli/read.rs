//! Options of `read`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::edit::seconds;

/// Shows files with line numbers and the hash that an edit of them needs as its base
///
/// What was shown is remembered for the agent: an edit by line numbers alone then lands while the
/// file is as that agent read it last, and is refused when it has changed.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The files, relative to the current directory
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only these lines of the one file, from 1, both inclusive: `12`, `10-14`, or `10-` to the end
    #[arg(long, value_name = "A-B", conflicts_with = "around", value_parser = lines)]
    pub(crate) lines: Option<(u64, u64)>,
    /// Only the lines around this placeholder of the one file
    #[arg(long, value_name = "PLACEHOLDER")]
    pub(crate) around: Option<String>,
    /// Lines shown above and below the placeholder
    #[arg(long, value_name = "N", default_value_t = 10, requires = "around")]
    pub(crate) context: u64,
    /// Show a tag above each file, and each line behind its number and a colon, for edits in the
    /// hashline dialect
    #[arg(long)]
    pub(crate) hashline: bool,
    /// The agent that reads [env: PATCHCTL_AGENT]
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) agent: Option<String>,
    /// Longest wait for another process that holds the tree; after it, what was read is shown all
    /// the same, but not remembered
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) lock_wait: Duration,
}

/// A range of lines.
fn lines(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| -> Result<u64, String> {
        text.parse()
            .map_err(|_| format!("{text:?} is not a line number"))
    };
    let (first, last) = match text.split_once(['-', ':', ',']) {
        None => (number(text)?, number(text)?),
        Some((first, "")) => (number(first)?, u64::MAX),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    match first {
        0 => Err("lines are counted from 1".to_owned()),
        _ if last < first => Err(format!("line {last} is above line {first}")),
        _ => Ok((first, last)),
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn ranges_of_lines() {
        assert_eq!(lines("12"), Ok((12, 12)));
        assert_eq!(lines("10-14"), Ok((10, 14)));
        assert_eq!(lines("10:14"), Ok((10, 14)));
        assert_eq!(lines("10-"), Ok((10, u64::MAX)));
        for wrong in ["", "0", "0-3", "4-3", "-3", "a", "1-b", "1-2-3"] {
            assert!(lines(wrong).is_err(), "{wrong}");
        }
    }
}
