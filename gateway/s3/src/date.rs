//! The three ways S3 writes a time: HTTP dates, ISO 8601 in XML, and SigV4's basic format.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

const IMF_FIXDATE: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);
const ASCTIME: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
);
/// What some clients send in place of GMT.
const UTC_OFFSET: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] +0000"
);
const AMZ: &[BorrowedFormatItem<'_>] = format_description!(version = 2, "[year][month][day]T[hour][minute][second]Z");
const ISO_8601: &[BorrowedFormatItem<'_>] =
    format_description!(version = 2, "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const ISO_8601_SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!(version = 2, "[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// `Last-Modified` and its like: whole seconds, rounded down.
#[must_use]
pub fn http_date(unix_ms: u64) -> String {
    format(unix_ms, IMF_FIXDATE)
}

/// Times in XML: `2009-10-12T17:50:30.000Z`.
#[must_use]
pub fn iso_8601(unix_ms: u64) -> String {
    format(unix_ms, ISO_8601)
}

/// SigV4's `20130524T000000Z`.
#[must_use]
pub fn amz_date(unix_ms: u64) -> String {
    format(unix_ms, AMZ)
}

/// Seconds since 1970 of an HTTP date in any of its forms, or of an ISO 8601 time; `None` where it is neither.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<u64> {
    let text = text.trim();
    [IMF_FIXDATE, UTC_OFFSET, ASCTIME, ISO_8601, ISO_8601_SECONDS]
        .into_iter()
        .find_map(|format| parse(text, format))
        .or_else(|| parse_rfc_850(text))
}

/// Milliseconds since 1970 of `2009-10-12T17:50:30.000Z`, its fraction left out or not; `None` where it is neither.
#[must_use]
pub fn parse_iso_8601(text: &str) -> Option<u64> {
    let time =
        [ISO_8601, ISO_8601_SECONDS].into_iter().find_map(|format| PrimitiveDateTime::parse(text, format).ok())?;
    u64::try_from(time.assume_utc().unix_timestamp_nanos() / 1_000_000).ok()
}

/// Seconds since 1970 of `20130524T000000Z`; `None` where it is anything else.
#[must_use]
pub fn parse_amz_date(text: &str) -> Option<u64> {
    if text.len() == 16 && text.is_ascii() { parse(text, AMZ) } else { None }
}

fn parse(text: &str, format: &[BorrowedFormatItem<'_>]) -> Option<u64> {
    let time = PrimitiveDateTime::parse(text, format).ok()?;
    u64::try_from(time.assume_utc().unix_timestamp()).ok()
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`: two digits of year, 70 to 99 being the last century.
fn parse_rfc_850(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (date, clock, zone) = (words.next()?, words.next()?, words.next()?);
    let mut date = date.split('-');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let year: u32 = year.parse().ok().filter(|year| *year < 100)?;
    let century = if year >= 70 { 1900 } else { 2000 };
    if zone != "GMT" || words.next().is_some() {
        return None;
    }
    // The week day is not compared: RFC 9110 gives it no meaning of its own.
    let format = format_description!(version = 2, "[day] [month repr:short] [year] [hour]:[minute]:[second]");
    parse(&format!("{day} {month} {} {clock}", century + year), format)
}

/// Formats milliseconds since 1970; times past the year 9999 are written as its end.
fn format(unix_ms: u64, format: &[BorrowedFormatItem<'_>]) -> String {
    const LAST_MS: u64 = 253_402_300_799_999;
    let nanos = i128::from(unix_ms.min(LAST_MS)) * 1_000_000;
    // In range by the line above, and every component of the formats exists in a date with a time.
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|time| time.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUNDAY_MS: u64 = 784_111_777_000;

    #[test]
    fn all_forms_of_a_date_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "1994-11-06T08:49:37Z",
            "1994-11-06T08:49:37.000Z",
        ] {
            assert_eq!(parse_http_date(text), Some(SUNDAY_MS / 1000), "{text}");
        }
        for text in ["", "yesterday", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "19941106T084937Z"] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn iso_8601_has_milliseconds() {
        assert_eq!(parse_iso_8601("1994-11-06T08:49:37.045Z"), Some(SUNDAY_MS + 45));
        assert_eq!(parse_iso_8601("1994-11-06T08:49:37Z"), Some(SUNDAY_MS));
        assert_eq!(parse_iso_8601("Sun, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(parse_iso_8601("1969-01-01T00:00:00Z"), None);
    }

    #[test]
    fn dates_are_written_as_awss() {
        assert_eq!(http_date(SUNDAY_MS + 999), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_8601(SUNDAY_MS + 45), "1994-11-06T08:49:37.045Z");
        assert_eq!(amz_date(SUNDAY_MS), "19941106T084937Z");
        assert_eq!(http_date(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn amz_dates_are_strict() {
        assert_eq!(parse_amz_date("19941106T084937Z"), Some(SUNDAY_MS / 1000));
        for text in ["19941106T084937", "19941106T084937z", "1994-11-06T08:49:37Z", "19941306T084937Z", ""] {
            assert_eq!(parse_amz_date(text), None, "{text}");
        }
    }
}
