//! Which language a file is written in, and how that writes comments.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::style::{
    BATCH, BLOCK, C, CSS, CommentStyle, DASHES, DOUBLE_SEMICOLON, EXCLAMATION, GO, HAML,
    HANDLEBARS, HASH, HASH_AND_ANGLE, HASH_AND_STAR, HASH_NESTING, HTML, JAVA, JINJA, JSX_CHILD,
    LIQUID, MAKE, MARKDOWN, ML, PERCENT, PHP_TAG, PUG, QUOTE, SEMICOLON, SLASHES, TEMPLATE_TAG,
    TWIG, VIM,
};
use crate::path::RelPath;

/// A language, as far as placeholders are concerned.
#[derive(Debug)]
pub struct Language {
    /// Its name, for people.
    pub name: &'static str,
    /// How it writes comments; `None` where it has none.
    pub style: Option<&'static CommentStyle>,
    extensions: &'static [&'static str],
    names: &'static [&'static str],
    interpreters: &'static [&'static str],
}

/// Suffixes that say that a file is a template of the file without them.
const TEMPLATE_SUFFIXES: [&str; 8] = [
    "tmpl", "template", "tpl", "in", "example", "sample", "dist", "orig",
];

impl Language {
    /// The language of a file, by its name, its extension or its `#!` line.
    ///
    /// ```
    /// use patchcore::{RelPath, placeholder::Language};
    /// let of = |path: &str, text: &str| {
    ///     let path = RelPath::new(path).expect("the path is relative");
    ///     Language::of(&path, text.as_bytes()).map(|language| language.name)
    /// };
    /// assert_eq!(of("src/agent.ts", ""), Some("TypeScript"));
    /// assert_eq!(of("Dockerfile", ""), Some("Dockerfile"));
    /// assert_eq!(of("bin/run", "#!/usr/bin/env python3\n"), Some("Python"));
    /// assert_eq!(of("data.xyz", ""), None);
    /// ```
    #[must_use]
    pub fn of(path: &RelPath, bytes: &[u8]) -> Option<&'static Self> {
        let name = String::from_utf8_lossy(path.file_name());
        by_name(&name).or_else(|| by_interpreter(bytes))
    }

    /// The language of a file by its name alone.
    pub(super) fn of_name(name: &str) -> Option<&'static Self> {
        by_name(name)
    }

    /// All languages that are known.
    #[must_use]
    pub fn all() -> &'static [Self] {
        LANGUAGES
    }

    /// A file name of the language, for tests and listings.
    #[must_use]
    pub fn sample_name(&self) -> String {
        match (self.names.first(), self.extensions.first()) {
            (_, Some(extension)) => format!("sample.{extension}"),
            (Some(name), None) => (*name).to_owned(),
            (None, None) => "sample".to_owned(),
        }
    }
}

struct Index {
    names: HashMap<&'static str, &'static Language>,
    extensions: HashMap<&'static str, &'static Language>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index {
            names: HashMap::new(),
            extensions: HashMap::new(),
        };
        for language in LANGUAGES {
            index
                .names
                .extend(language.names.iter().map(|name| (*name, language)));
            index
                .extensions
                .extend(language.extensions.iter().map(|ext| (*ext, language)));
        }
        index
    })
}

fn by_name(name: &str) -> Option<&'static Language> {
    let lower = name.to_ascii_lowercase();
    let mut rest = lower.as_str();
    // A generator's template, whatever its last extension says elsewhere.
    if rest.ends_with(".ejs.t") {
        return index().extensions.get("ejs").copied();
    }
    loop {
        if let Some(language) = index().names.get(rest) {
            return Some(language);
        }
        let (stem, extension) = rest.rsplit_once('.')?;
        if let Some(language) = index().extensions.get(extension) {
            return Some(language);
        }
        // `Dockerfile.dev`, `.env.local`: the name goes on behind what says the language.
        if let Some(language) = index().names.get(stem) {
            return Some(language);
        }
        if !TEMPLATE_SUFFIXES.contains(&extension) {
            return None;
        }
        rest = stem;
    }
}

fn by_interpreter(bytes: &[u8]) -> Option<&'static Language> {
    let line = bytes.strip_prefix(b"#!")?;
    let line = &line[..crate::bytes::find(b'\n', line)
        .unwrap_or(line.len())
        .min(256)];
    let line = std::str::from_utf8(line).ok()?;
    line.split_ascii_whitespace()
        .filter_map(|word| word.rsplit('/').next())
        .filter(|word| !word.starts_with('-') && !word.contains('=') && *word != "env")
        .take(1)
        .find_map(|word| {
            let bare = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            LANGUAGES
                .iter()
                .find(|language| language.interpreters.contains(&bare))
        })
}

macro_rules! languages {
    ($($name:literal, $style:expr, [$($ext:literal)*] $(, names [$($file:literal)*])?
        $(, run [$($run:literal)*])?;)+) => {
        const LANGUAGES: &[Language] = &[$(Language {
            name: $name,
            style: $style,
            extensions: &[$($ext),*],
            names: &[$($($file),*)?],
            interpreters: &[$($($run),*)?],
        }),+];
    };
}

// File names in lower case.
languages! {
    "TypeScript", Some(&BLOCK), ["ts" "mts" "cts"], run ["ts-node" "deno" "bun" "tsx"];
    "JavaScript", Some(&BLOCK), ["js" "mjs" "cjs"], run ["node" "nodejs"];
    "TSX", Some(&BLOCK), ["tsx"];
    "JSX", Some(&BLOCK), ["jsx"];
    "Java", Some(&JAVA), ["java"];
    "C", Some(&C), ["c" "h"];
    "C++", Some(&C), ["cpp" "cc" "cxx" "hpp" "hh" "hxx" "ipp" "cu" "cuh" "ino"];
    "Objective-C", Some(&C), ["m" "mm"];
    "OpenGL shading language", Some(&C), ["glsl" "vert" "frag" "comp" "hlsl"];
    "CSS", Some(&CSS), ["css" "pcss"];
    "SCSS", Some(&SLASHES), ["scss"];
    "Less", Some(&SLASHES), ["less"];
    "Sass", Some(&SLASHES), ["sass"];
    "Stylus", Some(&SLASHES), ["styl"];
    "MDX", Some(&JSX_CHILD), ["mdx"];
    "AsciiDoc", Some(&SLASHES), ["adoc" "asciidoc"];
    "PHP", Some(&PHP_TAG), ["php" "phtml"], run ["php"];
    "Go", Some(&GO), ["go"], names ["go.mod" "go.work"];
    "Rust", Some(&SLASHES), ["rs"], run ["rust-script"];
    "C#", Some(&SLASHES), ["cs" "csx"];
    "F#", Some(&SLASHES), ["fs" "fsx" "fsi"];
    "Kotlin", Some(&SLASHES), ["kt" "kts"];
    "Swift", Some(&SLASHES), ["swift"], run ["swift"];
    "Scala", Some(&SLASHES), ["scala" "sc" "sbt"];
    "Dart", Some(&SLASHES), ["dart"];
    "Groovy", Some(&SLASHES), ["groovy" "gradle"], names ["jenkinsfile"], run ["groovy"];
    "D", Some(&SLASHES), ["d"];
    "Zig", Some(&SLASHES), ["zig" "zon"];
    "V", Some(&SLASHES), ["v" "sv"];
    "Solidity", Some(&SLASHES), ["sol"];
    "WebGPU shading language", Some(&SLASHES), ["wgsl"];
    "Protocol Buffers", Some(&SLASHES), ["proto"];
    "Prisma", Some(&SLASHES), ["prisma"];
    "Thrift", Some(&SLASHES), ["thrift"];
    "Gleam", Some(&SLASHES), ["gleam"];
    "Jsonnet", Some(&SLASHES), ["jsonnet" "libsonnet"];
    "JSON with comments", Some(&SLASHES), ["jsonc" "json5"],
        names ["tsconfig.json" "jsconfig.json" ".eslintrc.json" "devcontainer.json"];
    "Hjson", Some(&SLASHES), ["hjson"];
    "Python", Some(&HASH), ["py" "pyi" "pyw" "pyx" "bzl" "star"],
        names ["build.bazel" "workspace.bazel" "snakefile" "sconstruct" "tiltfile"], run ["python" "pypy"];
    "Ruby", Some(&HASH), ["rb" "rake" "gemspec" "ru"],
        names ["gemfile" "rakefile" "podfile" "brewfile" "vagrantfile" "fastfile"], run ["ruby"];
    "Shell", Some(&HASH), ["sh" "bash" "zsh" "ksh" "bats"],
        names [".bashrc" ".zshrc" ".profile" ".bash_profile" "pkgbuild"],
        run ["sh" "bash" "zsh" "dash" "ksh" "ash"];
    "fish", Some(&HASH), ["fish"], run ["fish"];
    "PowerShell", Some(&HASH_AND_ANGLE), ["ps1" "psm1" "psd1"], run ["pwsh"];
    "Perl", Some(&HASH), ["pl" "pm" "t"], run ["perl"];
    "R", Some(&HASH), ["r"], names [".rprofile"], run ["Rscript"];
    "Julia", Some(&HASH_NESTING), ["jl"], run ["julia"];
    "Elixir", Some(&HASH), ["ex" "exs"], run ["elixir"];
    "Nim", Some(&HASH_NESTING), ["nim" "nims"];
    "Crystal", Some(&HASH), ["cr"];
    "CoffeeScript", Some(&HASH), ["coffee"];
    "Tcl", Some(&HASH), ["tcl"], run ["tclsh" "wish"];
    "awk", Some(&HASH), ["awk"], run ["awk" "gawk"];
    "Makefile", Some(&MAKE), ["mk" "mak"], names ["makefile" "gnumakefile"], run ["make"];
    "just", Some(&HASH), ["just"], names ["justfile" ".justfile"], run ["just"];
    "CMake", Some(&HASH), ["cmake"], names ["cmakelists.txt"];
    "Dockerfile", Some(&HASH), ["dockerfile" "containerfile"], names ["dockerfile" "containerfile"];
    "YAML", Some(&HASH), ["yaml" "yml"], names [".clang-format" ".clang-tidy"];
    "TOML", Some(&HASH), ["toml"], names ["cargo.lock" "poetry.lock" "pipfile"];
    "Terraform", Some(&HASH_AND_STAR), ["tf" "tfvars" "hcl" "nomad"];
    "GraphQL", Some(&HASH), ["graphql" "gql"];
    "Nix", Some(&HASH), ["nix"];
    "Meson", Some(&HASH), [], names ["meson.build" "meson_options.txt"];
    "Gherkin", Some(&HASH), ["feature"];
    "Robot Framework", Some(&HASH), ["robot"];
    "HTTP requests", Some(&HASH), ["http" "rest"];
    "Java properties", Some(&HASH), ["properties"];
    "environment", Some(&HASH), ["env" "envrc"], names [".env"];
    "configuration", Some(&HASH), ["conf" "cfg" "desktop" "service" "socket" "timer"],
        names [".editorconfig" ".npmrc" ".gitconfig" "codeowners" "procfile"];
    "ignore list", Some(&HASH), ["gitignore" "dockerignore"],
        names [".npmignore" ".gitattributes" ".prettierignore" ".eslintignore"];
    "requirements", Some(&HASH), [], names ["requirements.txt" "constraints.txt"];
    "INI", Some(&SEMICOLON), ["ini" "inf" "reg"];
    "assembly", Some(&SEMICOLON), ["asm" "nasm"];
    "Lisp", Some(&DOUBLE_SEMICOLON), ["lisp" "lsp" "cl" "el"], names [".emacs"], run ["sbcl"];
    "Scheme", Some(&DOUBLE_SEMICOLON), ["scm" "ss" "rkt"], run ["guile" "racket"];
    "Clojure", Some(&DOUBLE_SEMICOLON), ["clj" "cljs" "cljc" "edn"], run ["bb"];
    "SQL", Some(&DASHES), ["sql" "ddl" "psql"];
    "Lua", Some(&DASHES), ["lua" "luau"], run ["lua" "luajit"];
    "Haskell", Some(&DASHES), ["hs"], run ["runghc" "runhaskell"];
    "Elm", Some(&DASHES), ["elm"];
    "PureScript", Some(&DASHES), ["purs"];
    "Ada", Some(&DASHES), ["ada" "adb" "ads"];
    "VHDL", Some(&DASHES), ["vhd" "vhdl"];
    "OCaml", Some(&ML), ["ml" "mli" "mll" "mly"], run ["ocaml"];
    "Standard ML", Some(&ML), ["sml" "sig"];
    "Erlang", Some(&PERCENT), ["erl" "hrl"], run ["escript"];
    "TeX", Some(&PERCENT), ["tex" "sty" "cls" "bib" "ltx"];
    "Prolog", Some(&PERCENT), ["pro" "prolog"], run ["swipl"];
    "Fortran", Some(&EXCLAMATION), ["f90" "f95" "f03" "f08"];
    "Visual Basic", Some(&QUOTE), ["vb" "vbs" "bas" "frm"];
    "Vim script", Some(&VIM), ["vim"], names [".vimrc"];
    "batch", Some(&BATCH), ["bat" "cmd"];
    "HTML", Some(&HTML), ["html" "htm" "xhtml"];
    "Vue", Some(&HTML), ["vue"];
    "Svelte", Some(&HTML), ["svelte"];
    "XML", Some(&HTML), ["xml" "xsd" "xsl" "xslt" "svg" "rss" "plist" "csproj" "fsproj" "vbproj" "props" "targets" "xaml" "resx" "wsdl" "iml"];
    "Markdown", Some(&MARKDOWN), ["md" "markdown" "mdown" "qmd"];
    "Handlebars", Some(&HANDLEBARS), ["hbs" "handlebars" "mustache"];
    "Jinja", Some(&JINJA), ["j2" "jinja" "jinja2" "njk"];
    "Twig", Some(&TWIG), ["twig"];
    "Liquid", Some(&LIQUID), ["liquid"];
    "ERB", Some(&TEMPLATE_TAG), ["erb" "ejs"];
    "Pug", Some(&PUG), ["pug" "jade"];
    "Haml", Some(&HAML), ["haml"];
    "JSON", None, ["json" "jsonl" "ndjson" "geojson" "webmanifest" "map" "ipynb"],
        names [".babelrc" "composer.lock" "flake.lock"];
    "plain text", None, ["txt" "text" "log"], names ["license" "notice" "authors"];
    "tab-separated or comma-separated values", None, ["csv" "tsv"];
    "diff", None, ["diff" "patch"];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str, text: &str) -> Option<&'static str> {
        Language::of(&RelPath::new(path).unwrap(), text.as_bytes()).map(|language| language.name)
    }

    #[test]
    fn a_language_is_known_by_name_extension_or_interpreter() {
        for (path, text, expected) in [
            ("a/b.TS", "", Some("TypeScript")),
            ("x.d.ts", "", Some("TypeScript")),
            ("Makefile", "", Some("Makefile")),
            ("CMakeLists.txt", "", Some("CMake")),
            ("Dockerfile.dev", "", Some("Dockerfile")),
            (".env.local", "", Some("environment")),
            ("agent.py.tmpl", "", Some("Python")),
            ("config.json.template", "", Some("JSON")),
            ("tsconfig.json", "", Some("JSON with comments")),
            ("requirements.txt", "", Some("requirements")),
            ("run", "#!/bin/sh\n", Some("Shell")),
            ("run", "#! /usr/bin/env -S python3.11 -u\n", Some("Python")),
            ("run", "#!/usr/bin/env A=1 node\n", Some("JavaScript")),
            ("run", "#!/opt/what\n", None),
            ("run", "#!", None),
            ("run", "text", None),
        ] {
            assert_eq!(name(path, text), expected, "{path} {text:?}");
        }
    }

    #[test]
    fn no_name_and_no_extension_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for language in Language::all() {
            for key in language.extensions.iter().map(|e| format!(".{e}")) {
                assert!(seen.insert(key.clone()), "{key}");
            }
            for key in language.names {
                assert!(seen.insert(format!("name {key}")), "{key}");
                assert_eq!(key.to_lowercase(), *key);
            }
        }
        let with_comments = Language::all().iter().filter(|l| l.style.is_some());
        assert!(with_comments.count() >= 80);
    }
}
