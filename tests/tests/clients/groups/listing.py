"""Listings of objects, of versions, of uploads."""

from base import Group, refuses, s3, signed, works

NONE = "no-such-bucket-here"
LISTINGS = (s3.list_objects, s3.list_objects_v2, s3.list_object_versions)


class Listing(Group):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.names = sorted(["a", "b/1", "b/2", "c/1/x", "d e", "z&<", "é"], key=str.encode)
        for name in cls.names:
            s3.put_object(Bucket=cls.bucket, Key=name, Body=b"")

    @works("ListObjects", "ListObjectsV2", "ListObjectVersions", "size of a page", "token of the next page",
           "key to go on from", "version to go on from", "second version of the listing", "encoding of keys")
    def test_pages_in_byte_order(self):
        for call in LISTINGS:
            pages = s3.get_paginator(call.__name__).paginate(Bucket=self.bucket, PaginationConfig={"PageSize": 2})
            keys = [item["Key"] for page in pages for item in page.get("Contents", page.get("Versions", []))]
            self.assertEqual(keys, self.names, call.__name__)
        after = s3.list_object_versions(Bucket=self.bucket, KeyMarker="b/1", VersionIdMarker="null", MaxKeys=1)
        self.assertEqual(after["Versions"][0]["Key"], "b/2")

    @works("keys to list", "encoding of keys")
    def test_prefixes_and_delimiters(self):
        for call in LISTINGS:
            folded = call(Bucket=self.bucket, Delimiter="/")
            self.assertEqual([prefix["Prefix"] for prefix in folded["CommonPrefixes"]], ["b/", "c/"])
            below = call(Bucket=self.bucket, Prefix="b/")
            self.assertEqual([item["Key"] for item in below.get("Contents", below.get("Versions"))], ["b/1", "b/2"])
            self.assertNotIn("Contents", call(Bucket=self.bucket, Prefix="none/"))
        self.assertEqual(s3.list_objects(Bucket=self.bucket, Delimiter="/", MaxKeys=2)["NextMarker"], "b/")
        answer = signed("ListObjectsV2", "GET", self.path(query="list-type=2&encoding-type=url&prefix=z"))
        self.assertEqual(answer.element("Key"), "z%26%3C")

    @works("key to start after", "owner in the listing", "restore status in the listing", "size of a page")
    def test_what_else_is_asked(self):
        after = s3.list_objects_v2(Bucket=self.bucket, StartAfter="b/1", FetchOwner=True)
        self.assertEqual(after["Contents"][0]["Key"], "b/2")
        self.assertIn("Owner", after["Contents"][0])
        self.assertNotIn("Owner", s3.list_objects_v2(Bucket=self.bucket)["Contents"][0])
        for call in LISTINGS:
            none = call(Bucket=self.bucket, MaxKeys=0)
            self.assertEqual((none["IsTruncated"], none["MaxKeys"]), (False, 0))
            shown = call(Bucket=self.bucket, OptionalObjectAttributes=["RestoreStatus"])
            self.assertNotIn("RestoreStatus", shown.get("Contents", shown.get("Versions"))[0])

    @refuses("size of a page")
    def test_bad_sizes(self):
        for call in LISTINGS:
            self.refused(400, "InvalidArgument", call, Bucket=self.bucket, MaxKeys=-1)
            self.refused(400, "InvalidArgument", call, Bucket=self.bucket, MaxKeys="many")

    @refuses("encoding of keys")
    def test_bad_encodings(self):
        for call in (*LISTINGS, s3.list_multipart_uploads):
            self.refused(400, "InvalidArgument", call, Bucket=self.bucket, EncodingType="base64")

    @refuses("token of the next page")
    def test_bad_tokens(self):
        for token in ("none of ours", "MDA="):
            self.refused(400, "InvalidArgument", s3.list_objects_v2, Bucket=self.bucket, ContinuationToken=token)
        self.denied(400, "InvalidArgument", signed("ListObjectsV2", "GET", self.path(query="continuation-token=&list-type=2")))

    @refuses("second version of the listing")
    def test_there_is_no_third(self):
        for version in ("3", "two"):
            self.denied(400, "InvalidArgument", signed("ListObjectsV2", "GET", self.path(query=f"list-type={version}")))

    @refuses("version to go on from")
    def test_bad_markers_of_versions(self):
        self.refused(400, "InvalidArgument", s3.list_object_versions, Bucket=self.bucket, VersionIdMarker="null")
        self.refused(400, "InvalidArgument", s3.list_object_versions, Bucket=self.bucket, KeyMarker="a", VersionIdMarker="none of ours")

    def test_of_nothing(self):
        for call in LISTINGS:
            self.refused(404, "NoSuchBucket", call, Bucket=NONE)
