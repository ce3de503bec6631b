//! Bodies: from the client to blocks, and from blocks to the client.
//!
//! - **P1** A head is written only after its blocks are durable and its manifest pages settled (REGISTER B1): both
//!   are awaited before [`write::Stored`] exists. *Tested by `tests/s3/objects.rs`.*
//! - **P2** A request holds at most `upload_blocks + 2` blocks, and all requests together what [`crate::budget`]
//!   allows, however large the object.
//! - **P3** Nothing is written to a head before the body has ended and every digest was compared.

pub(crate) mod digest;
pub(crate) mod extents;
pub(crate) mod read;
pub(crate) mod write;
