//! Input for fuzz targets that gets past the first line of a parser: its own words out of order, with strange bytes in
//! between.

#[cfg(feature = "protobuf")]
pub mod protobuf;

use std::fmt;
use std::ops::{Deref, Range};

use bolero::generator::bolero_generator::driver::Driver;
use bolero::{ValueGenerator, produce};

/// Bytes that a failure prints as they stand in a source.
#[derive(Clone)]
pub struct Raw(Vec<u8>);

impl From<Vec<u8>> for Raw {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Raw {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

/// At most `longest` of `words`; every eighth is a byte of any kind instead.
pub fn bytes(words: &'static [&'static str], longest: usize) -> impl ValueGenerator<Output = Raw> {
    let piece = (0_u8..8, 0..words.len(), produce::<u8>()).map_gen(|(kind, at, byte)| match kind {
        0 => vec![byte],
        _ => words[at].as_bytes().to_vec(),
    });
    list(piece, 0..longest + 1).map_gen(|pieces| Raw(pieces.concat()))
}

/// The same as text.
pub fn text(words: &'static [&'static str], longest: usize) -> impl ValueGenerator<Output = String> {
    bytes(words, longest).map_gen(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Any text, most of it short and ASCII.
pub fn any_text(longest: usize) -> impl ValueGenerator<Output = String> {
    let character = (0_u8..4, 0_u8..128, produce::<char>())
        .map_gen(|(kind, ascii, any)| if kind == 0 { any } else { ascii.into() });
    list(character, 0..longest + 1).map_gen(String::from_iter)
}

/// Where to cut.
pub fn cuts() -> impl ValueGenerator<Output = Vec<usize>> {
    list(0_usize..40, 0..6)
}

/// `whole` in pieces of these sizes, again and again; in one piece where there is none.
pub fn pieces<'a>(whole: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = vec![];
    let mut rest = whole;
    let sizes: Vec<usize> = sizes.iter().map(|size| size + 1).collect();
    let mut sizes = sizes.into_iter().cycle();
    while !rest.is_empty() {
        let (piece, left) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

/// So many `values`.
pub fn list<G: ValueGenerator>(values: G, lengths: Range<usize>) -> List<G> {
    List { values, lengths }
}

pub struct List<G> {
    values: G,
    lengths: Range<usize>,
}

impl<G: ValueGenerator> ValueGenerator for List<G> {
    type Output = Vec<G::Output>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Vec<G::Output>> {
        let length = self.lengths.generate(driver)?;
        (0..length).map(|_| self.values.generate(driver)).collect()
    }
}

/// `whole` with these bytes put over it, wherever they fall.
pub fn damaged(whole: &[u8], damage: &[(u16, u8)]) -> Vec<u8> {
    let mut out = whole.to_vec();
    for (at, byte) in damage {
        if let Some(place) = usize::from(*at).checked_rem(whole.len()) {
            out[place] = *byte;
        }
    }
    out
}
