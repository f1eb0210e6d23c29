//! x

#[path = "../orchestrator/mod.rs"]
mod orchestrator;

mod campaign;
mod delivery;
mod events;
mod hand;
mod tls;
