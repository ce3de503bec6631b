"""Objects: bytes, headers, metadata, versions and deletion."""

import hashlib
import http.client
import os

from base import ENDPOINT, MIB, Group, Sent, log, refuses, s3, signed, works

NONE = "no-such-bucket-here"
KEPT = {
    "ContentType": "text/x", "CacheControl": "max-age=1", "ContentLanguage": "de", "ContentDisposition": "inline",
    "ContentEncoding": "gzip", "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
}
KEYS = ("a//b", "/a", "a/", ".", "..", "a/../b", "+", "%", "a b", "?", "#", "&", "'\"", "<>&", "😀", "é", "k" * 1024)


class Objects(Group):
    @works("PutObject", "GetObject", "HeadObject", "body's length")
    def test_bytes_come_back(self):
        for size in (0, 1, 8192, 8193, MIB + 1):
            body = os.urandom(size)
            etag = self.put(f"size/{size}", body)["ETag"]
            self.assertEqual(etag, f'"{hashlib.md5(body).hexdigest()}"')
            got = self.get(f"size/{size}")
            self.assertEqual((got["Body"].read(), got["ETag"], got["ContentLength"]), (body, etag, size))
            self.assertEqual(self.head(f"size/{size}")["ContentLength"], size)

    @works("PutObject", "GetObject")
    def test_keys_stay_what_they_are(self):
        for key in KEYS:
            self.put(key, key.encode())
        for key in KEYS:
            self.assertEqual(self.get(key)["Body"].read(), key.encode(), key)

    @works("kept headers", "metadata", "requester pays", "headers of the answer")
    def test_headers_come_back(self):
        kept = KEPT
        self.put("k", Metadata={"a": "b", "c-d": "e f"}, RequestPayer="requester", **kept)
        for read in (self.head, self.get):
            head = read("k")
            head["Expires"] = head.pop("ExpiresString")
            self.assertEqual({name: head[name] for name in kept}, kept)
            self.assertEqual(head["Metadata"], {"a": "b", "c-d": "e f"})
            other = {
                "ContentType": "text/y", "CacheControl": "no-store", "ContentLanguage": "fr",
                "ContentDisposition": "attachment", "ContentEncoding": "br", "Expires": "Fri, 02 Jan 2032 00:00:00 GMT",
            }
            got = read("k", **{f"Response{name}": value for name, value in other.items()})
            got["Expires"] = got.pop("ExpiresString")
            self.assertEqual({name: got[name] for name in other}, other)

    @refuses("headers of the answer")
    def test_answers_are_not_split(self):
        self.put("k")
        for name in ("ResponseContentType", "ResponseCacheControl"):
            self.refused(400, "InvalidArgument", self.get, key="k", **{name: "a\r\nSet-Cookie: b"})
            self.refused(400, "400", self.head, key="k", **{name: "a\r\nSet-Cookie: b"})

    @works("kept headers", "metadata", "redirect of a site", "storage class", "canned ACL")
    def test_every_way_to_store_keeps_what_is_asked(self):
        asked = {"Metadata": {"m": "1"}, "WebsiteRedirectLocation": "/there", "StorageClass": "STANDARD",
                 "ACL": "bucket-owner-full-control", **KEPT}
        self.put("way/put", **asked)
        self.copy("way/copy", "way/put", MetadataDirective="REPLACE", **asked)
        upload = self.begin("way/parts", **asked)
        self.complete("way/parts", upload, [self.part("way/parts", upload, 1)])
        for key in ("way/put", "way/copy", "way/parts"):
            head = self.head(key)
            head["Expires"] = head.pop("ExpiresString")
            self.assertEqual({name: head[name] for name in KEPT}, KEPT, key)
            self.assertEqual((head["Metadata"], head["WebsiteRedirectLocation"]), ({"m": "1"}, "/there"), key)
            self.assertEqual(self.get(key)["WebsiteRedirectLocation"], "/there")

    def stores(self):
        """Each way to store something under `no`, as a call that takes more arguments."""
        self.put("source")
        yield s3.put_object, dict(Bucket=self.bucket, Key="no", Body=b"x")
        yield s3.create_multipart_upload, dict(Bucket=self.bucket, Key="no")
        yield s3.copy_object, dict(Bucket=self.bucket, Key="no", CopySource=f"{self.bucket}/source")

    @refuses("metadata")
    def test_metadata_is_bounded(self):
        for call, arguments in self.stores():
            replaced = {"MetadataDirective": "REPLACE"} if call.__name__ == "copy_object" else {}
            self.refused(400, "MetadataTooLarge", call, Metadata={"a": "v" * 2048}, **arguments, **replaced)
        self.absent("no")

    @refuses("redirect of a site")
    def test_redirects_lead_to_a_page(self):
        for call, arguments in self.stores():
            for to in ("there", "ftp://elsewhere/"):
                self.refused(400, "InvalidRedirectLocation", call, WebsiteRedirectLocation=to, **arguments)
        self.absent("no")

    @refuses("storage class")
    def test_other_storage_classes(self):
        for call, arguments in self.stores():
            self.refused(501, "NotImplemented", call, StorageClass="GLACIER", **arguments)
            self.refused(400, "InvalidStorageClass", call, StorageClass="FAST", **arguments)
        self.absent("no")

    @refuses("canned ACL")
    def test_other_canned_acls(self):
        for call, arguments in self.stores():
            self.refused(501, "NotImplemented", call, ACL="public-read", **arguments)
        self.absent("no")

    def test_bad_keys_and_buckets(self):
        self.refused(404, "NoSuchKey", self.get, key="missing")
        self.refused(404, "404", self.head, key="missing")
        self.refused(404, "NoSuchBucket", s3.put_object, Bucket=NONE, Key="k", Body=b"")
        self.refused(404, "NoSuchBucket", s3.get_object, Bucket=NONE, Key="k")
        self.refused(400, "KeyTooLongError", self.put, key="k" * 1025)

    @refuses("body's length")
    def test_a_body_says_how_long_it_is(self):
        of = {"Bucket": self.bucket, "Key": "no"}
        part = {**of, "UploadId": self.begin("no"), "PartNumber": 1}
        large = {"Content-Length": str(5 * 1024 * MIB + 1), "Expect": "100-continue"}
        for operation, method, arguments, headers, status, code in (
            ("PutObject", "put_object", of, {"Transfer-Encoding": "chunked"}, 411, "MissingContentLength"),
            ("PutObject", "put_object", of, large, 400, "EntityTooLarge"),
            ("UploadPart", "upload_part", part, large, 400, "EntityTooLarge"),
        ):
            presigned = s3.generate_presigned_url(method, Params=arguments)
            target = presigned.partition(ENDPOINT.netloc)[2]
            log.append(Sent(operation, presigned, headers, b""))
            connection = http.client.HTTPConnection(ENDPOINT.hostname, ENDPOINT.port, timeout=30)
            connection.putrequest("PUT", target)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            if "Transfer-Encoding" in headers:
                connection.send(b"1\r\nx\r\n0\r\n\r\n")
            reply = connection.getresponse()
            body = reply.read().decode()
            connection.close()
            self.assertEqual((reply.status, f"<Code>{code}</Code>" in body), (status, True), body)
            self.note_refusal(log[-1])
        self.absent("no")

    @works("leave to send the body")
    def test_a_body_waits_for_leave(self):
        answer = signed("PutObject", "PUT", self.path("waited"), {"Expect": "100-continue"}, b"patient")
        self.assertEqual((answer.status, self.get("waited")["Body"].read()), (200, b"patient"))


class Deletion(Group):
    @works("DeleteObject", "version", "deletion of what is locked")
    def test_of_one(self):
        self.put("k")
        s3.delete_object(Bucket=self.bucket, Key="k", VersionId="null", BypassGovernanceRetention=False)
        self.absent("k")
        s3.delete_object(Bucket=self.bucket, Key="never-was")

    @works("version")
    def test_the_version_is_null(self):
        self.put("k")
        self.assertEqual(self.get("k", VersionId="null")["Body"].read(), b"body")
        self.assertEqual(self.head("k", VersionId="null")["ContentLength"], 4)
        seen = s3.get_object_attributes(Bucket=self.bucket, Key="k", VersionId="null", ObjectAttributes=["ObjectSize"])
        self.assertEqual(seen["ObjectSize"], 4)

    @refuses("version")
    def test_other_versions_are_not_there(self):
        self.put("k")
        other = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
        self.refused(404, "NoSuchVersion", self.get, key="k", VersionId=other)
        self.refused(404, "404", self.head, key="k", VersionId=other)
        self.refused(400, "InvalidArgument", self.get, key="k", VersionId="")
        of = dict(Bucket=self.bucket, Key="k", VersionId=other)
        for read in (s3.get_object_tagging, s3.get_object_acl, s3.get_object_retention, s3.get_object_legal_hold, s3.delete_object):
            self.refused(404, "NoSuchVersion", read, **of)
        self.refused(404, "NoSuchVersion", s3.get_object_attributes, ObjectAttributes=["ETag"], **of)
        self.assertEqual(self.get("k")["Body"].read(), b"body")

    @refuses("deletion of what is locked")
    def test_what_is_not_built(self):
        self.put("k")
        many = {"Objects": [{"Key": "k"}]}
        self.refused(501, "NotImplemented", s3.delete_object, Bucket=self.bucket, Key="k", MFA="serial 123456")
        self.refused(501, "NotImplemented", s3.delete_object, Bucket=self.bucket, Key="k", BypassGovernanceRetention=True)
        self.refused(501, "NotImplemented", s3.delete_objects, Bucket=self.bucket, Delete=many, BypassGovernanceRetention=True)
        self.assertEqual(self.get("k")["Body"].read(), b"body")

    @works("DeleteObjects", "keys to delete", "version to delete", "errors only", "deletion of what is locked")
    def test_of_many(self):
        self.put("k1")
        wanted = [{"Key": "k1", "VersionId": "null"}, {"Key": "k2"}]
        reply = s3.delete_objects(Bucket=self.bucket, Delete={"Objects": wanted}, BypassGovernanceRetention=False)
        self.assertEqual([item["Key"] for item in reply["Deleted"]], ["k1", "k2"])
        self.absent("k1")
        quiet = s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "k3"}], "Quiet": True})
        self.assertNotIn("Deleted", quiet)

    @refuses("keys to delete")
    def test_lists_are_bounded_and_whole(self):
        self.put("kept")
        many = [{"Key": f"n{n}"} for n in range(1001)]
        self.refused(400, "MalformedXML", s3.delete_objects, Bucket=self.bucket, Delete={"Objects": many})
        for document in (b"<Delete/>", b"<Delete><Object/></Delete>", b"<Gone><Object><Key>kept</Key></Object></Gone>"):
            self.denied(400, "MalformedXML", signed("DeleteObjects", "POST", self.path(query="delete"), body=document, md5=True))
        self.assertEqual(self.get("kept")["Body"].read(), b"body")

    @refuses("errors only")
    def test_quiet_is_yes_or_no(self):
        for quiet in (b"maybe", b"2"):
            document = b"<Delete><Quiet>" + quiet + b"</Quiet><Object><Key>kept</Key></Object></Delete>"
            self.denied(400, "MalformedXML", signed("DeleteObjects", "POST", self.path(query="delete"), body=document, md5=True))

    def one_error(self, code, **entry):
        """The list is answered 200; its entry is refused."""
        reply = s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "kept", **entry}]})
        self.assertEqual([error["Code"] for error in reply["Errors"]], [code])
        self.assertNotIn("Deleted", reply)
        self.note_refusal(log[-1])
        self.assertEqual(self.get("kept")["Body"].read(), b"body")

    @works("entity tag to delete")
    @refuses("entity tag to delete", "version to delete")
    def test_entries_are_judged_each(self):
        etag = self.put("kept")["ETag"]
        self.one_error("PreconditionFailed", ETag='"0"')
        self.one_error("PreconditionFailed", ETag='"' + "0" * 32 + '"')
        for version in ("3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY", "0" * 32):
            self.one_error("NoSuchVersion", VersionId=version)
        s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "kept", "ETag": etag}]})
        self.absent("kept")

    def test_a_list_comes_with_its_digest(self):
        self.put("kept")
        document = b"<Delete><Object><Key>kept</Key></Object></Delete>"
        answer = signed("DeleteObjects", "POST", self.path(query="delete"), body=document)
        self.denied(400, "InvalidRequest", answer)
        self.assertIn("Content-MD5", answer.element("Message"))
        wrong = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
        self.denied(400, "BadDigest", signed("DeleteObjects", "POST", self.path(query="delete"), wrong, document))
        self.assertEqual(self.get("kept")["Body"].read(), b"body")
