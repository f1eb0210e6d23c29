//! Text that must appear nowhere.

use std::fmt;

/// A secret; shown by nothing, and read only where a request is built.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes a secret in, without the white space around it that files end in.
    ///
    /// # Errors
    /// Where it is empty or holds what an HTTP header cannot carry.
    pub(crate) fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty");
        }
        if text
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
        {
            return Err("starts with \"Bearer\", which is added anyway; set it to the token alone");
        }
        if text.bytes().any(|byte| matches!(byte, b' ' | b'\t')) {
            return Err("contains white space; a token has none");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("contains characters that are not allowed in an HTTP header");
        }
        crate::redact::remember(text);
        Ok(Self(text.to_owned()))
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new(" canary\n").unwrap();
        assert_eq!(secret.expose(), "canary");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("canary"));
    }

    #[test]
    fn what_no_header_carries_is_refused() {
        assert!(Secret::new("\n").is_err());
        assert!(Secret::new("a\r\nx: y").is_err());
        assert!(Secret::new("schlüssel").is_err());
        let why = |text| Secret::new(text).err().unwrap();
        assert!(why("Bearer x").contains("Bearer"));
        assert!(why("bearer x").contains("Bearer"));
        assert!(why("a b").contains("white space"));
        assert!(Secret::new("Bearer").is_ok());
    }
}
