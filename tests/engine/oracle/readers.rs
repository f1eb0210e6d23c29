//! Many sources before tools that read them: what parsers take from a source with a comment is what
//! they took from it without.
//!
//! A tool is started once and asked for a checksum of all in a source that is no comment. The suite
//! asks for every line of a sample. For longer, over files of one's own:
//!
//! ```text
//! ORACLE_FILES=/usr/lib:/usr/share ORACLE_PLACEMENTS=1000 ORACLE_SEED=7 \
//!     cargo test --workspace --test engine oracle::readers -- --nocapture --test-threads 1
//! ```

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use patchcore::placeholder::{Injected, MarkMode};

use super::marked;

/// Longer files say little more, and take long.
const LONGEST: u64 = 60_000;
/// Differences that are shown.
const SHOWN: usize = 8;

/// What a tool says of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Read {
    /// The checksum of all that is no comment.
    Sum(String),
    /// The tool refuses the source.
    Refused,
}

/// A tool that waits for sources.
struct Reader {
    kind: &'static str,
    child: Child,
    sources: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    /// Starts the tool; what is missing where it cannot be had.
    fn start(kind: &'static str, command: &[&str]) -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let modules = std::env::var_os("NODE_PATH")
            .unwrap_or_else(|| root.join("target/oracle/node_modules").into());
        let script = root.join("fixtures/oracle/tools");
        let child = Command::new(command[0])
            .args(&command[1..command.len() - 1])
            .arg(script.join(command[command.len() - 1]))
            .env("NODE_PATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match child {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(command[0].to_owned());
            }
            child => child.unwrap(),
        };
        let mut reader = Self {
            kind,
            sources: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        match reader.ask("") {
            Ok(_) => Ok(reader),
            Err(missing) => Err(missing),
        }
    }

    /// What it reads in a source; the name of what is missing.
    fn ask(&mut self, source: &str) -> Result<Read, String> {
        let encoded = base64::engine::general_purpose::STANDARD.encode(source);
        let mut answer = String::new();
        if writeln!(self.sources, "{} {encoded}", self.kind).is_ok() {
            self.answers.read_line(&mut answer).unwrap();
        }
        let answer = answer.trim_end();
        match answer.split_at_checked(1) {
            Some(("=", sum)) => Ok(Read::Sum(sum.to_owned())),
            Some(("!", _)) => Ok(Read::Refused),
            Some(("?", missing)) => Err(missing.to_owned()),
            _ => Err(format!("what reads {}", self.kind)),
        }
    }

    fn read(&mut self, source: &str) -> Read {
        self.ask(source).unwrap()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sequence that is the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

#[derive(Debug, Default)]
struct Count {
    /// Those that the tool reads before.
    placements: usize,
    different: usize,
    direct: usize,
    refused: usize,
    /// Of those refused or put elsewhere, those with a line where a comment changes nothing.
    refused_in_code: usize,
    moved_in_code: usize,
}

struct Campaign {
    reader: Reader,
    /// The forms of a placeholder's comment; the first that the tool reads is taken.
    comments: Vec<&'static str>,
    delimiters: &'static [&'static str],
    count: Count,
    shown: String,
}

impl Campaign {
    fn prompt(&self, random: &mut Random) -> String {
        let mut prompt = String::new();
        for _ in 0..=random.below(5) {
            let words = ["x", "use `f(x)`", "a: b", "", "it's"];
            let word = match random.below(4) {
                0 => words[random.below(words.len())],
                _ => self.delimiters[random.below(self.delimiters.len())],
            };
            let space = [" ", "\n", "", "\n\n", "\t"][random.below(5)];
            write!(prompt, "{word}{space}").unwrap();
        }
        prompt
    }

    /// Puts the placeholder above a line of a source.
    fn place(&mut self, name: &str, what: &Path, lines: &[&str], at: usize, prompt: &str) {
        let line = lines.get(at).copied().unwrap_or_default();
        let blank = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        let ending = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let with = |form: &str, text: &str| {
            let comment = form.replace('@', text);
            format!("{blank}{comment}{ending}")
        };
        let join = |own: &[&str]| {
            let mut text = lines[..at].concat();
            text.extend(own.iter().copied());
            text.push_str(&lines[at..].concat());
            text
        };
        let mut forms = self.comments.clone().into_iter().map(|form| {
            let placeholder = with(form, "###P###");
            let source = join(&[&placeholder]);
            (form, placeholder, self.reader.read(&source), source)
        });
        let Some((form, placeholder, before, source)) =
            forms.find(|(_, _, before, _)| *before != Read::Refused)
        else {
            return;
        };
        drop(forms);
        self.count.placements += 1;
        let mut known = Injected::default();
        let after = marked(name, &source, prompt, MarkMode::Inject, &mut known);
        let direct = after
            .as_ref()
            .is_some_and(|after| !after.contains("agent: [P]"));
        self.count.direct += usize::from(direct);
        if !direct {
            let comment = with(form, "x y z");
            // Within a comment nothing matters.
            let no_code = format!(")] }}x'\"{ending}");
            let in_code = self.reader.read(&join(&[&comment, &placeholder])) == before
                && self.reader.read(&join(&[&no_code, &placeholder])) != before;
            let counted = match after {
                Some(_) => &mut self.count.moved_in_code,
                None => &mut self.count.refused_in_code,
            };
            *counted += usize::from(in_code);
            if in_code {
                self.tell(
                    "MOVED",
                    what,
                    at,
                    prompt,
                    after.as_deref().unwrap_or("refused"),
                );
            }
        }
        let Some(after) = after else {
            self.count.refused += 1;
            return;
        };
        let twice = marked(name, &after, prompt, MarkMode::Inject, &mut known);
        let removed = marked(name, &after, prompt, MarkMode::Remove, &mut known);
        let why = if twice.as_ref() != Some(&after) {
            "twice is not once"
        } else if removed.as_ref() != Some(&source) {
            "removing does not restore it"
        } else if self.reader.read(&after) != before {
            "it is read differently"
        } else {
            return;
        };
        self.count.different += 1;
        self.tell(why, what, at, prompt, &after);
    }

    fn tell(&mut self, why: &str, what: &Path, at: usize, prompt: &str, after: &str) {
        if why == "MOVED" && std::env::var_os("ORACLE_MOVED").is_none() {
            return;
        }
        if self.shown.matches("\n== ").count() >= SHOWN {
            return;
        }
        let lines: Vec<&str> = after.lines().collect();
        let near = lines.iter().position(|line| line.contains("agent:"));
        let near = near.unwrap_or(at);
        let from = near.saturating_sub(6).min(lines.len());
        let to = (at.max(near) + 10).min(lines.len()).min(from + 50);
        let excerpt = lines[from..to].join("\n");
        writeln!(
            self.shown,
            "\n== {why}: {} line {}: {prompt:?}\n{excerpt}",
            what.display(),
            at + 1
        )
        .unwrap();
    }
}

/// The files of a kind below the directories that were named.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let Some(directories) = std::env::var_os("ORACLE_FILES") else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for directory in std::env::split_paths(&directories) {
        for entry in walkdir::WalkDir::new(directory)
            .sort_by_file_name()
            .into_iter()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let fits = extensions.iter().any(|extension| name.ends_with(extension));
            let small = entry
                .metadata()
                .is_ok_and(|m| m.is_file() && m.len() < LONGEST);
            if fits && small {
                files.push(entry.into_path());
            }
        }
    }
    files
}

fn check(
    kind: &'static str,
    name: &str,
    extensions: &[&str],
    comment: &'static str,
    delimiters: &'static [&'static str],
    command: &[&str],
) {
    let files = files(extensions);
    // Of these, the suite runs the sample itself.
    if files.is_empty() && command.contains(&"oracle.bash") {
        return;
    }
    let reader = match Reader::start(kind, command) {
        Ok(reader) => reader,
        Err(missing) => {
            println!("{missing} is not installed: {kind} is not checked");
            return;
        }
    };
    let mut campaign = Campaign {
        reader,
        comments: comment.split(" or ").collect(),
        delimiters,
        count: Count::default(),
        shown: String::new(),
    };
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let mut random = Random(number("ORACLE_SEED").unwrap_or(1));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/oracle");
    if files.is_empty() {
        let sample = std::fs::read_to_string(tools.join(name)).unwrap();
        let lines: Vec<&str> = sample.split_inclusive('\n').collect();
        assert_ne!(campaign.reader.read(&sample), Read::Refused, "{name}");
        for at in 0..=lines.len() {
            let prompt = campaign.prompt(&mut random);
            campaign.place(name, Path::new(name), &lines, at, &prompt);
        }
        assert!(
            campaign.count.placements * 2 > lines.len(),
            "{name}: {:?}",
            campaign.count
        );
    }
    let wanted = number("ORACLE_PLACEMENTS").unwrap_or(200);
    let mut left = wanted * 4;
    while !files.is_empty()
        && campaign.count.placements < usize::try_from(wanted).unwrap()
        && left > 0
    {
        let file = &files[random.below(files.len())];
        left -= 1;
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        // What stands there already, and what says its own line.
        if text.contains("###")
            || text.contains("__LINE__")
            || text.contains("agent:")
            || text.contains("TASK_ID:")
            || campaign.reader.read(&text) == Read::Refused
        {
            continue;
        }
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        // What has no newline at its end would get the placeholder into its last line.
        if !text.ends_with('\n') {
            lines.pop();
        }
        for _ in 0..8 {
            let at = random.below(lines.len() + 1);
            let prompt = campaign.prompt(&mut random);
            campaign.place(name, file, &lines, at, &prompt);
        }
    }
    println!(
        "{kind}: {} files, {:?}{}",
        files.len(),
        campaign.count,
        campaign.shown
    );
    let count = &campaign.count;
    assert_eq!(count.different, 0, "{kind}: {}", campaign.shown);
    assert!(
        count.refused_in_code * 50 <= count.placements,
        "{kind}: {count:?}{}",
        campaign.shown
    );
}

macro_rules! readers {
    ($($label:ident: $kind:literal, $name:literal, $extensions:expr, $comment:literal, $delimiters:expr, $command:expr;)+) => {
        $(#[test] fn $label() { check($kind, $name, &$extensions, $comment, &$delimiters, &$command); })+
    };
}

readers! {
    typescript: "ts", "sample.ts", [".ts", ".mts"], "// @", ["`", "${x}", "*/", "/*", "@ts-ignore", "@ts-expect-error", "@deprecated", "<reference path=\"x\"/>", "\\", "</script>", "//", "'", "\""], ["node", "oracle.cjs"];
    tsx: "tsx", "sample.tsx", [".tsx"], "// @", ["`", "*/", "/*", "*/}", "{", "}", "<b>", "</b>", "@jsx h", "@ts-ignore", "'"], ["node", "oracle.cjs"];
    javascript: "js", "sample.js", [".js", ".mjs", ".cjs"], "// @", ["`", "${x}", "*/", "/*", "/", "/x/", "@ts-check", "eslint-disable", "\\", "</script>", "<!--", "-->", "'"], ["node", "oracle.cjs"];
    css: "css", "sample.css", [".css"], "/* @ */", ["*/", "/*", "}", "{", "\"", "url(", "</style>", "\\", "@import"], ["node", "oracle.cjs"];
    scss: "scss", "sample.scss", [".scss"], "// @", ["*/", "/*", "}", "{", "#{", "\"", "//", "url(", "\\"], ["node", "oracle.cjs"];
    less: "less", "sample.less", [".less"], "// @", ["*/", "/*", "}", "{", "@{x}", "\"", "//", "url(", "~`"], ["node", "oracle.cjs"];
    html: "html", "sample.html", [".html", ".htm"], "<!-- @ --> or // @ or /* @ */", ["-->", "--!>", "<!--", "<script>", "</script>", "<style>", "\"", "'", "<pre>", "]]>", "<!", ">"], ["node", "oracle.cjs"];
    markdown: "md", "sample.md", [".md"], "<!-- @ -->", ["-->", "```", "~~~", "\n- x\n", "\n# x\n", "|", "<b>", "<pre>", "\n    x\n", "---"], ["node", "oracle.cjs"];
    vue: "vue", "sample.vue", [".vue"], "<!-- @ --> or // @ or /* @ */", ["-->", "<script>", "</script>", "<template>", "</template>", "{{", "}}", "\"", "`", "*/"], ["node", "oracle.cjs"];
    svelte: "svelte", "sample.svelte", [".svelte"], "<!-- @ --> or // @ or /* @ */", ["-->", "<script>", "</script>", "{", "}", "{#if x}", "{/if}", "`", "*/", "\""], ["node", "oracle.cjs"];
    nunjucks: "njk", "sample.njk", [".njk"], "{# @ #}", ["#}", "{#", "{%", "%}", "{{", "}}", "-#}", "{% endraw %}", "{% raw %}"], ["node", "oracle.cjs"];
    jinja: "jinja", "sample.j2", [".j2", ".jinja", ".jinja2"], "{# @ #}", ["#}", "{#", "{%", "%}", "{{", "}}", "-#}", "{% endraw %}", "{% raw %}"], ["python3", "oracle.py"];
    liquid: "liquid", "sample.liquid", [".liquid"], "{% comment %} @ {% endcomment %}", ["{%", "%}", "{{", "}}", "-%}", "{% endcomment %}", "{% endraw %}", "{% raw %}", "'"], ["node", "oracle.cjs"];
    handlebars: "hbs", "sample.hbs", [".hbs"], "{{!-- @ --}}", ["--}}", "{{!--", "{{", "}}", "{{{", "{{/if}}", "{{#if x}}", "~}}", "--"], ["node", "oracle.cjs"];
    ejs: "ejs", "sample.ejs", [".ejs", ".ejs.t"], "<%# @ -%>", ["%>", "<%", "-%>", "<%=", "<%%", "%%>", "`", "*/", "</script>"], ["node", "oracle.cjs"];
    erb: "erb", "sample.erb", [".erb"], "<%# @ -%>", ["%>", "<%", "-%>", "<%=", "<%%", "%%>", "\"", "</script>"], ["ruby", "oracle.rb"];
    graphql: "graphql", "sample.graphql", [".graphql", ".gql"], "# @", ["\"\"\"", "\"", "{", "}", "#", "\\"], ["node", "oracle.cjs"];
    python: "python", "sample.py", [".py"], "# @", ["\"\"\"", "'''", "coding: latin-1", "type: int", "type: ignore", "\\", "{x}", "\n\tx\n", "'"], ["python3", "oracle.py"];
    toml: "toml", "sample.toml", [".toml"], "# @", ["\"\"\"", "'''", "\n[x]\n", "]", "x = 1", "\\"], ["python3", "oracle.py"];
    xml: "xml", "sample.xml", [".xml", ".svg", ".xsd"], "<!-- @ -->", ["-->", "]]>", "<![CDATA[", "<x>", "&x;", "\"", "<?x", "?>", "--"], ["python3", "oracle.py"];
    yaml: "yaml", "sample.yaml", [".yaml", ".yml"], "# @", [": x", "- y", "|", "'", "\"", "\n---\n", "{", "\n%x\n", "&a", "*a"], ["python3", "oracle.py"];
    yaml_of_ruby: "yaml", "sample.yaml", [".yaml", ".yml"], "# @", [": x", "- y", "|", ">", "'", "\"", "\n---\n", "]", "!x"], ["ruby", "oracle.rb"];
    sql: "sql", "sample.sql", [".sql"], "-- @", ["'", "\"", "*/", "/*", ";", "$$", "$x$", "E'\\", "--"], ["python3", "oracle.py"];
    ruby: "ruby", "sample.rb", [".rb"], "# @", ["\n=end\n", "\n=begin\n", "#{exit 9}", "\"", "'", "EOS", "%q(", ")", "encoding: x", "frozen_string_literal: true", "__END__"], ["ruby", "oracle.rb"];
    php: "php", "sample.php", [".php"], "// @", ["?>", "<?php x", "*/", "/**", "\nEOT;\n", "'", "\"", "<?=", "@param"], ["php", "oracle.php"];
    go: "go", "sample.go", [".go"], "// @", ["*/", "/*", "`", "\"", "go:build x", "+build x", "go:embed x", "import \"C\"", "line x:1", "'"], ["go", "run", "oracle.go"];
    java: "java", "sample.java", [".java"], "// @", ["*/", "/*", "\"\"\"", "\"", "\\u002a/", "\\u000a x", "@param x", "@Deprecated", "'"], ["java", "Oracle.java"];
    c: "c", "sample.c", [".c", ".h"], "// @", ["*/", "/*", "\"", "\\", "#endif", "\n#error x\n", "'", "??/"], ["bash", "oracle.bash"];
    cpp: "c++", "sample.cpp", [".cpp", ".cc", ".hpp"], "// @", ["*/", "/*", ")x\"", "R\"(", "\\", "'", "\n#error x\n", ")\""], ["bash", "oracle.bash"];
    lua: "lua", "sample.lua", [".lua"], "-- @", ["]]", "[[", "]==]", "--[[", "--[==[", "\"", "\\"], ["bash", "oracle.bash"];
    bash: "bash", "sample.bash", [".sh", ".bash"], "# @", ["$(touch x)", "`touch x`", "'", "\"", "EOF", "\nEOF\n", "\\", ")", ";;", "esac", "}"], ["bash", "oracle.bash"];
    perl: "perl", "sample.pl", [".pl", ".pm"], "# @", ["\n=cut\n", "\n=pod\n", "}", "{", "/", "EOT", "\n__END__\n", "q(", "'", "line 7 \"x\""], ["bash", "oracle.bash"];
    rust: "rust", "sample.rs", [".rs"], "// @", ["*/", "/*", "\"", "r#\"", "\"#", "'", "//!", "///", "\\"], ["python3", "oracle.py"];
    csharp: "csharp", "sample.cs", [".cs"], "// @", ["*/", "/*", "\"\"\"", "@\"", "\"", "$\"{", "#endif", "///"], ["python3", "oracle.py"];
    kotlin: "kotlin", "sample.kt", [".kt", ".kts"], "// @", ["*/", "/*", "\"\"\"", "${x}", "\"", "'", "/**"], ["python3", "oracle.py"];
    swift: "swift", "sample.swift", [".swift"], "// @", ["*/", "/*", "\"\"\"", "#\"", "\"#", "\\(x)", "///"], ["python3", "oracle.py"];
}
