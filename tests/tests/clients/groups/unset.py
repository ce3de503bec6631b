"""What cannot be set reads as AWS answers where it is not set."""

from base import Group, refuses, s3, works


class Unset(Group):
    def unset(self, code, call, **more):
        self.missing(404, code, call, Bucket=self.bucket, **more)

    @works("GetBucketVersioning", "GetBucketAccelerateConfiguration", "GetBucketLogging", "GetBucketNotificationConfiguration",
           "GetBucketRequestPayment", "GetBucketOwnershipControls", "GetBucketAcl")
    def test_buckets_answer_with_nothing(self):
        on = dict(Bucket=self.bucket)
        self.assertNotIn("Status", s3.get_bucket_versioning(**on))
        self.assertNotIn("Status", s3.get_bucket_accelerate_configuration(**on))
        self.assertNotIn("LoggingEnabled", s3.get_bucket_logging(**on))
        notified = s3.get_bucket_notification_configuration(**on)
        self.assertEqual([name for name in notified if name.endswith(("s", "Configuration"))], [])
        self.assertEqual(s3.get_bucket_request_payment(**on)["Payer"], "BucketOwner")
        rules = s3.get_bucket_ownership_controls(**on)["OwnershipControls"]["Rules"]
        self.assertEqual(rules, [{"ObjectOwnership": "BucketOwnerEnforced"}])
        acl = s3.get_bucket_acl(**on)
        self.assertEqual([(grant["Permission"], grant["Grantee"]["ID"]) for grant in acl["Grants"]], [("FULL_CONTROL", acl["Owner"]["ID"])])

    @works("GetBucketEncryption", "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketReplication", "GetBucketTagging",
           "GetObjectLockConfiguration", "GetPublicAccessBlock")
    def test_buckets_answer_that_there_is_none(self):
        self.unset("ServerSideEncryptionConfigurationNotFoundError", s3.get_bucket_encryption)
        self.unset("NoSuchBucketPolicy", s3.get_bucket_policy)
        self.unset("NoSuchBucketPolicy", s3.get_bucket_policy_status)
        self.unset("ReplicationConfigurationNotFoundError", s3.get_bucket_replication)
        self.unset("NoSuchTagSet", s3.get_bucket_tagging)
        self.unset("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration)
        self.unset("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block)

    @works("ListBucketAnalyticsConfigurations", "ListBucketIntelligentTieringConfigurations", "ListBucketInventoryConfigurations",
           "ListBucketMetricsConfigurations", "page of configurations")
    @works("GetBucketAnalyticsConfiguration", "GetBucketIntelligentTieringConfiguration", "GetBucketInventoryConfiguration",
           "GetBucketMetricsConfiguration", "name of a configuration")
    @refuses("page of configurations")
    def test_configurations_are_none(self):
        for what in ("analytics", "intelligent_tiering", "inventory", "metrics"):
            self.unset("NoSuchConfiguration", getattr(s3, f"get_bucket_{what}_configuration"), Id="a")
            listed = getattr(s3, f"list_bucket_{what}_configurations")
            page = listed(Bucket=self.bucket, ContinuationToken="")
            self.assertEqual((page["IsTruncated"], [name for name in page if name.endswith("List")]), (False, []))
            self.refused(400, "InvalidArgument", listed, Bucket=self.bucket, ContinuationToken="none of ours")

    @works("GetObjectAcl", "GetObjectTagging", "GetObjectRetention", "GetObjectLegalHold", "version")
    def test_objects(self):
        self.put("k")
        of = dict(Bucket=self.bucket, Key="k", VersionId="null")
        acl = s3.get_object_acl(**of)
        self.assertEqual([(grant["Permission"], grant["Grantee"]["ID"]) for grant in acl["Grants"]], [("FULL_CONTROL", acl["Owner"]["ID"])])
        self.assertEqual(s3.get_object_tagging(**of)["TagSet"], [])
        self.unset("NoSuchObjectLockConfiguration", s3.get_object_retention, Key="k", VersionId="null")
        self.unset("NoSuchObjectLockConfiguration", s3.get_object_legal_hold, Key="k", VersionId="null")

    def test_objects_that_are_none(self):
        for what in ("acl", "tagging", "retention", "legal_hold"):
            self.refused(404, "NoSuchKey", getattr(s3, f"get_object_{what}"), Bucket=self.bucket, Key="none")

    def test_what_cannot_be_set_says_so(self):
        on = dict(Bucket=self.bucket)
        self.refused(501, "NotImplemented", s3.put_bucket_versioning, VersioningConfiguration={"Status": "Enabled"}, **on)
        self.refused(501, "NotImplemented", s3.put_bucket_policy, Policy="{}", **on)
        self.refused(501, "NotImplemented", s3.put_bucket_tagging, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}, **on)
        self.unset("NoSuchBucketPolicy", s3.get_bucket_policy)
        self.unset("NoSuchTagSet", s3.get_bucket_tagging)
        self.assertNotIn("Status", s3.get_bucket_versioning(**on))
