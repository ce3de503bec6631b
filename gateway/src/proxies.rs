//! What proxies in front of a gateway may say of a request (SECURITY V12, §3).
//!
//! - **X1** `X-Forwarded-*` counts only on a connection from a configured proxy, and only what that proxy itself
//!   added last: anyone can write the rest. *Tested by `strangers_forward_nothing`, `the_last_word_counts`.*

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

/// An address, or a network by its address and the bits that count: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network like 10.0.0.0/8")]
pub struct NetworkError(String);

/// Where a request comes from, and how the client wrote its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    /// The client's, or the nearest address that is no proxy of ours.
    pub(crate) peer: IpAddr,
    pub(crate) secure: bool,
}

/// Reads what a trusted proxy says, and puts the host it names in place of the request's: the client signed that one.
pub(crate) fn read(parts: &mut Parts, peer: SocketAddr, secure: bool, trusted: &[Network]) -> Origin {
    let peer = peer.ip().to_canonical();
    if !trusts(trusted, peer) {
        return Origin { peer, secure };
    }
    let headers = &parts.headers;
    let secure = match last(headers, "x-forwarded-proto") {
        Some("https") => true,
        Some("http") => false,
        _ => secure,
    };
    let peer = client(headers, trusted).unwrap_or(peer);
    let host = last(headers, "x-forwarded-host").and_then(|host| HeaderValue::from_str(host).ok());
    if let Some(host) = host {
        parts.headers.insert(HOST, host);
    }
    Origin { peer, secure }
}

/// From the right, past our own proxies: the first address they did not add for each other.
fn client(headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().ok()).collect::<Option<_>>()?;
    let mut found = None;
    for item in lines.iter().flat_map(|line| line.split(',')).rev() {
        // What is no address was not written by a proxy: nothing left of it can be believed.
        let Some(address) = address(item.trim()) else { break };
        found = Some(address);
        if !trusts(trusted, address) {
            break;
        }
    }
    found
}

/// With a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The last of a list that proxies append to.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

fn trusts(trusted: &[Network], address: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(error)?,
        };
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Peer, whether it is HTTPS, and the host, as a request with these headers from `peer` is understood.
    fn origin(peer: &str, trusted: &[&str], headers: &[(&str, &str)]) -> (String, bool, String) {
        let mut request = http::Request::builder().uri("/").header("host", "inside:9000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        let peer = SocketAddr::new(peer.parse().unwrap(), 1234);
        let origin = read(&mut parts, peer, false, &networks(trusted));
        let hosts: Vec<_> =
            parts.headers.get_all("host").iter().map(|host| host.to_str().unwrap().to_owned()).collect();
        (origin.peer.to_string(), origin.secure, hosts.join(","))
    }

    const FORWARDED: [(&str, &str); 3] =
        [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "s3.example.com")];

    fn is(peer: &str, secure: bool, host: &str) -> (String, bool, String) {
        (peer.to_owned(), secure, host.to_owned())
    }

    #[test]
    fn strangers_forward_nothing() {
        for trusted in [&[][..], &["10.0.0.0/8"], &["fd00::/8", "9.9.9.8"]] {
            assert_eq!(origin("9.9.9.9", trusted, &FORWARDED), is("9.9.9.9", false, "inside:9000"), "{trusted:?}");
        }
        for peer in ["9.9.9.9", "::ffff:9.9.9.9"] {
            assert_eq!(origin(peer, &["9.9.9.9"], &FORWARDED), is("1.2.3.4", true, "s3.example.com"), "{peer}");
        }
        assert_eq!(origin("9.9.9.9", &["9.9.9.9"], &[]), is("9.9.9.9", false, "inside:9000"));
    }

    #[test]
    fn the_last_word_counts() {
        let peer = |lines: &[&str]| {
            let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            origin("10.0.0.1", &["10.0.0.0/8"], &headers).0
        };
        assert_eq!(peer(&["6.6.6.6, 1.2.3.4"]), "1.2.3.4", "what stands left of it the client may have written");
        assert_eq!(peer(&["6.6.6.6", "1.2.3.4, 10.0.0.2"]), "1.2.3.4", "past our own proxies");
        assert_eq!(peer(&["1.2.3.4:5678"]), "1.2.3.4");
        assert_eq!(peer(&["[2001:db8::1]:5678"]), "2001:db8::1");
        assert_eq!(peer(&["6.6.6.6, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(peer(&["nonsense"]), "10.0.0.1");
        let both = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "evil.example, s3.example.com")];
        assert_eq!(origin("10.0.0.1", &["10.0.0.1"], &both), is("10.0.0.1", false, "s3.example.com"));
    }

    #[test]
    fn networks_are_read_and_written() {
        let contains = |network: &str, address: &str| networks(&[network])[0].contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        assert!(contains("::/0", "::1") && contains("::1", "::1") && !contains("::1", "::2"));
        assert!(contains("192.168.1.128/25", "192.168.1.200") && !contains("192.168.1.128/25", "192.168.1.100"));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "proxy.example", "::/129", "10.0.0.0/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert_eq!(networks(&["10.0.0.0/8"])[0].to_string().parse(), Ok(networks(&["10.0.0.0/8"])[0]));
    }
}
