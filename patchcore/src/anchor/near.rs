//! The place of a text that is most like one that is nowhere in it, and what is different there:
//! information for whoever sent it, never fit to be edited.
//!
//! The work is linear in the text, whatever is looked for, and bounded beside what it takes to walk its
//! lines: of a text of many lines, less of each counts.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;

use crate::error::{MAX_FOUND, Refusal};
use crate::text::{BOM, LineNumber, split_lines, trim_ending};

/// Lines of a block that are compared with the text; what follows them is not looked at.
const COMPARED: usize = 200;
/// Lines of a block whose parts are looked for in every line of the text.
const KEYS: usize = 3;
/// Places that are compared line by line.
const TRIED: usize = 4;
/// Bytes of a line that count.
const COUNTED: usize = 400;
/// Parts of lines of the text that are looked up, in all; [`FEWEST`] of each line are in any case.
const LOOKED_UP: usize = 6_000_000;
/// Bytes of a line that count, at least.
const FEWEST: usize = 24;
/// Bytes of two lines whose difference is put into words; of longer ones only the place is told.
const WORDED: usize = 16 << 10;
/// Bytes of a message and what it shows.
const MAX_SHOWN: usize = 860;

/// The most similar place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Near {
    /// Its bytes: as many lines as the block has, fewer at the end of the text.
    pub(crate) span: Range<usize>,
    /// Its first line.
    pub(crate) line: LineNumber,
    /// The first line of the block, from 0, that is not there, endings aside.
    pub(crate) differs: Option<usize>,
}

impl Near {
    /// The line of the file where the block is first different, or would go on.
    pub(crate) fn at(&self) -> LineNumber {
        LineNumber::from_index(self.line.index() + self.differs.unwrap_or(0))
    }

    /// The sentence's part that says where the place is and what is different there.
    pub(crate) fn describe(&self, text: &[u8], block: &[&[u8]]) -> String {
        let Some(differs) = self.differs else {
            return format!("line {} has it but for its line endings", self.line);
        };
        let sent = trim_ending(block.get(differs).copied().unwrap_or_default());
        let file = split_lines(&text[self.span.clone()]).nth(differs);
        let at = self.at();
        let place = if differs == 0 {
            format!("most similar is line {at}")
        } else {
            format!(
                "most similar is line {}, where line {at} differs",
                self.line
            )
        };
        match file.map(trim_ending) {
            Some(file) => format!("{place}: {}", difference(file, sent)),
            None => format!(
                "most similar is line {}, and the file ends before {}",
                self.line,
                shown(sent, sent.len())
            ),
        }
    }

    /// Puts into a refusal what is there from the first difference on, as much as there is room for.
    /// What is above it is as it was sent.
    pub(crate) fn show(&self, refusal: Refusal, text: &[u8]) -> Refusal {
        let same = split_lines(&text[self.span.clone()]).take(self.differs.unwrap_or(0));
        let start = self.span.start + same.map(<[u8]>::len).sum::<usize>();
        found(refusal.at_line(self.at()), &text[start..self.span.end])
    }
}

/// Shows in a refusal what stands there, as much as there is room for beside the message.
pub(crate) fn found(refusal: Refusal, stands: &[u8]) -> Refusal {
    let room = MAX_SHOWN
        .saturating_sub(refusal.message.len())
        .max(MAX_FOUND / 2);
    refusal.with_found_up_to(stands, room)
}

/// The place of the text that is most like a block of lines; `None` where nothing is like it.
pub(crate) fn nearest(text: &[u8], block: &[&[u8]]) -> Option<Near> {
    let block = &block[..block.len().min(COMPARED)];
    let mut tried: Vec<(usize, usize)> = voted(text, block);
    tried.extend(similar(text, block));
    let mut starts: Vec<(usize, LineNumber)> = Vec::new();
    for (at, above) in tried {
        if let Some(place) = back(text, at, above)
            && !starts.contains(&place)
        {
            starts.push(place);
        }
    }
    let mut best: Option<(f64, Near)> = None;
    let mut pairs = Pairs::default();
    for (start, line) in starts {
        let (score, near) = compare(text, start, line, block, &mut pairs);
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, near));
        }
    }
    best.filter(|(score, _)| *score >= 0.3)
        .map(|(_, near)| near)
}

/// The offset of a line so many lines above the one at an offset, and its number.
fn back(text: &[u8], mut at: usize, lines: usize) -> Option<(usize, LineNumber)> {
    let start = if text.starts_with(BOM) { BOM.len() } else { 0 };
    for _ in 0..lines {
        if at <= start {
            return None;
        }
        at = crate::bytes::rfind(b'\n', &text[start..at - 1])
            .map_or(start, |newline| start + newline + 1);
    }
    let number = crate::bytes::count(b'\n', &text[..at]);
    Some((at, LineNumber::from_index(number)))
}

/// The places that most lines of the block vote for: a line there, and how many lines of the block
/// are above it.
fn voted(text: &[u8], block: &[&[u8]]) -> Vec<(usize, usize)> {
    let mut wanted: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, line) in block.iter().enumerate() {
        let line = line.trim_ascii();
        // A lone brace says nothing.
        if line.len() > 2 {
            // A line that is repeated often says little about where the block belongs.
            let indices = wanted.entry(line).or_default();
            if indices.len() < 4 {
                indices.push(index);
            }
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    // By first line: the votes, and the line that gave the first of them.
    let mut votes: HashMap<usize, (usize, usize, usize)> = HashMap::new();
    for (number, (at, line)) in lines(text).enumerate() {
        for &index in wanted.get(line.trim_ascii()).into_iter().flatten() {
            if let Some(first) = number.checked_sub(index)
                && (votes.len() < 10_000 || votes.contains_key(&first))
            {
                votes.entry(first).or_insert((0, at, index)).0 += 1;
            }
        }
    }
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_unstable_by_key(|(first, (count, ..))| (std::cmp::Reverse(*count), *first));
    votes.truncate(TRIED);
    votes
        .into_iter()
        .map(|(_, (_, at, index))| (at, index))
        .collect()
}

/// The lines with their offsets.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = if text.starts_with(BOM) { BOM.len() } else { 0 };
    split_lines(&text[at..]).map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    })
}

/// The places of lines that share most parts with the longest lines of the block, as
/// [`voted`] gives them.
fn similar(text: &[u8], block: &[&[u8]]) -> Vec<(usize, usize)> {
    let mut keys: Vec<(usize, &[u8])> = block
        .iter()
        .map(|line| counted(line))
        .enumerate()
        .filter(|(_, line)| line.len() >= 3)
        .collect();
    keys.sort_by_key(|(index, line)| (std::cmp::Reverse(line.len()), *index));
    keys.truncate(KEYS);
    if keys.is_empty() {
        return Vec::new();
    }
    let mut table = vec![0u8; 1 << 16];
    let mut sizes = [0usize; KEYS];
    for (bit, (_, key)) in keys.iter().enumerate() {
        for part in key.windows(3) {
            let slot = &mut table[hash(part)];
            if *slot & (1 << bit) == 0 {
                *slot |= 1 << bit;
                sizes[bit] += 1;
            }
        }
    }
    let mut best: [Vec<(usize, usize)>; KEYS] = Default::default();
    // A part that a line repeats counts once: the last line that had it.
    let mut last = vec![0u32; 1 << 16];
    let count = crate::bytes::count(b'\n', text) + 1;
    let most = (LOOKED_UP / count).clamp(FEWEST, COUNTED);
    for (number, (at, line)) in (1..).zip(lines(text)) {
        let line = counted(line);
        let line = &line[..line.len().min(most)];
        if line.len() < 3 {
            continue;
        }
        let mut hits = [0usize; KEYS];
        for part in line.windows(3) {
            let at = hash(part);
            let slot = table[at];
            if slot != 0 && last[at] != number {
                last[at] = number;
                for (bit, hits) in hits.iter_mut().enumerate() {
                    *hits += usize::from(slot >> bit & 1);
                }
            }
        }
        for (bit, best) in best.iter_mut().enumerate().take(keys.len()) {
            // Parts found, of those looked for, less the more there is besides.
            let found = hits[bit];
            let score =
                found * 1000 / sizes[bit] * 4 + found * 2000 / (sizes[bit] + line.len() - 2);
            if found > 0 {
                keep_best(best, score, at);
            }
        }
    }
    let places = keys.iter().zip(best);
    places
        .flat_map(|((index, _), best)| best.into_iter().map(|(_, at)| (at, *index)))
        .collect()
}

/// Adds a place to the best ones, if it is among them.
fn keep_best(best: &mut Vec<(usize, usize)>, score: usize, at: usize) {
    if best.len() == TRIED && best[TRIED - 1].0 >= score {
        return;
    }
    let place = best.partition_point(|(other, _)| *other >= score);
    best.insert(place, (score, at));
    best.truncate(TRIED);
}

/// A line as far as it counts.
fn counted(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    &line[..line.len().min(COUNTED)]
}

fn hash(part: &[u8]) -> usize {
    let [a, b, c] = [part[0], part[1], part[2]].map(|byte| usize::from(byte.to_ascii_lowercase()));
    (a.wrapping_mul(0x9e5f) ^ b.wrapping_mul(0x3d4d) ^ c.wrapping_mul(0x01a7)) & 0xffff
}

/// How like a block the lines from an offset on are, from 0 to 1.
fn compare(
    text: &[u8],
    start: usize,
    line: LineNumber,
    block: &[&[u8]],
    pairs: &mut Pairs,
) -> (f64, Near) {
    let mut file = split_lines(&text[start..]);
    let mut end = start;
    let mut differs = None;
    let (mut score, mut weight) = (0.0, 0.0);
    for (index, sent) in block.iter().enumerate() {
        let stands = file.next();
        end += stands.map_or(0, <[u8]>::len);
        let stands = stands.map(trim_ending);
        let sent = trim_ending(sent);
        if stands != Some(sent) {
            differs.get_or_insert(index);
        }
        let heavy = sent.trim_ascii().len().min(COUNTED) as f64 + 1.0;
        weight += heavy;
        score += heavy * stands.map_or(0.0, |stands| pairs.likeness(stands, sent));
    }
    let near = Near {
        span: start..end,
        line,
        differs,
    };
    (score / weight.max(1.0), near)
}

/// How often each pair of bytes occurs in a line.
struct Pairs(Vec<u16>);

impl Default for Pairs {
    fn default() -> Self {
        Self(vec![0; 1 << 16])
    }
}

impl Pairs {
    /// How like two lines are, from 0 to 1.
    fn likeness(&mut self, a: &[u8], b: &[u8]) -> f64 {
        if a == b {
            return 1.0;
        }
        let (a, b) = (counted(a), counted(b));
        if a == b {
            return 0.99;
        }
        let pairs = |line: &'_ [u8]| -> Vec<usize> {
            let pairs = line.windows(2);
            let lower = pairs.map(|pair| [pair[0], pair[1]].map(|byte| byte.to_ascii_lowercase()));
            lower
                .map(|pair| usize::from(u16::from_be_bytes(pair)))
                .collect()
        };
        let (a, b) = (pairs(a), pairs(b));
        for pair in &b {
            self.0[*pair] += 1;
        }
        let mut shared = 0usize;
        for pair in &a {
            if self.0[*pair] > 0 {
                self.0[*pair] -= 1;
                shared += 1;
            }
        }
        for pair in &b {
            self.0[*pair] = 0;
        }
        // A part of a line is like it.
        let dice = 2.0 * shared as f64 / (a.len() + b.len()).max(1) as f64;
        let part = shared as f64 / b.len().max(1) as f64;
        (0.5 * dice + 0.5 * part).min(0.98)
    }
}

/// What is different between a line of the file and the one that was sent, in words. Long, for it
/// is the list of what may be different, of which the first that is says all.
pub(crate) fn difference(file: &[u8], sent: &[u8]) -> String {
    let both = |what: &str| {
        let at = first_difference(file, sent);
        format!(
            "{what}the file has {}, the text sent {}",
            shown(file, at),
            shown(sent, at)
        )
    };
    if file.trim_ascii_end() == sent.trim_ascii_end() {
        return both("only white space at the end differs: ");
    }
    if file.trim_ascii() == sent.trim_ascii() {
        return format!(
            "only the indentation differs: {} in the file, {} in the text sent",
            indentation(file),
            indentation(sent)
        );
    }
    if sent.trim_ascii().is_empty() {
        return format!(
            "the file has {}, the text sent a blank line",
            shown(file, 0)
        );
    }
    if file.len() + sent.len() > WORDED {
        return both("");
    }
    let solid = |line: &[u8]| -> Vec<u8> {
        let bytes = line.iter().copied();
        bytes.filter(|byte| !byte.is_ascii_whitespace()).collect()
    };
    // Text to find may be a part of its line.
    let part = sent.trim_ascii();
    if !part.is_empty() && memchr::memmem::find(file, part).is_some() {
        return both("the text sent is a part of the line: ");
    }
    let (stands, wanted) = (solid(file), solid(sent));
    if !wanted.is_empty() && memchr::memmem::find(&stands, &wanted).is_some() {
        return both("only white space differs: ");
    }
    if let Err(error) = std::str::from_utf8(file) {
        let byte = file[error.valid_up_to()];
        return both(&format!("byte 0x{byte:02X} there is not UTF-8: "));
    }
    if let (Ok(stands), Ok(wanted)) = (std::str::from_utf8(file), std::str::from_utf8(sent)) {
        if stands.nfc().eq(wanted.nfc()) {
            return both("only the composition of its characters differs (Unicode NFC, NFD): ");
        }
        if contains(&alike(stands), &alike(wanted)) {
            return both("only characters that look alike differ: ");
        }
        if let Some(rest) = without_number(wanted)
            && rest.trim() == stands.trim()
        {
            return format!(
                "the text sent starts with a line number, which is not in the file: {}",
                shown(sent, 0)
            );
        }
        if contains(&unescaped(stands), &unescaped(wanted)) {
            return both("only escaping differs: ");
        }
        if stands.to_lowercase().contains(&wanted.to_lowercase()) {
            return both("only upper and lower case differ: ");
        }
    }
    both("")
}

/// Whether a text holds another one that is no blank.
fn contains(text: &str, part: &str) -> bool {
    !part.trim().is_empty() && text.contains(part)
}

/// Where two texts first differ, in bytes.
pub(crate) fn first_difference(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Text in which characters that look alike are the same.
fn alike(text: &str) -> String {
    let fold = |c: char| match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '`' | '\u{b4}' => Some('\''),
        '\u{201c}'..='\u{201f}' | '\u{2033}' => Some('"'),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => None,
        // Cyrillic and Greek letters with the form of Latin ones.
        '\u{430}' | '\u{3b1}' => Some('a'),
        '\u{435}' => Some('e'),
        '\u{43e}' | '\u{3bf}' => Some('o'),
        '\u{440}' => Some('p'),
        '\u{441}' => Some('c'),
        '\u{445}' => Some('x'),
        '\u{443}' => Some('y'),
        '\u{456}' => Some('i'),
        _ => Some(c),
    };
    text.nfkc().filter_map(fold).collect()
}

/// The line behind a number as tools that print files put before it.
fn without_number(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &rest[digits..];
    let mark = rest.strip_prefix(['\t', '\u{2192}', '|', ':']);
    mark.or_else(|| rest.trim_start().strip_prefix(['|', '\u{2192}']))
        .filter(|_| digits > 0)
}

/// Text without what escaping adds to it.
fn unescaped(text: &str) -> String {
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    text.replace('\\', "")
}

/// What a line is indented by, in words.
fn indentation(line: &[u8]) -> String {
    let end = line.iter().take_while(|byte| byte.is_ascii_whitespace());
    let lead = &line[..end.count()];
    let runs = lead.chunk_by(|a, b| a == b).map(|run| {
        let name = match run[0] {
            b' ' => "space",
            b'\t' => "tab",
            _ => "other blank",
        };
        format!(
            "{} {name}{}",
            run.len(),
            if run.len() == 1 { "" } else { "s" }
        )
    });
    let runs: Vec<String> = runs.collect();
    if runs.is_empty() {
        "none".to_owned()
    } else {
        runs.join(", ")
    }
}

/// A line in quotes, cut to the part around a byte, with what cannot be seen made visible.
pub(crate) fn shown(line: &[u8], around: usize) -> String {
    const BEFORE: usize = 50;
    const LENGTH: usize = 110;
    let line = trim_ending(line);
    let mut start = if line.len() <= LENGTH {
        0
    } else {
        around.saturating_sub(BEFORE).min(line.len() - LENGTH)
    };
    while start > 0 && line[start] & 0xc0 == 0x80 {
        start -= 1;
    }
    let mut end = (start + LENGTH).min(line.len());
    while end < line.len() && line[end] & 0xc0 == 0x80 {
        end += 1;
    }
    let mut out = String::from("\"");
    if start > 0 {
        out.push('…');
    }
    for chunk in line[start..end].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                _ if is_hidden(c) => {
                    let _ = write!(out, "{}", c.escape_unicode());
                }
                _ => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
    if end < line.len() {
        out.push('…');
    }
    out.push('"');
    out
}

/// Whether a character cannot be told from another, or not be seen at all.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || (!c.is_ascii() && c.is_whitespace())
        || (!c.is_ascii() && alike(c.encode_utf8(&mut [0; 4])).is_ascii())
        || unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(text: &str, block: &str) -> Option<(u64, Option<usize>, String)> {
        let block: Vec<&[u8]> = split_lines(block.as_bytes()).collect();
        let near = nearest(text.as_bytes(), &block)?;
        let said = near.describe(text.as_bytes(), &block);
        Some((near.line.get(), near.differs, said))
    }

    #[test]
    fn the_most_similar_place_is_shown_with_its_first_difference() {
        let text = "def f(a, b):\n    total = compute(a,b)\n    return total\n";
        for (block, line, differs, says) in [
            (
                "    total = compute(a, b)\n",
                2,
                Some(0),
                "only white space differs",
            ),
            ("compute(a, b)", 2, Some(0), "only white space differs"),
            (
                "def f(a, b):\n    total = compare(a,b)\n    return total\n",
                1,
                Some(1),
                "line 2 differs",
            ),
            (
                "\ttotal = compute(a,b)\n",
                2,
                Some(0),
                "4 spaces in the file, 1 tab in",
            ),
            ("    return total \n", 3, Some(0), "white space at the end"),
            (
                "    return total\n    more()\n",
                3,
                Some(1),
                "the file ends before",
            ),
            (
                "     2\t    total = compute(a,b)\n",
                2,
                Some(0),
                "line number",
            ),
            ("DEF F(A, B):\n", 1, Some(0), "upper and lower case"),
        ] {
            let (at, wrong, said) = near(text, block).unwrap_or_else(|| panic!("{block}"));
            assert_eq!((at, wrong), (line, differs), "{block}: {said}");
            assert!(said.contains(says), "{said}");
        }
        assert_eq!(near(text, "zzzz qqqq\n"), None);
        assert_eq!(near("", "a\n"), None);
    }

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        for (file, sent, says) in [
            ("caf\u{65}\u{301} = 1", "caf\u{e9} = 1", "NFC"),
            (
                "it\u{2019}s",
                "it's",
                "look alike differ: the file has \"it\\u{2019}s\"",
            ),
            ("a\u{a0}b", "a b", "a\\u{a0}b"),
            ("\"C:\\\\me\"", "\"C:\\me\"", "only escaping differs"),
            ("\u{430}bc = 1", "abc = 1", "\\u{430}bc"),
        ] {
            let said = difference(file.as_bytes(), sent.as_bytes());
            assert!(said.contains(says), "{said}");
        }
        let said = difference(b"// \xa9 M.", "// \u{fffd} M.".as_bytes());
        assert!(
            said.starts_with("byte 0xA9 there is not UTF-8: the file has \"// \\xA9"),
            "{said}"
        );
    }

    #[test]
    fn a_blank_line_is_said_to_be_one() {
        for sent in ["", "  ", "\t"] {
            assert_eq!(
                difference(b"    line1", sent.as_bytes()),
                "the file has \"    line1\", the text sent a blank line"
            );
        }
        let hidden = difference(b"line1", "\u{200b}".as_bytes());
        assert!(!hidden.contains("look alike"), "{hidden}");
        let slashes = difference(b"line1", b"\\\\");
        assert!(!slashes.contains("escaping"), "{slashes}");
    }

    #[test]
    fn long_lines_are_cut_around_the_difference() {
        let long = "x".repeat(500);
        let said = difference(
            format!("{long}a{long}").as_bytes(),
            format!("{long}b{long}").as_bytes(),
        );
        assert!(
            said.contains("xa") && said.contains("xb") && said.len() < 400,
            "{said}"
        );
    }
}
