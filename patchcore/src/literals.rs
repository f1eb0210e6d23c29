//! Where the comments, strings and here-documents of a file are, and whether a line starts inside one.
//!
//! A small scanner from the start of the file: where it errs, it rather takes text for a string.

use std::collections::VecDeque;
use std::ops::Range;

use crate::bytes;
use crate::path::RelPath;

/// How a language writes text that may hold newlines.
struct Rules {
    /// What opens a comment to the end of the line.
    comments: &'static [&'static str],
    /// What opens and closes a comment over lines.
    blocks: &'static [(&'static str, &'static str)],
    /// Strings, the longest mark first.
    strings: &'static [Quote],
    /// What opens a here-document.
    heredoc: Option<&'static str>,
    /// Whether `${…}` in a back-quoted string is code.
    templates: bool,
    /// Whether a string means the same between `'` and between `"`, and parentheses around a value
    /// are a matter of taste.
    is_free: bool,
}

impl Rules {
    /// The bytes at which a [`Scanner`] looks.
    fn telling(&self) -> [bool; 256] {
        let blocks = self.blocks.iter().map(|(open, _)| *open);
        let strings = self.strings.iter().map(|quote| quote.open);
        let marks = blocks.chain(strings).chain(self.comments.iter().copied());
        let firsts = marks.chain(self.heredoc).map(|mark| mark.as_bytes()[0]);
        let mut telling = [false; 256];
        for byte in firsts.chain(*b"\n'/{}") {
            telling[usize::from(byte)] = true;
        }
        telling
    }
}

/// A kind of string.
struct Quote {
    open: &'static str,
    close: &'static str,
    /// Whether a backslash takes the meaning from what follows.
    escapes: bool,
    /// Whether it goes over the end of a line.
    lines: bool,
}

const fn short(mark: &'static str) -> Quote {
    Quote {
        open: mark,
        close: mark,
        escapes: true,
        lines: false,
    }
}

const fn long(mark: &'static str) -> Quote {
    Quote {
        lines: true,
        ..short(mark)
    }
}

const fn raw(open: &'static str, close: &'static str) -> Quote {
    Quote {
        open,
        close,
        escapes: false,
        lines: true,
    }
}

const C_BLOCK: &[(&str, &str)] = &[("/*", "*/")];

const PYTHON: Rules = Rules {
    comments: &["#"],
    blocks: &[],
    strings: &[long("\"\"\""), long("'''"), short("\""), short("'")],
    heredoc: None,
    templates: false,
    is_free: true,
};
const SCRIPT: Rules = Rules {
    comments: &["//"],
    blocks: C_BLOCK,
    strings: &[long("`"), short("\""), short("'")],
    heredoc: None,
    templates: true,
    is_free: true,
};
const GO: Rules = Rules {
    comments: &["//"],
    blocks: C_BLOCK,
    strings: &[raw("`", "`"), short("\""), short("'")],
    heredoc: None,
    templates: false,
    is_free: false,
};
const RUST: Rules = Rules {
    comments: &["//"],
    blocks: C_BLOCK,
    strings: &[
        raw("r##\"", "\"##"),
        raw("r#\"", "\"#"),
        raw("r\"", "\""),
        long("\""),
    ],
    heredoc: None,
    templates: false,
    is_free: false,
};
const C: Rules = Rules {
    comments: &["//"],
    blocks: C_BLOCK,
    strings: &[raw("R\"(", ")\""), short("\""), short("'")],
    heredoc: None,
    templates: false,
    is_free: false,
};
const JAVA: Rules = Rules {
    comments: &["//"],
    blocks: C_BLOCK,
    strings: &[long("\"\"\""), raw("@\"", "\""), short("\""), short("'")],
    heredoc: None,
    templates: false,
    is_free: false,
};
const SHELL: Rules = Rules {
    comments: &["#"],
    blocks: &[],
    strings: &[long("\""), raw("'", "'")],
    heredoc: Some("<<"),
    templates: false,
    is_free: false,
};
const RUBY: Rules = Rules {
    comments: &["#"],
    blocks: &[("\n=begin", "\n=end")],
    strings: &[long("\""), long("'"), long("`")],
    heredoc: Some("<<"),
    templates: false,
    is_free: false,
};
const PHP: Rules = Rules {
    comments: &["//", "#"],
    blocks: C_BLOCK,
    strings: &[long("\""), long("'")],
    heredoc: Some("<<<"),
    templates: false,
    is_free: false,
};
const LUA: Rules = Rules {
    comments: &["--"],
    blocks: &[("--[[", "]]")],
    strings: &[raw("[[", "]]"), raw("[=[", "]=]"), short("\""), short("'")],
    heredoc: None,
    templates: false,
    is_free: false,
};
const SQL: Rules = Rules {
    comments: &["--"],
    blocks: C_BLOCK,
    strings: &[raw("'", "'"), raw("$$", "$$")],
    heredoc: None,
    templates: false,
    is_free: false,
};
const TRIPLE: Rules = Rules {
    comments: &["#"],
    blocks: &[],
    strings: &[long("\"\"\""), raw("'''", "'''"), short("\""), short("'")],
    heredoc: None,
    templates: false,
    is_free: false,
};
const DOCKER: Rules = Rules {
    comments: &[],
    blocks: &[],
    strings: &[],
    heredoc: Some("<<"),
    templates: false,
    is_free: false,
};

fn rules(path: &RelPath) -> Option<&'static Rules> {
    let name = path.as_bytes().rsplit(|byte| *byte == b'/').next()?;
    let extension = match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) => &name[dot + 1..],
        None => name,
    };
    Some(match extension {
        b"py" | b"pyi" | b"pyx" | b"bzl" | b"star" => &PYTHON,
        b"js" | b"jsx" | b"ts" | b"tsx" | b"mjs" | b"cjs" | b"mts" | b"cts" | b"vue"
        | b"svelte" => &SCRIPT,
        b"go" => &GO,
        b"rs" => &RUST,
        b"c" | b"h" | b"cc" | b"cpp" | b"cxx" | b"hh" | b"hpp" | b"m" | b"mm" => &C,
        b"java" | b"kt" | b"kts" | b"scala" | b"swift" | b"cs" | b"groovy" | b"gradle"
        | b"dart" => &JAVA,
        b"sh" | b"bash" | b"zsh" | b"ksh" | b"bashrc" | b"profile" => &SHELL,
        b"rb" | b"rake" | b"gemspec" | b"Rakefile" | b"Gemfile" | b"pl" | b"pm" | b"cr" => &RUBY,
        b"php" => &PHP,
        b"lua" => &LUA,
        b"sql" => &SQL,
        b"toml" | b"ex" | b"exs" | b"jl" | b"nix" => &TRIPLE,
        b"Dockerfile" | b"Containerfile" => &DOCKER,
        _ => return None,
    })
}

/// Whether one of the lines that start at these offsets, in order, starts inside a string or a
/// here-document; never for a language that is not known.
pub(crate) fn any_inside(path: &RelPath, text: &[u8], starts: &[usize]) -> bool {
    let Some(rules) = rules(path) else {
        return false;
    };
    let Some(&end) = starts.last() else {
        return false;
    };
    let mut scanner = Scanner::new(rules, text);
    scanner.run(end);
    let mut strings = scanner.inside.into_iter().peekable();
    starts.iter().any(|start| {
        while strings.next_if(|(_, close)| close < start).is_some() {}
        strings.peek().is_some_and(|(open, _)| open < start)
    })
}

/// A comment, a string, a regular expression or a here-document, its marks included.
///
/// A back-quoted string with `${…}` in it is several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What a [`Literal`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Comment,
    /// A string on one line that means the same between `'` and between `"`.
    Quoted,
    /// Any other.
    Text,
}

/// All literals of a text, in order; `None` for a language that is not known.
pub(crate) fn literals(path: &RelPath, text: &[u8]) -> Option<Vec<Literal>> {
    let mut scanner = Scanner::new(rules(path)?, text);
    scanner.run(text.len());
    Some(scanner.literals)
}

/// What of a language's layout has a meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Language {
    /// Whether indentation says where a block ends.
    pub(crate) is_indented: bool,
    /// Whether formatters put parentheses around values and take them away.
    pub(crate) has_free_parentheses: bool,
}

/// The language of a file, if it is known.
pub(crate) fn language(path: &RelPath) -> Option<Language> {
    let rules = rules(path)?;
    Some(Language {
        is_indented: std::ptr::eq(rules, &PYTHON),
        has_free_parentheses: rules.is_free,
    })
}

struct Scanner<'a> {
    rules: &'static Rules,
    /// The bytes that may open something, or that count: most are none of them.
    telling: [bool; 256],
    text: &'a [u8],
    at: usize,
    literals: Vec<Literal>,
    /// From behind the opening mark up to the closing one of what goes over lines.
    inside: Vec<(usize, usize)>,
}

impl<'a> Scanner<'a> {
    fn new(rules: &'static Rules, text: &'a [u8]) -> Self {
        Self {
            rules,
            telling: rules.telling(),
            text,
            at: 0,
            literals: Vec::new(),
            inside: Vec::new(),
        }
    }

    /// Notes a literal that ends where the scanner is.
    fn note(&mut self, start: usize, kind: Kind) {
        let span = start..self.at;
        self.literals.push(Literal { span, kind });
    }

    /// Scans the text up to the line at an offset.
    fn run(&mut self, end: usize) {
        // How many braces are open in each `${…}` that is.
        let mut holes: Vec<usize> = Vec::new();
        let mut pending: VecDeque<Vec<u8>> = VecDeque::new();
        while self.at < end.min(self.text.len()) {
            let rest = &self.text[self.at..];
            if !self.telling[usize::from(rest[0])] {
                self.at += 1;
            } else if rest[0] == b'\n' {
                self.at += 1;
                while let Some(word) = pending.pop_front() {
                    self.heredoc(&word);
                }
                // A block comment may open with the newline.
                if !self.blocks(rest) {
                    continue;
                }
            } else if self.blocks(rest) || self.comment(rest) {
            } else if let Some(word) = self.opens_heredoc(rest) {
                pending.push_back(word);
            } else if let Some(quote) = self.opens_string(rest) {
                self.string(quote, &mut holes);
            } else if self.rules.templates && rest[0] == b'/' && self.is_regex() {
                self.regex();
            } else if let Some(open) = holes.last_mut() {
                self.at += 1;
                match rest[0] {
                    b'{' => *open += 1,
                    b'}' if *open == 0 => {
                        holes.pop();
                        self.template(self.at, &mut holes);
                    }
                    b'}' => *open -= 1,
                    _ => {}
                }
            } else if std::ptr::eq(self.rules, &RUST) && rest[0] == b'\'' {
                let start = self.at;
                self.at += rust_char(rest);
                if self.at > start + 1 {
                    self.note(start, Kind::Text);
                }
            } else {
                self.at += 1;
            }
        }
    }

    fn blocks(&mut self, rest: &[u8]) -> bool {
        let found = self.rules.blocks.iter();
        let mut found = found.filter(|(open, _)| rest.starts_with(open.as_bytes()));
        let Some((open, close)) = found.next() else {
            return false;
        };
        let from = self.at.max(self.text.len() - rest.len() + open.len());
        self.at = self
            .find(close, from)
            .map_or(self.text.len(), |at| at + close.len());
        self.note(self.text.len() - rest.len(), Kind::Comment);
        true
    }

    fn comment(&mut self, rest: &[u8]) -> bool {
        let opens = |mark: &&&str| rest.starts_with(mark.as_bytes());
        if self.rules.comments.iter().find(opens).is_none() {
            return false;
        }
        // In a shell `$#` and `a#b` are none.
        let before = self.at.checked_sub(1).map(|at| self.text[at]);
        let apart = before.is_none_or(|byte| byte.is_ascii_whitespace() || byte == b';');
        if self.rules.heredoc.is_some() && rest[0] == b'#' && !apart {
            return false;
        }
        let start = self.at;
        self.at += bytes::find(b'\n', rest).unwrap_or(rest.len());
        self.note(start, Kind::Comment);
        true
    }

    fn opens_string(&self, rest: &[u8]) -> Option<&'static Quote> {
        let mut quotes = self.rules.strings.iter();
        quotes.find(|quote| rest.starts_with(quote.open.as_bytes()))
    }

    fn string(&mut self, quote: &Quote, holes: &mut Vec<usize>) {
        let start = self.at;
        let from = start + quote.open.len();
        if self.rules.templates && quote.lines {
            self.template(from, holes);
            return;
        }
        let end = self.close(quote, from);
        if quote.lines {
            self.inside.push((from, end));
        }
        let closed = self.text[end..].starts_with(quote.close.as_bytes());
        self.at = end + if closed { quote.close.len() } else { 0 };
        let is_short = quote.open.len() == 1 && !quote.lines;
        let is_free = self.rules.is_free && is_short && closed;
        self.note(start, if is_free { Kind::Quoted } else { Kind::Text });
    }

    /// Where a string's closing mark, or the end of its line, stands.
    fn close(&self, quote: &Quote, from: usize) -> usize {
        let mut at = from;
        while at < self.text.len() {
            match self.text[at] {
                b'\\' if quote.escapes => at += 1,
                b'\n' if !quote.lines => return at,
                byte if byte == quote.close.as_bytes()[0]
                    && self.text[at..].starts_with(quote.close.as_bytes()) =>
                {
                    return at;
                }
                _ => {}
            }
            at += 1;
        }
        self.text.len()
    }

    /// Text of a back-quoted string from an offset on, up to its end or a `${`.
    fn template(&mut self, from: usize, holes: &mut Vec<usize>) {
        let start = from - 1;
        let mut at = from;
        while at < self.text.len() {
            match self.text[at] {
                b'\\' => at += 1,
                b'`' => break,
                b'$' if self.text[at + 1..].starts_with(b"{") => {
                    self.inside.push((from, at));
                    holes.push(0);
                    self.at = at + 2;
                    self.note(start, Kind::Text);
                    return;
                }
                _ => {}
            }
            at += 1;
        }
        let end = at.min(self.text.len());
        self.inside.push((from, end));
        self.at = (end + 1).min(self.text.len());
        self.note(start, Kind::Text);
    }

    /// Whether a slash opens a regular expression, as far as what stands before it tells.
    fn is_regex(&self) -> bool {
        let before = self.text[..self.at].trim_ascii_end();
        let words: [&[u8]; 4] = [b"return", b"typeof", b"case", b"=>"];
        before
            .last()
            .is_none_or(|byte| b"(,=:[!&|?{};+".contains(byte))
            || words.iter().any(|word| before.ends_with(word))
    }

    fn regex(&mut self) {
        let mut class = false;
        let mut at = self.at + 1;
        while at < self.text.len() && self.text[at] != b'\n' {
            match self.text[at] {
                b'\\' => at += 1,
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => {
                    at += 1;
                    break;
                }
                _ => {}
            }
            at += 1;
        }
        let start = self.at;
        self.at = at.min(self.text.len());
        self.note(start, Kind::Text);
    }

    /// The word that ends a here-document opened here.
    fn opens_heredoc(&mut self, rest: &[u8]) -> Option<Vec<u8>> {
        let mark = self.rules.heredoc?;
        let behind = rest.strip_prefix(mark.as_bytes())?;
        if mark == "<<" && behind.starts_with(b"<") {
            self.at += 3;
            return None;
        }
        let behind = match behind.first() {
            Some(b'-' | b'~') => &behind[1..],
            _ => behind,
        };
        let behind = if mark == "<<<" || std::ptr::eq(self.rules, &SHELL) {
            behind.trim_ascii_start()
        } else {
            behind
        };
        let (quoted, behind) = match behind.first() {
            Some(b'\'' | b'"' | b'\\') => (true, &behind[1..]),
            _ => (false, behind),
        };
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = behind.iter().take_while(|byte| is_word(byte)).count();
        let word = &behind[..length];
        let first = *word.first()?;
        // `1 << n` shifts.
        if first.is_ascii_digit()
            || (!quoted
                && first.is_ascii_lowercase()
                && mark == "<<"
                && !std::ptr::eq(self.rules, &SHELL))
        {
            return None;
        }
        self.at = self.text.len() - behind.len() + length;
        self.at += usize::from(
            quoted
                && self.text[self.at..]
                    .first()
                    .is_some_and(|byte| b"'\"".contains(byte)),
        );
        Some(word.to_vec())
    }

    /// Goes over the lines of a here-document.
    fn heredoc(&mut self, word: &[u8]) {
        let from = self.at;
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let end = bytes::find(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let line = rest[..end].trim_ascii();
            let line = line.strip_prefix(word);
            let ends = line.is_some_and(|rest| {
                rest.first()
                    .is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            });
            if ends {
                break;
            }
            self.at += end;
        }
        self.inside.push((from.saturating_sub(1), self.at));
        self.note(from, Kind::Text);
        let rest = &self.text[self.at..];
        self.at += bytes::find(b'\n', rest).unwrap_or(rest.len());
    }

    fn find(&self, mark: &str, from: usize) -> Option<usize> {
        let at = memchr::memmem::find(self.text.get(from..)?, mark.as_bytes())?;
        Some(from + at)
    }
}

/// The length of a character literal, or of the quote alone that opens a lifetime.
fn rust_char(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => {
            let closing = rest[3.min(rest.len())..]
                .iter()
                .take(10)
                .position(|byte| *byte == b'\'');
            closing.map_or(1, |at| at + 4)
        }
        [_, _, b'\'', ..] => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines, from 1, that start inside a string.
    fn inside(name: &str, text: &str) -> Vec<usize> {
        let path = RelPath::new(name).unwrap();
        let mut at = 0;
        let mut found = Vec::new();
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if any_inside(&path, text.as_bytes(), &[at]) {
                found.push(number + 1);
            }
            at += line.len();
        }
        found
    }

    #[test]
    fn strings_over_lines_are_told_from_code() {
        for (name, text, expected) in [
            (
                "a.py",
                "x = 1\n\"\"\"\nA 'b\n\"\"\"\ny = 'it'\n",
                &[3, 4][..],
            ),
            ("a.py", "# it's\nx = \"'''\"\ny\n", &[]),
            ("a.py", "s = '''a\nb''' + '''\nc'''\nd\n", &[2, 3]),
            (
                "a.ts",
                "const a = `x\n${b ? `y\n` : {}}\nz`\nc()\n",
                &[2, 3, 4],
            ),
            ("a.ts", "const r = /`/;\nf('`');\n// `\ng()\n", &[]),
            ("a.go", "a := `\nx\\`\nb\n", &[2]),
            (
                "a.rs",
                "let a = \"x\ny\";\nlet q = '\"';\nb::<'a>();\n",
                &[2],
            ),
            ("a.rs", "let a = r#\"\n\" \"#;\nb\n", &[2]),
            ("a.sh", "cat <<'EOF' # it's\na\nEOF\nb\n", &[2, 3]),
            ("a.sh", "x=$((1<<2))\ny=\"a\nb\"\nc\n", &[3]),
            ("a.rb", "a = <<~SQL\n  x\nSQL\nb << c\nd\n", &[2, 3]),
            ("a.php", "$a = <<<EOT\nx\nEOT;\nb\n", &[2, 3]),
            ("a.txt", "\"\"\"\na\n", &[]),
        ] {
            assert_eq!(inside(name, text), expected, "{name}: {text}");
        }
    }
}
