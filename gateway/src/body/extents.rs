//! Which blocks, and which bytes of each, make up a range of an object. Pure.

use std::ops::Range;

use cairn_model::rows::BlockRef;

/// Bytes of one block that a reader wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    pub(crate) block: BlockRef,
    pub(crate) offset: u32,
    /// At least 1.
    pub(crate) length: u32,
}

/// The members of a sequence of sizes that `wanted` touches: each one's index and the range inside it.
pub(crate) fn overlapping(
    sizes: impl IntoIterator<Item = u64>,
    wanted: Range<u64>,
) -> impl Iterator<Item = (usize, Range<u64>)> {
    let mut begin = 0_u64;
    sizes
        .into_iter()
        .enumerate()
        .map(move |(index, size)| {
            let end = begin.saturating_add(size);
            let from = wanted.start.clamp(begin, end) - begin;
            let to = wanted.end.clamp(begin, end) - begin;
            begin = end;
            (index, from..to)
        })
        .filter(|(_, inside)| !inside.is_empty())
}

/// The extents of `wanted` in a list of blocks.
pub(crate) fn of_blocks(blocks: &[BlockRef], wanted: Range<u64>) -> Vec<Extent> {
    let sizes = blocks.iter().map(|block| u64::from(block.size));
    overlapping(sizes, wanted)
        .filter_map(|(index, inside)| {
            let offset = u32::try_from(inside.start).ok()?;
            let length = u32::try_from(inside.end - inside.start).ok()?;
            Some(Extent { block: blocks[index], offset, length })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use cairn_types::BlockHash;
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn extents_cover_exactly_the_range(
            sizes in proptest::collection::vec(1_u32..50, 0..20), start in 0_u64..1200, length in 0_u64..1200,
        ) {
            let blocks: Vec<BlockRef> = sizes.iter().zip(0_u8..)
                .map(|(size, n)| BlockRef { hash: BlockHash([n; 32]), size: *size }).collect();
            let all: Vec<(u8, u32)> = blocks.iter().flat_map(|b| (0..b.size).map(|at| (b.hash.0[0], at))).collect();
            let start = start.min(all.len() as u64);
            let end = (start + length).min(all.len() as u64);
            let got: Vec<(u8, u32)> = of_blocks(&blocks, start..end).iter()
                .flat_map(|e| (e.offset..e.offset + e.length).map(|at| (e.block.hash.0[0], at))).collect();
            let from = usize::try_from(start).unwrap();
            let to = usize::try_from(end).unwrap();
            prop_assert_eq!(got, all[from..to].to_vec());
        }
    }

    #[test]
    fn nothing_overlaps_an_empty_range() {
        assert_eq!(overlapping([5, 5], 5..5).count(), 0);
        assert_eq!(overlapping([5, 0, 5], 4..6).collect::<Vec<_>>(), [(0, 4..5), (2, 0..1)]);
    }
}
