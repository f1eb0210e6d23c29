//! Who may call: the token, and against web pages `Host` and `Origin`.
//!
//! A page that somebody opens in a browser on this machine can reach a loopback address. It cannot
//! choose `Host` (which a name that was bound anew to 127.0.0.1 still has) nor leave out `Origin`.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::Uri;
use sha2::{Digest as _, Sha256};

use crate::cli::server::HttpArgs;
use crate::exit::Failure;
use crate::place::read_bytes;
use crate::redact;

/// What to say of a token that every user of this machine can read.
pub(super) fn open_token(args: &HttpArgs) -> Option<String> {
    let path = args.token_file.as_ref()?;
    // Where it cannot be read, that is said elsewhere.
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        let path = path.display();
        format!("{path} can be read by every user of this machine, who can call with its token: chmod 640")
    })
}

/// Fewest characters of a token.
const SHORTEST: usize = 16;

/// The rules of a server.
pub(super) struct Guard {
    token: Option<[u8; 32]>,
    /// Names under which the server is called, in lower case; empty where no browser can call it.
    names: Vec<String>,
}

impl Guard {
    pub(super) fn new(args: &HttpArgs) -> Result<Self, Failure> {
        let token = args.token_file.as_ref().map(|path| -> Result<_, Failure> {
            let bytes = read_bytes(path)?;
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim();
            if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                let path = path.display();
                return Err(Failure::Usage(format!(
                    "{path} holds no token: at least {SHORTEST} printable ASCII characters without blanks"
                )));
            }
            redact::remember(text);
            Ok(digest(text.as_bytes()))
        });
        let token = token.transpose()?;
        let is_open = args.socket.is_none() && !args.listen.ip().is_loopback();
        if is_open && token.is_none() {
            let address = args.listen;
            return Err(Failure::Usage(format!(
                "{address} can be reached from other machines: give a token with --token-file, or \
                 listen on a loopback address"
            )));
        }
        let names = match &args.socket {
            Some(_) => Vec::new(),
            None => names(args.listen, &args.host),
        };
        Ok(Self { token, names })
    }

    /// The names under which the server is called.
    #[cfg(feature = "mcp")]
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a request may be answered.
    ///
    /// # Errors
    /// The status, and why.
    pub(super) fn check(&self, request: &Request<Body>) -> Result<(), (StatusCode, &'static str)> {
        if !self.names.is_empty() {
            self.check_browser(request)?;
        }
        let Some(token) = &self.token else {
            return Ok(());
        };
        let given =
            one(request.headers(), header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let given = digest(given.unwrap_or_default().as_bytes());
        // All bytes are compared, wherever they differ.
        let differing = token.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        match std::hint::black_box(differing) {
            0 => Ok(()),
            _ => Err((
                StatusCode::UNAUTHORIZED,
                "send the token as `Authorization: Bearer`",
            )),
        }
    }

    fn check_browser(&self, request: &Request<Body>) -> Result<(), (StatusCode, &'static str)> {
        let forbidden = |why| Err((StatusCode::FORBIDDEN, why));
        let headers = request.headers();
        let Some(host) = one(headers, header::HOST).and_then(|host| host.to_str().ok()) else {
            return forbidden("a request has one `Host`");
        };
        // An absolute target goes before `Host`.
        let target = request
            .uri()
            .authority()
            .map(|authority| authority.as_str());
        for authority in [Some(host), target].into_iter().flatten() {
            if !self.is_own(authority) {
                return forbidden("this server has another name; --host adds one");
            }
        }
        let is_foreign = |site: &HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
        if headers.get_all("sec-fetch-site").iter().any(is_foreign) {
            return forbidden("pages of other sites may not call this server");
        }
        for origin in headers.get_all(header::ORIGIN) {
            let authority = origin.to_str().ok().and_then(|origin| {
                let rest = origin
                    .strip_prefix("http://")
                    .or_else(|| origin.strip_prefix("https://"))?;
                (!rest.contains(['/', '@'])).then_some(rest)
            });
            if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
                return forbidden("pages of other sites may not call this server");
            }
        }
        Ok(())
    }

    /// Whether an authority is this server, at whatever port it is reached.
    fn is_own(&self, authority: &str) -> bool {
        let Ok(uri) = authority.parse::<Uri>() else {
            return false;
        };
        let parsed = uri
            .authority()
            .filter(|parsed| parsed.as_str() == authority);
        let Some(host) = parsed.map(|parsed| parsed.host().to_ascii_lowercase()) else {
            return false;
        };
        !authority.contains('@') && self.names.contains(&host)
    }
}

/// A header that is there once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn names(listen: SocketAddr, more: &[String]) -> Vec<String> {
    let ip = match listen {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    let mut names = vec![ip];
    if listen.ip().is_loopback() {
        names.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    names.extend(more.iter().cloned());
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>) -> Guard {
        Guard {
            token: token.map(|token| digest(token.as_bytes())),
            names: names(
                "127.0.0.1:8000".parse().unwrap(),
                &["agents.example".to_owned()],
            ),
        }
    }

    fn status(guard: &Guard, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().uri("/healthz");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let checked = guard.check(&request.body(Body::empty()).unwrap());
        checked.err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn r41_names_and_origins_of_others_are_refused() {
        let guard = guard(None);
        for host in [
            "localhost:8000",
            "127.0.0.1",
            "[::1]:8000",
            "agents.example",
            "LOCALHOST:1",
        ] {
            assert_eq!(status(&guard, &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8000",
            "evil@localhost",
            "localhost@evil.example",
            "",
            "localhost:8000/x",
            "127.0.0.2",
            "2130706433",
            "[::]",
        ] {
            assert_eq!(status(&guard, &[("host", host)]), Some(403), "{host}");
        }
        assert_eq!(status(&guard, &[]), Some(403));
        assert_eq!(
            status(&guard, &[("host", "localhost"), ("host", "localhost")]),
            Some(403)
        );
        let origin = |origin| status(&guard, &[("host", "localhost:8000"), ("origin", origin)]);
        assert_eq!(origin("http://localhost:8000"), None);
        for other in [
            "null",
            "http://evil.example",
            "http://localhost",
            "http://localhost:3000",
            "file://",
            "http://localhost:8000.evil.example",
            "http://localhost:8000@evil.example",
            "",
        ] {
            assert_eq!(origin(other), Some(403), "{other}");
        }
        let site = |site| status(&guard, &[("host", "localhost"), ("sec-fetch-site", site)]);
        assert_eq!((site("none"), site("same-origin")), (None, None));
        assert_eq!(
            (site("cross-site"), site("same-site")),
            (Some(403), Some(403))
        );
    }

    #[test]
    fn r41_a_token_is_compared_in_full() {
        let guard = guard(Some("0123456789abcdef"));
        let token = |value| status(&guard, &[("host", "localhost"), ("authorization", value)]);
        assert_eq!(token("Bearer 0123456789abcdef"), None);
        assert_eq!(token("bearer 0123456789abcdef"), None);
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer",
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcdefg",
            "",
        ] {
            assert_eq!(token(wrong), Some(401), "{wrong}");
        }
        assert_eq!(status(&guard, &[("host", "localhost")]), Some(401));
    }
}
