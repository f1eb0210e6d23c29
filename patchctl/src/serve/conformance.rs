//! The official conformance suite of the protocol, against `/mcp`.
//!
//! It needs node and `@modelcontextprotocol/conformance` in the `node_modules` that
//! `PATCHCTL_TEST_NODE_MODULES` names; without them the tests say that they are skipped. The suite
//! asks for tools, resources and prompts of its own, which [`fixtures`] has: everything else, from
//! the socket to the messages, is what `serve` runs. What fails is listed here with its reason, and
//! the suite fails where something of a list passes, or something else does not.

mod fixtures;

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use axum::Router;
use axum::routing::any;
use clap::Parser as _;
use tokio::sync::watch;

use super::{Guard, Listener, ServeArgs, Server, api, mcp};
use crate::cli::{Cli, Command};
use crate::service::Service;
use fixtures::Fixtures;

/// What the suite finds wanting in a transport without sessions, where a server cannot ask its
/// client in the middle of a call, and in a server that has no subscriptions.
const WITHOUT_SESSIONS: &[&str] = &[
    "tools-call-sampling",
    "tools-call-elicitation",
    "elicitation-sep1034-defaults",
    "elicitation-sep1330-enums",
    "resources-subscribe",
    "resources-unsubscribe",
    "server-sse-multiple-streams",
];

/// What the suite asks of a server that has other tools, resources or prompts than its own: its
/// fixtures by their names, and what this server does not have.
const WITHOUT_FIXTURES: &[&str] = &[
    "completion-complete",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
];
const WITHOUT_FIXTURES_OF_2026: &[&str] = &[
    "server-stateless:sep-2575-server-rejects-undeclared-capability",
    "server-stateless:sep-2575-missing-capability-http-400",
    "server-stateless:sep-2575-http-server-no-independent-requests-on-stream",
    "server-stateless:sep-2575-server-no-log-without-loglevel",
    "caching:sep-2549-prompts-list-caching-hints",
    "input-required-result-basic-elicitation",
    "input-required-result-basic-sampling",
    "input-required-result-basic-list-roots",
    "input-required-result-request-state",
    "input-required-result-multiple-input-requests",
    "input-required-result-multi-round",
    "input-required-result-non-tool-request",
    "input-required-result-result-type",
    "input-required-result-tampered-state",
    "input-required-result-capability-check",
    "input-required-result-missing-input-response",
    "input-required-result-ignore-extra-params",
];
const WITHOUT_FIXTURES_OF_2025: &[&str] = &["logging-set-level", "tools-call-with-logging"];

/// A server in a thread of its own, which ends with this value.
struct Serving {
    url: String,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Serving {
    /// Serves what is built of the server and the arguments of `serve`.
    fn start(
        root: &Path,
        build: impl FnOnce(&Server, &ServeArgs) -> Router + Send + 'static,
    ) -> Self {
        let root = root.to_str().unwrap();
        let line = [
            "patchctl",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--root",
            root,
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let (tell_name, named) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let Command::Serve(args) = &cli.command else {
                panic!("another command");
            };
            let service = Service::new(&cli.global, args.engine.clone()).unwrap();
            let guard = Guard::new(&args.http).unwrap();
            let (tell, stopping) = watch::channel(false);
            let server = Server::new(Arc::new(service), guard, stopping);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = Listener::bind(&args.http).await.unwrap();
                tell_name.send(listener.name.clone()).unwrap();
                let router = build(&server, args);
                let serving = listener.serve(router, &server, &args.http, &flag, &tell);
                serving.await;
            });
        });
        Self {
            url: format!("{}/mcp", named.recv().unwrap()),
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The fixtures behind the guard and the transport of `serve`.
fn with_fixtures(server: &Server, args: &ServeArgs) -> Router {
    let http = &args.http;
    let names = server.guard.names();
    let answering = mcp::answering(Fixtures, names, http.max_body, http.client_timeout);
    api::behind_the_guard(Router::new().route("/mcp", any(answering)), server)
}

/// The suite's program; `None`, with a word, where it is not there.
fn suite() -> Option<PathBuf> {
    let modules = std::env::var_os("PATCHCTL_TEST_NODE_MODULES").map(PathBuf::from);
    let program = "@modelcontextprotocol/conformance/dist/index.js";
    let suite = modules.map(|modules| modules.join(program));
    let suite = suite.filter(|program| program.is_file());
    if suite.is_none() {
        eprintln!(
            "skipped: PATCHCTL_TEST_NODE_MODULES names no node_modules with @modelcontextprotocol/conformance"
        );
    }
    suite
}

/// Runs what a version of the protocol requires. Exactly `failing` may fail of it, scenarios or
/// `scenario:check`.
fn run(suite: &Path, server: &Serving, version: &str, failing: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let expected = dir.path().join("failing.yml");
    let listed: String = failing.iter().map(|name| format!("  - {name}\n")).collect();
    let listed = match listed.is_empty() {
        true => "server: []\n".to_owned(),
        false => format!("server:\n{listed}"),
    };
    std::fs::write(&expected, listed).unwrap();
    let done = Process::new("node")
        .arg(suite)
        .args(["server", "--url", &server.url, "--requirements", version])
        .arg("--expected-failures")
        .arg(&expected)
        .arg("-o")
        .arg(dir.path().join("results"))
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let talk = String::from_utf8_lossy(&done.stderr);
    let summary = said.split("=== SUMMARY ===").nth(1).unwrap_or(&said);
    println!("{version}:{summary}");
    assert!(done.status.success(), "{version}: {said}{talk}");
    assert!(summary.contains("✓ tools-list"), "{version}: {said}{talk}");
}

#[test]
fn the_conformance_suite_passes_over_our_transport() {
    let Some(suite) = suite() else { return };
    let root = tempfile::tempdir().unwrap();
    let server = Serving::start(root.path(), with_fixtures);
    run(&suite, &server, "2026-07-28", &[]);
    run(&suite, &server, "2025-11-25", WITHOUT_SESSIONS);
}

#[test]
fn the_conformance_suite_passes_in_what_a_server_with_our_tools_has() {
    let Some(suite) = suite() else { return };
    let root = tempfile::tempdir().unwrap();
    let server = Serving::start(root.path(), |server, args| {
        api::router(server, args.http.max_body, args.http.client_timeout)
    });
    let failing = [WITHOUT_FIXTURES, WITHOUT_FIXTURES_OF_2026].concat();
    run(&suite, &server, "2026-07-28", &failing);
    let failing = [WITHOUT_FIXTURES, WITHOUT_SESSIONS, WITHOUT_FIXTURES_OF_2025].concat();
    run(&suite, &server, "2025-11-25", &failing);
}
