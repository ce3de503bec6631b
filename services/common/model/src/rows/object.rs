//! Rows of objects: the head, where its bytes are, and the pages of long lists.

use bytes::Bytes;
use cairn_proto::model::v1;
use cairn_types::{BlockHash, BucketId, ManifestId, OpId, UploadId};

use super::{RowError, TypedRow};
use crate::Envelope;

/// Most bytes kept in the head itself.
pub(super) const INLINE_MAX: usize = 8 * 1024;

/// `object`, `Envelope.value`: what listings and HEAD need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectHead {
    /// The operation that made it, and with it the version id.
    pub version: OpId,
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub last_modified_ms: u64,
    pub headers: Headers,
    pub checksum: Option<Checksum>,
    /// Parts it was uploaded in; 0: a plain PUT.
    pub parts: u32,
    /// With a key that only the customer has. Then the checksum's value and all bytes are ciphertext, block sizes and
    /// pages of blocks count ciphertext, and `size` and pages of parts count the object's own bytes.
    pub encryption: Option<Encryption>,
}

/// How the key of one object is made of its customer's, and how a wrong one is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encryption {
    /// Random, for each object.
    pub salt: [u8; 32],
    /// What the right key makes of the salt.
    pub check: [u8; 16],
}

impl ObjectHead {
    /// The row of this object in its bucket.
    #[must_use]
    pub fn envelope(&self, bucket: BucketId, data: &ObjectData) -> Envelope {
        Envelope {
            owner: bucket.to_bytes(),
            refs: data.manifest().into_iter().collect(),
            objects: 1,
            bytes: self.size,
            value: self.encode(),
            data: data.encode(),
        }
    }
}

/// What a client gave with an object and gets back with it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Headers {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub expires: Option<String>,
    pub website_redirect: Option<String>,
    /// (name in lower case without `x-amz-meta-`, value).
    pub metadata: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChecksumType {
    FullObject,
    /// A checksum of the parts' checksums.
    Composite,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checksum {
    pub algorithm: ChecksumAlgorithm,
    pub kind: ChecksumType,
    /// The raw digest, big-endian.
    pub value: Bytes,
}

/// One block of an object's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockRef {
    pub hash: BlockHash,
    /// Bytes, at least 1.
    pub size: u32,
}

/// Blocks listed in the head itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocks {
    /// Under which the blocks are referenced.
    pub manifest: ManifestId,
    pub blocks: Vec<BlockRef>,
}

/// A list kept in pages of the table `manifest`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pages {
    pub manifest: ManifestId,
    /// Bytes of the object each page stands for.
    pub page_bytes: Vec<u64>,
}

impl Pages {
    /// Bytes all pages stand for.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.page_bytes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// `object`, `Envelope.data`: where the bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectData {
    Inline(Bytes),
    Blocks(Blocks),
    /// Pages of blocks.
    Pages(Pages),
    /// Pages of parts, each with pages of blocks.
    Parts(Pages),
}

impl ObjectData {
    /// Largest body kept inline, in bytes.
    pub const INLINE_MAX: usize = INLINE_MAX;
    /// Most blocks listed in the head.
    pub const BLOCKS_MAX: usize = 16;

    /// The manifest this keeps alive; an inline body has none.
    #[must_use]
    pub const fn manifest(&self) -> Option<ManifestId> {
        match self {
            ObjectData::Inline(_) => None,
            ObjectData::Blocks(blocks) => Some(blocks.manifest),
            ObjectData::Pages(pages) | ObjectData::Parts(pages) => Some(pages.manifest),
        }
    }
}

/// `manifest`: one page, written once and never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestPage {
    pub bucket: BucketId,
    pub key: Bytes,
    /// None: of a plain object.
    pub upload: Option<UploadId>,
    pub written_at_ms: u64,
    pub entries: PageEntries,
}

/// What a page lists; at most [`ManifestPage::ENTRIES_MAX`] of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PageEntries {
    Blocks(Vec<BlockRef>),
    Parts(Vec<ManifestPart>),
}

impl ManifestPage {
    pub const ENTRIES_MAX: usize = 1000;
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestPart {
    /// 1 to 10,000, as the client gave it.
    pub number: u32,
    pub pages: Pages,
    pub checksum: Option<Checksum>,
    /// Of an encrypted object: random, for each upload of a part.
    pub salt: Option<[u8; 32]>,
}

/// Encrypted rows are of this format: a daemon that does not know it must not take ciphertext for an object's bytes.
pub(super) const ENCRYPTED: u8 = 2;

impl TypedRow for ObjectHead {
    const FORMAT: u8 = ENCRYPTED;
    type Proto = v1::ObjectHead;

    fn format(&self) -> u8 {
        if self.encryption.is_some() { ENCRYPTED } else { 1 }
    }

    fn to_proto(&self) -> v1::ObjectHead {
        v1::ObjectHead {
            size: self.size,
            etag: self.etag.clone(),
            last_modified_ms: self.last_modified_ms,
            headers: Some(self.headers.to_proto()),
            checksum: self.checksum.as_ref().map(Checksum::to_proto),
            parts: self.parts,
            version: self.version.to_bytes(),
            encryption: self.encryption.map(Encryption::to_proto),
        }
    }

    fn from_proto(proto: v1::ObjectHead) -> Result<Self, RowError> {
        Ok(Self {
            version: OpId::try_from(proto.version.as_ref())?,
            size: proto.size,
            etag: proto.etag,
            last_modified_ms: proto.last_modified_ms,
            headers: Headers::from_proto(proto.headers.unwrap_or_default()),
            checksum: proto.checksum.map(Checksum::from_proto).transpose()?,
            parts: proto.parts,
            encryption: proto.encryption.map(Encryption::from_proto).transpose()?,
        })
    }
}

impl Encryption {
    pub(super) fn to_proto(self) -> v1::Encryption {
        v1::Encryption { salt: Bytes::copy_from_slice(&self.salt), check: Bytes::copy_from_slice(&self.check) }
    }

    pub(super) fn from_proto(proto: v1::Encryption) -> Result<Self, RowError> {
        let check = <[u8; 16]>::try_from(proto.check.as_ref()).map_err(|_| RowError::Field("key check"))?;
        Ok(Self { salt: required_salt(&proto.salt)?, check })
    }
}

fn required_salt(bytes: &[u8]) -> Result<[u8; 32], RowError> {
    <[u8; 32]>::try_from(bytes).map_err(|_| RowError::Field("salt"))
}

/// Empty: none.
pub(super) fn salt_from_proto(bytes: &[u8]) -> Result<Option<[u8; 32]>, RowError> {
    if bytes.is_empty() { Ok(None) } else { required_salt(bytes).map(Some) }
}

pub(super) fn salt_to_proto(salt: Option<[u8; 32]>) -> Bytes {
    salt.map(|salt| Bytes::copy_from_slice(&salt)).unwrap_or_default()
}

impl Headers {
    pub(super) fn to_proto(&self) -> v1::Headers {
        let metadata =
            self.metadata.iter().map(|(name, value)| v1::Metadata { name: name.clone(), value: value.clone() });
        v1::Headers {
            content_type: self.content_type.clone(),
            cache_control: self.cache_control.clone(),
            content_disposition: self.content_disposition.clone(),
            content_encoding: self.content_encoding.clone(),
            content_language: self.content_language.clone(),
            expires: self.expires.clone(),
            website_redirect: self.website_redirect.clone(),
            metadata: metadata.collect(),
        }
    }

    pub(super) fn from_proto(proto: v1::Headers) -> Self {
        Self {
            content_type: proto.content_type,
            cache_control: proto.cache_control,
            content_disposition: proto.content_disposition,
            content_encoding: proto.content_encoding,
            content_language: proto.content_language,
            expires: proto.expires,
            website_redirect: proto.website_redirect,
            metadata: proto.metadata.into_iter().map(|pair| (pair.name, pair.value)).collect(),
        }
    }
}

impl ChecksumAlgorithm {
    pub(super) const fn to_proto(self) -> v1::ChecksumAlgorithm {
        match self {
            ChecksumAlgorithm::Crc32 => v1::ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32c => v1::ChecksumAlgorithm::Crc32c,
            ChecksumAlgorithm::Crc64Nvme => v1::ChecksumAlgorithm::Crc64nvme,
            ChecksumAlgorithm::Sha1 => v1::ChecksumAlgorithm::Sha1,
            ChecksumAlgorithm::Sha256 => v1::ChecksumAlgorithm::Sha256,
        }
    }

    /// None: unspecified.
    pub(super) fn from_proto(number: i32) -> Result<Option<Self>, RowError> {
        match v1::ChecksumAlgorithm::try_from(number) {
            Ok(v1::ChecksumAlgorithm::Unspecified) => Ok(None),
            Ok(v1::ChecksumAlgorithm::Crc32) => Ok(Some(ChecksumAlgorithm::Crc32)),
            Ok(v1::ChecksumAlgorithm::Crc32c) => Ok(Some(ChecksumAlgorithm::Crc32c)),
            Ok(v1::ChecksumAlgorithm::Crc64nvme) => Ok(Some(ChecksumAlgorithm::Crc64Nvme)),
            Ok(v1::ChecksumAlgorithm::Sha1) => Ok(Some(ChecksumAlgorithm::Sha1)),
            Ok(v1::ChecksumAlgorithm::Sha256) => Ok(Some(ChecksumAlgorithm::Sha256)),
            Err(_) => Err(RowError::Field("checksum algorithm")),
        }
    }
}

impl ChecksumType {
    pub(super) const fn to_proto(self) -> v1::ChecksumType {
        match self {
            ChecksumType::FullObject => v1::ChecksumType::FullObject,
            ChecksumType::Composite => v1::ChecksumType::Composite,
        }
    }

    pub(super) fn from_proto(number: i32) -> Result<Option<Self>, RowError> {
        match v1::ChecksumType::try_from(number) {
            Ok(v1::ChecksumType::Unspecified) => Ok(None),
            Ok(v1::ChecksumType::FullObject) => Ok(Some(ChecksumType::FullObject)),
            Ok(v1::ChecksumType::Composite) => Ok(Some(ChecksumType::Composite)),
            Err(_) => Err(RowError::Field("checksum type")),
        }
    }
}

impl Checksum {
    pub(super) fn to_proto(&self) -> v1::Checksum {
        v1::Checksum {
            algorithm: self.algorithm.to_proto().into(),
            r#type: self.kind.to_proto().into(),
            value: self.value.clone(),
        }
    }

    pub(super) fn from_proto(proto: v1::Checksum) -> Result<Self, RowError> {
        Ok(Self {
            algorithm: ChecksumAlgorithm::from_proto(proto.algorithm)?.ok_or(RowError::Field("checksum algorithm"))?,
            kind: ChecksumType::from_proto(proto.r#type)?.ok_or(RowError::Field("checksum type"))?,
            value: proto.value,
        })
    }
}

impl BlockRef {
    fn to_proto(self) -> v1::Block {
        v1::Block { hash: self.hash.to_bytes(), size: self.size }
    }

    fn from_proto(proto: v1::Block) -> Result<Self, RowError> {
        if proto.size == 0 {
            return Err(RowError::Field("block size"));
        }
        Ok(Self { hash: BlockHash::try_from(proto.hash.as_ref())?, size: proto.size })
    }
}

impl Pages {
    pub(super) fn to_proto(&self) -> v1::Pages {
        v1::Pages { manifest_id: self.manifest.to_bytes(), page_bytes: self.page_bytes.clone() }
    }

    pub(super) fn from_proto(proto: v1::Pages) -> Result<Self, RowError> {
        Ok(Self { manifest: ManifestId::try_from(proto.manifest_id.as_ref())?, page_bytes: proto.page_bytes })
    }
}

impl TypedRow for ObjectData {
    type Proto = v1::ObjectData;

    fn to_proto(&self) -> v1::ObjectData {
        use v1::object_data::Data;
        let data = match self {
            ObjectData::Inline(bytes) => Data::Inline(bytes.clone()),
            ObjectData::Blocks(list) => Data::Blocks(v1::Blocks {
                manifest_id: list.manifest.to_bytes(),
                blocks: list.blocks.iter().map(|block| block.to_proto()).collect(),
            }),
            ObjectData::Pages(pages) => Data::Pages(pages.to_proto()),
            ObjectData::Parts(pages) => Data::Parts(pages.to_proto()),
        };
        v1::ObjectData { data: Some(data) }
    }

    fn from_proto(proto: v1::ObjectData) -> Result<Self, RowError> {
        use v1::object_data::Data;
        Ok(match proto.data.ok_or(RowError::Field("object data"))? {
            Data::Inline(bytes) => ObjectData::Inline(bytes),
            Data::Blocks(list) => ObjectData::Blocks(Blocks {
                manifest: ManifestId::try_from(list.manifest_id.as_ref())?,
                blocks: list.blocks.into_iter().map(BlockRef::from_proto).collect::<Result<_, _>>()?,
            }),
            Data::Pages(pages) => ObjectData::Pages(Pages::from_proto(pages)?),
            Data::Parts(pages) => ObjectData::Parts(Pages::from_proto(pages)?),
        })
    }
}

impl ManifestPart {
    fn to_proto(&self) -> v1::ManifestPart {
        v1::ManifestPart {
            number: self.number,
            pages: Some(self.pages.to_proto()),
            checksum: self.checksum.as_ref().map(Checksum::to_proto),
            salt: salt_to_proto(self.salt),
        }
    }

    fn from_proto(proto: v1::ManifestPart) -> Result<Self, RowError> {
        Ok(Self {
            number: proto.number,
            pages: Pages::from_proto(proto.pages.ok_or(RowError::Field("part pages"))?)?,
            checksum: proto.checksum.map(Checksum::from_proto).transpose()?,
            salt: salt_from_proto(&proto.salt)?,
        })
    }
}

impl TypedRow for ManifestPage {
    const FORMAT: u8 = ENCRYPTED;
    type Proto = v1::ManifestPage;

    fn format(&self) -> u8 {
        match &self.entries {
            PageEntries::Parts(parts) if parts.iter().any(|part| part.salt.is_some()) => ENCRYPTED,
            PageEntries::Parts(_) | PageEntries::Blocks(_) => 1,
        }
    }

    fn to_proto(&self) -> v1::ManifestPage {
        let (blocks, parts) = match &self.entries {
            PageEntries::Blocks(blocks) => (blocks.iter().map(|block| block.to_proto()).collect(), Vec::new()),
            PageEntries::Parts(parts) => (Vec::new(), parts.iter().map(ManifestPart::to_proto).collect()),
        };
        v1::ManifestPage {
            bucket_id: self.bucket.to_bytes(),
            key: self.key.clone(),
            upload_id: self.upload.map(|id| id.to_bytes()).unwrap_or_default(),
            written_at_ms: self.written_at_ms,
            blocks,
            parts,
        }
    }

    fn from_proto(proto: v1::ManifestPage) -> Result<Self, RowError> {
        if !proto.blocks.is_empty() && !proto.parts.is_empty() {
            return Err(RowError::Field("manifest page"));
        }
        let entries = if proto.parts.is_empty() {
            PageEntries::Blocks(proto.blocks.into_iter().map(BlockRef::from_proto).collect::<Result<_, _>>()?)
        } else {
            PageEntries::Parts(proto.parts.into_iter().map(ManifestPart::from_proto).collect::<Result<_, _>>()?)
        };
        let upload = match proto.upload_id.as_ref() {
            [] => None,
            id => Some(UploadId::try_from(id)?),
        };
        Ok(Self {
            bucket: BucketId::try_from(proto.bucket_id.as_ref())?,
            key: proto.key,
            upload,
            written_at_ms: proto.written_at_ms,
            entries,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::*;

    fn checksum() -> impl Strategy<Value = Checksum> {
        let algorithm = prop_oneof![
            Just(ChecksumAlgorithm::Crc32),
            Just(ChecksumAlgorithm::Crc32c),
            Just(ChecksumAlgorithm::Crc64Nvme),
            Just(ChecksumAlgorithm::Sha1),
            Just(ChecksumAlgorithm::Sha256),
        ];
        let kind = prop_oneof![Just(ChecksumType::FullObject), Just(ChecksumType::Composite)];
        (algorithm, kind, any::<Vec<u8>>()).prop_map(|(algorithm, kind, value)| Checksum {
            algorithm,
            kind,
            value: value.into(),
        })
    }

    fn block() -> impl Strategy<Value = BlockRef> {
        any::<([u8; 32], u32)>().prop_map(|(hash, size)| BlockRef { hash: BlockHash(hash), size: size.max(1) })
    }

    fn pages() -> impl Strategy<Value = Pages> {
        any::<([u8; 16], Vec<u64>)>().prop_map(|(id, page_bytes)| Pages { manifest: ManifestId(id), page_bytes })
    }

    fn data() -> impl Strategy<Value = ObjectData> {
        prop_oneof![
            any::<Vec<u8>>().prop_map(|bytes| ObjectData::Inline(bytes.into())),
            (any::<[u8; 16]>(), vec(block(), 0..17))
                .prop_map(|(id, blocks)| ObjectData::Blocks(Blocks { manifest: ManifestId(id), blocks })),
            pages().prop_map(ObjectData::Pages),
            pages().prop_map(ObjectData::Parts),
        ]
    }

    fn part() -> impl Strategy<Value = ManifestPart> {
        let checksum = proptest::option::of(checksum());
        (any::<u32>(), pages(), checksum, any::<Option<[u8; 32]>>())
            .prop_map(|(number, pages, checksum, salt)| ManifestPart { number, pages, checksum, salt })
    }

    proptest! {
        #[test]
        fn object_head_round_trip(
            id: [u8; 16], size: u64, etag in ".*", last_modified_ms: u64, parts: u32,
            checksum in proptest::option::of(checksum()),
            content_type: Option<String>, expires: Option<String>, metadata: Vec<(String, String)>,
            encryption: Option<([u8; 32], [u8; 16])>,
        ) {
            let encryption = encryption.map(|(salt, check)| Encryption { salt, check });
            let headers = Headers { content_type, expires, metadata, ..Headers::default() };
            let version = OpId(id);
            let row = ObjectHead { version, size, etag, last_modified_ms, headers, checksum, parts, encryption };
            assert_eq!(row.encode()[0], if encryption.is_some() { ENCRYPTED } else { 1 });
            assert_eq!(ObjectHead::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn object_data_round_trip(row in data()) {
            assert_eq!(ObjectData::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn manifest_page_round_trip(
            id: [u8; 16], key: Vec<u8>, upload: Option<[u8; 16]>, written_at_ms: u64,
            entries in prop_oneof![
                vec(block(), 0..20).prop_map(PageEntries::Blocks),
                vec(part(), 1..20).prop_map(PageEntries::Parts),
            ],
        ) {
            let upload = upload.map(UploadId);
            let row = ManifestPage { bucket: BucketId(id), key: key.into(), upload, written_at_ms, entries };
            assert_eq!(ManifestPage::decode(&row.encode()), Ok(row));
        }

        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            drop(ObjectHead::decode(&bytes));
            drop(ObjectData::decode(&bytes));
            drop(ManifestPage::decode(&bytes));
        }
    }
}
