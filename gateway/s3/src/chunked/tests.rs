use std::collections::VecDeque;

use bytes::Bytes;
use http::request::Parts;
use proptest::prelude::*;

use super::{Decoder, Encoder};
use crate::auth::{Authorization, ChunkSigning, Payload, Rules, Signer, SigningKey};
use crate::body::{BodySpec, ChunkMode, Framing};
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::error::{ErrorCode, S3Error};

const NOW_MS: u64 = 1_700_000_000_000;
const SIGNER: Signer<'_> = Signer { access_key_id: "id", secret: "secret", region: "home" };

/// The chain of a signed request, once as its client has it and once as its server has.
fn chains(payload: Payload) -> (Option<ChunkSigning>, Option<ChunkSigning>) {
    let request = http::Request::builder().method("PUT").uri("/b/k").header("host", "h").body(()).unwrap();
    let mut parts: Parts = request.into_parts().0;
    let client = SIGNER.sign(&mut parts, payload, NOW_MS).unwrap();
    let rules = Rules { now_ms: NOW_MS, region: None, refuse_unsigned_payload: false };
    let Ok(Authorization::Signed(signed)) = Authorization::parse(&parts, &rules) else { panic!("it is signed") };
    let key = SigningKey::derive("secret", signed.scope());
    (client, signed.verify(&key, ()).unwrap().chunk_signing())
}

fn spec(mode: ChunkMode, length: u64, trailer: Option<Algorithm>) -> BodySpec {
    BodySpec {
        length: Some(length),
        framing: Framing::Chunked(mode),
        content_md5: None,
        sha256: None,
        checksum: None,
        trailer,
    }
}

/// One body in one mode: what the client sends, and a decoder for it.
struct Case {
    wire: Vec<u8>,
    spec: BodySpec,
    server: Option<ChunkSigning>,
}

impl Case {
    fn new(mode: ChunkMode, body: &[u8], chunk_bytes: usize, trailer: Option<Algorithm>) -> Self {
        let (client, server) = chains(match mode {
            ChunkMode::Signed => Payload::StreamingSigned,
            ChunkMode::SignedTrailer => Payload::StreamingSignedTrailer,
            ChunkMode::Unsigned => Payload::StreamingUnsignedTrailer,
        });
        let checksum = trailer.map(|algorithm| Hasher::of(algorithm, body));
        let wire = Encoder::new(client).whole(body, chunk_bytes, checksum.as_ref());
        Self { wire, spec: spec(mode, body.len() as u64, trailer), server }
    }

    /// Decodes pieces of the wire.
    fn decode<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, Option<Checksum>), S3Error> {
        let mut decoder = Decoder::new(&self.spec, self.server.clone())?;
        let mut output = VecDeque::new();
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece), &mut output)?;
        }
        let checksum = decoder.finish()?;
        Ok((output.iter().flatten().copied().collect(), checksum))
    }

    fn code(&self, wire: &[u8]) -> Option<ErrorCode> {
        self.decode([wire]).err().map(|error| error.code())
    }
}

fn every_mode(body: &[u8], chunk_bytes: usize) -> Vec<Case> {
    let plain = BodySpec { framing: Framing::Plain, ..spec(ChunkMode::Unsigned, body.len() as u64, None) };
    vec![
        Case::new(ChunkMode::Signed, body, chunk_bytes, None),
        Case::new(ChunkMode::SignedTrailer, body, chunk_bytes, Some(Algorithm::Crc32c)),
        Case::new(ChunkMode::Unsigned, body, chunk_bytes, Some(Algorithm::Sha256)),
        Case::new(ChunkMode::Unsigned, body, chunk_bytes, None),
        Case { wire: body.to_vec(), spec: plain, server: None },
    ]
}

fn replace(wire: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = wire.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    [&wire[..at], to.as_bytes(), &wire[at + from.len()..]].concat()
}

#[test]
fn split_at_every_byte() {
    let body = b"The quick brown fox jumps over the lazy dog";
    for case in every_mode(body, 20) {
        for at in 0..=case.wire.len() {
            let (decoded, checksum) = case.decode([&case.wire[..at], &case.wire[at..]]).unwrap();
            assert_eq!(decoded, body);
            assert_eq!(checksum, case.spec.trailer.map(|algorithm| Hasher::of(algorithm, body)));
        }
        assert_eq!(case.decode(case.wire.chunks(1)).unwrap().0, body);
    }
}

/// However a body arrives, it is refused for the same reason.
#[test]
fn errors_are_the_same_at_every_split() {
    let mut seen = Vec::new();
    for case in every_mode(b"some body of some length", 10) {
        let mut wires = vec![case.wire[..case.wire.len() / 2].to_vec(), [case.wire.as_slice(), b"0\r\nmore"].concat()];
        // Each byte of the frame's words in turn is another one.
        for at in 0..case.wire.len() {
            let mut wire = case.wire.clone();
            wire[at] ^= 0x40;
            wires.push(wire);
        }
        for wire in wires {
            let whole = case.code(&wire);
            for at in 1..wire.len() {
                let split = case.decode([&wire[..at], &wire[at..]]).err().map(|error| error.code());
                assert_eq!(split, whole, "{at} of {:?} in {:?}", wire.escape_ascii().to_string(), case.spec.framing);
            }
            seen.extend(whole.filter(|code| !seen.contains(code)));
        }
    }
    for code in [
        ErrorCode::IncompleteBody,
        ErrorCode::InvalidRequest,
        ErrorCode::MalformedTrailerError,
        ErrorCode::SignatureDoesNotMatch,
    ] {
        assert!(seen.contains(&code), "{code:?}");
    }
}

#[test]
fn empty_bodies_work() {
    for case in every_mode(b"", 20) {
        assert_eq!(case.decode([case.wire.as_slice()]).unwrap().0, b"");
        let ended = (case.spec.framing != Framing::Plain).then_some(ErrorCode::IncompleteBody);
        assert_eq!(case.code(b""), ended);
    }
}

#[test]
fn every_truncation_is_noticed() {
    for case in every_mode(b"some body", 4) {
        // Without the line ends at the very end all that matters is there.
        let essential =
            case.wire.len() - case.wire.iter().rev().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let end = match case.spec.framing {
            Framing::Plain => case.wire.len(),
            Framing::Chunked(_) if case.spec.trailer.is_none() => essential + 2,
            Framing::Chunked(_) => essential,
        };
        for length in 0..end {
            assert!(case.code(&case.wire[..length]).is_some(), "{length} of {}", case.wire.len());
        }
    }
}

#[test]
fn every_changed_byte_of_a_signed_body_is_noticed() {
    for case in every_mode(b"some body", 4).into_iter().take(2) {
        for at in 0..case.wire.len() {
            let mut wire = case.wire.clone();
            wire[at] ^= 1;
            // Line ends after the last chunk and the case of a trailer's name mean nothing.
            let tail = wire.len() - at <= 4 || case.decode([wire.as_slice()]) == case.decode([case.wire.as_slice()]);
            assert!(case.code(&wire).is_some() || tail, "byte {at}");
        }
    }
}

#[test]
fn a_broken_chain_keeps_the_end_of_the_chunk() {
    let case = Case::new(ChunkMode::Signed, b"aaaabbbb", 4, None);
    let wire = replace(&case.wire, "bbbb", "bbbc");
    for piece_bytes in [1, 2, 3, wire.len()] {
        let mut decoder = Decoder::new(&case.spec, case.server.clone()).unwrap();
        let mut output = VecDeque::new();
        let pushed =
            wire.chunks(piece_bytes).try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut output));
        assert_eq!(pushed.unwrap_err().code(), ErrorCode::SignatureDoesNotMatch);
        let left: Vec<u8> = output.iter().flatten().copied().collect();
        assert!(b"aaaabbb".starts_with(&left[..]) && left.starts_with(b"aaaa"), "{left:?} in pieces of {piece_bytes}");
        // And it stays broken.
        assert!(decoder.push(Bytes::from_static(b"0\r\n\r\n"), &mut output).is_err());
        assert_eq!(decoder.finish().unwrap_err().code(), ErrorCode::IncompleteBody);
    }
}

#[test]
fn chunks_cannot_be_reordered_repeated_or_left_out() {
    let case = Case::new(ChunkMode::Signed, b"aaaabbbb", 4, None);
    let length = 1 + 17 + 64 + 2 + 4 + 2;
    let (first, rest) = case.wire.split_at(length);
    let (second, last) = rest.split_at(length);
    for wire in [[second, first, last].concat(), [first, first, last].concat()] {
        assert_eq!(case.code(&wire), Some(ErrorCode::SignatureDoesNotMatch));
    }
    assert_eq!(case.code(&[first, last].concat()), Some(ErrorCode::SignatureDoesNotMatch));
    assert_eq!(case.code(&[first, second].concat()), Some(ErrorCode::IncompleteBody));
}

#[test]
fn chunks_of_another_request_do_not_fit() {
    let mut case = Case::new(ChunkMode::Signed, b"aaaa", 4, None);
    case.server = chains(Payload::StreamingSignedTrailer).1;
    assert_eq!(case.code(&case.wire), Some(ErrorCode::SignatureDoesNotMatch));
    case.server = None;
    assert_eq!(case.code(&case.wire), Some(ErrorCode::AccessDenied));
}

#[test]
fn lengths_must_match() {
    for mut case in every_mode(b"eight by", 4) {
        for (declared, expected) in
            [(7, Some(ErrorCode::IncompleteBody)), (8, None), (9, Some(ErrorCode::IncompleteBody))]
        {
            case.spec.length = Some(declared);
            assert_eq!(case.code(&case.wire), expected, "{declared} in {:?}", case.spec.framing);
        }
    }
}

#[test]
fn too_long_a_body_is_refused_at_its_header() {
    let mut decoder = Decoder::new(&spec(ChunkMode::Unsigned, 5, None), None).unwrap();
    let mut output = VecDeque::new();
    let error = decoder.push(Bytes::from_static(b"6\r\n"), &mut output).unwrap_err();
    assert_eq!(error.code(), ErrorCode::IncompleteBody);
}

#[test]
fn sizes_are_plain_hexadecimal() {
    let case = Case { wire: Vec::new(), spec: spec(ChunkMode::Unsigned, 1, None), server: None };
    for good in ["1\r\nx\r\n0\r\n\r\n", "01\r\nx\r\n000\r\n\r\n", "0000000000000001\r\nx\r\n0\r\n\r\n"] {
        assert_eq!(case.code(good.as_bytes()), None, "{good:?}");
    }
    for bad in [
        "-1\r\nx\r\n0\r\n\r\n",
        "+1\r\nx\r\n0\r\n\r\n",
        " 1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "g\r\nx\r\n0\r\n\r\n",
        "\r\nx\r\n0\r\n\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "1;chunk-signature=abc\r\nx\r\n0\r\n\r\n",
        "10000000000000000\r\nx\r\n0\r\n\r\n",
        "00000000000000000000000000000000001\r\nx\r\n0\r\n\r\n",
        "1é\r\nx\r\n0\r\n\r\n",
    ] {
        assert_eq!(case.code(bad.as_bytes()), Some(ErrorCode::InvalidRequest), "{bad:?}");
    }
    assert_eq!(case.code(b"ffffffffffffffff\r\n"), Some(ErrorCode::IncompleteBody));
}

#[test]
fn chunks_of_any_size_stream() {
    const CHUNK: usize = 40 << 20;
    const PIECE: usize = 64 << 10;
    let case = Case::new(ChunkMode::Signed, &vec![7; CHUNK], CHUNK, None);
    let mut decoder = Decoder::new(&case.spec, case.server.clone()).unwrap();
    let (mut output, mut pushed, mut left) = (VecDeque::new(), 0, 0);
    let wire = Bytes::from(case.wire);
    for at in (0..wire.len()).step_by(PIECE) {
        let piece = wire.slice(at..wire.len().min(at + PIECE));
        pushed += piece.len();
        decoder.push(piece, &mut output).unwrap();
        left += output.drain(..).map(|piece: Bytes| piece.len()).sum::<usize>();
        // A header, and what may wait for a signature.
        assert!(pushed - left <= 2 * PIECE, "{} bytes are held", pushed - left);
    }
    assert_eq!(left, CHUNK);
    decoder.finish().unwrap();
}

#[test]
fn unsigned_chunks_stream_without_a_copy() {
    let mut decoder = Decoder::new(&spec(ChunkMode::Unsigned, 1 << 30, None), None).unwrap();
    let mut output = VecDeque::new();
    let wire = Bytes::from_static(b"40000000\r\nbeginning");
    decoder.push(wire.clone(), &mut output).unwrap();
    assert_eq!(output.len(), 1);
    assert_eq!(output[0].as_ptr(), wire[10..].as_ptr());
}

#[test]
fn plain_bodies_pass_through_and_are_counted() {
    let spec = BodySpec { framing: Framing::Plain, ..spec(ChunkMode::Unsigned, 4, None) };
    let case = Case { wire: Vec::new(), spec, server: None };
    assert_eq!(case.decode([b"ab".as_slice(), b"cd"]).unwrap().0, b"abcd");
    assert_eq!(case.code(b"abc"), Some(ErrorCode::IncompleteBody));
    assert_eq!(case.code(b"abcde"), Some(ErrorCode::IncompleteBody));
}

#[test]
fn trailers_must_be_announced_present_and_well_formed() {
    let announced = Case::new(ChunkMode::Unsigned, b"x", 1, Some(Algorithm::Crc32));
    let name = "x-amz-checksum-crc32:";
    for (from, to, expected) in [
        (name, "x-amz-checksum-crc32c:", ErrorCode::MalformedTrailerError),
        (name, "x-amz-checksum-crc32", ErrorCode::MalformedTrailerError),
        (name, "x-amz-checksum-crc32: ?", ErrorCode::InvalidRequest),
        (name, "x-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:", ErrorCode::MalformedTrailerError),
        (name, "x-amz-meta-a:b\r\nx-amz-checksum-crc32:", ErrorCode::MalformedTrailerError),
    ] {
        assert_eq!(announced.code(&replace(&announced.wire, from, to)), Some(expected), "{to}");
    }
    assert_eq!(announced.code(b"1\r\nx\r\n0\r\n\r\n"), Some(ErrorCode::MalformedTrailerError));
    let silent = Case { wire: Vec::new(), spec: spec(ChunkMode::Unsigned, 1, None), server: None };
    let wire = b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    assert_eq!(silent.code(wire), Some(ErrorCode::MalformedTrailerError));
    let endless = [b"1\r\nx\r\n0\r\n".as_slice(), &[b'\n'; 2000]].concat();
    assert_eq!(silent.code(&endless), Some(ErrorCode::MalformedTrailerError));
}

#[test]
fn a_signed_trailer_must_be_signed() {
    let case = Case::new(ChunkMode::SignedTrailer, b"x", 1, Some(Algorithm::Crc32));
    let unsigned = replace(&case.wire, "x-amz-trailer-signature:", "x-amz-trailer-signature:f");
    assert_eq!(case.code(&unsigned), Some(ErrorCode::MalformedTrailerError));
    let at = case.wire.windows(24).position(|window| window == b"x-amz-trailer-signature:").unwrap();
    assert_eq!(case.code(&[&case.wire[..at], b"\r\n"].concat()), Some(ErrorCode::MalformedTrailerError));
    let value = Hasher::of(Algorithm::Crc32, b"x").to_string();
    let changed = replace(&case.wire, &value, "AAAAAA==");
    assert_eq!(case.code(&changed), Some(ErrorCode::SignatureDoesNotMatch));
}

#[test]
fn line_ends_of_known_clients_are_read() {
    // minio-go ends a trailer line in LF and sends an empty line before the signature.
    let case = Case::new(ChunkMode::SignedTrailer, b"x", 1, Some(Algorithm::Crc32));
    let value = Hasher::of(Algorithm::Crc32, b"x").to_string();
    let wire = replace(&case.wire, &format!("{value}\r\n"), &format!("{value}\n\r\n"));
    assert_eq!(case.code(&wire), None);
    let case = Case::new(ChunkMode::Unsigned, b"x", 1, Some(Algorithm::Crc32));
    let wire = replace(&case.wire, &format!("{value}\r\n"), &format!("{value}\n\r\n"));
    assert_eq!(case.code(&wire), None);
}

proptest! {
    #[test]
    fn bodies_round_trip_in_any_pieces(
        body in prop::collection::vec(any::<u8>(), 0..2000),
        chunk_bytes in 1_usize..700,
        piece_bytes in 1_usize..300,
    ) {
        for case in every_mode(&body, chunk_bytes) {
            let (decoded, _) = case.decode(case.wire.chunks(piece_bytes)).unwrap();
            prop_assert_eq!(&decoded, &body);
        }
    }

    #[test]
    fn random_bytes_never_panic_and_never_exceed_the_length(wire in prop::collection::vec(any::<u8>(), 0..300), length in 0_u64..64) {
        for case in every_mode(b"", 1) {
            let mut decoder = Decoder::new(&BodySpec { length: Some(length), ..case.spec }, case.server).unwrap();
            let mut output = VecDeque::new();
            for piece in wire.chunks(7) {
                if decoder.push(Bytes::copy_from_slice(piece), &mut output).is_err() {
                    break;
                }
            }
            prop_assert!(output.iter().map(|piece| piece.len() as u64).sum::<u64>() <= length);
            let _ended = decoder.finish();
        }
    }

    #[test]
    fn damaged_frames_never_panic(at in 0_usize..200, byte: u8) {
        for case in every_mode(b"some body of some length", 10) {
            let mut wire = case.wire.clone();
            let place = at % wire.len();
            wire[place] = byte;
            let _decoded = case.decode([wire.as_slice()]);
        }
    }
}
