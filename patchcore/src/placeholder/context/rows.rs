//! Which lexer reads which language, and the rows of those that a table describes.

use super::table::{Block, Grammar, Lines, Quote};
use super::{Lex, hooks, lines, markdown, markup, perl, ruby, script, shell, table, yaml};
use crate::placeholder::language::Language;

const NONE: Grammar = Grammar {
    line: &[],
    block: &[],
    strings: &[],
    joins: None,
    comments_join: false,
    holes: false,
    hook: None,
    hooked: b"",
};

const C_BLOCK: Block = block("/*", "*/");
const C_NESTS: Block = nests("/*", "*/");

const fn block(open: &'static str, close: &'static str) -> Block {
    Block {
        open,
        close,
        nests: false,
    }
}

const fn nests(open: &'static str, close: &'static str) -> Block {
    Block {
        open,
        close,
        nests: true,
    }
}

const fn one(quote: &'static str) -> Quote {
    Quote {
        open: quote,
        close: quote,
        escape: b'\\',
        lines: Lines::One,
        hole: None,
    }
}

const fn many(quote: &'static str) -> Quote {
    Quote {
        lines: Lines::Many,
        ..one(quote)
    }
}

const fn raw(quote: Quote) -> Quote {
    Quote { escape: 0, ..quote }
}

const fn holed(quote: Quote, open: &'static str, close: u8) -> Quote {
    Quote {
        hole: Some((open, close)),
        ..quote
    }
}

/// C and its kin, where a backslash joins lines before comments are seen.
static C: Grammar = Grammar {
    line: &["//"],
    block: &[C_BLOCK],
    strings: &[one("\""), one("'")],
    joins: Some(b'\\'),
    comments_join: true,
    holes: false,
    hook: Some(hooks::cpp),
    hooked: b"'R",
};

fn c(text: &[u8], start: usize, sink: &mut super::Sink) {
    table::lex(&C, text, start, sink);
}

/// Names a lexer that reads by a row.
macro_rules! rows {
    ($($name:ident = $row:ident { $($field:ident: $value:expr),* $(,)? };)+) => {
        $(
            static $row: Grammar = Grammar { $($field: $value,)* ..NONE };
            fn $name(text: &[u8], start: usize, sink: &mut super::Sink) {
                table::lex(&$row, text, start, sink);
            }
        )+
    };
}

rows! {
    slashes = SLASHES { line: &["//"], block: &[C_BLOCK], strings: &[one("\""), one("'")] };
    nesting = NESTING { line: &["//"], block: &[C_NESTS], strings: &[one("\""), one("'")] };
    rust = RUST { line: &["//"], block: &[C_NESTS], strings: &[many("\"")],
        hook: Some(hooks::rust), hooked: b"'r" };
    go = GO { line: &["//"], block: &[C_BLOCK], strings: &[one("\""), one("'"), raw(many("`"))] };
    java = JAVA { line: &["//"], block: &[C_BLOCK], strings: &[many("\"\"\""), one("\""), one("'")] };
    csharp = CSHARP { line: &["//"], block: &[C_BLOCK], strings: &[one("\""), one("'")],
        holes: true, hook: Some(hooks::csharp), hooked: b"\"" };
    fsharp = FSHARP { line: &["//"], block: &[nests("(*", "*)")],
        strings: &[raw(many("\"\"\"")), many("\"")], hook: Some(hooks::fsharp), hooked: b"'@(" };
    kotlin = KOTLIN { line: &["//"], block: &[C_NESTS],
        strings: &[holed(raw(many("\"\"\"")), "${", b'}'), holed(one("\""), "${", b'}'), one("'")] };
    swift = SWIFT { line: &["//"], block: &[C_NESTS],
        strings: &[holed(many("\"\"\""), "\\(", b')'), holed(one("\""), "\\(", b')')],
        hook: Some(hooks::swift), hooked: b"#" };
    scala = SCALA { line: &["//"], block: &[C_NESTS],
        strings: &[holed(raw(many("\"\"\"")), "${", b'}'), holed(one("\""), "${", b'}')],
        hook: Some(hooks::character), hooked: b"'" };
    dart = DART { line: &["//"], block: &[C_NESTS],
        strings: &[holed(many("\"\"\""), "${", b'}'), holed(many("'''"), "${", b'}'),
            holed(one("\""), "${", b'}'), holed(one("'"), "${", b'}')],
        hook: Some(hooks::dart), hooked: b"r" };
    zig = ZIG { line: &["//"], strings: &[one("\""), one("'")],
        hook: Some(hooks::zig), hooked: b"\\" };
    gleam = GLEAM { line: &["//"], strings: &[many("\"")] };
    thrift = THRIFT { line: &["//", "#"], block: &[C_BLOCK], strings: &[one("\""), one("'")] };
    json = JSON { line: &["//"], block: &[C_BLOCK], strings: &[one("\""), one("'")] };
    css = CSS { block: &[C_BLOCK], strings: &[one("\""), one("'")],
        hook: Some(hooks::css), hooked: b"u-" };
    scss_row = SCSS { line: &["//"], block: &[C_BLOCK], strings: &[one("\""), one("'")],
        hook: Some(hooks::css), hooked: b"u-" };
    less_row = LESS { line: &["//"], block: &[C_BLOCK],
        strings: &[one("\""), one("'"), raw(many("`"))], hook: Some(hooks::css), hooked: b"u-" };
    python = PYTHON { line: &["#"], strings: &[many("\"\"\""), many("'''"), one("\""), one("'")],
        joins: Some(b'\\') };
    toml = TOML { line: &["#"],
        strings: &[many("\"\"\""), raw(many("'''")), one("\""), raw(one("'"))] };
    hash = HASH { line: &["#"], strings: &[one("\""), one("'")] };
    fish = FISH { line: &["#"], strings: &[many("\""), many("'")], joins: Some(b'\\') };
    graphql = GRAPHQL { line: &["#"], strings: &[many("\"\"\""), one("\"")] };
    nix = NIX { line: &["#"], block: &[C_BLOCK],
        strings: &[holed(many("\""), "${", b'}')], hook: Some(hooks::nix), hooked: b"'" };
    cmake = CMAKE { line: &["#"], strings: &[many("\"")], hook: Some(hooks::cmake), hooked: b"#[" };
    r = R { line: &["#"], strings: &[many("\""), many("'"), raw(many("`"))],
        hook: Some(hooks::r), hooked: b"rR" };
    powershell = POWERSHELL { line: &[], block: &[block("<#", "#>")],
        strings: &[Quote { escape: b'`', ..holed(many("\""), "$(", b')') }, raw(many("'"))],
        joins: Some(b'`'), hook: Some(hooks::powershell), hooked: b"@#`" };
    terraform = TERRAFORM { line: &["#", "//"], block: &[C_BLOCK],
        strings: &[holed(one("\""), "${", b'}')], hook: Some(hooks::terraform), hooked: b"<" };
    lua = LUA { hook: Some(hooks::lua), hooked: b"-[\"'" };
    haskell = HASKELL { block: &[nests("{-", "-}")], strings: &[many("\"")],
        hook: Some(hooks::haskell), hooked: b"-'[" };
    elm = ELM { line: &["--"], block: &[nests("{-", "-}")],
        strings: &[many("\"\"\""), one("\"")], hook: Some(hooks::character), hooked: b"'" };
    ada = ADA { line: &["--"], strings: &[raw(one("\""))] };
    ml = ML { block: &[nests("(*", "*)")], strings: &[many("\"")],
        hook: Some(hooks::ocaml), hooked: b"'{" };
    lisp = LISP { line: &[";"], block: &[nests("#|", "|#")], strings: &[many("\"")],
        hook: Some(hooks::lisp), hooked: b"#?|" };
    clojure = CLOJURE { line: &[";"], strings: &[many("\"")],
        hook: Some(hooks::clojure), hooked: b"\\" };
    erlang = ERLANG { line: &["%"], strings: &[many("\"\"\""), many("\""), many("'")],
        hook: Some(hooks::erlang), hooked: b"$" };
    fortran = FORTRAN { line: &["!"], strings: &[raw(one("\"")), raw(one("'"))] };
    assembly = ASSEMBLY { line: &[";"], strings: &[raw(one("\"")), raw(one("'"))],
        joins: Some(b'\\') };
    joined = JOINED { joins: Some(b'\\') };
    careted = CARETED { joins: Some(b'^') };
    underscored = UNDERSCORED { line: &["'"], strings: &[raw(one("\""))], joins: Some(b'_') };
    plain = PLAIN { };
    handlebars = HANDLEBARS_TAGS { hook: Some(hooks::handlebars), hooked: b"{" };
    jinja = JINJA_TAGS { block: &[block("{#", "#}")], hook: Some(hooks::jinja), hooked: b"{" };
    liquid = LIQUID_TAGS { hook: Some(hooks::liquid), hooked: b"{" };
    tags = TAGS { block: &[block("<%", "%>")] };
    sql_nested = SQL_NESTED { line: &["--"], block: &[C_NESTS],
        strings: &[raw(many("'")), raw(many("\"")), raw(many("`"))],
        hook: Some(hooks::sql), hooked: b"$eEfF" };
    sql_flat = SQL_FLAT { line: &["--"], block: &[C_BLOCK],
        strings: &[raw(many("'")), raw(many("\"")), raw(many("`"))],
        hook: Some(hooks::sql), hooked: b"$eEfF" };
    sql_mysql = SQL_MYSQL { line: &["--", "#"], block: &[C_BLOCK],
        strings: &[many("'"), many("\""), raw(many("`"))] };
}

/// The dialects of SQL do not agree on what nests, what escapes and what comments: where they
/// differ, all of them count.
fn sql(text: &[u8], start: usize, sink: &mut super::Sink) {
    let mut flat = super::Sink::keeping();
    sql_flat(text, start, &mut flat);
    // Only MySQL takes a backslash in a string, and only its dumps quote names so. What comments
    // say is no sign of it.
    let code = flat.blanked(text, |what| what == "a comment");
    sink.merge(flat);
    sql_nested(text, start, sink);
    if memchr::memmem::find(&code, b"\\'").is_some() || memchr::memchr(b'`', &code).is_some() {
        sql_mysql(text, start, sink);
    }
}

/// Less keeps a value or selector with `@{…}` in it as it is written, comments included.
fn less(text: &[u8], start: usize, sink: &mut super::Sink) {
    let mut found = super::Sink::keeping();
    less_row(text, start, &mut found);
    let code = found.blanked(text, |_| true);
    let ends = |byte: &u8| matches!(byte, b';' | b'{' | b'}');
    let mut floor = start;
    for at in memchr::memmem::find_iter(&code[start..], b"@{").map(|at| start + at) {
        if at < floor {
            continue;
        }
        let from = code[start..at].iter().rposition(ends);
        let from = from.map_or(start, |before| start + before + 1);
        let from = from
            + code[from..at]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
        let mut end = at;
        while let Some(byte) = code.get(end) {
            if code[end..].starts_with(b"@{") {
                end = super::end_of(&code, end, b"}");
            } else if ends(byte) {
                break;
            } else {
                end += 1;
            }
        }
        floor = end;
        sink.add(text, from..end, "what is taken as it is written");
    }
    less_statements(text, start, &code, sink);
    sink.merge(found);
}

/// Sass hands on what it does not know of at-rules as it is written, comments included.
fn scss(text: &[u8], start: usize, sink: &mut super::Sink) {
    let mut found = super::Sink::keeping();
    scss_row(text, start, &mut found);
    let code = found.blanked(text, |_| true);
    statements(&code, start, |range, _| {
        if let Some(rest) = code[range.clone()].strip_prefix(b"@") {
            let len = rest
                .iter()
                .take_while(|b| b.is_ascii_alphabetic() || **b == b'-');
            let name = &rest[..len.count()];
            if !KNOWN_TO_SASS.iter().any(|known| known.as_bytes() == name) {
                sink.add(text, range, "an at-rule");
            }
        }
    });
    sink.merge(found);
}

/// At-rules whose parts Sass reads, comments between them left out.
const KNOWN_TO_SASS: [&str; 20] = [
    "at-root", "charset", "content", "debug", "each", "else", "error", "extend", "for", "forward",
    "function", "if", "include", "media", "mixin", "return", "supports", "use", "warn", "while",
];

/// Less reads comments between statements and in lists of selectors; within others it looks for the
/// end in some, prints some and reads but one of several.
fn less_statements(text: &[u8], start: usize, code: &[u8], sink: &mut super::Sink) {
    statements(code, start, |range, end| {
        let statement = &code[range.clone()];
        let bare = match statement[0] {
            b'.' | b'#' => &statement[1..],
            _ => statement,
        };
        let name = bare
            .iter()
            .take_while(|b| super::is_word(**b) || **b == b'-');
        let calls = bare[name.count()..].trim_ascii_start().starts_with(b"(");
        let guards = memchr::memmem::find(statement, b" when").is_some();
        if end != b'{' || statement[0] == b'@' || calls || guards {
            sink.add(text, range, "a statement of Less");
        }
    });
}

/// Calls back for each statement of a style sheet, whose strings and comments are blank, and what
/// ends it.
fn statements(code: &[u8], start: usize, mut each: impl FnMut(std::ops::Range<usize>, u8)) {
    let (mut from, mut at, mut depth) = (start, start, 0usize);
    while at < code.len() {
        match code[at] {
            b'#' | b'@' if code.get(at + 1) == Some(&b'{') => {
                at = super::end_of(code, at, b"}");
                continue;
            }
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            end @ (b';' | b'{' | b'}') if end != b';' || depth == 0 => {
                let blank = code[from..at]
                    .iter()
                    .take_while(|b| b.is_ascii_whitespace());
                let first = from + blank.count();
                // A comment may stand between the last value of a block and its end.
                let last = match end {
                    b'}' => code[..at].trim_ascii_end().len(),
                    _ => at,
                };
                if first < last {
                    each(first..last, end);
                }
                (from, depth) = (at + 1, 0);
            }
            _ => {}
        }
        at += 1;
    }
}

/// The lexer of a style sheet in a page.
pub(super) fn scss_or_css(tag: &[u8]) -> Lex {
    let says = |word: &[u8]| memchr::memmem::find(tag, word).is_some();
    if says(b"less") {
        less
    } else if says(b"scss") {
        scss
    } else {
        css
    }
}

/// The lexer of a language; `None` where its constructs of several lines are not known. Long, for
/// it is the table of languages.
pub(in crate::placeholder) fn lexer(name: &str) -> Option<Lex> {
    Some(match name {
        "TypeScript" => script::typescript,
        "JavaScript" | "JSX" => script::jsx,
        "TSX" => script::tsx,
        "Java" => java,
        "C" | "C++" | "Objective-C" | "OpenGL shading language" => c,
        "CSS" => css,
        "SCSS" => scss,
        "Less" => less,
        "Go" => |text, start, sink| {
            go(text, start, sink);
            lines::cgo(text, start, sink);
        },
        "Rust" => rust,
        "C#" => csharp,
        "F#" => fsharp,
        "Kotlin" => kotlin,
        "Swift" => swift,
        "Scala" => scala,
        "Dart" => dart,
        "Zig" => zig,
        "Gleam" => gleam,
        "Solidity" | "Protocol Buffers" | "Prisma" => slashes,
        "WebGPU shading language" => nesting,
        "Thrift" => thrift,
        "JSON with comments" => json,
        "Python" => python,
        "Ruby" => ruby::lex,
        "Shell" => shell::lex,
        "fish" => fish,
        "PowerShell" => powershell,
        "Perl" => perl::lex,
        "R" => r,
        "CMake" => cmake,
        "Makefile" => lines::make,
        "Dockerfile" => lines::docker,
        "YAML" => yaml::lex,
        "TOML" => toml,
        "Terraform" => terraform,
        "GraphQL" => |text, start, sink| {
            graphql(text, start, sink);
            lines::members(text, start, sink);
        },
        "Nix" => nix,
        "Gherkin" => graphql,
        "environment" => lines::environment,
        "Java properties" | "configuration" | "requirements" | "INI" => joined,
        "ignore list" => plain,
        "assembly" => assembly,
        "Lisp" | "Scheme" => lisp,
        "Clojure" => clojure,
        "SQL" => sql,
        "Lua" => lua,
        "Haskell" => haskell,
        "Elm" | "PureScript" => elm,
        "Ada" | "VHDL" => ada,
        "OCaml" => ml,
        "Erlang" => erlang,
        "Fortran" => fortran,
        "Visual Basic" => underscored,
        "batch" => careted,
        "HTML" => markup::html,
        "Vue" => markup::vue,
        "Svelte" => markup::svelte,
        "XML" => markup::xml,
        "PHP" => markup::php,
        "Markdown" => markdown::markdown,
        "MDX" => markdown::mdx,
        "Handlebars" => handlebars,
        "Jinja" | "Twig" => jinja,
        "Liquid" => liquid,
        "ERB" => tags,
        "Meson" => hash,
        _ => return None,
    })
}

/// The lexer of the language that a template is written over, by the rest of its name; HTML where
/// that says nothing.
pub(in crate::placeholder) fn host_of(name: &str, file: &str, front: &[u8]) -> Option<Lex> {
    if !super::is_template(name) {
        return None;
    }
    let stem = file.rsplit_once('.').map_or("", |(stem, _)| stem);
    // The front matter of a generator's template names the file that comes of it.
    let to = front
        .split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(b"to:"));
    let to = to.map(|to| String::from_utf8_lossy(to.trim_ascii()).into_owned());
    let stem = match &to {
        Some(to) => to.rsplit('/').next().unwrap_or(to),
        None if stem.ends_with(".ejs") => return None,
        None => stem,
    };
    match Language::of_name(stem) {
        Some(host) if host.name != name => lexer(host.name),
        _ => Some(markup::html),
    }
}
