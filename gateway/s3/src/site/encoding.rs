//! `Accept-Encoding`, for objects that stand beside others in compressed form.

/// A content coding, and the ending of a key that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    /// As `Content-Encoding` writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the key of the compressed form ends in.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }
}

/// The encodings a client likes at least as well as none, the best first; Brotli before Gzip where it does not care.
#[must_use]
pub fn accepted(header: Option<&str>) -> Vec<Encoding> {
    let Some(header) = header else { return Vec::new() };
    let weight = |names: &[&str]| -> Option<u16> {
        let members = header.split(',').filter_map(member);
        members.filter(|(name, _)| names.iter().any(|own| own.eq_ignore_ascii_case(name))).map(|(_, q)| q).max()
    };
    let any = weight(&["*"]);
    let weight = |names: &[&str]| weight(names).or(any);
    // Unless it is named, no encoding at all is what a client likes least (RFC 9110 §12.5.3).
    let identity = weight(&["identity"]).unwrap_or(0);
    let mut found: Vec<(u16, Encoding)> =
        [(weight(&["br"]), Encoding::Brotli), (weight(&["gzip", "x-gzip"]), Encoding::Gzip)]
            .into_iter()
            .filter_map(|(weight, encoding)| Some((weight?, encoding)))
            .filter(|(weight, _)| *weight > 0 && *weight >= identity)
            .collect();
    found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    found.into_iter().map(|(_, encoding)| encoding).collect()
}

/// A name and its weight in thousandths. None where the weight cannot be read.
fn member(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let mut weight = 1000;
    for parameter in parts {
        let (key, value) = parameter.split_once('=')?;
        if key.trim().eq_ignore_ascii_case("q") {
            weight = thousandths(value.trim())?;
        }
    }
    Some((name, weight))
}

/// `0`, `0.5`, `1.000`: RFC 9110 §12.4.2.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weights_decide() {
        use Encoding::{Brotli, Gzip};
        for (header, expected) in [
            ("", vec![]),
            ("gzip, deflate, br, zstd", vec![Brotli, Gzip]),
            ("gzip", vec![Gzip]),
            ("x-gzip", vec![Gzip]),
            ("BR", vec![Brotli]),
            ("gzip;q=1.0, br;q=0.5", vec![Gzip, Brotli]),
            ("gzip; Q=0.2 , br;q=0", vec![Gzip]),
            ("gzip;q=0", vec![]),
            ("*", vec![Brotli, Gzip]),
            ("*;q=0.1, gzip;q=0", vec![Brotli]),
            ("br;q=0.5, *;q=0", vec![Brotli]),
            ("identity, gzip;q=0.5", vec![]),
            ("identity;q=0.5, gzip;q=0.5", vec![Gzip]),
            ("identity;q=0", vec![]),
            ("br;q=1.1", vec![]),
            ("br;q=0.1234", vec![]),
            ("br;q=nan, gzip", vec![Gzip]),
            ("brotli, gz", vec![]),
            ("br;q=0, br", vec![Brotli]),
        ] {
            assert_eq!(accepted(Some(header)), expected, "{header:?}");
        }
        assert_eq!(accepted(None), []);
    }

    proptest! {
        #[test]
        fn anything_is_read(header in ".{0,60}|([brgzip*;q=0.,]{0,30})") {
            drop(accepted(Some(&header)));
        }
    }
}
