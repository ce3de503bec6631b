//! Fuzz target: what proxies say. How to run and replay it: `gateway/s3/src/fuzz.rs`.

use std::net::SocketAddr;

use bolero::check;
use cairn_testkit::fuzz::{list, text};
use http::{HeaderName, HeaderValue};

use crate::proxies::{Network, read};

/// A stranger's word changes nothing; a proxy's own word is an address, and the host is what it named.
#[test]
fn only_proxies_are_believed() {
    const NAMES: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"];
    let words = &[
        "10.0.0.1",
        "1.2.3.4",
        "[2001:db8::1]",
        "::1",
        ":80",
        ",",
        " ",
        "https",
        "http",
        "s3.example.com",
        "unknown",
        "10.0.0.0/8",
        "/",
        "33",
        "é",
    ];
    let headers = list((0..NAMES.len(), text(words, 5)), 0..5);
    check!().with_generator((headers, text(words, 3))).for_each(|(headers, network)| {
        let mut parts = http::Request::new(()).into_parts().0;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value.trim()) {
                parts.headers.append(HeaderName::from_static(NAMES[*name]), value);
            }
        }
        let before = parts.headers.clone();
        let trusted = ["10.0.0.0/8".parse::<Network>().unwrap()];
        let stranger: SocketAddr = "9.9.9.9:1".parse().unwrap();
        let origin = read(&mut parts, stranger, false, &trusted);
        assert_eq!((origin.peer, origin.secure), (stranger.ip(), false));
        assert_eq!(parts.headers, before);

        let proxy: SocketAddr = "10.0.0.1:1".parse().unwrap();
        let origin = read(&mut parts, proxy, false, &trusted);
        let told = |name: &str| before.get_all(name).iter().any(|value| value.to_str().is_ok());
        assert!(origin.peer == proxy.ip() || told("x-forwarded-for"));
        assert!(!origin.secure || told("x-forwarded-proto"));
        assert!(parts.headers.get("host") == before.get("host") || told("x-forwarded-host"));

        if let Ok(network) = network.parse::<Network>() {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
    });
}
