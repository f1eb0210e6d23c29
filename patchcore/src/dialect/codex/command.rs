//! The shell command that an envelope is the input of, as models send it along.

use crate::batch::diagnostic::Span;

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

/// What a shell command with an envelope is, beside the call that takes it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Beside<'t> {
    /// It runs something else, too.
    Command(&'t str),
    /// It calls nothing that takes an envelope.
    NoCall,
}

/// What a command with an envelope between its lines does beside taking it: `None` where it is no
/// more than `[cd DIRECTORY &&] apply_patch <<` or the envelope itself.
pub(in crate::dialect) fn beside(command: &str) -> Option<Beside<'_>> {
    let mut tag = None;
    let mut inside = false;
    let mut called = false;
    for (number, line) in command.lines().enumerate() {
        let trimmed = line.trim();
        if inside {
            inside = trimmed != "*** End Patch" || line.starts_with(char::is_whitespace);
            continue;
        }
        if trimmed == "*** Begin Patch" {
            if !called && tag.is_none() && number > 0 {
                return Some(Beside::NoCall);
            }
            inside = true;
            continue;
        }
        if trimmed.is_empty()
            || trimmed.starts_with('#')
            || trimmed.bytes().all(|b| b"'\")".contains(&b))
        {
            continue;
        }
        if let Some(ends) = tag
            && trimmed.trim_end_matches(['\'', '"', ')']) == ends
        {
            tag = None;
            continue;
        }
        match call(trimmed) {
            Some(ends) if tag.is_none() => {
                tag = Some(ends);
                called = true;
            }
            _ if !called && !command.contains("apply_patch") && !command.contains("applypatch") => {
                return Some(Beside::NoCall);
            }
            _ => return Some(Beside::Command(trimmed)),
        }
    }
    None
}

/// The word that ends the here-document of a line which only calls `apply_patch` with one, in a
/// directory or not.
fn call(line: &str) -> Option<&str> {
    let line = std::str::from_utf8(without_shell(line.as_bytes())).ok()?;
    let (before, behind) = match line.split_once("apply_patch") {
        Some(parts) => parts,
        None => line.split_once("applypatch")?,
    };
    let before = before.trim();
    let change = before.strip_suffix("&&").unwrap_or(before).trim();
    let is_change = change
        .strip_prefix("cd ")
        .is_some_and(|to| before.ends_with("&&") && !to.contains([';', '&', '|', '\n']));
    let piped = before
        .strip_prefix("cat ")
        .and_then(|rest| rest.strip_suffix('|'));
    let document = match piped {
        Some(document) if behind.trim().is_empty() => document,
        _ if before.is_empty() || is_change => behind,
        _ => return None,
    };
    let word = document
        .trim()
        .strip_prefix("<<")?
        .trim_start_matches('-')
        .trim();
    let word = word.strip_suffix("2>&1").unwrap_or(word).trim();
    let word = word.trim_matches(['\'', '"', '\\']);
    let is_word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    (!word.is_empty() && word.chars().all(is_word)).then_some(word)
}

/// Whether another command stands on the line that calls `apply_patch` with a here-document.
pub(super) fn runs_more(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    let line = line.trim();
    let Some(at) = line.find("apply_patch").or_else(|| line.find("applypatch")) else {
        return false;
    };
    let joins = |text: &str| {
        ["&&", "||", ";", " | "]
            .iter()
            .any(|sign| text.contains(sign))
    };
    let is_call = line[at..].contains("<<") || line[..at].contains("<<");
    is_call && (joins(&line[..at]) || joins(&line[at..])) && call(line).is_none()
}

/// The command beside an envelope in a text that changes files, too: on the lines next to those of
/// the call that takes the envelope, `lines` being all, and `begin` the envelope's first.
pub(super) fn neighbour<'a>(lines: &[&'a [u8]], begin: usize) -> Option<&'a [u8]> {
    let opener = begin.checked_sub(1).and_then(|at| lines.get(at))?;
    let tag = call(std::str::from_utf8(opener).ok()?.trim())?;
    let is_near = |line: &&&[u8]| !line.trim_ascii().is_empty() && !line.starts_with(b"```");
    let above = lines[..begin - 1].iter().rev().take_while(is_near);
    let end = lines[begin..]
        .iter()
        .position(|line| line.trim_ascii() == tag.as_bytes());
    let below = end.map_or(&[][..], |end| &lines[begin + end + 1..]);
    let below = below.iter().take_while(is_near);
    let mut near = above.chain(below);
    near.find(|line| changes_files(line)).copied()
}

/// Whether a line is a command of a shell that changes files.
fn changes_files(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    let line = line.trim();
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let starts = [
        "sed -i",
        "perl -i",
        "perl -pi",
        "rm -",
        "rm ./",
        "mv -",
        "cp -",
        "cat >",
        "tee ",
        "truncate ",
        "git apply",
        "git checkout ",
        "git restore ",
        "git rm ",
        "git mv ",
        "git reset ",
        "git stash",
        "patch -",
    ];
    let mut words = line.split(' ');
    let is_file = |word: &str| word.contains(['/', '.']) && !word.ends_with('.');
    let is_plain = matches!(words.next(), Some("rm" | "mv" | "cp")) && words.all(is_file);
    let prints = (line.starts_with("echo ") || line.starts_with("printf ")) && line.contains(" >");
    is_plain || prints || starts.iter().any(|start| line.starts_with(start))
}

/// Why the envelope in the argument of `apply_patch "…"` is not taken; `None` where the text is no
/// such command.
pub(in crate::dialect) fn not_unquoted(text: &str) -> Option<&'static str> {
    let at = text
        .find("apply_patch")
        .or_else(|| text.find("applypatch"))?;
    let (_, envelope) = text[at..].split_once("*** Begin Patch")?;
    let mut escaped = false;
    let expands = envelope.chars().any(|c| {
        let is_sign = matches!(c, '$' | '`') && !escaped;
        escaped = c == '\\' && !escaped;
        is_sign
    });
    Some(match expands && text[at..].contains('"') {
        true => {
            "the shell would put something in for `$` and backticks in the argument of apply_patch; send the patch in a here-document whose word is quoted: apply_patch <<'EOF'"
        }
        false => {
            "the argument of apply_patch is not one quoted text that ends the command; send the patch in a here-document whose word is quoted: apply_patch <<'EOF'"
        }
    })
}

/// The envelope that is the argument of `apply_patch "…"`, or of nothing but its escapes, in a text
/// that is no more than that; `None` where the text is something else, or the shell would put
/// something in.
pub(in crate::dialect) fn unquoted(text: &str) -> Option<String> {
    const OPENS: &str = "*** Begin Patch";
    if !text.contains(OPENS) {
        return None;
    }
    let text = text.trim();
    let argument = match text
        .strip_prefix("$ ")
        .unwrap_or(text)
        .strip_prefix("apply_patch")
    {
        Some(rest) => argument(rest.trim_start())?,
        None => text.to_owned(),
    };
    let is_escaped = !argument.contains('\n') && argument.contains("\\n");
    let argument = match argument.trim_start().strip_prefix('{') {
        Some(_) => envelope_in(&serde_json::from_str(&argument).ok()?)?,
        None if argument.starts_with(OPENS) => argument,
        None => return None,
    };
    let is_whole = argument.lines().any(|line| line.trim() == OPENS);
    match is_whole {
        // As it is, it is read without this.
        true if argument == text => None,
        true => Some(argument),
        false if is_escaped || !argument.contains('\n') => {
            let quoted = format!("\"{argument}\"");
            let text: String = serde_json::from_str(&quoted).ok()?;
            text.lines()
                .any(|line| line.trim() == OPENS)
                .then_some(text)
        }
        false => None,
    }
}

/// Where a line of an envelope, from 0, stands in the input that it was unquoted from; all of the
/// input where that cannot be told.
pub(super) fn place(input: &[u8], envelope: &str, line: usize) -> Span {
    let find = || {
        let mut at = memchr::memmem::find(input, b"*** Begin Patch")?;
        let first = envelope
            .lines()
            .position(|line| line.trim() == "*** Begin Patch")?;
        let mut span = None;
        for (number, text) in envelope.lines().enumerate().skip(first) {
            let escaped = serde_json::to_string(text).ok()?;
            let escaped = &escaped[1..escaped.len() - 1];
            let twice = serde_json::to_string(escaped).ok()?;
            let shell = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('$', "\\$")
                .replace('`', "\\`");
            let rest = &input[at..];
            // The longest first: a plain text is the start of one with more in it.
            let forms = [&twice[1..twice.len() - 1], &shell, escaped, text];
            let form = forms
                .into_iter()
                .filter(|form| rest.starts_with(form.as_bytes()))
                .max_by_key(|form| form.len())?;
            let end = at + form.len();
            if number == line {
                span = Some(Span { start: at, end });
                break;
            }
            let rest = &input[end..];
            let ending = ["\r\n", "\n", "\\r\\n", "\\n", "\\\\n"]
                .into_iter()
                .find(|ending| rest.starts_with(ending.as_bytes()))?;
            at = end + ending.len();
        }
        span
    };
    find().unwrap_or(Span {
        start: 0,
        end: input.len(),
    })
}

/// The text that a shell makes of a quoted word which ends the command.
fn argument(word: &str) -> Option<String> {
    let mut chars = word.chars();
    let quote = chars.next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut text = String::new();
    loop {
        match chars.next()? {
            end if end == quote => break,
            '\\' if quote == '"' => match chars.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => text.push(escaped),
                '\n' => {}
                other => {
                    text.push('\\');
                    text.push(other);
                }
            },
            '$' | '`' if quote == '"' => return None,
            other => text.push(other),
        }
    }
    chars.as_str().trim().is_empty().then_some(text)
}

/// The first string with an envelope in JSON.
fn envelope_in(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => text.contains("*** Begin Patch").then(|| text.clone()),
        serde_json::Value::Array(values) => values.iter().find_map(envelope_in),
        serde_json::Value::Object(fields) => fields.values().find_map(envelope_in),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Beside, NotUnderstood, beside, directory, neighbour, not_unquoted, runs_more, unquoted,
    };

    #[test]
    fn what_runs_beside_an_envelope_is_told() {
        let envelope = "*** Begin Patch\n*** Delete File: a\n*** End Patch";
        for (before, behind) in [
            ("", ""),
            ("apply_patch <<'EOF'\n", "\nEOF"),
            ("apply_patch <<-EOF\n", "\nEOF\n"),
            ("cd src && apply_patch <<\"EOF\"\n", "\nEOF\n"),
            ("bash -lc \"apply_patch <<'EOF'\n", "\nEOF\""),
            ("cat <<'EOF' | apply_patch\n", "\nEOF"),
            ("# first\napply_patch << 'EOF' 2>&1\n", "\nEOF\n\n"),
            (
                "apply_patch <<'A'\n*** Begin Patch\n*** Delete File: b\n*** End Patch\nA\napply_patch <<'EOF'\n",
                "\nEOF\n",
            ),
        ] {
            let command = format!("{before}{envelope}{behind}");
            assert_eq!(beside(&command), None, "{command}");
        }
        for (before, behind, other) in [
            (
                "sed -i s/a/b/ f && apply_patch <<'EOF'\n",
                "\nEOF",
                "sed -i s/a/b/ f && apply_patch <<'EOF'",
            ),
            ("rm f\napply_patch <<'EOF'\n", "\nEOF", "rm f"),
            ("apply_patch <<'EOF'\n", "\nEOF\nrm f", "rm f"),
            (
                "apply_patch <<'EOF' && rm f\n",
                "\nEOF\n",
                "apply_patch <<'EOF' && rm f",
            ),
            ("apply_patch <<'EOF'\n", "\nEOF && rm f\n", "EOF && rm f"),
            (
                "cd a && cd b && apply_patch <<'EOF'\n",
                "\nEOF\n",
                "cd a && cd b && apply_patch <<'EOF'",
            ),
        ] {
            let command = format!("{before}{envelope}{behind}");
            assert_eq!(beside(&command), Some(Beside::Command(other)), "{command}");
        }
        let written = format!("cat > p.patch <<'EOF'\n{envelope}\nEOF\n");
        assert_eq!(beside(&written), Some(Beside::NoCall));
        for (text, other) in [
            (
                "rm f.py\napply_patch <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF",
                Some("rm f.py"),
            ),
            (
                "apply_patch <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF\n$ sed -i s/a/b/ f",
                Some("$ sed -i s/a/b/ f"),
            ),
            (
                "echo a > f\napply_patch <<'EOF'\n*** Begin Patch\n",
                Some("echo a > f"),
            ),
            (
                "rm is not needed.\napply_patch <<'EOF'\n*** Begin Patch\n",
                None,
            ),
            ("rm f.py\n\napply_patch <<'EOF'\n*** Begin Patch\n", None),
            ("rm f.py\n*** Begin Patch\n", None),
        ] {
            let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
            let begin = lines.iter().position(|line| *line == b"*** Begin Patch");
            let found = neighbour(&lines, begin.unwrap());
            assert_eq!(found, other.map(str::as_bytes), "{text}");
        }
        assert!(runs_more(b"sed -i s/a/b/ f && apply_patch <<'EOF'"));
        assert!(runs_more(b"apply_patch <<'EOF' && rm f"));
        assert!(!runs_more(b"$ cd a && apply_patch <<'EOF'"));
        assert!(!runs_more(b"Use apply_patch; it takes the envelope."));
    }

    #[test]
    fn an_argument_that_is_not_taken_says_why() {
        let why = |text: &str| not_unquoted(text).unwrap_or_default();
        assert!(why("apply_patch \"*** Begin Patch\n+$HOME\n*** End Patch\"").contains("`$`"));
        assert!(why("apply_patch \"*** Begin Patch\n+`a`\n*** End Patch\"").contains("`$`"));
        let behind = "apply_patch \"*** Begin Patch\n+\\$a\n*** End Patch\" && rm f";
        assert!(why(behind).contains("ends the command"));
        assert_eq!(not_unquoted("grep '*** Begin Patch' f"), None);
    }

    #[test]
    fn an_envelope_is_taken_out_of_a_quoted_argument() {
        let envelope = "*** Begin Patch\n*** Delete File: a\n*** End Patch";
        let escaped = envelope.replace('\n', "\\n");
        let twice = escaped.replace('\\', "\\\\");
        for (text, told) in [
            (format!("apply_patch \"{envelope}\"\n"), true),
            (format!("$ apply_patch '{envelope}'"), true),
            (format!("apply_patch \"{escaped}\""), true),
            (escaped.clone(), true),
            (
                format!("apply_patch '{{\"command\": [\"{escaped}\"]}}'"),
                true,
            ),
            (
                format!("apply_patch '{{\"command\": [\"{twice}\"]}}'"),
                true,
            ),
            (envelope.to_owned(), false),
            (format!("apply_patch \"{envelope}\" && rm -rf x"), false),
            (format!("apply_patch \"$HOME {envelope}\""), false),
            (format!("apply_patch \"{envelope}"), false),
        ] {
            let expected = told.then(|| envelope.to_owned());
            assert_eq!(unquoted(&text), expected, "{text}");
        }
        let dollar = "apply_patch \"*** Begin Patch\n+\\$a \\\"b\\\" \\\\n \\w\n*** End Patch\"";
        let plain = "*** Begin Patch\n+$a \"b\" \\n \\w\n*** End Patch";
        assert_eq!(unquoted(dollar).as_deref(), Some(plain));
    }

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
