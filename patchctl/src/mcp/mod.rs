//! `mcp`: the engine as tools of the Model Context Protocol.
//!
//! The protocol itself is the SDK's. Ours are the tools, what goes in and out of them, and the
//! transport over standard input and output.

mod handler;
mod stdio;
mod tools;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use patchcore::Error;
use rmcp::ServiceExt as _;

use crate::cli::Global;
use crate::cli::server::McpArgs;
use crate::exit::{Exit, Failure};
use crate::report::{self, Context};
use crate::service::{self, Service, Turns};

pub(crate) use handler::Handler;
#[cfg(all(test, feature = "serve"))]
pub(crate) use handler::not_read;
#[cfg(feature = "serve")]
pub(crate) use stdio::parse;

/// Calls at a time that read or edit files; more wait.
const AT_ONCE: usize = 4;
/// Threads for what blocks beside the calls: writing answers.
const WRITERS: usize = 4;

/// `mcp`.
pub(crate) fn run(global: &Global, args: &McpArgs, context: &Context) -> Result<Exit, Failure> {
    let service = Arc::new(Service::new(global, args.engine.clone())?);
    if let Some(unused) = Service::unused() {
        report::warn(&unused, context);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(Turns::threads(AT_ONCE) + WRITERS)
        .enable_time()
        .build()
        .map_err(|error| Error::io("start", "the server", error))?;
    let handler = Handler::new(service.clone(), Turns::new(AT_ONCE));
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Error::io("handle signals of", "this process", error))?;
    }
    runtime.block_on(async {
        let served = async {
            // A client that goes away before it has said anything has been served.
            if let Ok(running) = handler.serve(stdio::Stdio::start()).await {
                let _ = running.waiting().await;
            }
        };
        tokio::select! {
            () = served => {}
            () = service::asked_to_end(&stop) => {}
        }
    });
    // What verifies is ended, and its batch taken back; what is being committed comes to its end
    // before the process does.
    service.stop();
    drop(runtime);
    Ok(Exit::Done)
}
