"""Conditions on reads and writes; ranges and parts of objects."""

import os
from datetime import timedelta

from base import MIB, Group, refuses, s3, signed, works

WRONG = '"' + "0" * 32 + '"'


class Conditional(Group):
    @works("entity tag of a read", "date of a read")
    def test_reads_whose_conditions_hold(self):
        etag = self.put("k")["ETag"]
        modified = self.head("k")["LastModified"]
        before, later = modified - timedelta(days=1), modified + timedelta(days=1)
        for read in (self.get, self.head):
            read("k", IfMatch=etag, IfUnmodifiedSince=modified)
            read("k", IfMatch=f'{WRONG}, {etag}')
            read("k", IfMatch="*", IfNoneMatch=WRONG)
            read("k", IfModifiedSince=before)
            # By AWS's documentation If-Match outweighs a date that does not hold, If-None-Match likewise.
            read("k", IfMatch=etag, IfUnmodifiedSince=before)
            read("k", IfNoneMatch=WRONG, IfModifiedSince=later)

    @refuses("entity tag of a read", "date of a read")
    def test_reads_whose_conditions_do_not_hold(self):
        etag = self.put("k")["ETag"]
        modified = self.head("k")["LastModified"]
        before = modified - timedelta(days=1)
        for read, code in ((self.get, "PreconditionFailed"), (self.head, "412")):
            self.refused(304, "304", read, key="k", IfNoneMatch=etag)
            self.refused(304, "304", read, key="k", IfNoneMatch=etag, IfModifiedSince=before)
            self.refused(304, "304", read, key="k", IfModifiedSince=modified)
            self.refused(412, code, read, key="k", IfMatch=WRONG)
            self.refused(412, code, read, key="k", IfUnmodifiedSince=before)

    @works("entity tag of a write", "only where there is none")
    def test_writes_whose_conditions_hold(self):
        etag = self.put("held", IfNoneMatch="*")["ETag"]
        etag = self.put("held", b"two", IfMatch=etag)["ETag"]
        self.copy("made", "held", IfNoneMatch="*")
        self.copy("made", "held", IfMatch=etag)
        upload = self.begin("held")
        etag = self.complete("held", upload, [self.part("held", upload, 1)], IfMatch=etag)["ETag"]
        upload = self.begin("new")
        self.complete("new", upload, [self.part("new", upload, 1)], IfNoneMatch="*")
        s3.delete_object(Bucket=self.bucket, Key="held", IfMatch=etag)
        self.absent("held")

    @refuses("entity tag of a write")
    def test_writes_over_something_else(self):
        self.put("w")
        upload = self.begin("w")
        parts = [self.part("w", upload, 1)]
        self.refused(412, "PreconditionFailed", self.put, key="w", body=b"x", IfMatch=WRONG)
        self.refused(412, "PreconditionFailed", self.copy, key="w", source="w", MetadataDirective="REPLACE", IfMatch=WRONG)
        self.refused(412, "PreconditionFailed", self.complete, key="w", upload=upload, parts=parts, IfMatch=WRONG)
        self.refused(412, "PreconditionFailed", s3.delete_object, Bucket=self.bucket, Key="w", IfMatch=WRONG)
        self.assertEqual(self.get("w")["Body"].read(), b"body")
        self.refused(404, "NoSuchKey", self.put, key="missing", IfMatch=WRONG)
        self.absent("missing")

    @refuses("only where there is none")
    def test_writes_where_something_is(self):
        etag = self.put("w")["ETag"]
        upload = self.begin("w")
        parts = [self.part("w", upload, 1)]
        self.refused(412, "PreconditionFailed", self.put, key="w", body=b"x", IfNoneMatch="*")
        self.refused(412, "PreconditionFailed", self.copy, key="w", source="w", MetadataDirective="REPLACE", IfNoneMatch="*")
        self.refused(412, "PreconditionFailed", self.complete, key="w", upload=upload, parts=parts, IfNoneMatch="*")
        self.refused(501, "NotImplemented", self.put, key="w", body=b"x", IfNoneMatch=etag)
        self.assertEqual(self.get("w")["Body"].read(), b"body")


class Ranges(Group):
    @works("range")
    def test_of_every_form(self):
        body = os.urandom(2 * MIB + 5)
        self.put("k", body)
        for text, part in (("0-0", body[:1]), (f"{MIB - 2}-{MIB + 2}", body[MIB - 2:MIB + 3]), ("-7", body[-7:]), ("9-", body[9:])):
            got = self.get("k", Range=f"bytes={text}")
            self.assertEqual((got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()), (206, part))
            self.assertEqual(self.head("k", Range=f"bytes={text}")["ContentLength"], len(part))

    @refuses("range")
    def test_beyond_the_end(self):
        self.put("s", b"0123")
        self.put("empty", b"")
        self.refused(416, "InvalidRange", self.get, key="s", Range="bytes=4-")
        self.refused(416, "InvalidRange", self.get, key="empty", Range="bytes=0-0")
        self.refused(416, "InvalidRange", self.get, key="s", Range="bytes=-0")
        self.refused(416, "416", self.head, key="s", Range="bytes=4-")

    @works("part of an object")
    def test_parts_are_read_by_their_number(self):
        upload, first = self.begin("parts"), os.urandom(5 * MIB)
        self.complete("parts", upload, [self.part("parts", upload, 1, first), self.part("parts", upload, 2, b"tail")])
        got = self.get("parts", PartNumber=2)
        self.assertEqual((got["Body"].read(), got["PartsCount"], got["ContentRange"]),
                         (b"tail", 2, f"bytes {5 * MIB}-{5 * MIB + 3}/{5 * MIB + 4}"))
        self.assertEqual(self.head("parts", PartNumber=1)["ContentLength"], 5 * MIB)
        self.put("whole")
        self.assertEqual(self.get("whole", PartNumber=1)["Body"].read(), b"body")

    @refuses("part of an object")
    def test_parts_that_are_none(self):
        self.put("s", b"0123")
        self.refused(416, "InvalidPartNumber", self.get, key="s", PartNumber=2)
        self.refused(416, "416", self.head, key="s", PartNumber=2)
        self.refused(400, "InvalidRequest", self.get, key="s", Range="bytes=0-0", PartNumber=1)
        for number in (0, 10001):
            self.refused(400, "InvalidArgument", self.get, key="s", PartNumber=number)
        self.denied(400, "InvalidArgument", signed("GetObject", "GET", self.path("s", "partNumber=x")))
