//! The shell command that an envelope is the input of, as models send it along.

/// A command that changes the directory in a way that is not understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUnderstood;

/// The directory that `cd DIRECTORY && apply_patch <<` changes to, given the line above it; `None`
/// where the line is no such command, or stays where it is.
pub(super) fn directory<'a>(
    line: &'a [u8],
    above: &[u8],
) -> Result<Option<&'a [u8]>, NotUnderstood> {
    let find = |word: &[u8]| memchr::memmem::find(line, word);
    let Some(at) = find(b"apply_patch").or_else(|| find(b"applypatch")) else {
        return Ok(None);
    };
    if memchr::memmem::find(&line[at..], b"<<").is_none() {
        return Ok(None);
    }
    let before = line[..at].trim_ascii();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut words = before.split(|byte| !is_word(byte));
    if !words.any(|word| matches!(word, b"cd" | b"pushd")) {
        let above = without_shell(above.trim_ascii());
        if above.starts_with(b"cd ") || above.starts_with(b"pushd ") {
            return Err(NotUnderstood);
        }
        return Ok(None);
    }
    let change = before
        .strip_suffix(b"&&")
        .and_then(|change| without_shell(change).strip_prefix(b"cd "))
        .ok_or(NotUnderstood)?;
    match change.trim_ascii() {
        [b'\'', quoted @ .., b'\''] if !quoted.contains(&b'\'') => Ok(Some(quoted)),
        [b'"', quoted @ .., b'"'] if !quoted.iter().any(|byte| b"\"$`\\".contains(byte)) => {
            Ok(Some(quoted))
        }
        bare if bare.iter().all(is_plain) && !bare.starts_with(b"-") => Ok(Some(bare)),
        _ => Err(NotUnderstood),
    }
}

/// The command without a prompt before it, or the shell that is called with it.
fn without_shell(command: &[u8]) -> &[u8] {
    let shells: [&[u8]; 7] = [
        b"$ ",
        b"bash -lc '",
        b"bash -lc \"",
        b"bash -c '",
        b"bash -c \"",
        b"sh -c '",
        b"sh -c \"",
    ];
    let rest = shells.iter().find_map(|shell| command.strip_prefix(*shell));
    rest.unwrap_or(command).trim_ascii_start()
}

/// Whether a shell takes a byte outside of quotes as it is.
fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@%,=:".contains(byte) || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::{NotUnderstood, directory};

    #[test]
    fn the_directory_is_told_or_the_command_is_not_understood() {
        for (line, told) in [
            ("apply_patch <<'EOF'", Ok(None)),
            ("Run cd first, then apply_patch.", Ok(None)),
            ("bash -lc \"apply_patch <<'EOF'", Ok(None)),
            ("cd src/a && apply_patch <<'EOF'", Ok(Some("src/a"))),
            ("$ cd 'a b' && applypatch <<EOF", Ok(Some("a b"))),
            ("cd \"a b\" && apply_patch <<EOF", Ok(Some("a b"))),
            ("bash -lc \"cd a && apply_patch <<'EOF'", Ok(Some("a"))),
            ("cd $HOME && apply_patch <<EOF", Err(NotUnderstood)),
            ("cd a b && apply_patch <<EOF", Err(NotUnderstood)),
            ("cd a; apply_patch <<EOF", Err(NotUnderstood)),
            ("cd a && cd b && apply_patch <<EOF", Err(NotUnderstood)),
            ("cd - && apply_patch <<EOF", Err(NotUnderstood)),
            ("pushd a && apply_patch <<EOF", Err(NotUnderstood)),
        ] {
            let told = told.map(|told: Option<&str>| told.map(str::as_bytes));
            assert_eq!(directory(line.as_bytes(), b""), told, "{line}");
        }
        let call = b"apply_patch <<EOF";
        assert_eq!(directory(call, b"$ cd a"), Err(NotUnderstood));
        assert_eq!(directory(call, b"cdrom: 1"), Ok(None));
    }
}
