//! What has become of a diff on its way, so that no line of it is one any more.

/// Says what hides a diff, if there is one in the bytes that cannot be read; in lower case, with what
/// to do.
pub(in crate::dialect) fn find(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || is_wide(bytes) {
        return Some(
            "the patch is in UTF-16; save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"
                .into(),
        );
    }
    let lines: Vec<&[u8]> = crate::text::split_lines(bytes).collect();
    if bytes.contains(&0x1b) && has_names(&lines.iter().map(|line| plain(line)).collect::<Vec<_>>())
    {
        return Some(
            "the patch has the colours of a terminal in it; make it with git diff --no-color"
                .into(),
        );
    }
    for line in &lines {
        let lower = line.to_ascii_lowercase();
        let encoding = lower.strip_prefix(b"content-transfer-encoding:");
        if encoding.is_some_and(|encoding| encoding.trim_ascii() == b"base64") {
            return Some("the patch is a mail in base64; decode it with git mailinfo, or send the patch itself".into());
        }
    }
    let (number, prefix) = lines.windows(2).enumerate().find_map(|(at, pair)| {
        let names = memchr::memmem::find(pair[0], b"--- ")?;
        let prefix = &pair[0][..names];
        let behind = pair[1].strip_prefix(prefix)?;
        let fits = !prefix.is_empty()
            && behind.starts_with(b"+++ ")
            && prefix.iter().all(|byte| b"> \t|".contains(byte));
        fits.then_some((at + 1, prefix))
    })?;
    Some(match prefix.iter().all(u8::is_ascii_whitespace) {
        true => format!(
            "the diff at line {number} is indented by {}; remove the indentation from all of its lines",
            columns(prefix)
        ),
        false => format!(
            "the diff at line {number} is quoted as in a reply; remove {:?} from all of its lines",
            String::from_utf8_lossy(prefix)
        ),
    })
}

fn columns(indentation: &[u8]) -> String {
    match (indentation.contains(&b'\t'), indentation.len()) {
        (true, _) => "tabs".into(),
        (false, 1) => "1 blank".into(),
        (false, count) => format!("{count} blanks"),
    }
}

/// Whether every other byte at the start is NUL.
fn is_wide(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64) & !1];
    let zeros = |from: usize| head.iter().skip(from).step_by(2).all(|byte| *byte == 0);
    head.len() >= 8 && (zeros(0) || zeros(1))
}

fn has_names(lines: &[Vec<u8>]) -> bool {
    lines
        .windows(2)
        .any(|pair| pair[0].starts_with(b"--- ") && pair[1].starts_with(b"+++ "))
}

/// A line without the sequences by which a terminal sets colours.
fn plain(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (0x1b, [b'[', sequence @ ..]) => {
                let end = sequence.iter().position(u8::is_ascii_alphabetic);
                rest = end.map_or(&[][..], |end| &sequence[end + 1..]);
            }
            _ => plain.push(byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn what_hides_a_diff_is_named() {
        let diff = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
        let prefixed = |prefix: &str| -> String {
            diff.lines()
                .map(|line| format!("{prefix}{line}\n"))
                .collect()
        };
        let wide: Vec<u8> = diff.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (input, says) in [
            (prefixed("> ").into_bytes(), "\"> \""),
            (prefixed("   ").into_bytes(), "3 blanks"),
            (prefixed("\t").into_bytes(), "tabs"),
            (prefixed("\x1b[1m").into_bytes(), "--no-color"),
            ([&b"\xff\xfe"[..], &wide].concat(), "UTF-16"),
            (wide, "UTF-16"),
            (
                b"Subject: x\nContent-Transfer-Encoding: base64\n\nLS0tIGEvZgo=\n".to_vec(),
                "base64",
            ),
        ] {
            let found = find(&input).unwrap();
            assert!(found.contains(says), "{found}");
        }
        assert_eq!(find(diff.as_bytes()), None);
        assert_eq!(find(b"No diff at all.\n"), None);
    }
}
