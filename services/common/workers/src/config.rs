//! How often and how fast background work runs.

use std::time::Duration;

use cairn_daemon::Period;
use serde::{Deserialize, Serialize};

/// The lifecycle worker of one process. Every field has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleConfig {
    /// Each bucket that has rules is walked once in every such period, which begin at midnight UTC: rules let things go
    /// at midnight, and a period of a day walks right after it.
    pub period: Period,
    /// Objects and uploads looked at in a second.
    pub judged_per_second: u32,
    /// Objects deleted and uploads aborted in a second.
    pub ended_per_second: u32,
}

impl Default for LifecycleConfig {
    fn default() -> Self {
        let day = Period(Duration::from_secs(24 * 60 * 60));
        Self { period: day, judged_per_second: 10_000, ended_per_second: 200 }
    }
}

impl LifecycleConfig {
    /// Between two looks for work that is due or was left behind.
    pub(crate) fn look_every(&self) -> Duration {
        self.period.0.clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Whether a run that began at `began_at_ms` belongs to an earlier period than now.
    pub(crate) fn is_due(&self, began_at_ms: u64, now_ms: u64) -> bool {
        let period_ms = u64::try_from(self.period.0.as_millis()).unwrap_or(u64::MAX).max(1);
        now_ms / period_ms > began_at_ms / period_ms
    }
}

/// However short the period.
const LOOK_MIN: Duration = Duration::from_millis(100);
/// However long it is: the work of a node that stopped waits for another node no longer than this.
const LOOK_MAX: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        const DAY: u64 = 86_400_000;
        let config = LifecycleConfig::default();
        assert!(config.is_due(0, 20_000 * DAY), "never walked");
        assert!(!config.is_due(20_000 * DAY, 20_001 * DAY - 1));
        assert!(config.is_due(20_001 * DAY - 1, 20_001 * DAY), "a run just before midnight does not spoil the next");
        assert!(!config.is_due(20_001 * DAY, 20_000 * DAY), "a clock that goes back repeats nothing");
        assert_eq!(config.look_every(), LOOK_MAX);
    }

    #[test]
    fn a_file_may_say_some_of_it() {
        let config: LifecycleConfig = toml::from_str("period = '1s'").unwrap();
        assert_eq!((config.look_every(), config.ended_per_second), (Duration::from_secs(1), 200));
        assert!(config.is_due(999, 1000) && !config.is_due(1000, 1999));
        assert!(toml::from_str::<LifecycleConfig>("perid = '1s'").is_err());
    }
}
