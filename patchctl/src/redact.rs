//! Known secrets, taken out of all that is printed, logged, stored or sent.
//!
//! A secret is known from the environment, and from the files that it names as soon as they are
//! read. It is found as it is, percent-encoded, as JSON escapes it, however often, and in base64 at
//! any offset.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{OnceLock, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Variables that hold secrets.
const SECRETS: [&str; 2] = ["ORCHESTRATOR_TOKEN", "ORCHESTRATOR_WEBHOOK_SECRET"];
/// What stands in a secret's place.
const MARK: &str = "[redacted]";
/// Fewest bytes of a secret: what is shorter stands everywhere by chance.
const SHORTEST: usize = 6;

/// What is looked for, the longest first.
static KNOWN: OnceLock<RwLock<Vec<Form>>> = OnceLock::new();

/// A form that a secret may take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// These bytes, each as it is or escaped.
    Escaped(Vec<u8>),
    /// These bytes.
    Exact(Vec<u8>),
}

impl Form {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Escaped(bytes) | Self::Exact(bytes) => bytes,
        }
    }

    /// How many bytes at the start of a text it takes, if it stands there.
    fn length_in(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Escaped(secret) => escaped_length(text, secret),
            Self::Exact(bytes) => text.starts_with(bytes).then_some(bytes.len()),
        }
    }
}

/// How many bytes at the start of a text are a secret, each byte as it is, percent-encoded, or
/// behind as many backslashes as strings within strings give it.
fn escaped_length(text: &[u8], secret: &[u8]) -> Option<usize> {
    let is_hex = |digits: &[u8], byte: u8| {
        let digits = std::str::from_utf8(digits).ok();
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) == Some(byte)
    };
    let slashes_of = |text: &[u8]| text.iter().take_while(|byte| **byte == b'\\').count();
    let (mut at, mut rest) = (0, secret);
    while let [byte, behind @ ..] = rest {
        let here = &text[at..];
        let (slashes, own) = (slashes_of(here), slashes_of(rest));
        if own > 0 && slashes >= own {
            at += slashes;
            rest = &rest[own..];
            continue;
        }
        at += match (slashes, &here[slashes..]) {
            (0, [b'%', a, b, ..]) if is_hex(&[*a, *b], *byte) => 3,
            (0, [b'+', ..]) if *byte == b' ' => 1,
            (1.., [b'u', b'0', b'0', a, b, ..]) if is_hex(&[*a, *b], *byte) => slashes + 5,
            (_, [other, ..]) if other == byte => slashes + 1,
            _ => return None,
        };
        rest = behind;
    }
    Some(at)
}

fn known() -> &'static RwLock<Vec<Form>> {
    KNOWN.get_or_init(|| {
        let mut forms = Vec::new();
        for name in SECRETS {
            if let Some(text) = std::env::var_os(name) {
                add(&text.to_string_lossy(), &mut forms);
            }
        }
        RwLock::new(forms)
    })
}

/// Remembers a secret that came from elsewhere.
pub(crate) fn remember(secret: &str) {
    let mut forms = known().write().unwrap_or_else(|poison| poison.into_inner());
    add(secret, &mut forms);
}

/// Adds the forms that a secret may take.
fn add(secret: &str, forms: &mut Vec<Form>) {
    let secret = secret.trim();
    let bare = secret.strip_prefix("whsec_").unwrap_or(secret);
    let decoded = STANDARD_NO_PAD.decode(bare.trim_end_matches('=')).ok();
    let raw = decoded.filter(|_| bare.len() < secret.len());
    let texts = [
        Some(secret.as_bytes().to_vec()),
        Some(bare.as_bytes().to_vec()),
        raw,
    ];
    for bytes in texts
        .into_iter()
        .flatten()
        .filter(|bytes| bytes.len() >= SHORTEST)
    {
        forms.extend(forms_of(&bytes));
    }
    forms.sort_by_key(|form| std::cmp::Reverse(form.bytes().len()));
    forms.dedup();
}

fn forms_of(secret: &[u8]) -> Vec<Form> {
    let mut forms = vec![Form::Escaped(secret.to_vec())];
    // In a longer text the secret begins at any of three offsets of base64; the groups of it that
    // are whole look the same wherever they are.
    for offset in 0..3 {
        let whole = secret.get(offset..).unwrap_or_default();
        let whole = &whole[..whole.len() / 3 * 3];
        if whole.len() >= SHORTEST {
            forms.push(Form::Exact(STANDARD_NO_PAD.encode(whole).into_bytes()));
            forms.push(Form::Exact(URL_SAFE_NO_PAD.encode(whole).into_bytes()));
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// The bytes without secrets.
pub(crate) fn bytes(text: &[u8]) -> Cow<'_, [u8]> {
    let forms = known().read().unwrap_or_else(|poison| poison.into_inner());
    let mut clean = Cow::Borrowed(text);
    for form in &*forms {
        if let Some(replaced) = replaced(&clean, form) {
            clean = Cow::Owned(replaced);
        }
    }
    clean
}

/// The text without secrets.
pub(crate) fn text(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text.as_bytes())).into_owned()
}

/// Puts the mark in the place of each occurrence; `None` where there is none.
fn replaced(text: &[u8], form: &Form) -> Option<Vec<u8>> {
    let first = *form.bytes().first()?;
    let may_start = |at: usize| match text[at] {
        // A run of them is looked at once.
        b'\\' => at == 0 || text[at - 1] != b'\\',
        byte => byte == first || byte == b'%',
    };
    let mut clean = Vec::new();
    let (mut at, mut copied, mut any) = (0, 0, false);
    while let Some(found) = (at..text.len()).find(|&at| may_start(at)) {
        let Some(length) = form.length_in(&text[found..]) else {
            at = found + 1;
            continue;
        };
        clean.extend_from_slice(&text[copied..found]);
        clean.extend_from_slice(MARK.as_bytes());
        at = found + length;
        copied = at;
        any = true;
    }
    clean.extend_from_slice(&text[copied..]);
    any.then_some(clean)
}

/// Keeps others of the same user from reading the environment of this process, where it holds a
/// secret. Root, and who has its capabilities, still can.
pub(crate) fn close_environment() -> io::Result<()> {
    if SECRETS.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// Writes all but secrets: line by line, so that none is cut in two.
pub(crate) struct Redacting<W: Write> {
    inner: W,
    /// Whether there is anything to look for.
    is_idle: bool,
    line: Vec<u8>,
}

impl<W: Write> Redacting<W> {
    pub(crate) fn new(inner: W) -> Self {
        let known = known().read().unwrap_or_else(|poison| poison.into_inner());
        Self {
            inner,
            is_idle: known.is_empty(),
            line: Vec::new(),
        }
    }

    fn put_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.inner.write_all(&bytes(&line))
    }
}

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.is_idle {
            return self.inner.write(text);
        }
        match text.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => {
                self.line.extend_from_slice(&text[..=end]);
                self.put_line()?;
                self.line.extend_from_slice(&text[end + 1..]);
            }
            None => self.line.extend_from_slice(text),
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put_line()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for Redacting<W> {
    fn drop(&mut self) {
        // Where an output is gone there is nobody left to tell.
        let _ = self.put_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(secret: &str, text: &str) -> String {
        let mut forms = Vec::new();
        add(secret, &mut forms);
        let mut text = text.as_bytes().to_vec();
        for form in forms {
            text = replaced(&text, &form).unwrap_or(text);
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = "canary/SE+CRET=\"1";
        for prefix in ["", "x", "us", "user:", "Bearer "] {
            let plain = format!("{prefix}{secret} tail");
            for text in [
                plain.clone(),
                serde_json::to_string(&plain).unwrap(),
                STANDARD_NO_PAD.encode(&plain),
                URL_SAFE_NO_PAD.encode(&plain),
                plain
                    .replace('/', "%2F")
                    .replace('+', "%2B")
                    .replace('=', "%3D")
                    .replace('"', "%22"),
                plain
                    .replace('/', "%2f")
                    .replace('+', "%2b")
                    .replace('=', "%3d")
                    .replace('"', "%22"),
                // What encoders leave as it is, or escape besides, differs between them.
                plain.replace('+', "%2b").replace('"', "%22"),
                plain.bytes().map(|byte| format!("%{byte:02x}")).collect(),
                plain.bytes().map(|byte| format!("\\u{byte:04X}")).collect(),
                plain.replace('/', "\\/").replace('"', "\\\""),
                serde_json::to_string(&serde_json::to_string(&plain).unwrap()).unwrap(),
            ] {
                let clean = clean(secret, &text);
                assert!(clean.contains(MARK), "{text}: {clean}");
                assert!(!clean.contains("canary"), "{text}: {clean}");
            }
        }
        let backslashed = "a\\b\\\\canary";
        for text in [backslashed, "a\\\\b\\\\\\\\canary", "a%5Cb%5c%5Ccanary"] {
            assert_eq!(clean(backslashed, text), MARK, "{text}");
        }
        for other in ["canary/SE", "canary/SE+CRET=%221x", "\\\\\\canar"] {
            let expected = other.replace("canary/SE+CRET=%221", MARK);
            assert_eq!(clean(secret, other), expected);
        }
        assert_eq!(clean("short", "short"), "short");
        assert_eq!(clean("", "x"), "x");
    }

    #[test]
    fn a_webhook_secret_is_found_without_its_prefix() {
        let key = STANDARD_NO_PAD.encode("0123456789abcdef!!");
        let secret = format!("whsec_{key}");
        assert_eq!(clean(&secret, &format!("a {key} b")), format!("a {MARK} b"));
        assert_eq!(
            clean(&secret, "a 0123456789abcdef!! b"),
            format!("a {MARK} b")
        );
    }

    #[test]
    fn a_secret_in_pieces_is_not_printed() {
        remember("piecewise-canary");
        let mut printed = Vec::new();
        {
            let mut out = Redacting::new(&mut printed);
            for piece in [
                "a piece",
                "wise-",
                "canary b",
                "\n",
                "tail piecewise-canary",
            ] {
                out.write_all(piece.as_bytes()).unwrap();
            }
        }
        assert_eq!(
            String::from_utf8(printed).unwrap(),
            format!("a {MARK} b\ntail {MARK}")
        );
    }
}
