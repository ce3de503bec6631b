"""Who may ask: signatures, presigned URLs, owners, and nobody."""

import os
import time
from datetime import datetime, timedelta
from unittest import mock

from botocore import UNSIGNED
from botocore.config import Config

from base import CONFIG, Group, client, plain, refuses, s3, signed, works

OTHER = "123456789012"


class Signatures(Group):
    @works("signature in headers")
    def test_of_boto3(self):
        self.put("k")
        self.assertEqual(self.get("k")["Body"].read(), b"body")

    @refuses("signature in headers")
    def test_of_others(self):
        key = os.environ["AWS_ACCESS_KEY_ID"]
        wrong = client(aws_secret_access_key="w" * 40, aws_access_key_id=key)
        self.refused(403, "SignatureDoesNotMatch", wrong.list_buckets)
        unknown = client(aws_secret_access_key="w" * 40, aws_access_key_id="AKNOBODYATALL")
        self.refused(403, "InvalidAccessKeyId", unknown.list_buckets)
        session = client(aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"], aws_access_key_id=key, aws_session_token="t")
        self.refused(400, "InvalidToken", session.list_buckets)

    @refuses("signature in headers")
    def test_of_another_time_or_body(self):
        for hours in (-1, 1):
            now = datetime.utcnow() + timedelta(hours=hours)
            with mock.patch("botocore.auth.get_current_datetime", return_value=now):
                self.denied(403, "RequestTimeTooSkewed", signed("ListBuckets", "GET", "/"))
        answer = signed("PutObject", "PUT", self.path("no"), body=b"x", instead=b"y")
        self.denied(400, "XAmzContentSHA256Mismatch", answer)
        self.absent("no")


class Presigned(Group):
    def url(self, call, expires=60, **more):
        return s3.generate_presigned_url(call, Params={"Bucket": self.bucket, **more}, ExpiresIn=expires)

    @works("presigned URL")
    def test_every_method(self):
        self.assertEqual(plain("PutObject", "PUT", self.url("put_object", Key="p"), body=b"by url").status, 200)
        self.assertEqual(plain("GetObject", "GET", self.url("get_object", Key="p")).body, b"by url")
        self.assertEqual(plain("HeadObject", "HEAD", self.url("head_object", Key="p")).status, 200)
        self.assertIn(b"<Key>p</Key>", plain("ListObjectsV2", "GET", self.url("list_objects_v2")).body)
        self.assertEqual(plain("DeleteObject", "DELETE", self.url("delete_object", Key="p")).status, 204)
        self.absent("p")

    @refuses("presigned URL")
    def test_only_what_was_signed(self):
        self.put("p")
        url = self.url("get_object", Key="p")
        self.denied(403, "SignatureDoesNotMatch", plain("GetObject", "GET", url.replace("/p?", "/q?")))
        self.denied(403, "SignatureDoesNotMatch", plain("DeleteObject", "DELETE", url))
        self.denied(403, "SignatureDoesNotMatch", plain("GetObject", "GET", url + "&response-content-type=text/html"))
        self.assertEqual(self.get("p")["Body"].read(), b"body")

    @refuses("presigned URL")
    def test_only_while_it_holds(self):
        self.put("p")
        self.denied(400, "AuthorizationQueryParametersError", plain("GetObject", "GET", self.url("get_object", 8 * 86400, Key="p")))
        short = self.url("get_object", 1, Key="p")
        time.sleep(2.1)
        self.denied(403, "AccessDenied", plain("GetObject", "GET", short))
        whole = self.url("get_object", Key="p")
        missing = whole.replace("X-Amz-Expires=60&", "")
        self.denied(400, "AuthorizationQueryParametersError", plain("GetObject", "GET", missing))


class Owners(Group):
    @works("expected owner")
    def test_the_owner_is_who_it_is(self):
        owner = s3.list_buckets()["Owner"]["ID"]
        self.put("k", ExpectedBucketOwner=owner)
        s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=owner)

    @refuses("expected owner")
    def test_and_nobody_else(self):
        self.refused(403, "AccessDenied", self.put, key="no", ExpectedBucketOwner=OTHER)
        self.refused(403, "AccessDenied", s3.list_objects_v2, Bucket=self.bucket, ExpectedBucketOwner=OTHER)
        self.refused(403, "403", s3.head_bucket, Bucket=self.bucket, ExpectedBucketOwner=OTHER)
        self.absent("no")

    def test_strangers_reach_nothing(self):
        self.put("k")
        nobody = client(config=CONFIG.merge(Config(signature_version=UNSIGNED)))
        self.refused(403, "AccessDenied", nobody.list_buckets)
        self.refused(403, "AccessDenied", nobody.get_object, Bucket=self.bucket, Key="k")
        self.refused(403, "AccessDenied", nobody.put_object, Bucket=self.bucket, Key="k", Body=b"x")
        self.assertEqual(self.get("k")["Body"].read(), b"body")
