//! The metadata-table daemon: rows as registers on RocksDB.
