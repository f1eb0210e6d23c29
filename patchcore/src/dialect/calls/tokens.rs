//! The tokens that the templates of models put around calls, in output that nobody has parsed.
//!
//! | template | of |
//! |---|---|
//! | `<\|tool_call_begin\|>NAME:0<\|tool_call_argument_begin\|>{…}<\|tool_call_end\|>` | Kimi |
//! | `<\|channel\|>commentary to=NAME <\|constrain\|>json<\|message\|>{…}<\|call\|>` | gpt-oss (harmony) |
//! | `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{…}` | DeepSeek |
//! | `[TOOL_CALLS]NAME[ARGS]{…}`, `[TOOL_CALLS][{…}]` | Mistral |
//! | `<\|python_tag\|>{…}`, `<\|tool_call\|>[{…}]`, `<\|START_ACTION\|>[{…}]` | Llama, Granite, Cohere |

use super::markup;

/// Tokens in brackets.
const BRACKETS: [&str; 3] = ["[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"];
/// What stands between the header of a message and its text.
const MESSAGE: &str = "<|message|>";
/// What ends a message.
const ENDS: [&str; 4] = ["<|call|>", "<|end|>", "<|return|>", "<|start|>"];
/// Most bytes of the header of a call or message.
const HEADER: usize = 512;
/// What stands above the parameters of a call in the form that agents write by hand.
const BY_HAND: &str = "Action Input:";

/// A token in a line: where it ends, and whether the text of a message follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) end: usize,
    pub(super) is_message: bool,
}

/// The first token in a text, up to the end of its line.
pub(super) fn first(text: &str) -> Option<Token> {
    if text.starts_with(BY_HAND) {
        return Some(Token {
            end: BY_HAND.len(),
            is_message: false,
        });
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(['<', '[', '\n']) {
        let start = from + at;
        if text[start..].starts_with('\n') {
            return None;
        }
        if let Some(length) = length(&text[start..]) {
            return Some(Token {
                end: start + length,
                is_message: text[start..].starts_with(MESSAGE),
            });
        }
        from = start + 1;
    }
    None
}

/// The length of the token that a text starts with.
fn length(text: &str) -> Option<usize> {
    let bracket = BRACKETS.iter().find(|token| text.starts_with(**token));
    if let Some(token) = bracket {
        return Some(token.len());
    }
    let bar = text.strip_prefix('<')?.chars().next()?;
    if !matches!(bar, '|' | '\u{ff5c}') {
        return None;
    }
    let name = &text[1 + bar.len_utf8()..];
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '\u{2581}');
    let end = name.find(|c| !is_part(c))?;
    let close = name[end..].strip_prefix(bar)?.strip_prefix('>')?;
    (end > 0).then(|| text.len() - close.len())
}

/// Whether a line has a token that a call, or a message, stands behind.
pub(super) fn opens(line: &str) -> bool {
    let mut rest = line;
    while let Some(token) = first(rest) {
        rest = &rest[token.end..];
        let text = rest.trim_ascii_start();
        let list = text.strip_prefix('[').map(str::trim_ascii_start);
        let is_list = list.is_some_and(|list| list.is_empty() || list.starts_with('{'));
        let is_tag = || markup::opens(text);
        if token.is_message || text.starts_with('{') || is_list || is_tag() {
            return true;
        }
    }
    false
}

/// The name of the tool of a call, by the tokens before its parameters.
pub(super) fn name(before: &str) -> Option<&str> {
    let before = before.trim_ascii_end();
    if before.ends_with(MESSAGE) {
        return recipient(header(before));
    }
    let line = last_line(before);
    let calls = [
        "tool_call_begin|>",
        "tool\u{2581}call\u{2581}begin\u{ff5c}>",
        BRACKETS[0],
    ];
    let ends = calls
        .iter()
        .filter_map(|token| Some(line.rfind(token)? + token.len()));
    let mut rest = &line[ends.max()?..];
    let mut words = Vec::new();
    loop {
        let token = first(rest);
        let start = token.map_or(rest.len(), |token| {
            let before = &rest[..token.end];
            before.rfind(['<', '[']).unwrap_or_default()
        });
        words.push(rest[..start].trim());
        match token {
            Some(token) => rest = &rest[token.end..],
            None => break,
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    // DeepSeek's older template names the kind of the tool first.
    words.find(|word| *word != "function")
}

/// What the header of the message says whose text stands behind a part of the input.
pub(super) fn header(before: &str) -> &str {
    let line = last_line(before);
    let ends = ENDS
        .iter()
        .filter_map(|end| Some(line.rfind(end)? + end.len()));
    &line[ends.max().unwrap_or_default()..]
}

/// The last line of a text, as far as a header goes.
fn last_line(text: &str) -> &str {
    let end = text.len();
    let start = (end.saturating_sub(HEADER)..=end).find(|at| text.is_char_boundary(*at));
    let text = &text[start.unwrap_or_default()..];
    text.rsplit('\n').next().unwrap_or_default()
}

/// Who a message is for: a tool.
pub(super) fn recipient(header: &str) -> Option<&str> {
    let (_, to) = header.split_once(" to=")?;
    let end = to.find(|c: char| c.is_whitespace() || c == '<');
    Some(&to[..end.unwrap_or(to.len())]).filter(|name| !name.is_empty())
}

/// Whether the text of a message is what the model thinks, which nobody is to carry out.
pub(super) fn is_thought(header: &str) -> bool {
    recipient(header).is_none() && header.contains("<|channel|>analysis")
}

/// The length of the text of a message; an envelope in it is whole.
pub(super) fn message(text: &str) -> usize {
    let envelope = match text.trim_ascii_start().starts_with("*** Begin Patch") {
        true => text.find("\n*** End Patch").unwrap_or_default(),
        false => 0,
    };
    let mut tokens = text[envelope..].match_indices("<|");
    let end = tokens.find(|(at, _)| {
        let token = &text[envelope + at..];
        ENDS.iter().any(|end| token.starts_with(end))
    });
    end.map_or(text.len(), |(at, _)| envelope + at)
}

/// Where the thoughts end that an input starts with, `<think>…</think>`.
pub(in crate::dialect) fn thoughts(text: &str) -> Option<usize> {
    let start = text.trim_ascii_start();
    ["think", "thinking", "reasoning"].iter().find_map(|tag| {
        start
            .strip_prefix('<')?
            .strip_prefix(tag)?
            .strip_prefix('>')?;
        let close = format!("</{tag}>");
        Some(text.find(&close)? + close.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_call_is_among_the_tokens_before_it() {
        for (before, wanted) in [
            (
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.edit:0<|tool_call_argument_begin|>",
                "functions.edit:0",
            ),
            (
                "<|channel|>commentary to=functions.edit <|constrain|>json<|message|>",
                "functions.edit",
            ),
            (
                "<|start|>assistant to=edit<|channel|>commentary json<|message|>",
                "edit",
            ),
            ("<｜tool▁call▁begin｜>edit<｜tool▁sep｜>", "edit"),
            ("[TOOL_CALLS]edit[CALL_ID]a1b2c3d4e[ARGS]", "edit"),
            ("[TOOL_CALLS]a[ARGS]{}[TOOL_CALLS]b[ARGS]", "b"),
        ] {
            assert_eq!(name(before), Some(wanted), "{before}");
        }
        assert_eq!(name("<|python_tag|>"), None);
        assert_eq!(name("see [1] and a < b"), None);
    }

    #[test]
    fn what_is_no_token_opens_nothing() {
        for line in [
            "a <| b |> {",
            "[ARG]{\"a\": 1}",
            "<||>{",
            "x <|end|> y",
            "- [ ] {",
        ] {
            assert!(!opens(line), "{line}");
        }
        assert!(opens("<|python_tag|>{\"name\": 1}") && opens("[TOOL_CALLS] [{\"name\": 1}]"));
    }
}
