//! Durations and moments as operators type them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use cairn_proto::admin::v1::Expiry;
use cairn_proto::admin::v1::expiry::When;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// `30d`, `12h 30min`: at least a millisecond.
pub(crate) fn duration_ms(text: &str) -> Result<u64> {
    let duration = humantime::parse_duration(text).with_context(|| format!("{text:?} is no duration such as 30d"))?;
    ensure!(duration >= Duration::from_millis(1), "a duration is longer than nothing");
    u64::try_from(duration.as_millis()).context("that duration is too long")
}

/// `2027-01-31`, which begins at midnight UTC, or `2027-01-31T18:00:00+01:00`; in milliseconds since 1970.
pub(crate) fn moment_ms(text: &str) -> Result<u64> {
    let date = format_description!("[year]-[month]-[day]");
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| Date::parse(text, date).map(|date| date.midnight().assume_utc()))
        .with_context(|| format!("{text:?} is no moment such as 2027-01-31 or 2027-01-31T18:00:00Z"))?;
    let ms = moment.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(ms).ok().filter(|ms| *ms > 0).context("that is before 1970")
}

/// A moment as people read it, in UTC.
pub(crate) fn show_ms(ms: u64) -> String {
    let moment = i64::try_from(ms / 1000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms after 1970"))
}

pub(crate) fn in_ms(ms: u64) -> Expiry {
    Expiry { when: Some(When::InMs(ms)) }
}

pub(crate) fn at_ms(ms: u64) -> Expiry {
    Expiry { when: Some(When::AtMs(ms)) }
}

pub(crate) fn never() -> Expiry {
    Expiry { when: Some(When::Never(true)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_moments_are_read() {
        assert_eq!(duration_ms("30d").unwrap(), 30 * 86_400_000);
        assert_eq!(duration_ms("1h 30min").unwrap(), 5_400_000);
        assert_eq!(moment_ms("1970-01-02").unwrap(), 86_400_000);
        assert_eq!(moment_ms("1970-01-02T01:00:00+01:00").unwrap(), 86_400_000);
        assert_eq!(show_ms(86_400_000), "1970-01-02T00:00:00Z");
        for bad in ["", "soon", "30", "0s"] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
        for bad in ["", "tomorrow", "2027-02-30", "1969-12-31", "1970-01-01"] {
            assert!(moment_ms(bad).is_err(), "{bad}");
        }
    }
}
