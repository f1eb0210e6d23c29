//! Signatures as Standard Webhooks 1.0 defines them (standardwebhooks.com).

use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The key of a webhook secret, `whsec_` and base64.
#[derive(Clone)]
pub(crate) struct SigningKey(Vec<u8>);

/// Padding is optional: operators paste it with and without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl SigningKey {
    /// Reads a secret.
    ///
    /// # Errors
    /// Says what is wrong with it, without showing it.
    pub(crate) fn parse(secret: &str) -> Result<Self, &'static str> {
        let encoded = secret
            .trim()
            .strip_prefix("whsec_")
            .ok_or("does not start with whsec_")?;
        let key = LENIENT
            .decode(encoded)
            .map_err(|_| "is not base64 after whsec_")?;
        if key.len() < 16 {
            return Err("holds fewer than 16 bytes");
        }
        crate::redact::remember(secret);
        Ok(Self(key))
    }

    /// The `webhook-signature` of a body: `v1,` and the base64 of HMAC-SHA256 over
    /// `id.timestamp.body`, exact bytes.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any size");
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SigningKey;

    /// The vector of the reference implementations' test suites.
    #[test]
    fn agrees_with_the_reference_vector() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn malformed_secrets_are_named_but_not_shown() {
        for secret in ["canary", "whsec_%%%", "whsec_YQ==", ""] {
            let error = SigningKey::parse(secret).unwrap_err();
            assert!(!error.contains("canary"));
        }
        let padded = SigningKey::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZg==").unwrap();
        let bare = SigningKey::parse("whsec_MDEyMzQ1Njc4OWFiY2RlZg").unwrap();
        assert_eq!(padded.sign("a", 1, b"x"), bare.sign("a", 1, b"x"));
        assert!(!format!("{padded:?}").contains("48"));
    }
}
