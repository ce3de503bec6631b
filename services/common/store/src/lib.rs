//! The only crate that names RocksDB: ordered keys, batches, group commit, and an in-memory twin.
