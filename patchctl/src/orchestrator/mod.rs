//! The orchestrator's HTTP API: configuration, client, signatures, typed calls.
//!
//! Address and secrets come from the operator alone. Redirects are not followed, nothing is
//! decompressed, every call has a total deadline and a bound on what it reads.

mod api;
mod client;
mod config;
mod retry_after;
mod secret;
mod sign;

pub(crate) use api::{
    Api, Clarification, ErrorCode, FactoryError, Help, Level, NewOrder, OpLog, Remediation,
    RemediationAction, Remediations,
};
pub(crate) use client::{CallError, Client, DATA_ANSWER, EVENT_ANSWER, Request, Response};
pub(crate) use config::{Config, ConfigError};
pub(crate) use retry_after::{http_date, retry_after};
pub(crate) use secret::Secret;
pub(crate) use sign::SigningKey;
