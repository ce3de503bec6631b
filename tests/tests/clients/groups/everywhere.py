"""What every operation refuses alike: a bucket that is not there, one that is another's, and whoever did not sign."""

from botocore import UNSIGNED
from botocore.config import Config

from base import CONFIG, OPERATIONS, Group, client, s3

XML = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "e"}]}}
RULES = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}]}
# What an operation needs besides bucket and key.
NEEDS = {
    "CompleteMultipartUpload": {"UploadId": "0" * 32, **XML},
    "AbortMultipartUpload": {"UploadId": "0" * 32},
    "ListParts": {"UploadId": "0" * 32},
    "UploadPart": {"UploadId": "0" * 32, "PartNumber": 1, "Body": b"x"},
    "DeleteObjects": {"Delete": {"Objects": [{"Key": "k"}]}},
    "GetObjectAttributes": {"ObjectAttributes": ["ETag"]},
    "PutBucketCors": {"CORSConfiguration": {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}},
    "PutBucketLifecycleConfiguration": {"LifecycleConfiguration": RULES},
    "PutBucketWebsite": {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "i"}}},
    "PutObject": {"Body": b"x"},
}
# Copies need a source of this bucket; the others are not of one bucket, or no client's method.
APART = {"ListBuckets", "CreateBucket", "POST Object", "Preflight"}


class Everywhere(Group):
    def calls(self, by):
        """Each operation that is built, by its name, with what it needs."""
        methods = {name: name for name in dir(by)}
        for name, row in OPERATIONS.items():
            if row["built"] == "no" or name in APART:
                continue
            method = "".join("_" + char.lower() if char.isupper() else char for char in name).lstrip("_")
            method = method.replace("objects_v2", "objects_v2")
            needs = dict(NEEDS.get(name, {}))
            if "/k" in row["request"]:
                needs["Key"] = "k"
            if "id=a" in row["request"]:
                needs["Id"] = "a"
            if name in ("CopyObject", "UploadPartCopy"):
                needs["CopySource"] = f"{self.bucket}/source"
            if name == "UploadPartCopy":
                needs.update(UploadId="0" * 32, PartNumber=1)
            yield name, getattr(by, methods[method]), needs

    def every(self, by, status, code, **where):
        self.put("source")
        for name, call, needs in self.calls(by):
            with self.subTest(name):
                head = name.startswith("Head")
                self.refused(status, str(status) if head else code, call, **needs, **where)

    def test_a_bucket_that_is_not_there(self):
        self.every(s3, 404, "NoSuchBucket", Bucket="no-such-bucket-here")

    def test_a_bucket_of_another(self):
        self.every(s3, 403, "AccessDenied", Bucket=self.bucket, ExpectedBucketOwner="123456789012")

    def test_nobody(self):
        nobody = client(config=CONFIG.merge(Config(signature_version=UNSIGNED)))
        self.every(nobody, 403, "AccessDenied", Bucket=self.bucket)
