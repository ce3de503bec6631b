//! Blocks and their references.

use bytes::Bytes;
use cairn_model::wire::{WireError, at_most, decode_id};
use cairn_proto::block::v1;
use cairn_types::{BlockHash, Epoch, ManifestId, UploadId};

use super::{MAX_BLOCK, MAX_OBJECT_KEY, MAX_REFERENCES, PIECE_BYTES};
use crate::{BlockStat, Reference};

/// A [`crate::PutBlock`] but for its data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PutHead {
    pub hash: BlockHash,
    /// Bytes of the data that follow.
    pub size: usize,
    pub crc32c: Vec<u32>,
    pub reference: Reference,
}

#[must_use]
pub fn encode_reference(reference: &Reference) -> v1::Reference {
    v1::Reference {
        manifest_id: reference.manifest.to_bytes(),
        bucket_id: reference.bucket.to_bytes(),
        key: reference.key.clone(),
        upload_id: reference.upload.as_ref().map(UploadId::to_bytes).unwrap_or_default(),
        written_at_ms: reference.written_at_ms,
        epoch: reference.epoch.0,
    }
}

/// Refuses keys beyond [`MAX_OBJECT_KEY`].
pub fn decode_reference(reference: v1::Reference) -> Result<Reference, WireError> {
    at_most("object key", reference.key.len(), MAX_OBJECT_KEY)?;
    let upload = &reference.upload_id;
    Ok(Reference {
        manifest: decode_id("manifest id", &reference.manifest_id)?,
        bucket: decode_id("bucket id", &reference.bucket_id)?,
        upload: if upload.is_empty() { None } else { Some(decode_id("upload id", upload)?) },
        key: reference.key,
        written_at_ms: reference.written_at_ms,
        epoch: Epoch(reference.epoch),
    })
}

#[must_use]
pub fn encode_put_head(head: &PutHead) -> v1::PutBlockHead {
    v1::PutBlockHead {
        header: None,
        hash: head.hash.to_bytes(),
        size: u32::try_from(head.size).unwrap_or(u32::MAX),
        crc32c: head.crc32c.clone(),
        reference: Some(encode_reference(&head.reference)),
    }
}

/// Refuses empty blocks, blocks beyond [`MAX_BLOCK`], and another number of CRCs than the size asks for.
pub fn decode_put_head(head: v1::PutBlockHead) -> Result<PutHead, WireError> {
    let size = usize::try_from(head.size).unwrap_or(usize::MAX);
    if size == 0 {
        return Err(WireError::Missing("block size"));
    }
    at_most("block", size, MAX_BLOCK)?;
    if head.crc32c.len() != size.div_ceil(PIECE_BYTES) {
        return Err(WireError::malformed("block", "one CRC-32C belongs to each piece of 256 KiB"));
    }
    Ok(PutHead {
        hash: decode_id("block hash", &head.hash)?,
        size,
        crc32c: head.crc32c,
        reference: decode_reference(head.reference.ok_or(WireError::Missing("reference"))?)?,
    })
}

#[must_use]
pub fn encode_get_request(hash: BlockHash, offset: u32, length: u32) -> v1::GetBlockRequest {
    v1::GetBlockRequest { header: None, hash: hash.to_bytes(), offset, length }
}

/// Hash, offset and length; a length of 0 reads to the end.
pub fn decode_get_request(request: &v1::GetBlockRequest) -> Result<(BlockHash, u32, u32), WireError> {
    Ok((decode_id("block hash", &request.hash)?, request.offset, request.length))
}

#[must_use]
pub fn encode_add_request(references: &[(BlockHash, Reference)]) -> v1::AddReferencesRequest {
    let one = |(hash, reference): &(BlockHash, Reference)| v1::BlockReference {
        hash: hash.to_bytes(),
        reference: Some(encode_reference(reference)),
    };
    v1::AddReferencesRequest { header: None, references: references.iter().map(one).collect() }
}

pub fn decode_add_request(request: v1::AddReferencesRequest) -> Result<Vec<(BlockHash, Reference)>, WireError> {
    at_most("list of references", request.references.len(), MAX_REFERENCES)?;
    let one = |one: v1::BlockReference| {
        let reference = one.reference.ok_or(WireError::Missing("reference"))?;
        Ok((decode_id("block hash", &one.hash)?, decode_reference(reference)?))
    };
    request.references.into_iter().map(one).collect()
}

#[must_use]
pub fn encode_drop_request(references: &[(BlockHash, ManifestId)]) -> v1::DropReferencesRequest {
    let one = |(hash, manifest): &(BlockHash, ManifestId)| v1::BlockReference {
        hash: hash.to_bytes(),
        reference: Some(v1::Reference { manifest_id: manifest.to_bytes(), ..v1::Reference::default() }),
    };
    v1::DropReferencesRequest { header: None, references: references.iter().map(one).collect() }
}

pub fn decode_drop_request(request: v1::DropReferencesRequest) -> Result<Vec<(BlockHash, ManifestId)>, WireError> {
    at_most("list of references", request.references.len(), MAX_REFERENCES)?;
    let one = |one: v1::BlockReference| {
        let reference = one.reference.ok_or(WireError::Missing("reference"))?;
        Ok((decode_id("block hash", &one.hash)?, decode_id("manifest id", &reference.manifest_id)?))
    };
    request.references.into_iter().map(one).collect()
}

#[must_use]
pub fn encode_hashes(hashes: &[BlockHash]) -> Vec<Bytes> {
    hashes.iter().map(BlockHash::to_bytes).collect()
}

/// Refuses more than [`MAX_REFERENCES`] of them.
pub fn decode_hashes(hashes: &[Bytes]) -> Result<Vec<BlockHash>, WireError> {
    at_most("list of hashes", hashes.len(), MAX_REFERENCES)?;
    hashes.iter().map(|hash| decode_id("block hash", hash)).collect()
}

#[must_use]
pub fn encode_stat_request(hashes: &[BlockHash], with_references: bool) -> v1::StatBlocksRequest {
    v1::StatBlocksRequest { header: None, hashes: encode_hashes(hashes), with_references }
}

/// The hashes, and whether references are wanted.
pub fn decode_stat_request(request: &v1::StatBlocksRequest) -> Result<(Vec<BlockHash>, bool), WireError> {
    Ok((decode_hashes(&request.hashes)?, request.with_references))
}

/// Behind which reference a page begins, and how many it may have: 1 to [`MAX_REFERENCES`].
pub fn decode_list_request(
    request: &v1::ListReferencesRequest,
) -> Result<(Option<(BlockHash, ManifestId)>, usize), WireError> {
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Err(WireError::Missing("limit"));
    }
    at_most("page of references", limit, MAX_REFERENCES)?;
    if request.after_hash.is_empty() && request.after_manifest_id.is_empty() {
        return Ok((None, limit));
    }
    let after = (decode_id("block hash", &request.after_hash)?, decode_id("manifest id", &request.after_manifest_id)?);
    Ok((Some(after), limit))
}

#[must_use]
pub fn encode_stats(stats: &[BlockStat]) -> Vec<v1::BlockStat> {
    let one = |stat: &BlockStat| v1::BlockStat {
        hash: stat.hash.to_bytes(),
        here: stat.size.is_some(),
        size: stat.size.unwrap_or(0),
        references: stat.references.iter().map(encode_reference).collect(),
    };
    stats.iter().map(one).collect()
}

pub fn decode_stats(stats: Vec<v1::BlockStat>) -> Result<Vec<BlockStat>, WireError> {
    at_most("list of blocks", stats.len(), MAX_REFERENCES)?;
    let one = |stat: v1::BlockStat| {
        Ok(BlockStat {
            hash: decode_id("block hash", &stat.hash)?,
            size: stat.here.then_some(stat.size),
            references: stat.references.into_iter().map(decode_reference).collect::<Result<_, _>>()?,
        })
    };
    stats.into_iter().map(one).collect()
}
