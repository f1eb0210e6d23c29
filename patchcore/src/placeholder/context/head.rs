//! The lines that have to stay the first: `#!`, encodings, declarations, directives.

use super::{end_of, line_end};

/// Where they end; the start of the text where there are none.
pub(super) fn end(language: &str, bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    if bytes[start..].starts_with(b"#!")
        && !(language == "Rust" && bytes[start..].starts_with(b"#!["))
    {
        end = next_line(bytes, start);
    }
    match language {
        "Python" => end.max(cookie(bytes, start)),
        "Ruby" | "Crystal" => magic(bytes, end),
        "Dockerfile" => directives(bytes, end),
        "PHP" if bytes[end..].starts_with(b"<?") => next_line(bytes, end),
        "XML" | "HTML" | "Vue" | "Svelte" => prolog(bytes, end),
        "CSS" | "SCSS" | "Less" if bytes[end..].starts_with(b"@charset") => next_line(bytes, end),
        "YAML" if bytes[end..].starts_with(b"#cloud-config") => next_line(bytes, end),
        "Markdown" | "MDX" | "ERB" | "Handlebars" | "Jinja" | "Twig" | "Liquid" => {
            // The line that opens the front matter.
            match super::markdown::front_matter(bytes, end) {
                Some(_) => next_line(bytes, end),
                None => end,
            }
        }
        _ => end,
    }
}

fn next_line(bytes: &[u8], at: usize) -> usize {
    (line_end(bytes, at) + 1).min(bytes.len())
}

/// `# coding: …` on line 1 or 2.
fn cookie(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    for _ in 0..2 {
        let end = next_line(bytes, at);
        let line = bytes[at..end].trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            break;
        }
        let has = |word: &[u8]| memchr::memmem::find(line, word).is_some();
        if has(b"coding:") || has(b"coding=") {
            return end;
        }
        at = end;
    }
    start
}

/// Ruby's magic comments, among the comments that the file starts with.
fn magic(bytes: &[u8], start: usize) -> usize {
    const WORDS: [&[u8]; 6] = [
        b"coding:",
        b"coding=",
        b"frozen_string_literal",
        b"frozen-string-literal",
        b"shareable_constant_value",
        b"warn_indent",
    ];
    let (mut at, mut last) = (start, start);
    while at < bytes.len() && bytes[at..].starts_with(b"#") {
        let end = next_line(bytes, at);
        let has = |word: &&[u8]| memchr::memmem::find(&bytes[at..end], word).is_some();
        if WORDS.iter().any(has) {
            last = end;
        }
        at = end;
    }
    last
}

/// `# syntax=…` and `# escape=…`, which count only at the very start.
fn directives(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() {
        let end = next_line(bytes, at);
        let line = bytes[at..end].trim_ascii();
        let Some(text) = line.strip_prefix(b"#") else {
            break;
        };
        let text = text.trim_ascii_start();
        let name = text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if name == 0 || !text[name..].trim_ascii_start().starts_with(b"=") {
            break;
        }
        at = end;
    }
    at
}

/// The XML declaration and the document type, with what is between them.
fn prolog(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    let mut at = start;
    if bytes[at..].starts_with(b"<?xml") && !bytes[at..].starts_with(b"<?xml-") {
        at = end_of(bytes, at, b"?>");
        end = next_line(bytes, at);
    }
    loop {
        let rest = bytes[at..].trim_ascii_start();
        at = bytes.len() - rest.len();
        if rest.starts_with(b"<!--") {
            at = end_of(bytes, at + 4, b"-->");
        } else if rest.starts_with(b"<?") {
            at = end_of(bytes, at, b"?>");
        } else if rest.len() >= 9 && rest[..9].eq_ignore_ascii_case(b"<!doctype") {
            let close = super::markup::doctype_end(bytes, at);
            if bytes[at..close].last() != Some(&b'>') {
                // One that is not closed has no line below.
                return bytes.len() + 1;
            }
            return next_line(bytes, close.saturating_sub(1));
        } else {
            return end;
        }
    }
}
