"""Uploads in parts."""

import os

from base import MIB, Group, refuses, s3, signed, works

NONE = "0" * 32


class Multipart(Group):
    @works("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "upload", "number of a part", "parts of the whole")
    def test_completes_twice_with_one_list(self):
        upload, bodies = self.begin("k"), [os.urandom(5 * MIB), b"tail"]
        parts = [self.part("k", upload, 3 * n + 1, body) for n, body in enumerate(bodies)]
        first, again = self.complete("k", upload, parts), self.complete("k", upload, parts)
        self.assertEqual(first["ETag"], again["ETag"])
        self.assertTrue(first["ETag"].endswith('-2"'))
        self.assertEqual(self.get("k")["Body"].read(), b"".join(bodies))
        # By AWS's documentation partNumber counts the parts of the object as they were numbered.
        self.assertEqual(self.head("k", PartNumber=1)["PartsCount"], 2)

    @works("UploadPart")
    def test_parts_are_retried_out_of_order(self):
        upload, bodies = self.begin("order"), {1: os.urandom(5 * MIB), 2: b"tail"}
        self.part("order", upload, 2, b"an older tail")
        parts = {number: self.part("order", upload, number, bodies[number]) for number in (2, 1)}
        self.complete("order", upload, [parts[1], parts[2]])
        self.assertEqual(self.get("order")["Body"].read(), bodies[1] + bodies[2])

    @works("AbortMultipartUpload", "upload")
    def test_abort_ends_an_upload_and_nothing_else(self):
        self.put("aborted")
        upload = self.begin("aborted")
        self.part("aborted", upload, 1)
        s3.abort_multipart_upload(Bucket=self.bucket, Key="aborted", UploadId=upload)
        self.assertEqual(self.get("aborted")["Body"].read(), b"body")
        self.refused(404, "NoSuchUpload", self.part, key="aborted", upload=upload, number=1)

    @works("ListParts", "ListMultipartUploads", "page of parts", "page of uploads", "keys to list", "encoding of keys")
    def test_parts_and_uploads_page(self):
        uploads = [self.begin(f"page/{n}") for n in range(3)]
        for number in range(1, 6):
            self.part("page/0", uploads[0], number, b"x")
        pages = s3.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key="page/0", UploadId=uploads[0], PaginationConfig={"PageSize": 2})
        self.assertEqual([part["PartNumber"] for page in pages for part in page.get("Parts", [])], [1, 2, 3, 4, 5])
        pages = s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix="page/", EncodingType="url", PaginationConfig={"PageSize": 1})
        self.assertEqual([upload["UploadId"] for page in pages for upload in page.get("Uploads", [])], uploads)
        folded = s3.list_multipart_uploads(Bucket=self.bucket, Delimiter="/")
        self.assertEqual([prefix["Prefix"] for prefix in folded["CommonPrefixes"]], ["page/"])

    @refuses("upload")
    def test_uploads_that_are_none(self):
        of = dict(Bucket=self.bucket, Key="k")
        part = [{"PartNumber": 1, "ETag": '"0"'}]
        for upload in (NONE, "nonsense"):
            self.refused(404, "NoSuchUpload", self.part, key="k", upload=upload, number=1)
            self.refused(404, "NoSuchUpload", self.complete, key="none", upload=upload, parts=part)
            self.refused(404, "NoSuchUpload", s3.list_parts, UploadId=upload, **of)
            self.refused(404, "NoSuchUpload", s3.abort_multipart_upload, UploadId=upload, **of)
            self.refused(404, "NoSuchUpload", s3.upload_part_copy, UploadId=upload, PartNumber=1, CopySource=f"{self.bucket}/k", **of)
        upload = self.begin("one")
        self.refused(404, "NoSuchUpload", self.part, key="other", upload=upload, number=1)

    @refuses("number of a part")
    def test_numbers_have_bounds(self):
        upload = self.begin("bad")
        self.put("source")
        for number in (0, -1, 10001, "one"):
            self.refused(400, "InvalidArgument", self.part, key="bad", upload=upload, number=number)
            self.refused(400, "InvalidArgument", s3.upload_part_copy, Bucket=self.bucket, Key="bad", UploadId=upload,
                         PartNumber=number, CopySource=f"{self.bucket}/source")
        self.assertNotIn("Parts", s3.list_parts(Bucket=self.bucket, Key="bad", UploadId=upload))

    @refuses("page of parts", "page of uploads")
    def test_bad_pages(self):
        upload = self.begin("bad")
        of = dict(Bucket=self.bucket, Key="bad", UploadId=upload)
        for size in (-1, "many"):
            self.refused(400, "InvalidArgument", s3.list_parts, MaxParts=size, **of)
            self.refused(400, "InvalidArgument", s3.list_parts, PartNumberMarker=size, **of)
            self.refused(400, "InvalidArgument", s3.list_multipart_uploads, Bucket=self.bucket, MaxUploads=size)

    @refuses("parts of the whole")
    def test_lists_that_are_not_the_parts(self):
        upload = self.begin("bad")
        parts = [self.part("bad", upload, n, b"small") for n in (1, 2)]
        self.refused(400, "EntityTooSmall", self.complete, key="bad", upload=upload, parts=parts)
        self.refused(400, "InvalidPartOrder", self.complete, key="bad", upload=upload, parts=parts[::-1])
        wrong = [{"PartNumber": 1, "ETag": '"' + NONE + '"'}]
        self.refused(400, "InvalidPart", self.complete, key="bad", upload=upload, parts=wrong)
        missing = [{**parts[1], "PartNumber": 3}]
        self.refused(400, "InvalidPart", self.complete, key="bad", upload=upload, parts=missing)
        empty = signed("CompleteMultipartUpload", "POST", self.path("bad", f"uploadId={upload}"), body=b"<CompleteMultipartUpload/>")
        self.denied(400, "MalformedXML", empty)
        # None of it has ended the upload.
        s3.complete_multipart_upload(Bucket=self.bucket, Key="bad", UploadId=upload, MultipartUpload={"Parts": parts[:1]})
        self.assertEqual(self.get("bad")["Body"].read(), b"small")

    def test_of_nothing(self):
        of = dict(Bucket="no-such-bucket-here", Key="k")
        self.refused(404, "NoSuchBucket", s3.create_multipart_upload, **of)
        self.refused(404, "NoSuchBucket", s3.list_multipart_uploads, Bucket="no-such-bucket-here")
        self.refused(400, "KeyTooLongError", self.begin, key="k" * 1025)
