//! `aws-chunked` bodies.

use std::collections::VecDeque;

use bolero::{check, produce};
use bytes::Bytes;
use cairn_testkit::fuzz::{bytes, cuts, pieces};

use crate::auth::{Authorization, ChunkSigning, Payload, Rules, Signer, SigningKey};
use crate::body::{BodySpec, ChunkMode, Framing};
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::chunked::{Decoder, Encoder};
use crate::error::ErrorCode;

const NOW_MS: u64 = 1_700_000_000_000;
const SIGNER: Signer<'_> = Signer { access_key_id: "id", secret: "secret", region: "home" };

/// The five ways a body can come.
const MODES: [(Framing, Option<Algorithm>); 5] = [
    (Framing::Plain, None),
    (Framing::Chunked(ChunkMode::Signed), None),
    (Framing::Chunked(ChunkMode::SignedTrailer), Some(Algorithm::Crc32c)),
    (Framing::Chunked(ChunkMode::Unsigned), Some(Algorithm::Sha256)),
    (Framing::Chunked(ChunkMode::Unsigned), None),
];

fn chains(payload: Payload) -> (Option<ChunkSigning>, Option<ChunkSigning>) {
    let mut parts = super::words::head("PUT", "/b/k", &[("host", b"h".to_vec().into())]).unwrap();
    let client = SIGNER.sign(&mut parts, payload, NOW_MS).unwrap();
    let rules = Rules { now_ms: NOW_MS, region: None, refuse_unsigned_payload: false };
    let Ok(Authorization::Signed(signed)) = Authorization::parse(&parts, &rules) else { panic!("it is signed") };
    let key = SigningKey::derive("secret", signed.scope());
    (client, signed.verify(&key, ()).unwrap().chunk_signing())
}

/// What the client holds and what the server holds of each mode.
fn all_chains() -> Vec<(Option<ChunkSigning>, Option<ChunkSigning>)> {
    let of = |(framing, _): &(Framing, _)| match framing {
        Framing::Chunked(ChunkMode::Signed) => chains(Payload::StreamingSigned),
        Framing::Chunked(ChunkMode::SignedTrailer) => chains(Payload::StreamingSignedTrailer),
        Framing::Plain | Framing::Chunked(ChunkMode::Unsigned) => (None, None),
    };
    MODES.iter().map(of).collect()
}

fn spec(mode: usize, length: u64) -> BodySpec {
    let (framing, trailer) = MODES[mode];
    BodySpec { length: Some(length), framing, content_md5: None, sha256: None, checksum: None, trailer }
}

type Decoded = (Vec<u8>, Result<Option<Checksum>, ErrorCode>);

/// Everything that left the decoder, and how it ended.
fn decode(spec: &BodySpec, server: Option<ChunkSigning>, wire: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::new(spec, server).unwrap();
    let mut output = VecDeque::new();
    let pushed = wire.iter().try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut output));
    let all: Vec<u8> = output.iter().flatten().copied().collect();
    assert!(all.len() as u64 <= spec.length.unwrap(), "more than was declared");
    if let Err(error) = pushed {
        assert!(decoder.push(Bytes::from_static(b"0\r\n\r\n"), &mut output).is_err(), "it stays broken");
        assert!(decoder.finish().is_err());
        return (all, Err(error.code()));
    }
    (all, decoder.finish().map_err(|error| error.code()))
}

/// However a body is cut, it decodes to the same, and a damaged one to the same error.
#[test]
fn any_split_decodes_the_same() {
    let chains = all_chains();
    let damage = produce::<Option<(u16, u8)>>();
    let shape = (0..MODES.len(), produce::<Vec<u8>>().with().len(0_usize..200), 1_usize..80, cuts(), damage);
    check!().with_generator(shape).for_each(|(mode, body, chunk_bytes, cuts, damage)| {
        let (spec, (client, server)) = (spec(*mode, body.len() as u64), &chains[*mode]);
        let trailer = spec.trailer.map(|algorithm| Hasher::of(algorithm, body));
        let mut wire = match spec.framing {
            Framing::Plain => body.clone(),
            Framing::Chunked(_) => Encoder::new(client.clone()).whole(body, *chunk_bytes, trailer.as_ref()),
        };
        if let Some((at, byte)) = damage.filter(|_| !wire.is_empty()) {
            let at = usize::from(at) % wire.len();
            wire[at] = byte;
        }
        let (whole, ended) = decode(&spec, server.clone(), &[&wire]);
        let (pieced, same) = decode(&spec, server.clone(), &pieces(&wire, cuts));
        assert_eq!(same, ended);
        match ended {
            Ok(_) => assert_eq!(pieced, whole),
            // A plain piece that is too long is refused whole; its beginning may have gone out before.
            Err(_) => assert!(pieced.starts_with(&whole)),
        }
        if damage.is_none() {
            assert_eq!((whole, ended), (body.clone(), Ok(trailer)));
        } else if server.is_some() {
            assert!(whole.len() < body.len() || whole == *body, "a body left whole that was not signed");
        }
    });
}

const FRAMES: &[&str] = &[
    "0",
    "1",
    "5",
    "a",
    "10",
    "ffffffffffffffff",
    "\r\n",
    "\n",
    "\r",
    ";chunk-signature=",
    "\r\n\r\n",
    "0\r\n",
    "1\r\nx\r\n",
    "x-amz-checksum-sha256:",
    "x-amz-checksum-crc32c:",
    "sOO8/Q==",
    "x-amz-trailer-signature:",
    ":",
    " ",
    "abc",
    "+",
    "-",
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "é",
];

#[test]
fn invented_frames_decode_to_what_they_say() {
    let chains = all_chains();
    check!().with_generator((0..MODES.len(), bytes(FRAMES, 16), cuts(), 0_u64..20)).for_each(
        |(mode, wire, cuts, length)| {
            let (spec, server) = (spec(*mode, *length), &chains[*mode].1);
            let (whole, ended) = decode(&spec, server.clone(), &[wire]);
            let (pieced, same) = decode(&spec, server.clone(), &pieces(wire, cuts));
            assert_eq!(same, ended);
            assert!(pieced.starts_with(&whole));
            if ended.is_ok() {
                assert_eq!((pieced.len() as u64, pieced.len()), (*length, whole.len()));
                assert!(server.is_none(), "nobody signed this");
            }
            // Nothing leaves that did not come.
            assert!(whole.len() <= wire.len());
        },
    );
}
