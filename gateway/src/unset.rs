//! Reads of configurations that cannot have been set (S3.md §1.1).

use cairn_s3::operation::ReadUnset;

use crate::exchange::{Answer, Exchange, xml};
use crate::objects::existing;

/// What AWS answers where nothing is set; of an object that must be there.
pub(crate) async fn read(x: &Exchange, read: ReadUnset) -> Answer {
    if let Some(key) = &read.key {
        existing(&x.core, &x.op(), x.bucket_id()?, key.as_bytes(), read.version.as_ref()).await?;
    }
    Ok(xml(read.answer(&x.bucket_owner()?)?))
}
