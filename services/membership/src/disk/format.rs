//! The bytes of the state file: magic, version, length, CRC-32C, then one protobuf message. Integers are big-endian.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use cairn_model::view::{decode_record, encode_record};
use cairn_proto::membership::v1;
use cairn_register::voters::{Ballot, Open, VoterState};
use cairn_types::StoreId;
use prost::Message as _;

use super::{Issued, Record, Saved, voters_record};
use crate::nodes::NodeRecord;
use crate::staged::Staged;
use crate::token::Serial;
use crate::wire::{decode_ballot, encode_ballot};

const MAGIC: &[u8; 8] = b"CAIRNMEM";
/// Of what follows the header; another version is refused.
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 4 + 4;

#[derive(Clone, PartialEq, prost::Message)]
struct State {
    #[prost(bytes = "bytes", tag = "1")]
    store_id: Bytes,
    #[prost(message, optional, tag = "2")]
    promised: Option<v1::VoteBallot>,
    #[prost(message, optional, tag = "3")]
    chosen: Option<v1::LayoutRecord>,
    #[prost(message, optional, tag = "4")]
    open: Option<v1::LayoutRecord>,
    #[prost(message, optional, tag = "5")]
    open_ballot: Option<v1::VoteBallot>,
    #[prost(message, optional, tag = "6")]
    staged: Option<v1::StagedLayout>,
    #[prost(message, repeated, tag = "7")]
    tokens: Vec<Token>,
    #[prost(message, repeated, tag = "8")]
    nodes: Vec<v1::NodeRecord>,
    #[prost(bool, tag = "9")]
    founding: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Token {
    #[prost(bytes = "bytes", tag = "1")]
    serial: Bytes,
    #[prost(uint64, tag = "2")]
    expires_ms: u64,
    #[prost(bool, tag = "3")]
    used: bool,
}

pub(super) fn encode(saved: &Saved) -> Bytes {
    let payload = state(saved).encode_to_vec();
    let mut bytes = BytesMut::with_capacity(HEADER + payload.len());
    bytes.put_slice(MAGIC);
    bytes.put_u32(VERSION);
    bytes.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    bytes.put_u32(checksum(&payload));
    bytes.put_slice(&payload);
    bytes.freeze()
}

/// The state, or why the bytes are none.
pub(super) fn decode(mut bytes: Bytes) -> Result<Saved, String> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return Err("it does not begin as a state file".to_owned());
    }
    bytes.advance(MAGIC.len());
    let (version, length, crc) = (bytes.get_u32(), bytes.get_u32(), bytes.get_u32());
    if version != VERSION {
        return Err(format!("version {version} is not known"));
    }
    if usize::try_from(length) != Ok(bytes.len()) || checksum(&bytes) != crc {
        return Err("its checksum does not match".to_owned());
    }
    let state = State::decode(bytes).map_err(|error| error.to_string())?;
    restore(state)
}

fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

fn state(saved: &Saved) -> State {
    let record = |record: &Record| encode_record(&record.content);
    let token = |(serial, issued): (&Serial, &Issued)| Token {
        serial: Bytes::copy_from_slice(serial),
        expires_ms: issued.expires_ms,
        used: issued.used,
    };
    let open = saved.voter.open.as_ref();
    State {
        store_id: saved.store.to_bytes(),
        promised: (saved.voter.promised != Ballot::ZERO).then(|| encode_ballot(saved.voter.promised)),
        chosen: saved.voter.chosen.as_ref().map(record),
        open: open.map(|open| record(&open.record)),
        open_ballot: open.map(|open| encode_ballot(open.ballot)),
        staged: Some(saved.staged.encode()),
        tokens: saved.tokens.iter().map(token).collect(),
        nodes: saved.nodes.iter().map(NodeRecord::encode).collect(),
        founding: saved.founding,
    }
}

fn restore(state: State) -> Result<Saved, String> {
    let record = |wire| decode_record(wire).map(|record| voters_record(Arc::new(record))).map_err(text);
    let open = match (state.open_ballot, state.open) {
        (Some(ballot), Some(open)) => Some(Open { ballot: decode_ballot(ballot), record: record(open)? }),
        (None, None) => None,
        _ => return Err("an open record without its ballot, or a ballot without its record".to_owned()),
    };
    let voter = VoterState {
        promised: state.promised.map_or(Ballot::ZERO, decode_ballot),
        chosen: state.chosen.map(record).transpose()?,
        open,
    };
    let token = |token: Token| {
        let serial = Serial::try_from(token.serial.as_ref()).map_err(text)?;
        Ok((serial, Issued { expires_ms: token.expires_ms, used: token.used }))
    };
    Ok(Saved {
        store: StoreId::try_from(state.store_id.as_ref()).map_err(text)?,
        voter,
        staged: Staged::decode(state.staged.unwrap_or_default()).map_err(text)?,
        tokens: state.tokens.into_iter().map(token).collect::<Result<_, String>>()?,
        nodes: state.nodes.into_iter().map(|node| NodeRecord::decode(node).map_err(text)).collect::<Result<_, _>>()?,
        founding: state.founding,
    })
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
