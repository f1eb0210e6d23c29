//! Languages of lines: Makefiles, Dockerfiles, environments, and what Go reads above an import.

use std::ops::Range;

use super::{Sink, is_word, line_end, line_start};
use crate::placeholder::style::Trim;

/// Whether a backslash joins a line, without its ending, to the next.
fn goes_on(line: &[u8], by: u8) -> bool {
    let slashes = line.iter().rev().take_while(|b| **b == by).count();
    slashes % 2 == 1
}

fn line_of(text: &[u8], start: usize) -> (&[u8], usize) {
    let end = line_end(text, start);
    let line = &text[start..end];
    (line.strip_suffix(b"\r").unwrap_or(line), end)
}

/// Lines that go on, and `define`d text.
pub(super) fn make(text: &[u8], start: usize, sink: &mut Sink) {
    let mut at = start;
    let mut defines: Vec<usize> = Vec::new();
    while at < text.len() {
        let (line, end) = line_of(text, at);
        if goes_on(line, b'\\') {
            sink.join(end - 1, end, "a line that goes on");
        }
        let word = line.trim_ascii_start();
        let word = ["override ", "export "]
            .iter()
            .fold(word, |w, p| w.strip_prefix(p.as_bytes()).unwrap_or(w));
        if !line.starts_with(b"\t") {
            if word.starts_with(b"define ") {
                defines.push(at);
            } else if (word == b"endef" || word.starts_with(b"endef "))
                && let Some(from) = defines.pop()
            {
                sink.add(text, from..end, "a define");
            }
        }
        at = end + 1;
    }
    if let Some(&from) = defines.first() {
        sink.add(text, from..text.len() + 1, "a define");
    }
}

/// Instructions that go on, and heredocs.
pub(super) fn docker(text: &[u8], start: usize, sink: &mut Sink) {
    let head = &text[start..super::head::end("Dockerfile", text, start)];
    let escape = match memchr::memmem::find(head, b"escape=`") {
        Some(_) => b'`',
        None => b'\\',
    };
    let mut at = start;
    while at < text.len() {
        let from = at;
        let (line, end) = line_of(text, at);
        if line.trim_ascii().is_empty() || line.trim_ascii().starts_with(b"#") {
            at = end + 1;
            continue;
        }
        let mut heredocs: Vec<Vec<u8>> = Vec::new();
        // An instruction with its continuations; comments and blank lines in it are skipped.
        loop {
            let (line, end) = line_of(text, at);
            let bare = line.trim_ascii();
            at = end + 1;
            if (bare.is_empty() || bare.starts_with(b"#")) && at <= text.len() {
                continue;
            }
            let first = text[from..].trim_ascii_start();
            let takes = [&b"RUN"[..], b"COPY", b"ADD"]
                .iter()
                .any(|word| first.len() > 3 && first[..word.len()].eq_ignore_ascii_case(word));
            if takes {
                heredocs.extend(heredoc_names(line));
            }
            if !goes_on(line.trim_ascii_end(), escape) || at > text.len() {
                break;
            }
        }
        let mut end = at - 1;
        for name in heredocs {
            loop {
                if end >= text.len() {
                    break;
                }
                let (line, line_end) = line_of(text, end + 1);
                end = line_end;
                let tabs = line.iter().take_while(|b| **b == b'\t').count();
                if line[tabs..] == name[..] {
                    break;
                }
            }
        }
        at = end + 1;
        sink.add(text, from..end, "an instruction that goes on");
    }
}

fn heredoc_names(line: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&line[at..], b"<<") {
        at += found + 2;
        let rest = &line[at..];
        if rest.starts_with(b"<") {
            at += 1;
            continue;
        }
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        let quote = rest.first().copied().filter(|b| matches!(b, b'"' | b'\''));
        let rest = if quote.is_some() { &rest[1..] } else { rest };
        let len = rest.iter().take_while(|b| is_word(**b)).count();
        if len > 0 {
            names.push(rest[..len].to_vec());
        }
    }
    names
}

/// Values in quotes.
pub(super) fn environment(text: &[u8], start: usize, sink: &mut Sink) {
    let mut at = start;
    while at < text.len() {
        let (line, end) = line_of(text, at);
        let equals = crate::bytes::find(b'=', line);
        let value = equals.map(|equals| line[equals + 1..].trim_ascii_start());
        let mut next = end + 1;
        if goes_on(line, b'\\') {
            sink.join(end - 1, end, "a line that goes on");
        }
        if let Some(value) = value
            && !line.trim_ascii_start().starts_with(b"#")
            && let Some(&quote @ (b'"' | b'\'' | b'`')) = value.first()
        {
            let open = end - (end - at - line.len()) - value.len();
            let mut close = open + 1;
            while let Some(&byte) = text.get(close) {
                if byte == quote {
                    break;
                }
                close += if byte == b'\\' && quote == b'"' { 2 } else { 1 };
            }
            if close < text.len() && close > end {
                sink.add(text, open..close + 1, "a string");
                next = line_end(text, close) + 1;
            }
        }
        at = next;
    }
}

/// The comment right above `import "C"` is C: nothing is put next to it.
pub(super) fn cgo(text: &[u8], start: usize, sink: &mut Sink) {
    let mut floor = start;
    for found in memchr::memmem::find_iter(&text[start..], b"\"C\"") {
        let at = start + found;
        let line = line_start(text, at);
        let before = text[line..at].trim_ascii();
        if before != b"import" && !before.is_empty() {
            continue;
        }
        // The lines above up to a blank one belong to it, and whole comments that hold one.
        let mut top = line;
        while top > floor {
            let above = line_start(text, top - 1);
            top = above.max(floor);
            let here = &text[above..line_end(text, above)];
            let within = sink.start_of_stretch(top);
            if let Some(from) = within {
                top = line_start(text, from).max(floor);
            } else if here.trim_ascii().is_empty()
                || here.trim_ascii_start().starts_with(b"package ")
            {
                break;
            }
        }
        floor = line;
        sink.add(text, top..line_end(text, at), "what is above import \"C\"");
    }
}

/// Lists of members and interfaces, whose `|` or `&` starts or ends a line: Prettier puts a comment
/// between them behind the sign, where it is none of ours any more.
pub(super) fn members(text: &[u8], start: usize, sink: &mut Sink) {
    let mut lists = Vec::new();
    // The last line with code, and whether it goes on.
    let mut above: Option<(usize, bool)> = None;
    let mut at = start;
    while at < text.len() {
        let (line, end) = line_of(text, at);
        let code = code_of(line);
        if sink.start_of_stretch(at).is_some() {
            above = Some((at, false));
        } else if !code.is_empty() {
            let begins = code.starts_with(b"|") || code.starts_with(b"&");
            if let Some((from, goes_on)) = above
                && (begins || goes_on)
            {
                lists.push(from..at + 1);
            }
            let ends = [&b"|"[..], b"&", b"=", b"implements"];
            above = Some((at, ends.iter().any(|sign| code.ends_with(sign))));
        }
        at = end + 1;
    }
    for list in lists {
        sink.add(text, list, "a list of members");
    }
}

/// A line without its comment and the white space around. A `#` in a string ends it, too: behind a
/// string no list goes on.
fn code_of(line: &[u8]) -> &[u8] {
    let end = crate::bytes::find(b'#', line).unwrap_or(line.len());
    line[..end].trim_ascii()
}

/// The white space that tags of a template take away, with that which is taken; and the tags behind
/// which an engine may be told to take a newline away.
pub(super) fn trimmed(name: &str, text: &[u8], start: usize, sink: &mut Sink) {
    let (opening, closing): (&[&str], &[&str]) = match name {
        "Handlebars" => (&["{{~", "{{{{~"], &["~}}"]),
        "Jinja" | "Twig" | "Liquid" => (&["{%-", "{{-", "{#-"], &["-%}", "-}}", "-#}"]),
        _ => return,
    };
    let mut trims: Vec<(Range<usize>, Trim)> = Vec::new();
    let mut breaks = Vec::new();
    for (tag, _) in sink.all.iter().flatten() {
        let tag = tag.start..tag.end.min(text.len());
        let inner = &text[tag.clone()];
        if opening
            .iter()
            .any(|mark| inner.starts_with(mark.as_bytes()))
        {
            let from = start + text[start..tag.start].trim_ascii_end().len();
            trims.push((from..tag.start, Trim::Above));
        }
        if closing.iter().any(|mark| inner.ends_with(mark.as_bytes())) {
            let to = text.len() - text[tag.end..].trim_ascii_start().len();
            trims.push((tag.end..to, Trim::Below));
        }
        let is_block = [b"%}", b"#}"].iter().any(|mark| inner.ends_with(*mark));
        if is_block && !inner[..inner.len() - 2].ends_with(b"+") && name == "Jinja" {
            breaks.push(tag.end);
        }
    }
    sink.trims = trims;
    breaks.sort_unstable();
    sink.breaks = breaks;
}
