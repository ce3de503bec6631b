//! Configuration in TOML: every field documented where it is declared, every unknown one an error.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A number of bytes, written `"1MiB"`, `"500 GB"` or `"4096"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

/// A length of time, written `"30s"`, `"5m"` or `"1h 30m"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(pub Duration);

/// Text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size like \"1MiB\" or \"500GB\"")]
pub struct SizeError(String);

/// Units, largest first, so that a size is shown in the largest that divides it.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let refused = || SizeError(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let unit = match unit.trim() {
            "" => 1,
            name => UNITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).ok_or_else(refused)?.1,
        };
        number.checked_mul(unit).map(Size).ok_or_else(refused)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) =
            UNITS.into_iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit)).unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl TryFrom<String> for Size {
    type Error = SizeError;
    fn try_from(text: String) -> Result<Self, SizeError> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

impl FromStr for Period {
    type Err = humantime::DurationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl TryFrom<String> for Period {
    type Error = humantime::DurationError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

/// Where a process stands in its cluster: the section `[node]` of every daemon's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// This node's place in the layout; chosen once.
    pub name: String,
    /// The failure zone it stands in.
    pub zone: String,
    /// Where gRPC listens, `host:port`; port 0 chooses one.
    #[serde(default = "default_listen")]
    pub listen: String,
    /// The address others reach it at, `host:port`; without it, the one it listens on.
    #[serde(default)]
    pub advertise: Option<String>,
    /// The machine's configuration directory: what it knows of itself, outside of all data directories (DESIGN §2).
    pub config_dir: PathBuf,
    /// The cluster secret, mode 0600; without it, `secret` in `config_dir`.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Membership daemons to watch, `host:port`, tried in order. More are learnt from the view.
    #[serde(default)]
    pub membership: Vec<String>,
}

fn default_listen() -> String {
    "[::]:3901".to_owned()
}

/// How a process runs: the section `[process]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// What is logged, as `tracing`'s filter: `info`, or `warn,cairn_rpc=debug`. `CAIRN_LOG` overrides it.
    pub log: Option<String>,
    pub log_format: LogFormat,
    /// Threads that run requests: 1 costs the least CPU a request; more help one process use more cores.
    pub threads: Option<usize>,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Reads a configuration file.
///
/// # Errors
/// The file is missing, is not TOML, or says something that `C` does not know.
pub fn load_config<C: DeserializeOwned>(path: &Path) -> anyhow::Result<C> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the configuration {} is not right", path.display()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("1MiB", 1 << 20),
            ("4096", 4096),
            ("500 GB", 500_000_000_000),
            ("1kb", 1000),
            ("2 tib", 2 << 40),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in ["", "MiB", "1.5MiB", "-1", "1 XiB", "99999999 TiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn sizes_round_trip(bytes in any::<u64>()) {
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }

        #[test]
        fn periods_round_trip(millis in 0..10_000_000_000_u64) {
            let period = Period(Duration::from_millis(millis));
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let good = "name = \"a\"\nzone = \"b\"\nconfig_dir = \"/c\"\n";
        let config: NodeConfig = toml::from_str(good).unwrap();
        assert_eq!((config.name.as_str(), config.listen.as_str()), ("a", "[::]:3901"));
        assert!(toml::from_str::<NodeConfig>(&format!("{good}nane = \"x\"\n")).is_err());
        assert!(toml::from_str::<ProcessConfig>("log_format = \"xml\"").is_err());
        let json: ProcessConfig = toml::from_str("log_format = \"json\"\nthreads = 2").unwrap();
        assert_eq!((json.log_format, json.threads), (LogFormat::Json, Some(2)));
    }
}
