//! Times in the headers of an answer.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The longest that an orchestrator can make us wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait that a `Retry-After` header asks for, in seconds or as a date, at most
/// [`MAX_RETRY_AFTER`]. A date in the past is no wait.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    retry_after_at(value, Timestamp::now())
}

fn retry_after_at(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = http_date(value)?;
    let wait = Duration::try_from(date.duration_since(now)).unwrap_or_default();
    Some(wait.min(MAX_RETRY_AFTER))
}

/// A date as HTTP headers write it, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn http_date(value: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(value.trim())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let after = |value| retry_after_at(value, now);
        assert_eq!(after("2"), Some(Duration::from_secs(2)));
        assert_eq!(after("0"), Some(Duration::ZERO));
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(
            after("Fri, 06 Nov 2094 08:00:00 GMT"),
            Some(MAX_RETRY_AFTER)
        );
        assert_eq!(after("99999999999999999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(after("-5"), None);
        assert_eq!(after("soon"), None);
        assert_eq!(after(""), None);
    }
}
