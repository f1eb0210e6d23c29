//! What the name of a tool says about its calls.

use super::fields::plain;

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
    let separators = [".", ":", "/", "__"];
    let last = separators.iter().fold(name, |name, separator| {
        name.rsplit(separator).next().unwrap_or(name)
    });
    plain(last)
}
