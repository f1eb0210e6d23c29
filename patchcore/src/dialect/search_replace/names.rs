//! Which of the lines above a block names its file.

/// The file's name in a line that holds nothing else, as aider reads it: without the `#`, `*`,
/// backticks and colon that models put around names.
pub(super) fn name(line: &[u8]) -> Option<&[u8]> {
    let mut name = line.trim_ascii();
    if name.is_empty() || name == b"..." {
        return None;
    }
    if let Some(fence) = name.strip_prefix(b"```") {
        return fenced(fence.trim_ascii_start());
    }
    for prefix in [&b"#"[..], b"File:", b"file:"] {
        while let Some(rest) = name.strip_prefix(prefix) {
            name = rest.trim_ascii();
        }
    }
    name = name.strip_suffix(b":").unwrap_or(name);
    name = trim(name, b'*');
    name = trim(name, b'`');
    name = trim(name, b'*');
    is_plain(name).then_some(name)
}

/// The name in what follows the signs of a fence, which some models write there: alone, behind the
/// language and a blank or a colon, or as the value of `path=` and its like.
fn fenced(info: &[u8]) -> Option<&[u8]> {
    let is_path = |text: &[u8]| text.contains(&b'.') || text.contains(&b'/');
    let is_tag = |text: &[u8]| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+#-_:".contains(byte);
        !text.is_empty() && text.iter().all(plain)
    };
    let mut name = info;
    if let Some(at) = name.iter().position(|byte| *byte == b' ')
        && is_tag(&name[..at])
    {
        name = name[at..].trim_ascii_start();
    }
    for key in [&b"path="[..], b"file=", b"filename=", b"title="] {
        if let Some(value) = name.strip_prefix(key) {
            name = trim(value, b'"');
        }
    }
    if let Some(at) = name.iter().rposition(|byte| *byte == b':')
        && is_tag(&name[..at])
    {
        name = &name[at + 1..];
    }
    (is_path(name) && is_plain(name)).then_some(name)
}

/// Whether a line is a name also where it does not stand right above its block: a lone word is
/// prose there unless it is marked up, or written as names like Makefile are.
pub(super) fn is_certain(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    name(line).is_some_and(|name| {
        name.len() != line.len()
            || name.iter().any(|byte| b"./_-".contains(byte))
            || name.first().is_some_and(u8::is_ascii_uppercase)
    })
}

/// Whether text can be a name: no sentence, no markup.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() < 1024
        && !name.starts_with(b"<")
        && !name.starts_with(b"`")
        && !name.ends_with(b".")
        && !name.ends_with(b"!")
        && !name.ends_with(b"?")
        && (!name.contains(&b' ') || looks_like_path(name))
}

/// Names with blanks need an extension or a directory to be told from prose.
fn looks_like_path(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let extension = last.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let words = name.split(|byte| *byte == b' ').count();
    words <= 4
        && last.contains(&b'.')
        && !extension.is_empty()
        && extension.len() <= 8
        && extension.iter().all(u8::is_ascii_alphanumeric)
        && !name.contains(&b',')
}

fn trim(mut name: &[u8], byte: u8) -> &[u8] {
    while let [first, rest @ ..] = name
        && *first == byte
    {
        name = rest;
    }
    while let [rest @ .., last] = name
        && *last == byte
    {
        name = rest;
    }
    name.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_told_from_prose() {
        for (line, file) in [
            ("foo.txt", Some("foo.txt")),
            ("**src/a.rs**:", Some("src/a.rs")),
            ("### `src/a.rs`", Some("src/a.rs")),
            ("Makefile", Some("Makefile")),
            ("File: dir name/a b.txt", Some("dir name/a b.txt")),
            ("```src/main.py", Some("src/main.py")),
            ("```python", None),
            ("```python src/main.py", Some("src/main.py")),
            ("```python:src/main.py", Some("src/main.py")),
            ("```12:15:src/main.py", Some("src/main.py")),
            ("```c++ path=\"a b/m.cc\"", Some("a b/m.cc")),
            ("```rust filename=src/lib.rs", Some("src/lib.rs")),
            ("```python title", None),
            ("```a.b c.d", Some("a.b c.d")),
            ("```", None),
            ("Here's the change:", None),
            ("Here is the new file.", None),
            ("`justfile`", Some("justfile")),
            ("...", None),
            ("", None),
        ] {
            assert_eq!(name(line.as_bytes()), file.map(str::as_bytes), "{line}");
        }
    }
}
