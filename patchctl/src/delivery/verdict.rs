//! What an answer means for the message that it answers.

use std::time::Duration;

use crate::orchestrator::{CallError, Response, retry_after};

/// What to do after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeliveryVerdict {
    /// It was taken.
    Delivered,
    /// Try again later: after this long if the orchestrator said so, else after the back-off.
    Retry {
        after: Option<Duration>,
        reason: String,
    },
    /// Try again, but only now and then, and tell people: the operator has to do something.
    RetrySlowly { reason: String },
    /// This message will never be taken.
    Dead { reason: String },
    /// Nothing will be taken there any more.
    Gone,
}

impl DeliveryVerdict {
    /// Judges what came back.
    pub(crate) fn of(result: &Result<Response, CallError>) -> Self {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                return Self::Retry {
                    after: None,
                    reason: error.to_string(),
                };
            }
        };
        let reason = format!("the orchestrator answered {}", response.status);
        match response.status {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            401 | 403 => Self::RetrySlowly { reason },
            408 | 425 => Self::Retry {
                after: None,
                reason,
            },
            429 | 503 => Self::Retry {
                after: response.header("retry-after").and_then(retry_after),
                reason,
            },
            400..=499 => Self::Dead { reason },
            300..=399 => Self::Retry {
                after: None,
                reason: format!("{reason}, and redirects are not followed"),
            },
            _ => Self::Retry {
                after: None,
                reason,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderMap;

    fn verdict(status: u16, retry_after: Option<&str>) -> DeliveryVerdict {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        DeliveryVerdict::of(&Ok(Response {
            status,
            headers,
            body: Ok(Vec::new()),
        }))
    }

    #[test]
    fn r34_2xx_alone_is_success() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(
                verdict(status, None),
                DeliveryVerdict::Delivered,
                "{status}"
            );
        }
        for status in [100, 199, 300, 399, 400, 499, 500, 599, 999] {
            assert_ne!(
                verdict(status, None),
                DeliveryVerdict::Delivered,
                "{status}"
            );
        }
    }

    #[test]
    fn r34_r35_other_answers_have_their_meaning() {
        use DeliveryVerdict::{Dead, Gone, Retry, RetrySlowly};
        assert_eq!(verdict(410, None), Gone);
        for status in [401, 403] {
            assert!(matches!(verdict(status, None), RetrySlowly { .. }));
        }
        for status in [301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504] {
            assert!(
                matches!(verdict(status, None), Retry { after: None, .. }),
                "{status}"
            );
        }
        for status in [400, 404, 409, 413, 415, 422] {
            assert!(matches!(verdict(status, None), Dead { .. }), "{status}");
        }
        for status in [429, 503] {
            let Retry { after, .. } = verdict(status, Some("7")) else {
                panic!("{status}");
            };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
    }
}
