//! Fuzz targets: every decoder of rows, messages and views, as bytes come from a peer or a disk. How to run and replay
//! them: `gateway/s3/src/fuzz.rs`.

mod rows;
mod wire;
