//! Options of the servers: `mcp` and `serve`. All that decides what an edit may do is the
//! operator's, and said here; no caller can change it.

use clap::Args;

use super::edit::{CommitArgs, PolicyArgs};
use super::labels::LabelArgs;

/// How the calls of a server are carried out.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = None::<&'static str>)]
#[command(mut_arg("plan", |arg| arg.hide(true)), mut_arg("batch_id", |arg| arg.hide(true)))]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
    /// Refuse whatever is not exactly as its format has it
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    // Last, as its heading in the help holds for whatever comes behind it.
    #[command(flatten)]
    pub(crate) commit: CommitArgs,
}

/// Offers the engine to an agent over the Model Context Protocol, on standard input and output.
///
/// The agent gets a few tools: it can read, edit, check, take its last edit back, look at the
/// history, at placeholders and tasks, and ask for help. What an edit may do is decided by the
/// options given here, not by the agent.
#[cfg(feature = "mcp")]
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Offers the engine over HTTP: a REST API, live events, and MCP at `/mcp`.
///
/// On a loopback address everybody on this machine can call it, but no web page; any other address
/// needs a token. What an edit may do is decided by the options given here, not by callers.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// Where a server listens, and who may call it.
#[cfg(feature = "serve")]
#[derive(Debug, Clone, Args)]
pub(crate) struct HttpArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    pub(crate) listen: std::net::SocketAddr,
    /// Listen on this Unix socket instead
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    pub(crate) socket: Option<std::path::PathBuf>,
    /// Mode of the socket, in octal: who can write to it can call
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = mode, requires = "socket", conflicts_with = "listen")]
    pub(crate) socket_mode: u32,
    /// File with the token that callers send as `Authorization: Bearer`; at least 16 characters
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<std::path::PathBuf>,
    /// One more name under which the server is called (repeatable) [default: its address, localhost]
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub(crate) host: Vec<String>,
    /// Most bytes of a request's body
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub(crate) max_body: usize,
    /// Most connections at a time; more wait
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,
    /// Longest that a client may take to send a request, or to take in a part of an answer, of which
    /// it takes in 16 KiB in each further second at least
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = super::orchestrator::duration)]
    pub(crate) client_timeout: std::time::Duration,
    /// Longest that open requests go on after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::orchestrator::duration)]
    pub(crate) grace: std::time::Duration,
}

/// A name as `Host` has it, without a port, in lower case.
#[cfg(feature = "serve")]
fn host(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let is_address = bare.is_some_and(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok());
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match is_address || (!text.is_empty() && text.bytes().all(is_part)) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a name is a host name or an address, without scheme and port".to_owned()),
    }
}

#[cfg(feature = "serve")]
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("a mode is up to three octal digits, such as 660".to_owned()),
    }
}
