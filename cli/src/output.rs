//! How commands answer: a table for people, JSON for programs.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::process::exit;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// What a shell reports of a program that a closed pipe has ended: 128 and the number of SIGPIPE.
const CLOSED_PIPE: i32 = 141;

/// Prints a line, as `say!` does. Where nobody reads any more (`cairn … | head`) the program ends at once, and
/// quietly.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

pub(crate) fn line(text: Arguments<'_>) {
    let written = writeln!(io::stdout().lock(), "{text}");
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit(CLOSED_PIPE),
        Err(error) => {
            complain(&format!("writing to standard output: {error}"));
            exit(1);
        }
    }
}

/// Says on standard error what went wrong, to whoever reads it.
pub(crate) fn complain(why: &str) {
    writeln!(io::stderr(), "cairn: {why}").ok();
}

/// Prints a line for whoever reads it; one that nobody reads is no reason to end. For servers.
pub(crate) fn tell(text: &str) {
    writeln!(io::stdout().lock(), "{text}").ok();
}

/// One value as indented JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table without lines, as wide as the terminal.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    say!("{table}");
}

/// `1536` as `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let power = (count.ilog2() / 10).min(6);
    let unit = 1_u64 << (10 * power);
    let tenths = (u128::from(count) * 10 / u128::from(unit)) % 10;
    format!("{}.{tenths} {}", count / unit, UNITS[power as usize - 1])
}

/// Milliseconds since 1970 as `2026-11-23T09:30:00Z`.
pub(crate) fn time(unix_ms: u64) -> String {
    // Later than this, humantime has no text.
    const LAST_S: u64 = 253_402_300_799;
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs((unix_ms / 1000).min(LAST_S))).to_string()
}

#[cfg(test)]
mod tests {
    use super::{bytes, time};

    #[test]
    fn times_are_utc() {
        assert_eq!(time(784_111_777_999), "1994-11-06T08:49:37Z");
        assert_eq!(time(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn sizes_read_well() {
        for (count, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
    }
}
