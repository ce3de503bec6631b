//! skeleton, being filled
pub(crate) struct Fields;
