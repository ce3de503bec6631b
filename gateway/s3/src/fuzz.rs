//! Fuzz targets (I5): everything a client can send, thrown at every parser of this crate, with properties beyond "it
//! does not panic". Other crates that read foreign bytes have a module of the same name.
//!
//! `./test fuzz` runs them all, 2 s each; with `--full`, a minute each. By hand, one crate, and a failure again:
//!
//! ```text
//! BOLERO_RANDOM_TEST_TIME_MS=60000 cargo test --release -p cairn-s3 --lib fuzz::
//! BOLERO_RANDOM_SEED=… cargo test --release -p cairn-s3 --lib fuzz::the_failed_one
//! ```
//!
//! A failure prints its input and the seed that makes it first. Guided by coverage instead of chance (libFuzzer, with
//! `cargo install cargo-bolero`), one target at a time:
//!
//! ```text
//! cargo bolero test --rustc-bootstrap --sanitizer NONE --profile release -p cairn-s3 -T 5m fuzz::documents::depth_is_bounded
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
