//! The lines of the format: headers and commands.

/// `[path#tag]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'t> {
    /// As it is spelt, in quotes or not.
    pub(super) path: &'t str,
    /// Four or eight hexadecimal digits.
    pub(super) tag: Option<&'t str>,
}

/// Reads a line as the header of a section.
pub(super) fn header(line: &str) -> Option<Header<'_>> {
    let inner = line.trim_end().strip_prefix('[')?.strip_suffix(']')?;
    let is_tag =
        |tag: &str| matches!(tag.len(), 4 | 8) && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (path, tag) = match inner.rsplit_once('#') {
        Some((path, tag)) if is_tag(tag) => (path, Some(tag)),
        _ => (inner, None),
    };
    (!path.trim().is_empty()).then_some(Header { path, tag })
}

/// A command, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'t> {
    Swap(u64, u64),
    Delete(u64, u64),
    Before(u64),
    Behind(u64),
    Head,
    Tail,
    Remove,
    Move(&'t str),
}

impl Said<'_> {
    /// Whether rows follow.
    pub(super) fn takes_rows(self) -> bool {
        !matches!(self, Self::Delete(..) | Self::Remove | Self::Move(_))
    }
}

const VERBS: [&str; 14] = [
    "SWAP.BLK",
    "SWAP",
    "DEL.BLK",
    "DEL",
    "INS.PRE",
    "INS.POST",
    "INS.HEAD",
    "INS.TAIL",
    "INS.BLK.POST",
    "PUT",
    "CUT",
    "PASTE",
    "REM",
    "MV",
];

/// The verb that a line starts with, and what stands behind it.
pub(super) fn verb(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim();
    VERBS.into_iter().find_map(|verb| {
        let rest = line.strip_prefix(verb)?;
        let ends = rest.is_empty() || rest.starts_with([' ', ':']);
        let is_bare = matches!(verb, "REM" | "INS.HEAD" | "INS.TAIL");
        (ends && (!is_bare || matches!(rest.trim(), "" | ":"))).then_some((verb, rest.trim()))
    })
}

/// Reads what a verb is followed by; what is wrong with it as the error.
pub(super) fn command<'t>(verb: &str, rest: &'t str, strict: bool) -> Result<Said<'t>, String> {
    let is_block = verb.contains(".BLK") || (verb == "PUT" || verb == "CUT") && rest.contains('*');
    if is_block {
        return Err(format!(
            "{verb} names a block by its first line, which takes a parser of its language; name its last line as well: SWAP 4.=9:, DEL 4.=9 or INS.POST 9:"
        ));
    }
    if verb == "PASTE" || ((verb == "PUT" || verb == "CUT") && rest.contains('@')) {
        return Err(format!(
            "{verb} works with a register, which is not supported; send the lines"
        ));
    }
    let colon = rest.strip_suffix(':').map(str::trim_end);
    let place = colon.unwrap_or(rest);
    let with_rows = |said: Said<'t>| match colon {
        Some(_) => Ok(said),
        None => Err(format!(
            "{verb} {place} lacks the \":\" behind it, and rows below"
        )),
    };
    let bounds = || range(place, strict).ok_or_else(|| lines_expected(verb, place));
    let line = |place: &str| number(place).ok_or_else(|| lines_expected(verb, place));
    match verb {
        "SWAP" => bounds().and_then(|(first, last)| with_rows(Said::Swap(first, last))),
        "PUT" if place.starts_with('<') => {
            line(place[1..].trim()).and_then(|line| with_rows(Said::Before(line)))
        }
        "PUT" if place.starts_with('>') => {
            line(place[1..].trim()).and_then(|line| with_rows(Said::Behind(line)))
        }
        "PUT" => bounds().and_then(|(first, last)| with_rows(Said::Swap(first, last))),
        "DEL" | "CUT" => bounds().map(|(first, last)| Said::Delete(first, last)),
        "INS.PRE" => line(place).and_then(|line| with_rows(Said::Before(line))),
        "INS.POST" => line(place).and_then(|line| with_rows(Said::Behind(line))),
        "INS.HEAD" => with_rows(Said::Head),
        "INS.TAIL" => with_rows(Said::Tail),
        "REM" => Ok(Said::Remove),
        _ if rest.is_empty() => Err("MV needs the new path".to_owned()),
        _ => Ok(Said::Move(rest)),
    }
}

/// Whether a line that is no command looks like one: in small letters, quoted, or with a verb that
/// the format does not have.
pub(super) fn is_odd_command(line: &str) -> bool {
    const STEMS: [&str; 8] = ["SWAP", "DEL", "INS", "PUT", "CUT", "REP", "REM", "ADD"];
    let quoted = |c: char| ">|`-*".contains(c) || c.is_whitespace();
    let text = line.trim_matches(quoted).to_ascii_uppercase();
    if let Some((verb, rest)) = verb(&text) {
        let is_said = command(verb, rest, false).is_ok() && !rest.contains(char::is_whitespace);
        return is_said || rest == "*" || range(rest, false).is_some();
    }
    let Some((word, rest)) = text.split_once([' ', ':']) else {
        return false;
    };
    let place = rest.trim().trim_end_matches(':').trim_end();
    STEMS.iter().any(|stem| word.starts_with(stem)) && range(place, false).is_some()
}

fn lines_expected(verb: &str, found: &str) -> String {
    let found = crate::error::excerpt(found.as_bytes(), 40);
    match verb {
        "INS.PRE" | "INS.POST" => {
            format!("{verb} needs the number of a line, from 1; found {found:?}")
        }
        _ => format!("{verb} needs lines like 4.=6, from 1 and the last included; found {found:?}"),
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| text.parse().ok())
        .flatten()
        .filter(|line| *line > 0)
}

/// `4.=6`, or `4`; `4..6`, `4-6` and `4…6` are read as well unless the format is taken strictly.
fn range(text: &str, strict: bool) -> Option<(u64, u64)> {
    if let Some(line) = number(text) {
        return Some((line, line));
    }
    let separators: &[&str] = match strict {
        true => &[".="],
        false => &[".=", "..", "-", "\u{2026}"],
    };
    let (first, last) = separators.iter().find_map(|mark| text.split_once(mark))?;
    let (first, last) = (number(first.trim())?, number(last.trim())?);
    (first <= last).then_some((first, last))
}
