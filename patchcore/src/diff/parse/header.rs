//! File headers: git's extended ones, and the two lines of everybody else.

use crate::path::unquote;

use super::{Binary, BinaryHunk, Current, Name, ParseError, ParsedFile, Parser};

/// What a line below `diff --git` was.
enum Line {
    Read,
    /// The last one, or the first that is none of them; the cursor is where reading goes on.
    Last,
}

impl<'a> Parser<'a> {
    /// Reads `diff --git` and the extended header lines below it. Behind a fault it goes on with the
    /// next line.
    pub(super) fn git_file(&mut self) {
        self.between = None;
        self.is_lost = false;
        let faults = self.faults.all.len();
        let first = self.cursor.peek().expect("the caller saw a header");
        let names = Some(trim(&first[b"diff --git ".len()..]));
        let is_same = |bare: &mut ParsedFile<'_>| {
            bare.git == names && bare.has_no_body() && !bare.says_anything()
        };
        if self.diff.files.pop_if(is_same).is_some() {
            self.remark("the first line of a file's header is there twice");
        }
        let mut file = ParsedFile {
            line: self.cursor.line,
            git: names,
            crlf: first.ends_with(b"\r\n"),
            ..ParsedFile::default()
        };
        self.cursor.advance();
        let (mut has_contradiction, mut has_old_mode) = (false, false);
        while let Some(line) = self.cursor.peek() {
            has_old_mode |= line.starts_with(b"old mode ");
            match self.git_line(line, &mut file) {
                Ok(Line::Read) => {}
                Ok(Line::Last) => break,
                Err(fault) => self.faults.push(fault),
            }
            let kinds = [
                file.created,
                file.deleted,
                file.rename_from.is_some() || file.rename_to.is_some(),
                file.copy_from.is_some() || file.copy_to.is_some(),
            ];
            if kinds.iter().filter(|kind| **kind).count() > 1 && !has_contradiction {
                has_contradiction = true;
                let fault = self.error(
                    "the header contradicts itself: a file is created, deleted, renamed or copied, one of them",
                );
                self.faults.push(fault);
            }
            self.cursor.advance();
        }
        let half = half_of(&file, has_old_mode);
        if let Some(message) = half.filter(|_| self.faults.all.len() == faults) {
            self.faults.push(ParseError {
                line: file.line,
                message: message.into(),
                hint: None,
            });
        }
        if self.faults.all.len() > faults {
            self.faults.files.insert(file.line);
        }
        self.diff.files.push(file);
        self.current = Some(Current::Adjacent);
    }

    /// Reads a line below `diff --git`, and more of them where they belong together. The cursor stays
    /// on a line that is read alone.
    fn git_line(&mut self, line: &'a [u8], file: &mut ParsedFile<'a>) -> Result<Line, ParseError> {
        let value = |prefix: &[u8]| line.strip_prefix(prefix).map(trim);
        if line.starts_with(b"--- ") {
            if !self.next_starts_with(b"+++ ") && !self.next_starts_with(b"@@ -") {
                return Err(self.error("a \"---\" line without a \"+++\" line below it"));
            }
            self.two_names(file);
            return Ok(Line::Last);
        }
        if line.starts_with(b"+++ ") && self.next_starts_with(b"@@ -") {
            self.two_names(file);
            return Ok(Line::Last);
        }
        if let Some(mode) = value(b"old mode ") {
            file.old_mode = Some(self.mode(mode)?);
        } else if let Some(mode) = value(b"new mode ") {
            file.new_mode = Some(self.mode(mode)?);
        } else if let Some(mode) = value(b"deleted file mode ") {
            file.deleted = true;
            file.old_mode = Some(self.mode(mode)?);
        } else if let Some(mode) = value(b"new file mode ") {
            file.created = true;
            file.new_mode = Some(self.mode(mode)?);
        } else if let Some(name) = value(b"rename from ").or(value(b"rename old ")) {
            file.rename_from = Some(self.unquote(name)?);
        } else if let Some(name) = value(b"rename to ").or(value(b"rename new ")) {
            file.rename_to = Some(self.unquote(name)?);
        } else if let Some(name) = value(b"copy from ") {
            file.copy_from = Some(self.unquote(name)?);
        } else if let Some(name) = value(b"copy to ") {
            file.copy_to = Some(self.unquote(name)?);
        } else if let Some(index) = value(b"index ") {
            self.index(index, file)?;
        } else if line.starts_with(b"GIT binary patch") {
            file.binary = Some(self.binary()?);
            return Ok(Line::Last);
        } else if line.starts_with(b"Binary files ") || line.starts_with(b"Files ") {
            file.binary_differs = true;
            self.cursor.advance();
            return Ok(Line::Last);
        } else if value(b"similarity index ")
            .or(value(b"dissimilarity index "))
            .is_none()
        {
            return Ok(Line::Last);
        }
        Ok(Line::Read)
    }

    /// Reads a `---` and a `+++` line; one of them may be missing.
    pub(super) fn plain_file(&mut self) {
        self.between = None;
        self.is_lost = false;
        let first = self.cursor.peek().expect("the caller saw a header");
        let mut file = ParsedFile {
            line: self.cursor.line,
            crlf: first.ends_with(b"\r\n"),
            ..ParsedFile::default()
        };
        self.two_names(&mut file);
        let sides = [&file.old, &file.new].into_iter().flatten();
        let names: Vec<&[u8]> = sides
            .filter_map(|name| match name {
                Name::Path { bytes, .. } => Some(&bytes[..]),
                Name::Null => None,
            })
            .collect();
        // The rest of a header that something stands in.
        let bare = self.diff.files.pop_if(|bare| {
            let git = bare
                .git
                .filter(|_| bare.has_no_body() && !bare.says_anything());
            git.is_some_and(|git| {
                names
                    .iter()
                    .all(|name| memchr::memmem::find(git, name).is_some())
            })
        });
        if let Some(bare) = bare {
            self.remark("there is text within the header of a file");
            file = ParsedFile {
                old: file.old,
                new: file.new,
                ..bare
            };
        }
        self.diff.files.push(file);
        self.current = Some(Current::Adjacent);
    }

    /// Reads the names of a `---` and a `+++` line; one of them may be missing.
    fn two_names(&mut self, file: &mut ParsedFile<'a>) {
        if let Some(old) = self
            .cursor
            .peek()
            .and_then(|line| line.strip_prefix(b"--- "))
        {
            file.old = Some(self.name(trim(old)));
            self.cursor.advance();
        }
        if let Some(new) = self
            .cursor
            .peek()
            .and_then(|line| line.strip_prefix(b"+++ "))
        {
            file.new = Some(self.name(trim(new)));
            self.cursor.advance();
        }
        if file.old.is_none() || file.new.is_none() {
            self.remark("one of the \"---\" and \"+++\" lines is missing");
        }
    }

    fn name(&self, text: &[u8]) -> Name {
        // A quote that ends inside the name is part of it.
        let quoted =
            unquote(text).filter(|(_, used)| text.get(*used).is_none_or(u8::is_ascii_whitespace));
        let (bytes, stamp) = match quoted {
            Some((name, used)) => (name, &text[used..]),
            None => {
                let at = stamp_at(text)
                    .or_else(|| crate::bytes::find(b'\t', text))
                    .or_else(|| c_stamp_at(text))
                    .or_else(|| remark_at(text))
                    .unwrap_or(text.len());
                (text[..at].to_vec(), &text[at..])
            }
        };
        let stamp = stamp.trim_ascii();
        if is_null_device(&bytes) || stamp == b"(nonexistent)" {
            return Name::Null;
        }
        Name::Path {
            bytes,
            epoch: is_epoch(stamp),
        }
    }

    fn unquote(&self, text: &[u8]) -> Result<Vec<u8>, ParseError> {
        if text.starts_with(b"\"") {
            return unquote(text)
                .map(|(name, _)| name)
                .ok_or_else(|| self.error("malformed quoted name"));
        }
        Ok(text.to_vec())
    }

    fn mode(&self, text: &[u8]) -> Result<u32, ParseError> {
        std::str::from_utf8(text.trim_ascii())
            .ok()
            .and_then(|text| u32::from_str_radix(text, 8).ok())
            .ok_or_else(|| self.error("a file mode that is not an octal number"))
    }

    /// Reads `OLD..NEW [MODE]`.
    fn index(&self, text: &'a [u8], file: &mut ParsedFile<'a>) -> Result<(), ParseError> {
        let mut words = text.splitn(2, |&byte| byte == b' ');
        let names = words.next().unwrap_or_default();
        if let Some(dots) = memchr::memmem::find(names, b"..") {
            file.index = Some((&names[..dots], &names[dots + 2..]));
        }
        if let Some(mode) = words.next()
            && file.old_mode.is_none()
        {
            file.old_mode = Some(self.mode(mode)?);
        }
        Ok(())
    }

    /// Reads the one or two directions below `GIT binary patch`.
    fn binary(&mut self) -> Result<Binary, ParseError> {
        let line = self.cursor.line;
        self.cursor.advance();
        let forward = self.binary_hunk()?;
        if forward.is_none() {
            return Err(self.error("a binary patch without data"));
        }
        let reverse = self.binary_hunk()?;
        Ok(Binary {
            line,
            forward,
            reverse,
        })
    }

    fn binary_hunk(&mut self) -> Result<Option<BinaryHunk>, ParseError> {
        let Some(line) = self.cursor.peek() else {
            return Ok(None);
        };
        let line = trim(line);
        let (delta, size) = match (line.strip_prefix(b"delta "), line.strip_prefix(b"literal ")) {
            (Some(size), _) => (true, size),
            (_, Some(size)) => (false, size),
            _ => return Ok(None),
        };
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|size| size.parse().ok())
            .ok_or_else(|| self.error("a binary patch without a size"))?;
        self.cursor.advance();
        let mut data = Vec::new();
        loop {
            let line = self.cursor.peek().map(trim);
            match line {
                None => return Err(self.error("the patch ends inside a binary patch")),
                Some(b"") => {
                    self.cursor.advance();
                    break;
                }
                Some(line) => {
                    decode_line(line, &mut data)
                        .ok_or_else(|| self.error("a malformed line in a binary patch"))?;
                }
            }
            self.cursor.advance();
        }
        Ok(Some(BinaryHunk { delta, size, data }))
    }
}

/// What a header lacks that has one of two lines which belong together.
fn half_of(file: &ParsedFile<'_>, has_old_mode: bool) -> Option<&'static str> {
    if file.rename_from.is_some() != file.rename_to.is_some()
        || file.copy_from.is_some() != file.copy_to.is_some()
    {
        return Some("a rename or copy names only one of its two files");
    }
    let is_half = has_old_mode && file.new_mode.is_none();
    is_half.then_some("an old mode without the new one: its line is lost, or text stands above it")
}

/// Whether a line is one of git's header that says more than names and blobs.
pub(super) fn is_extended(line: &[u8]) -> bool {
    [
        &b"new file mode "[..],
        b"deleted file mode ",
        b"old mode ",
        b"new mode ",
        b"rename from ",
        b"rename to ",
        b"copy from ",
        b"copy to ",
    ]
    .iter()
    .any(|prefix| line.starts_with(prefix))
}

fn trim(line: &[u8]) -> &[u8] {
    crate::text::trim_ending(line)
}

/// Whether a name is the null device, as some system or tool spells it. GNU patch knows
/// `/dev/null` alone, git `NUL` and `nul` on Windows, and subversion writes `(nonexistent)`.
fn is_null_device(name: &[u8]) -> bool {
    let name: Vec<u8> = name
        .trim_ascii_end()
        .iter()
        .map(|byte| match byte {
            b'\\' => b'/',
            byte => byte.to_ascii_lowercase(),
        })
        .collect();
    let known: [&[u8]; 8] = [
        b"/dev/null",
        b"dev/null",
        b"a/dev/null",
        b"b/dev/null",
        b"nul",
        b"nul:",
        b"//./nul",
        b"(nonexistent)",
    ];
    known.contains(&&name[..])
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Where the time stamp of Mercurial starts, `Tue Feb 05 17:23:40 2019 +0100` at the end, the zone
/// being optional.
fn c_stamp_at(text: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(text).ok()?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let date = c_date(&words)?;
    let first = words[words.len() - date..].first()?;
    // The same word may stand in the name: its last occurrence is meant.
    let at = line.rfind(first)?;
    let name = line[..at].trim_ascii_end();
    (!name.is_empty()).then_some(name.len())
}

/// How many words at the end are a date as C's `ctime` has it.
fn c_date(words: &[&str]) -> Option<usize> {
    let zone = usize::from(words.last()?.starts_with(['+', '-']));
    let at = words.len().checked_sub(5 + zone)?;
    let [weekday, month, day, time, year] = words.get(at..at + 5)? else {
        return None;
    };
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let fits = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(weekday)
        && MONTHS.contains(month)
        && digits(day)
        && time.len() == 8
        && time.split(':').count() == 3
        && time.split(':').all(digits)
        && year.len() == 4
        && digits(year);
    fits.then_some(5 + zone)
}

/// Where subversion's remark on a name starts, `(revision 5)` or the like at the end.
fn remark_at(text: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(text).ok()?.trim_ascii_end();
    let at = line.rfind(" (")?;
    let remark = line[at + 2..].strip_suffix(')')?;
    let is_known = matches!(remark, "nonexistent" | "working copy")
        || remark.strip_prefix("revision ").is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
    let name = line[..at].trim_ascii_end();
    (is_known && !name.is_empty()).then_some(name.len())
}

/// Where the time stamp of GNU diff starts, `2010-07-05 19:41:17.620000023 -0500` at the end; the
/// zone may be missing.
fn stamp_at(text: &[u8]) -> Option<usize> {
    let end = text.trim_ascii_end().len();
    let is_blank = |at: usize| matches!(text[at], b' ' | b'\t');
    // Zone, time and date, from behind; each is preceded by a blank.
    let word = |end: usize| {
        let start = (0..end).rev().find(|&at| is_blank(at))? + 1;
        Some((start, &text[start..end]))
    };
    let is_zone = |text: &[u8]| {
        let digits = |byte: &u8| byte.is_ascii_digit() || *byte == b':';
        matches!(text, [b'+' | b'-', rest @ ..] if rest.len() >= 3 && rest.iter().all(digits))
    };
    // POSIX diff writes no zone.
    let time_end = match word(end)? {
        (zone_at, zone) if is_zone(zone) => zone_at - 1,
        _ => end,
    };
    let (time_at, time) = word(time_end)?;
    if time.len() < 8
        || time[2] != b':'
        || time[5] != b':'
        || !time[..2].iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    let (date_at, date) = word(time_at - 1)?;
    let is_date = date.len() >= 8
        && date.len() <= 10
        && date
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        && date.iter().filter(|byte| **byte == b'-').count() == 2;
    is_date.then(|| {
        let mut at = date_at - 1;
        while at > 0 && is_blank(at - 1) {
            at -= 1;
        }
        at
    })
}

/// Whether a time stamp is the epoch, in whatever zone it is written.
fn is_epoch(stamp: &[u8]) -> bool {
    let Ok(stamp) = std::str::from_utf8(stamp) else {
        return false;
    };
    let words: Vec<&str> = stamp.split_ascii_whitespace().collect();
    let (date, time, zone) = match words[..] {
        [date, time, zone] => (date, time, zone),
        [_, "Jan", "01" | "1", time, "1970", zone] => ("1970-01-01", time, zone),
        [_, "Dec", "31", time, "1969", zone] => ("1969-12-31", time, zone),
        _ => return false,
    };
    let parse = || -> Option<bool> {
        let hour: i32 = time.get(..2)?.parse().ok()?;
        let minute: i32 = time.get(3..5)?.parse().ok()?;
        let rest = time.get(5..)?;
        if rest != ":00" && !(rest.starts_with(":00.") && rest[4..].bytes().all(|b| b == b'0')) {
            return Some(false);
        }
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let digits: String = zone[1..].chars().filter(char::is_ascii_digit).collect();
        let offset: i32 = digits.parse().ok()?;
        let offset = sign * (offset / 100 * 60 + offset % 100);
        let day = match date {
            "1969-12-31" => -24 * 60,
            "1970-01-01" => 0,
            _ => return Some(false),
        };
        Some(day + hour * 60 + minute == offset)
    };
    parse().unwrap_or(false)
}

const BASE85: &[u8; 85] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// Decodes one line of git's base 85: a length letter, then five letters for each four bytes.
fn decode_line(line: &[u8], data: &mut Vec<u8>) -> Option<()> {
    let (first, letters) = line.split_first()?;
    let length = match first {
        b'A'..=b'Z' => usize::from(first - b'A') + 1,
        b'a'..=b'z' => usize::from(first - b'a') + 27,
        _ => return None,
    };
    if letters.len() != length.div_ceil(4) * 5 {
        return None;
    }
    let end = data.len() + length;
    for group in letters.chunks(5) {
        let mut value = 0u32;
        for letter in group {
            let digit = BASE85.iter().position(|known| known == letter)? as u32;
            value = value.checked_mul(85)?.checked_add(digit)?;
        }
        data.extend_from_slice(&value.to_be_bytes());
    }
    data.truncate(end);
    Some(())
}
