//! Reads values of a known type, one after another; what is wrong with one does not keep the
//! others from being read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use super::Limits;
use super::diagnostic::{Diagnostic, Fault, MAX_FAULTS, Span};
use super::names::nearest;
use super::rules::{self, Broken};
use super::scan::{Scanner, TokenKind};
use crate::digest::Digest;
use crate::error::Code;
use crate::operation::Pattern;

/// The walk has ended: its last fault is recorded.
#[derive(Debug)]
pub(super) struct Stop;

pub(super) type Step<T> = Result<T, Stop>;

/// A step of the JSON path.
pub(super) enum Segment {
    Name(&'static str),
    Key(Box<str>),
    Index(usize),
}

/// Reads values, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) scan: Scanner<'a>,
    pub(super) limits: &'a Limits,
    path: Vec<Segment>,
    pub(super) faults: Vec<Fault>,
    /// A batch tends to repeat its expressions; compiling one is dear.
    patterns: HashMap<String, Pattern>,
    /// The fault of the operation being read if its `expect` is empty and no hash guards it.
    pub(super) empty_expect: Option<Fault>,
    /// Such faults by file, until all of the batch's hashes are known.
    pub(super) unguarded: Vec<(String, Fault)>,
}

/// How much a reader has collected.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) faults: usize,
    unguarded: usize,
    path: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            faults: self.faults.len(),
            unguarded: self.unguarded.len(),
            path: self.path.len(),
        }
    }

    /// Forgets what was collected since.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.faults.truncate(mark.faults);
        self.unguarded.truncate(mark.unguarded);
        self.path.truncate(mark.path);
        self.empty_expect = None;
    }

    pub(super) fn new(scan: Scanner<'a>, limits: &'a Limits) -> Self {
        Self {
            scan,
            limits,
            path: Vec::new(),
            faults: Vec::new(),
            patterns: HashMap::new(),
            empty_expect: None,
            unguarded: Vec::new(),
        }
    }

    /// The field's name among the known ones; records what is unknown or stands twice and goes
    /// over its value. `seen` has a bit for each known field; `owner` is asked only for a message:
    /// what the object is called, and what it takes.
    pub(super) fn known(
        &mut self,
        fields: &'static [&'static str],
        key: &str,
        span: Span,
        seen: &mut u32,
        owner: impl FnOnce() -> (&'static str, Vec<&'static str>),
    ) -> Step<Option<&'static str>> {
        let Some(index) = fields.iter().position(|field| *field == key) else {
            let (owner, fields) = owner();
            let near = nearest(key, &fields);
            let mut message = format!("unknown field {:?} of {owner}", short(key));
            match near {
                Some(near) => {
                    let _ = write!(message, "; did you mean {near:?}?");
                }
                None => {
                    let _ = write!(message, "; it takes {}", fields.join(", "));
                }
            }
            self.within(Segment::Key(short(key)), |r| {
                r.record_near(span, message, near)
            })?;
            self.skip()?;
            return Ok(None);
        };
        if *seen & (1 << index) != 0 {
            self.within(Segment::Name(fields[index]), |r| {
                r.fault(span, format!("{key:?} appears twice"))
            })?;
            self.skip()?;
            return Ok(None);
        }
        *seen |= 1 << index;
        Ok(Some(fields[index]))
    }

    /// A string; `None` for `null` and for what is none.
    pub(super) fn text(&mut self) -> Step<Option<String>> {
        Ok(self.string("a string")?.map(own))
    }

    /// Expected lines. None at all are no guard; beside a hash they stand for one blank line, as a
    /// sender that joins lines by newlines writes it.
    pub(super) fn expected(&mut self) -> Step<Option<String>> {
        let start = self.scan.offset();
        let text = self.text()?;
        if let Some(text) = &text
            && let Err(broken) = rules::not_empty("expect", text)
        {
            let mut fault = Fault::new(broken.code, self.since(start), broken.message);
            self.place(&mut fault);
            self.empty_expect = Some(fault);
        }
        Ok(text)
    }

    /// A string that may not be empty.
    pub(super) fn nonempty(&mut self, name: &str) -> Step<Option<String>> {
        let start = self.scan.offset();
        let text = self.text()?;
        let Some(text) = text else { return Ok(None) };
        let holds = self.hold(start, rules::not_empty(name, &text))?;
        Ok(holds.then_some(text))
    }

    /// A string, described by `wanted`; `None` for `null` and for what is none.
    pub(super) fn string(&mut self, wanted: &str) -> Step<Option<Cow<'a, str>>> {
        match self.kind()? {
            TokenKind::String => match self.scan.string() {
                Ok(text) => Ok(Some(text)),
                Err(fault) => self.stop(fault),
            },
            TokenKind::Null => self.null().map(|()| None),
            kind => self.wrong(wanted, kind).map(|()| None),
        }
    }

    /// A boolean; `None` for `null` and for what is none.
    pub(super) fn boolean(&mut self) -> Step<Option<bool>> {
        match self.kind()? {
            TokenKind::Boolean => self.scan.word().or_else(|fault| self.stop(fault)),
            TokenKind::Null => self.null().map(|()| None),
            kind => self.wrong("true or false", kind).map(|()| None),
        }
    }

    /// A whole number from 0; `None` for `null` and for what is none.
    pub(super) fn number(&mut self, wanted: &str) -> Step<Option<u64>> {
        match self.kind()? {
            TokenKind::Number => {}
            TokenKind::Null => return self.null().map(|()| None),
            kind => return self.wrong(wanted, kind).map(|()| None),
        }
        let start = self.scan.end();
        let number = self.scan.number();
        let span = self.since(start);
        let why = if let Ok(value) = number.parse::<u64>()
            && (number == "0" || !number.starts_with('0'))
        {
            return Ok(Some(value));
        } else if number.bytes().all(|byte| byte.is_ascii_digit()) {
            match number.starts_with('0') {
                true => "written with a leading zero",
                false => "beyond 18446744073709551615",
            }
        } else if serde_json::from_str::<serde::de::IgnoredAny>(number).is_err() {
            "not a number of JSON"
        } else if number.starts_with('-') {
            "negative"
        } else {
            "written as a fraction or with an exponent; write whole numbers in digits"
        };
        self.fault(
            span,
            format!("expected {wanted}; {} is {why}", short(number)),
        )?;
        Ok(None)
    }

    /// A hash; `None` for `null` and for what is none.
    pub(super) fn digest(&mut self) -> Step<Option<Digest>> {
        let start = self.scan.offset();
        let Some(text) = self.string("a hash, \"sha256:\" and 64 hexadecimal digits")? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(digest) => Ok(Some(digest)),
            Err(error) => {
                let span = self.since(start);
                self.fault(span, error.to_string())?;
                Ok(None)
            }
        }
    }

    /// One of some names; `None` for `null` and for what is none.
    pub(super) fn choice<T: Copy>(&mut self, choices: &[(&'static str, T)]) -> Step<Option<T>> {
        let start = self.scan.offset();
        let names: Vec<&'static str> = choices.iter().map(|(name, _)| *name).collect();
        let wanted = || format!("one of \"{}\"", names.join("\", \""));
        let Some(text) = self.string(&wanted())? else {
            return Ok(None);
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(Some(*value));
        }
        let span = self.since(start);
        let message = format!("expected {}, found {:?}", wanted(), short(&text));
        self.record_near(span, message, nearest(&text, &names))?;
        Ok(None)
    }

    /// A regular expression; `None` for `null` and for what is none.
    pub(super) fn pattern(&mut self) -> Step<Option<Pattern>> {
        let start = self.scan.offset();
        let Some(source) = self.string("a regular expression")? else {
            return Ok(None);
        };
        if let Some(pattern) = self.patterns.get(&*source) {
            return Ok(Some(pattern.clone()));
        }
        match Pattern::new(&source) {
            Ok(pattern) => {
                self.patterns.insert(source.into_owned(), pattern.clone());
                Ok(Some(pattern))
            }
            Err(refusal) => {
                let span = self.since(start);
                let message = crate::error::excerpt(refusal.message.as_bytes(), 200);
                self.record(Fault::new(refusal.code, span, message))?;
                Ok(None)
            }
        }
    }

    /// A value that `null` does not stand in for.
    pub(super) fn required<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Step<Option<T>>,
    ) -> Step<Option<T>> {
        if self.kind()? == TokenKind::Null {
            self.wrong("a value", TokenKind::Null)?;
            return Ok(None);
        }
        read(self)
    }

    pub(super) fn kind(&mut self) -> Step<TokenKind> {
        self.scan.kind().or_else(|fault| self.stop(fault))
    }

    pub(super) fn null(&mut self) -> Step<()> {
        match self.scan.word() {
            Ok(_) => Ok(()),
            Err(fault) => self.stop(fault),
        }
    }

    /// Records a value of the wrong type, which is next, and goes over it.
    pub(super) fn wrong(&mut self, wanted: &str, kind: TokenKind) -> Step<()> {
        let at = self.scan.offset();
        let message = format!("expected {wanted}, found {}", kind.name());
        self.fault(Span::at(at), message)?;
        self.skip()
    }

    pub(super) fn skip(&mut self) -> Step<()> {
        match self.scan.skip() {
            Ok(_) => Ok(()),
            Err(fault) => self.stop(fault),
        }
    }

    /// The members of an object, which is next.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>, Span) -> Step<()>,
    ) -> Step<()> {
        self.scan.enter().or_else(|fault| self.stop(fault))?;
        let mut first = true;
        while self
            .scan
            .next(first, b'}')
            .or_else(|fault| self.stop(fault))?
        {
            first = false;
            let (key, span) = self.scan.key().or_else(|fault| self.stop(fault))?;
            member(self, key, span)?;
        }
        Ok(())
    }

    /// The elements of an array, which is next.
    pub(super) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self, usize) -> Step<()>,
    ) -> Step<()> {
        self.scan.enter().or_else(|fault| self.stop(fault))?;
        let mut index = 0;
        while self
            .scan
            .next(index == 0, b']')
            .or_else(|fault| self.stop(fault))?
        {
            self.within(Segment::Index(index), |r| element(r, index))?;
            index += 1;
        }
        Ok(())
    }

    /// Works one step down the JSON path. After a stop the path stays: the fault has taken it.
    pub(super) fn within<T>(
        &mut self,
        segment: Segment,
        work: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        self.path.push(segment);
        let result = work(self)?;
        self.path.pop();
        Ok(result)
    }

    /// Works in the field of that name.
    pub(super) fn field<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        self.within(Segment::Name(name), work)
    }

    /// The span from `start` to the end of the last token.
    pub(super) fn since(&self, start: usize) -> Span {
        Span {
            start,
            end: self.scan.end(),
        }
    }

    /// How many faults there are: tells whether a piece of work recorded one.
    pub(super) fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Whether a fault from the one with index `since` on has a field of that name for the near
    /// one.
    pub(super) fn was_meant(&self, since: usize, field: &str) -> bool {
        self.faults[since..]
            .iter()
            .any(|fault| fault.near.as_deref() == Some(field))
    }

    pub(super) fn fault(&mut self, span: Span, message: impl Into<String>) -> Step<()> {
        self.record(Fault::new(Code::InvalidBatch, span, message))
    }

    pub(super) fn record_near(
        &mut self,
        span: Span,
        message: String,
        near: Option<&str>,
    ) -> Step<()> {
        let mut fault = Fault::new(Code::InvalidBatch, span, message);
        fault.near = near.map(str::to_owned);
        self.record(fault)
    }

    pub(super) fn record(&mut self, mut fault: Fault) -> Step<()> {
        self.place(&mut fault);
        self.faults.push(fault);
        if self.faults.len() < MAX_FAULTS {
            Ok(())
        } else {
            Err(Stop)
        }
    }

    /// Gives a fault the JSON path of the value being read.
    fn place(&self, fault: &mut Fault) {
        for segment in &self.path {
            match segment {
                Segment::Index(index) => {
                    let _ = write!(fault.path, "[{index}]");
                }
                Segment::Name(name) if fault.path.is_empty() => fault.path.push_str(name),
                Segment::Name(name) => {
                    let _ = write!(fault.path, ".{name}");
                }
                Segment::Key(key) if is_plain(key) => {
                    let dot = if fault.path.is_empty() { "" } else { "." };
                    let _ = write!(fault.path, "{dot}{key}");
                }
                Segment::Key(key) => {
                    let _ = write!(fault.path, "[{key:?}]");
                }
            }
        }
    }

    /// Records the rule that the value from `start` on breaks, if it does; whether it holds.
    pub(super) fn hold(&mut self, start: usize, checked: Result<(), Broken>) -> Step<bool> {
        match checked {
            Ok(()) => Ok(true),
            Err(Broken { code, message }) => {
                let span = self.since(start);
                self.record(Fault::new(code, span, message))?;
                Ok(false)
            }
        }
    }

    pub(super) fn stop<T>(&mut self, fault: Fault) -> Step<T> {
        self.record(fault)?;
        Err(Stop)
    }
}

/// Reads a value that is all of the input.
pub(super) fn read_all<T>(
    input: &[u8],
    limits: &Limits,
    read: impl FnOnce(&mut Reader<'_>) -> Step<T>,
) -> Result<T, Diagnostic> {
    if input.len() as u64 > limits.bytes {
        return Err(limits.too_long());
    }
    // What is readable in front of a byte that is not UTF-8 tells the JSON path of that byte.
    let (text, beyond) = match std::str::from_utf8(input) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = &input[..error.valid_up_to()];
            let text = std::str::from_utf8(valid).unwrap_or_default();
            (
                text,
                Some("not UTF-8; content of other encodings goes into \"content_base64\""),
            )
        }
    };
    let scan = Scanner::new(text, limits.depth, beyond);
    let mut reader = Reader::new(scan, limits);
    match read(&mut reader) {
        Ok(value) if reader.faults.is_empty() => Ok(value),
        _ => Err(Diagnostic::of(reader.faults, input)),
    }
}

/// Owns text, with room for the newline that ends the last line of content.
fn own(text: Cow<'_, str>) -> String {
    match text {
        Cow::Borrowed(text) => {
            let mut owned = String::with_capacity(text.len() + 1);
            owned.push_str(text);
            owned
        }
        Cow::Owned(text) => text,
    }
}

/// The start of a name that a message repeats.
pub(super) fn short(text: &str) -> Box<str> {
    crate::error::excerpt(text.as_bytes(), 64).into()
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
