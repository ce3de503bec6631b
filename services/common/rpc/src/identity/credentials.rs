//! A client's certificate in files and tokens: for operators, grpcurl and machines that join.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cairn_types::StoreId;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::ca::{Authority, Leaf};
use super::{IdentityError, PeerRole, tls};
use crate::{ClusterSecret, Connector};

const CA_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "client.pem";
const KEY_FILE: &str = "client.key";

/// A certificate for somebody who does not hold the secret, with its key and the CA. No `Debug`: it is a secret.
#[derive(Clone)]
pub struct ClientCredentials {
    pub ca_pem: String,
    pub certificate_pem: String,
    pub key_pem: Zeroizing<String>,
}

impl ClientCredentials {
    /// Credentials of one role: [`PeerRole::Admin`] for operators, [`PeerRole::Join`] for tokens.
    ///
    /// # Errors
    /// The certificate cannot be made: never seen.
    pub fn issue(secret: &ClusterSecret, role: PeerRole) -> Result<Self, IdentityError> {
        Self::issue_for(secret, role, None)
    }

    /// Credentials of one role for one store, or for what stands in its place: a join token's serial.
    ///
    /// # Errors
    /// The certificate cannot be made: never seen.
    pub fn issue_for(secret: &ClusterSecret, role: PeerRole, store: Option<StoreId>) -> Result<Self, IdentityError> {
        let authority = Authority::derive(secret)?;
        let leaf = authority.issue(&[(role, store)], &[])?;
        Ok(Self {
            ca_pem: pem("CERTIFICATE", authority.certificate()),
            certificate_pem: pem("CERTIFICATE", &leaf.certificate),
            key_pem: Zeroizing::new(pem("PRIVATE KEY", leaf.key.secret_pkcs8_der())),
        })
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// A file is missing.
    pub fn load(directory: &Path) -> Result<Self, IdentityError> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|source| IdentityError::File { path, source })
        };
        Ok(Self {
            ca_pem: read(CA_FILE)?,
            certificate_pem: read(CERTIFICATE_FILE)?,
            key_pem: Zeroizing::new(read(KEY_FILE)?),
        })
    }

    /// Writes `ca.pem`, `client.pem` and `client.key` (mode 0600) into `directory`, made with mode 0700 where missing.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn export(&self, directory: &Path) -> Result<(), IdentityError> {
        let file_error = |source| IdentityError::File { path: directory.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(file_error)?;
        write(&directory.join(CA_FILE), &self.ca_pem, 0o644)?;
        write(&directory.join(CERTIFICATE_FILE), &self.certificate_pem, 0o644)?;
        write(&directory.join(KEY_FILE), &self.key_pem, 0o600)
    }

    /// Connections under these credentials.
    ///
    /// # Errors
    /// The texts are not a CA, a certificate and its PKCS #8 key.
    pub fn connector(&self) -> Result<Connector, IdentityError> {
        let ca = certificate(CA_FILE, &self.ca_pem)?;
        let leaf = Leaf {
            certificate: certificate(CERTIFICATE_FILE, &self.certificate_pem)?,
            key: PrivatePkcs8KeyDer::from_pem_slice(self.key_pem.as_bytes())
                .map_err(|error| malformed(KEY_FILE, &error))?,
        };
        Ok(Connector::new(tls::client_config(&tls::roots(&ca)?, &leaf)?))
    }
}

/// Writes an operator's credentials: `cairn tls export`.
///
/// # Errors
/// A file cannot be written.
pub fn export_client(secret: &ClusterSecret, directory: &Path) -> Result<(), IdentityError> {
    ClientCredentials::issue(secret, PeerRole::Admin)?.export(directory)
}

fn certificate(name: &str, text: &str) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| malformed(name, &error))
}

fn malformed(name: &str, error: &rustls_pki_types::pem::Error) -> IdentityError {
    IdentityError::Pem { path: name.into(), why: error.to_string() }
}

/// Replaces `path`: written beside it with `mode` from its first byte, then renamed.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    let file_error = |source| IdentityError::File { path: path.to_owned(), source };
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file_error(error)),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(file_error)?;
    file.write_all(text.as_bytes()).map_err(file_error)?;
    fs::rename(&beside, path).map_err(file_error)
}

/// RFC 7468 text: base64 in lines of 64.
fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 64);
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
