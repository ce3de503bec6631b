//! Join tokens (DESIGN §1): what one machine needs to become part of the cluster, once, within the hour.
//!
//! - **J1** A serial is redeemed once: it is marked used, and that is synced, before the secret is handed over
//!   (`a_serial_is_redeemed_once`; over restarts: `tests/cluster.rs`).
//! - **J2** A token is good for its own serial only: the certificate in it names the serial
//!   (`tests/cluster.rs`, `a_token_cannot_redeem_another`).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use cairn_proto::membership::v1::JoinRequest;
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_rpc::{CallError, ClientCredentials, ClusterSecret, IdentityError, PeerRole};
use cairn_types::StoreId;
use prost::Message as _;
use zeroize::Zeroizing;

use crate::disk::{Issued, Saved};

/// Names a token.
pub(crate) type Serial = [u8; 16];

/// The longest a token is valid, in milliseconds.
pub(crate) const LONGEST_MS: u64 = 60 * 60 * 1000;
/// Tokens that may be open at once.
const MAX_OPEN: usize = 1000;
const PREFIX: &str = "cairn-join-1.";
/// Characters of a token's text; an honest one has about 2,000.
const MAX_TEXT: usize = 64 * 1024;
/// Addresses in a token.
const MAX_ADDRESSES: usize = 16;

/// Why text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is no join token: `cairn token join` prints one that begins with {PREFIX}")]
    Prefix,
    #[error("the join token is incomplete or damaged")]
    Damaged,
}

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the join token's certificate cannot be used")]
    Identity(#[from] IdentityError),
    /// The answer of the last daemon asked.
    #[error("joining through {address} failed: {source}")]
    Call {
        address: String,
        #[source]
        source: CallError,
    },
    #[error("the join token names no daemon to ask")]
    NoAddress,
    #[error("the cluster answered without a secret")]
    NoSecret,
}

/// What a machine that joined holds.
pub struct Joined {
    pub secret: ClusterSecret,
    /// Membership daemons to watch, host:port.
    pub peers: Vec<String>,
}

/// A token. No `Debug` of its contents: it is a secret.
pub(crate) struct JoinToken {
    serial: Serial,
    issuer: StoreId,
    /// The issuer's first.
    addresses: Vec<String>,
    credentials: ClientCredentials,
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// A token's contents as bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(bytes = "bytes", tag = "1")]
    serial: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    issuer: Bytes,
    #[prost(string, repeated, tag = "3")]
    addresses: Vec<String>,
    #[prost(string, tag = "4")]
    ca_pem: String,
    #[prost(string, tag = "5")]
    certificate_pem: String,
    #[prost(string, tag = "6")]
    key_pem: String,
}

impl JoinToken {
    /// Makes the token of a serial; `addresses` has the issuer's first.
    pub(crate) fn new(
        secret: &ClusterSecret,
        serial: Serial,
        issuer: StoreId,
        mut addresses: Vec<String>,
    ) -> Result<Self, IdentityError> {
        addresses.truncate(MAX_ADDRESSES);
        let credentials = ClientCredentials::issue_for(secret, PeerRole::Join, Some(StoreId(serial)))?;
        Ok(Self { serial, issuer, addresses, credentials })
    }

    /// One line of text, to be handed to `cairn server --join-file`.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let wire = Wire {
            serial: Bytes::copy_from_slice(&self.serial),
            issuer: self.issuer.to_bytes(),
            addresses: self.addresses.clone(),
            ca_pem: self.credentials.ca_pem.clone(),
            certificate_pem: self.credentials.certificate_pem.clone(),
            key_pem: self.credentials.key_pem.to_string(),
        };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        Zeroizing::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// Reads a token; white space around it does not matter.
    pub(crate) fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let encoded = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_TEXT).ok_or(TokenError::Prefix)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new).map_err(|_| TokenError::Damaged)?;
        let wire = Wire::decode(bytes.as_slice()).map_err(|_| TokenError::Damaged)?;
        if wire.addresses.len() > MAX_ADDRESSES {
            return Err(TokenError::Damaged);
        }
        Ok(Self {
            serial: wire.serial.as_ref().try_into().map_err(|_| TokenError::Damaged)?,
            issuer: StoreId::try_from(wire.issuer.as_ref()).map_err(|_| TokenError::Damaged)?,
            addresses: wire.addresses,
            credentials: ClientCredentials {
                ca_pem: wire.ca_pem,
                certificate_pem: wire.certificate_pem,
                key_pem: Zeroizing::new(wire.key_pem),
            },
        })
    }

    /// Trades the token for the cluster's secret. Asks one address after the other, the issuer's first.
    async fn redeem(&self, name: &str) -> Result<Joined, JoinError> {
        let connector = self.credentials.connector()?;
        let mut last = JoinError::NoAddress;
        for address in &self.addresses {
            let request = JoinRequest {
                serial: Bytes::copy_from_slice(&self.serial),
                node_name: name.to_owned(),
                issuer: self.issuer.to_bytes(),
            };
            match MembershipServiceClient::new(connector.channel(address)).join(request).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    let secret = ClusterSecret::from_bytes(&answer.cluster_secret).ok_or(JoinError::NoSecret)?;
                    return Ok(Joined { secret, peers: answer.peers });
                }
                Err(status) => {
                    let source = CallError::from(status);
                    let unreachable = matches!(source, CallError::Unreachable(_) | CallError::Deadline);
                    last = JoinError::Call { address: address.clone(), source };
                    if !unreachable {
                        return Err(last);
                    }
                }
            }
        }
        Err(last)
    }
}

/// Joins with the text of a token: `cairn server --join-file`. `name` is for the issuer's log.
///
/// # Errors
/// The text is no token, or no daemon took it: it was used, it expired, or its issuer cannot be reached.
pub async fn join(token: &str, name: &str) -> Result<Joined, JoinError> {
    JoinToken::parse(token)?.redeem(name).await
}

/// What became of an attempt to redeem a serial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Redeemed {
    /// For the first time, and the last.
    Good,
    Used,
    Expired,
    /// Not issued here, or long expired.
    Unknown,
}

/// Notes a new token. False: too many are open.
pub(crate) fn issue(saved: &mut Saved, serial: Serial, now_ms: u64, valid_ms: u64) -> bool {
    saved.tokens.retain(|_, issued| issued.expires_ms.saturating_add(LONGEST_MS) > now_ms);
    if saved.tokens.len() >= MAX_OPEN {
        return false;
    }
    saved.tokens.insert(serial, Issued { expires_ms: now_ms.saturating_add(valid_ms), used: false });
    true
}

/// Takes a token, if it may be taken.
pub(crate) fn redeem(saved: &mut Saved, serial: &Serial, now_ms: u64) -> Redeemed {
    match saved.tokens.get_mut(serial) {
        None => Redeemed::Unknown,
        Some(issued) if issued.used => Redeemed::Used,
        Some(issued) if issued.expires_ms < now_ms => Redeemed::Expired,
        Some(issued) => {
            issued.used = true;
            Redeemed::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        let secret = ClusterSecret::from_bytes(&[7; 32]).unwrap();
        JoinToken::new(&secret, [1; 16], StoreId([2; 16]), vec!["a:1".to_owned(), "b:2".to_owned()]).unwrap()
    }

    #[test]
    fn tokens_round_trip_as_text() {
        let (token, text) = (token(), token().to_text());
        assert!(text.starts_with(PREFIX) && !text.contains(char::is_whitespace));
        let back = JoinToken::parse(&format!("  {}\n", token.to_text().as_str())).unwrap();
        assert_eq!((back.serial, back.issuer, &back.addresses), (token.serial, token.issuer, &token.addresses));
        assert_eq!(back.credentials.key_pem, token.credentials.key_pem);
        assert!(!format!("{token:?}").contains("PRIVATE"));
    }

    #[test]
    fn other_text_is_no_token() {
        assert_eq!(JoinToken::parse("hello").unwrap_err(), TokenError::Prefix);
        let text = token().to_text();
        assert_eq!(JoinToken::parse(&text[..text.len() / 2]).unwrap_err(), TokenError::Damaged);
        assert_eq!(JoinToken::parse(&format!("{PREFIX}!")).unwrap_err(), TokenError::Damaged);
    }

    #[test]
    fn a_serial_is_redeemed_once() {
        let mut saved = Saved::new(StoreId([1; 16]), false);
        assert!(issue(&mut saved, [1; 16], 1000, 500));
        assert!(issue(&mut saved, [2; 16], 1000, 500));
        assert_eq!(redeem(&mut saved, &[1; 16], 1400), Redeemed::Good);
        assert_eq!(redeem(&mut saved, &[1; 16], 1400), Redeemed::Used);
        assert_eq!(redeem(&mut saved, &[2; 16], 1501), Redeemed::Expired);
        assert_eq!(redeem(&mut saved, &[3; 16], 1400), Redeemed::Unknown);
        assert!(issue(&mut saved, [3; 16], 1000 + 3 * LONGEST_MS, 500));
        assert_eq!(redeem(&mut saved, &[1; 16], 1400), Redeemed::Unknown, "forgotten is not valid again");
    }
}
