//! The S3 wire format, without I/O: requests, signatures, chunks, XML and errors.

pub mod answer;
pub mod auth;
pub mod body;
pub mod checksum;
pub mod chunked;
pub mod conditions;
mod copy_source;
pub mod date;
pub mod error;
mod etag;
mod fields;
pub mod headers;
mod key;
pub mod operation;
mod query;
pub mod range;
pub mod request;
pub mod token;
pub mod uri;
pub mod xml;

pub use error::{ErrorCode, S3Error};
pub use etag::{ETag, NotAnETag, unquote};
pub use key::{ObjectKey, VersionId};
pub use operation::Operation;
pub use request::{Addressing, Request, parse};
