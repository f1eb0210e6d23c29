//! What the name of a tool says about its calls.

use super::fields::plain;
use super::write::End;

/// Words in the name of a tool that only looks, or talks.
pub(super) const LOOKS: &[&str] = &[
    "read",
    "view",
    "cat",
    "open",
    "grep",
    "glob",
    "ls",
    "list",
    "search",
    "find",
    "think",
    "todo",
    "plan",
    "fetch",
    "browse",
    "ask",
    "task",
    "skill",
    "completion",
    "diagnostics",
    "get",
    "stat",
];
/// Tools that run a command.
pub(super) const SHELLS: &[&str] = &[
    "bash",
    "shell",
    "executecommand",
    "runshellcommand",
    "runinterminal",
    "runcommand",
    "terminal",
    "localshell",
    "execcommand",
    "runterminalcmd",
    "runterminalcommand",
    "commandexecution",
    "containerexec",
    "executebash",
    "executescript",
    "localshellcall",
    "exec",
];
pub(super) const DELETES: &[&str] = &[
    "deletefile",
    "deletefiles",
    "deletepath",
    "removefile",
    "removefiles",
    "removepath",
    "fsdelete",
    "filedelete",
    "delete",
];
pub(super) const MOVES: &[&str] = &[
    "movefile",
    "movepath",
    "renamefile",
    "renamepath",
    "move",
    "rename",
];
pub(super) const COPIES: &[&str] = &["copyfile", "copypath", "copy"];
/// Words in the name of a tool that makes or changes something other than files.
pub(super) const ELSEWHERE: &[&str] = &[
    "todo",
    "plan",
    "directory",
    "folder",
    "memory",
    "branch",
    "issue",
    "pullrequest",
    "viewdiff",
    "getdiff",
    "gitdiff",
];
/// Words in the name of a tool that edits files.
pub(super) const EDITS: &[&str] = &[
    "edit", "replace", "write", "create", "insert", "patch", "diff", "delete", "remove", "append",
    "modify", "update", "move", "rename",
];

/// A tool's name without the server that it is from, in the form of the tables.
pub(super) fn last_part(name: &str) -> String {
    // Some templates number the calls: `functions.edit:0`.
    let numbered = name.rsplit_once(':').filter(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let name = numbered.map_or(name, |(name, _)| name);
    let separators = [".", ":", "/", "__"];
    let last = separators.iter().fold(name, |name, separator| {
        name.rsplit(separator).next().unwrap_or(name)
    });
    plain(last)
}

/// Tools that write the whole file that they are given.
const WRITERS: &[&str] = &[
    "write",
    "writefile",
    "writefiles",
    "writefilecontent",
    "writefilecontents",
    "writefiletext",
    "writetofile",
    "writetextfile",
    "writetext",
    "writefullfile",
    "writewholefile",
    "writenewfile",
    "writecode",
    "writecodefile",
    "rewrite",
    "rewritefile",
    "fullrewrite",
    "overwrite",
    "overwritefile",
    "create",
    "createfile",
    "createfiles",
    "createnewfile",
    "createtextfile",
    "createtextdoc",
    "createnewfilewithtext",
    "createorupdatefile",
    "createoroverwritefile",
    "createorwritefile",
    "createorreplacefile",
    "newfile",
    "addfile",
    "addnewfile",
    "makefile",
    "generatefile",
    "save",
    "savefile",
    "savetofile",
    "savefilecontent",
    "savecode",
    "storefile",
    "putfile",
    "setfilecontent",
    "setfilecontents",
    "setfiletext",
    "replacefile",
    "replacefiletext",
    "replacefiletextbypath",
    "replacewholefile",
    "filewrite",
    "filewriter",
    "filewritertool",
    "filecreate",
    "filecreator",
    "filesave",
    "fswrite",
    "fscreate",
    "fswritefile",
    "fswritetextfile",
];
/// The writers that are known behind the name of their server, as in `filesystem_write_file`.
const SUFFIXES: &[&str] = &[
    "writefile",
    "writetofile",
    "writetextfile",
    "createfile",
    "createnewfile",
    "createtextfile",
    "savefile",
    "fswrite",
];
/// Words of names that do something with a writer's name, and do not write.
const UNDONE: &[&str] = &[
    "undo",
    "revert",
    "preview",
    "check",
    "validate",
    "verify",
    "can",
    "dry",
    "simulate",
    "propose",
    "suggest",
    "plan",
    "review",
    "before",
    "after",
    "hook",
    "log",
    "get",
    "confirm",
    "request",
    "ask",
    "test",
    "diff",
    "github",
    "gitlab",
    "bitbucket",
    "remote",
    "cloud",
    "s3",
    "drive",
    "memory",
    "append",
    "prepend",
];
/// Words in the name of a tool that says something to somebody.
pub(super) const TALKS: &[&str] = &[
    "message",
    "comment",
    "notify",
    "notification",
    "send",
    "post",
    "say",
    "speak",
    "respond",
    "response",
    "reply",
    "answer",
    "report",
    "email",
    "mail",
    "chat",
    "slack",
    "print",
    "echo",
    "show",
    "display",
    "log",
    "finish",
    "complete",
    "submit",
    "review",
];

/// Whether a name is that of a tool that edits.
pub(super) fn is_edit(name: &str) -> bool {
    let tool = last_part(name);
    EDITS.iter().any(|word| tool.contains(word)) || is_writer(&tool) || tool_end(&tool).is_some()
}

/// Whether a tool of this name, or a call without one, writes whole files.
pub(super) fn is_writer(tool: &str) -> bool {
    if tool.is_empty() || WRITERS.contains(&tool) {
        return true;
    }
    let server = SUFFIXES.iter().find_map(|name| tool.strip_suffix(name));
    server.is_some_and(|server| !UNDONE.iter().any(|word| server.contains(word)))
}

/// Whether a name beside whole files is none of a tool that does something else with them.
pub(super) fn may_write(name: &str) -> bool {
    let tool = last_part(name);
    let looks = ["read", "list", "search", "view", "get", "find", "check"];
    let looks = looks.iter().any(|word| tool.starts_with(word)) && tool.contains("file");
    !(looks || tool_end(&tool).is_some() || DELETES.contains(&&*tool))
}

/// The end of a file that a tool of this name puts text at.
pub(super) fn tool_end(tool: &str) -> Option<End> {
    let has = |words: &[&str]| words.iter().any(|word| tool.contains(word));
    if has(&[
        "prepend",
        "attop",
        "totop",
        "atstart",
        "tostart",
        "atbeginning",
        "tobeginning",
    ]) {
        return Some(End::Top);
    }
    let is_bottom = has(&["append", "attheend", "totheend", "tobottom", "atbottom"])
        || tool.ends_with("atend")
        || tool.ends_with("toend");
    is_bottom.then_some(End::Bottom)
}
