//! Reads of what cannot have been set here, answered as AWS does where nothing is set (S3.md §1.1).

use cairn_types::BucketName;

use crate::answer::Owner;
use crate::error::{ErrorCode, S3Error};
use crate::key::{ObjectKey, VersionId};
use crate::xml::Writer;

/// A read of a configuration nobody can have set. The caller checks that bucket and key exist, then answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadUnset {
    pub bucket: BucketName,
    /// Only where the configuration is an object's.
    pub key: Option<ObjectKey>,
    pub version: Option<VersionId>,
    pub what: Unset,
}

macro_rules! unset {
    ($($variant:ident $name:literal;)*) => {
        /// What is read.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Unset { $($variant),* }

        impl Unset {
            /// Every kind, for tests that walk the table.
            pub const ALL: &'static [Unset] = &[$(Unset::$variant),*];

            /// AWS's name of the operation.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Unset::$variant => $name),* }
            }
        }
    };
}

unset! {
    BucketVersioning "GetBucketVersioning";
    BucketAcl "GetBucketAcl";
    BucketTagging "GetBucketTagging";
    BucketPolicy "GetBucketPolicy";
    BucketPolicyStatus "GetBucketPolicyStatus";
    BucketEncryption "GetBucketEncryption";
    BucketReplication "GetBucketReplication";
    BucketNotification "GetBucketNotificationConfiguration";
    BucketLogging "GetBucketLogging";
    BucketRequestPayment "GetBucketRequestPayment";
    BucketAccelerate "GetBucketAccelerateConfiguration";
    BucketOwnershipControls "GetBucketOwnershipControls";
    PublicAccessBlock "GetPublicAccessBlock";
    ObjectLockConfiguration "GetObjectLockConfiguration";
    BucketAnalytics "GetBucketAnalyticsConfiguration";
    BucketInventory "GetBucketInventoryConfiguration";
    BucketMetrics "GetBucketMetricsConfiguration";
    BucketIntelligentTiering "GetBucketIntelligentTieringConfiguration";
    ListBucketAnalytics "ListBucketAnalyticsConfigurations";
    ListBucketInventory "ListBucketInventoryConfigurations";
    ListBucketMetrics "ListBucketMetricsConfigurations";
    ListBucketIntelligentTiering "ListBucketIntelligentTieringConfigurations";
    ObjectAcl "GetObjectAcl";
    ObjectTagging "GetObjectTagging";
    ObjectRetention "GetObjectRetention";
    ObjectLegalHold "GetObjectLegalHold";
}

impl ReadUnset {
    /// The 200's XML body, or the error AWS has for what is not set.
    pub fn answer(&self, owner: &Owner) -> Result<String, S3Error> {
        let empty = |root| Ok(Writer::answer(root, |_| ()));
        let code = match self.what {
            Unset::BucketVersioning => return empty("VersioningConfiguration"),
            Unset::BucketNotification => return empty("NotificationConfiguration"),
            Unset::BucketLogging => return empty("BucketLoggingStatus"),
            Unset::BucketAccelerate => return empty("AccelerateConfiguration"),
            Unset::ObjectTagging => return Ok(Writer::answer("Tagging", |xml| xml.element("TagSet", |_| ()))),
            Unset::BucketAcl | Unset::ObjectAcl => return Ok(full_control(owner)),
            Unset::BucketRequestPayment => return Ok(payer()),
            Unset::BucketOwnershipControls => return Ok(ownership()),
            Unset::ListBucketAnalytics => return not_truncated("ListBucketAnalyticsConfigurationsResult"),
            Unset::ListBucketInventory => return not_truncated("ListInventoryConfigurationsResult"),
            Unset::ListBucketMetrics => return not_truncated("ListMetricsConfigurationsResult"),
            Unset::ListBucketIntelligentTiering => {
                return not_truncated("ListBucketIntelligentTieringConfigurationsOutput");
            }
            Unset::BucketTagging => ErrorCode::NoSuchTagSet,
            Unset::BucketPolicy | Unset::BucketPolicyStatus => ErrorCode::NoSuchBucketPolicy,
            Unset::BucketEncryption => ErrorCode::ServerSideEncryptionConfigurationNotFoundError,
            Unset::BucketReplication => ErrorCode::ReplicationConfigurationNotFoundError,
            Unset::PublicAccessBlock => ErrorCode::NoSuchPublicAccessBlockConfiguration,
            Unset::ObjectLockConfiguration => ErrorCode::ObjectLockConfigurationNotFoundError,
            Unset::BucketAnalytics
            | Unset::BucketInventory
            | Unset::BucketMetrics
            | Unset::BucketIntelligentTiering => ErrorCode::NoSuchConfiguration,
            Unset::ObjectRetention | Unset::ObjectLegalHold => ErrorCode::NoSuchObjectLockConfiguration,
        };
        Err(S3Error::new(code).field("BucketName", self.bucket.as_str()))
    }
}

fn full_control(owner: &Owner) -> String {
    const GRANTEE: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"";
    Writer::answer("AccessControlPolicy", |xml| {
        xml.element("Owner", |xml| owner.write(xml));
        xml.element("AccessControlList", |xml| {
            xml.element("Grant", |xml| {
                xml.element_with("Grantee", GRANTEE, |xml| owner.write(xml));
                xml.text("Permission", "FULL_CONTROL");
            });
        });
    })
}

fn payer() -> String {
    Writer::answer("RequestPaymentConfiguration", |xml| xml.text("Payer", "BucketOwner"))
}

fn ownership() -> String {
    Writer::answer("OwnershipControls", |xml| {
        xml.element("Rule", |xml| xml.text("ObjectOwnership", "BucketOwnerEnforced"));
    })
}

fn not_truncated(root: &str) -> Result<String, S3Error> {
    Ok(Writer::answer(root, |xml| xml.text("IsTruncated", "false")))
}
