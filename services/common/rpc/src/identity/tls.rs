//! rustls configurations: TLS 1.3 only, certificates on both sides, one provider.

use std::sync::{Arc, LazyLock};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use super::IdentityError;
use super::ca::Leaf;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// Makes aws-lc-rs the process's provider of cryptography. First thing in every `main`; saying it again is harmless.
pub fn install_crypto_provider() {
    if CryptoProvider::get_default().is_none() {
        // Lost only against another thread that installs the same provider.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    }
}

pub(super) fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

pub(super) fn server_config(roots: &Arc<RootCertStore>, leaf: &Leaf) -> Result<Arc<ServerConfig>, IdentityError> {
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), PROVIDER.clone())
        .build()
        .map_err(|error| IdentityError::Authority(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![leaf.certificate.clone()], leaf.key.clone_key().into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Connections are few and long: nobody resumes.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Arc::new(config))
}

pub(super) fn client_config(roots: &Arc<RootCertStore>, leaf: &Leaf) -> Result<Arc<ClientConfig>, IdentityError> {
    let servers = WebPkiServerVerifier::builder_with_provider(roots.clone(), PROVIDER.clone())
        .build()
        .map_err(|error| IdentityError::Authority(error.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_webpki_verifier(servers)
        .with_client_auth_cert(vec![leaf.certificate.clone()], leaf.key.clone_key().into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
