//! x

#[path = "../orchestrator/mod.rs"]
mod orchestrator;
