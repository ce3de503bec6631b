//! Headers, parameters and form fields.

use super::Place::{Form, Header, Query};
use super::Support::{self, No, Partly, Yes};
use super::{EVERY, EVERY_OF_A_BUCKET, Field, OF_NO_BUCKET};

const fn header(
    topic: &'static str,
    names: &'static [&'static str],
    of: &'static [&'static str],
    support: Support,
) -> Field {
    Field::new(Header, topic, names, of, support)
}

const fn query(
    topic: &'static str,
    names: &'static [&'static str],
    of: &'static [&'static str],
    support: Support,
) -> Field {
    Field::new(Query, topic, names, of, support)
}

const fn form(topic: &'static str, names: &'static [&'static str], support: Support) -> Field {
    Field::new(Form, topic, names, &["POST Object"], support)
}

/// What makes an object and its headers.
const STORES: &[&str] = &["PutObject", "CopyObject", "CreateMultipartUpload"];
const STORES_AND_BUCKETS: &[&str] = &["PutObject", "CopyObject", "CreateMultipartUpload", "CreateBucket"];
const READS: &[&str] = &["GetObject", "HeadObject"];
const BODIES: &[&str] = &["PutObject", "UploadPart"];
const CHECKED_BODIES: &[&str] = &[
    "PutObject",
    "UploadPart",
    "DeleteObjects",
    "PutBucketCors",
    "PutBucketLifecycleConfiguration",
    "PutBucketWebsite",
];
const COPIES: &[&str] = &["CopyObject", "UploadPartCopy"];
const LISTS: &[&str] = &["ListObjects", "ListObjectsV2", "ListObjectVersions"];
const PREFIXED_LISTS: &[&str] = &["ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"];
const VERSIONED: &[&str] = &[
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "GetObjectAttributes",
    "GetObjectAcl",
    "GetObjectTagging",
    "GetObjectRetention",
    "GetObjectLegalHold",
];
const UPLOADS: &[&str] =
    &["UploadPart", "UploadPartCopy", "ListParts", "CompleteMultipartUpload", "AbortMultipartUpload"];
const WITH_CUSTOMER_KEY: &[&str] = &[
    "PutObject",
    "GetObject",
    "HeadObject",
    "GetObjectAttributes",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "ListParts",
    "CompleteMultipartUpload",
];
const CONFIGURATIONS: &[&str] = &[
    "GetBucketAnalyticsConfiguration",
    "GetBucketIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration",
    "GetBucketMetricsConfiguration",
];
const LISTS_OF_CONFIGURATIONS: &[&str] = &[
    "ListBucketAnalyticsConfigurations",
    "ListBucketIntelligentTieringConfigurations",
    "ListBucketInventoryConfigurations",
    "ListBucketMetricsConfigurations",
];

/// What requests carry outside their XML.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    // Who asks, and how the body comes.
    header("signature in headers", &["Authorization", "x-amz-date", "x-amz-content-sha256"], EVERY, Yes("gateway/s3/src/auth/tests/interop.rs::headers_of_botocore_verify")),
    query("presigned URL", &["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"], EVERY, Yes("gateway/tests/s3/access.rs::links_work_until_they_expire")),
    header("aws-chunked body", &["x-amz-decoded-content-length", "x-amz-trailer"], BODIES, Yes("gateway/tests/s3/objects.rs::chunked_bodies_are_decoded")),
    header("body's length", &["Content-Length"], BODIES, Yes("gateway/tests/s3/objects.rs::bodies_of_every_size_come_back")),
    header("leave to send the body", &["Expect"], EVERY, Yes("gateway/tests/s3/listener.rs::continue_is_said_after_authorisation_only")).harmless("what is refused is refused without it too"),
    header("expected owner", &["x-amz-expected-bucket-owner"], EVERY_OF_A_BUCKET, Yes("gateway/tests/s3/access.rs::rights_are_checked_for_target_and_source")),
    header("expected owner of no bucket", &["x-amz-expected-bucket-owner"], OF_NO_BUCKET, No).lacking(&["123456789012"]),
    header("requester pays", &["x-amz-request-payer"], EVERY, Yes("gateway/tests/s3/objects.rs::headers_and_metadata_come_back")).harmless("nobody pays here"),
    header("origin of a script", &["Origin"], EVERY, Yes("gateway/tests/s3/cors.rs::answers_and_errors_carry_the_headers")).harmless("it only adds headers to the answer"),
    header("preflight", &["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"], &["Preflight"], Yes("gateway/tests/s3/cors.rs::preflights_are_judged_by_the_rules_alone")),

    // Digests.
    header("MD5 of the body", &["Content-MD5"], CHECKED_BODIES, Yes("tests/tests/s3.rs::damaged_bodies_are_refused_and_store_nothing")),
    header("checksum of the body", &["x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256"], CHECKED_BODIES, Yes("gateway/tests/s3/objects.rs::checksums_are_verified_kept_and_returned")),
    header("announced checksum", &["x-amz-sdk-checksum-algorithm"], CHECKED_BODIES, Partly("CRC32, CRC32C, CRC64NVME, SHA1 and SHA256; others are 501", "gateway/s3/src/request/tests/refused.rs::checksums_that_are_not_built_are_501")).lacking(&["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"]),
    header("newer checksums", &["x-amz-checksum-sha512", "x-amz-checksum-md5", "x-amz-checksum-xxhash64", "x-amz-checksum-xxhash3", "x-amz-checksum-xxhash128"], &["PutObject", "UploadPart", "CompleteMultipartUpload"], No).lacking(&["AAAA"]),
    header("checksum of the whole", &["x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256"], &["CompleteMultipartUpload"], Yes("gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),
    header("size of the whole", &["x-amz-mp-object-size"], &["CompleteMultipartUpload"], Yes("gateway/tests/s3/multipart.rs::wrong_lists_are_refused_and_leave_the_upload_open")),
    header("checksum to make", &["x-amz-checksum-algorithm"], &["CreateMultipartUpload", "CopyObject"], Partly("CRC32, CRC32C, CRC64NVME, SHA1 and SHA256; others are 501", "gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")).lacking(&["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"]),
    header("kind of checksum", &["x-amz-checksum-type"], &["CreateMultipartUpload", "CompleteMultipartUpload"], Yes("gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),
    header("checksums in answers", &["x-amz-checksum-mode"], READS, Yes("gateway/tests/s3/objects.rs::checksums_are_verified_kept_and_returned")),

    // What an object keeps.
    header("kept headers", &["Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"], STORES, Yes("tests/tests/s3.rs::headers_and_metadata_come_back_as_they_went")).harmless("any value is kept"),
    header("metadata", &["x-amz-meta-*"], STORES, Yes("tests/tests/s3.rs::headers_and_metadata_come_back_as_they_went")),
    header("redirect of a site", &["x-amz-website-redirect-location"], STORES, Yes("gateway/tests/s3/sites.rs::redirects")),
    header("storage class", &["x-amz-storage-class"], STORES, Partly("STANDARD; others are 501", "tests/tests/s3.rs::unset_configuration_is_its_own_404_and_a_refused_one_stays_unset")).lacking(&["REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP", "AWS_BACKUP_WARM", "AWS_BACKUP_LOW_COST_WARM"]),
    header("customer's key", &["x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key-MD5"], WITH_CUSTOMER_KEY, Yes("gateway/tests/s3/encryption.rs::without_the_right_key_there_is_nothing_to_read")),
    header("customer's key of the source", &["x-amz-copy-source-server-side-encryption-customer-algorithm", "x-amz-copy-source-server-side-encryption-customer-key", "x-amz-copy-source-server-side-encryption-customer-key-MD5"], COPIES, Yes("gateway/tests/s3/encryption.rs::copies_between_keys_and_none")),
    header("encryption with S3's keys", &["x-amz-server-side-encryption"], STORES, No).lacking(&["AES256", "aws:kms", "aws:kms:dsse", "aws:fsx", "aws:backup"]),
    header("encryption with KMS's keys", &["x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context", "x-amz-server-side-encryption-bucket-key-enabled"], STORES, No).lacking(&["true"]),
    header("tags", &["x-amz-tagging"], STORES, No).lacking(&["a=b"]),
    header("object lock", &["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold", "x-amz-object-lock-event-hold", "x-amz-object-lock-event-hold-duration-days", "x-amz-object-lock-event-hold-duration-years"], STORES, No).lacking(&["GOVERNANCE", "ON", "1"]),
    header("canned ACL", &["x-amz-acl"], STORES_AND_BUCKETS, Partly("`private` and `bucket-owner-full-control` change nothing; others are 501", "tests/tests/s3.rs::unset_configuration_is_its_own_404_and_a_refused_one_stays_unset")).lacking(&["public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "log-delivery-write"]),
    header("grants", &["x-amz-grant-full-control", "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write-acp"], STORES_AND_BUCKETS, No).lacking(&["id=a"]),
    header("grant to write", &["x-amz-grant-write"], &["CreateBucket"], No).lacking(&["id=a"]),
    header("body of a part of what is there", &["Content-Range"], BODIES, No).lacking(&["bytes 0-3/10"]),
    header("append", &["x-amz-write-offset-bytes"], &["PutObject"], No).lacking(&["0"]),

    // Conditions.
    header("entity tag of a read", &["If-Match", "If-None-Match"], READS, Yes("tests/tests/s3.rs::conditions_on_reads")),
    header("date of a read", &["If-Modified-Since", "If-Unmodified-Since"], READS, Yes("tests/tests/s3.rs::conditions_on_reads")),
    header("entity tag of a write", &["If-Match"], &["PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"], Yes("tests/tests/s3.rs::conditions_on_writes")),
    header("only where there is none", &["If-None-Match"], &["PutObject", "CopyObject", "CompleteMultipartUpload"], Yes("tests/tests/s3.rs::conditions_on_writes")).lacking(&["\"5d41402abc4b2a76b9719d911017c592\""]),
    header("conditions of directory buckets", &["x-amz-if-match-last-modified-time", "x-amz-if-match-size"], &["DeleteObject"], No).lacking(&["1"]),
    header("time of an upload", &["x-amz-if-match-initiated-time"], &["AbortMultipartUpload"], No).lacking(&["Sun, 06 Nov 1994 08:49:37 GMT"]),

    // Reads.
    header("range", &["Range"], READS, Yes("tests/tests/s3.rs::ranges_are_served_as_rfc_9110_says")),
    query("part of an object", &["partNumber"], READS, Yes("gateway/tests/s3/multipart.rs::parts_become_one_object")),
    query("headers of the answer", &["response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires"], READS, Yes("gateway/tests/s3/objects.rs::headers_and_metadata_come_back")),
    query("version", &["versionId"], VERSIONED, Partly("there is none but `null`", "gateway/s3/src/request/tests/routes.rs::deletes_take_a_tag_and_the_null_version")),
    header("wanted attributes", &["x-amz-object-attributes"], &["GetObjectAttributes"], Yes("gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),
    header("page of attributes' parts", &["x-amz-max-parts", "x-amz-part-number-marker"], &["GetObjectAttributes"], Yes("gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),

    // Copies.
    header("source", &["x-amz-copy-source"], COPIES, Yes("tests/tests/s3.rs::copies_keep_or_replace_metadata")),
    header("entity tag of the source", &["x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match"], COPIES, Yes("gateway/tests/s3/copies.rs::both_ends_have_conditions")),
    header("date of the source", &["x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since"], COPIES, Yes("gateway/tests/s3/copies.rs::both_ends_have_conditions")),
    header("range of the source", &["x-amz-copy-source-range"], &["UploadPartCopy"], Yes("gateway/tests/s3/copies.rs::parts_are_copied_whole_or_in_ranges")),
    header("expected owner of the source", &["x-amz-source-expected-bucket-owner"], COPIES, Yes("gateway/tests/s3/access.rs::rights_are_checked_for_target_and_source")),
    header("what becomes of metadata", &["x-amz-metadata-directive"], &["CopyObject"], Yes("tests/tests/s3.rs::copies_keep_or_replace_metadata")),
    header("what becomes of tags", &["x-amz-tagging-directive"], &["CopyObject"], Yes("gateway/s3/src/request/tests/refused.rs::fields_that_change_nothing_are_accepted")).harmless("without tags both directives copy the same; tags themselves are 501"),
    header("what becomes of annotations", &["x-amz-object-annotation-directive"], &["CopyObject"], Yes("gateway/s3/src/request/tests/refused.rs::fields_that_change_nothing_are_accepted")).harmless("without annotations both directives copy the same"),

    // Uploads.
    query("upload", &["uploadId"], UPLOADS, Yes("tests/tests/s3.rs::uploads_follow_their_rules")),
    query("number of a part", &["partNumber"], &["UploadPart", "UploadPartCopy"], Yes("tests/tests/s3.rs::uploads_follow_their_rules")),
    query("page of parts", &["max-parts", "part-number-marker"], &["ListParts"], Yes("gateway/tests/s3/multipart.rs::uploads_are_listed_until_they_end")),
    query("page of uploads", &["key-marker", "upload-id-marker", "max-uploads"], &["ListMultipartUploads"], Yes("gateway/tests/s3/multipart.rs::uploads_are_listed_until_they_end")),

    // Listings.
    query("keys to list", &["prefix", "delimiter"], PREFIXED_LISTS, Yes("tests/tests/s3.rs::listings_echo_fold_and_page")).harmless("any text is one"),
    query("encoding of keys", &["encoding-type"], PREFIXED_LISTS, Yes("tests/tests/s3.rs::listings_echo_fold_and_page")),
    query("size of a page", &["max-keys"], LISTS, Yes("tests/tests/s3.rs::listings_echo_fold_and_page")),
    query("key to go on from", &["marker"], &["ListObjects"], Yes("tests/tests/s3.rs::listings_echo_fold_and_page")).harmless("any text is one"),
    query("key to start after", &["start-after"], &["ListObjectsV2"], Yes("tests/tests/s3.rs::listings_echo_fold_and_page")).harmless("any text is one"),
    query("second version of the listing", &["list-type"], &["ListObjectsV2"], Yes("tests/tests/s3.rs::listings_echo_fold_and_page")),
    query("token of the next page", &["continuation-token"], &["ListObjectsV2"], Yes("tests/tests/cluster.rs::listing_agrees_with_a_model")),
    query("owner in the listing", &["fetch-owner"], &["ListObjectsV2"], Yes("tests/tests/s3.rs::listings_echo_fold_and_page")).harmless("what is not `true` is false"),
    query("version to go on from", &["key-marker", "version-id-marker"], &["ListObjectVersions"], Yes("gateway/tests/s3/listing.rs::listings_page_through_everything_in_order")),
    header("restore status in the listing", &["x-amz-optional-object-attributes"], LISTS, Yes("gateway/s3/src/request/tests/refused.rs::fields_that_change_nothing_are_accepted")).harmless("nothing is archived, so no object has one"),
    query("page of buckets", &["max-buckets", "continuation-token"], &["ListBuckets"], Yes("gateway/tests/s3/buckets.rs::each_key_sees_its_own_buckets")),
    query("buckets to list", &["prefix", "bucket-region"], &["ListBuckets"], Yes("gateway/tests/s3/buckets.rs::each_key_sees_its_own_buckets")).harmless("any text is one"),
    query("name of a configuration", &["id"], CONFIGURATIONS, Yes("gateway/tests/s3/objects.rs::what_cannot_have_been_set_reads_as_unset")).harmless("none is there by any name"),
    query("page of configurations", &["continuation-token"], LISTS_OF_CONFIGURATIONS, Partly("there are none, so no token was ever given and any is refused", "gateway/s3/src/request/tests/refused.rs::bad_parameters_are_400")),

    // Buckets, settings, deletions.
    header("bucket with object lock", &["x-amz-bucket-object-lock-enabled"], &["CreateBucket"], Partly("`false` changes nothing; `true` is 501", "gateway/s3/src/request/tests/refused.rs::every_unbuilt_header_is_501_with_its_name")).lacking(&["true"]),
    header("ownership of objects", &["x-amz-object-ownership"], &["CreateBucket"], Partly("`BucketOwnerEnforced` is so anyway; others are 501", "gateway/s3/src/request/tests/refused.rs::every_unbuilt_header_is_501_with_its_name")).lacking(&["ObjectWriter", "BucketOwnerPreferred"]),
    header("name space of a bucket", &["x-amz-bucket-namespace"], &["CreateBucket"], Partly("`global` is so anyway; others are 501", "gateway/s3/src/request/tests/refused.rs::fields_that_change_nothing_are_accepted")).lacking(&["account-regional"]),
    header("smallest object to move", &["x-amz-transition-default-minimum-object-size"], &["PutBucketLifecycleConfiguration"], Partly("`all_storage_classes_128K` changes nothing, as nothing is moved; others are 501", "gateway/s3/src/request/tests/refused.rs::fields_that_change_nothing_are_accepted")).lacking(&["varies_by_storage_class"]),
    header("second factor", &["x-amz-mfa"], &["DeleteObject", "DeleteObjects"], No).lacking(&["serial 123456"]),
    header("deletion of what is locked", &["x-amz-bypass-governance-retention"], &["DeleteObject", "DeleteObjects"], Partly("`false` changes nothing; `true` is 501", "gateway/s3/src/request/tests/refused.rs::every_unbuilt_header_is_501_with_its_name")).lacking(&["true"]),

    // Forms.
    form("proof of a form", &["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"], Yes("gateway/tests/s3/forms.rs::what_a_policy_does_not_allow_stores_nothing")),
    form("object of a form", &["key", "bucket", "file"], Yes("gateway/tests/s3/forms.rs::forms_store_what_their_policy_allows")),
    form("answer to a form", &["success_action_redirect", "redirect", "success_action_status"], Yes("gateway/tests/s3/forms.rs::forms_are_answered_as_they_ask")),
    form("kept headers of a form", &["Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires", "x-amz-meta-*", "x-amz-website-redirect-location"], Yes("gateway/tests/s3/forms.rs::forms_store_what_their_policy_allows")),
    form("checksum of a form's file", &["Content-MD5", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256"], Yes("gateway/s3/src/form/tests.rs::fields_are_headers")),
    form("customer's key of a form", &["x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key", "x-amz-server-side-encryption-customer-key-MD5"], Yes("gateway/s3/src/form/tests.rs::fields_are_headers")),
    form("canned ACL of a form", &["acl"], Partly("`private` and `bucket-owner-full-control` change nothing; others are 501", "gateway/s3/src/form/tests.rs::fields_are_headers")).lacking(&["public-read", "authenticated-read"]),
    form("storage class of a form", &["x-amz-storage-class"], Partly("STANDARD; others are 501", "gateway/s3/src/form/tests.rs::fields_are_headers")).lacking(&["GLACIER", "STANDARD_IA"]),
    form("session of a form", &["x-amz-security-token"], Partly("there are no sessions, so any token is `InvalidToken`", "gateway/s3/src/form/tests.rs::claims_must_be_whole_and_timely")),
    form("tags of a form", &["tagging"], No).lacking(&["<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"]),
    form("other encryption of a form", &["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context"], No).lacking(&["aws:kms"]),
    form("lock of a form's object", &["x-amz-object-lock-mode", "x-amz-object-lock-legal-hold"], No).lacking(&["GOVERNANCE"]),
];
