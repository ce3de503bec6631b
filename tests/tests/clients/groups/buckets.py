"""Buckets: making, finding, listing and deleting them."""

from base import Group, refuses, s3, signed, works

NONE = "no-such-bucket-here"


class Buckets(Group):
    @works("CreateBucket", "DeleteBucket", "HeadBucket", "GetBucketLocation", "region of a bucket")
    def test_are_made_found_and_deleted(self):
        region = s3.meta.region_name
        s3.create_bucket(Bucket="group-made", CreateBucketConfiguration={"LocationConstraint": region})
        head = s3.head_bucket(Bucket="group-made")
        self.assertEqual(head["BucketRegion"], region)
        self.assertIn(s3.get_bucket_location(Bucket="group-made")["LocationConstraint"], (region, None))
        s3.delete_bucket(Bucket="group-made")
        self.refused(404, "404", s3.head_bucket, Bucket="group-made")

    @works("ListBuckets", "page of buckets", "buckets to list")
    def test_are_listed_by_pages(self):
        for n in range(3):
            s3.create_bucket(Bucket=f"group-page-{n}")
        first = s3.list_buckets(Prefix="group-page-", MaxBuckets=2, BucketRegion=s3.meta.region_name)
        self.assertEqual([bucket["Name"] for bucket in first["Buckets"]], ["group-page-0", "group-page-1"])
        rest = s3.list_buckets(Prefix="group-page-", MaxBuckets=2, ContinuationToken=first["ContinuationToken"])
        self.assertEqual([bucket["Name"] for bucket in rest["Buckets"]], ["group-page-2"])
        self.assertNotIn("ContinuationToken", rest)
        for n in range(3):
            s3.delete_bucket(Bucket=f"group-page-{n}")

    @refuses("region of a bucket")
    def test_elsewhere_there_are_none(self):
        for region in ("eu-nowhere-9", "EU-or-so"):
            self.refused(400, "InvalidLocationConstraint", s3.create_bucket, Bucket="group-elsewhere",
                         CreateBucketConfiguration={"LocationConstraint": region})
        self.refused(404, "404", s3.head_bucket, Bucket="group-elsewhere")

    def test_bad_names_and_bodies_are_refused(self):
        for name in ("ab", "Upper-case", "dots..two", "-dash", "192.168.5.4"):
            self.denied(400, "InvalidBucketName", signed("CreateBucket", "PUT", f"/{name}"))
        self.denied(400, "MalformedXML", signed("CreateBucket", "PUT", "/group-bad", body=b"<CreateBucketConfiguration>"))
        self.refused(409, "BucketAlreadyOwnedByYou", s3.create_bucket, Bucket=self.bucket)

    @refuses("page of buckets")
    def test_bad_pages_are_refused(self):
        for size in (0, 10001):
            self.refused(400, "InvalidArgument", s3.list_buckets, MaxBuckets=size)
        self.refused(400, "InvalidArgument", s3.list_buckets, ContinuationToken="none of ours")

    def test_full_and_missing_ones_are_not_deleted(self):
        self.put("full")
        self.refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=self.bucket)
        self.refused(404, "NoSuchBucket", s3.delete_bucket, Bucket=NONE)
        self.refused(404, "NoSuchBucket", s3.get_bucket_location, Bucket=NONE)

    @works("bucket with object lock", "ownership of objects", "name space of a bucket", "canned ACL")
    def test_settings_that_change_nothing(self):
        s3.create_bucket(Bucket="group-plain", ObjectLockEnabledForBucket=False, ObjectOwnership="BucketOwnerEnforced",
                         ACL="private")
        s3.delete_bucket(Bucket="group-plain")
        made = signed("CreateBucket", "PUT", "/group-plain", {"x-amz-bucket-namespace": "global"})
        self.assertEqual(made.status, 200)
        s3.delete_bucket(Bucket="group-plain")

    def made_with(self, status, code, **setting):
        self.refused(status, code, s3.create_bucket, Bucket="group-special", **setting)
        self.refused(404, "404", s3.head_bucket, Bucket="group-special")

    @refuses("bucket with object lock", "ownership of objects", "canned ACL")
    def test_settings_that_are_not_built(self):
        for lock in (True, "perhaps"):
            self.made_with(501, "NotImplemented", ObjectLockEnabledForBucket=lock)
        for owner in ("ObjectWriter", "BucketOwnerPreferred"):
            self.made_with(501, "NotImplemented", ObjectOwnership=owner)
        for acl in ("public-read", "authenticated-read"):
            self.made_with(501, "NotImplemented", ACL=acl)

    @refuses("name space of a bucket")
    def test_other_name_spaces(self):
        for space in ("account-regional", "mine"):
            answer = signed("CreateBucket", "PUT", "/group-special", {"x-amz-bucket-namespace": space})
            self.denied(501, "NotImplemented", answer)
        self.refused(404, "404", s3.head_bucket, Bucket="group-special")
