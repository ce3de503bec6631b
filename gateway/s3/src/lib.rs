//! The S3 wire format, without I/O: requests, signatures, chunks, XML and errors.
//!
//! What it promises: a request becomes a typed [`Operation`] or an error of AWS's, and nothing in it that changes
//! meaning is dropped; a signature is right or there is no [`auth::Verified`]; bytes leave [`chunked::Decoder`] only as
//! declared and signed. What it does not: it looks nothing up, keeps no state between requests, and decides no
//! right but names the one each operation needs ([`Operation::accesses`]). It never panics on what a client sends.
//!
//! The life of a request, in calls:
//!
//! 1. [`auth::Authorization::parse`], a look-up of the key, [`auth::Signed::verify`];
//! 2. [`parse`] to a [`Request`], its rights checked by [`Operation::accesses`];
//! 3. the body through [`chunked::Decoder`], its digests compared by [`body::BodySpec::verify`], or, where it is XML,
//!    read by [`xml::read`];
//! 4. a POST form goes another way: [`form`] says which;
//! 5. an answer of [`answer`], or [`S3Error::to_response`].

pub mod answer;
pub mod auth;
pub mod body;
pub mod checksum;
pub mod chunked;
pub mod compatibility;
pub mod conditions;
mod copy_source;
pub mod cors;
mod customer_key;
pub mod date;
pub mod error;
mod etag;
mod fields;
pub mod form;
#[cfg(test)]
mod fuzz;
pub mod headers;
mod key;
pub mod lifecycle;
pub mod operation;
mod query;
pub mod range;
pub mod request;
pub mod site;
pub mod token;
pub mod uri;
pub mod website;
pub mod xml;

pub use customer_key::{CustomerKey, KeyOf};
pub use error::{ErrorCode, S3Error};
pub use etag::{ETag, NotAnETag, unquote};
pub use key::{ObjectKey, VersionId};
pub use operation::Operation;
pub use request::{Addressing, Request, parse};
