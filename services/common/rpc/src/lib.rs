//! Channels between daemons: mutual TLS, sessions, deadlines, and one error for every call.

mod call;
mod identity;
pub mod limits;
mod peer;
mod secret;
mod session;
mod status;
mod view;

pub use call::{CallContext, CallError};
pub use identity::{Identity, IdentityError, PeerIdentity, PeerRole};
pub use peer::{Connector, Lane, Peer, PeerReply, PeerService};
pub use secret::{ClusterSecret, SealError, SecretError};
pub use session::{SessionReply, SessionRequest, SessionService, serve_session};
pub use status::{from_wire, status, to_wire};
pub use view::ViewCell;
