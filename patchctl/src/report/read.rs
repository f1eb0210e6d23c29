//! Files as they were read. People and agents get a line that says what the file is and a numbered
//! listing; machines one JSON object.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;

use patchcore::rebase::Tag;
use patchcore::report::Excerpt;
use patchcore::text::{LineEnding, LineNumber, split_lines, trim_ending};
use patchcore::workspace::ReadFiles;

use super::edit::count;
use super::{Context, one_line, printable, printable_json, refusal};
use crate::cli::Output;
use crate::exit::Failure;

/// How lines are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The number, a tab, the line.
    Numbered,
    /// A tag above the file; the number, a colon, the line.
    Hashline,
}

/// Most line numbers that are told of lines that are not shown as they are.
const MOST_LINES: usize = 5;

/// Prints what was read, and why other files were not.
pub(crate) fn files(read: &ReadFiles, form: Form, context: &Context) -> Result<(), Failure> {
    let print = || -> std::io::Result<()> {
        if context.output == Output::Json {
            let json = serde_json::to_string(&read.report())?;
            return writeln!(context.stdout(), "{}", printable_json(&json));
        }
        let mut out = std::io::BufWriter::new(context.stdout());
        let mut refusals = Vec::new();
        for file in &read.files {
            match file.excerpt() {
                Ok(excerpt) => listing(&excerpt, form, &mut out)?,
                Err(refusal) => refusals.push(refusal),
            }
        }
        out.flush()?;
        drop(out);
        for refusal in refusals {
            refusal::explain(&refusal, None, None, &mut context.stderr())?;
        }
        Ok(())
    };
    print().map_err(Failure::Output)
}

/// The lines behind their numbers, and the numbers of those that are not shown exactly.
fn numbered(excerpt: &Excerpt<'_>, ending: LineEnding, form: Form) -> (String, Vec<u64>) {
    let (mut lines, mut altered) = (String::new(), Vec::new());
    let first = excerpt.lines.map_or(1, |[first, _]| first.get());
    for (number, line) in (first..).zip(split_lines(excerpt.bytes())) {
        let line = match ending {
            LineEnding::CrLf => trim_ending(line),
            LineEnding::Lf => line.strip_suffix(b"\n").unwrap_or(line),
        };
        let plain = plain(line);
        let separator = match form {
            Form::Numbered => '\t',
            Form::Hashline => ':',
        };
        let at = lines.len();
        let _ = write!(lines, "{number}{separator}{plain}");
        let safe = printable(&lines[at..]);
        if matches!(plain, Cow::Owned(_)) || matches!(safe, Cow::Owned(_)) {
            altered.push(number);
            let safe = safe.into_owned();
            lines.truncate(at);
            lines.push_str(&safe);
        }
        lines.push('\n');
    }
    (lines, altered)
}

/// Prints the lines of a file below what is to be said of it.
pub(crate) fn listing(
    excerpt: &Excerpt<'_>,
    form: Form,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let source = excerpt.source;
    let text = source.text();
    let ending = text.prevailing_ending();
    let (lines, altered) = numbered(excerpt, ending, form);
    let mut remarks = Vec::new();
    if ending == LineEnding::CrLf {
        remarks.push("CRLF line endings".to_owned());
    }
    if !text.is_empty() && !text.ends_in_newline() {
        remarks.push("no newline at the end".to_owned());
    }
    if text.bom_len() > 0 {
        remarks.push("byte order mark".to_owned());
    }
    if source.executable() {
        remarks.push("executable".to_owned());
    }
    if !altered.is_empty() {
        remarks.push(not_exact(&altered));
    }
    let remarks = remarks.iter().map(|remark| format!(", {remark}"));
    let remarks: String = remarks.collect();
    let lines_shown = lines_of(excerpt.lines, text.line_count());
    match form {
        Form::Numbered => {
            let path = excerpt.path.to_string();
            let (path, base) = (one_line(&path), source.digest());
            writeln!(out, "{path}: {lines_shown}, base {base}{remarks}")?;
        }
        Form::Hashline => {
            let header = Tag::from(&source.digest()).header(excerpt.path);
            if !altered.is_empty() {
                let path = excerpt.path.to_string();
                writeln!(out, "{}: {}", one_line(&path), not_exact(&altered))?;
            }
            writeln!(out, "{}", one_line(&header))?;
        }
    }
    out.write_all(lines.as_bytes())
}

fn lines_of(shown: Option<[LineNumber; 2]>, all: usize) -> String {
    match shown {
        Some([first, last]) if first.get() == 1 && last.get() == all as u64 => count(all, "line"),
        Some([first, last]) if first == last => format!("line {first} of {all}"),
        Some([first, last]) => format!("lines {first}-{last} of {all}"),
        None => "empty".to_owned(),
    }
}

fn not_exact(altered: &[u64]) -> String {
    let (shown, left) = altered.split_at(altered.len().min(MOST_LINES));
    let shown: Vec<String> = shown.iter().map(u64::to_string).collect();
    let more = match left.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let lines = match altered.len() {
        1 => "line",
        _ => "lines",
    };
    format!(
        "{lines} {}{more} shown with \\x escapes (`--output json` has them exactly)",
        shown.join(" ")
    )
}

/// A line as text: bytes that are not UTF-8 are written `\xNN`.
fn plain(line: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(line) {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    Cow::Owned(text)
}
