//! Globs over bytes: `*`, `?`, `[…]` and `\\`, where `*` and `?` also match `/`.

/// Matches in time linear in glob × text, without recursion.
pub(crate) fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        let step = match glob.get(g) {
            Some(b'*') => {
                retry = Some((g + 1, t));
                g += 1;
                continue;
            }
            Some(b'?') => Some(1),
            Some(b'[') => class(&glob[g..], text[t]),
            Some(b'\\') if glob.get(g + 1) == Some(&text[t]) => Some(2),
            Some(byte) if *byte == text[t] => Some(1),
            _ => None,
        };
        match (step, retry) {
            (Some(length), _) => (g, t) = (g + length, t + 1),
            (None, Some((after_star, from))) => {
                (g, t) = (after_star, from + 1);
                retry = Some((after_star, from + 1));
            }
            (None, None) => return false,
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

/// The length of the class at the start of the glob if it holds the byte.
fn class(glob: &[u8], byte: u8) -> Option<usize> {
    let negated = matches!(glob.get(1), Some(b'!' | b'^'));
    let start = if negated { 2 } else { 1 };
    let end = start
        + 1
        + glob
            .get(start + 1..)?
            .iter()
            .position(|byte| *byte == b']')?;
    let mut at = start;
    let mut found = false;
    while at < end {
        if at + 2 < end && glob[at + 1] == b'-' {
            found |= (glob[at]..=glob[at + 2]).contains(&byte);
            at += 3;
        } else {
            found |= glob[at] == byte;
            at += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_match_as_gits_do() {
        for (glob, text, is_match) in [
            ("*.rs", "src/a.rs", true),
            ("src/*", "src/a/b", true),
            ("a?c", "abc", true),
            ("a[b-d]c", "acc", true),
            ("a[!b-d]c", "acc", false),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("*a*b*c", "xxaxxbxx", false),
            ("", "", true),
            ("[", "[", false),
        ] {
            assert_eq!(
                matches(glob.as_bytes(), text.as_bytes()),
                is_match,
                "{glob} {text}"
            );
        }
    }
}
