//! Signing keys and signatures.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::scope::Scope;

/// The key of one (secret, date, region, service): four of the six HMACs of a verification, so worth caching.
///
/// It signs everything in its scope for a day: keep it like the secret it comes from. No `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    #[must_use]
    pub fn derive(secret: &str, scope: &Scope) -> Self {
        let mut first = format!("AWS4{secret}").into_bytes();
        let mut key = hmac(&first, scope.date.as_bytes());
        first.zeroize();
        for step in [scope.region.as_str(), scope.service(), scope.terminator()] {
            let next = hmac(&key, step.as_bytes());
            key.zeroize();
            key = next;
        }
        Self(key)
    }

    /// Signs text: a string to sign, or a POST form's policy.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Signature {
        Signature(hmac(&self.0, text))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// 32 bytes, written as 64 lower-case hexadecimal digits. It has no `==` on purpose.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl Signature {
    /// `None` where the text is not 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_lower_hex(text).map(Self)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({self})")
    }
}

/// Reads 32 bytes of lower-case hexadecimal and nothing else.
pub(super) fn parse_lower_hex(text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
