//! What of AWS's S3 API is built: the one list behind `docs/s3-compatibility.md`.
//!
//! - **L1** The document is this list (`tests/compatibility.rs`).
//! - **L2** What is said to be built names a test that is there (`tests/compatibility.rs`).
//! - **L3** What is said not to be built answers 501 and changes nothing (`./test s3`,
//!   `what_is_not_built_says_so_and_changes_nothing`).

use std::fmt::Write as _;

/// How much of something is built; each test as `file::function`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Yes(&'static str),
    /// What is different, and the test.
    Partly(&'static str, &'static str),
    /// 501 `NotImplemented`.
    No,
}

use Support::{No, Partly, Yes};

impl Support {
    /// The test that shows it; none for what is not built.
    #[must_use]
    pub const fn test(self) -> Option<&'static str> {
        match self {
            Yes(test) | Partly(_, test) => Some(test),
            No => None,
        }
    }
}

/// An operation of AWS's API reference.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub name: &'static str,
    /// Method, path and query; `b` stands for a bucket and `k` for a key.
    pub request: &'static str,
    pub support: Support,
}

/// Request headers and parameters with one meaning.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    /// Operations it belongs to.
    pub of: &'static str,
    /// Of what is not built: a value that asks for it.
    pub value: &'static str,
    pub support: Support,
}

const fn op(name: &'static str, request: &'static str, support: Support) -> Operation {
    Operation { name, request, support }
}

const fn field(name: &'static str, of: &'static str, value: &'static str, support: Support) -> Field {
    Field { name, of, value, support }
}

/// Every operation AWS documents, in the order of their names. Directory buckets and Object Lambda are other services.
#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    op("AbortMultipartUpload", "DELETE /b/k?uploadId=u", Yes("tests/tests/races.rs::complete_and_abort")),
    op("CompleteMultipartUpload", "POST /b/k?uploadId=u", Yes("tests/tests/s3.rs::uploads_follow_their_rules")),
    op("CopyObject", "PUT /b/k", Yes("gateway/tests/s3/copies.rs::headers_and_metadata_are_copied_or_replaced")),
    op("CreateBucket", "PUT /b", Yes("tests/tests/s3.rs::buckets_are_made_listed_and_deleted")),
    op("CreateBucketMetadataConfiguration", "POST /b?metadataConfiguration", No),
    op("CreateBucketMetadataTableConfiguration", "POST /b?metadataTable", No),
    op("CreateMultipartUpload", "POST /b/k?uploads", Yes("tests/tests/s3.rs::uploads_follow_their_rules")),
    op("CreateSession", "GET /b?session", No),
    op("DeleteBucket", "DELETE /b", Yes("tests/tests/s3.rs::buckets_are_made_listed_and_deleted")),
    op("DeleteBucketAnalyticsConfiguration", "DELETE /b?analytics&id=a", No),
    op("DeleteBucketCors", "DELETE /b?cors", Yes("gateway/tests/s3/settings.rs::rules_come_back_as_they_were_put")),
    op("DeleteBucketEncryption", "DELETE /b?encryption", No),
    op("DeleteBucketIntelligentTieringConfiguration", "DELETE /b?intelligent-tiering&id=a", No),
    op("DeleteBucketInventoryConfiguration", "DELETE /b?inventory&id=a", No),
    op("DeleteBucketLifecycle", "DELETE /b?lifecycle", Yes("gateway/tests/s3/lifecycle.rs::rules_come_back_as_they_were_put")),
    op("DeleteBucketMetadataConfiguration", "DELETE /b?metadataConfiguration", No),
    op("DeleteBucketMetadataTableConfiguration", "DELETE /b?metadataTable", No),
    op("DeleteBucketMetricsConfiguration", "DELETE /b?metrics&id=a", No),
    op("DeleteBucketOwnershipControls", "DELETE /b?ownershipControls", No),
    op("DeleteBucketPolicy", "DELETE /b?policy", No),
    op("DeleteBucketReplication", "DELETE /b?replication", No),
    op("DeleteBucketTagging", "DELETE /b?tagging", No),
    op("DeleteBucketWebsite", "DELETE /b?website", Yes("gateway/tests/s3/sites.rs::a_bucket_is_a_site_once_it_is_configured")),
    op("DeleteObject", "DELETE /b/k", Partly("versions other than `null` do not exist", "tests/tests/s3.rs::conditions_on_writes")),
    op("DeleteObjectTagging", "DELETE /b/k?tagging", No),
    op("DeleteObjects", "POST /b?delete", Yes("tests/tests/s3.rs::many_objects_go_in_one_request")),
    op("DeletePublicAccessBlock", "DELETE /b?publicAccessBlock", No),
    op("GetBucketAbac", "GET /b?abac", No),
    op("GetBucketAccelerateConfiguration", "GET /b?accelerate", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketAcl", "GET /b?acl", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketAnalyticsConfiguration", "GET /b?analytics&id=a", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketCors", "GET /b?cors", Yes("gateway/tests/s3/settings.rs::rules_come_back_as_they_were_put")),
    op("GetBucketEncryption", "GET /b?encryption", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketIntelligentTieringConfiguration", "GET /b?intelligent-tiering&id=a", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketInventoryConfiguration", "GET /b?inventory&id=a", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketLifecycleConfiguration", "GET /b?lifecycle", Yes("gateway/tests/s3/lifecycle.rs::rules_come_back_as_they_were_put")),
    op("GetBucketLocation", "GET /b?location", Yes("tests/tests/s3.rs::buckets_are_made_listed_and_deleted")),
    op("GetBucketLogging", "GET /b?logging", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketMetadataConfiguration", "GET /b?metadataConfiguration", No),
    op("GetBucketMetadataTableConfiguration", "GET /b?metadataTable", No),
    op("GetBucketMetricsConfiguration", "GET /b?metrics&id=a", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketNotificationConfiguration", "GET /b?notification", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketOwnershipControls", "GET /b?ownershipControls", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketPolicy", "GET /b?policy", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketPolicyStatus", "GET /b?policyStatus", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketReplication", "GET /b?replication", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketRequestPayment", "GET /b?requestPayment", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketTagging", "GET /b?tagging", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketVersioning", "GET /b?versioning", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetBucketWebsite", "GET /b?website", Yes("gateway/tests/s3/sites.rs::a_bucket_is_a_site_once_it_is_configured")),
    op("GetObject", "GET /b/k", Partly("versions other than `null` do not exist", "tests/tests/s3.rs::ranges_are_served_as_rfc_9110_says")),
    op("GetObjectAcl", "GET /b/k?acl", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetObjectAttributes", "GET /b/k?attributes", Yes("gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),
    op("GetObjectLegalHold", "GET /b/k?legal-hold", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetObjectLockConfiguration", "GET /b?object-lock", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetObjectRetention", "GET /b/k?retention", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetObjectTagging", "GET /b/k?tagging", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("GetObjectTorrent", "GET /b/k?torrent", No),
    op("GetPublicAccessBlock", "GET /b?publicAccessBlock", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("HeadBucket", "HEAD /b", Yes("tests/tests/s3.rs::buckets_are_made_listed_and_deleted")),
    op("HeadObject", "HEAD /b/k", Partly("versions other than `null` do not exist", "tests/tests/s3.rs::conditions_on_reads")),
    op("ListBucketAnalyticsConfigurations", "GET /b?analytics", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("ListBucketIntelligentTieringConfigurations", "GET /b?intelligent-tiering", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("ListBucketInventoryConfigurations", "GET /b?inventory", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("ListBucketMetricsConfigurations", "GET /b?metrics", Partly("reads as never set", "gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")),
    op("ListBuckets", "GET /", Yes("gateway/tests/s3/buckets.rs::each_key_sees_its_own_buckets")),
    op("ListMultipartUploads", "GET /b?uploads", Yes("gateway/tests/s3/multipart.rs::uploads_are_listed_until_they_end")),
    op("ListObjectVersions", "GET /b?versions", Partly("current objects, as version `null`", "gateway/tests/s3/listing.rs::what_was_asked_is_echoed")),
    op("ListObjects", "GET /b", Yes("tests/tests/s3.rs::listings_echo_fold_and_page")),
    op("ListObjectsV2", "GET /b?list-type=2", Yes("tests/tests/cluster.rs::listing_agrees_with_a_model")),
    op("ListParts", "GET /b/k?uploadId=u", Yes("tests/tests/s3.rs::uploads_follow_their_rules")),
    op("POST Object", "POST /b", Yes("gateway/tests/s3/forms.rs::forms_store_what_their_policy_allows")),
    op("Preflight", "OPTIONS /b/k", Yes("gateway/tests/s3/cors.rs::preflights_are_judged_by_the_rules_alone")),
    op("PutBucketAbac", "PUT /b?abac", No),
    op("PutBucketAccelerateConfiguration", "PUT /b?accelerate", No),
    op("PutBucketAcl", "PUT /b?acl", No),
    op("PutBucketAnalyticsConfiguration", "PUT /b?analytics&id=a", No),
    op("PutBucketCors", "PUT /b?cors", Yes("gateway/tests/s3/settings.rs::rules_come_back_as_they_were_put")),
    op("PutBucketEncryption", "PUT /b?encryption", No),
    op("PutBucketIntelligentTieringConfiguration", "PUT /b?intelligent-tiering&id=a", No),
    op("PutBucketInventoryConfiguration", "PUT /b?inventory&id=a", No),
    op("PutBucketLifecycleConfiguration", "PUT /b?lifecycle", Partly("tag filters, transitions and noncurrent versions are 501", "gateway/tests/s3/lifecycle.rs::rules_come_back_as_they_were_put")),
    op("PutBucketLogging", "PUT /b?logging", No),
    op("PutBucketMetricsConfiguration", "PUT /b?metrics&id=a", No),
    op("PutBucketNotificationConfiguration", "PUT /b?notification", No),
    op("PutBucketOwnershipControls", "PUT /b?ownershipControls", No),
    op("PutBucketPolicy", "PUT /b?policy", No),
    op("PutBucketReplication", "PUT /b?replication", No),
    op("PutBucketRequestPayment", "PUT /b?requestPayment", No),
    op("PutBucketTagging", "PUT /b?tagging", No),
    op("PutBucketVersioning", "PUT /b?versioning", No),
    op("PutBucketWebsite", "PUT /b?website", Yes("gateway/tests/s3/sites.rs::redirects")),
    op("PutObject", "PUT /b/k", Yes("tests/tests/s3.rs::headers_and_metadata_come_back_as_they_went")),
    op("PutObjectAcl", "PUT /b/k?acl", No),
    op("PutObjectLegalHold", "PUT /b/k?legal-hold", No),
    op("PutObjectLockConfiguration", "PUT /b?object-lock", No),
    op("PutObjectRetention", "PUT /b/k?retention", No),
    op("PutObjectTagging", "PUT /b/k?tagging", No),
    op("PutPublicAccessBlock", "PUT /b?publicAccessBlock", No),
    op("RenameObject", "PUT /b/k?renameObject", No),
    op("RestoreObject", "POST /b/k?restore", No),
    op("SelectObjectContent", "POST /b/k?select&select-type=2", No),
    op("UpdateBucketMetadataInventoryTableConfiguration", "PUT /b?metadataInventoryTable", No),
    op("UpdateBucketMetadataJournalTableConfiguration", "PUT /b?metadataJournalTable", No),
    op("UpdateObjectEncryption", "PUT /b/k?encryption", No),
    op("UploadPart", "PUT /b/k?partNumber=1&uploadId=u", Yes("tests/tests/cluster.rs::multipart_takes_parts_out_of_order_and_retried")),
    op("UploadPartCopy", "PUT /b/k?partNumber=1&uploadId=u", Yes("gateway/tests/s3/copies.rs::parts_are_copied_whole_or_in_ranges")),
];

/// What requests carry.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    field("Content-MD5", "PutObject, UploadPart, documents", "", Yes("tests/tests/s3.rs::damaged_bodies_are_refused_and_store_nothing")),
    field("Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Content-Type, Expires", "PutObject, CreateMultipartUpload, CopyObject, POST Object", "", Yes("tests/tests/s3.rs::headers_and_metadata_come_back_as_they_went")),
    field("Expect: 100-continue", "all", "", Yes("gateway/tests/s3/listener.rs::continue_is_said_after_authorisation_only")),
    field("If-Match, If-None-Match", "GetObject, HeadObject", "", Yes("tests/tests/s3.rs::conditions_on_reads")),
    field("If-Match, If-None-Match: *", "PutObject, CompleteMultipartUpload, CopyObject, DeleteObject", "", Yes("tests/tests/s3.rs::conditions_on_writes")),
    field("If-Modified-Since, If-Unmodified-Since", "GetObject, HeadObject", "", Yes("tests/tests/s3.rs::conditions_on_reads")),
    field("Origin", "all", "", Yes("gateway/tests/s3/cors.rs::answers_and_errors_carry_the_headers")),
    field("Range", "GetObject, HeadObject", "", Yes("tests/tests/s3.rs::ranges_are_served_as_rfc_9110_says")),
    field("partNumber", "GetObject, HeadObject", "", Yes("gateway/tests/s3/multipart.rs::parts_become_one_object")),
    field("response-cache-control and the other response-*", "GetObject, HeadObject", "", Yes("gateway/tests/s3/objects.rs::headers_and_metadata_come_back")),
    field("encoding-type, delimiter, prefix, max-keys, markers and tokens", "listings", "", Yes("tests/tests/s3.rs::listings_echo_fold_and_page")),
    field("x-amz-acl", "writes", "", Partly("`private` and `bucket-owner-full-control` change nothing; others are 501", "tests/tests/s3.rs::unset_configuration_is_its_own_404_and_a_refused_one_stays_unset")),
    field("x-amz-acl: public-read", "PutObject", "public-read", No),
    field("x-amz-bucket-object-lock-enabled: true", "CreateBucket", "true", No),
    field("x-amz-bypass-governance-retention: true", "DeleteObject", "true", No),
    field("x-amz-checksum-crc32, -crc32c, -crc64nvme, -sha1, -sha256", "PutObject, UploadPart, CompleteMultipartUpload; as header and as trailer", "", Yes("gateway/tests/s3/objects.rs::checksums_are_verified_kept_and_returned")),
    field("x-amz-checksum-mode", "GetObject, HeadObject", "", Yes("gateway/tests/s3/objects.rs::checksums_are_verified_kept_and_returned")),
    field("x-amz-checksum-algorithm, x-amz-checksum-type", "CreateMultipartUpload, CopyObject", "", Yes("gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),
    field("x-amz-content-sha256", "all; hexadecimal, UNSIGNED-PAYLOAD and the three STREAMING forms", "", Yes("gateway/tests/s3/objects.rs::chunked_bodies_are_decoded")),
    field("x-amz-copy-source, x-amz-copy-source-if-*", "CopyObject, UploadPartCopy", "", Yes("gateway/tests/s3/copies.rs::both_ends_have_conditions")),
    field("x-amz-copy-source-range", "UploadPartCopy", "", Yes("gateway/tests/s3/copies.rs::parts_are_copied_whole_or_in_ranges")),
    field("x-amz-expected-bucket-owner, x-amz-source-expected-bucket-owner", "all", "", Yes("gateway/tests/s3/access.rs::rights_are_checked_for_target_and_source")),
    field("x-amz-grant-full-control", "PutObject", "id=a", No),
    field("x-amz-grant-read", "PutObject", "id=a", No),
    field("x-amz-grant-read-acp", "PutObject", "id=a", No),
    field("x-amz-grant-write-acp", "PutObject", "id=a", No),
    field("x-amz-meta-*", "PutObject, CreateMultipartUpload, CopyObject, POST Object", "", Yes("tests/tests/s3.rs::headers_and_metadata_come_back_as_they_went")),
    field("x-amz-metadata-directive", "CopyObject", "", Yes("tests/tests/s3.rs::copies_keep_or_replace_metadata")),
    field("x-amz-mfa", "DeleteObject", "a", No),
    field("x-amz-object-lock-legal-hold", "PutObject", "ON", No),
    field("x-amz-object-lock-mode", "PutObject", "GOVERNANCE", No),
    field("x-amz-object-lock-retain-until-date", "PutObject", "2030-01-01T00:00:00Z", No),
    field("x-amz-server-side-encryption", "PutObject", "AES256", No),
    field("x-amz-server-side-encryption-aws-kms-key-id", "PutObject", "a", No),
    field("x-amz-server-side-encryption-bucket-key-enabled", "PutObject", "true", No),
    field("x-amz-server-side-encryption-context", "PutObject", "a", No),
    field("x-amz-server-side-encryption-customer-*", "PutObject, GetObject, HeadObject, POST Object, copies, multipart", "", Yes("gateway/tests/s3/encryption.rs::without_the_right_key_there_is_nothing_to_read")),
    field("x-amz-storage-class: GLACIER", "PutObject", "GLACIER", No),
    field("x-amz-tagging", "PutObject", "a=b", No),
    field("x-amz-website-redirect-location", "PutObject, CopyObject, CreateMultipartUpload", "", Yes("gateway/tests/s3/sites.rs::redirects")),
    field("x-amz-write-offset-bytes", "PutObject", "0", No),
];

/// The document, whole.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(HEAD);
    text.push_str("## Operations\n\n| operation | request | | shown by |\n|---|---|---|---|\n");
    for Operation { name, request, support } in OPERATIONS {
        line(&mut text, &format!("{name} | `{request}`"), *support);
    }
    text.push_str("\n## Headers and parameters\n\n| field | of | | shown by |\n|---|---|---|---|\n");
    for Field { name, of, support, .. } in FIELDS {
        line(&mut text, &format!("`{name}` | {of}"), *support);
    }
    text
}

const HEAD: &str = "\
# S3, as Cairn speaks it

Made from `gateway/s3/src/compatibility.rs` by `CAIRN_BLESS=1 cargo test --release -p cairn-s3 --test compatibility`; a test
keeps both the same. **501**: the request is answered `NotImplemented`, names what is missing, and changes nothing. A header
that changes what a request means and is not listed is 501 too; nothing is silently ignored.

";

fn line(text: &mut String, what: &str, support: Support) {
    let how = match support {
        Yes(_) => "yes".to_owned(),
        Partly(difference, _) => format!("partly: {difference}"),
        No => "501".to_owned(),
    };
    let test = support.test().map_or(String::new(), |test| format!("`{test}`"));
    // Writing to a string does not fail.
    writeln!(text, "| {what} | {how} | {test} |").ok();
}
