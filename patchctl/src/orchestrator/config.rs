//! Where the orchestrator is and what we show it, resolved once from arguments and environment.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ureq::http::Uri;

use super::{Secret, SigningKey};
use crate::cli::orchestrator::Connection;

/// Longest secret, URL or CA file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A configured orchestrator.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Scheme, host, port and path prefix, without a trailing `/`.
    pub(crate) base: String,
    /// Whether the host is this one.
    pub(crate) loopback: bool,
    /// Sent as `Authorization: Bearer`.
    pub(crate) token: Option<Secret>,
    /// Signs event deliveries.
    pub(crate) signing: Option<SigningKey>,
    /// The only certificate authorities to trust; `None` for the public ones.
    pub(crate) ca_file: Option<PathBuf>,
    /// The trace that this process is part of, as W3C Trace Context writes it.
    pub(crate) traceparent: Option<String>,
}

/// What is wrong with the configuration. Never shows a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// No URL was given where one is needed.
    #[error("no orchestrator is configured: give --orchestrator URL or set ORCHESTRATOR_URL")]
    Missing,
    /// The URL is no http or https URL.
    #[error("the orchestrator's URL {0}")]
    Url(&'static str),
    /// A variable, or the file that it names, holds nothing usable.
    #[error("{name} {reason}")]
    Value { name: String, reason: String },
    /// A secret would cross the network in the clear.
    #[error(
        "a token or webhook secret is set, and the orchestrator's URL is plain http to another host: use https, or allow it with --insecure-http"
    )]
    PlainHttp,
}

impl Config {
    /// Resolves the options with this process's environment; `None` where no URL is given.
    ///
    /// # Errors
    /// Where what is given cannot be used; an unusable configuration is never ignored.
    pub(crate) fn resolve(connection: &Connection) -> Result<Option<Self>, ConfigError> {
        Self::resolve_in(connection, &|name| std::env::var_os(name))
    }

    /// As [`resolve`](Self::resolve), for commands that are nothing without an orchestrator.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] where no URL is given.
    pub(crate) fn require(connection: &Connection) -> Result<Self, ConfigError> {
        Self::resolve(connection)?.ok_or(ConfigError::Missing)
    }

    /// As [`resolve`](Self::resolve), with an environment to be looked up.
    fn resolve_in(
        connection: &Connection,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, ConfigError> {
        let url = match &connection.orchestrator {
            Some(url) => Some(url.clone()),
            None => variable("ORCHESTRATOR_URL", environment)?,
        };
        let Some(url) = url else { return Ok(None) };
        let token = secret("ORCHESTRATOR_TOKEN", environment)?
            .map(|text| Secret::new(&text).map_err(|reason| value("ORCHESTRATOR_TOKEN", reason)))
            .transpose()?;
        let signing = secret("ORCHESTRATOR_WEBHOOK_SECRET", environment)?
            .map(|text| {
                SigningKey::parse(&text)
                    .map_err(|reason| value("ORCHESTRATOR_WEBHOOK_SECRET", reason))
            })
            .transpose()?;
        let base = Base::parse(&url).map_err(ConfigError::Url)?;
        let has_secret = token.is_some() || signing.is_some();
        if has_secret && !base.https && !base.loopback && !connection.insecure_http {
            return Err(ConfigError::PlainHttp);
        }
        let ca_file = connection
            .ca_file
            .clone()
            .or_else(|| present(environment("ORCHESTRATOR_CA_FILE")).map(PathBuf::from));
        Ok(Some(Self {
            base: base.text,
            loopback: base.loopback,
            token,
            signing,
            ca_file,
            traceparent: environment("TRACEPARENT")
                .and_then(|text| text.into_string().ok())
                .filter(|text| is_traceparent(text)),
        }))
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.base.starts_with("https:")
    }
}

/// A variable, or what the file holds that `…_FILE` names. An empty one counts as not set.
fn variable(
    name: &str,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, ConfigError> {
    if let Some(text) = present(environment(name)) {
        return match text.into_string() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(value(name, "is not UTF-8")),
        };
    }
    let name = format!("{name}_FILE");
    let Some(path) = present(environment(&name)) else {
        return Ok(None);
    };
    let text = read(Path::new(&path)).map_err(|error| value(&name, error.to_string()))?;
    Ok(Some(text.trim().to_owned()))
}

/// As [`variable`], for a secret: an empty one is what is left of one that somebody forgot to set,
/// and going on without it would send unsigned events, say.
fn secret(
    name: &str,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, ConfigError> {
    let file = format!("{name}_FILE");
    for name in [name, &file] {
        if environment(name).is_some_and(|text| text.is_empty()) {
            return Err(value(name, "is empty; unset it to go without"));
        }
    }
    let text = variable(name, environment)?;
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        let name = match environment(name) {
            Some(_) => name,
            None => &file,
        };
        return Err(value(name, "holds no secret; unset it to go without"));
    }
    Ok(text)
}

fn present(text: Option<OsString>) -> Option<OsString> {
    text.filter(|text| !text.is_empty())
}

/// A small text file.
pub(super) fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn value(name: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

struct Base {
    text: String,
    https: bool,
    loopback: bool,
}

impl Base {
    fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.trim().parse().map_err(|_| "is malformed")?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("must start with http:// or https://"),
        };
        let authority = uri.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err("must hold no user name or password: set ORCHESTRATOR_TOKEN");
        }
        if uri.query().is_some() {
            return Err("must hold no query");
        }
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        Ok(Self {
            text: format!(
                "{}://{}{}",
                if https { "https" } else { "http" },
                authority,
                uri.path().trim_end_matches('/')
            ),
            https,
            loopback,
        })
    }
}

/// Whether the text is a W3C `traceparent`: what is not is not passed on.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    hex(2) && hex(32) && hex(16) && hex(2) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: &str, variables: &[(&str, &str)]) -> Result<Option<Config>, ConfigError> {
        let connection = Connection {
            orchestrator: (!url.is_empty()).then(|| url.to_owned()),
            ..Connection::default()
        };
        Config::resolve_in(&connection, &|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_url_may_come_from_argument_variable_or_file() {
        assert!(resolve("", &[]).unwrap().is_none());
        assert!(resolve("", &[("ORCHESTRATOR_URL", "")]).unwrap().is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "https://c.example/base/\n").unwrap();
        let path = file.path().to_str().unwrap();
        let variables = [
            ("ORCHESTRATOR_URL", "http://b"),
            ("ORCHESTRATOR_URL_FILE", path),
        ];
        let base = |url, n| resolve(url, &variables[n..]).unwrap().unwrap().base;
        assert_eq!(base("http://a:81/", 0), "http://a:81");
        assert_eq!(base("", 0), "http://b");
        assert_eq!(base("", 1), "https://c.example/base");
    }

    #[test]
    fn a_secret_crosses_plain_http_only_to_this_host() {
        let token = [("ORCHESTRATOR_TOKEN", "canary")];
        for url in [
            "http://127.0.0.1:1",
            "http://localhost",
            "http://[::1]:2",
            "https://x",
        ] {
            assert!(resolve(url, &token).unwrap().is_some(), "{url}");
        }
        for url in [
            "http://x",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://127.0.0.1.example",
        ] {
            let error = resolve(url, &token).unwrap_err();
            assert!(matches!(error, ConfigError::PlainHttp), "{url}");
            assert!(resolve(url, &[]).unwrap().is_some(), "{url}");
        }
        let signing = [(
            "ORCHESTRATOR_WEBHOOK_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        )];
        assert!(resolve("http://x", &signing).is_err());
        let allowed = Connection {
            orchestrator: Some("http://x".to_owned()),
            insecure_http: true,
            ..Connection::default()
        };
        let config = Config::resolve_in(&allowed, &|_| Some("canary".into()));
        // Every variable is "canary" here, so it is the webhook secret that is refused, unshown.
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn an_empty_secret_is_not_taken_for_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for name in ["ORCHESTRATOR_TOKEN", "ORCHESTRATOR_WEBHOOK_SECRET"] {
            let from_file = format!("{name}_FILE");
            for (name, text) in [
                (name, ""),
                (name, " "),
                (&from_file, ""),
                (&from_file, path),
            ] {
                let error = resolve("https://x", &[(name, text)]).unwrap_err();
                let text = error.to_string();
                assert!(text.starts_with(&format!("{name} ")), "{text}");
                assert!(text.contains("unset it"), "{text}");
            }
        }
    }

    #[test]
    fn malformed_urls_are_refused_and_not_shown() {
        for url in [
            "ftp://x",
            "x",
            "http://",
            "http://canary:pw@x",
            "http://x?canary",
            "http://a b",
        ] {
            let error = resolve(url, &[]).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn only_a_well_formed_trace_is_passed_on() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good));
        for bad in [
            "",
            "00-0-0-00",
            &good.to_uppercase(),
            &format!("{good}-x"),
            "x\r\ny: z",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
