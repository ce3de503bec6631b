"""boto3 by feature group, written from AWS's documentation: each group does what works and what must be refused.

Standard library and boto3 only. Run by tests/tests/clients.rs; by hand: python3 -m unittest -v boto3_groups.py
"""

import base64
import hashlib
import os
import unittest
import urllib.error
import urllib.request
import zlib

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

CONFIG = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
s3 = boto3.client("s3", config=CONFIG)
ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
MIB = 1 << 20


class Group(unittest.TestCase):
    """A bucket of its own, named after the class, emptied and deleted at the end."""

    @classmethod
    def setUpClass(cls):
        cls.bucket = "group-" + cls.__name__.lower()
        s3.create_bucket(Bucket=cls.bucket)

    @classmethod
    def tearDownClass(cls):
        for upload in s3.list_multipart_uploads(Bucket=cls.bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=cls.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=cls.bucket):
            for item in page.get("Contents", []):
                s3.delete_object(Bucket=cls.bucket, Key=item["Key"])
        s3.delete_bucket(Bucket=cls.bucket)

    def put(self, key, body=b"body", **more):
        return s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return s3.get_object(Bucket=self.bucket, Key=key, **more)

    def head(self, key, **more):
        return s3.head_object(Bucket=self.bucket, Key=key, **more)

    def refused(self, status, code, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        answer = caught.exception.response
        got = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
        self.assertEqual(got, (status, code), answer)
        return answer


class Buckets(Group):
    def test_are_found_and_listed(self):
        self.assertEqual(s3.head_bucket(Bucket=self.bucket)["ResponseMetadata"]["HTTPStatusCode"], 200)
        s3.get_bucket_location(Bucket=self.bucket)
        page = s3.list_buckets(Prefix="group-b", MaxBuckets=1)
        self.assertEqual([bucket["Name"] for bucket in page["Buckets"]], [self.bucket])

    def test_refusals(self):
        self.refused(404, "404", s3.head_bucket, Bucket="no-such-bucket-here")
        self.refused(404, "NoSuchBucket", s3.delete_bucket, Bucket="no-such-bucket-here")
        self.refused(
            400, "InvalidLocationConstraint", s3.create_bucket, Bucket="elsewhere-bucket",
            CreateBucketConfiguration={"LocationConstraint": "eu-nowhere-9"},
        )
        self.put("full")
        self.refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=self.bucket)


class Objects(Group):
    def test_keep_their_headers(self):
        kept = {"ContentType": "text/x", "CacheControl": "max-age=1", "ContentLanguage": "de", "ContentDisposition": "inline"}
        self.put("k", Metadata={"a": "b", "utf8": "x"}, **kept)
        head = self.head("k")
        self.assertEqual({name: head[name] for name in kept}, kept)
        self.assertEqual(head["Metadata"], {"a": "b", "utf8": "x"})
        self.assertEqual(head["ETag"], f'"{hashlib.md5(b"body").hexdigest()}"')

    def test_response_overrides(self):
        self.put("o", ContentType="text/x")
        got = self.get("o", ResponseContentType="text/y", ResponseCacheControl="no-store", ResponseContentDisposition="inline")
        self.assertEqual((got["ContentType"], got["CacheControl"], got["ContentDisposition"]), ("text/y", "no-store", "inline"))

    def test_refusals(self):
        self.refused(404, "NoSuchKey", self.get, key="missing")
        self.refused(404, "404", self.head, key="missing")
        self.refused(400, "KeyTooLongError", self.put, key="k" * 1025)
        self.refused(400, "MetadataTooLarge", self.put, key="k", Metadata={"a": "v" * 2048})
        self.refused(501, "NotImplemented", self.put, key="acl", ACL="public-read")
        self.refused(501, "NotImplemented", self.put, key="tagged", Tagging="a=b")
        self.refused(501, "NotImplemented", self.put, key="cold", StorageClass="GLACIER")
        for key in ("acl", "tagged", "cold"):
            self.refused(404, "NoSuchKey", self.get, key=key)


class Conditional(Group):
    def test_reads(self):
        etag = self.put("k")["ETag"]
        modified = self.head("k")["LastModified"]
        self.assertEqual(self.get("k", IfMatch=etag, IfUnmodifiedSince=modified)["Body"].read(), b"body")
        self.refused(304, "304", self.get, key="k", IfNoneMatch=etag)
        self.refused(304, "304", self.get, key="k", IfModifiedSince=modified)
        self.refused(412, "PreconditionFailed", self.get, key="k", IfMatch='"0"')
        self.refused(412, "412", self.head, key="k", IfMatch='"0"')

    def test_writes(self):
        etag = self.put("w", IfNoneMatch="*")["ETag"]
        self.refused(412, "PreconditionFailed", self.put, key="w", IfNoneMatch="*")
        self.put("w", b"two", IfMatch=etag)
        self.refused(412, "PreconditionFailed", self.put, key="w", IfMatch=etag)
        self.refused(404, "NoSuchKey", self.put, key="missing", IfMatch=etag)
        self.refused(412, "PreconditionFailed", s3.delete_object, Bucket=self.bucket, Key="w", IfMatch=etag)
        s3.delete_object(Bucket=self.bucket, Key="w", IfMatch=self.head("w")["ETag"])


class Ranges(Group):
    def test_one_range(self):
        body = os.urandom(2 * MIB + 5)
        self.put("k", body)
        for text, part in (("0-0", body[:1]), (f"{MIB - 2}-{MIB + 2}", body[MIB - 2:MIB + 3]), ("-7", body[-7:]), ("9-", body[9:])):
            got = self.get("k", Range=f"bytes={text}")
            self.assertEqual((got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()), (206, part))

    def test_refusals(self):
        self.put("s", b"0123")
        self.put("empty", b"")
        self.refused(416, "InvalidRange", self.get, key="s", Range="bytes=4-")
        self.refused(416, "InvalidRange", self.get, key="empty", Range="bytes=0-0")
        self.refused(400, "InvalidRequest", self.get, key="s", Range="bytes=0-0", PartNumber=1)


class Checksums(Group):
    def test_each_as_trailer_comes_back(self):
        for algorithm in ALGORITHMS:
            put = self.put(algorithm, b"checked" * 1000, ChecksumAlgorithm=algorithm)
            got = self.get(algorithm, ChecksumMode="ENABLED")
            self.assertEqual(got[f"Checksum{algorithm}"], put[f"Checksum{algorithm}"])
            self.assertEqual(got["ChecksumType"], "FULL_OBJECT")
            self.assertEqual(got["Body"].read(), b"checked" * 1000)

    def test_each_as_header_and_wrong(self):
        body = b"header"
        right = {
            "SHA256": hashlib.sha256(body).digest(),
            "SHA1": hashlib.sha1(body).digest(),
            "CRC32": zlib.crc32(body).to_bytes(4, "big"),
        }
        for algorithm, digest in right.items():
            name = f"Checksum{algorithm}"
            self.put("h", body, **{name: base64.b64encode(digest).decode()})
            self.assertEqual(self.head("h", ChecksumMode="ENABLED")[name], base64.b64encode(digest).decode())
        for algorithm, size in (("SHA256", 32), ("SHA1", 20), ("CRC32", 4), ("CRC32C", 4), ("CRC64NVME", 8)):
            wrong = base64.b64encode(bytes(size)).decode()
            self.refused(400, "BadDigest", self.put, key="w", body=body, **{f"Checksum{algorithm}": wrong})
        self.refused(404, "NoSuchKey", self.get, key="w")
        self.refused(400, "InvalidDigest", self.put, key="w", body=body, ContentMD5="nonsense")

    def test_of_parts(self):
        parts = [os.urandom(5 * MIB), b"tail"]
        for algorithm, kind in (("CRC64NVME", "FULL_OBJECT"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "COMPOSITE"), ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE")):
            key, name = f"{algorithm}-{kind}", f"Checksum{algorithm}"
            made = s3.create_multipart_upload(Bucket=self.bucket, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)
            self.assertEqual((made["ChecksumAlgorithm"], made["ChecksumType"]), (algorithm, kind))
            sent = []
            for number, body in enumerate(parts, 1):
                part = s3.upload_part(Bucket=self.bucket, Key=key, UploadId=made["UploadId"], PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
                sent.append({"PartNumber": number, "ETag": part["ETag"], name: part[name]})
            done = s3.complete_multipart_upload(Bucket=self.bucket, Key=key, UploadId=made["UploadId"], MultipartUpload={"Parts": sent})
            self.assertEqual(done["ChecksumType"], kind)
            self.assertEqual(done[name].endswith("-2"), kind == "COMPOSITE", done)
            self.assertEqual(self.head(key, ChecksumMode="ENABLED")[name], done[name])
            if algorithm == "CRC32":
                self.assertEqual(base64.b64decode(done[name]), zlib.crc32(b"".join(parts)).to_bytes(4, "big"))

    def test_refusals(self):
        create = dict(Bucket=self.bucket, Key="no")
        self.refused(400, "InvalidRequest", s3.create_multipart_upload, ChecksumAlgorithm="SHA1", ChecksumType="FULL_OBJECT", **create)
        self.refused(400, "InvalidRequest", s3.create_multipart_upload, ChecksumAlgorithm="CRC64NVME", ChecksumType="COMPOSITE", **create)


class Listing(Group):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = sorted(["a", "b/1", "b/2", "c/1/x", "d e", "z&<", "é"], key=str.encode)
        for name in cls.names:
            s3.put_object(Bucket=cls.bucket, Key=name, Body=b"")

    def test_pages_in_byte_order(self):
        for call in ("list_objects", "list_objects_v2", "list_object_versions"):
            pages = s3.get_paginator(call).paginate(Bucket=self.bucket, PaginationConfig={"PageSize": 2})
            keys = [item["Key"] for page in pages for item in page.get("Contents", page.get("Versions", []))]
            self.assertEqual(keys, self.names, call)

    def test_folds_and_starts(self):
        folded = s3.list_objects_v2(Bucket=self.bucket, Delimiter="/")
        self.assertEqual([prefix["Prefix"] for prefix in folded["CommonPrefixes"]], ["b/", "c/"])
        after = s3.list_objects_v2(Bucket=self.bucket, StartAfter="b/1", FetchOwner=True)
        self.assertEqual(after["Contents"][0]["Key"], "b/2")
        self.assertIn("Owner", after["Contents"][0])
        none = s3.list_objects_v2(Bucket=self.bucket, MaxKeys=0)
        self.assertEqual((none["KeyCount"], none["IsTruncated"]), (0, False))

    def test_refusals(self):
        self.refused(400, "InvalidArgument", s3.list_objects_v2, Bucket=self.bucket, ContinuationToken="none of ours")
        self.refused(404, "NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket-here")
        self.refused(400, "InvalidArgument", s3.list_objects_v2, Bucket=self.bucket, MaxKeys=-1)


class Multipart(Group):
    def begin(self, key):
        return s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]

    def part(self, key, upload, number, body):
        reply = s3.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": reply["ETag"]}

    def complete(self, key, upload, parts, **more):
        return s3.complete_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more)

    def test_completes_twice_with_one_list(self):
        upload, bodies = self.begin("k"), [os.urandom(5 * MIB), b"tail"]
        parts = [self.part("k", upload, 3 * n + 1, body) for n, body in enumerate(bodies)]
        first, again = self.complete("k", upload, parts), self.complete("k", upload, parts)
        self.assertEqual(first["ETag"], again["ETag"])
        self.assertEqual(self.get("k")["Body"].read(), b"".join(bodies))
        # By AWS's documentation partNumber counts the parts of the object as they were numbered.
        self.assertEqual(self.head("k", PartNumber=1)["PartsCount"], 2)

    def test_parts_and_uploads_page(self):
        uploads = [self.begin(f"page/{n}") for n in range(3)]
        for number in range(1, 6):
            self.part("page/0", uploads[0], number, b"x")
        pages = s3.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key="page/0", UploadId=uploads[0], PaginationConfig={"PageSize": 2})
        self.assertEqual([part["PartNumber"] for page in pages for part in page.get("Parts", [])], [1, 2, 3, 4, 5])
        pages = s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix="page/", PaginationConfig={"PageSize": 1})
        self.assertEqual([upload["UploadId"] for page in pages for upload in page.get("Uploads", [])], uploads)

    def test_refusals(self):
        upload = self.begin("bad")
        parts = [self.part("bad", upload, n, b"small") for n in (1, 2)]
        self.refused(400, "EntityTooSmall", self.complete, key="bad", upload=upload, parts=parts)
        self.refused(400, "InvalidPartOrder", self.complete, key="bad", upload=upload, parts=parts[::-1])
        wrong = [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]
        self.refused(400, "InvalidPart", self.complete, key="bad", upload=upload, parts=wrong)
        self.refused(400, "InvalidArgument", self.part, key="bad", upload=upload, number=10001, body=b"")
        self.put("bad")
        self.refused(412, "PreconditionFailed", self.complete, key="bad", upload=upload, parts=parts[:1], IfNoneMatch="*")
        s3.abort_multipart_upload(Bucket=self.bucket, Key="bad", UploadId=upload)
        self.refused(404, "NoSuchUpload", self.part, key="bad", upload=upload, number=1, body=b"")
        self.refused(404, "NoSuchUpload", s3.list_parts, Bucket=self.bucket, Key="bad", UploadId=upload)
        self.assertEqual(self.get("bad")["Body"].read(), b"body")


class Copies(Group):
    def copy(self, key, source, **more):
        return s3.copy_object(Bucket=self.bucket, Key=key, CopySource={"Bucket": self.bucket, "Key": source}, **more)

    def test_keep_or_replace(self):
        etag = self.put("src %+é", Metadata={"a": "b"})["ETag"]
        self.copy("kept", "src %+é", CopySourceIfMatch=etag)
        self.assertEqual(self.head("kept")["Metadata"], {"a": "b"})
        self.copy("kept", "kept", MetadataDirective="REPLACE", Metadata={"c": "d"})
        self.assertEqual(self.head("kept")["Metadata"], {"c": "d"})

    def test_parts_of_a_source(self):
        body = os.urandom(6 * MIB)
        self.put("large", body)
        upload = s3.create_multipart_upload(Bucket=self.bucket, Key="sum")["UploadId"]
        source, parts = {"Bucket": self.bucket, "Key": "large"}, []
        for number, span in ((1, f"0-{5 * MIB - 1}"), (2, f"{5 * MIB}-{6 * MIB - 1}")):
            part = s3.upload_part_copy(
                Bucket=self.bucket, Key="sum", UploadId=upload, PartNumber=number, CopySource=source, CopySourceRange=f"bytes={span}")
            parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
        beyond = dict(Bucket=self.bucket, Key="sum", UploadId=upload, PartNumber=3, CopySource=source)
        self.refused(400, "InvalidArgument", s3.upload_part_copy, CopySourceRange="bytes=5-", **beyond)
        s3.complete_multipart_upload(Bucket=self.bucket, Key="sum", UploadId=upload, MultipartUpload={"Parts": parts})
        self.assertEqual(self.get("sum")["Body"].read(), body)

    def test_refusals(self):
        self.put("one")
        self.refused(400, "InvalidRequest", self.copy, key="one", source="one")
        self.refused(404, "NoSuchKey", self.copy, key="two", source="missing")
        self.refused(412, "PreconditionFailed", self.copy, key="two", source="one", CopySourceIfMatch='"0"')
        self.refused(404, "NoSuchKey", self.get, key="two")


class Attributes(Group):
    def test_what_is_asked_for(self):
        self.put("k", b"12345", ChecksumAlgorithm="SHA256")
        got = s3.get_object_attributes(Bucket=self.bucket, Key="k", ObjectAttributes=["ETag", "ObjectSize", "Checksum", "StorageClass"])
        self.assertEqual((got["ObjectSize"], got["StorageClass"]), (5, "STANDARD"))
        self.assertEqual(got["Checksum"]["ChecksumSHA256"], base64.b64encode(hashlib.sha256(b"12345").digest()).decode())
        self.assertNotIn('"', got["ETag"])

    def test_refusals(self):
        self.refused(404, "NoSuchKey", s3.get_object_attributes, Bucket=self.bucket, Key="no", ObjectAttributes=["ETag"])
        self.refused(400, "InvalidArgument", s3.get_object_attributes, Bucket=self.bucket, Key="no", ObjectAttributes=["Color"])


class Presigned(Group):
    def fetch(self, url, **more):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, **more)) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def url(self, call, key, expires=60):
        return s3.generate_presigned_url(call, Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=expires)

    def test_get_and_put(self):
        self.assertEqual(self.fetch(self.url("put_object", "p"), data=b"by url", method="PUT")[0], 200)
        self.assertEqual(self.fetch(self.url("get_object", "p")), (200, b"by url"))

    def test_refusals(self):
        self.put("p")
        url = self.url("get_object", "p")
        status, body = self.fetch(url.replace("/p?", "/q?"))
        self.assertEqual(status, 403)
        self.assertIn(b"SignatureDoesNotMatch", body)
        self.assertEqual(self.fetch(url, method="DELETE")[0], 403)
        self.assertEqual(self.fetch(self.url("get_object", "p", 8 * 86400))[0], 400)


class Anonymous(Group):
    def test_nothing_is_served(self):
        self.put("k")
        nobody = boto3.client("s3", config=CONFIG.merge(Config(signature_version=UNSIGNED)))
        self.refused(403, "AccessDenied", nobody.get_object, Bucket=self.bucket, Key="k")
        self.refused(403, "AccessDenied", nobody.put_object, Bucket=self.bucket, Key="k", Body=b"x")
        self.refused(403, "AccessDenied", nobody.list_objects_v2, Bucket=self.bucket)
        self.refused(403, "AccessDenied", nobody.list_buckets)

    def test_wrong_keys(self):
        wrong = boto3.client("s3", config=CONFIG, aws_secret_access_key="w" * 40, aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"])
        self.refused(403, "SignatureDoesNotMatch", wrong.list_buckets)
        unknown = boto3.client("s3", config=CONFIG, aws_secret_access_key="w" * 40, aws_access_key_id="AKNOBODYATALL")
        self.refused(403, "InvalidAccessKeyId", unknown.list_buckets)


class DeleteMany(Group):
    def test_missing_keys_count_as_deleted(self):
        self.put("k1")
        reply = s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "k1"}, {"Key": "k2"}]})
        self.assertEqual([item["Key"] for item in reply["Deleted"]], ["k1", "k2"])
        quiet = s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "k3"}], "Quiet": True})
        self.assertNotIn("Deleted", quiet)

    def test_refusals(self):
        self.put("kept")
        many = [{"Key": f"n{n}"} for n in range(1001)]
        self.refused(400, "MalformedXML", s3.delete_objects, Bucket=self.bucket, Delete={"Objects": many})
        reply = s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "kept", "ETag": '"0"'}]})
        self.assertEqual(reply["Errors"][0]["Code"], "PreconditionFailed")
        self.assertEqual(self.get("kept")["Body"].read(), b"body")


class CorsRules(Group):
    def test_are_set_read_and_deleted(self):
        rules = [{"AllowedOrigins": ["https://*.example"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 5}]
        s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": rules})
        self.assertEqual(s3.get_bucket_cors(Bucket=self.bucket)["CORSRules"], rules)
        s3.delete_bucket_cors(Bucket=self.bucket)
        self.refused(404, "NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=self.bucket)

    def test_refusals(self):
        bad = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]}]}
        self.refused(400, "InvalidRequest", s3.put_bucket_cors, Bucket=self.bucket, CORSConfiguration=bad)
        two = {"CORSRules": [{"AllowedOrigins": ["http://*.*"], "AllowedMethods": ["GET"]}]}
        self.refused(400, "InvalidRequest", s3.put_bucket_cors, Bucket=self.bucket, CORSConfiguration=two)


class LifecycleRules(Group):
    def test_are_set_read_and_deleted(self):
        rules = [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]
        s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": rules})
        self.assertEqual(s3.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"], rules)
        self.put("tmp/k")
        self.assertIn('rule-id="r"', self.head("tmp/k")["Expiration"])
        s3.delete_bucket_lifecycle(Bucket=self.bucket)
        self.refused(404, "NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=self.bucket)

    def test_refusals(self):
        put = lambda rule: dict(Bucket=self.bucket, LifecycleConfiguration={"Rules": [rule]})
        tagged = {"Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 3}}
        self.refused(501, "NotImplemented", s3.put_bucket_lifecycle_configuration, **put(tagged))
        nothing = {"Status": "Enabled", "Filter": {"Prefix": ""}}
        self.refused(400, "InvalidRequest", s3.put_bucket_lifecycle_configuration, **put(nothing))


class NotBuilt(Group):
    def test_says_so(self):
        on = dict(Bucket=self.bucket)
        self.refused(501, "NotImplemented", s3.put_bucket_versioning, VersioningConfiguration={"Status": "Enabled"}, **on)
        self.refused(501, "NotImplemented", s3.put_bucket_policy, Policy="{}", **on)
        self.refused(501, "NotImplemented", s3.put_bucket_tagging, Tagging={"TagSet": []}, **on)
        self.refused(404, "NoSuchBucketPolicy", s3.get_bucket_policy, **on)
        self.refused(404, "NoSuchTagSet", s3.get_bucket_tagging, **on)
        self.assertNotIn("Status", s3.get_bucket_versioning(**on))


if __name__ == "__main__":
    unittest.main()
