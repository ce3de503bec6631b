//! A listener's certificates, each for the hosts it names, read again when their files change.
//!
//! - **T1** A host is served under a certificate that names it, where one does: by its very name, else by a wildcard.
//!   *Tested by `names_choose_the_certificate` and `tests/s3/tls.rs`.*
//! - **T2** Files that do not load change nothing: the certificates that were read last stay.
//!   *Tested by `tests/s3/tls.rs`.*

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use arc_swap::ArcSwap;
use cairn_daemon::Shutdown;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::config;

/// Accepts TLS with the newest usable certificates.
pub(super) struct Certificates {
    files: config::Tls,
    current: ArcSwap<ServerConfig>,
}

impl Certificates {
    pub(super) fn load(files: config::Tls) -> anyhow::Result<Arc<Self>> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reloads until shutdown. Files that do not load are reported, and the old certificates stay.
    pub(super) async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        let mut seen = modified(&self.files).ok();
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(self.files.reload_every.0) => {}
            }
            let now = modified(&self.files).ok();
            if now.is_none() || now == seen {
                continue;
            }
            seen = now;
            match read(&self.files) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!(certificate = %self.files.certificate.display(), "reloaded the certificates");
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "a changed certificate does not load"),
            }
        }
    }
}

/// The files of every certificate, the default's first.
fn all(files: &config::Tls) -> impl Iterator<Item = (&Path, &Path)> {
    let hosts = files.hosts.iter().map(|host| (host.certificate.as_path(), host.key.as_path()));
    std::iter::once((files.certificate.as_path(), files.key.as_path())).chain(hosts)
}

fn modified(files: &config::Tls) -> io::Result<Vec<SystemTime>> {
    all(files).flat_map(|(certificate, key)| [certificate, key]).map(|path| fs::metadata(path)?.modified()).collect()
}

fn read(files: &config::Tls) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut certified = all(files).map(|(certificate, key)| read_one(certificate, key, &provider));
    let default = certified.next().context("no certificate")??;
    let mut names = Names::default();
    for (host, files) in certified.zip(&files.hosts) {
        let (key, own) = host?;
        ensure!(!own.is_empty(), "the certificate {} names no host", files.certificate.display());
        names.add(&key, own);
    }
    names.add(&default.0, default.1);
    let resolver =
        ByHost { names, default: (!files.refuse_unknown_hosts).then_some(default.0.clone()), unnamed: default.0 };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A chain with its key, and the host names its first certificate is for.
fn read_one(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> anyhow::Result<(Arc<CertifiedKey>, Vec<String>)> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    let first = chain.first().with_context(|| format!("there is no certificate in {}", certificate.display()))?;
    let parsed = webpki::EndEntityCert::try_from(first)
        .map_err(|error| anyhow::anyhow!("{} holds no usable certificate: {error}", certificate.display()))?;
    let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    let private =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read the key {}", key.display()))?;
    let certified = CertifiedKey::from_der(chain, private, provider).with_context(|| {
        format!("the certificate {} and the key {} do not belong together", certificate.display(), key.display())
    })?;
    Ok((Arc::new(certified), names))
}

/// Values by host name; a name that begins with `*.` is for every host with one more label in front of the rest.
#[derive(Debug)]
struct Names<T>(HashMap<String, T>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Names<T> {
    /// A name that another value has already stays that value's.
    fn add(&mut self, value: &T, names: Vec<String>) {
        for name in names {
            self.0.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// `host` is in lower case.
    fn find(&self, host: &str) -> Option<&T> {
        let wildcard = || self.0.get(&format!("*.{}", host.split_once('.')?.1));
        self.0.get(host).or_else(wildcard)
    }
}

/// Chooses by the name the client asks for.
#[derive(Debug)]
struct ByHost {
    names: Names<Arc<CertifiedKey>>,
    /// For names that no certificate is for. None: they are refused.
    default: Option<Arc<CertifiedKey>>,
    /// For clients that name no host.
    unnamed: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByHost {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(host) = hello.server_name() else { return Some(self.unnamed.clone()) };
        let found = self.names.find(&host.to_ascii_lowercase()).or(self.default.as_ref());
        if found.is_none() {
            tracing::debug!(host, "no certificate is for this host");
        }
        found.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_the_certificate() {
        let mut names = Names::default();
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        names.add(&"www", own(&["www.example.org"]));
        names.add(&"wild", own(&["*.example.org", "*.web.example.org"]));
        names.add(&"late", own(&["www.example.org", "example.org"]));
        for (host, expected) in [
            ("www.example.org", Some("www")),
            ("photos.example.org", Some("wild")),
            ("photos.web.example.org", Some("wild")),
            ("a.photos.example.org", None),
            ("example.org", Some("late")),
            ("other.org", None),
            ("org", None),
        ] {
            assert_eq!(names.find(host).copied(), expected, "{host}");
        }
    }
}
