//! Messages of our protobuf files, filled at random by their own descriptors: with the right fields, in the right types,
//! and any values in them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bolero::generator::bolero_generator::driver::Driver;
use bolero::{ValueGenerator, produce};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::{Raw, list, text};

/// How deep messages lie in each other.
const MAX_DEPTH: usize = 8;
/// What stands in text.
const WORDS: &[&str] = &["a", "node-1", "bucket", "/", "127.0.0.1:1", "d41d8cd98f00b204e9800998ecf8427e", "é", "gzip"];

/// Encoded messages of one type; `name` is like `cairn.model.v1.ObjectHead`.
///
/// # Panics
/// There is no such message.
#[must_use]
pub fn message(name: &'static str) -> Message {
    assert!(FIELDS.contains_key(name), "there is no message {name}");
    Message(name)
}

#[derive(Clone, Copy, Debug)]
pub struct Message(&'static str);

impl ValueGenerator for Message {
    type Output = Raw;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Raw> {
        let mut out = Vec::new();
        write(self.0, MAX_DEPTH, driver, &mut out)?;
        Some(out.into())
    }
}

/// The fields of each message, by its full name.
static FIELDS: LazyLock<BTreeMap<String, Vec<FieldDescriptorProto>>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(cairn_proto::DESCRIPTORS).expect("our own descriptors");
    let mut fields = BTreeMap::new();
    for file in files.file {
        let package = file.package().to_owned();
        file.message_type.into_iter().for_each(|message| add(&mut fields, &package, message));
    }
    fields
});

fn add(fields: &mut BTreeMap<String, Vec<FieldDescriptorProto>>, around: &str, message: DescriptorProto) {
    let name = format!("{around}.{}", message.name());
    message.nested_type.into_iter().for_each(|nested| add(fields, &name, nested));
    fields.insert(name, message.field);
}

fn write<D: Driver>(name: &str, depth: usize, driver: &mut D, out: &mut Vec<u8>) -> Option<()> {
    for field in &FIELDS[name] {
        let times = match (field.label(), (0_u8..4).generate(driver)?) {
            (Label::Repeated, times) => times.saturating_sub(1),
            // Now and then it is not there.
            (Label::Optional | Label::Required, 0) => 0,
            (Label::Optional | Label::Required, _) => 1,
        };
        for _ in 0..times {
            write_field(field, depth, driver, out)?;
        }
    }
    Some(())
}

fn write_field<D: Driver>(field: &FieldDescriptorProto, depth: usize, driver: &mut D, out: &mut Vec<u8>) -> Option<()> {
    let key = u64::try_from(field.number()).expect("fields have positive numbers") << 3;
    let value = match field.r#type() {
        Type::String => text(WORDS, 2).generate(driver)?.into_bytes(),
        Type::Bytes => some_bytes(driver)?,
        Type::Message if depth == 0 => Vec::new(),
        Type::Message => {
            let mut inner = Vec::new();
            write(field.type_name().trim_start_matches('.'), depth - 1, driver, &mut inner)?;
            inner
        }
        Type::Fixed64 => {
            varint(key | 1, out);
            out.extend(produce::<u64>().generate(driver)?.to_le_bytes());
            return Some(());
        }
        Type::Fixed32 => {
            varint(key | 5, out);
            out.extend(produce::<u32>().generate(driver)?.to_le_bytes());
            return Some(());
        }
        kind => {
            varint(key, out);
            varint(number(kind, driver)?, out);
            return Some(());
        }
    };
    varint(key | 2, out);
    varint(value.len() as u64, out);
    out.extend(value);
    Some(())
}

/// Ids, hashes, and anything else.
fn some_bytes<D: Driver>(driver: &mut D) -> Option<Vec<u8>> {
    let length = match (0_u8..8).generate(driver)? {
        0 => return list(produce::<u8>(), 0..40).generate(driver),
        1 | 2 => 32,
        _ => 16,
    };
    Some(vec![produce::<u8>().generate(driver)?; length])
}

fn number<D: Driver>(kind: Type, driver: &mut D) -> Option<u64> {
    let small = (0_u64..6).generate(driver)?;
    match kind {
        Type::Bool => Some(small & 1),
        Type::Enum => Some(small),
        _ if small > 2 => Some(small),
        Type::Uint32 => produce::<u32>().generate(driver).map(u64::from),
        Type::Uint64 | Type::Int64 | Type::Int32 => produce::<u64>().generate(driver),
        other => panic!("no message of ours has a field of type {other:?}"),
    }
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
