//! Whole small tables, read page by page.

use bytes::Bytes;
use cairn_model::keys;
use cairn_model::rows::TypedRow;
use cairn_quorum::{ListRequest, Op};
use cairn_types::Table;

use crate::core::Core;
use crate::failure::Failure;

/// Rows of one call (DESIGN §5).
const PAGE: usize = 10_000;

/// Every row of one of the small tables, in the order of its keys.
pub(crate) async fn all_rows<R: TypedRow>(core: &Core, op: &Op, table: Table) -> Result<Vec<(Vec<u8>, R)>, Failure> {
    let partition_key = Bytes::from_static(keys::SMALL_TABLE);
    let mut start = Bytes::new();
    let mut rows = Vec::new();
    loop {
        let request = ListRequest {
            table,
            partition_key: partition_key.clone(),
            prefix: Bytes::new(),
            start,
            limit: PAGE,
            delimiter: Bytes::new(),
            with_data: false,
        };
        let listing = core.cluster.list(op, request).await?;
        for entry in listing.entries {
            rows.push((entry.sort_key.to_vec(), R::decode(&entry.settled.envelope.value)?));
        }
        match listing.next {
            Some(next) => start = next,
            None => return Ok(rows),
        }
    }
}
