//! What is understood, and what is refused by its name (S3.md §1.1).

use http::Method;

use crate::error::{ErrorCode, S3Error};
use crate::fields::Fields;
use crate::headers::is_metadata;
use crate::lifecycle::MINIMUM_SIZE_OF_TRANSITIONS;
use crate::query::Query;

/// Sub-resources of buckets and objects that AWS documents. A request names at most one.
const SUB_RESOURCES: [&str; 42] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Parameters that a write may carry without a value.
const PARAMETERS_OF_WRITES: [&str; 4] = ["partNumber", "select-type", "versionId", "x-id"];

/// `x-amz-*` fields whose every value is understood, or changes nothing here.
const ACCEPTED: [&str; 41] = [
    "x-amz-algorithm",
    "x-amz-cf-id",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expected-bucket-owner",
    "x-amz-expires",
    "x-amz-max-parts",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-object-attributes",
    "x-amz-part-number-marker",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-source-expected-bucket-owner",
    "x-amz-trailer",
    "x-amz-user-agent",
    "x-amz-website-redirect-location",
];

/// `x-amz-*` fields of which these values, in any case, ask for nothing that is not so anyway.
const ACCEPTED_VALUES: [(&str, &[&str]); 10] = [
    ("x-amz-acl", &["private", "bucket-owner-full-control"]),
    // The name space of all buckets that are not one account's in one region.
    ("x-amz-bucket-namespace", &["global"]),
    ("x-amz-bucket-object-lock-enabled", &["false"]),
    ("x-amz-bypass-governance-retention", &["false"]),
    // Nothing has annotations, so both directives copy the same.
    ("x-amz-object-annotation-directive", &["COPY", "EXCLUDE"]),
    ("x-amz-object-ownership", &["BucketOwnerEnforced"]),
    // Nothing is ever archived, so no object has a restore status to show.
    ("x-amz-optional-object-attributes", &["RestoreStatus"]),
    ("x-amz-request-payer", &["requester"]),
    // Without tags both directives copy the same.
    ("x-amz-tagging-directive", &["COPY", "REPLACE"]),
    // Nothing is ever moved to another storage class; this is the default.
    ("x-amz-transition-default-minimum-object-size", &[MINIMUM_SIZE_OF_TRANSITIONS]),
];

/// Storage classes AWS has and we have not.
const STORAGE_CLASSES: [&str; 14] = [
    "AWS_BACKUP_LOW_COST_WARM",
    "AWS_BACKUP_WARM",
    "DEEP_ARCHIVE",
    "EXPRESS_ONEZONE",
    "FSX_ONTAP",
    "FSX_OPENZFS",
    "GLACIER",
    "GLACIER_IR",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "OUTPOSTS",
    "REDUCED_REDUNDANCY",
    "SNOW",
    "STANDARD_IA",
];

/// Refuses every `x-amz-*` field that is not understood: dropping one could lose data.
pub(crate) fn check_fields(fields: &Fields<'_>) -> Result<(), S3Error> {
    for name in fields.amz_names() {
        if ACCEPTED.contains(&name.as_str()) || is_metadata(&name) {
            continue;
        }
        let value = fields.amz(&name)?.unwrap_or_default();
        if name == "x-amz-storage-class" {
            check_storage_class(&value)?;
            continue;
        }
        let harmless = ACCEPTED_VALUES
            .iter()
            .any(|(own, values)| *own == name && values.iter().any(|harmless| harmless.eq_ignore_ascii_case(&value)));
        if !harmless {
            return Err(S3Error::not_implemented(&name));
        }
    }
    Ok(())
}

fn check_storage_class(value: &str) -> Result<(), S3Error> {
    match value {
        "STANDARD" => Ok(()),
        other if STORAGE_CLASSES.contains(&other) => {
            Err(S3Error::not_implemented(&format!("x-amz-storage-class: {other}")))
        }
        _ => Err(ErrorCode::InvalidStorageClass.into()),
    }
}

/// The one sub-resource a query names; two are `InvalidArgument`, as with AWS.
///
/// A write with a parameter that has no value and is not known is 501: were it a sub-resource AWS added since, taking
/// the request for a plain PUT or DELETE would destroy the object.
pub(super) fn sub_resource(method: &Method, query: &Query) -> Result<Option<&'static str>, S3Error> {
    let mut found: Option<&'static str> = None;
    for (name, value) in query.iter() {
        let known = SUB_RESOURCES.into_iter().find(|known| *known == name);
        match (known, found) {
            (Some(known), Some(other)) if known != other => {
                return Err(S3Error::with_message(
                    ErrorCode::InvalidArgument,
                    format!("Conflicting query string parameters: {other}, {known}"),
                )
                .field("ArgumentName", "ResourceType")
                .field("ArgumentValue", other));
            }
            (Some(known), _) => found = Some(known),
            (None, _) => {
                let reads = matches!(*method, Method::GET | Method::HEAD);
                let parameter = PARAMETERS_OF_WRITES.contains(&name) || name.to_ascii_lowercase().starts_with("x-amz-");
                if !reads && !parameter && value.is_empty() {
                    return Err(S3Error::not_implemented(&format!("The sub-resource {name}")));
                }
            }
        }
    }
    Ok(found)
}
