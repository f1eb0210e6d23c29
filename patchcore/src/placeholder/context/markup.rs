//! HTML, XML and what grew out of them: tags, comments, and other languages between tags.

use super::{Lex, Sink, end_of, line_end, script};
use crate::placeholder::style::{CSS, CommentStyle, PHP, SCRIPT};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Xml,
    Vue,
    Svelte,
}

pub(super) fn html(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Kind::Html, sink);
}

pub(super) fn xml(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Kind::Xml, sink);
}

pub(super) fn vue(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Kind::Vue, sink);
}

pub(super) fn svelte(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Kind::Svelte, sink);
}

/// PHP between its tags; outside of them a comment is a tag of its own, which prints nothing.
pub(super) fn php(text: &[u8], start: usize, sink: &mut Sink) {
    let mut at = start;
    // The tag that opens a `switch`, before whose first case nothing may stand.
    let mut switch = None;
    loop {
        let open = memchr::memmem::find(&text[at..], b"<?").map(|open| at + open);
        let Some(open) = open else { return };
        if let Some(from) = switch.take() {
            sink.add(text, from..open + 1, "a switch before its first case");
        }
        if text[open..].starts_with(b"<?xml") {
            at = open + 2;
            continue;
        }
        let from = open
            + if text[open..].starts_with(b"<?php") {
                5
            } else {
                2
            };
        let mut php = Php {
            text,
            at: from,
            sink,
        };
        php.code();
        let end = php.at;
        sink.region(from..end, &PHP);
        switch = opens_switch(&text[from..end]).then_some(open);
        at = (end + 2).min(text.len());
        if end >= text.len() {
            return;
        }
    }
}

/// Whether code ends with the head of a `switch`.
fn opens_switch(code: &[u8]) -> bool {
    let code = code.trim_ascii_end();
    let Some(head) = code.strip_suffix(b":").or_else(|| code.strip_suffix(b"{")) else {
        return false;
    };
    let from = head.iter().rposition(|b| matches!(b, b';' | b'}'));
    let head = &head[from.map_or(0, |at| at + 1)..];
    memchr::memmem::rfind(head, b"switch")
        .is_some_and(|at| !head[at..].iter().any(|b| matches!(b, b'{' | b':')))
}

struct Php<'a> {
    text: &'a [u8],
    at: usize,
    sink: &'a mut Sink,
}

impl Php<'_> {
    fn take(&mut self, end: usize, what: &'static str) {
        self.sink.add(self.text, self.at..end, what);
        self.at = end.min(self.text.len());
    }

    /// Up to the tag that closes it.
    fn code(&mut self) {
        let text = self.text;
        while let Some(skip) = text[self.at..]
            .iter()
            .position(|b| matches!(b, b'"' | b'\'' | b'`' | b'/' | b'#' | b'?' | b'<' | b'_'))
        {
            self.at += skip;
            let rest = &text[self.at..];
            match rest[0] {
                b'?' if rest.starts_with(b"?>") => return,
                b'/' if rest.starts_with(b"/*") => {
                    self.take(end_of(text, self.at + 2, b"*/"), "a comment");
                }
                b'/' if rest.starts_with(b"//") => self.comment(),
                b'#' if !rest.starts_with(b"#[") => self.comment(),
                quote @ (b'"' | b'\'' | b'`') => {
                    let mut end = self.at + 1;
                    while let Some(&byte) = text.get(end) {
                        end += if byte == b'\\' { 2 } else { 1 };
                        if byte == quote {
                            break;
                        }
                    }
                    self.take(end, "a string");
                }
                b'<' if rest.starts_with(b"<<<") => self.heredoc(),
                b'_' if is_halt(rest) && !super::is_word(text[self.at - 1]) => {
                    // What is behind it is data.
                    self.take(text.len() + 1, "data");
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = text.len();
    }

    /// Up to the end of the line, or the tag that closes the code.
    fn comment(&mut self) {
        let line = line_end(self.text, self.at);
        let close = memchr::memmem::find(&self.text[self.at..line], b"?>");
        self.at = close.map_or(line, |close| self.at + close);
    }

    fn heredoc(&mut self) {
        let text = self.text;
        let line = line_end(text, self.at);
        let name = text[self.at + 3..line].trim_ascii();
        let name = name
            .strip_prefix(b"'")
            .or_else(|| name.strip_prefix(b"\""))
            .unwrap_or(name);
        let len = name.iter().take_while(|b| super::is_word(**b)).count();
        if len == 0 {
            self.at += 3;
            return;
        }
        let name = &name[..len];
        // The name closes it as the first word of a line, whatever is behind.
        let mut end = line;
        while end < text.len() {
            let next = line_end(text, end + 1);
            let here = text[end + 1..next].trim_ascii_start();
            if here.starts_with(name) && here.get(len).is_none_or(|b| !super::is_word(*b)) {
                end = next - here.len() + len;
                break;
            }
            end = next;
        }
        self.take(end, "a heredoc");
    }
}

/// Whether the call stands here behind which PHP reads no more.
fn is_halt(rest: &[u8]) -> bool {
    const HALT: &[u8] = b"__halt_compiler";
    rest.len() > HALT.len() && rest[..HALT.len()].eq_ignore_ascii_case(HALT)
}

/// Where a document type ends.
pub(super) fn doctype_end(text: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut end = at;
    while let Some(&byte) = text.get(end) {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b'>' if depth == 0 => return end + 1,
            b'<' if text[end..].starts_with(b"<!--") => {
                end = end_of(text, end + 4, b"-->");
                continue;
            }
            b'<' if text[end..].starts_with(b"<?") => {
                end = end_of(text, end + 2, b"?>");
                continue;
            }
            b'"' | b'\'' => {
                let close = crate::bytes::find(byte, &text[end + 1..]);
                end += close.map_or(0, |close| close + 1);
            }
            _ => {}
        }
        end += 1;
    }
    text.len()
}

fn lex(text: &[u8], start: usize, kind: Kind, sink: &mut Sink) {
    let mut markup = Markup {
        text,
        at: start,
        kind,
        sink,
        templates: 0,
        drawings: 0,
        last: start,
    };
    markup.run();
}

struct Markup<'a> {
    text: &'a [u8],
    at: usize,
    kind: Kind,
    sink: &'a mut Sink,
    /// How many `<template>` of a Vue file are open.
    templates: usize,
    /// How many `<svg>` and `<math>` are open: in them a page's scripts and style sheets are markup.
    drawings: usize,
    /// Where the text between two tags starts.
    last: usize,
}

impl Markup<'_> {
    fn run(&mut self) {
        let text = self.text;
        while let Some(skip) = self.next_mark() {
            self.at += skip;
            let from = self.at;
            let rest = &text[from..];
            if rest[0] == b'{' {
                self.braces();
                continue;
            }
            if self.kind == Kind::Xml {
                self.text_of_xml(from);
            }
            if rest.starts_with(b"<!--") {
                let end = match self.kind {
                    Kind::Xml => end_of(text, from + 4, b"-->"),
                    _ if rest.starts_with(b"<!-->") => from + 5,
                    _ if rest.starts_with(b"<!--->") => from + 6,
                    _ => comment_end(text, from + 4),
                };
                self.take(end, "a comment");
            } else if rest.starts_with(b"<![CDATA[") {
                let end = end_of(text, from, b"]]>");
                self.take(end, "CDATA");
            } else if rest.starts_with(b"<!") {
                self.take(doctype_end(text, from), "a declaration");
            } else if rest.starts_with(b"<?") {
                let close: &[u8] = if self.kind == Kind::Xml { b"?>" } else { b">" };
                self.take(end_of(text, from, close), "an instruction");
            } else if rest.starts_with(b"</") {
                if self.kind == Kind::Vue && is_named(&rest[2..], b"template") {
                    self.templates = self.templates.saturating_sub(1);
                }
                if is_named(&rest[2..], b"svg") || is_named(&rest[2..], b"math") {
                    self.drawings = self.drawings.saturating_sub(1);
                }
                self.take(end_of(text, from, b">"), "a tag");
            } else if rest
                .get(1)
                .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_' || *b >= 0x80)
            {
                self.element();
            } else {
                self.at += 1;
                continue;
            }
            self.last = self.at;
        }
    }

    fn next_mark(&self) -> Option<usize> {
        let rest = &self.text[self.at..];
        match self.kind {
            Kind::Html | Kind::Xml => crate::bytes::find(b'<', rest),
            Kind::Vue | Kind::Svelte => memchr::memchr2(b'<', b'{', rest),
        }
    }

    fn take(&mut self, end: usize, what: &'static str) {
        let end = end.min(self.text.len());
        self.sink.add(self.text, self.at..end, what);
        // What is not closed goes on to the end.
        self.at = end.max(self.at + 1);
    }

    /// Text that is more than blanks and placeholders: a comment in it would be two texts.
    fn text_of_xml(&mut self, end: usize) {
        let from = self.last;
        let text = &self.text[from..end];
        if from == 0 || crate::bytes::find(b'\n', text).is_none() || text.trim_ascii().is_empty() {
            return;
        }
        let mut rest = text.to_vec();
        for placeholder in crate::placeholder::find(text) {
            rest[placeholder.span].fill(b' ');
        }
        if !rest.trim_ascii().is_empty() {
            self.sink.add(self.text, from - 1..end, "text");
        }
    }

    fn braces(&mut self) {
        let text = self.text;
        let rest = &text[self.at..];
        if self.kind == Kind::Vue {
            match rest.starts_with(b"{{") {
                true => self.take(end_of(text, self.at, b"}}"), "an expression"),
                false => self.at += 1,
            }
            return;
        }
        let mut from = self.at + 1;
        if matches!(rest.get(1), Some(b'#' | b'/' | b':' | b'@')) {
            from += 1;
            from += text[from..]
                .iter()
                .take_while(|b| b.is_ascii_alphabetic())
                .count();
        }
        self.sink.add(text, self.at..from, "an expression");
        self.expression(from);
    }

    /// A script's expression up to its brace.
    fn expression(&mut self, from: usize) {
        let end = script::expression(self.text, from, self.sink);
        self.sink.region(from..end, &SCRIPT);
        self.at = end.max(from).min(self.text.len());
    }

    /// A start tag, and the raw text behind it.
    fn element(&mut self) {
        let text = self.text;
        let open = self.at;
        let name = text[open + 1..]
            .iter()
            .take_while(|b| !b.is_ascii_whitespace() && !matches!(b, b'>' | b'/'))
            .count();
        let name = text[open + 1..open + 1 + name].to_ascii_lowercase();
        self.at = open + 1 + name.len();
        let closed = self.attributes(open);
        if self.kind == Kind::Xml || (closed && (self.kind != Kind::Html || self.drawings > 0)) {
            return;
        }
        self.drawings += usize::from(!closed && matches!(&name[..], b"svg" | b"math"));
        let tag = &text[open..self.at];
        let raw = match self.raw(&name, tag) {
            Raw::Code(..) if self.kind == Kind::Html && self.drawings > 0 => Raw::Text,
            raw => raw,
        };
        if name == b"template" && self.kind == Kind::Vue && !matches!(raw, Raw::Text) {
            self.templates += 1;
        }
        let content = self.at;
        let end = match raw {
            Raw::No => return,
            _ => raw_end(text, content, &name),
        };
        match raw {
            Raw::Code(lex, style) => {
                lex(&text[..end], content, self.sink);
                self.sink.region(content..end, style);
            }
            // The whole of it, with its tag.
            _ => self.sink.add(text, open..end + 1, "an element of text"),
        }
        self.at = end;
    }

    /// The rest of a start tag behind its name; says whether the tag closes itself.
    fn attributes(&mut self, open: usize) -> bool {
        let text = self.text;
        let mut from = open;
        // Quotes count behind `=` alone.
        let mut value = false;
        let mut closed = false;
        while let Some(&byte) = text.get(self.at) {
            match byte {
                b'>' => {
                    closed = text[..self.at].ends_with(b"/");
                    self.at += 1;
                    break;
                }
                b'"' | b'\'' if value || self.kind == Kind::Xml => {
                    let end = crate::bytes::find(byte, &text[self.at + 1..]);
                    self.at = end.map_or(text.len(), |end| self.at + end + 2);
                    value = false;
                    continue;
                }
                b'{' if self.kind == Kind::Svelte => {
                    self.sink.add(text, from..self.at + 1, "a tag");
                    self.expression(self.at + 1);
                    from = self.at.saturating_sub(1);
                    value = false;
                    continue;
                }
                b'=' => value = true,
                byte if byte.is_ascii_whitespace() => {}
                _ => value = false,
            }
            self.at += 1;
        }
        self.at = self.at.min(text.len());
        self.sink.add(text, from..self.at, "a tag");
        closed
    }

    /// What is between a tag and the one that closes it.
    fn raw(&self, name: &[u8], tag: &[u8]) -> Raw {
        let says = |word: &[u8]| memchr::memmem::find(tag, word).is_some();
        match name {
            b"script" => {
                let kind = attribute(tag, b"type").map(<[u8]>::to_ascii_lowercase);
                let lang = attribute(tag, b"lang").map(<[u8]>::to_ascii_lowercase);
                let kind = kind.unwrap_or_default();
                let of_script = kind.is_empty()
                    || kind == b"module"
                    || [
                        &b"javascript"[..],
                        b"ecmascript",
                        b"jsx",
                        b"babel",
                        b"typescript",
                    ]
                    .iter()
                    .any(|word| memchr::memmem::find(&kind, word).is_some());
                match lang.as_deref().unwrap_or(b"js") {
                    _ if !of_script => Raw::Text,
                    b"ts" | b"typescript" => Raw::Code(script::typescript, &SCRIPT),
                    b"tsx" => Raw::Code(script::tsx, &SCRIPT),
                    b"js" | b"jsx" | b"javascript" => Raw::Code(script::jsx, &SCRIPT),
                    _ => Raw::Text,
                }
            }
            b"style" if says(b"sass") || says(b"stylus") => Raw::Text,
            b"style" => Raw::Code(super::rows::scss_or_css(tag), &CSS),
            b"template" if self.kind == Kind::Vue && self.templates == 0 => {
                let pug = attribute(tag, b"lang").is_some_and(|lang| lang != b"html");
                if pug { Raw::Text } else { Raw::No }
            }
            _ if self.kind == Kind::Vue && self.templates == 0 => Raw::Text,
            b"textarea" | b"title" | b"pre" | b"xmp" | b"iframe" | b"noembed" | b"noframes"
            | b"noscript" | b"plaintext" | b"listing" => Raw::Text,
            _ => Raw::No,
        }
    }
}

enum Raw {
    /// Markup like any other.
    No,
    Text,
    Code(Lex, &'static CommentStyle),
}

/// The value of an attribute.
fn attribute<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut from = 0;
    loop {
        let at = from + memchr::memmem::find(&tag[from..], name)?;
        from = at + name.len();
        let rest = tag[from..].trim_ascii_start();
        if !tag[at - 1].is_ascii_whitespace() || !rest.starts_with(b"=") {
            continue;
        }
        let value = rest[1..].trim_ascii_start();
        return Some(match value.first() {
            Some(&quote @ (b'"' | b'\'')) => {
                let end = crate::bytes::find(quote, &value[1..]).unwrap_or(value.len() - 1);
                &value[1..1 + end]
            }
            _ => {
                let len = value
                    .iter()
                    .take_while(|b| !b.is_ascii_whitespace() && **b != b'>')
                    .count();
                &value[..len]
            }
        });
    }
}

fn is_named(rest: &[u8], name: &[u8]) -> bool {
    rest.len() >= name.len()
        && rest[..name.len()].eq_ignore_ascii_case(name)
        && rest
            .get(name.len())
            .is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
}

/// Where a comment of HTML ends, from inside it on.
fn comment_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at = end_of(text, at, b"--");
        let rest = &text[at..];
        if rest.starts_with(b">") {
            return at + 1;
        }
        if rest.starts_with(b"!>") {
            return at + 2;
        }
        if rest.is_empty() {
            return at;
        }
        at -= 1;
    }
}

/// Where the end tag of an element of raw text stands.
fn raw_end(text: &[u8], from: usize, name: &[u8]) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memmem::find(&text[at..], b"</") {
        at += found;
        if is_named(&text[at + 2..], name) {
            return at;
        }
        at += 2;
    }
    text.len()
}
