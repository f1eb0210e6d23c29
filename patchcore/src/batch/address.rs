//! Addresses and occurrences.

use std::num::NonZeroU64;

use super::Limits;
use super::diagnostic::{Diagnostic, Span};
use super::reader::{Reader, Step, read_all};
use super::rules;
use super::scan::TokenKind;
use super::wire::At;
use crate::operation::{Occurrence, Pattern};

const AT_FIELDS: &[&str] = &[
    "line",
    "lines",
    "text",
    "match",
    "between",
    "placeholder",
    "occurrence",
    "inclusive",
];
/// So many of them are forms of the address, of which it has one.
const FORMS: usize = 6;

impl At {
    /// Reads an address alone: the value of an operation's `at`.
    ///
    /// ```
    /// use patchcore::batch::At;
    /// assert_eq!(At::parse(br#"{"line": 12}"#)?, At::Line { line: 12 });
    /// # Ok::<(), patchcore::batch::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](super::parse).
    pub fn parse(input: &[u8]) -> Result<Self, Diagnostic> {
        let at = read_all(input, &Limits::default(), |r| {
            let at = r.required(read_at)?;
            r.scan.finish().or_else(|fault| r.stop(fault))?;
            Ok(at)
        })?;
        Ok(at.expect("an address without a fault was read"))
    }
}

#[derive(Default)]
struct RawAt {
    form: Option<At>,
    occurrence: Occurrence,
    inclusive: bool,
}

/// Reads the address that is next; `None` where a fault was recorded.
pub(super) fn read_at(r: &mut Reader<'_>) -> Step<Option<At>> {
    let kind = r.kind()?;
    if kind != TokenKind::Object {
        r.wrong("an address, like {\"lines\": [10, 14]}", kind)?;
        return Ok(None);
    }
    let faults = r.faults();
    let start = r.scan.offset();
    let mut raw = RawAt::default();
    let mut seen = 0;
    let mut keys = [Span::default(); AT_FIELDS.len()];
    r.object(|r, key, span| {
        let Some(field) = r.known(AT_FIELDS, &key, span, &mut seen, || {
            ("an address", AT_FIELDS.to_vec())
        })?
        else {
            return Ok(());
        };
        let index = AT_FIELDS.iter().position(|known| *known == field);
        keys[index.unwrap_or_default()] = span;
        r.field(field, |r| raw.read(r, field))
    })?;

    check_form(r, seen, &keys, start)?;
    Ok(if r.faults() > faults {
        None
    } else {
        raw.build()
    })
}

/// Records more than one form of an address, none, and what does not go with the one.
fn check_form(
    r: &mut Reader<'_>,
    seen: u32,
    keys: &[Span; AT_FIELDS.len()],
    start: usize,
) -> Step<()> {
    let has = |index: usize| seen & (1 << index) != 0;
    let mut forms = (0..FORMS).filter(|&index| has(index));
    match (forms.next(), forms.next()) {
        (None, _) => {
            let names = AT_FIELDS[..FORMS].join(", ");
            r.fault(Span::at(start), format!("an address needs one of {names}"))?;
        }
        (Some(first), Some(second)) => {
            let later = if keys[first].start > keys[second].start {
                first
            } else {
                second
            };
            let (a, b) = (AT_FIELDS[first], AT_FIELDS[second]);
            let message = format!("an address has one form; {a:?} and {b:?} are two");
            r.field(AT_FIELDS[later], |r| r.fault(keys[later], message))?;
        }
        (Some(form), None) => {
            let form = AT_FIELDS[form];
            if has(FORMS) && matches!(form, "line" | "lines") {
                let message =
                    format!("\"occurrence\" does not go with {form:?}, which is one place");
                r.field("occurrence", |r| r.fault(keys[FORMS], message))?;
            }
            if has(FORMS + 1) && form != "between" {
                let message = format!("\"inclusive\" goes with \"between\", not with {form:?}");
                r.field("inclusive", |r| r.fault(keys[FORMS + 1], message))?;
            }
        }
    }
    Ok(())
}

impl RawAt {
    fn build(self) -> Option<At> {
        let mut form = self.form?;
        match &mut form {
            At::Text { occurrence, .. }
            | At::Match { occurrence, .. }
            | At::Placeholder { occurrence, .. } => *occurrence = self.occurrence,
            At::Between {
                occurrence,
                inclusive,
                ..
            } => {
                *occurrence = self.occurrence;
                *inclusive = self.inclusive;
            }
            At::Line { .. } | At::Lines { .. } => {}
        }
        Some(form)
    }

    fn read(&mut self, r: &mut Reader<'_>, field: &'static str) -> Step<()> {
        let occurrence = Occurrence::Only;
        let form = match field {
            "line" => r
                .required(|r| r.number("a line number"))?
                .map(|line| At::Line { line }),
            "lines" => {
                let pair = read_pair(r, "two line numbers", |r| r.number("a line number"))?;
                pair.map(|lines| At::Lines { lines })
            }
            "text" => {
                let text = r.required(|r| r.nonempty("text"))?;
                text.map(|text| At::Text { text, occurrence })
            }
            "match" => {
                let pattern = r.required(Reader::pattern)?;
                pattern.map(|pattern| At::Match {
                    pattern,
                    occurrence,
                })
            }
            "between" => {
                let pair: Option<[Pattern; 2]> =
                    read_pair(r, "two regular expressions", Reader::pattern)?;
                pair.map(|between| At::Between {
                    between,
                    inclusive: false,
                    occurrence,
                })
            }
            "placeholder" => {
                let id = r.required(|r| r.nonempty("placeholder"))?;
                id.map(|placeholder| At::Placeholder {
                    placeholder,
                    occurrence,
                })
            }
            "occurrence" => {
                self.occurrence = read_occurrence(r, false)?.unwrap_or_default();
                return Ok(());
            }
            _ => {
                self.inclusive = r.boolean()?.unwrap_or_default();
                return Ok(());
            }
        };
        if form.is_some() {
            self.form = form;
        }
        Ok(())
    }
}

fn read_pair<'a, T>(
    r: &mut Reader<'a>,
    wanted: &str,
    read: impl Fn(&mut Reader<'a>) -> Step<Option<T>>,
) -> Step<Option<[T; 2]>> {
    let start = r.scan.offset();
    let kind = r.kind()?;
    if kind != TokenKind::Array {
        r.wrong(&format!("an array of {wanted}"), kind)?;
        return Ok(None);
    }
    let faults = r.faults();
    let (mut first, mut second, mut count) = (None, None, 0_usize);
    r.array(|r, index| {
        count += 1;
        match index {
            0 => first = r.required(&read)?,
            1 => second = r.required(&read)?,
            _ => r.skip()?,
        }
        Ok(())
    })?;
    if count != 2 {
        let span = r.since(start);
        r.fault(
            span,
            format!("expected {wanted}, found {count} in the array"),
        )?;
    }
    Ok(match (first, second) {
        (Some(first), Some(second)) if r.faults() == faults => Some([first, second]),
        _ => None,
    })
}

/// `all` goes with `replace-text` alone.
pub(super) fn read_occurrence(r: &mut Reader<'_>, may_be_all: bool) -> Step<Option<Occurrence>> {
    let start = r.scan.offset();
    let occurrence = match r.kind()? {
        TokenKind::Number => {
            let Some(number) = r.number("a name or a number from 1")? else {
                return Ok(None);
            };
            match NonZeroU64::new(number) {
                Some(number) => Some(Occurrence::Nth(number)),
                None => {
                    let span = r.since(start);
                    r.fault(span, "occurrences are counted from 1")?;
                    None
                }
            }
        }
        TokenKind::String | TokenKind::Null => r.choice(&Occurrence::NAMES)?,
        kind => {
            r.wrong("a name or a number from 1", kind)?;
            None
        }
    };
    if let (Some(occurrence), false) = (occurrence, may_be_all) {
        r.hold(start, rules::one_place(occurrence))?;
    }
    Ok(occurrence)
}
