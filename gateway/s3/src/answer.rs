//! The XML bodies of answers, elements in AWS's order. Each type has `to_xml`.

mod buckets;
mod cors;
mod listing;
mod multipart;
mod objects;

pub use buckets::{BucketEntry, BucketList, location_constraint};
pub use listing::{ListingV1, ListingV2, ObjectEntry, UploadEntry, UploadListing, VersionListing};
pub use multipart::{CompletedUpload, CreatedUpload, PartEntry, PartListing};
pub use objects::{AttributeParts, Attributes, CopyResult, Deleted, DeletedObjects};

use crate::operation::Encoding;
use crate::uri::encode_path;
use crate::xml::Writer;

/// Who owns a bucket or an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    pub id: String,
    pub display_name: String,
}

impl Owner {
    pub(crate) fn write(&self, xml: &mut Writer) {
        xml.text("ID", &self.id);
        xml.text("DisplayName", &self.display_name);
    }
}

/// The only storage class there is.
pub(crate) const STORAGE_CLASS: &str = "STANDARD";

/// A key, prefix or marker as a listing writes it.
fn encoded(text: &str, encoding: Option<Encoding>) -> String {
    match encoding {
        Some(Encoding::Url) => encode_path(text.as_bytes()),
        None => text.to_owned(),
    }
}

/// Writes `EncodingType` where the client asked for one.
fn encoding_type(xml: &mut Writer, encoding: Option<Encoding>) {
    match encoding {
        Some(Encoding::Url) => xml.text("EncodingType", "url"),
        None => {}
    }
}

/// Writes one `CommonPrefixes` for each prefix.
fn common_prefixes(xml: &mut Writer, prefixes: &[String], encoding: Option<Encoding>) {
    for prefix in prefixes {
        xml.element("CommonPrefixes", |xml| xml.text("Prefix", &encoded(prefix, encoding)));
    }
}

#[cfg(test)]
mod tests;
