//! A buffer that begins on a page, as O_DIRECT asks, without unsafe code: a larger one, used from its first page on.

use crate::segment::PAGE;

/// A reused buffer of whole pages.
pub(crate) struct PageBuffer {
    bytes: Vec<u8>,
    /// Where the first page of `bytes` begins.
    start: usize,
    length: usize,
    capacity: usize,
}

impl PageBuffer {
    /// Room for `capacity` bytes, rounded up to pages.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1).next_multiple_of(PAGE);
        let bytes = vec![0; capacity + PAGE];
        // The vector never grows, so its address stays. Where the offset cannot be told (only in constant evaluation),
        // writes are not aligned, are refused as direct ones, and go through the page cache.
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, start, length: 0, capacity }
    }

    /// Takes as much of `input` as there is room for; answers the rest.
    pub(crate) fn fill<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = input.split_at(input.len().min(self.capacity - self.length));
        let at = self.start + self.length;
        self.bytes[at..at + taken.len()].copy_from_slice(taken);
        self.length += taken.len();
        rest
    }

    /// Fills the last page up with zeros.
    pub(crate) fn pad(&mut self) {
        let end = self.length.next_multiple_of(PAGE);
        self.bytes[self.start + self.length..self.start + end].fill(0);
        self.length = end;
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.length == self.capacity
    }

    pub(crate) const fn clear(&mut self) {
        self.length = 0;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_aligned_and_padded() {
        let mut buffer = PageBuffer::new(PAGE + 1);
        assert_eq!(buffer.as_slice().as_ptr().align_offset(PAGE), 0);
        assert!(buffer.fill(&[1; 2 * PAGE]).is_empty());
        assert!(buffer.is_full());
        assert_eq!(buffer.fill(b"more"), b"more");
        buffer.clear();
        assert!(buffer.fill(b"x").is_empty());
        buffer.pad();
        assert_eq!(buffer.as_slice().len(), PAGE);
        assert_eq!(buffer.as_slice()[0], b'x');
        assert!(buffer.as_slice()[1..].iter().all(|byte| *byte == 0));
    }
}
