//! The step of the ladder on which one level of escaping is undone.

/// A way in which text is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// As in a JSON string.
    Json,
    /// As in HTML.
    Html,
    /// A backslash before punctuation, as in shells and regular expressions.
    Backslash,
}

impl Escaping {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Html, Self::Backslash];

    /// The text that was escaped so; `None` where it is not escaped, or not so.
    pub(crate) fn undone(self, text: &[u8]) -> Option<Vec<u8>> {
        let undone = match self {
            Self::Json => json(text)?,
            Self::Html => html(text),
            Self::Backslash => backslash(text),
        };
        (undone != text).then_some(undone)
    }
}

fn json(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = crate::bytes::find(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (&escape, behind) = rest[at + 1..].split_first()?;
        rest = behind;
        out.push(match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'"' | b'\\' | b'/' => escape,
            b'u' => {
                let digits = std::str::from_utf8(rest.get(..4)?).ok()?;
                let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                rest = &rest[4..];
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return None,
        });
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = crate::bytes::find(b'&', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((c, length)) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
            None => {
                out.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

/// The character that an entity at the start of the text stands for, and the entity's length.
fn entity(text: &[u8]) -> Option<(char, usize)> {
    let end = text.iter().take(10).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&text[1..end]).ok()?;
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let digits = name.strip_prefix('#')?;
            let hex = digits.strip_prefix(['x', 'X']);
            let code = match hex {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control())?
        }
    };
    Some((c, end + 1))
}

fn backslash(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match bytes.next_if(|next| byte == b'\\' && next.is_ascii_punctuation()) {
            Some(next) => out.push(next),
            None => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_is_undone_and_no_more() {
        let undone = |escaping: Escaping, text: &str| {
            let undone = escaping.undone(text.as_bytes());
            undone.map(|text| String::from_utf8(text).unwrap())
        };
        for (escaping, text, expected) in [
            (
                Escaping::Json,
                r#"a\n\t\"b\\n\u00e9"#,
                Some("a\n\t\"b\\n\u{e9}"),
            ),
            (Escaping::Json, r"\d", None),
            (Escaping::Json, "plain", None),
            (Escaping::Json, "cut\\", None),
            (
                Escaping::Html,
                "a &lt;b&gt; &amp;lt; &#39;&#x27;",
                Some("a <b> &lt; ''"),
            ),
            (Escaping::Html, "a && b; &nosuch; &", None),
            (Escaping::Backslash, r"\$a \`b\` \n", Some(r"$a `b` \n")),
        ] {
            assert_eq!(undone(escaping, text).as_deref(), expected, "{text}");
        }
    }
}
