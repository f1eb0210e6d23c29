//! The engine, through the public API of `patchcore`.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod bases;
mod colliding;
mod command;
mod compare;
mod dialects;
mod diff;
mod drift;
mod faults;
mod forgery;
mod generated;
mod history;
mod laws;
mod layers;
mod layout;
mod omission;
mod oracle;
mod overlap;
mod placeholder;
mod plan;
mod random;
mod rebase;
mod rebuild;
mod replays;
mod rulebook;
mod rules;
mod sandbox;
mod schemas;
mod shell;
mod sources;
mod stranger;
mod takeback;
mod types;
mod undo_to;
mod vocabulary;
mod workspace;
