"""Copies of objects and of parts; attributes of objects."""

import base64
import hashlib
import os
from datetime import timedelta

from base import MIB, Group, refuses, s3, signed, works

WRONG = '"' + "0" * 32 + '"'


class Copies(Group):
    @works("CopyObject", "source", "what becomes of metadata", "what becomes of tags", "checksum to make")
    def test_keep_or_replace(self):
        body = os.urandom(2 * MIB)
        self.put("src %+é", body, Metadata={"a": "b"}, ContentType="text/x")
        self.copy("kept", "src %+é", TaggingDirective="COPY", ChecksumAlgorithm="SHA256")
        kept = self.head("kept", ChecksumMode="ENABLED")
        self.assertEqual((kept["Metadata"], kept["ContentType"]), ({"a": "b"}, "text/x"))
        self.assertEqual(kept["ChecksumSHA256"], base64.b64encode(hashlib.sha256(body).digest()).decode())
        self.copy("kept", "kept", MetadataDirective="REPLACE", Metadata={"c": "d"}, TaggingDirective="REPLACE")
        got = self.get("kept")
        self.assertEqual((got["Metadata"], got["Body"].read()), ({"c": "d"}, body))

    @works("what becomes of annotations")
    def test_there_are_no_annotations_to_copy(self):
        self.put("plain")
        for directive in ("COPY", "EXCLUDE"):
            headers = {"x-amz-copy-source": f"{self.bucket}/plain", "x-amz-object-annotation-directive": directive}
            self.assertEqual(signed("CopyObject", "PUT", self.path("copied"), headers).status, 200)

    @works("entity tag of the source", "date of the source", "expected owner of the source", "expected owner")
    def test_conditions_that_hold(self):
        etag = self.put("one")["ETag"]
        modified, owner = self.head("one")["LastModified"], s3.list_buckets()["Owner"]["ID"]
        held = dict(CopySourceIfMatch=etag, CopySourceIfUnmodifiedSince=modified, ExpectedSourceBucketOwner=owner, ExpectedBucketOwner=owner)
        self.copy("two", "one", **held)
        self.copy("two", "one", CopySourceIfNoneMatch=WRONG, CopySourceIfModifiedSince=modified - timedelta(days=1))
        upload = self.begin("two")
        for number, more in ((1, held), (2, dict(CopySourceIfNoneMatch=WRONG, CopySourceIfModifiedSince=modified - timedelta(days=1)))):
            self.part_of("one", upload, number, **more)

    def part_of(self, source, upload, number, **more):
        return s3.upload_part_copy(Bucket=self.bucket, Key="two", UploadId=upload, PartNumber=number,
                                   CopySource={"Bucket": self.bucket, "Key": source}, **more)

    @refuses("entity tag of the source", "date of the source")
    def test_conditions_that_do_not_hold(self):
        etag = self.put("one")["ETag"]
        modified = self.head("one")["LastModified"]
        upload = self.begin("two")
        for wrong in (
            dict(CopySourceIfMatch=WRONG),
            dict(CopySourceIfNoneMatch=etag),
            dict(CopySourceIfModifiedSince=modified),
            dict(CopySourceIfUnmodifiedSince=modified - timedelta(days=1)),
        ):
            self.refused(412, "PreconditionFailed", self.copy, key="no", source="one", **wrong)
            self.refused(412, "PreconditionFailed", self.part_of, source="one", upload=upload, number=1, **wrong)
        self.absent("no")

    @refuses("source")
    def test_sources_that_are_none(self):
        upload = self.begin("two")
        self.refused(404, "NoSuchKey", self.copy, key="no", source="missing")
        self.refused(404, "NoSuchKey", self.part_of, source="missing", upload=upload, number=1)
        self.refused(404, "NoSuchBucket", s3.copy_object, Bucket=self.bucket, Key="no", CopySource="no-such-bucket-here/k")
        for source in ("nothing", "/", "%zz/k"):
            self.denied(400, "InvalidArgument", signed("CopyObject", "PUT", self.path("no"), {"x-amz-copy-source": source}))
        self.put("one")
        self.denied(404, "NoSuchVersion", signed(
            "CopyObject", "PUT", self.path("no"), {"x-amz-copy-source": f"{self.bucket}/one?versionId=3sL4kqtJlcpXroDTDmJ"}))
        self.absent("no")

    @refuses("expected owner of the source")
    def test_sources_of_others(self):
        self.put("one")
        upload = self.begin("two")
        self.refused(403, "AccessDenied", self.copy, key="no", source="one", ExpectedSourceBucketOwner="123456789012")
        self.refused(403, "AccessDenied", self.part_of, source="one", upload=upload, number=1, ExpectedSourceBucketOwner="123456789012")
        self.absent("no")

    @refuses("what becomes of metadata")
    def test_onto_itself_something_changes(self):
        self.put("one", Metadata={"a": "b"})
        self.refused(400, "InvalidRequest", self.copy, key="one", source="one")
        self.refused(400, "InvalidRequest", self.copy, key="one", source="one", MetadataDirective="COPY")
        self.refused(400, "InvalidArgument", self.copy, key="two", source="one", MetadataDirective="MERGE")
        self.assertEqual(self.head("one")["Metadata"], {"a": "b"})

    @works("UploadPartCopy", "range of the source", "source")
    def test_parts_of_a_source(self):
        body = os.urandom(6 * MIB)
        self.put("large", body)
        upload, parts = self.begin("two"), []
        for number, span in ((1, f"0-{5 * MIB - 1}"), (2, f"{5 * MIB}-{6 * MIB - 1}")):
            part = self.part_of("large", upload, number, CopySourceRange=f"bytes={span}")
            parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
        self.complete("two", upload, parts)
        self.assertEqual(self.get("two")["Body"].read(), body)

    @refuses("range of the source")
    def test_ranges_a_source_has_not(self):
        self.put("small", b"0123456789")
        upload = self.begin("two")
        for span in ("bytes=5-", "bytes=-5", "0-5", "bytes=5-2"):
            self.refused(400, "InvalidArgument", self.part_of, source="small", upload=upload, number=1, CopySourceRange=span)
        self.refused(416, "InvalidRange", self.part_of, source="small", upload=upload, number=1, CopySourceRange="bytes=5-10")
        self.assertNotIn("Parts", s3.list_parts(Bucket=self.bucket, Key="two", UploadId=upload))


class Attributes(Group):
    def of(self, key, *names, **more):
        return s3.get_object_attributes(Bucket=self.bucket, Key=key, ObjectAttributes=list(names), **more)

    @works("GetObjectAttributes", "wanted attributes")
    def test_what_is_asked_for(self):
        self.put("k", b"12345", ChecksumAlgorithm="SHA256")
        got = self.of("k", "ETag", "ObjectSize", "Checksum", "StorageClass")
        self.assertEqual((got["ObjectSize"], got["StorageClass"]), (5, "STANDARD"))
        self.assertEqual(got["Checksum"]["ChecksumSHA256"], base64.b64encode(hashlib.sha256(b"12345").digest()).decode())
        self.assertNotIn('"', got["ETag"])
        self.assertNotIn("ETag", self.of("k", "ObjectSize"))

    @works("page of attributes' parts")
    def test_parts_page(self):
        made = s3.create_multipart_upload(Bucket=self.bucket, Key="parts", ChecksumAlgorithm="CRC32", ChecksumType="COMPOSITE")
        sent = []
        for number, body in ((1, os.urandom(5 * MIB)), (2, os.urandom(5 * MIB)), (3, b"x")):
            part = s3.upload_part(Bucket=self.bucket, Key="parts", UploadId=made["UploadId"], PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
            sent.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
        self.complete("parts", made["UploadId"], sent)
        first = self.of("parts", "ObjectParts", MaxParts=2)["ObjectParts"]
        self.assertEqual((first["TotalPartsCount"], first["IsTruncated"], first["NextPartNumberMarker"]), (3, True, 2))
        rest = self.of("parts", "ObjectParts", MaxParts=2, PartNumberMarker=2)["ObjectParts"]
        self.assertEqual([(part["PartNumber"], part["Size"]) for part in rest["Parts"]], [(3, 1)])

    @refuses("wanted attributes")
    def test_attributes_that_are_none(self):
        self.put("k")
        self.refused(400, "InvalidArgument", s3.get_object_attributes, Bucket=self.bucket, Key="k", ObjectAttributes=["Color"])
        self.denied(400, "InvalidRequest", signed("GetObjectAttributes", "GET", self.path("k", "attributes=")))
        self.refused(404, "NoSuchKey", s3.get_object_attributes, Bucket=self.bucket, Key="no", ObjectAttributes=["ETag"])

    @refuses("page of attributes' parts")
    def test_bad_pages(self):
        self.put("k")
        ask = dict(Bucket=self.bucket, Key="k", ObjectAttributes=["ObjectParts"])
        self.refused(400, "InvalidArgument", s3.get_object_attributes, MaxParts=-1, **ask)
        self.refused(400, "InvalidArgument", s3.get_object_attributes, PartNumberMarker="one", **ask)
