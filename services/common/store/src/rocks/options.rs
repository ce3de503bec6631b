//! How RocksDB is set up: what REGISTER D2 asks for, and bounds on memory, files and threads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, InfoLogger, LogLevel,
    WriteBufferManager,
};

use super::is_full;

/// Called once with the cause when the store can no longer keep its promises.
pub type FatalHandler = Arc<dyn Fn(&str) + Send + Sync>;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A store's bounds.
#[derive(Clone)]
pub struct Options {
    /// Memtables and cached blocks, filters and indexes together; at least 4 MiB.
    pub memory_bytes: usize,
    /// Data files kept open.
    pub max_open_files: u16,
    /// What happens after a failed fsync, a failed write or damage found in the background; [`abort`] unless a test
    /// wants to see it.
    pub on_fatal: FatalHandler,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory_bytes: 8 * MIB, max_open_files: 256, on_fatal: Arc::new(abort) }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("memory_bytes", &self.memory_bytes)
            .field("max_open_files", &self.max_open_files)
            .finish_non_exhaustive()
    }
}

/// Logs `cause` and ends the process at once (REGISTER D2): what was promised is in the log on disk, and only a
/// restart finds out how much of the rest is.
pub fn abort(cause: &str) {
    tracing::error!(cause, "storage failed, the process ends now");
    std::process::abort();
}

impl Options {
    pub(super) fn to_rocksdb(&self, failed: &Arc<AtomicBool>) -> rocksdb::Options {
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        self.bound_resources(&mut options);
        keep_promises(&mut options);
        shape_files(&mut options);
        options.set_info_logger(self.logger(failed));
        options
    }

    /// Memtables are charged to the block cache, so that one number bounds both.
    fn bound_resources(&self, options: &mut rocksdb::Options) {
        let memory = self.memory_bytes.max(4 * MIB);
        let cache = Cache::new_lru_cache(memory);
        let write_buffers = memory / 2;
        options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
            write_buffers,
            false,
            cache.clone(),
        ));
        options.set_write_buffer_size(write_buffers);
        options.set_max_write_buffer_number(3);
        options.set_arena_block_size(128 * KIB);

        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&cache);
        table.set_block_size(16 * KIB);
        table.set_format_version(6);
        table.set_bloom_filter(10.0, false);
        table.set_optimize_filters_for_memory(true);
        // Indexes and filters of all files may exceed the cache many times: they are read in pieces, as data is.
        table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        table.set_partition_filters(true);
        table.set_metadata_block_size(4 * KIB);
        table.set_pin_top_level_index_and_filter(true);
        table.set_cache_index_and_filter_blocks(true);
        table.set_cache_index_and_filter_blocks_with_high_priority(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        options.set_block_based_table_factory(&table);

        options.set_max_open_files(i32::from(self.max_open_files));
        options.set_table_cache_num_shard_bits(2);
        options.set_max_background_jobs(2);
        options.set_max_file_opening_threads(1);
    }

    /// RocksDB's own log goes to ours; what it says of background failures is acted on, for its C interface has no
    /// listener and an idle process would not notice before its next write.
    fn logger(&self, failed: &Arc<AtomicBool>) -> InfoLogger {
        let (failed, on_fatal) = (failed.clone(), self.on_fatal.clone());
        InfoLogger::new_callback_logger(LogLevel::Warn, move |level, message| {
            let message = message.trim_end();
            if is_fatal(message) && !failed.swap(true, Ordering::AcqRel) {
                on_fatal(message);
            }
            match level {
                LogLevel::Error | LogLevel::Fatal => tracing::error!(message, "rocksdb"),
                LogLevel::Warn => tracing::warn!(message, "rocksdb"),
                // Headers pass every level: a few hundred lines of options at each start.
                LogLevel::Header | LogLevel::Info | LogLevel::Debug => {}
            }
        })
    }
}

/// REGISTER D2. What a power cut leaves of writes that were never synced is any subset of their pages: the log is
/// replayed up to the first record that is not whole, which nothing acknowledged can lie behind (docs/adr/0006).
fn keep_promises(options: &mut rocksdb::Options) {
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    // K3: a batch is visible only after its sync.
    options.set_unordered_write(false);
    options.set_enable_pipelined_write(false);
    options.set_manual_wal_flush(false);
}

/// Small files of our own rhythm: nothing is preallocated by the megabyte, nothing runs while idle.
fn shape_files(options: &mut rocksdb::Options) {
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_bytes_per_sync(MIB as u64);
    options.set_manifest_preallocation_size(64 * KIB);
    options.set_max_manifest_file_size(8 * MIB);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_is_fd_close_on_exec(true);
}

/// The lines `ErrorHandler::SetBGError` and the background threads of RocksDB write when they fail.
fn is_fatal(message: &str) -> bool {
    let failed = ["Background IO error", "Waiting after background"].iter().any(|text| message.contains(text));
    failed && !is_full(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_failures_are_fatal_unless_the_disk_is_full() {
        assert!(is_fatal("Background IO error IO error: Input/output error: While fsync, reason 2"));
        assert!(is_fatal("[JOB 3] Waiting after background compaction error: Corruption: block checksum mismatch"));
        assert!(!is_fatal("Background IO error IO error: No space left on device: While appending, reason 0"));
        assert!(!is_fatal("[default] Stalling writes because we have 2 immutable memtables"));
    }
}
