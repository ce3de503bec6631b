//! Certificates by host, on both listeners, with real TLS clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cairn_gateway::{Config, HostCertificate, Tls, Web};
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::World;

/// A directory of certificates that clients trust one by one.
struct Shop {
    dir: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        cairn_rpc::install_crypto_provider();
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Writes a certificate for `names` and its key as `stem.pem` and `stem.key`; answers it.
    fn issue(&self, stem: &str, names: &[&str]) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        fs::write(self.path(stem, "key"), key.serialize_pem()).unwrap();
        fs::write(self.path(stem, "pem"), certificate.pem()).unwrap();
        certificate.der().clone()
    }

    fn path(&self, stem: &str, kind: &str) -> PathBuf {
        self.dir.path().join(format!("{stem}.{kind}"))
    }

    fn tls(&self, hosts: &[&str], refuse_unknown_hosts: bool) -> Tls {
        let pair = |stem: &str| HostCertificate { certificate: self.path(stem, "pem"), key: self.path(stem, "key") };
        Tls {
            certificate: self.path("default", "pem"),
            key: self.path("default", "key"),
            hosts: hosts.iter().map(|stem| pair(stem)).collect(),
            refuse_unknown_hosts,
            reload_every: "50ms".parse().unwrap(),
        }
    }
}

fn connector(trusted: &[&CertificateDer<'static>], alpn: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|certificate| roots.add((*certificate).clone()).unwrap());
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// A handshake with a client that trusts `trusted` alone, as `host`.
async fn handshake(
    address: SocketAddr,
    host: &str,
    trusted: &CertificateDer<'static>,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    connector(&[trusted], alpn).connect(name, TcpStream::connect(address).await?).await
}

async fn shown(address: SocketAddr, host: &str, trusted: &CertificateDer<'static>) -> bool {
    handshake(address, host, trusted, &[]).await.is_ok()
}

fn config(s3: Tls, web: Tls) -> Config {
    let web = Web { listen: "127.0.0.1:0".to_owned(), root_domain: Some("web.example".to_owned()), tls: Some(web) };
    Config { tls: Some(s3), web: Some(web), ..Config::default() }
}

#[tokio::test]
async fn every_host_gets_its_own_certificate() {
    let shop = Shop::new();
    let default = shop.issue("default", &["s3.example", "localhost"]);
    let wild = shop.issue("wild", &["*.web.example"]);
    let own = shop.issue("own", &["www.example.org", "special.web.example"]);
    let world = World::new();
    let tls = |strict| shop.tls(&["own", "wild"], strict);
    let gateway = world.gateway_with(config(tls(false), tls(true))).await;
    for address in [gateway.address, gateway.web.unwrap()] {
        for (host, trusted) in [
            ("s3.example", &default),
            ("photos.web.example", &wild),
            ("www.example.org", &own),
            ("WWW.example.org", &own),
            ("special.web.example", &own),
        ] {
            assert!(shown(address, host, trusted).await, "{host}");
        }
        assert!(!shown(address, "www.example.org", &default).await, "the default is not shown to a host with its own");
        assert!(!shown(address, "photos.web.example", &own).await);
        assert!(!shown(address, "127.0.0.1", &wild).await, "who names no host gets the default");
    }
    // An unknown host gets the default certificate, which it cannot accept, or an alert at once.
    let failure = |address| {
        let default = &default;
        async move { handshake(address, "other.example", default, &[]).await.unwrap_err().to_string() }
    };
    let (lenient, strict) = (failure(gateway.address).await, failure(gateway.web.unwrap()).await);
    assert!(lenient.contains("not valid for name"), "{lenient}");
    assert!(strict.contains("AccessDenied"), "{strict}");
}

#[tokio::test]
async fn changed_certificates_are_taken_and_broken_ones_are_not() {
    let shop = Shop::new();
    let default = shop.issue("default", &["s3.example"]);
    let first = shop.issue("own", &["www.example.org"]);
    let world = World::new();
    let gateway = world.gateway_with(config(shop.tls(&["own"], false), shop.tls(&["own"], false))).await;
    let addresses = [gateway.address, gateway.web.unwrap()];
    for address in addresses {
        assert!(shown(address, "www.example.org", &first).await);
    }
    let second = shop.issue("own", &["www.example.org"]);
    for address in addresses {
        wait_for(address, "www.example.org", &second).await;
        assert!(!shown(address, "www.example.org", &first).await);
    }
    // A file that is no certificate changes nothing; what changes beside it waits for it to be mended.
    fs::write(shop.path("own", "pem"), "nonsense").unwrap();
    let third = shop.issue("default", &["s3.example"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    for address in addresses {
        assert!(shown(address, "www.example.org", &second).await && shown(address, "s3.example", &default).await);
    }
    let fourth = shop.issue("own", &["www.example.org"]);
    for address in addresses {
        wait_for(address, "www.example.org", &fourth).await;
        assert!(shown(address, "s3.example", &third).await);
    }
}

async fn wait_for(address: SocketAddr, host: &str, certificate: &CertificateDer<'static>) {
    let begun = Instant::now();
    while !shown(address, host, certificate).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "the new certificate of {host} was never shown");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn unusable_files_end_the_start() {
    let shop = Shop::new();
    shop.issue("default", &["s3.example"]);
    shop.issue("nameless", &[]);
    shop.issue("other", &["other.example"]);
    fs::copy(shop.path("default", "key"), shop.path("other", "key")).unwrap();
    for (hosts, why) in [(["missing"], "cannot read"), (["nameless"], "names no host"), (["other"], "do not belong")] {
        let world = World::new();
        let config = config(shop.tls(&[], false), shop.tls(&hosts, false));
        let error = world.try_gateway(config).await.map(|_| ()).unwrap_err();
        assert!(format!("{error:#}").contains(why), "{error:#}");
    }
    assert!(Path::new(&shop.path("default", "pem")).exists());
}

#[tokio::test]
async fn sites_speak_both_versions_of_http_over_tls() {
    let shop = Shop::new();
    shop.issue("default", &["localhost"]);
    let wild = shop.issue("wild", &["*.web.example"]);
    let world = World::new();
    let mut config = config(shop.tls(&["wild"], false), shop.tls(&["wild"], false));
    config.tls = None;
    let gateway = world.gateway_with(config).await;
    let client = gateway.client_with("photos").await;
    let site =
        "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";
    client.put("/photos?website", site).await.ok();
    client.put("/photos/index.html", "home").await.ok();
    client.put("/photos/a/index.html", "inner").await.ok();
    let (web, host) = (gateway.web.unwrap(), "photos.web.example");

    let tls = handshake(web, host, &wild, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("https://{host}/")).body(Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "home");

    let tls = handshake(web, host, &wild, &["http/1.1"]).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    for (path, status, location) in [("/a", 302, "/a/"), ("/a/", 200, ""), ("/none", 404, "")] {
        let request = Request::get(path).header("host", host).body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let found = response.headers().get("location").map_or("", |value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), found), (status, location), "{path}");
        response.into_body().collect().await.unwrap();
    }
}
