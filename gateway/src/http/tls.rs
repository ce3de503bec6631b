//! The listener's certificate, read again when its files change.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use cairn_daemon::Shutdown;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config;

/// How often the files' times are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// Accepts TLS with the newest usable certificate.
pub(super) struct Certificate {
    files: config::Tls,
    current: ArcSwap<ServerConfig>,
}

impl Certificate {
    pub(super) fn load(files: config::Tls) -> anyhow::Result<Arc<Self>> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reloads until shutdown. Files that do not load are reported, and the old certificate stays.
    pub(super) async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        let mut seen = modified(&self.files).ok();
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(RELOAD_EVERY) => {}
            }
            let now = modified(&self.files).ok();
            if now.is_none() || now == seen {
                continue;
            }
            seen = now;
            match read(&self.files) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!(certificate = %self.files.certificate.display(), "reloaded the certificate");
                }
                Err(error) => tracing::error!(error = format!("{error:#}"), "the changed certificate does not load"),
            }
        }
    }
}

fn modified(files: &config::Tls) -> io::Result<(SystemTime, SystemTime)> {
    let time = |path: &Path| fs::metadata(path)?.modified();
    Ok((time(&files.certificate)?, time(&files.key)?))
}

fn read(files: &config::Tls) -> anyhow::Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read the certificate {}", files.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("cannot read the key {}", files.key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and the key do not belong together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
