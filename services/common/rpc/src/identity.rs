//! Who a process is, and whom it believes (DESIGN §2).
//!
//! - **T1** Whoever knows the cluster secret derives the same CA, byte for byte (`ca_is_the_same_everywhere`).
//! - **T2** Only TLS 1.3 with a certificate of this CA on both sides gets past the handshake; there is no other mode
//!   (`tests/rpc/identity.rs`).
//! - **T3** A peer's roles come from its certificate's URIs alone, and only from those of this cluster
//!   (`uris_of_other_clusters_count_nothing`).

mod ca;
mod credentials;
mod tls;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cairn_types::{ClusterId, StoreId};
use rustls_pki_types::CertificateDer;

use self::ca::Authority;
pub use self::credentials::{ClientCredentials, export_client};
pub use self::tls::install_crypto_provider;
use crate::{ClusterSecret, Connector};

/// The name every server's certificate carries and every client asks for.
pub const SERVER_NAME: &str = "cairn.internal";

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

impl PeerRole {
    const ALL: [PeerRole; 6] =
        [PeerRole::Membership, PeerRole::Table, PeerRole::Block, PeerRole::Gateway, PeerRole::Admin, PeerRole::Join];

    /// As it stands in a certificate.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            PeerRole::Membership => "membership",
            PeerRole::Table => "table",
            PeerRole::Block => "block",
            PeerRole::Gateway => "gateway",
            PeerRole::Admin => "admin",
            PeerRole::Join => "join",
        }
    }

    /// Whether it is a daemon of the cluster.
    #[must_use]
    pub const fn is_daemon(self) -> bool {
        match self {
            PeerRole::Membership | PeerRole::Table | PeerRole::Block | PeerRole::Gateway => true,
            PeerRole::Admin | PeerRole::Join => false,
        }
    }
}

/// Why an identity cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS refuses the identity")]
    Tls(#[from] rustls::Error),
    #[error("TLS refuses the cluster's CA: {0}")]
    Authority(String),
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

/// One process's certificate and key, ready for TLS in both directions. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    cluster: ClusterId,
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
}

impl Identity {
    /// Makes a key, and a certificate for it that names `roles` (with their stores) and `addresses`
    /// (`host:port` or `host`, as advertised).
    ///
    /// # Errors
    /// An address is not a host name or an IP address.
    pub fn derive(
        secret: &ClusterSecret,
        roles: &[(PeerRole, Option<StoreId>)],
        addresses: &[String],
    ) -> Result<Self, IdentityError> {
        let authority = Authority::derive(secret)?;
        let leaf = authority.issue(roles, addresses)?;
        let roots = tls::roots(authority.certificate())?;
        Ok(Self {
            cluster: authority.cluster(),
            server: tls::server_config(&roots, &leaf)?,
            client: tls::client_config(&roots, &leaf)?,
        })
    }

    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Connections to others under this identity.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector::new(self.client.clone())
    }

    pub(crate) fn server_config(&self) -> Arc<rustls::ServerConfig> {
        self.server.clone()
    }
}

/// The certificate of whoever made a request; an extension of every request that reaches a handler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerIdentity(Arc<[(PeerRole, Option<StoreId>)]>);

impl PeerIdentity {
    /// Roles and their stores, in the certificate's order.
    #[must_use]
    pub fn roles(&self) -> &[(PeerRole, Option<StoreId>)] {
        &self.0
    }

    #[must_use]
    pub fn has_role(&self, role: PeerRole) -> bool {
        self.0.iter().any(|(held, _)| *held == role)
    }

    /// Whether any of its roles is a daemon's.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.0.iter().any(|(role, _)| role.is_daemon())
    }

    /// Reads a verified certificate. None where it names no role in `cluster`.
    pub(crate) fn of_certificate(certificate: &CertificateDer<'_>, cluster: ClusterId) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let roles: Vec<_> = certificate.valid_uri_names().filter_map(|uri| parse_uri(uri, cluster)).collect();
        (!roles.is_empty()).then(|| Self(roles.into()))
    }
}

/// Who made `request`, where it holds one of `roles`. The table of rights was asked before; this is for handlers that
/// want to know more.
///
/// # Errors
/// `PERMISSION_DENIED` for everybody else.
pub fn require<T>(request: &tonic::Request<T>, roles: &[PeerRole]) -> Result<PeerIdentity, tonic::Status> {
    match request.extensions().get::<PeerIdentity>() {
        Some(peer) if roles.iter().any(|role| peer.has_role(*role)) => Ok(peer.clone()),
        Some(_) | None => {
            Err(crate::CallError::Denied("your certificate's roles do not allow this call".to_owned()).into())
        }
    }
}

/// `cairn://<cluster>/<role>/<store id or ->`.
pub(crate) fn uri(cluster: ClusterId, role: PeerRole, store: Option<StoreId>) -> String {
    match store {
        Some(store) => format!("cairn://{cluster}/{}/{store}", role.as_str()),
        None => format!("cairn://{cluster}/{}/-", role.as_str()),
    }
}

pub(crate) fn parse_uri(uri: &str, cluster: ClusterId) -> Option<(PeerRole, Option<StoreId>)> {
    let mut parts = uri.strip_prefix("cairn://")?.split('/');
    let (of, role, store) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || of.parse() != Ok(cluster) {
        return None;
    }
    let role = PeerRole::ALL.into_iter().find(|known| known.as_str() == role)?;
    match store {
        "-" => Some((role, None)),
        id => Some((role, Some(id.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId([1; 16]);

    #[test]
    fn uris_round_trip() {
        for role in PeerRole::ALL {
            for store in [None, Some(StoreId([7; 16]))] {
                assert_eq!(parse_uri(&uri(CLUSTER, role, store), CLUSTER), Some((role, store)));
            }
        }
    }

    #[test]
    fn uris_of_other_clusters_count_nothing() {
        let other = uri(ClusterId([2; 16]), PeerRole::Admin, None);
        assert_eq!(parse_uri(&other, CLUSTER), None);
        for bad in ["", "cairn://", "cairn:///admin/-", "http://x/admin/-", &format!("cairn://{CLUSTER}/root/-")] {
            assert_eq!(parse_uri(bad, CLUSTER), None, "{bad}");
        }
        assert_eq!(parse_uri(&format!("cairn://{CLUSTER}/admin/-/x"), CLUSTER), None);
        assert_eq!(parse_uri(&format!("cairn://{CLUSTER}/table/12"), CLUSTER), None);
    }

    #[test]
    fn certificates_name_their_roles() {
        let secret = ClusterSecret::from_bytes(&[9; 32]).unwrap();
        let authority = Authority::derive(&secret).unwrap();
        let roles = [(PeerRole::Table, Some(StoreId([5; 16]))), (PeerRole::Gateway, None)];
        let leaf = authority.issue(&roles, &["node1.example.org:7000".to_owned(), "[::1]:7000".to_owned()]).unwrap();
        let peer = PeerIdentity::of_certificate(&leaf.certificate, authority.cluster()).unwrap();
        assert_eq!(peer.roles(), roles);
        assert!(PeerIdentity::of_certificate(&leaf.certificate, ClusterId([0; 16])).is_none());
    }
}
