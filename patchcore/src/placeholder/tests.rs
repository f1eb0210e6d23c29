use proptest::prelude::*;

use super::*;
use crate::edit::EditSet;

fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

/// Marks every placeholder with one mark, and remembers it.
fn run(
    name: &str,
    source: &[u8],
    mark: &Mark,
    injected: &mut Injected,
    mode: MarkMode,
) -> Result<Vec<u8>, Refusal> {
    let scanner = Scanner::new();
    let known = injected.clone();
    let marker = Marker::new(&scanner, &known).in_mode(mode);
    let marked = marker.mark(&path(name), source, &|_| Some(mark.clone()));
    let mut edits = Vec::new();
    for one in marked {
        one.note(injected);
        if let Some(refusal) = one.refusal {
            return Err(refusal);
        }
        edits.extend(one.edits);
    }
    Ok(EditSet::new(edits, source.len()).unwrap().apply(source))
}

fn prompt(text: &str) -> Mark {
    Mark::Prompt(text.to_owned())
}

fn inject(name: &str, source: &str, mark: &Mark) -> String {
    let after = run(
        name,
        source.as_bytes(),
        mark,
        &mut Injected::default(),
        MarkMode::Inject,
    );
    String::from_utf8(after.unwrap()).unwrap()
}

fn refusal(name: &str, source: &str) -> Option<Refusal> {
    let mark = prompt("x");
    run(
        name,
        source.as_bytes(),
        &mark,
        &mut Injected::default(),
        MarkMode::Inject,
    )
    .err()
}

fn refuse(name: &str, source: &str) -> Refusal {
    refusal(name, source).unwrap()
}

macro_rules! layouts {
    ($($label:ident: $name:literal, $source:literal, $mark:expr => $after:literal;)+) => {
        $(#[test] fn $label() { assert_eq!(inject($name, $source, &$mark), $after); })+
    };
}

layouts! {
    typescript_prompt: "a.ts", "a\n  ###A###\n", prompt("do it")
        => "a\n  /** agent: do it **/\n  ###A###\n";
    typescript_task: "a.ts", "/** A **/", Mark::Task("0199-u".to_owned())
        => "/* TASK_ID:0199-u – see .mission_control/tasks.json */\n/** A **/";
    several_lines_in_a_block: "a.ts", "\t/** A **/\r\n", prompt("one\n\n  two\r\nthree\n")
        => "\t/** agent: one\r\n\t *\r\n\t *    two\r\n\t *  three **/\r\n\t/** A **/\r\n";
    several_lines_of_hashes: "a.py", "  # ###A###\n", prompt("one\n\ntwo")
        => "  # agent: one\n  #\n  #   two\n  # ###A###\n";
    markdown: "a.md", "###A###\n", prompt("a --> b\nc") => "<!-- agent: a - -> b\n     c -->\n###A###\n";
    jinja_flush: "a.j2", "x\n{# ###A### #}\n", prompt("y") => "x\n{# agent: y -#}\n{# ###A### #}\n";
    jinja_indented: "a.j2", "x\n  {# ###A### #}\n", prompt("y") => "x\n{#- agent: y +#}\n  {# ###A### #}\n";
    jinja_below_a_tag: "a.j2", "{% if x %}\r\n  ###A###\r\n", prompt("y") => "{% if x %}\r\n{#- agent: y #}\r\n  ###A###\r\n";
    jinja_below_a_tag_that_keeps: "a.j2", "{% if x +%}\n  ###A###\n", prompt("y") => "{% if x +%}\n{#- agent: y +#}\n  ###A###\n";
    jinja_below_a_variable: "a.j2", "{{ x }}\n  ###A###\n", prompt("y\nz+") => "{{ x }}\n{#- agent: y\n   z+ +#}\n  ###A###\n";
    jinja_below_blank_lines: "a.j2", "x\n\n \n  ###A###\n", prompt("y") => "x\n{#- agent: [A] y +#}\n\n \n  ###A###\n";
    jinja_below_blanks_at_the_end: "a.j2", "w\nx \n  ###A###\n", prompt("y") => "w\n{# agent: [A] y -#}\nx \n  ###A###\n";
    jinja_below_another_blank: "a.j2", "w\n\tx\u{a0}\n  ###A###\n", prompt("y") => "w\n{#- agent: [A] y +#}\n\tx\u{a0}\n  ###A###\n";
    jinja_at_the_start: "a.j2", "  ###A###\n", prompt("y") => "{# agent: y #}\n  ###A###\n";
    jinja_below_front_matter: "a.njk", "---\nx: 1\n---\n  ###A###\n", prompt("y") => "---\nx: 1\n---\n{# agent: y #}\n  ###A###\n";
    twig_indented: "a.twig", "x\n  ###A###\n", prompt("y") => "x\n{# agent: y #}\n  ###A###\n";
    twig_flush: "a.twig", "x\n###A###\n", prompt("y") => "x\n{# agent: y #}\n###A###\n";
    liquid_indented: "a.liquid", "{% x %}\n  ###A###\n", prompt("y")
        => "{% x %}\n{%- comment %} agent: y {% endcomment %}\n  ###A###\n";
    jinja_below_a_dash: "a.njk", "{% x -%}\n  {# ###A### #}\n", prompt("y\n-")
        => "{% x -%}\n{# agent: y\n   - -#}\n  {# ###A### #}\n";
    jinja_above_a_dash: "a.njk", "x\n  {%- x %}{# ###A### #}\n", prompt("y")
        => "x\n{#- agent: y #}\n  {%- x %}{# ###A### #}\n";
    jinja_dash_in_raw: "a.njk", "{% raw %}\n{{- x }}\n{% endraw %}\n  {# ###A### #}\n", prompt("y")
        => "{% raw %}\n{{- x }}\n{% endraw %}\n{#- agent: y #}\n  {# ###A### #}\n";
    handlebars_below_a_dash: "a.hbs", "{{x~}}\n  ###A###\n", prompt("y")
        => "{{x~}}\n  {{!-- agent: y --~}}\n  ###A###\n";
    handlebars_above_a_dash: "a.hbs", "x\n  {{~#if y}}###A###{{/if}}\n", prompt("y")
        => "x\n  {{~!-- agent: y --}}\n  {{~#if y}}###A###{{/if}}\n";
    liquid_above_a_dash: "a.liquid", "x\n  {%- x %}###A###\n", prompt("y")
        => "x\n{%- comment %} agent: y {% endcomment %}\n  {%- x %}###A###\n";
    no_blank_line_in_markdown: "a.md", "###A###\n", prompt("a\n\n    b\n\n")
        => "<!-- agent: a\n         b -->\n###A###\n";
    sql: "a.sql", "-- ###A###\n", prompt("x") => "-- agent: x\n-- ###A###\n";
    jsx_child: "a.tsx", "<p>\n  {/* ###A### */}\n</p>\n", prompt("x")
        => "<p>\n  {/** agent: x **/}\n  {/* ###A### */}\n</p>\n";
    script_in_a_page: "a.html", "<script>\n###A###\n</script>\n###B###\n", prompt("</script>")
        => "<script>\n/** agent: < /script> **/\n###A###\n</script>\n<!-- agent: </script> -->\n###B###\n";
    php_inside_and_out: "a.php", "###A###\n<?php\n# ###B###\n", prompt("?>")
        => "<?php /* agent: ? > */ ?>\n###A###\n<?php\n/* agent: ? > */\n# ###B###\n";
    within_a_block_comment: "a.ts", "/*\n * ###A###\n */\n", prompt("x")
        => "/** agent: [A] x **/\n/*\n * ###A###\n */\n";
    within_a_comment_of_css: "a.css", "/*\n###A###\n*/\n", prompt("x")
        => "/** agent: [A] x **/\n/*\n###A###\n*/\n";
    below_a_shebang: "run", "#!/bin/sh ###A###\nx\n", prompt("x")
        => "#!/bin/sh ###A###\n# agent: [A] x\nx\n";
    above_a_continued_line: "a.sh", "a\nx \\\n  ###A###\n", prompt("x")
        => "a\n# agent: [A] x\nx \\\n  ###A###\n";
    behind_a_bom: "a.ts", "\u{feff}###A###\n", prompt("x") => "\u{feff}/** agent: x **/\n###A###\n";
    two_on_one_line: "a.ts", "###A### ###B### ###A###\n", prompt("x")
        => "/** agent: x **/\n/** agent: x **/\n###A### ###B### ###A###\n";
    adjacent_lines: "a.ts", "###A###\n###B###\n", prompt("x")
        => "/** agent: x **/\n###A###\n/** agent: x **/\n###B###\n";
    looks_like_a_placeholder: "a.py", "# ###A###\n", prompt("###B### /** C **/ ####D###")
        => "# agent: # ##B### / ** C **/ ## ##D###\n# ###A###\n";
    tags_at_the_start_of_a_line: "a.js", "###A###\n", prompt("@a @1 b@c\n@x\n * @\n@ y")
        => "/** agent: @ a @ 1 b@c\n *  <U+0040> x\n *   * <U+0040>\n *  <U+0040> y **/\n###A###\n";
    unicode_escapes_in_java: "a.java", "###A###\n", prompt("\\u002a/ \\")
        => "/* agent: \\ u002a/ \\ . */\n###A###\n";
    carriage_returns_and_separators: "a.sh", "# ###A###\n", prompt("a\rb\u{2028}c\u{1b}[2J")
        => "# agent: a\n#   b\n#   c<U+001B>[2J\n# ###A###\n";
    empty: "a.ts", "###A###\n", prompt(" \n") => "/** agent: **/\n###A###\n";
}

#[test]
fn what_cannot_be_marked_says_why() {
    for (name, source, code, says) in [
        (
            "a.json",
            "{}\n\"###A###\"",
            Code::NoCommentSyntax,
            "a.json line 2, placeholder A, cannot be marked: JSON has no comments",
        ),
        (
            "a.what",
            "###A###",
            Code::NoCommentSyntax,
            "no language is known",
        ),
        (
            "run",
            "#!/bin/sh ###A###",
            Code::NoCommentSyntax,
            "line 1 has to stay",
        ),
        (
            "a.xml",
            "<?xml ###A###?>",
            Code::NoCommentSyntax,
            "line 1 has to stay",
        ),
        ("a.ts", "\0###A###\n", Code::BinaryFile, "NUL"),
    ] {
        let refusal = refuse(name, source);
        assert_eq!(refusal.code, code, "{name}");
        assert!(refusal.message.contains(says), "{}", refusal.message);
    }
}

/// What an older comment took away is what has to be taken away where it stands.
#[test]
fn a_comment_of_a_template_that_is_renewed_keeps_its_form() {
    let mut injected = Injected::default();
    injected.insert("A", "agent: one");
    for (before, after) in [
        ("{# agent: one #}", "{# agent: two #}"),
        ("{# agent: one -#}", "{# agent: two -#}"),
        ("{#- agent: one #}", "{#- agent: two #}"),
        ("{#- agent:\n   one +#}", "{#- agent: two +#}"),
    ] {
        let source = |comment: &str| format!("x\n\n{comment}\n  ###A###\n");
        let done = run(
            "a.j2",
            source(before).as_bytes(),
            &prompt("two"),
            &mut injected,
            MarkMode::Inject,
        );
        assert_eq!(String::from_utf8(done.unwrap()).unwrap(), source(after));
    }
}

#[test]
fn a_changed_prompt_is_renewed_and_an_edited_comment_is_not() {
    let mut injected = Injected::default();
    let source = b"# ###A###\n";
    let mut step =
        |text: &[u8], mark: &Mark| run("a.py", text, mark, &mut injected, MarkMode::Inject);
    let one = step(source, &prompt("one\ntwo")).unwrap();
    let two = step(&one, &prompt("three")).unwrap();
    assert_eq!(two, b"# agent: three\n# ###A###\n");
    let back = step(&two, &prompt("one\ntwo")).unwrap();
    assert_eq!(back, one);
    let indented = String::from_utf8(back)
        .unwrap()
        .replace("#   two", "   #   two  ");
    assert_eq!(step(indented.as_bytes(), &prompt("three")).unwrap(), two);
    let edited = String::from_utf8(two).unwrap().replace("three", "four");
    for mark in [prompt("three"), prompt("five")] {
        let refusal = step(edited.as_bytes(), &mark).unwrap_err();
        assert_eq!(refusal.code, Code::CommentEdited);
        assert_eq!(refusal.line, Some(LineNumber::FIRST));
    }
    assert_eq!(
        step(edited.as_bytes(), &prompt("four")).unwrap(),
        edited.as_bytes()
    );
    let scanner = Scanner::new();
    let known = Injected::default();
    let marked =
        Marker::new(&scanner, &known)
            .overwriting()
            .mark(&path("a.py"), edited.as_bytes(), &|_| Some(prompt("five")));
    assert_eq!(marked[0].edits[0].text, b"# agent: five\n");
}

#[test]
fn a_task_comment_says_by_itself_whether_it_was_edited() {
    let task = |id: &str| Mark::Task(id.to_owned());
    let one = inject("a.ts", "###A###\n", &task("u-1"));
    assert_eq!(inject("a.ts", &one, &task("u-1")), one);
    let two = inject("a.ts", &one, &task("u-2"));
    assert_eq!(two, one.replace("u-1", "u-2"));
    let refusal_of = |text: &str| {
        run(
            "a.ts",
            text.as_bytes(),
            &task("u-3"),
            &mut Injected::default(),
            MarkMode::Inject,
        )
        .unwrap_err()
    };
    assert_eq!(
        refusal_of(&one.replace("see", "look into")).code,
        Code::CommentEdited
    );
    assert_eq!(
        refusal_of(&one.replace("u-1", "u-1 (mine)")).code,
        Code::CommentEdited
    );
}

#[test]
fn both_kinds_stand_above_one_placeholder() {
    let task = Mark::Task("u".to_owned());
    let both = inject("a.ts", &inject("a.ts", "###A###\n", &task), &prompt("x"));
    assert_eq!(
        both,
        "/* TASK_ID:u – see .mission_control/tasks.json */\n/** agent: x **/\n###A###\n"
    );
    assert_eq!(inject("a.ts", &both, &task), both);
    assert_eq!(inject("a.ts", &both, &prompt("x")), both);
}

#[test]
fn ids_on_one_line_keep_their_own_comments() {
    let scanner = Scanner::new();
    let mut known = Injected::default();
    let mut text = b"###A### ###B###\n".to_vec();
    let mut step = |a: Option<&str>, b: Option<&str>| {
        let snapshot = known.clone();
        let marked = Marker::new(&scanner, &snapshot).mark(&path("a.ts"), &text, &|id| {
            if id == "A" {
                a.map(prompt)
            } else {
                b.map(prompt)
            }
        });
        let mut edits = Vec::new();
        for one in marked {
            assert_eq!(one.refusal, None);
            one.note(&mut known);
            edits.extend(one.edits);
        }
        text = EditSet::new(edits, text.len()).unwrap().apply(&text);
        String::from_utf8(text.clone()).unwrap()
    };
    step(Some("a"), None);
    assert_eq!(
        step(None, Some("b")),
        "/** agent: a **/\n/** agent: b **/\n###A### ###B###\n"
    );
    assert_eq!(
        step(Some("a2"), Some("b")),
        "/** agent: a2 **/\n/** agent: b **/\n###A### ###B###\n"
    );
}

macro_rules! places {
    ($($label:ident: $name:literal, $source:literal => $above:expr;)+) => {
        $(#[test] fn $label() { place($name, $source, $above); })+
    };
}

/// Whether the comment for P goes right above its line (0), above another (its number from 1), or
/// nowhere (`None`).
fn place(name: &str, source: &str, above: Option<usize>) {
    let mut injected = Injected::default();
    let mark = prompt("x");
    let done = run(
        name,
        source.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    );
    let Some(above) = above else {
        done.unwrap_err();
        return;
    };
    let after = String::from_utf8(done.unwrap()).unwrap();
    let own = source
        .lines()
        .position(|line| line.contains("###P###"))
        .unwrap();
    let wanted = if above == 0 { own } else { above - 1 };
    let found = after
        .lines()
        .position(|line| line.contains("agent: "))
        .unwrap();
    assert_eq!(found, wanted, "{after}");
    assert_eq!(after.contains("agent: [P] x"), above != 0, "{after}");
    let twice = run(
        name,
        after.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    );
    assert_eq!(String::from_utf8(twice.unwrap()).unwrap(), after);
    let without = run(
        name,
        after.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Remove,
    );
    assert_eq!(String::from_utf8(without.unwrap()).unwrap(), source);
}

places! {
    template_literal: "a.js", "a\nconst q = `\n  ###P###\n`;\n" => Some(2);
    code_in_a_template_literal: "a.js", "q = `${f(\n// ###P###\n)}`;\n" => Some(0);
    regex_with_a_backtick: "a.js", "x = a.replace(/`/g, b)\n// ###P###\n" => Some(0);
    division: "a.js", "x = a / b; y = c / `\n###P###\n`\n" => Some(1);
    either_slash: "a.js", "function f() {}\n/`/.test(x)\n// ###P###\n" => Some(0);
    jsx_text: "A.jsx", "const A = () => (\n  <div>\n    ###P###\n  </div>\n);\n" => Some(2);
    jsx_expression: "A.jsx", "a = <div>\n  {x.map(() => {\n    // ###P###\n  })}\n</div>;\n" => Some(0);
    jsx_attributes: "A.tsx", "a = (\n  <div\n    id=\"x\" // ###P###\n  />\n);\n" => Some(2);
    type_parameters: "A.tsx", "const f = <T,>(x: T) => x;\n// ###P###\n" => Some(0);
    heredoc: "a.sh", "a\ncat <<EOF\n###P###\nEOF\n" => Some(2);
    behind_a_heredoc: "a.sh", "cat <<-'E F' | b\n$( '\n\tE F\n# ###P###\n" => Some(0);
    shell_string: "a.sh", "echo \"a\n###P###\nb\"\n" => Some(1);
    shell_substitution: "a.sh", "x=\"$(\n  # ###P###\n  case a in a) b;; esac\n)\"\n" => Some(0);
    f_string: "a.py", "x = 1\nX = f\"\"\"\n###P###\n\"\"\"\n" => Some(2);
    behind_an_apostrophe: "a.py", "# don't\nx = '\"\"\"'\n# ###P###\n" => Some(0);
    cookie: "a.py", "# ###P###\n# -*- coding: latin-1 -*-\nx = 1\n" => Some(3);
    raw_string: "a.rs", "const A: &str = r#\"\n###P###\n\"#;\n" => Some(1);
    lifetimes: "a.rs", "fn f<'a>(x: &'a str) { '\"' }\n// ###P###\n" => Some(0);
    raw_string_of_c: "a.cc", "auto a = R\"x(\n###P###\n)\" )x\";\n// y\n" => Some(1);
    grouped_digits: "a.cc", "int x = 1'000'000; char c = '\"';\n// ###P###\n" => Some(0);
    text_block: "A.java", "class A { String s = \"\"\"\n  ###P###\n  \"\"\"; }\n" => Some(1);
    long_bracket: "a.lua", "x = [==[\n###P###\n]] ]==]\n" => Some(1);
    sql_string: "a.sql", "create table t(x);\ninsert into t values ('\n###P###\n');\n" => Some(2);
    dollar_quotes: "a.sql", "do $x$\n-- ###P###\n$x$;\n" => Some(1);
    percent_literal: "a.rb", "x = %q(\n###P### (a)\n)\n" => Some(1);
    ruby_heredoc: "a.rb", "foo(<<~A, 1)\n  ###P###\nA\n" => Some(1);
    perl_quote: "a.pl", "my $x = q{\n###P### {}\n};\n" => Some(1);
    pod: "a.pl", "1;\n\n=pod\n\n###P###\n\n=cut\n\n1;\n" => Some(3);
    verbatim_string: "a.cs", "class A {\n string a = @\"\n ###P### \"\"\n x\";\n}\n" => Some(2);
    quotes_in_a_verbatim_string: "a.cs", "string a = @\"\n x \"\"\n ###P### \";\n" => Some(1);
    behind_a_verbatim_string: "a.cs", "string a = @\"\n x \"\"\n\";\n// ###P###\n" => Some(0);
    behind_interpolation: "a.cs", "x = $\"a {b} {{c}} {d[\"e\"]}\";\ny();\n// ###P###\n" => Some(0);
    interpolated_verbatim: "a.cs", "x = $@\"a {b} \"\"\n###P###\n{c}\";\n" => Some(1);
    less_value: "a.less", "a {\n  src: url('@{x}/y'),\n    // ###P###\n    url(z);\n}\n" => Some(2);
    less_script: "a.less", "@x: ~`(function() {\n  // ###P###\n  return 1;\n})()`;\n" => Some(1);
    less_list: "a.less", ".a {\n  transition: height 1s,\n    // ###P###\n    top 1s !important;\n}\n" => Some(2);
    less_value_of_several_lines: "a.less", ".a {\n  x: ~\"a\"\n    // ###P###\n    b\n}\n" => Some(2);
    less_end_of_a_block: "a.less", ".a {\n  x: y\n  // ###P###\n}\n" => Some(0);
    less_guard: "a.less", ".a when (@b > 1) and\n  // ###P###\n  (@b < 3) {\n  x: y;\n}\n" => Some(1);
    less_supports: "a.less", "@supports (a: b) and\n  // ###P###\n  (c: d) {\n}\n" => Some(1);
    less_in_a_component: "a.vue", "<style lang=\"less\">\n.m(@a;\n  // ###P###\n  @b) {\n}\n</style>\n" => Some(2);
    less_selector_with_a_hole: "a.less", ".@{a},\n// ###P###\n.b {\n}\n" => Some(1);
    scss_at_rule: "a.scss", "@layer a,\n  // ###P###\n  b;\n" => Some(1);
    scss_at_rule_with_a_hole: "a.scss", "@foo #{$x} {\n}\n@foo #{$x}\n  // ###P###\n  y {\n}\n" => Some(3);
    scss_include: "a.scss", ".a {\n  @include m(1,\n    // ###P###\n    2);\n}\n" => Some(0);
    scss_map: "a.scss", "$m: (\n  // ###P###\n  a: b,\n);\n" => Some(0);
    less_parameters: "a.less", ".m(@a;\n  // ###P###\n  @b) {\n  x: @a;\n}\n" => Some(1);
    less_selectors: "a.less", ".a,\n// ###P###\n.b {\n  x: y;\n}\n" => Some(0);
    less_code: "a.less", ".a-@{x} {\n  top: 1px;\n  // ###P###\n}\n" => Some(0);
    php_string: "a.php", "<?php\n$x = <<<A\n###P###\nA;\n" => Some(2);
    block_scalar: "ci.yml", "jobs:\n  gate:\n    if: |\n      a ||\n      ###P###\n    runs-on: x\n" => Some(3);
    block_scalar_of_an_item: "ci.yml", "steps:\n  - run: >-\n      ###P###\n  - x: 1\n" => Some(2);
    behind_a_block_scalar: "ci.yml", "- run: |\n    a\n  # ###P###\n  name: x\n" => Some(0);
    plain_scalar: "ci.yml", "a: b\n  c\n  d ###P###\ne: f\n" => Some(1);
    toml_string: "a.toml", "a = 1\nb = \"\"\"\n###P###\n\"\"\"\n" => Some(2);
    terraform_heredoc: "a.tf", "x = <<EOT\n###P###\nEOT\n" => Some(1);
    docker_heredoc: "Dockerfile", "FROM x\nCOPY <<EOT /etc/conf\n###P###\nEOT\n" => Some(2);
    docker_continued: "Dockerfile", "FROM x\nRUN a \\\n # ###P###\n && b\n" => Some(2);
    recipe: "Makefile", "a:\n\techo\n\t# ###P###\n\techo\n" => Some(0);
    define: "Makefile", "define X\n###P###\nendef\n" => Some(1);
    fence: "a.md", "# T\n\n```js\n// ###P###\n```\n" => Some(3);
    table: "a.md", "x\n\n| a | b |\n|---|---|\n| ###P### | x |\n" => Some(3);
    list: "a.md", "x\n\n- a\n\n- ###P###\n" => Some(3);
    html_below_a_rule: "a.md", "x\n\n---\n<ul>\n<li>\n<!-- ###P### -->\n</li>\n" => Some(4);
    html_below_a_paragraph: "a.md", "x\n<ul>\n<li>\n<!-- ###P### -->\n</li>\n" => Some(1);
    below_a_rule: "a.md", "x\n---\n###P###\n" => Some(0);
    below_an_underlined_heading: "a.md", "x\n=\n###P###\n" => Some(0);
    below_a_line_that_underlines_nothing: "a.md", "===\n###P###\n" => Some(1);
    below_a_line_that_underlines_no_quote: "a.md", "> x\n===\n###P###\n" => Some(1);
    in_an_item_that_starts_with_nothing: "a.md", "-\n  ###P###\n" => Some(1);
    html_in_markdown: "a.md", "x\n\n<sup>\na\n<!-- ###P### -->\n</sup>\n" => Some(3);
    above_a_bare_comment_line: "a.rb", "###P###\n# frozen_string_literal: true\n#\n# x\n" => Some(3);
    paragraph: "a.md", "a\n###P###\n" => Some(1);
    front_matter: "a.md", "---\ntitle: x\n# ###P###\n---\nbody\n" => Some(0);
    tag: "a.html", "<p>\n<div\n  ###P###\n  class=\"x\">\nhi</div>\n" => Some(2);
    attribute: "a.html", "<div title=\"\n###P###\n\">x</div>\n" => Some(1);
    mark_of_a_comment_in_an_attribute: "a.html", "<p title=\"<!--\">\n###P###\n</p>\n" => Some(0);
    data_in_a_page: "a.html", "<script type=\"application/json\">\n###P###\n</script>\n" => Some(1);
    php_data: "a.php", "<?php\nf();\n__halt_compiler();\n// ###P###\n" => Some(3);
    behind_a_pre: "a.html", "<p>\n<pre>\n x\n</pre>\n###P###\n" => Some(0);
    end_of_a_pre: "a.html", "<p>\n<pre>\n x\n</pre> ###P###\n" => Some(2);
    cgo_behind_a_comment: "a.go", "package main\n\n/*\n#include <a.h>\n\nint x;\n*/\nimport \"C\" // ###P###\n" => Some(2);
    textarea: "a.html", "<textarea>\n###P###\n</textarea>\n" => Some(1);
    below_the_doctype: "a.html", "<!-- ###P### -->\n<!doctype html>\n<p>\n" => Some(3);
    cdata: "a.xml", "<a>\n<b><![CDATA[\n###P###\n]]></b></a>\n" => Some(2);
    xml_text: "a.xml", "<a>\n<b>text\n###P###\n</b></a>\n" => Some(2);
    between_xml_tags: "a.xml", "<?xml version=\"1.0\"?>\n<a>\n  ###P###\n</a>\n" => Some(0);
    url_like_a_comment: "a.css", "a { background: url(//x/*.png); }\n/* ###P### */\n" => Some(0);
    svelte_attribute: "A.svelte", "<button on:click={() => {\n  // ###P###\n}}>x</button>\n" => Some(0);
    svelte_expression: "A.svelte", "<p>\n{#if\n  ###P### }\n{/if}\n" => Some(2);
    vue_block: "A.vue", "<template><p/></template>\n<i18n>\n{\n###P###\n}\n</i18n>\n" => Some(2);
    vue_script: "A.vue", "<script setup lang=\"ts\">\n// ###P###\n</script>\n" => Some(0);
    cgo: "a.go", "package main\n\n// #include <a.h>\nimport \"C\" // ###P###\n" => Some(2);
    mark_in_a_string_of_a_tag: "page.njk", "{{ f('}}',\n  2)\n}}{# ###P### #}\n" => Some(1);
    mark_in_a_string_of_a_helper: "page.hbs", "{{f \"}}\"\n  a=2\n  ###P### }}\n" => Some(1);
    tag_behind_a_comment_with_a_dash: "page.hbs", "{{!-- x --~}}\n###P###\n{{!-- y --}}\n" => Some(0);
    nested_template: "page.njk", "{# x\n###P### #}\n" => Some(1);
    template_over_a_host: "a.yml.j2", "a: |\n  ###P###\n" => Some(1);
    whitespace_control: "a.hbs", "<i>a</i>\n{{~x~}}\n###P###\n" => Some(0);
    whitespace_control_of_jinja: "a.j2", "a\n{%- if x %} ###P###\n{% endif -%}\nb\n" => Some(0);
    raw_block: "a.hbs", "{{{{raw}}}}\n###P###\n{{{{/raw}}}}\n" => Some(1);
    lua_string_that_skips_newlines: "a.lua", "x = 'a\\z\n   b' -- ###P###\n" => Some(1);
    heredocs_around_a_substitution: "a.sh",
        "cat <<A; echo $(cat <<B\nb\nB\n)\na\nA\necho # ###P###\n" => Some(0);
    switch_in_a_page: "a.php",
        "<p>\n<?php switch (1): ?>\n<?php case 1: ?> ###P###\n<?php endswitch ?>\n" => Some(2);
    list_in_a_quote_behind_a_fence: "a.md", "> ```\n> x\n> ```\n> - ###P###\n>   y\n" => Some(1);
    fence_that_its_quote_ends: "a.md", "> ```\n> x\n\n```\n```\n\n###P###\n" => Some(0);
    instruction_in_a_document_type: "a.xml",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE r [\n<?p ]>\n?>\n]>\n<r>\n###P###\n</r>\n" => Some(0);
    style_in_a_drawing: "a.html", "<p>\n<svg><style>\n/* ###P### */\n</style></svg>\n" => Some(2);
    style_behind_a_drawing: "a.html", "<svg/><svg></svg>\n<style>\n/* ###P### */\n</style>\n" => Some(0);
    document_type_without_end: "a.xml", "<!DOCTYPE r [\n<!-- ###P### -->\n" => None;
    generator: "a.ejs.t", "---\nto: src/a.ts\n---\nconst a = `\n###P###\n`\n" => Some(4);
}

/// Reflection returns documentation to the program; comments of earlier versions were some.
#[test]
fn in_php_a_prompt_is_never_documentation() {
    let layout = "<?php /* @ */ ?>\n###A###\n<?php\n  /* @ */\n  function f() {} // ###B###\n";
    let plain = |text: &str| layout.replace('@', &format!("agent: {text}"));
    let source = "###A###\n<?php\n  function f() {} // ###B###\n";
    assert_eq!(inject("a.php", source, &prompt("x")), plain("x"));
    for text in ["x", "x\n *\n *  y"] {
        let mark = prompt(&text.replace("\n *", "\n"));
        let old = plain(text).replace("/* ", "/** ").replace(" */", " **/");
        let old = old.replace("\n *\n *  y **/\n  f", "\n   *\n   *  y **/\n  f");
        let mut injected = Injected::default();
        let mut step = |text: &str, mark: &Mark, mode| {
            let after = run("a.php", text.as_bytes(), mark, &mut injected, mode);
            String::from_utf8(after.unwrap()).unwrap()
        };
        assert_eq!(step(&old, &mark, MarkMode::Inject), old);
        assert_eq!(step(&old, &mark, MarkMode::Remove), source);
        assert_eq!(step(&old, &prompt("z"), MarkMode::Inject), plain("z"));
    }
}

/// Compilers check documentation: `@param x`, `\\param x`, and any where nothing is documented.
#[test]
fn in_c_and_java_a_prompt_is_never_documentation() {
    for name in ["A.java", "a.c", "a.h", "a.cpp", "a.m"] {
        let source = "  // ###A###\n  int f();\n";
        let plain = format!("  /* agent: x */\n{source}");
        assert_eq!(inject(name, source, &prompt("x")), plain, "{name}");
        let old = plain.replace("/* agent: x */", "/** agent: x **/");
        let mut injected = Injected::default();
        let mut step = |mark: &Mark, mode| {
            let after = run(name, old.as_bytes(), mark, &mut injected, mode);
            String::from_utf8(after.unwrap()).unwrap()
        };
        assert_eq!(step(&prompt("x"), MarkMode::Inject), old, "{name}");
        assert_eq!(step(&prompt("x"), MarkMode::Remove), source, "{name}");
        assert_eq!(
            step(&prompt("z"), MarkMode::Inject),
            plain.replace('x', "z")
        );
    }
}

/// A comment that is documentation itself would take the place of what stands above.
#[test]
fn readings_that_meet_over_and_over_take_no_more_than_the_text() {
    // Each regular expression may as well be a division, which makes a template of the next one.
    let source = "function f() {}\n/`/.test(x)\n".repeat(2_000) + "// ###P###\n";
    let mut injected = Injected::default();
    let mark = prompt("x");
    let done = run(
        "a.js",
        source.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    );
    let after = String::from_utf8(done.unwrap()).unwrap();
    assert_eq!(after.matches("agent: ").count(), 1);
}

#[test]
fn below_documentation_a_prompt_is_none() {
    for (name, above) in [
        ("a.ts", "/** of f */\n"),
        ("a.ts", "/**\n * of f; {x}\n */\n// and; so on\n@dec()\n"),
        ("a.java", "  /** of f */ @Deprecated\n"),
        ("a.c", "/** of f */\nstatic\n"),
        ("A.vue", "<script>\n/** of f */\n"),
    ] {
        let source = format!("{above}f() // ###P###\n");
        let after = inject(name, &source, &prompt("x"));
        assert_eq!(after, format!("{above}/* agent: x */\nf() // ###P###\n"));
        // The task's comment and another prompt change nothing about it.
        let again = format!("{above}/** agent: x **/\nf() // ###P###\n");
        let twice = run(
            name,
            again.as_bytes(),
            &prompt("x"),
            &mut Injected::default(),
            MarkMode::Inject,
        );
        assert_eq!(twice.unwrap(), again.as_bytes());
    }
    for above in [
        "/** of g */ g();\n",
        "/* no doc */\n",
        "/** of C */ class C {\n",
    ] {
        let source = format!("{above}f() // ###P###\n");
        let after = inject("a.ts", &source, &prompt("x"));
        assert!(after.contains("/** agent: x **/"), "{after}");
    }
}

/// In a template every comment is the engine's, whatever it is a template for.
#[test]
fn the_host_of_a_template_lends_no_comment() {
    for (name, comment) in [
        ("a.ejs", "<%# agent: {% x -%>"),
        ("a.njk", "{# agent: { % x -#}"),
        ("a.hbs", "{{!-- agent: {% x --}}"),
    ] {
        let source = "<script>\nlet a // ###P###\n</script>\n";
        let after = inject(name, source, &prompt("{% x"));
        assert_eq!(
            after,
            format!("<script>\n{comment}\nlet a // ###P###\n</script>\n")
        );
    }
}

/// A bare line of somebody else's comment below is none of ours.
#[test]
fn removal_leaves_the_comment_below() {
    let source = "# ###P###\n# frozen_string_literal: true\n#\n#   more\n";
    let mut injected = Injected::default();
    let mark = prompt("a\n  b");
    let after = run(
        "a.rb",
        source.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let removed = run("a.rb", &after, &mark, &mut injected, MarkMode::Remove).unwrap();
    assert_eq!(String::from_utf8(removed).unwrap(), source);
}

#[test]
fn a_region_has_its_own_comments() {
    let page =
        "<script>\n// ###P###\n</script>\n<style>\n/* ###P### */\n</style>\n<p>###P###</p>\n";
    assert_eq!(
        inject("a.html", page, &prompt("x")),
        "<script>\n/** agent: x **/\n// ###P###\n</script>\n<style>\n/** agent: x **/\n/* ###P### */\n</style>\n<!-- agent: x -->\n<p>###P###</p>\n"
    );
    assert_eq!(
        inject("A.jsx", "<p>\n  {/* ###P### */}\n</p>\n", &prompt("x")),
        "<p>\n  {/** agent: x **/}\n  {/* ###P### */}\n</p>\n"
    );
}

#[test]
fn a_comment_is_known_again_after_a_formatter() {
    let mark = prompt("one two three\nfour five");
    for (name, source, changes) in [
        (
            "a.rs",
            "fn f() {\n    // ###A###\n}\n",
            &[("three\n    //   four", "\n    // three four\n    //")][..],
        ),
        (
            "a.ts",
            "f();\n  // ###A###\n",
            &[
                ("\n   *  four five", " four\n\t * five"),
                ("  /**", "/**"),
                ("**/\n", "**/\n\n"),
            ][..],
        ),
        (
            "a.html",
            "<p>\n###A###\n</p>\n",
            &[
                ("two three\n     four", "two\n  three four"),
                ("<!--", "\t<!--"),
            ][..],
        ),
        (
            "a.py",
            "x = 1\n# ###A###\n",
            &[("# ###A###", "\n\nimport y\n# ###A###")][..],
        ),
    ] {
        let mut injected = Injected::default();
        let mut step = |text: &str, mark: &Mark, mode| {
            let after = run(name, text.as_bytes(), mark, &mut injected, mode).unwrap();
            String::from_utf8(after).unwrap()
        };
        let once = step(source, &mark, MarkMode::Inject);
        let mut formatted = once.clone();
        for (from, to) in changes {
            assert!(
                formatted.contains(from),
                "{name}: {from:?} in {formatted:?}"
            );
            formatted = formatted.replacen(from, to, 1);
        }
        assert_eq!(
            step(&formatted, &mark, MarkMode::Inject),
            formatted,
            "{name}"
        );
        let renewed = step(&formatted, &prompt("six"), MarkMode::Inject);
        assert!(!renewed.contains("two"), "{renewed}");
        assert_eq!(renewed.matches("agent:").count(), 1, "{renewed}");
        let removed = step(&formatted, &mark, MarkMode::Remove);
        assert!(
            !removed.contains("two") && !removed.contains("five"),
            "{removed}"
        );
        assert_eq!(step(&once, &mark, MarkMode::Remove), source);
    }
}

#[test]
fn comments_of_an_earlier_version_are_known_by_their_checksums() {
    let earlier = "# agent: one\n#   two";
    let sum = crate::placeholder::injected::checksum(earlier);
    let known = format!("{{\"A\": [\"{sum}\"]}}");
    let mut injected: Injected = serde_json::from_str(&known).unwrap();
    let text = format!("{earlier}\n# ###A###\n");
    let mark = prompt("new");
    let after = run(
        "a.py",
        text.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    );
    assert_eq!(after.unwrap(), b"# agent: new\n# ###A###\n");
}

#[test]
fn what_tools_look_for_in_comments_is_broken_up() {
    for (name, text, gone) in [
        ("a.ts", "x\n@ts-ignore", "@ts-ignore"),
        ("a.js", "@jsx h", "@jsx"),
        ("a.js", "eslint-disable", "eslint"),
        ("a.py", "coding: latin-1", "coding:"),
        ("a.py", "x\ntype: int", "type:"),
        ("a.py", "pragma: no cover", "pragma"),
        ("a.py", "vim: set x", "vim:"),
        ("a.go", "x\n+build ignore", "+build"),
        ("a.go", "x\ngo:embed y", "go:embed"),
        (
            "a.rb",
            "x\nfrozen_string_literal: true",
            "frozen_string_literal",
        ),
        ("a.pl", "x\nline 200 \"y\"", "line 200"),
        ("a.java", "@deprecated", "@deprecated"),
    ] {
        let after = inject(name, "x\n###A###\n", &prompt(text));
        assert!(!after.contains(gone), "{after}");
    }
    let after = inject("a.ts", "###A###\n", &prompt("write to me@example.org"));
    assert!(after.contains("me@example.org"), "{after}");
}

/// A comment must not change what the next injection takes for structure.
#[test]
fn what_a_comment_holds_is_not_read_as_structure() {
    const PIECES: [&str; 33] = [
        "<script>",
        "</script>",
        "<style>",
        "<!--",
        "-->",
        "`",
        "${",
        "\"\"\"",
        "'''",
        "r#\"",
        "/*",
        "*/",
        "[[",
        "{{",
        "{%",
        "<%",
        "<?php",
        "?>",
        "$x$",
        "\\'",
        "'",
        "\"",
        "$(",
        "<<EOF",
        "|",
        "```",
        "---",
        "=begin",
        "=pod",
        "__END__",
        "define x",
        "R\"(",
        "<![CDATA[",
    ];
    for language in Language::all() {
        let Some(style) = language.style else {
            continue;
        };
        let name = language.sample_name();
        for piece in PIECES {
            let text = format!("{piece} x\n{piece}\n{piece}");
            let mark = prompt(&text);
            let line = |id: &str| format!("{} ###{id}### {}\n", style.opener(), style.closer());
            let source = format!("x\n\n{}y\n\n{}z\n", line("A"), line("B"));
            let mut injected = Injected::default();
            let mut step = |text: &[u8], mode| {
                let after = run(&name, text, &mark, &mut injected, mode);
                after.unwrap_or_else(|refusal| panic!("{name} {piece:?}: {refusal:?}"))
            };
            let text_of = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let once = step(source.as_bytes(), MarkMode::Inject);
            let twice = step(&once, MarkMode::Inject);
            assert_eq!(text_of(&twice), text_of(&once), "{name} {piece:?}");
            let removed = step(&once, MarkMode::Remove);
            assert_eq!(text_of(&removed), source, "{name} {piece:?}");
        }
    }
}

#[test]
fn a_prompt_is_no_part_of_another_reading() {
    // Behind a brace a slash may be either; the prompt must not make the wrong reading whole.
    let source = "function f() {}\n/`/.test(q)\n// ###P###\nx()\n";
    let mark = prompt("` ${x} /");
    let mut injected = Injected::default();
    let mut step = |text: &[u8], mode| run("a.js", text, &mark, &mut injected, mode).unwrap();
    let once = step(source.as_bytes(), MarkMode::Inject);
    assert!(once.ends_with(b"/** agent: ` ${x} / **/\n// ###P###\nx()\n"));
    assert_eq!(step(&once, MarkMode::Inject), once);
    assert_eq!(step(&once, MarkMode::Remove), source.as_bytes());
}

fn nasty() -> Vec<String> {
    let mut prompts: Vec<String> = [
        "*/",
        "-->",
        "\"\"\"",
        "'''",
        "\n::set-env name=x::y",
        "x\n  ::error::y",
        "\r",
        "a\rb",
        "--}}",
        "#}",
        "%>",
        "*)",
        "(*",
        "/*",
        "<!--",
        "--!>",
        "]]",
        "]=]",
        "-}",
        "{-",
        "#>",
        "<#",
        "\\",
        "^",
        "x\\\ny",
        "?>",
        "</script>",
        "\0",
        "\u{1b}[31m",
        "\u{202e}x",
        "\u{2028}y",
        "\u{85}z",
        "\u{b}w",
        "###A###",
        "/** A **/",
        "######A######",
        "\\u002a/",
        "##[error]x",
        "##vso[task.x]",
        "%PATH%",
        "${{ x }}",
        "`",
        "{|",
        "\"",
        "=begin",
        "\n=end\n",
        "\n\n",
        "",
        " ",
        "\ttab",
        "*",
        "/",
        "*\n/",
        "-",
        "->",
        "#=",
        "agent: agent:",
        "TASK_ID:x",
        "*/ agent: y /*",
        "\n*/\n",
        "\n-->\n",
    ]
    .map(str::to_owned)
    .to_vec();
    prompts.push("😀".repeat(256));
    prompts.push("👩‍👩‍👧‍👦\n".repeat(40));
    prompts.push("*/\n-->\n\"\"\"\n".repeat(10));
    prompts
}

#[test]
fn no_text_leaves_its_comment_in_any_language() {
    let mut styles = 0;
    for language in Language::all() {
        let Some(style) = language.style else {
            continue;
        };
        styles += 1;
        let name = language.sample_name();
        for text in nasty() {
            for mark in [prompt(&text), Mark::Task(text.clone())] {
                check(&name, style, &mark, &text);
            }
        }
    }
    assert!(styles >= 80);
}

fn check(name: &str, style: &CommentStyle, mark: &Mark, text: &str) {
    let what = || format!("{name}: {text:?}");
    // Where the language is not known well enough, in a comment of its own.
    let line = match refusal(name, "first\n  ###A### x\nlast") {
        Some(refusal) => {
            assert!(refusal.message.contains("comment of its own"), "{}", what());
            format!("  {} ###A### x {}\n", style.opener(), style.closer())
        }
        None => "  ###A### x\n".to_owned(),
    };
    let source = format!("first\n\n{line}last");
    let mut injected = Injected::default();
    let after = run(
        name,
        source.as_bytes(),
        mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let after = String::from_utf8(after).unwrap();
    // In a template that would print it the comment goes above the blank line.
    let (above, below) = match style.trims.is_some_and(|trims| trims.prints) {
        true => ("first\n", format!("\n{line}last")),
        false => ("first\n\n", format!("{line}last")),
    };
    let comment = after
        .strip_prefix(above)
        .and_then(|rest| rest.strip_suffix(&below))
        .unwrap_or_else(|| panic!("{}", what()));
    let indented = style.indent != crate::placeholder::style::Indent::None;
    assert!(
        comment.ends_with('\n') && comment.starts_with("  ") == indented,
        "{}",
        what()
    );
    assert!(
        super::super::find(comment.as_bytes()).is_empty(),
        "{}",
        what()
    );
    for line in comment.lines() {
        let bare = line.trim_start();
        assert!(
            !bare.starts_with("::") && !bare.contains("##["),
            "{}",
            what()
        );
        assert!(
            !bare.contains(|c: char| c.is_control() && c != '\t'),
            "{}",
            what()
        );
        assert!(!bare.ends_with(['\\', '^']), "{}", what());
        if style.is_line() {
            assert!(bare.starts_with(style.opener()), "{}", what());
        }
        for sequence in style.forbidden {
            let trims = style.trims.map(|trims| [trims.above, trims.keeps]);
            let [above, keeps] = trims.unwrap_or(style.task);
            let inside = bare
                .trim_start_matches(style.prompt[0])
                .trim_start_matches(style.task[0])
                .trim_start_matches(above)
                .trim_end_matches(keeps)
                .trim_end_matches(style.prompt[1])
                .trim_end_matches(style.task[1]);
            assert!(!inside.contains(sequence), "{} {sequence}", what());
        }
    }
    if !style.is_line() {
        assert_eq!(comment.matches(style.closer()).count(), 1, "{}", what());
        assert!(comment.trim_end().ends_with(style.closer()), "{}", what());
    }
    let again = run(
        name,
        after.as_bytes(),
        mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    assert_eq!(String::from_utf8(again).unwrap(), after, "{}", what());
    let removed = run(
        name,
        after.as_bytes(),
        mark,
        &mut injected,
        MarkMode::Remove,
    )
    .unwrap();
    assert_eq!(String::from_utf8(removed).unwrap(), source, "{}", what());
    let renewed = run(
        name,
        after.as_bytes(),
        &prompt("new"),
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let expected = match mark {
        Mark::Prompt(_) => inject(name, &source, &prompt("new")),
        Mark::Task(_) => inject(name, &after, &prompt("new")),
    };
    assert_eq!(String::from_utf8(renewed).unwrap(), expected, "{}", what());
}

proptest! {
    #[test]
    fn injecting_twice_is_once_and_removal_restores_every_byte(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "###A###", "/** B **/", " ", "\t", "\n", "\r\n", "x", "// y", "# z", "/*", "*/", "/** agent",
                "# agent: other", "\\", "é", "<!--", "-->", "#   ", " *  ",
            ]),
            0..30,
        ),
        text in proptest::sample::select(nasty()),
        name in proptest::sample::select(vec!["a.ts", "a.py", "a.html", "a.c", "a.sh", "a.css", "a.rs", "a.md"]),
        bom in any::<bool>(),
    ) {
        let source = format!("{}{}", if bom { "\u{feff}" } else { "" }, pieces.concat());
        let mark = prompt(&text);
        let mut injected = Injected::default();
        if let Ok(once) = run(name, source.as_bytes(), &mark, &mut injected, MarkMode::Inject) {
            let count = |bytes: &[u8]| super::super::find(bytes).len();
            prop_assert_eq!(count(&once), count(source.as_bytes()));
            let twice = run(name, &once, &mark, &mut injected, MarkMode::Inject).unwrap();
            prop_assert_eq!(&twice, &once);
            let removed = run(name, &once, &mark, &mut injected, MarkMode::Remove).unwrap();
            prop_assert_eq!(removed, source.as_bytes());
        }
    }
}

/// Comments that look like ours and are not closed, share one end, or share one line: each line is
/// read once, not once for each comment above it.
#[test]
fn many_comments_that_are_not_closed_are_read_once() {
    const MANY: usize = 20_000;
    let known = "above the others";
    for (name, open, close, placeholder) in [
        ("a.ts", "/* agent: x\n", "", "// ###P###\n"),
        ("a.css", "/* agent: x\n", "*/\n", "/* ###P### */\n"),
        ("a.css", "/* agent: x\n", "*/ a{}\n", "/* ###P### */\n"),
        ("a.html", "<!-- agent: x\n", "", "<p>###P###</p>\n"),
        ("a.njk", "{# agent: x\n", "", "###P###\n"),
        ("a.py", "#   agent: x\n", "", "# ###P###\n"),
        ("a.py", "# agent: ", "\n", "# ###P###\n"),
    ] {
        let source = format!("{placeholder}{}{close}", open.repeat(MANY));
        let mut injected = Injected::default();
        let mark = prompt(known);
        let bytes = source.as_bytes();
        let after = run(name, bytes, &mark, &mut injected, MarkMode::Inject).unwrap();
        assert!(after.len() > source.len(), "{name} {open:?}");
        let again = run(name, &after, &mark, &mut injected, MarkMode::Inject).unwrap();
        assert!(again == after, "{name} {open:?}: twice is once");
        let back = run(name, &after, &mark, &mut injected, MarkMode::Remove).unwrap();
        assert!(back == bytes, "{name} {open:?}");
    }
}

/// A line comment may have any number of the lines that hang below it, and is known in each.
#[test]
fn a_comment_is_known_in_each_number_of_lines_that_it_may_have() {
    let mut injected = Injected::default();
    let mark = prompt("first\nsecond\nthird");
    let source = "# ###P###\n";
    let after = run(
        "a.py",
        source.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let text = String::from_utf8(after).unwrap();
    let (comment, _) = text.split_once("# ###P###").unwrap();
    // Other lines that hang below it, and one that is laid out again in more lines.
    for below in ["#   mine\n#   too\n", "#\n#   mine\n", ""] {
        for own in [
            comment.to_owned(),
            comment.replace("second", "\n#   second"),
        ] {
            let source = format!("{own}{below}# ###P###\n");
            let bytes = source.as_bytes();
            let again = run("a.py", bytes, &mark, &mut injected, MarkMode::Inject).unwrap();
            assert_eq!(String::from_utf8(again).unwrap(), source);
            let back = run("a.py", bytes, &mark, &mut injected, MarkMode::Remove).unwrap();
            let left = format!("{below}# ###P###\n");
            assert_eq!(String::from_utf8(back).unwrap(), left);
        }
    }
}

/// gofmt takes the lines that hang for code, and puts bare lines around them in documentation.
#[test]
fn the_bare_line_that_gofmt_puts_below_goes_with_the_comment() {
    let mut injected = Injected::default();
    let mark = prompt("do this\nand that");
    let source = "// F does it.\n// ###P###\nfunc F() {}\n";
    let after = run(
        "a.go",
        source.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let after = String::from_utf8(after).unwrap();
    let comment = "// agent: do this\n//   and that\n";
    assert_eq!(
        after,
        source.replace("// ###P###", &format!("{comment}// ###P###"))
    );
    for formatted in [
        "// agent: do this\n//\n//\tand that\n//\n",
        "// agent: do this\n//   and that\n//\n",
    ] {
        let after = after.replace(comment, formatted);
        let again = run(
            "a.go",
            after.as_bytes(),
            &mark,
            &mut injected,
            MarkMode::Inject,
        );
        assert_eq!(String::from_utf8(again.unwrap()).unwrap(), after);
        let back = run(
            "a.go",
            after.as_bytes(),
            &mark,
            &mut injected,
            MarkMode::Remove,
        );
        assert_eq!(String::from_utf8(back.unwrap()).unwrap(), source);
    }
    // Elsewhere a bare line below is somebody's.
    let rust = format!("{comment}//\n{source}");
    let back = run(
        "a.rs",
        rust.as_bytes(),
        &mark,
        &mut injected,
        MarkMode::Remove,
    );
    assert_eq!(
        String::from_utf8(back.unwrap()).unwrap(),
        format!("//\n{source}")
    );
}

/// Prettier puts a comment between the members of a union, or between interfaces, behind the sign.
#[test]
fn a_comment_of_graphql_goes_above_a_list_of_members() {
    for (source, line) in [
        ("union U =\n  | A\n  # ###P###\n  | B\n", "union"),
        ("union U =\n  # ###P###\n  | A\n", "union"),
        ("union U =\n  # ###P###\n  A\n", "union"),
        ("union U = A |\n  # ###P###\n  B\n", "union"),
        (
            "type T implements\n  # ###P###\n  & A\n  & B {\n  a: Int\n}\n",
            "type",
        ),
        (
            "type T implements A &\n  # ###P###\n  B {\n  a: Int\n}\n",
            "type",
        ),
        (
            "directive @d on\n  | FIELD\n  | QUERY # ###P###\n",
            "directive",
        ),
    ] {
        let after = inject("a.graphql", source, &prompt("x"));
        assert_eq!(after, format!("# agent: [P] x\n{source}"), "{line}");
    }
    for (source, after) in [
        (
            "union U = A | B\n# ###P###\ntype T {\n  a: Int\n}\n",
            "# agent: x\n# ###P###",
        ),
        (
            "type T {\n  a(x: Int = 1): Int\n  # ###P###\n  b: Int\n}\n",
            "  # agent: x\n  # ###P###",
        ),
    ] {
        let marked = inject("a.graphql", source, &prompt("x"));
        assert!(marked.contains(after), "{marked}");
    }
}
