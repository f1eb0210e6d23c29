//! Finds the calls in an input: alone, in lists and lines, in whole messages of a model's interface,
//! and in what an agent's own program printed while it worked.

use std::collections::HashMap;

use super::fields::{self, Field, Input, plain};
use super::node::{self, Member, Node, Value};
use super::{markup, tokens, tools};
use crate::batch::diagnostic::Span;
use crate::dialect::{Dialect, detect, hashline};
use crate::error::{Hint, excerpt};
use crate::text::{split_lines, trim_ending};

/// A call of a tool.
pub(super) struct Call {
    /// The tool, where it is named.
    pub(super) name: Option<String>,
    pub(super) arguments: Node,
    pub(super) path: String,
    id: Option<String>,
    pub(super) state: State,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing yet: it is to be done here.
    Proposed,
    /// The agent has carried it out.
    Executed,
    /// The agent tried, and it failed.
    Failed,
}

/// A patch in the text of a message.
pub(super) struct Prose {
    pub(super) text: String,
    pub(super) dialect: Dialect,
    pub(super) span: Span,
}

/// What an input holds.
#[derive(Default)]
pub(super) struct Found {
    pub(super) calls: Vec<Call>,
    pub(super) prose: Vec<Prose>,
    /// The byte ranges that were read.
    pub(super) read: Vec<Span>,
    /// Whether it tells what an agent has done, beside its calls.
    pub(super) is_transcript: bool,
    /// What an agent's program prints at its end, where that holds no call and no patch.
    pub(super) answers: Vec<Span>,
    /// Values that hold no call.
    pub(super) others: Vec<(Span, String)>,
    /// The first part of a message that is sent in pieces, of which none is a whole call.
    pub(super) pieces: Option<Span>,
    /// The values themselves, where no call is looked for.
    roots: Option<Vec<Node>>,
    results: HashMap<String, State>,
    denied: Vec<String>,
}

/// Objects that hold calls, at any depth, in lower case without `_` and `-`.
const CONTAINERS: [&str; 36] = [
    "payload",
    "value",
    "content",
    "message",
    "messages",
    "toolcalls",
    "choices",
    "delta",
    "output",
    "candidates",
    "parts",
    "response",
    "item",
    "items",
    "part",
    "data",
    "event",
    "events",
    "calls",
    "tooluses",
    "invocations",
    "requests",
    "request",
    "function",
    "functioncall",
    "tooluse",
    "toolcall",
    "call",
    "params",
    "arguments",
    "args",
    "input",
    "parameters",
    "operation",
    "result",
    "kwargs",
];
/// Parameters of a call, beside the name of its tool.
const PARAMETERS: [&str; 13] = [
    "input",
    "arguments",
    "args",
    "parameters",
    "params",
    "toolinput",
    "toolargs",
    "kwargs",
    "rawinput",
    "actioninput",
    "rawarguments",
    "toolparameters",
    "inputs",
];
/// The name of a tool.
const NAMES: [&str; 7] = [
    "name",
    "tool",
    "toolname",
    "recipientname",
    "functionname",
    "function",
    "action",
];
/// The id that the result of a call repeats.
const IDS: [&str; 5] = ["callid", "tooluseid", "toolcallid", "toolid", "id"];
/// Texts that a model says, in a message.
const SPOKEN: [&str; 4] = ["text", "content", "response", "result"];
/// Texts of JSON inside each other that are read.
const TEXTS: usize = 1;

/// Looks through an input.
pub(super) fn find(input: &mut Input<'_>, beyond: Option<&'static str>) -> Found {
    let mut walk = Walk {
        found: Found::default(),
        input,
    };
    walk.input(beyond);
    let mut found = walk.found;
    let Found {
        calls,
        results,
        denied,
        ..
    } = &mut found;
    for call in calls {
        let Some(id) = &call.id else { continue };
        if denied.contains(id) {
            call.state = State::Proposed;
        } else if let Some(state) = results.get(id) {
            call.state = *state;
        }
    }
    found
}

/// The values in an input, lists flattened.
pub(super) fn values(input: &mut Input<'_>, beyond: Option<&'static str>) -> Vec<(Node, String)> {
    let mut walk = Walk {
        found: Found {
            roots: Some(Vec::new()),
            ..Found::default()
        },
        input,
    };
    walk.input(beyond);
    let mut values = Vec::new();
    for node in walk.found.roots.unwrap_or_default() {
        match node.value {
            Value::List(list) => {
                let list = list.into_iter().enumerate();
                values.extend(list.map(|(index, node)| (node, format!("[{index}]"))));
            }
            _ => values.push((node, String::new())),
        }
    }
    values
}

struct Walk<'w, 'a> {
    found: Found,
    input: &'w mut Input<'a>,
}

/// Where a value stands among others.
#[derive(Clone, Copy, Default)]
struct Within<'p> {
    id: Option<&'p str>,
    state: Option<State>,
    /// Texts of JSON around it.
    texts: usize,
    /// The tool that an object around it names.
    tool: Option<&'p str>,
}

impl Walk<'_, '_> {
    fn input(&mut self, beyond: Option<&'static str>) {
        let text = self.input.text;
        let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut is_behind_fault = false;
        if let Some(length) = tokens::thoughts(&text[at..]).filter(|_| !self.input.strict) {
            at = self.has_read(at, length);
        }
        loop {
            at += text[at..].len() - text[at..].trim_ascii_start().len();
            let rest = &text[at..];
            let Some(first) = rest.bytes().next() else {
                break;
            };
            let starts_line = at == 0 || text.as_bytes()[at - 1] == b'\n';
            let opens = opens_value(rest) && (!is_behind_fault || starts_line);
            let is_text = first == b'"' && self.found.read.is_empty() && at <= 3;
            if opens || is_text {
                match node::read(rest, at, beyond) {
                    Ok((node, length)) => {
                        is_behind_fault = false;
                        let end = self.has_read(at, length);
                        match &mut self.found.roots {
                            Some(roots) => roots.push(node),
                            None => self.value_at(&node, at),
                        }
                        at = end;
                        continue;
                    }
                    Err(fault) => {
                        self.input.record(fault, "");
                        is_behind_fault = true;
                    }
                }
            } else if first == b',' && !self.input.strict {
                at += 1;
                continue;
            } else if let Some((element, length)) = markup::read(rest, at) {
                match element {
                    Ok(element) => {
                        self.push(Some(element.name), element.arguments, "", Within::default())
                    }
                    Err(fault) => self.input.record(fault, ""),
                }
                at = self.has_read(at, length);
                continue;
            } else if let Some(length) = markup::wrapper(rest) {
                at = self.has_read(at, length);
                continue;
            } else if self.input.strict {
                let span = Span::at(at);
                let message = "text beside the JSON is not allowed in strict mode".to_owned();
                self.input.hinted(span, "", message, Hint::Lenient);
                break;
            }
            at = self.behind_prose(at);
        }
    }

    /// Where to look next behind what is no value: behind a token of a model's template in the line,
    /// or at the line below.
    fn behind_prose(&mut self, at: usize) -> usize {
        let rest = &self.input.text[at..];
        match tokens::first(rest) {
            Some(token) if token.is_message => self.message(at + token.end),
            Some(token) => at + token.end,
            None => at + rest.find('\n').map_or(rest.len(), |end| end + 1),
        }
    }

    /// The text of a message in a model's template, if it is no JSON; gives where to look next.
    fn message(&mut self, at: usize) -> usize {
        let text = self.input.text;
        let header = tokens::header(&text[..at]);
        if !tokens::is_thought(header) && opens_value(text[at..].trim_ascii_start()) {
            return at;
        }
        let length = tokens::message(&text[at..]);
        let span = Span {
            start: at,
            end: at + length,
        };
        if tokens::is_thought(header) {
            return self.has_read(at, length);
        }
        let body = &text[at..at + length];
        match tokens::recipient(header) {
            Some(name) => {
                let value = Value::Text(body.to_owned());
                let arguments = Node { span, value };
                self.push(Some(name.to_owned()), arguments, "", Within::default());
            }
            None => self.spoken(body, span),
        }
        self.has_read(at, length)
    }

    /// Notes so many bytes as read; gives where they end.
    fn has_read(&mut self, start: usize, length: usize) -> usize {
        let end = start + length;
        self.found.read.push(Span { start, end });
        end
    }

    /// A value at an offset of the input; a call without a name may have it on the line above.
    fn value_at(&mut self, node: &Node, at: usize) {
        let before = self.found.calls.len();
        self.value(node);
        let calls = &mut self.found.calls[before..];
        for call in calls.iter_mut().filter(|call| call.name.is_none()) {
            call.name = name_above(&self.input.text[..at]).map(str::to_owned);
        }
    }

    /// A value that stands by itself, or the elements of a list of them.
    fn value(&mut self, node: &Node) {
        match &node.value {
            Value::List(list) if !list.is_empty() => {
                for (index, element) in list.iter().enumerate() {
                    self.alone(element, &format!("[{index}]"));
                }
            }
            _ => self.alone(node, ""),
        }
    }

    fn alone(&mut self, node: &Node, path: &str) {
        let (calls, prose) = (self.found.calls.len(), self.found.prose.len());
        let faults = self.input.faults.len();
        match &node.value {
            Value::Text(text) => self.spoken(text, node.span),
            _ => self.visit(node, path, Within::default()),
        }
        let found = &self.found;
        // A message among messages may have no call in it.
        let is_message =
            !path.is_empty() && ["role", "type"].iter().any(|key| node.get(key).is_some());
        if found.calls.len() == calls
            && found.prose.len() == prose
            && self.input.faults.len() == faults
            && is_piece(node)
        {
            self.found.pieces.get_or_insert(node.span);
        } else if found.calls.len() == calls
            && found.prose.len() == prose
            && self.input.faults.len() == faults
            && !is_message
        {
            if is_answer(node) {
                return self.found.answers.push(node.span);
            }
            let keys = node.members().unwrap_or_default().iter();
            let keys: Vec<&str> = keys.map(|member| &*member.key).take(6).collect();
            let shown = match keys.is_empty() {
                true => node.kind().to_owned(),
                false => format!("an object with {}", keys.join(", ")),
            };
            self.found
                .others
                .push((node.span, excerpt(shown.as_bytes(), 120)));
        }
    }

    fn visit(&mut self, node: &Node, path: &str, within: Within<'_>) {
        match &node.value {
            Value::List(list) => {
                for (index, element) in list.iter().enumerate() {
                    self.visit(element, &format!("{path}[{index}]"), within);
                }
            }
            Value::Map(_) => self.object(node, path, within),
            _ => {}
        }
    }

    fn object(&mut self, node: &Node, path: &str, outer: Within<'_>) {
        let kind = node.text_of("type").or_else(|| node.text_of("item_type"));
        let own_id = ids(node);
        let within = Within {
            id: own_id.or(outer.id),
            state: state(node).or(outer.state),
            texts: outer.texts,
            tool: tool_around(node).or(outer.tool),
        };
        if self.is_result(node, kind, own_id) {
            return;
        }
        if let Some(message) = other_format(node) {
            self.input.fault(node.span, path, message);
            return;
        }
        if let Some(inner) = node.get("tool_call").and_then(Node::members)
            && inner.iter().any(|member| member.key.ends_with("ToolCall"))
        {
            let ended = node.text_of("subtype") == Some("completed");
            let within = Within {
                state: ended.then_some(State::Executed).or(within.state),
                ..within
            };
            for member in inner {
                self.named_by_key(member, &format!("{path}.tool_call"), within);
            }
            return;
        }
        if kind == Some("file_change") || kind.is_some_and(|kind| kind == "apply_patch_call") {
            return self.push(kind.map(str::to_owned), node.clone(), path, within);
        }
        let role = node.text_of("role");
        if role.is_some_and(|role| !matches!(role, "assistant" | "model")) {
            if role == Some("user") || role == Some("tool") {
                self.results_in(node);
            }
            return;
        }
        if let Some((name, arguments, key)) = named(node) {
            let path = format!("{path}{}", node::step(key, path.is_empty()));
            let inner = node.get("state").filter(|_| key == "state");
            let within = Within {
                state: inner.and_then(state).or(within.state),
                ..within
            };
            let arguments = inner
                .and_then(|state| state.get("input"))
                .unwrap_or(arguments);
            return self.called(Some(name), arguments, &path, within);
        }
        if let Some((method, params)) = method(node) {
            let path = format!("{path}{}", node::step("params", path.is_empty()));
            return self.called(Some(method), params, &path, within);
        }
        if is_edit(node) {
            let name = name_of(node).filter(|name| !is_own_name(name, node));
            let name = name.map(str::to_owned);
            return self.push(name, node.clone(), path, within);
        }
        self.inside(node, path, within, role.is_some() || kind.is_some());
    }

    /// A call under a key that names its tool, as in `{"editToolCall": {"args": …}}`.
    fn named_by_key(&mut self, member: &Member, path: &str, within: Within<'_>) {
        let Some(name) = member.key.strip_suffix("ToolCall") else {
            return;
        };
        self.found.is_transcript = true;
        let path = format!("{path}{}", node::step(&member.key, false));
        let failed = member.node.get("result").is_some_and(|result| {
            result.get("error").is_some() || result.get("rejected").is_some()
        });
        let within = Within {
            state: match failed {
                true => Some(State::Failed),
                false => within.state,
            },
            ..within
        };
        if let Some(arguments) = member.node.get("args") {
            self.push(Some(name.to_owned()), arguments.clone(), &path, within);
        }
    }

    /// What an object holds that is no call itself.
    fn inside(&mut self, node: &Node, path: &str, within: Within<'_>, is_message: bool) {
        for member in node.members().unwrap_or_default() {
            let key = plain(&member.key);
            let path = format!("{path}{}", node::step(&member.key, path.is_empty()));
            if key == "permissiondenials" {
                let denials = member.node.list().unwrap_or_default();
                let ids = denials.iter().filter_map(ids).map(str::to_owned);
                self.found.denied.extend(ids);
                self.found.is_transcript = true;
            } else if let Some(text) = member.node.text() {
                let is_answer = key == "response" || key == "outputtext";
                if is_answer || (is_message && SPOKEN.contains(&&*key)) {
                    self.spoken(text, member.node.span);
                } else if PARAMETERS.contains(&&*key) {
                    self.called(None, &member.node, &path, within);
                }
            } else if CONTAINERS.contains(&&*key) {
                self.visit(&member.node, &path, within);
            }
        }
    }

    /// A call, whose parameters may be the text of an object.
    fn called(&mut self, name: Option<&str>, arguments: &Node, path: &str, within: Within<'_>) {
        let name = name.map(str::to_owned);
        match arguments.text() {
            Some(text) if text.trim_start().starts_with(['{', '[']) => {
                if within.texts >= TEXTS {
                    let message = "the text of a call holds another one";
                    return self.input.fault(arguments.span, path, message);
                }
                match node::read_inside(arguments, self.input.text) {
                    Ok(inner) => {
                        let texts = within.texts + 1;
                        self.unwrapped(name, &inner, path, Within { texts, ..within });
                    }
                    Err(fault) => self.input.record(fault, path),
                }
            }
            _ => self.unwrapped(name, arguments, path, within),
        }
    }

    /// The parameters of a call, which may be another call.
    fn unwrapped(
        &mut self,
        name: Option<String>,
        arguments: &Node,
        path: &str,
        within: Within<'_>,
    ) {
        let is_inner = named(arguments).is_some()
            || (name.is_none() && arguments.members().is_some() && !is_edit(arguments));
        match is_inner {
            true => self.visit(arguments, path, within),
            false => self.push(name, arguments.clone(), path, within),
        }
    }

    fn push(&mut self, name: Option<String>, arguments: Node, path: &str, within: Within<'_>) {
        let call = Call {
            name: name.or(within.tool.map(str::to_owned)),
            arguments,
            path: path.to_owned(),
            id: within.id.map(str::to_owned),
            state: within.state.unwrap_or(State::Proposed),
        };
        // An event tells of a call again when it has ended.
        let again = call.id.as_ref().and_then(|id| {
            let mut known = self.found.calls.iter_mut();
            known.find(|known| known.id.as_ref() == Some(id) && known.name == call.name)
        });
        match again {
            Some(known) if self.found.is_transcript => *known = call,
            _ => self.found.calls.push(call),
        }
    }

    /// Whether an object is the result of a call; keeps it.
    fn is_result(&mut self, node: &Node, kind: Option<&str>, id: Option<&str>) -> bool {
        let kind = kind.unwrap_or_default();
        if kind.starts_with("item.")
            || kind == "thread.started"
            || kind == "system"
            || kind == "init"
        {
            self.found.is_transcript = true;
        }
        let is_result = matches!(kind, "tool_result" | "toolResult" | "tool-result")
            || kind.ends_with("_call_output")
            || node.text_of("role") == Some("tool")
            || node.get("functionResponse").is_some();
        if !is_result {
            return false;
        }
        self.found.is_transcript = true;
        if let Some(id) = id {
            let failed = matches!(
                node.get("is_error").map(|error| &error.value),
                Some(Value::Bool(true))
            ) || matches!(
                node.text_of("status"),
                Some("error" | "failed" | "incomplete")
            );
            let state = if failed {
                State::Failed
            } else {
                State::Executed
            };
            self.found.results.insert(id.to_owned(), state);
        }
        true
    }

    /// The results in a message of another sender.
    fn results_in(&mut self, node: &Node) {
        for key in ["content", "parts"] {
            for part in node.get(key).and_then(Node::list).unwrap_or_default() {
                self.is_result(part, part.text_of("type"), ids(part));
            }
        }
        if node.text_of("role") == Some("tool") {
            self.is_result(node, None, ids(node));
        }
    }

    /// A text that a model says: it may hold a patch.
    fn spoken(&mut self, text: &str, span: Span) {
        let is_known = self.found.prose.iter().any(|prose| prose.text == text);
        if is_known || !may_hold_patch(text) {
            return;
        }
        if let Ok(dialect) = detect(text.as_bytes())
            && dialect != Dialect::Batch
        {
            self.found.prose.push(Prose {
                text: text.to_owned(),
                dialect,
                span,
            });
        }
    }
}

/// Whether an object is what an agent's program prints at its end: its answer, and figures.
fn is_answer(node: &Node) -> bool {
    let says = |key: &str| node.text_of(key).is_some();
    let counts = ["stats", "usage", "session_id", "total_cost_usd"];
    (says("response") || says("result")) && counts.iter().any(|key| node.get(key).is_some())
}

/// Whether a text has a line that opens a patch, or a call.
pub(super) fn may_hold_patch(text: &str) -> bool {
    let mut lines = split_lines(text.as_bytes()).map(trim_ending).peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if detect::mark(line, next).is_some() || line.starts_with(b"{\"") || line.starts_with(b"[{")
        {
            return true;
        }
    }
    false
}

/// Whether a text starts like an object, or like a list that may hold one.
fn opens_value(text: &str) -> bool {
    let list = text.strip_prefix('[').map(str::trim_ascii_start);
    text.starts_with('{')
        || list.is_some_and(|list| list.is_empty() || list.starts_with(['{', '[', '"', ']']))
}

/// Whether a value is a part of a message that comes in pieces, as interfaces of models stream it.
fn is_piece(node: &Node) -> bool {
    let event = node.get("event").unwrap_or(node);
    let kind = event.text_of("type").unwrap_or_default();
    node.text_of("type") == Some("stream_event")
        || kind.starts_with("content_block_")
        || kind.ends_with(".delta")
        || kind.ends_with("_delta")
        || node.text_of("object") == Some("chat.completion.chunk")
}

/// A format of edits that is no call, and what to do with it.
fn other_format(node: &Node) -> Option<&'static str> {
    let has_ranges = |changes: &Node| {
        let lists = changes.members().unwrap_or_default().iter();
        lists
            .filter_map(|member| member.node.list())
            .flatten()
            .any(|edit| edit.get("range").is_some())
    };
    if node.get("documentChanges").is_some() || node.get("changes").is_some_and(has_ranges) {
        return Some("a WorkspaceEdit together with calls; send them separately");
    }
    let operations = node.get("operations").and_then(Node::list);
    if operations
        .is_some_and(|list| list.is_empty() || list.iter().any(|one| one.get("op").is_some()))
    {
        return Some("a batch of operations together with calls; send them separately");
    }
    None
}

fn ids(node: &Node) -> Option<&str> {
    IDS.iter().find_map(|wanted| {
        let members = node.members()?;
        let member = members
            .iter()
            .find(|member| plain(&member.key) == *wanted)?;
        member.node.text()
    })
}

/// What became of a call, where it says so itself.
fn state(node: &Node) -> Option<State> {
    let event = node.text_of("hook_event_name");
    if event == Some("PostToolUse") || event == Some("AfterTool") {
        return Some(State::Executed);
    }
    let kind = node.text_of("type").unwrap_or_default();
    // In the interface of a model, the status tells that the call is complete, not that it was run.
    let is_run = matches!(
        kind,
        "file_change" | "command_execution" | "mcp_tool_call" | "tool" | ""
    ) && (node.get("tool").is_some()
        || node.get("changes").is_some()
        || node.get("command").is_some()
        || node.get("result").is_some()
        || node.get("input").is_some());
    match node.text_of("status")? {
        "completed" | "success" | "ok" if is_run => Some(State::Executed),
        "failed" | "error" | "declined" | "cancelled" if is_run => Some(State::Failed),
        _ => None,
    }
}

/// The name of the tool that an object names.
fn name_of(node: &Node) -> Option<&str> {
    let members = node.members()?;
    let named = NAMES.iter().find_map(|wanted| {
        let mut named = members
            .iter()
            .filter(|member| plain(&member.key) == *wanted);
        named.find_map(|member| {
            let node = &member.node;
            node.text().or_else(|| node.text_of("name"))
        })
    });
    // A part of a message of Vercel's interface.
    let part = || node.text_of("type")?.strip_prefix("tool-");
    named.or_else(|| part().filter(|name| !matches!(*name, "call" | "use" | "result" | "error")))
}

/// The name of a tool on the line above its parameters, as the templates of some models have it.
pub(in crate::dialect) fn name_above(text: &str) -> Option<&str> {
    if let Some(name) = tokens::name(text) {
        return Some(name);
    }
    let mut lines = text.lines().rev().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with("```"))?;
    let is_name = |name: &&str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        !name.is_empty() && name.chars().all(known)
    };
    let word = |text: &'_ str| text.find(|c: char| c.is_whitespace() || "<>\"'".contains(c));
    let is_template = line.contains("<|") || line.contains("<\u{ff5c}") || line.starts_with('[');
    let is_tag = ["<tool", "<function", "<invoke", "<call"]
        .iter()
        .any(|tag| line.starts_with(tag));
    if is_template && let Some((_, rest)) = line.rsplit_once(" to=") {
        return Some(&rest[..word(rest).unwrap_or(rest.len())]).filter(is_name);
    }
    if is_tag && let Some((_, rest)) = line.split_once("name=") {
        let rest = rest.trim_start_matches(['"', '\'']);
        return Some(&rest[..word(rest).unwrap_or(rest.len())]).filter(is_name);
    }
    if (is_template || is_tag)
        && let Some((_, rest)) = line.rsplit_once(['>', ']'])
        && !rest.is_empty()
    {
        return Some(rest.trim()).filter(is_name);
    }
    let said = line.trim_matches(['`', '*', ':', ' ']);
    let said = [
        "Action:",
        "Tool:",
        "Function:",
        "tool:",
        "function:",
        "Call:",
    ]
    .iter()
    .find_map(|what| said.strip_prefix(*what))
    .map_or(said, str::trim);
    Some(said.trim_matches(['`', '*', ':', ' ']))
        .filter(|name| is_name(name) && !name.contains('.') && tools::is_edit(name))
}

/// The method of a request whose parameters are those of an edit.
fn method(node: &Node) -> Option<(&str, &Node)> {
    let (method, params) = (node.text_of("method")?, node.get("params")?);
    (is_edit(params) && named(params).is_none()).then_some((method, params))
}

/// Whether a name is that of the file beside it, and of no tool.
fn is_own_name(name: &str, node: &Node) -> bool {
    let members = node.members().unwrap_or_default().iter();
    let mut paths = members.filter(|member| fields::field(&member.key) == Some(Field::Path));
    paths.any(|member| {
        let path = member.node.text().unwrap_or_default();
        path == name || path.rsplit('/').next() == Some(name)
    })
}

/// The tool that an object names for what it holds, by a key of its own or by its kind of name.
fn tool_around(node: &Node) -> Option<&str> {
    let keys = ["tool", "toolname", "functionname", "recipientname"];
    let members = node.members()?;
    let mut told = members
        .iter()
        .filter(|member| keys.contains(&&*plain(&member.key)));
    told.find_map(|member| member.node.text())
        .or_else(|| name_of(node).filter(|name| tools::is_edit(name) && !is_own_name(name, node)))
}

/// The tool of a call, its parameters, and their key.
fn named(node: &Node) -> Option<(&str, &Node, &str)> {
    let name = name_of(node)?;
    let members = node.members()?;
    let parameters = members.iter().find(|member| {
        let is_value = matches!(member.node.value, Value::Map(_) | Value::Text(_));
        is_value && PARAMETERS.contains(&&*plain(&member.key))
    });
    let state = || {
        let member = members.iter().find(|member| member.key == "state")?;
        member.node.get("input").is_some().then_some(member)
    };
    let member = parameters.or_else(state)?;
    Some((name, &member.node, &member.key))
}

/// Whether an object has the parameters of an edit.
fn is_edit(node: &Node) -> bool {
    let Some(members) = node.members() else {
        return false;
    };
    let is_set = |wanted: Field| {
        members
            .iter()
            .any(|member| fields::field(&member.key) == Some(wanted))
    };
    let is_text = |wanted: Field| {
        members.iter().any(|member| {
            fields::field(&member.key) == Some(wanted)
                && !matches!(member.node.value, Value::Map(_))
        })
    };
    let names_file = is_text(Field::Path);
    let says_edit = [
        Field::Old,
        Field::InsertLine,
        Field::Sketch,
        Field::Edits,
        Field::LineTag,
    ]
    .into_iter()
    .any(is_set);
    let holds_envelope = members.iter().any(|member| {
        let is_patch = matches!(
            fields::field(&member.key),
            Some(Field::Patch | Field::Command)
        );
        is_patch && holds_envelope(&member.node)
    });
    let is_spoken = node.text_of("role").is_some();
    !is_spoken
        && (holds_envelope
            || (names_file
                && (says_edit
                    || [Field::Content, Field::Command, Field::Patch, Field::New]
                        .into_iter()
                        .any(is_text)))
            || (is_set(Field::Old) && is_set(Field::New))
            || (says_edit && is_set(Field::Edits) && !is_message(node)))
}

fn is_message(node: &Node) -> bool {
    node.text_of("type").is_some() && node.get("changes").is_none()
}

/// Whether a value is, or holds in a list, an envelope.
pub(super) fn holds_envelope(node: &Node) -> bool {
    let begins = |text: &str| text.contains("*** Begin Patch") || hashline::is_in(text);
    match &node.value {
        Value::Text(text) => begins(text),
        Value::List(list) => list.iter().any(holds_envelope),
        _ => false,
    }
}
