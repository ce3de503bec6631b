//! What an object made of parts is: checked against the client's list, before anything is written. Pure.

use std::collections::BTreeMap;

use cairn_model::rows::{ManifestPart, PartRow};
use cairn_s3::checksum::{Algorithm, Composite, FullObject, Kind, ObjectChecksum};
use cairn_s3::xml::read::CompletedPart;
use cairn_s3::{ETag, ErrorCode, S3Error};
use cairn_types::BlockHash;

use crate::convert;
use crate::encryption::Secrecy;
use crate::failure::Failure;

/// Every part but the last has at least this many bytes.
const MIN_PART: u64 = 5 << 20;
/// The largest object, in bytes.
const MAX_OBJECT: u64 = 5 << 40;

/// An object made of parts.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) checksum: Option<ObjectChecksum>,
    pub(crate) parts: Vec<ManifestPart>,
}

/// Identifies a list of parts: a repeated Complete with the same list is the same Complete.
pub(crate) fn digest(listed: &[CompletedPart]) -> [u8; 32] {
    let mut text = Vec::new();
    for part in listed {
        text.extend_from_slice(&part.number.to_be_bytes());
        text.extend_from_slice(part.etag.to_ascii_lowercase().as_bytes());
        text.push(0);
    }
    BlockHash::of(&text).0
}

/// Puts the listed parts together; parts that are not listed are left out.
///
/// # Errors
/// `InvalidPart` for one that is not there or is not what the list says, its checksum included, `EntityTooSmall`, `EntityTooLarge`.
pub(crate) fn assemble(
    listed: &[CompletedPart],
    stored: &BTreeMap<u16, PartRow>,
    declared: Option<(Algorithm, Kind)>,
    secrecy: &Secrecy,
) -> Result<Assembled, Failure> {
    let mut size = 0_u64;
    let mut md5s = Vec::with_capacity(listed.len());
    let mut parts = Vec::with_capacity(listed.len());
    let mut sum = Sum::new(declared);
    for (index, wanted) in listed.iter().enumerate() {
        let part = stored.get(&wanted.number).filter(|part| part.etag.eq_ignore_ascii_case(&wanted.etag));
        let part = part.ok_or_else(|| invalid_part(wanted))?;
        let is_last = index + 1 == listed.len();
        if !is_last && part.size < MIN_PART {
            return Err(too_small(wanted, part.size).into());
        }
        size = size.saturating_add(part.size);
        let ETag::Md5(md5) = convert::etag(&part.etag)? else {
            return Err(Failure::internal("a part's tag is not an MD5"));
        };
        md5s.push(md5);
        let compared = declared.is_some() || wanted.checksum.is_some();
        let checksum = part.checksum.as_ref().filter(|_| compared);
        let checksum = checksum.map(|stored| secrecy.open_checksum(stored)).transpose()?;
        if wanted.checksum.is_some() && wanted.checksum != checksum {
            return Err(invalid_part(wanted).into());
        }
        sum.push(checksum.as_ref(), part.size)?;
        parts.push(ManifestPart {
            number: wanted.number.into(),
            pages: part.pages.clone(),
            checksum: declared.and(part.checksum.clone()),
            salt: part.salt,
        });
    }
    if size > MAX_OBJECT {
        return Err(ErrorCode::EntityTooLarge.into());
    }
    Ok(Assembled { size, etag: ETag::of_parts(&md5s), checksum: sum.finish(), parts })
}

fn invalid_part(part: &CompletedPart) -> S3Error {
    S3Error::new(ErrorCode::InvalidPart).field("PartNumber", part.number.to_string()).field("ETag", part.etag.as_str())
}

fn too_small(part: &CompletedPart, size: u64) -> S3Error {
    S3Error::new(ErrorCode::EntityTooSmall)
        .field("ProposedSize", size.to_string())
        .field("MinSizeAllowed", MIN_PART.to_string())
        .field("PartNumber", part.number.to_string())
        .field("ETag", part.etag.as_str())
}

/// The object's checksum as its parts come.
enum Sum {
    None,
    Composite(Box<Composite>),
    Full(FullObject),
}

impl Sum {
    fn new(declared: Option<(Algorithm, Kind)>) -> Self {
        match declared {
            None => Sum::None,
            Some((algorithm, Kind::Composite)) => Sum::Composite(Box::new(Composite::new(algorithm))),
            Some((algorithm, Kind::FullObject)) => FullObject::new(algorithm).map_or(Sum::None, Sum::Full),
        }
    }

    fn push(&mut self, part: Option<&cairn_s3::checksum::Checksum>, bytes: u64) -> Result<(), Failure> {
        let missing = || Failure::internal("a part without the checksum its upload declared");
        match self {
            Sum::None => Ok(()),
            Sum::Composite(composite) => {
                composite.push(part.ok_or_else(missing)?);
                Ok(())
            }
            Sum::Full(full) => full.push(part.ok_or_else(missing)?, bytes).then_some(()).ok_or_else(missing),
        }
    }

    fn finish(self) -> Option<ObjectChecksum> {
        match self {
            Sum::None => None,
            Sum::Composite(composite) => Some(composite.finish()),
            Sum::Full(full) => Some(full.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use cairn_model::rows::Pages;
    use cairn_s3::checksum::Hasher;
    use cairn_types::ManifestId;

    use super::*;

    fn tag(number: u16) -> String {
        ETag::Md5([u8::try_from(number % 256).unwrap(); 16]).to_string()
    }

    fn stored(sizes: &[(u16, u64)], algorithm: Option<Algorithm>) -> BTreeMap<u16, PartRow> {
        let row = |(number, size): &(u16, u64)| {
            let checksum =
                algorithm.map(|algorithm| convert::stored_checksum(&Hasher::of(algorithm, b"x"), Kind::FullObject));
            let pages = Pages { manifest: ManifestId([1; 16]), page_bytes: vec![*size] };
            (*number, PartRow { size: *size, etag: tag(*number), last_modified_ms: 0, checksum, pages, salt: None })
        };
        sizes.iter().map(row).collect()
    }

    fn list(numbers: &[u16]) -> Vec<CompletedPart> {
        numbers.iter().map(|number| CompletedPart { number: *number, etag: tag(*number), checksum: None }).collect()
    }

    fn code(listed: &[CompletedPart], stored: &BTreeMap<u16, PartRow>) -> Option<ErrorCode> {
        assemble(listed, stored, None, &Secrecy::PLAIN).err().map(|failure| failure.error.code())
    }

    #[test]
    fn listed_parts_make_the_object() {
        let parts = stored(&[(2, MIN_PART), (3, 1), (7, MIN_PART), (9, 3)], None);
        let made = assemble(&list(&[2, 7, 9]), &parts, None, &Secrecy::PLAIN).unwrap();
        assert_eq!(made.size, 2 * MIN_PART + 3);
        assert_eq!(made.parts.iter().map(|part| part.number).collect::<Vec<_>>(), [2, 7, 9]);
        assert!(made.etag.to_string().ends_with("-3"));
        assert_eq!(made.checksum, None);
    }

    #[test]
    fn what_is_not_there_or_too_small_is_refused() {
        let parts = stored(&[(1, MIN_PART - 1), (2, 1)], None);
        assert_eq!(code(&list(&[1, 2]), &parts), Some(ErrorCode::EntityTooSmall));
        assert_eq!(code(&list(&[2]), &parts), None, "the last part may be small");
        assert_eq!(code(&list(&[3]), &parts), Some(ErrorCode::InvalidPart));
        let mut other = list(&[2]);
        other[0].etag = tag(9);
        assert_eq!(code(&other, &parts), Some(ErrorCode::InvalidPart));
    }

    #[test]
    fn checksums_are_made_of_the_parts() {
        let parts = stored(&[(1, MIN_PART), (2, 1)], Some(Algorithm::Sha256));
        let declared = Some((Algorithm::Sha256, Kind::Composite));
        let made = assemble(&list(&[1, 2]), &parts, declared, &Secrecy::PLAIN).unwrap().checksum.unwrap();
        assert!(made.to_string().ends_with("-2"));
        let mut wrong = list(&[1, 2]);
        wrong[1].checksum = Some(Hasher::of(Algorithm::Sha256, b"y"));
        assert_eq!(
            assemble(&wrong, &parts, declared, &Secrecy::PLAIN).unwrap_err().error.code(),
            ErrorCode::InvalidPart
        );
        let full = stored(&[(1, 1)], Some(Algorithm::Crc64Nvme));
        let made =
            assemble(&list(&[1]), &full, Some((Algorithm::Crc64Nvme, Kind::FullObject)), &Secrecy::PLAIN).unwrap();
        assert_eq!(made.checksum, Some(ObjectChecksum::whole(Hasher::of(Algorithm::Crc64Nvme, b"x"))));
    }

    #[test]
    fn what_is_listed_is_compared_though_nothing_was_declared() {
        let parts = stored(&[(1, 1), (2, 1)], Some(Algorithm::Crc32));
        let listing = |checksum| {
            let mut listed = list(&[1]);
            listed[0].checksum = Some(checksum);
            listed
        };
        let made = assemble(&listing(Hasher::of(Algorithm::Crc32, b"x")), &parts, None, &Secrecy::PLAIN).unwrap();
        assert_eq!((made.checksum, made.parts[0].checksum.clone()), (None, None), "it is no property of the object");
        for wrong in [Hasher::of(Algorithm::Crc32, b"y"), Hasher::of(Algorithm::Sha1, b"x")] {
            assert_eq!(code(&listing(wrong), &parts), Some(ErrorCode::InvalidPart));
        }
        let bare = stored(&[(1, 1)], None);
        assert_eq!(code(&listing(Hasher::of(Algorithm::Crc32, b"x")), &bare), Some(ErrorCode::InvalidPart));
    }

    #[test]
    fn one_list_has_one_digest() {
        assert_eq!(digest(&list(&[1, 2])), digest(&list(&[1, 2])));
        assert_ne!(digest(&list(&[1, 2])), digest(&list(&[1, 3])));
        assert_ne!(digest(&list(&[1])), digest(&list(&[1, 2])));
    }
}
