//! Starts real daemons, breaks them, and speaks S3 to them.

pub mod audit;
pub mod cluster;
pub mod cost;
pub mod history;
pub mod inside;
pub mod load;
pub mod operator;
pub mod powerfs;
pub mod program;
pub mod s3;

/// `./test --full`: the issues' own figures instead of the reduced ones.
#[must_use]
pub fn full() -> bool {
    std::env::var_os("CAIRN_FULL").is_some()
}

/// `size` bytes that differ with `seed` and do not compress or repeat.
#[must_use]
pub fn pattern(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out
}
