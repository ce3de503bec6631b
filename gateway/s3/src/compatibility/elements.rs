//! Elements of the XML bodies of requests.

use super::Field;
use super::Place::Element;
use super::Support::{self, No, Partly, Yes};

const fn element(
    topic: &'static str,
    names: &'static [&'static str],
    of: &'static [&'static str],
    support: Support,
) -> Field {
    Field::new(Element, topic, names, of, support)
}

const CREATE: &[&str] = &["CreateBucket"];
const COMPLETE: &[&str] = &["CompleteMultipartUpload"];
const DELETE: &[&str] = &["DeleteObjects"];
const CORS: &[&str] = &["PutBucketCors"];
const LIFECYCLE: &[&str] = &["PutBucketLifecycleConfiguration"];
const WEBSITE: &[&str] = &["PutBucketWebsite"];

/// What the XML of requests holds. What stands below something that is not built is not either.
#[rustfmt::skip]
pub const ELEMENTS: &[Field] = &[
    element("region of a bucket", &["LocationConstraint"], CREATE, Yes("gateway/tests/s3/buckets.rs::a_bucket_is_created_once")),
    element("kind of a bucket", &["Location", "Bucket"], CREATE, No).lacking(&["<Location><Type>AvailabilityZone</Type></Location>", "<Bucket><Type>Directory</Type></Bucket>"]),
    element("tags of a bucket", &["Tags"], CREATE, No).lacking(&["<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>"]),

    element("parts of the whole", &["Part", "Part/PartNumber", "Part/ETag"], COMPLETE, Yes("tests/tests/s3.rs::uploads_follow_their_rules")),
    element("checksums of parts", &["Part/ChecksumCRC32", "Part/ChecksumCRC32C", "Part/ChecksumCRC64NVME", "Part/ChecksumSHA1", "Part/ChecksumSHA256"], COMPLETE, Partly("may be left out also of a COMPOSITE upload, where AWS insists", "gateway/tests/s3/multipart.rs::declared_checksums_are_made_of_the_parts")),
    element("newer checksums of parts", &["Part/ChecksumSHA512", "Part/ChecksumMD5", "Part/ChecksumXXHASH64", "Part/ChecksumXXHASH3", "Part/ChecksumXXHASH128"], COMPLETE, No).lacking(&[
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumSHA512>AAAA</ChecksumSHA512></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumMD5>AAAA</ChecksumMD5></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumXXHASH64>AAAA</ChecksumXXHASH64></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumXXHASH3>AAAA</ChecksumXXHASH3></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumXXHASH128>AAAA</ChecksumXXHASH128></Part>",
    ]),

    element("keys to delete", &["Object", "Object/Key"], DELETE, Yes("tests/tests/s3.rs::many_objects_go_in_one_request")),
    element("version to delete", &["Object/VersionId"], DELETE, Partly("there is none but `null`", "gateway/s3/src/xml/read/tests.rs::delete_with_everything")),
    element("entity tag to delete", &["Object/ETag"], DELETE, Yes("gateway/tests/s3/objects.rs::many_keys_are_deleted_at_once")),
    element("errors only", &["Quiet"], DELETE, Yes("tests/tests/s3.rs::many_objects_go_in_one_request")),
    element("conditions of directory buckets in a list", &["Object/LastModifiedTime", "Object/Size"], DELETE, No).lacking(&[
        "<Object><Key>k</Key><LastModifiedTime>Sun, 06 Nov 1994 08:49:37 GMT</LastModifiedTime></Object>",
        "<Object><Key>k</Key><Size>1</Size></Object>",
    ]),

    element("whom a CORS rule is for", &["CORSRule", "CORSRule/AllowedOrigin", "CORSRule/AllowedMethod", "CORSRule/AllowedHeader"], CORS, Yes("gateway/tests/s3/cors.rs::preflights_are_judged_by_the_rules_alone")),
    element("what a CORS rule says", &["CORSRule/ExposeHeader", "CORSRule/MaxAgeSeconds"], CORS, Yes("gateway/tests/s3/cors.rs::answers_and_errors_carry_the_headers")),
    element("name of a CORS rule", &["CORSRule/ID"], CORS, Yes("gateway/tests/s3/settings.rs::rules_come_back_as_they_were_put")),

    element("lifecycle rule", &["Rule", "Rule/ID", "Rule/Status"], LIFECYCLE, Yes("gateway/tests/s3/lifecycle.rs::rules_come_back_as_they_were_put")),
    element("filter by prefix", &["Rule/Prefix", "Rule/Filter", "Rule/Filter/Prefix", "Rule/Filter/And", "Rule/Filter/And/Prefix"], LIFECYCLE, Yes("gateway/tests/s3/lifecycle.rs::what_is_due_goes_and_nothing_else")),
    element("filter by size", &["Rule/Filter/ObjectSizeGreaterThan", "Rule/Filter/ObjectSizeLessThan", "Rule/Filter/And/ObjectSizeGreaterThan", "Rule/Filter/And/ObjectSizeLessThan"], LIFECYCLE, Yes("gateway/tests/s3/lifecycle.rs::what_is_due_goes_and_nothing_else")),
    element("expiration", &["Rule/Expiration", "Rule/Expiration/Days", "Rule/Expiration/Date"], LIFECYCLE, Yes("gateway/tests/s3/lifecycle.rs::what_is_due_goes_and_nothing_else")),
    element("end of old uploads", &["Rule/AbortIncompleteMultipartUpload", "Rule/AbortIncompleteMultipartUpload/DaysAfterInitiation"], LIFECYCLE, Yes("gateway/tests/s3/lifecycle.rs::old_uploads_are_aborted_and_no_others")),
    element("filter by tag", &["Rule/Filter/Tag", "Rule/Filter/And/Tag"], LIFECYCLE, No).lacking(&[
        "<Rule><Status>Enabled</Status><Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter><Expiration><Days>1</Days></Expiration></Rule>",
        "<Rule><Status>Enabled</Status><Filter><And><Prefix>a</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter><Expiration><Days>1</Days></Expiration></Rule>",
    ]),
    element("end of delete markers", &["Rule/Expiration/ExpiredObjectDeleteMarker"], LIFECYCLE, No).lacking(&[
        "<Rule><Status>Enabled</Status><Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>",
    ]),
    element("transitions", &["Rule/Transition", "Rule/NoncurrentVersionTransition"], LIFECYCLE, No).lacking(&[
        "<Rule><Status>Enabled</Status><Filter/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>",
        "<Rule><Status>Enabled</Status><Filter/><NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition></Rule>",
    ]),
    element("end of old versions", &["Rule/NoncurrentVersionExpiration"], LIFECYCLE, No).lacking(&[
        "<Rule><Status>Enabled</Status><Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule>",
    ]),

    element("pages of a site", &["IndexDocument", "IndexDocument/Suffix", "ErrorDocument", "ErrorDocument/Key"], WEBSITE, Yes("gateway/tests/s3/sites.rs::pages_indexes_and_errors")),
    element("site that is elsewhere", &["RedirectAllRequestsTo", "RedirectAllRequestsTo/HostName", "RedirectAllRequestsTo/Protocol"], WEBSITE, Yes("gateway/tests/s3/sites.rs::redirects")),
    element("when a routing rule holds", &["RoutingRules/RoutingRule", "RoutingRules/RoutingRule/Condition", "RoutingRules/RoutingRule/Condition/KeyPrefixEquals", "RoutingRules/RoutingRule/Condition/HttpErrorCodeReturnedEquals"], WEBSITE, Yes("gateway/tests/s3/sites.rs::redirects")),
    element("where a routing rule leads", &["RoutingRules/RoutingRule/Redirect", "RoutingRules/RoutingRule/Redirect/HostName", "RoutingRules/RoutingRule/Redirect/Protocol", "RoutingRules/RoutingRule/Redirect/HttpRedirectCode", "RoutingRules/RoutingRule/Redirect/ReplaceKeyPrefixWith", "RoutingRules/RoutingRule/Redirect/ReplaceKeyWith"], WEBSITE, Yes("gateway/tests/s3/sites.rs::redirects")),
];
