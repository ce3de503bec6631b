"""Checksums and digests of bodies, of parts and of whole objects; aws-chunked."""

import base64
import hashlib
import os
import zlib

from base import ALGORITHMS, MIB, Group, refuses, s3, signed, works

SIZES = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
CORS = b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
KINDS = (("CRC64NVME", "FULL_OBJECT"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "COMPOSITE"), ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE"))


def encoded(digest):
    return base64.b64encode(digest).decode()


def crc32(body):
    return encoded(zlib.crc32(body).to_bytes(4, "big"))


def chunked(body, trailer):
    chunk = b"%x\r\n" % len(body) + body + b"\r\n" if body else b""
    return chunk + b"0\r\n" + trailer + b"\r\n"


class Checksums(Group):
    @works("checksum of the body", "announced checksum", "checksums in answers")
    def test_each_comes_back(self):
        for algorithm in ALGORITHMS:
            put = self.put(algorithm, b"checked" * 1000, ChecksumAlgorithm=algorithm)
            for read in (self.get, self.head):
                got = read(algorithm, ChecksumMode="ENABLED")
                self.assertEqual(got[f"Checksum{algorithm}"], put[f"Checksum{algorithm}"])
                self.assertEqual(got["ChecksumType"], "FULL_OBJECT")

    @works("checksum of the body", "MD5 of the body")
    def test_digests_computed_elsewhere(self):
        body = b"header"
        right = {"SHA256": encoded(hashlib.sha256(body).digest()), "SHA1": encoded(hashlib.sha1(body).digest()), "CRC32": crc32(body)}
        for algorithm, digest in right.items():
            name = f"Checksum{algorithm}"
            self.put("h", body, **{name: digest})
            self.assertEqual(self.head("h", ChecksumMode="ENABLED")[name], digest)
        self.put("h", body, ContentMD5=encoded(hashlib.md5(body).digest()))
        upload = self.begin("parts")
        self.part("parts", upload, 1, body, ContentMD5=encoded(hashlib.md5(body).digest()))

    @refuses("checksum of the body")
    def test_wrong_ones(self):
        upload = self.begin("parts")
        for algorithm, size in SIZES.items():
            name = f"Checksum{algorithm}"
            self.refused(400, "BadDigest", self.put, key="w", **{name: encoded(bytes(size))})
            self.refused(400, "BadDigest", self.part, key="parts", upload=upload, number=1, **{name: encoded(bytes(size))})
            self.refused(400, "InvalidRequest", self.put, key="w", **{name: encoded(bytes(size + 1))})
        self.refused(400, "InvalidRequest", self.put, key="w", ChecksumCRC32=crc32(b"body"), ChecksumSHA1=encoded(bytes(20)))
        self.absent("w")
        self.assertNotIn("Parts", s3.list_parts(Bucket=self.bucket, Key="parts", UploadId=upload))

    @refuses("MD5 of the body")
    def test_wrong_md5(self):
        upload = self.begin("parts")
        for call, more in ((self.put, {"key": "w"}), (self.part, {"key": "parts", "upload": upload, "number": 1})):
            self.refused(400, "BadDigest", call, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==", **more)
            self.refused(400, "InvalidDigest", call, ContentMD5="nonsense", **more)
        self.absent("w")

    @refuses("announced checksum")
    def test_announced_and_not_sent(self):
        for value in ("SHA256", "MD6"):
            answer = signed("PutObject", "PUT", self.path("w"), {"x-amz-sdk-checksum-algorithm": value}, b"x")
            self.denied(400, "InvalidRequest", answer)
        answer = signed("PutObject", "PUT", self.path("w"), {"x-amz-sdk-checksum-algorithm": "SHA512"}, b"x")
        self.denied(501, "NotImplemented", answer)
        other = {"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-crc32": crc32(b"x")}
        self.denied(400, "InvalidRequest", signed("PutObject", "PUT", self.path("w"), other, b"x"))
        self.absent("w")

    @refuses("checksums in answers")
    def test_mode_has_one_value(self):
        self.put("k")
        self.refused(400, "InvalidArgument", self.get, key="k", ChecksumMode="DISABLED")
        self.refused(400, "400", self.head, key="k", ChecksumMode="DISABLED")


class Documents(Group):
    """Digests of XML documents."""

    WEBSITE = b"<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>"
    LIFECYCLE = (b"<LifecycleConfiguration><Rule><ID>a</ID><Filter/><Status>Enabled</Status><Expiration><Days>1</Days>"
                 b"</Expiration></Rule></LifecycleConfiguration>")
    DELETE = b"<Delete><Object><Key>kept</Key></Object></Delete>"
    ALL = (("DeleteObjects", "POST", "delete", DELETE), ("PutBucketCors", "PUT", "cors", CORS),
           ("PutBucketLifecycleConfiguration", "PUT", "lifecycle", LIFECYCLE), ("PutBucketWebsite", "PUT", "website", WEBSITE))

    @works("MD5 of the body", "checksum of the body", "announced checksum")
    def test_of_every_kind(self):
        rules = [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}]
        for algorithm in ALGORITHMS:
            to = dict(Bucket=self.bucket, ChecksumAlgorithm=algorithm)
            s3.delete_objects(Delete={"Objects": [{"Key": "none"}]}, **to)
            s3.put_bucket_cors(CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}, **to)
            s3.put_bucket_lifecycle_configuration(LifecycleConfiguration={"Rules": rules}, **to)
            s3.put_bucket_website(WebsiteConfiguration={"IndexDocument": {"Suffix": "i"}}, **to)
        for operation, method, query, document in self.ALL:
            self.assertLess(signed(operation, method, self.path(query=query), body=document, md5=True).status, 300)
        # AWS asks for no digest of a site's configuration.
        self.assertEqual(signed("PutBucketWebsite", "PUT", self.path(query="website"), body=self.WEBSITE).status, 200)

    @refuses("announced checksum")
    def test_announced_and_not_sent(self):
        part = f"partNumber=1&uploadId={self.begin('no')}"
        for operation, method, query, body in (*self.ALL, ("UploadPart", "PUT", part, b"x")):
            path = self.path("no" if operation == "UploadPart" else "", query)
            for value, status, code in (("SHA256", 400, "InvalidRequest"), ("SHA512", 501, "NotImplemented")):
                self.denied(status, code, signed(operation, method, path, {"x-amz-sdk-checksum-algorithm": value}, body, md5=True))

    @refuses("MD5 of the body", "checksum of the body")
    def test_wrong_and_missing_ones(self):
        for setting in (s3.delete_bucket_cors, s3.delete_bucket_lifecycle, s3.delete_bucket_website):
            setting(Bucket=self.bucket)
        self.put("kept")
        for operation, method, query, document in self.ALL:
            path = self.path(query=query)
            self.denied(400, "BadDigest", signed(operation, method, path, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, document))
            self.denied(400, "InvalidDigest", signed(operation, method, path, {"Content-MD5": "nonsense"}, document))
            for algorithm, size in SIZES.items():
                wrong = {f"x-amz-checksum-{algorithm.lower()}": encoded(bytes(size))}
                self.denied(400, "BadDigest", signed(operation, method, path, wrong, document))
            if operation != "PutBucketWebsite":
                answer = signed(operation, method, path, {}, document)
                self.denied(400, "InvalidRequest", answer)
                self.assertIn("Content-MD5", answer.element("Message"))
        self.assertEqual(self.get("kept")["Body"].read(), b"body")
        self.refused(404, "NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=self.bucket)
        self.refused(404, "NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=self.bucket)
        self.refused(404, "NoSuchWebsiteConfiguration", s3.get_bucket_website, Bucket=self.bucket)


class Chunked(Group):
    def send(self, key, body, trailer, **headers):
        announced = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(len(body)),
                     "Content-Encoding": "aws-chunked"}
        announced.update({name.replace("_", "-"): value for name, value in headers.items()})
        announced = {name: value for name, value in announced.items() if value is not None}
        operation = "UploadPart" if "uploadId" in key else "PutObject"
        return signed(operation, "PUT", self.path(key), announced, chunked(body, trailer), streaming=True)

    @works("aws-chunked body")
    def test_is_decoded(self):
        for body in (b"", b"streamed" * 9000):
            answer = self.send("k", body, b"x-amz-checksum-crc32:" + crc32(body).encode() + b"\r\n")
            self.assertEqual(answer.status, 200, answer.body)
            got = self.get("k", ChecksumMode="ENABLED")
            self.assertEqual((got["Body"].read(), got["ChecksumCRC32"]), (body, crc32(body)))
            self.assertNotIn("ContentEncoding", got)
            upload = self.begin("k")
            part = self.send(f"k?partNumber=1&uploadId={upload}", body, b"x-amz-checksum-crc32:" + crc32(body).encode() + b"\r\n")
            self.assertEqual(part.headers["ETag"], f'"{hashlib.md5(body).hexdigest()}"')

    @refuses("aws-chunked body")
    def test_damaged_ones(self):
        trailer = b"x-amz-checksum-crc32:" + crc32(b"body").encode() + b"\r\n"
        wrong = b"x-amz-checksum-crc32:AAAAAA==\r\n"
        self.denied(400, "BadDigest", self.send("no", b"body", wrong))
        self.denied(400, "MalformedTrailerError", self.send("no", b"body", b""))
        self.denied(400, "InvalidRequest", self.send("no", b"body", trailer, **{"x-amz-trailer": "x-amz-meta-a"}))
        self.denied(501, "NotImplemented", self.send("no", b"body", trailer, **{"x-amz-trailer": "x-amz-checksum-sha512"}))
        self.denied(411, "MissingContentLength", self.send("no", b"body", trailer, **{"x-amz-decoded-content-length": None}))
        self.denied(400, "IncompleteBody", self.send("no", b"body", trailer, **{"x-amz-decoded-content-length": "5"}))
        part = f"no?partNumber=1&uploadId={self.begin('no')}"
        self.denied(400, "BadDigest", self.send(part, b"body", wrong))
        self.denied(411, "MissingContentLength", self.send(part, b"body", trailer, **{"x-amz-decoded-content-length": None}))
        self.absent("no")


class ChecksumsOfParts(Group):
    def upload(self, key, algorithm, kind, bodies):
        made = s3.create_multipart_upload(Bucket=self.bucket, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)
        self.assertEqual((made["ChecksumAlgorithm"], made["ChecksumType"]), (algorithm, kind))
        name, sent = f"Checksum{algorithm}", []
        for number, body in enumerate(bodies, 1):
            part = s3.upload_part(Bucket=self.bucket, Key=key, UploadId=made["UploadId"], PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
            sent.append({"PartNumber": number, "ETag": part["ETag"], name: part[name]})
        return made["UploadId"], sent

    @works("checksum to make", "kind of checksum", "checksums of parts")
    def test_each_kind(self):
        bodies = [os.urandom(5 * MIB), b"tail"]
        self.put("source")
        for algorithm, kind in KINDS:
            key, name = f"{algorithm}-{kind}", f"Checksum{algorithm}"
            upload, sent = self.upload(key, algorithm, kind, bodies)
            listed = s3.list_parts(Bucket=self.bucket, Key=key, UploadId=upload)
            self.assertEqual((listed["ChecksumAlgorithm"], listed["ChecksumType"]), (algorithm, kind))
            self.assertEqual([part[name] for part in listed["Parts"]], [part[name] for part in sent])
            copied = s3.upload_part_copy(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=3, CopySource=f"{self.bucket}/source")
            self.assertIn(name, copied["CopyPartResult"])
            done = self.complete(key, upload, sent, ChecksumType=kind)
            self.assertEqual(done["ChecksumType"], kind)
            self.assertEqual(done[name].endswith("-2"), kind == "COMPOSITE", done)
            self.assertEqual(self.head(key, ChecksumMode="ENABLED")[name], done[name])
            if algorithm == "CRC32":
                self.assertEqual(done[name], crc32(b"".join(bodies)))
            if algorithm == "SHA256":
                of_parts = b"".join(hashlib.sha256(body).digest() for body in bodies)
                self.assertEqual(done[name], encoded(hashlib.sha256(of_parts).digest()) + "-2")

    @works("checksum of the whole", "size of the whole")
    def test_the_client_knows_the_whole(self):
        upload, sent = self.upload("whole", "CRC32", "FULL_OBJECT", [b"only"])
        done = self.complete("whole", upload, sent, ChecksumCRC32=crc32(b"only"), MpuObjectSize=4)
        self.assertEqual(done["ChecksumCRC32"], crc32(b"only"))
        for algorithm, kind in KINDS:
            upload, sent = self.upload("whole", algorithm, kind, [b"only"])
            name = f"Checksum{algorithm}"
            if kind == "COMPOSITE":
                of_parts = {"CRC32C": None, "SHA1": hashlib.sha1, "SHA256": hashlib.sha256}[algorithm]
                if of_parts is None:
                    continue
                whole = encoded(of_parts(base64.b64decode(sent[0][name])).digest()) + "-1"
            else:
                whole = sent[0][name]
            done = self.complete("whole", upload, sent, **{name: whole}, ChecksumType=kind)
            self.assertEqual(done[name], whole)
        upload, sent = self.upload("whole", "CRC32C", "FULL_OBJECT", [b"only"])
        self.complete("whole", upload, sent, ChecksumCRC32C=sent[0]["ChecksumCRC32C"])

    @refuses("checksum of the whole", "size of the whole")
    def test_another_whole(self):
        upload, sent = self.upload("no", "CRC32", "FULL_OBJECT", [b"only"])
        self.refused(400, "BadDigest", self.complete, key="no", upload=upload, parts=sent, ChecksumCRC32="AAAAAA==")
        self.refused(400, "InvalidRequest", self.complete, key="no", upload=upload, parts=sent, ChecksumCRC32="AAAA")
        self.refused(400, "InvalidRequest", self.complete, key="no", upload=upload, parts=sent, MpuObjectSize=5)
        self.refused(400, "InvalidArgument", self.complete, key="no", upload=upload, parts=sent, MpuObjectSize="many")
        self.absent("no")

    @refuses("checksum to make")
    def test_unknown_algorithms(self):
        create = dict(Bucket=self.bucket, Key="no")
        self.put("source")
        self.refused(400, "InvalidRequest", s3.create_multipart_upload, ChecksumAlgorithm="MD6", **create)
        self.refused(501, "NotImplemented", s3.create_multipart_upload, ChecksumAlgorithm="XXHASH3", **create)
        self.refused(400, "InvalidRequest", self.copy, key="no", source="source", ChecksumAlgorithm="MD6")
        self.absent("no")

    @refuses("kind of checksum")
    def test_kinds_an_algorithm_has_not(self):
        create = dict(Bucket=self.bucket, Key="no")
        self.refused(400, "InvalidRequest", s3.create_multipart_upload, ChecksumAlgorithm="SHA1", ChecksumType="FULL_OBJECT", **create)
        self.refused(400, "InvalidRequest", s3.create_multipart_upload, ChecksumAlgorithm="CRC64NVME", ChecksumType="COMPOSITE", **create)
        self.refused(400, "InvalidRequest", s3.create_multipart_upload, ChecksumType="COMPOSITE", **create)
        upload, sent = self.upload("no", "CRC32", "FULL_OBJECT", [b"only"])
        self.refused(400, "InvalidRequest", self.complete, key="no", upload=upload, parts=sent, ChecksumType="COMPOSITE")

    @works("checksums of parts")
    @refuses("checksums of parts")
    def test_parts_of_an_upload_that_declared_nothing(self):
        answer = signed("CreateMultipartUpload", "POST", self.path("bare", "uploads="))
        upload = answer.element("UploadId")
        part = signed("UploadPart", "PUT", self.path("bare", f"partNumber=1&uploadId={upload}"), {"x-amz-checksum-crc32": crc32(b"only")}, b"only")
        listed = {"PartNumber": 1, "ETag": part.headers["ETag"]}
        for wrong in ({"ChecksumCRC32": "AAAAAA=="}, {"ChecksumSHA1": encoded(bytes(20))}):
            self.refused(400, "InvalidPart", self.complete, key="bare", upload=upload, parts=[{**listed, **wrong}])
        self.absent("bare")
        self.complete("bare", upload, [{**listed, "ChecksumCRC32": crc32(b"only")}])
        self.assertEqual(self.get("bare")["Body"].read(), b"only")

    @refuses("checksums of parts")
    def test_parts_are_what_they_were(self):
        upload, sent = self.upload("no", "SHA256", "COMPOSITE", [b"only"])
        wrong = [{**sent[0], "ChecksumSHA256": encoded(bytes(32))}]
        self.refused(400, "InvalidPart", self.complete, key="no", upload=upload, parts=wrong)
        short = [{**sent[0], "ChecksumSHA256": "AAAA"}]
        self.refused(400, "InvalidRequest", self.complete, key="no", upload=upload, parts=short)
        self.absent("no")
