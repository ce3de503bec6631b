"""Objects under the customer's own key."""

import base64
import hashlib
import os

from base import MIB, Group, refuses, s3, signed, works

ONE, TWO = os.urandom(32), os.urandom(32)


def own(key):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def written(key):
    """For operations whose key boto3 sends as it is given."""
    digest = base64.b64encode(hashlib.md5(key).digest()).decode()
    return {**own(base64.b64encode(key).decode()), "SSECustomerKeyMD5": digest}


def source(key):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


class CustomerKeys(Group):
    @works("customer's key")
    def test_bodies_come_back_with_their_key(self):
        for size in (0, 1, 8176, 65_521, 3 * MIB):
            body = os.urandom(size)
            put = self.put("k", body, Metadata={"a": "b"}, **own(ONE))
            self.assertEqual(put["SSECustomerAlgorithm"], "AES256")
            got = self.get("k", **own(ONE))
            self.assertEqual((got["Body"].read(), got["Metadata"], got["ETag"]), (body, {"a": "b"}, put["ETag"]))
            self.assertEqual(got["SSECustomerKeyMD5"], base64.b64encode(hashlib.md5(ONE).digest()).decode())
            self.assertEqual(self.head("k", **own(ONE))["ContentLength"], size)
            seen = s3.get_object_attributes(Bucket=self.bucket, Key="k", ObjectAttributes=["ObjectSize"], **written(ONE))
            self.assertEqual(seen["ObjectSize"], size)
        self.assertEqual(self.get("k", Range="bytes=65519-65530", **own(ONE))["Body"].read(), body[65519:65531])

    @refuses("customer's key")
    def test_without_it_there_is_nothing_to_read(self):
        self.put("k", **own(ONE))
        self.refused(400, "InvalidRequest", self.get, key="k")
        self.refused(403, "AccessDenied", self.get, key="k", **own(TWO))
        self.refused(400, "400", self.head, key="k")
        self.refused(403, "403", self.head, key="k", **own(TWO))
        ask = dict(Bucket=self.bucket, Key="k", ObjectAttributes=["ETag"])
        self.refused(400, "InvalidRequest", s3.get_object_attributes, **ask)
        self.refused(403, "AccessDenied", s3.get_object_attributes, **ask, **written(TWO))
        self.put("plain")
        self.refused(400, "InvalidRequest", self.get, key="plain", **own(ONE))

    @refuses("customer's key")
    def test_keys_that_are_none(self):
        self.refused(400, "InvalidArgument", self.put, key="no", **own(b"short"))
        self.refused(400, "InvalidEncryptionAlgorithmError", self.put, key="no", SSECustomerAlgorithm="AES128", SSECustomerKey=ONE)
        prefix = "x-amz-server-side-encryption-customer-"
        headers = {prefix + "algorithm": "AES256", prefix + "key": base64.b64encode(ONE).decode()}
        self.denied(400, "InvalidArgument", signed("PutObject", "PUT", self.path("no"), headers, b"x"))
        headers[prefix + "key-MD5"] = base64.b64encode(hashlib.md5(TWO).digest()).decode()
        self.denied(400, "InvalidArgument", signed("PutObject", "PUT", self.path("no"), headers, b"x"))
        self.refused(400, "InvalidArgument", self.begin, key="no", **own(b"short"))
        self.put("plain")
        self.refused(400, "InvalidArgument", self.copy, key="no", source="plain", **own(b"short"))
        self.absent("no")

    @works("customer's key", "customer's key of the source")
    @refuses("customer's key", "customer's key of the source")
    def test_parts_bring_their_key(self):
        self.put("large", os.urandom(6 * MIB), **own(TWO))
        body = self.get("large", **own(TWO))["Body"].read()
        upload = self.begin("parts", **own(ONE))
        self.refused(400, "InvalidRequest", self.part, key="parts", upload=upload, number=1)
        self.refused(400, "InvalidRequest", self.part, key="parts", upload=upload, number=1, **own(TWO))
        first = self.part("parts", upload, 1, body[:5 * MIB], **own(ONE))
        copy = dict(Bucket=self.bucket, Key="parts", UploadId=upload, PartNumber=2, CopySource=f"{self.bucket}/large",
                    CopySourceRange=f"bytes={5 * MIB}-{6 * MIB - 1}")
        self.refused(403, "AccessDenied", s3.upload_part_copy, **copy, **own(ONE), **source(ONE))
        self.refused(400, "InvalidRequest", s3.upload_part_copy, **copy, **own(ONE))
        second = s3.upload_part_copy(**copy, **own(ONE), **source(TWO))["CopyPartResult"]["ETag"]
        listed = s3.list_parts(Bucket=self.bucket, Key="parts", UploadId=upload, **written(ONE))
        self.assertEqual([part["Size"] for part in listed["Parts"]], [5 * MIB, MIB])
        wrong = dict(Bucket=self.bucket, Key="parts", UploadId=upload, **written(TWO))
        self.refused(400, "InvalidRequest", s3.list_parts, **wrong)
        parts = [first, {"PartNumber": 2, "ETag": second}]
        self.refused(400, "InvalidRequest", s3.complete_multipart_upload, MultipartUpload={"Parts": parts}, **wrong)
        self.complete("parts", upload, parts, **written(ONE))
        self.assertEqual(self.get("parts", **own(ONE))["Body"].read(), body)

    @works("customer's key", "customer's key of the source")
    def test_copies_between_keys_and_none(self):
        self.put("k", b"secret", **own(ONE))
        original = {"CopySource": f"{self.bucket}/k", **source(ONE)}
        s3.copy_object(Bucket=self.bucket, Key="clear", **original)
        self.assertEqual(self.get("clear")["Body"].read(), b"secret")
        s3.copy_object(Bucket=self.bucket, Key="again", CopySource=f"{self.bucket}/clear", **own(TWO))
        self.assertEqual(self.get("again", **own(TWO))["Body"].read(), b"secret")
        s3.copy_object(Bucket=self.bucket, Key="k", **original, **own(TWO))
        self.assertEqual(self.get("k", **own(TWO))["Body"].read(), b"secret")

    @refuses("customer's key of the source")
    def test_sources_without_their_key(self):
        self.put("k", **own(ONE))
        self.refused(400, "InvalidRequest", self.copy, key="no", source="k")
        self.refused(403, "AccessDenied", self.copy, key="no", source="k", **source(TWO))
        self.put("plain")
        self.refused(400, "InvalidRequest", self.copy, key="no", source="plain", **source(ONE))
        self.absent("no")

    def test_other_encryption_is_not_built(self):
        for kind in ("AES256", "aws:kms"):
            self.refused(501, "NotImplemented", self.put, key="no", ServerSideEncryption=kind)
        self.absent("no")
