//! Room on the disk: new values are refused while little is left, so that deletes always find some (DESIGN §3).

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The file system is asked at most this often.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Watches the free space of one directory's file system.
pub(crate) struct Room {
    /// None: there is no disk.
    directory: Option<PathBuf>,
    reserve_bytes: u64,
    asked: Option<Instant>,
    short: Option<String>,
}

impl Room {
    pub(crate) const fn new(directory: Option<PathBuf>, reserve_bytes: u64) -> Self {
        Self { directory, reserve_bytes, asked: None, short: None }
    }

    /// Why nothing that grows may be stored now; none: there is room.
    pub(crate) fn is_short(&mut self) -> Option<String> {
        let recent = self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY);
        if !recent {
            self.asked = Some(Instant::now());
            let short = self.ask();
            if short.is_some() != self.short.is_some() {
                tracing::warn!(short = short.is_some(), directory = ?self.directory, "free disk space crossed its reserve");
            }
            self.short = short;
        }
        self.short.clone()
    }

    fn ask(&self) -> Option<String> {
        let (_, free) = space(self.directory.as_ref()?)?;
        let short = free < self.reserve_bytes;
        short.then(|| format!("{free} bytes are left, {} are kept for deletes", self.reserve_bytes))
    }
}

/// Bytes of the file system of `directory`, in all and free to us; none: it does not say.
pub(crate) fn space(directory: &PathBuf) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(directory).ok()?;
    Some((stat.f_blocks.saturating_mul(stat.f_frsize), stat.f_bavail.saturating_mul(stat.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_is_above_the_reserve() {
        let here = Some(PathBuf::from("/"));
        assert_eq!(Room::new(here.clone(), 0).is_short(), None);
        assert!(Room::new(here, u64::MAX).is_short().is_some());
        assert_eq!(Room::new(None, u64::MAX).is_short(), None);
    }
}
