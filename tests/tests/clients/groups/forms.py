"""Uploads by HTML forms, as a browser sends them: plain HTTP with what boto3 signed."""

import base64
import hashlib
import os
import uuid

from base import ALGORITHMS, FIELDS, MIB, Group, plain, refuses, s3, works


class Forms(Group):
    def sign(self, key, fields=None, conditions=None, expires=60):
        return s3.generate_presigned_post(self.bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=expires)

    def covered(self, key, **fields):
        """A form with these fields, all of which its policy allows."""
        fields = {name.replace("_", "-") if name.startswith(("x_", "Content", "Cache")) else name: value for name, value in fields.items()}
        return self.sign(key, fields, [{name: value} for name, value in fields.items()])

    def send(self, post, file=b"meow", filename="cat.jpg", without=(), **more):
        boundary = uuid.uuid4().hex
        fields = {name: value for name, value in {**post["fields"], **more}.items() if name not in without}
        parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
        head = f'{parts}--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        body = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
        return plain("POST Object", "POST", post["url"], {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body)

    @works("POST Object", "proof of a form", "object of a form")
    def test_files_are_stored(self):
        for size in (0, 1, 8193, MIB + 1):
            body = os.urandom(size)
            answer = self.send(self.sign("plain"), body)
            self.assertEqual((answer.status, self.get("plain")["Body"].read()), (204, body))
            self.assertEqual(answer.headers["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
        self.assertEqual(self.send(self.sign("user/${filename}"), filename="C:\\pictures\\my cat.jpg").status, 204)
        self.assertEqual(self.get("user/my cat.jpg")["Body"].read(), b"meow")
        named = self.covered("named", bucket=self.bucket)
        self.assertEqual(self.send(named).status, 204)

    @works("answer to a form")
    def test_answers_are_what_is_asked(self):
        answer = self.send(self.covered("made", success_action_status="201"))
        self.assertEqual((answer.status, answer.element("Key"), answer.element("Bucket")), (201, "made", self.bucket))
        self.assertEqual(self.send(self.covered("made", success_action_status="200")).status, 200)
        self.assertEqual(self.send(self.covered("made", success_action_status="418")).status, 204)
        for field in ("success_action_redirect", "redirect"):
            to = "https://page.example/done"
            answer = self.send(self.covered("made", **{field: to}))
            self.assertEqual(answer.status, 303)
            self.assertTrue(answer.headers["Location"].startswith(f"{to}?bucket={self.bucket}&key=made&etag=%22"))

    @works("kept headers of a form", "canned ACL of a form", "storage class of a form", "checksum of a form's file",
           "customer's key of a form", "session of a form")
    def test_fields_are_headers(self):
        kept = {"Content-Type": "image/png", "Cache-Control": "no-store", "Content-Disposition": "inline",
                "Content-Encoding": "gzip", "Content-Language": "de", "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
                "x-amz-website-redirect-location": "/there", "x-amz-meta-a": "1", "acl": "private",
                "x-amz-storage-class": "STANDARD", "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(b"meow").digest()).decode(),
                "Content-MD5": base64.b64encode(hashlib.md5(b"meow").digest()).decode(), "x-amz-security-token": ""}
        answer = self.send(self.sign("kept", kept, [{name: value} for name, value in kept.items()]))
        self.assertEqual(answer.status, 204, answer.body)
        head = self.head("kept", ChecksumMode="ENABLED")
        self.assertEqual((head["ContentType"], head["CacheControl"], head["Metadata"]), ("image/png", "no-store", {"a": "1"}))
        self.assertEqual((head["ContentDisposition"], head["ContentEncoding"], head["ContentLanguage"]), ("inline", "gzip", "de"))
        self.assertEqual((head["ExpiresString"], head["WebsiteRedirectLocation"]), ("Thu, 01 Jan 2032 00:00:00 GMT", "/there"))
        self.assertEqual(head["ChecksumSHA256"], kept["x-amz-checksum-sha256"])
        self.assertEqual(self.send(self.with_key("secret", os.urandom(32))).status, 204)
        self.refused(400, "400", self.head, key="secret")

    @works("checksum of a form's file")
    def test_files_are_checked(self):
        for algorithm in ALGORITHMS:
            digest = s3.put_object(Bucket=self.bucket, Key="same", Body=b"meow", ChecksumAlgorithm=algorithm)[f"Checksum{algorithm}"]
            fields = {"x-amz-sdk-checksum-algorithm": algorithm, f"x-amz-checksum-{algorithm.lower()}": digest}
            self.assertEqual(self.send(self.sign("checked", fields, [{name: value} for name, value in fields.items()])).status, 204)
            self.assertEqual(self.head("checked", ChecksumMode="ENABLED")[f"Checksum{algorithm}"], digest)

    def with_key(self, key, secret, md5_of=None, algorithm="AES256"):
        prefix = "x-amz-server-side-encryption-customer-"
        fields = {prefix + "algorithm": algorithm, prefix + "key": base64.b64encode(secret).decode(),
                  prefix + "key-MD5": base64.b64encode(hashlib.md5(md5_of or secret).digest()).decode()}
        return self.sign(key, fields, [{name: value} for name, value in fields.items()])

    def not_stored(self, status, code, post, file=b"meow", **more):
        self.denied(status, code, self.send(post, file, **more))
        self.absent("no", "other")

    @refuses("proof of a form")
    def test_policies_are_signed_and_timely(self):
        self.not_stored(403, "AccessDenied", self.sign("no", expires=-1))
        forged = self.sign("no")
        forged["fields"]["policy"] = self.sign("other")["fields"]["policy"]
        self.not_stored(403, "SignatureDoesNotMatch", forged)
        self.not_stored(403, "AccessDenied", self.sign("no"), without=("policy", "x-amz-signature", "x-amz-credential", "x-amz-algorithm", "x-amz-date"))

    @refuses("object of a form")
    def test_what_the_policy_does_not_allow(self):
        between = [["content-length-range", 3, 10]]
        self.not_stored(400, "EntityTooSmall", self.sign("no", conditions=between), b"ab")
        self.not_stored(400, "EntityTooLarge", self.sign("no", conditions=between), b"a" * 11)
        changed = self.sign("no")
        changed["fields"]["key"] = "other"
        self.not_stored(403, "AccessDenied", changed)
        self.not_stored(400, "InvalidArgument", self.sign("no"), without=("key",))
        self.not_stored(400, "InvalidArgument", self.covered("no", bucket="another-bucket"))

    @refuses("answer to a form")
    def test_answers_are_covered_by_the_policy(self):
        self.not_stored(403, "AccessDenied", self.sign("no"), success_action_redirect="https://evil.example")
        self.not_stored(403, "AccessDenied", self.sign("no"), success_action_status="201")

    @refuses("kept headers of a form")
    def test_headers_are_covered_by_the_policy(self):
        self.not_stored(403, "AccessDenied", self.sign("no", {"Content-Type": "text/html"}, [["starts-with", "$Content-Type", "image/"]]))
        self.not_stored(403, "AccessDenied", self.sign("no"), **{"x-amz-meta-a": "1"})
        self.not_stored(400, "MetadataTooLarge", self.covered("no", **{"x_amz_meta_a": "v" * 2048}))

    @refuses("checksum of a form's file")
    def test_files_are_what_was_meant(self):
        self.not_stored(400, "BadDigest", self.covered("no", Content_MD5="1B2M2Y8AsgTpgAmY7PhCfg=="))
        self.not_stored(400, "InvalidDigest", self.covered("no", Content_MD5="nonsense"))
        self.not_stored(400, "BadDigest", self.covered("no", x_amz_checksum_crc32="AAAAAA=="))

    @refuses("customer's key of a form")
    def test_keys_that_are_none(self):
        self.not_stored(400, "InvalidArgument", self.with_key("no", b"short"))
        self.not_stored(400, "InvalidArgument", self.with_key("no", os.urandom(32), md5_of=b"another"))
        self.not_stored(400, "InvalidEncryptionAlgorithmError", self.with_key("no", os.urandom(32), algorithm="AES128"))

    @refuses("canned ACL of a form", "storage class of a form")
    def test_values_that_are_not_built(self):
        for acl in ("public-read", "authenticated-read"):
            self.not_stored(501, "NotImplemented", self.covered("no", acl=acl))
        self.not_stored(501, "NotImplemented", self.covered("no", x_amz_storage_class="GLACIER"))
        self.not_stored(400, "InvalidStorageClass", self.covered("no", x_amz_storage_class="FAST"))

    @refuses("session of a form")
    def test_there_are_no_sessions(self):
        for token in ("token", "other"):
            self.not_stored(400, "InvalidToken", self.covered("no", x_amz_security_token=token))

    def test_every_field_that_is_not_built_says_so(self):
        """The forms' part of the walk over what is 501 (tests/tests/compatibility.rs does the rest)."""
        for row in FIELDS.values():
            if row["place"] != "form field":
                continue
            for name in row["names"]:
                for value in row["lacking"]:
                    with self.subTest(f"{name}: {value}"):
                        answer = self.send(self.sign("no", {name: value}, [{name: value}]))
                        self.denied(501, "NotImplemented", answer)
                        self.assertIn(name.lower(), answer.body.decode().lower())
        self.absent("no")
