//! Every bound and timer of a connection, in one place.

use std::time::Duration;

/// Version of the session's frames ([`cairn_proto::common::v1::Hello`]).
pub const WIRE_VERSION: u32 = 1;
/// A body's frames hold at most this much.
pub const MAX_PIECE_BYTES: usize = 256 * 1024;
/// The largest body of one call, either way: a block, with room for a larger block size.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// The largest message either way. Every generated client and server is given it.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Calls open at once on one control session, as its caller counts them.
pub const MAX_CONTROL_CALLS: usize = 1024;
/// Calls open at once on one bulk session: with blocks of 1 MiB, 32 MiB of bodies each way.
pub const MAX_BULK_CALLS: usize = 32;
/// A server refuses (`Busy`) what exceeds a caller's own bound by so much that the caller must be broken.
pub const MAX_SERVED_CALLS: usize = 2 * MAX_CONTROL_CALLS;
/// Bytes of request bodies a server holds per session, from their first frame to the end of their call; beyond, `Busy`.
pub const MAX_RECEIVED_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of reply bodies that wait for the network per session; beyond, bodies are not read further.
pub const MAX_QUEUED_BODY_BYTES: usize = 2 * 1024 * 1024;
/// Bulk sessions per peer.
pub const BULK_SESSIONS: usize = 2;

/// TLS handshake, from the first byte.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that may be in a handshake at once; the next waits in the kernel's queue.
pub const MAX_HANDSHAKES: usize = 128;
/// Connections one listener holds.
pub const MAX_CONNECTIONS: usize = 4096;
/// Streams one connection may have open.
pub const MAX_STREAMS: u32 = 1024;
/// TCP, TLS and the session's handshake together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A silent connection is asked for a sign of life this often, and given up without one after [`KEEPALIVE_TIMEOUT`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(6);
/// Waits between attempts to reach a peer: doubled each time, jittered by half.
pub const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// HTTP/2 frames: one piece and its envelope fit.
pub const MAX_FRAME_BYTES: u32 = 512 * 1024;
pub const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
pub const CONNECTION_WINDOW_BYTES: u32 = 32 * 1024 * 1024;
/// Encrypted bytes a connection holds for the kernel: one write takes a piece at a time.
pub const TLS_BUFFER_BYTES: usize = 288 * 1024;
