//! SSE-C: the key a client sends along with a request, in three headers or form fields.
//!
//! - **K1** A key is erased from memory when its last holder lets it go, compared in constant time, and cannot be
//!   printed; no error repeats it. Tested by `keys_are_never_printed`.
//! - **K2** A key is read from headers and form fields only: what stands in a URL ends in logs. Tested by
//!   `request::tests::customer::keys_in_urls_are_refused`.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;

const LENGTH: usize = 32;
const ALGORITHM: &str = "AES256";
const ANSWERED_ALGORITHM: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const ANSWERED_MD5: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// 256 bits that only the client keeps. Cheap to clone.
#[derive(Clone)]
pub struct CustomerKey {
    bytes: Arc<Zeroizing<[u8; LENGTH]>>,
    md5: [u8; 16],
}

/// Which of a request's keys: that of the object it names, or that of the object a copy reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOf {
    Object,
    CopySource,
}

impl KeyOf {
    /// The names of algorithm, key, and the key's MD5, in lower case.
    const fn names(self) -> [&'static str; 3] {
        match self {
            KeyOf::Object => [
                "x-amz-server-side-encryption-customer-algorithm",
                "x-amz-server-side-encryption-customer-key",
                "x-amz-server-side-encryption-customer-key-md5",
            ],
            KeyOf::CopySource => [
                "x-amz-copy-source-server-side-encryption-customer-algorithm",
                "x-amz-copy-source-server-side-encryption-customer-key",
                "x-amz-copy-source-server-side-encryption-customer-key-md5",
            ],
        }
    }
}

impl CustomerKey {
    /// A key of 32 bytes.
    #[must_use]
    pub fn new(bytes: &[u8; LENGTH]) -> Self {
        // Filled where it stays: what is moved leaves copies behind.
        let mut kept = Arc::new(Zeroizing::new([0; LENGTH]));
        if let Some(kept) = Arc::get_mut(&mut kept) {
            kept.copy_from_slice(bytes);
        }
        Self { md5: Md5::digest(bytes).into(), bytes: kept }
    }

    /// The key of a POST form, whose fields `get` reads by their lower-case names; empty ones are none.
    ///
    /// # Errors
    /// `InvalidArgument` where one of the three is missing or wrong, `InvalidEncryptionAlgorithmError`.
    pub fn of_form(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, S3Error> {
        let read = |name: &str| Ok(get(name).filter(|text| !text.is_empty()));
        Self::read_with(KeyOf::Object, read)
    }

    /// The key of a request's headers.
    pub(crate) fn read(fields: &Fields<'_>, of: KeyOf) -> Result<Option<Self>, S3Error> {
        for name in of.names() {
            if fields.query().iter().any(|(own, value)| own.eq_ignore_ascii_case(name) && !value.is_empty()) {
                let message = "A customer-provided encryption key must be sent in headers, not in the URL.";
                return Err(S3Error::with_message(ErrorCode::InvalidArgument, message).field("ArgumentName", name));
            }
        }
        Self::read_with(of, |name| fields.header(name))
    }

    fn read_with(of: KeyOf, get: impl Fn(&str) -> Result<Option<String>, S3Error>) -> Result<Option<Self>, S3Error> {
        let [algorithm_name, key_name, md5_name] = of.names();
        let (algorithm, key, md5) = (get(algorithm_name)?, get(key_name)?.map(Zeroizing::new), get(md5_name)?);
        if algorithm.is_none() && key.is_none() && md5.is_none() {
            return Ok(None);
        }
        match algorithm.as_deref() {
            None => return Err(refusal(algorithm_name, "must provide a valid encryption algorithm.")),
            Some(ALGORITHM) => {}
            Some(_) => return Err(ErrorCode::InvalidEncryptionAlgorithmError.into()),
        }
        let key = key.ok_or_else(|| refusal(key_name, "must provide an appropriate secret key."))?;
        let md5 = md5.ok_or_else(|| refusal(md5_name, "must provide the client calculated MD5 of the secret key."))?;
        let key = decode(&key).ok_or_else(|| {
            let message = "The secret key was invalid for the specified algorithm.";
            S3Error::with_message(ErrorCode::InvalidArgument, message).field("ArgumentName", key_name)
        })?;
        let declared = STANDARD.decode(md5.as_bytes()).unwrap_or_default();
        if !bool::from(declared.ct_eq(&key.md5)) {
            let message = "The calculated MD5 hash of the key did not match the hash that was provided.";
            return Err(S3Error::with_message(ErrorCode::InvalidArgument, message).field("ArgumentName", md5_name));
        }
        Ok(Some(key))
    }

    /// The key itself.
    #[must_use]
    pub fn reveal(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    /// What AWS answers with: the algorithm and the key's MD5, which the client already has.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(ANSWERED_ALGORITHM, HeaderValue::from_static(ALGORITHM));
        if let Ok(md5) = HeaderValue::from_str(&STANDARD.encode(self.md5)) {
            headers.insert(ANSWERED_MD5, md5);
        }
    }
}

fn refusal(name: &'static str, what: &str) -> S3Error {
    let message = format!("Requests specifying Server Side Encryption with Customer provided keys {what}");
    S3Error::with_message(ErrorCode::InvalidArgument, message).field("ArgumentName", name)
}

fn decode(text: &str) -> Option<CustomerKey> {
    // Decoded in place: a decoder's guess at the length is above the length.
    let mut bytes = Zeroizing::new([0; 2 * LENGTH]);
    let length = STANDARD.decode_slice(text, bytes.as_mut_slice()).ok()?;
    bytes.get(..length)?.try_into().ok().map(CustomerKey::new)
}

impl PartialEq for CustomerKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.as_slice().ct_eq(other.bytes.as_slice()).into()
    }
}

impl Eq for CustomerKey {}

/// Without the key (SECURITY V4).
impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

    fn form(algorithm: &str, key: &str, md5: &str) -> Result<Option<CustomerKey>, S3Error> {
        CustomerKey::of_form(|name| {
            let value = match name.rsplit('-').next() {
                Some("algorithm") => algorithm,
                Some("key") => key,
                _ => md5,
            };
            Some(value.to_owned())
        })
    }

    #[test]
    fn a_whole_key_is_read() {
        let (key, md5) = (STANDARD.encode(KEY), STANDARD.encode(Md5::digest(KEY)));
        let read = form("AES256", &key, &md5).unwrap().unwrap();
        assert_eq!(read, CustomerKey::new(&KEY));
        assert_ne!(read, CustomerKey::new(&[0; 32]));
        assert_eq!(read.reveal(), &KEY);
        let mut headers = HeaderMap::new();
        read.write(&mut headers);
        assert_eq!(headers["x-amz-server-side-encryption-customer-algorithm"], "AES256");
        assert_eq!(headers["x-amz-server-side-encryption-customer-key-md5"], md5);
        assert_eq!(form("", "", ""), Ok(None));
    }

    #[test]
    fn half_a_key_is_refused() {
        let (key, md5) = (STANDARD.encode(KEY), STANDARD.encode(Md5::digest(KEY)));
        let other = STANDARD.encode(Md5::digest(b"other"));
        let short = STANDARD.encode(&KEY[..16]);
        let long = STANDARD.encode([KEY, KEY].concat());
        let longer = STANDARD.encode([KEY, KEY, KEY].concat());
        for (algorithm, key, md5, code) in [
            ("", key.as_str(), md5.as_str(), ErrorCode::InvalidArgument),
            ("AES256", "", &md5, ErrorCode::InvalidArgument),
            ("AES256", &key, "", ErrorCode::InvalidArgument),
            ("AES256", &key, &other, ErrorCode::InvalidArgument),
            ("AES256", &key, "x", ErrorCode::InvalidArgument),
            ("AES256", &short, &md5, ErrorCode::InvalidArgument),
            ("AES256", &long, &md5, ErrorCode::InvalidArgument),
            ("AES256", &longer, &md5, ErrorCode::InvalidArgument),
            ("AES256", "no base64!", &md5, ErrorCode::InvalidArgument),
            ("aws:kms", &key, &md5, ErrorCode::InvalidEncryptionAlgorithmError),
        ] {
            let error = form(algorithm, key, md5).unwrap_err();
            assert_eq!(error.code(), code, "{algorithm} {md5}");
            assert!(!error.to_xml("id").contains(key) || key.is_empty(), "{}", error.to_xml("id"));
        }
    }

    #[test]
    fn keys_are_never_printed() {
        assert_eq!(format!("{:?}", CustomerKey::new(&KEY)), "CustomerKey");
    }
}
