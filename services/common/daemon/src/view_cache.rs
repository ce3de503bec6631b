//! The newest view on disk, so that a process that starts alone knows whom to ask.

use std::path::Path;
use std::{fs, io};

use bytes::Bytes;
use cairn_model::view::{decode_view_bytes, encode_view_bytes};
use cairn_placement::ClusterView;
use tracing::warn;

use crate::replace_file;

/// The view in `path`. None where there is none, or none that can be read: a cache is never an obstacle.
#[must_use]
pub fn load_view(path: &Path) -> Option<ClusterView> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(path = %path.display(), %error, "the cached view cannot be read");
            }
            return None;
        }
    };
    match decode_view_bytes(bytes) {
        Ok(view) => Some(view),
        Err(error) => {
            warn!(path = %path.display(), %error, "the cached view is damaged");
            None
        }
    }
}

/// Replaces the view in `path`. Blocks on the disk.
///
/// # Errors
/// The file cannot be written.
pub fn store_view(path: &Path, view: &ClusterView) -> io::Result<()> {
    replace_file(path, &encode_view_bytes(view), 0o600)
}
