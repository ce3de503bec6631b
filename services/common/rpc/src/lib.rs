//! Channels between daemons: mutual TLS, sessions, deadlines, and one error for every call.
//!
//! Promises: whoever gets through holds the cluster's secret or a certificate it signed; a call ends by its deadline,
//! with a [`CallError`] that says whether anything may have changed; queues are bounded (`limits`). Does not retry
//! calls, choose replicas or know what calls mean: that is `quorum` and the daemons.

mod call;
mod connector;
mod framing;
#[cfg(test)]
mod fuzz;
mod identity;
pub mod limits;
mod outbox;
mod peer;
mod rights;
mod secret;
mod server;
mod session;
mod socket;
mod status;
mod view;

pub use call::{CallContext, CallError};
pub use connector::Connector;
pub use identity::{
    ClientCredentials, Identity, IdentityError, PeerIdentity, PeerRole, SERVER_NAME, export_client,
    install_crypto_provider, require,
};
pub use peer::{Lane, Peer, PeerReply, PeerService};
pub use rights::{RIGHTS, Right};
pub use secret::{ClusterSecret, SealError, SecretError};
pub use server::{Closing, serve};
pub use session::{Inbound, SessionReply, SessionRequest, SessionService, WithSession, serve_session};
pub use socket::{Listen, Network, Socket};
pub use status::{from_wire, status, to_wire};
pub use view::ViewCell;
