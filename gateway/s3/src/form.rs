//! POST form uploads: `multipart/form-data` from browsers, and the policy that says what a form may upload.
//!
//! 1. [`Multipart`] takes the body apart as it arrives; [`Form`] gathers the fields in front of the file.
//! 2. [`Form::claim`] reads who signed the policy; [`crate::auth::Signed::verify`] proves it.
//! 3. [`Form::upload`] holds every field against the policy and returns what is to be stored.
//!
//! - **F1** Fields are bounded before they are kept, and the file is never kept: it leaves piece by piece. Tested by
//!   `fields_are_bounded`, `any_split_reads_the_same`.
//! - **F2** Every field but the policy, its signature, the file and `x-ignore-*` is covered by a condition, and every
//!   condition holds (SECURITY V10). Tested by `each_condition_is_enforced`, `each_field_must_be_covered`.
//! - **F3** Fields mean what the headers of a PutObject mean, by the same code: what is not built is 501.
//!   Tested by `fields_are_headers`.

mod fields;
mod head;
mod multipart;
mod policy;
mod success;

pub use fields::{Form, Upload};
pub use head::boundary;
pub use multipart::{Event, Multipart};
pub use policy::Policy;
pub use success::{PostedObject, Success};

#[cfg(test)]
mod tests;
