//! Tests of the binary, each in a directory of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps fails where it should"
)]

mod corpus;
#[path = "../orchestrator/mod.rs"]
mod orchestrator;
mod read;
mod readme;

mod campaign;
mod crash;
mod delivery;
mod dialect;
mod diff;
mod edit;
mod events;
mod formats;
mod hand;
mod hostile;
mod init;
mod links;
mod log;
#[cfg(feature = "mcp")]
mod mcp;
mod notify;
mod numbers;
mod order;
mod paths;
mod placeholder;
mod planted;
mod protect;
mod rebase;
mod request;
mod run;
mod sandbox;
mod secrets;
#[cfg(feature = "serve")]
mod serve;
#[cfg(all(feature = "mcp", feature = "serve"))]
mod servers;
mod state;
mod stress;
mod tls;
mod tree;
