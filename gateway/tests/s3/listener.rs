//! Connections: what clients do to them, and what they are left with.

use std::time::Duration;

use cairn_gateway::Config;
use cairn_s3::auth::{Payload, Signer};
use cairn_types::{Clock as _, SystemClock};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::World;
use crate::support::client::{Client, Draft};

/// The head of a signed PUT, as text.
fn head(client: &Client, length: usize, more: &[(&str, &str)]) -> String {
    let mut draft = Draft::new(Method::PUT, "/photos/cat");
    for (name, value) in more {
        draft = draft.header(name, *value);
    }
    let mut parts = client.parts(draft, length);
    let signer = Signer { access_key_id: &client.access_key, secret: &client.secret, region: "us-east-1" };
    signer.sign(&mut parts, Payload::Unsigned, SystemClock.now_ms()).unwrap();
    let headers: String =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    format!("PUT /photos/cat HTTP/1.1\r\n{headers}\r\n")
}

/// All the server says until it closes the connection, or pauses for a second.
async fn hear(tcp: &mut TcpStream) -> (String, bool) {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(Duration::from_secs(1), tcp.read(&mut buffer)).await {
            Err(_) => return (String::from_utf8(heard).unwrap(), false),
            Ok(Ok(0) | Err(_)) => return (String::from_utf8(heard).unwrap(), true),
            Ok(Ok(read)) => heard.extend_from_slice(&buffer[..read]),
        }
    }
}

#[tokio::test]
async fn continue_is_said_after_authorisation_only() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let expect = [("expect", "100-continue")];
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(head(&client, 4, &expect).as_bytes()).await.unwrap();
    let (said, closed) = hear(&mut tcp).await;
    assert_eq!((said.as_str(), closed), ("HTTP/1.1 100 Continue\r\n\r\n", false));
    tcp.write_all(b"meow").await.unwrap();
    let (said, closed) = hear(&mut tcp).await;
    assert!(said.starts_with("HTTP/1.1 200") && !closed, "{said}");

    let stranger = Client { secret: "wrong".to_owned(), ..client.clone() };
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(head(&stranger, 4, &expect).as_bytes()).await.unwrap();
    let (said, closed) = hear(&mut tcp).await;
    assert!(said.starts_with("HTTP/1.1 403") && closed, "{said}");

    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(head(&client, 0, &expect).as_bytes()).await.unwrap();
    let (said, closed) = hear(&mut tcp).await;
    assert!(said.starts_with("HTTP/1.1 200") && closed, "an answer without a 100 closes: {said}");
}

#[tokio::test]
async fn a_refused_body_is_read_away_so_that_the_answer_is_seen() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let stranger = Client { secret: "wrong".to_owned(), ..client.clone() };
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(head(&stranger, 500_000, &[]).as_bytes()).await.unwrap();
    tcp.write_all(&vec![0; 500_000]).await.unwrap();
    let (said, closed) = hear(&mut tcp).await;
    assert!(said.starts_with("HTTP/1.1 403") && !closed, "{said}");
    tcp.write_all(format!("{}meow", head(&client, 4, &[])).as_bytes()).await.unwrap();
    let (said, _) = hear(&mut tcp).await;
    assert!(said.starts_with("HTTP/1.1 200"), "the connection goes on in step: {said}");
}

/// More than is read away before the answer: the connection closes, but not under a client that still sends.
#[tokio::test]
async fn a_refused_body_does_not_hide_the_answer() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let stranger = Client { secret: "wrong".to_owned(), ..client.clone() };
    for megabytes in [3, 64] {
        let length = megabytes << 20;
        let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
        tcp.write_all(head(&stranger, length, &[]).as_bytes()).await.unwrap();
        tcp.write_all(&vec![0; length]).await.unwrap();
        let (said, closed) = hear(&mut tcp).await;
        assert!(said.starts_with("HTTP/1.1 403") && closed, "{said}");
    }
}

fn hasty() -> Config {
    let mut config = Config::default();
    config.limits.header_timeout = "300ms".parse().unwrap();
    config.limits.idle_timeout = "300ms".parse().unwrap();
    config
}

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let world = World::new();
    let gateway = world.gateway_with(hasty()).await;
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(b"PUT /photos/cat HTTP/1.1\r\nhost: x").await.unwrap();
    let (_, closed) = hear(&mut tcp).await;
    assert!(closed);
    let mut huge = TcpStream::connect(gateway.address).await.unwrap();
    let header = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    drop(huge.write_all(header.as_bytes()).await);
    let (said, closed) = hear(&mut huge).await;
    assert!(closed && (said.is_empty() || said.starts_with("HTTP/1.1 431")), "{said}");
}

#[tokio::test]
async fn a_trickled_body_times_out_and_a_cut_one_stores_nothing() {
    let world = World::new();
    let gateway = world.gateway_with(hasty()).await;
    let client = gateway.client_with("photos").await;
    client.put("/photos/cat", "whole").await.ok();
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(head(&client, 100_000, &[]).as_bytes()).await.unwrap();
    for _ in 0..6 {
        drop(tcp.write_all(b"x").await);
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    let (said, _) = hear(&mut tcp).await;
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("RequestTimeout"), "{said}");

    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    tcp.write_all(head(&client, 100_000, &[]).as_bytes()).await.unwrap();
    tcp.write_all(&[0; 50_000]).await.unwrap();
    drop(tcp);
    assert_eq!(client.get("/photos/cat").await.ok().text(), "whole");
}

#[tokio::test]
async fn preflights_are_refused_before_authentication() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = Client::new(gateway.address, "-", "-");
    let preflight = Draft::new(Method::OPTIONS, "/photos/cat")
        .header("origin", "https://example.org")
        .header("access-control-request-method", "GET");
    let refused = client.exchange(client.parts(preflight, 0), "".into()).await;
    assert_eq!(refused.refusal(), (403, "AccessForbidden"));
    let bare = client.exchange(client.parts(Draft::new(Method::OPTIONS, "/photos/cat"), 0), "".into()).await;
    assert_eq!(bare.status, 400);
}

#[tokio::test]
async fn requests_may_be_pipelined_and_are_answered_in_order() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let mut tcp = TcpStream::connect(gateway.address).await.unwrap();
    let one = format!("{}meow", head(&client, 4, &[]));
    let link = client.presign(Method::GET, "/photos/cat", 60, SystemClock.now_ms());
    let get = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", link.uri, gateway.address);
    let missing = format!("GET /photos/none HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address);
    tcp.write_all(format!("{one}{get}{missing}{get}").as_bytes()).await.unwrap();
    let (said, closed) = hear(&mut tcp).await;
    let statuses: Vec<&str> = said.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!((statuses, closed), (vec!["200", "200", "403", "200"], false), "{said}");
    assert_eq!(said.matches("meow").count(), 2);
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_it_began_and_nothing_else() {
    let world = World::new();
    let gateway = world.gateway().await;
    let client = gateway.client_with("photos").await;
    let (mut idle, mut busy) =
        (TcpStream::connect(gateway.address).await.unwrap(), TcpStream::connect(gateway.address).await.unwrap());
    // A connection that is kept alive after a request, and one in the middle of a body.
    idle.write_all(format!("{}meow", head(&client, 4, &[])).as_bytes()).await.unwrap();
    let (said, closed) = hear(&mut idle).await;
    assert!(said.starts_with("HTTP/1.1 200") && !closed);
    busy.write_all(head(&client, 100_000, &[]).as_bytes()).await.unwrap();
    busy.write_all(&[b'x'; 50_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    gateway.stop();
    let (_, closed) = hear(&mut idle).await;
    assert!(closed, "an idle connection is closed");
    let begun = std::time::Instant::now();
    while TcpStream::connect(gateway.address).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(5), "new connections are refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    busy.write_all(&[b'x'; 50_000]).await.unwrap();
    let (said, closed) = hear(&mut busy).await;
    assert!(said.starts_with("HTTP/1.1 200") && closed, "what was begun is finished: {said}");
    let other = world.gateway().await;
    assert_eq!(client.at(other.address).get("/photos/cat").await.ok().body.len(), 100_000);
}

#[tokio::test]
async fn only_trusted_proxies_may_say_which_host_was_signed() {
    let world = World::new();
    let trusting = Config { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() };
    let (trusting, wary) = (world.gateway_with(trusting).await, world.gateway().await);
    let client = trusting.client_with("photos").await;
    for (gateway, status) in [(&trusting, 200), (&wary, 403)] {
        // Signed for the host outside, sent by the proxy with the host inside.
        let mut parts = client.parts(Draft::new(Method::PUT, "/photos/cat"), 4);
        parts.headers.insert("host", "s3.example.com:8443".parse().unwrap());
        let signer = Signer { access_key_id: &client.access_key, secret: &client.secret, region: "us-east-1" };
        signer.sign(&mut parts, Payload::Unsigned, SystemClock.now_ms()).unwrap();
        parts.headers.insert("host", "inside:9000".parse().unwrap());
        parts.headers.insert("x-forwarded-host", "s3.example.com:8443".parse().unwrap());
        let reply = client.at(gateway.address).exchange(parts, "meow".into()).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}
