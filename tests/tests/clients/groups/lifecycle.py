"""Lifecycle rules: set, read, announced, and what is not built of them."""

from datetime import datetime, timezone

from base import Group, refuses, s3, signed, works

ONE = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}


class Lifecycle(Group):
    def set(self, *rules, **more):
        s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": list(rules)}, **more)

    def rules(self):
        return s3.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"]

    def refused_rules(self, status, code, *rules, **more):
        self.set(ONE)
        self.refused(status, code, s3.put_bucket_lifecycle_configuration, Bucket=self.bucket,
                     LifecycleConfiguration={"Rules": list(rules)}, **more)
        self.assertEqual(self.rules(), [ONE])

    @works("PutBucketLifecycleConfiguration", "GetBucketLifecycleConfiguration", "DeleteBucketLifecycle", "lifecycle rule",
           "filter by prefix", "filter by size", "expiration", "end of old uploads", "smallest object to move")
    def test_rules_are_set_read_and_deleted(self):
        size = {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 70}
        rules = [
            ONE,
            {"ID": "date", "Status": "Disabled", "Filter": {"ObjectSizeGreaterThan": 5},
             "Expiration": {"Date": datetime(2032, 1, 1, tzinfo=timezone.utc)}},
            {"ID": "and", "Status": "Enabled", "Filter": {"And": {"Prefix": "a/", **size}}, "Expiration": {"Days": 1}},
            {"ID": "uploads", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
            {"ID": "old", "Status": "Enabled", "Prefix": "old/", "Expiration": {"Days": 1}},
        ]
        self.set(*rules, TransitionDefaultMinimumObjectSize="all_storage_classes_128K")
        self.assertEqual(self.rules(), rules)
        s3.delete_bucket_lifecycle(Bucket=self.bucket)
        self.refused(404, "NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=self.bucket)
        s3.delete_bucket_lifecycle(Bucket=self.bucket)

    @works("expiration", "end of old uploads", "filter by prefix")
    def test_answers_say_when_something_goes(self):
        self.set(ONE, {"ID": "uploads", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}})
        self.put("tmp/k")
        self.put("other")
        self.assertIn('rule-id="r"', self.head("tmp/k")["Expiration"])
        self.assertNotIn("Expiration", self.head("other"))
        begun = s3.create_multipart_upload(Bucket=self.bucket, Key="tmp/k")
        self.assertEqual((begun["AbortRuleId"], begun["AbortDate"] > datetime.now(timezone.utc)), ("uploads", True))
        upload = begun["UploadId"]
        listed = s3.list_parts(Bucket=self.bucket, Key="tmp/k", UploadId=upload)
        self.assertEqual((listed["AbortRuleId"], listed["AbortDate"]), ("uploads", begun["AbortDate"]))
        done = self.complete("tmp/k", upload, [self.part("tmp/k", upload, 1)])
        for answer in (done, self.copy("tmp/copy", "other"), self.put("tmp/k"), self.get("tmp/k")):
            self.assertIn('rule-id="r"', answer["Expiration"])

    @works("expiration")
    def test_what_is_past_its_date_goes(self):
        self.put("past/k")
        self.put("kept")
        self.set({"ID": "past", "Status": "Enabled", "Filter": {"Prefix": "past/"},
                  "Expiration": {"Date": datetime(2020, 1, 1, tzinfo=timezone.utc)}})
        self.eventually(lambda: "Contents" not in s3.list_objects_v2(Bucket=self.bucket, Prefix="past/"))
        self.assertEqual(self.get("kept")["Body"].read(), b"body")

    @refuses("lifecycle rule")
    def test_rules_are_whole_and_named_once(self):
        self.refused_rules(400, "MalformedXML")
        self.refused_rules(400, "MalformedXML", {**ONE, "Status": "Perhaps"})
        self.refused_rules(400, "InvalidArgument", ONE, ONE)
        self.refused_rules(400, "InvalidArgument", {**ONE, "ID": "n" * 256})
        self.refused_rules(400, "InvalidRequest", {"ID": "idle", "Status": "Enabled", "Filter": {"Prefix": ""}})

    @refuses("filter by prefix")
    def test_prefixes(self):
        self.refused_rules(400, "MalformedXML", {**ONE, "Prefix": "also/"})
        self.refused_rules(400, "MalformedXML", {**ONE, "Filter": {"And": {"Prefix": "alone/"}}})
        self.refused_rules(400, "InvalidRequest", {**ONE, "Filter": {"Prefix": "p" * 1025}})

    @refuses("filter by size")
    def test_sizes(self):
        self.refused_rules(400, "InvalidRequest", {**ONE, "Filter": {"ObjectSizeLessThan": 0}})
        self.refused_rules(400, "InvalidRequest", {**ONE, "Filter": {"ObjectSizeGreaterThan": -1}})
        both = {"ObjectSizeGreaterThan": 70, "ObjectSizeLessThan": 5}
        self.refused_rules(400, "InvalidRequest", {**ONE, "Filter": {"And": both}})
        self.refused_rules(400, "MalformedXML", {**ONE, "Filter": both})

    @refuses("expiration")
    def test_expirations(self):
        self.refused_rules(400, "InvalidArgument", {**ONE, "Expiration": {"Days": 0}})
        self.refused_rules(400, "InvalidArgument", {**ONE, "Expiration": {"Date": datetime(2032, 1, 1, 5, tzinfo=timezone.utc)}})
        self.refused_rules(400, "MalformedXML", {**ONE, "Expiration": {"Days": 1, "Date": datetime(2032, 1, 1, tzinfo=timezone.utc)}})

    @refuses("end of old uploads")
    def test_ends_of_uploads(self):
        rule = {"ID": "u", "Status": "Enabled", "Filter": {"Prefix": ""}}
        self.refused_rules(400, "InvalidArgument", {**rule, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}})
        self.refused_rules(400, "MalformedXML", {**rule, "AbortIncompleteMultipartUpload": {}})
        self.refused_rules(400, "MalformedXML", {**rule, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": "soon"}})

    @refuses("smallest object to move")
    def test_what_is_not_built(self):
        for smallest in ("varies_by_storage_class", "none"):
            self.refused_rules(501, "NotImplemented", ONE, TransitionDefaultMinimumObjectSize=smallest)
        self.refused_rules(501, "NotImplemented", {**ONE, "Filter": {"Tag": {"Key": "a", "Value": "b"}}})
        self.refused_rules(501, "NotImplemented", {**ONE, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]})
        self.refused_rules(501, "NotImplemented", {**ONE, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}})

    def test_a_document_comes_with_its_digest(self):
        document = b"<LifecycleConfiguration/>"
        self.denied(400, "InvalidRequest", signed("PutBucketLifecycleConfiguration", "PUT", self.path(query="lifecycle"), body=document))
