//! Comments before the languages' own tools: a program with a comment does what it did without.
//!
//! A placeholder goes onto a line of its own between all lines of a real program in turn, code or
//! not, with a prompt of the language's own delimiters. The tool runs the program with the
//! placeholder, and with the comment besides: output, errors and files are the same.

use std::path::Path;
use std::process::{Command, Stdio};

use patchcore::RelPath;
use patchcore::edit::EditSet;
use patchcore::placeholder::{Injected, Mark, MarkMode, Marker, Scanner};

mod readers;

const SCANNER_ID: &str = "P";

/// What becomes of a source when its placeholder is marked; `None` where it is refused.
fn marked(
    name: &str,
    source: &str,
    prompt: &str,
    mode: MarkMode,
    known: &mut Injected,
) -> Option<String> {
    let scanner = Scanner::new();
    let before = known.clone();
    let marker = Marker::new(&scanner, &before).in_mode(mode);
    let path = RelPath::new(name).unwrap();
    let mark = |id: &str| (id == SCANNER_ID).then(|| Mark::Prompt(prompt.to_owned()));
    let mut edits = Vec::new();
    for one in marker.mark(&path, source.as_bytes(), &mark) {
        one.note(known);
        if one.refusal.is_some() {
            return None;
        }
        edits.extend(one.edits);
    }
    let after = EditSet::new(edits, source.len()).unwrap();
    Some(String::from_utf8(after.apply(source.as_bytes())).unwrap())
}

/// How a program ended, what it printed, and what it left behind; `None` without its tool.
fn run(name: &str, source: &str, tool: &[&str]) -> Option<(bool, Vec<u8>, usize)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), source).unwrap();
    let output = Command::new(tool[0])
        .args(&tool[1..])
        .arg(name)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    Some((output.status.success(), output.stdout, files))
}

fn check(name: &str, comment: &str, delimiters: &[&str], tool: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/oracle");
    let program = std::fs::read_to_string(file.join(name)).unwrap();
    if run(name, &program, tool).is_none() {
        println!("{} is not installed: {name} is not checked", tool[0]);
        return;
    }
    let lines: Vec<&str> = program.split_inclusive('\n').collect();
    let (mut compared, mut refused, mut direct) = (0, 0, 0);
    // The first lines stay the first in any case: what is between them is for other tests.
    for at in 1..=lines.len() {
        let line = lines.get(at).copied().unwrap_or_default();
        let blank = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        let placeholder = format!("{blank}{}\n", comment.replace('@', "###P###"));
        let source = [&lines[..at], &[&placeholder], &lines[at..]]
            .concat()
            .concat();
        let prompt = match at % 3 {
            0 => delimiters[at % delimiters.len()].to_owned(),
            1 => format!(
                "x {}\n{}",
                delimiters[at % delimiters.len()],
                delimiters.join("\n")
            ),
            _ => delimiters.join(" "),
        };
        let mut known = Injected::default();
        let Some(after) = marked(name, &source, &prompt, MarkMode::Inject, &mut known) else {
            refused += 1;
            continue;
        };
        let what = || format!("{name} line {}: {prompt:?}\n{after}", at + 1);
        let twice = marked(name, &after, &prompt, MarkMode::Inject, &mut known);
        assert_eq!(twice.as_deref(), Some(after.as_str()), "{}", what());
        let removed = marked(name, &after, &prompt, MarkMode::Remove, &mut known);
        assert_eq!(removed.as_deref(), Some(source.as_str()), "{}", what());
        direct += usize::from(!after.contains("agent: [P]"));
        let before = run(name, &source, tool).unwrap();
        // Where the placeholder itself breaks the program, there is nothing to compare.
        if before.0 {
            assert_eq!(run(name, &after, tool).unwrap(), before, "{}", what());
            compared += 1;
        }
    }
    assert_eq!(refused, 0, "{name}");
    assert!(compared * 2 > lines.len(), "{name}: {compared} compared");
    assert!(direct * 3 > lines.len(), "{name}: {direct} directly above");
}

macro_rules! programs {
    ($($label:ident: $name:literal, $comment:literal, $delimiters:expr, $tool:expr;)+) => {
        $(#[test] fn $label() { check($name, $comment, &$delimiters, &$tool); })+
    };
}

const DATA_OF_XML: &str = "import sys, xml.etree.ElementTree as E
for e in E.parse(sys.argv[1]).getroot().iter():
    print(e.tag, e.attrib, ' '.join((e.text or '').split()), ' '.join((e.tail or '').split()))";
const DATA_OF_TOML: &str = "import sys, tomllib
print(tomllib.load(open(sys.argv[1], 'rb')))";
const ROWS_OF_SQL: &str = "import sys, sqlite3
connection, statement = sqlite3.connect(':memory:'), ''
for line in open(sys.argv[1], newline=''):
    statement += line
    if sqlite3.complete_statement(statement):
        print(connection.execute(statement).fetchall())
        statement = ''";

programs! {
    python_runs_the_same: "sample.py", "# @", ["\"\"\"", "'''", "coding: latin-1", "{print(1)}", "\\"], ["python3", "-B"];
    javascript_runs_the_same: "sample.js", "// @", ["`", "${process.exit(9)}", "*/", "/*", "</script>", "\\"], ["node"];
    c_is_preprocessed_to_the_same: "sample.c", "// @", ["*/", "/*", "\"", "\\", "#endif", "\n#error x\n"], ["gcc", "-E", "-P"];
    cpp_is_preprocessed_to_the_same: "sample.cpp", "// @", ["*/", "/*", ")x\"", "R\"(", "\\", "'"], ["g++", "-E", "-P"];
    bash_runs_the_same: "sample.bash", "# @", ["$(touch x)", "`touch x`", "'", "\"", "\nA\n", "\nB\n", "\\", ")", ";;"], ["bash"];
    shells_run_the_same: "sample.sh", "# @", ["$(touch x)", "`touch x`", "'", "\"", "\nEOF_A\n", "\\", ")", ";;"], ["sh"];
    perl_runs_the_same: "sample.pl", "# @", ["\n=cut\n", "\n=pod\n", "}", "{", "/", "\nA\n", "\n__END__\n", "q("], ["perl"];
    ruby_runs_the_same: "sample.rb", "# @", ["\n=end\n", "\n=begin\n", "#{exit 9}", "\"", "'", "\nA\n", ")"], ["ruby"];
    php_runs_the_same: "sample.php", "// @", ["?>", "<?php exit(9);", "*/", "\nEOT;\n", "'", "\""], ["php"];
    lua_runs_the_same: "sample.lua", "-- @", ["]]", "[[", "]==]", "--[[", "\"", "\\"], ["lua5.4"];
    make_runs_the_same: "sample.mk", "# @", ["$(shell touch x)", "\\", "endef", "\nendef\n", "$(error x)", "\n\ttouch x\n"], ["make", "-f"];
    sql_gives_the_same_rows: "sample.sql", "-- @", ["'", "\"", "*/", "/*", ";", "'); drop table t; --"], ["python3", "-c", ROWS_OF_SQL];
    yaml_holds_the_same: "sample.yaml", "# @", [": x", "- y", "|", "'", "\"", "\n---\n", "{"], ["ruby", "-ryaml", "-e", "p YAML.load_file(ARGV[0])"];
    toml_holds_the_same: "sample.toml", "# @", ["\"\"\"", "'''", "\n[x]\n", "]"], ["python3", "-c", DATA_OF_TOML];
    xml_holds_the_same: "sample.xml", "<!-- @ -->", ["-->", "]]>", "<![CDATA[", "<x>", "&x;", "\""], ["python3", "-c", DATA_OF_XML];
}
