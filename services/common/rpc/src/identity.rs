//! Who a process is, and whom it believes: a CA derived from the cluster secret, leaves for own keys (DESIGN §2).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cairn_types::{ClusterId, StoreId};

/// What a certificate allows its holder to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerRole {
    Membership,
    Table,
    Block,
    Gateway,
    /// Operators: everything but writes to table and block.
    Admin,
    /// A machine that wants to join: `Join` only.
    Join,
}

/// Why an identity cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS refuses the identity")]
    Tls(#[from] rustls::Error),
    #[error("cannot use the key derived from the secret")]
    Key,
    #[error("{path} holds no usable certificate or key: {why}")]
    Pem { path: PathBuf, why: String },
    #[error("cannot read or write {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// One process's certificate and key, ready for TLS in both directions.
#[derive(Clone)]
pub struct Identity {
    pub(crate) cluster: ClusterId,
    pub(crate) server: Arc<rustls::ServerConfig>,
    pub(crate) client: Arc<rustls::ClientConfig>,
}

/// The certificate of whoever made a request; an extension of every request that reaches a handler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerIdentity(pub(crate) Arc<[(PeerRole, Option<StoreId>)]>);

impl PeerIdentity {
    #[must_use]
    pub fn has_role(&self, role: PeerRole) -> bool {
        self.0.iter().any(|(held, _)| *held == role)
    }

    /// Roles and their stores, in the certificate's order.
    #[must_use]
    pub fn roles(&self) -> &[(PeerRole, Option<StoreId>)] {
        &self.0
    }
}
