//! Fuzz targets (I5): everything a client can send, thrown at every parser of this crate, with properties beyond "it
//! does not panic". Other crates that read foreign bytes have a module of the same name.
//!
//! `./test fuzz` runs them all. By hand:
//!
//! ```text
//! BOLERO_RANDOM_TEST_TIME_MS=60000 cargo test --release -p cairn-s3 --lib fuzz:: -- --nocapture
//! ```
//!
//! A failure prints its input and `BOLERO_RANDOM_SEED=…`: with that variable set, the same command begins with that
//! input. Guided by coverage instead of chance, with `cargo install cargo-bolero` and one target at a time:
//!
//! ```text
//! cargo bolero test --rustc-bootstrap --sanitizer NONE -p cairn-s3 -T 5m fuzz::chunked::any_split_decodes_the_same
//! ```

mod chunked;
mod claims;
mod cors;
mod documents;
mod fields;
mod forms;
mod heads;
mod sites;
mod words;
