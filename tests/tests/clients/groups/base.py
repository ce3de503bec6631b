"""What the groups share: a bucket, ways to ask and to be refused, and a record of what each case proved.

A case says with `@works(...)` and `@refuses(...)` which rows of docs/s3-compatibility.md it is about: operations by AWS's
name, headers and parameters by what the row says they are about. What it says is held against what was sent: it works if
a request of the row was answered 2xx or 3xx, and each request of the row that is refused as AWS documents is one refusal.
`run.py` counts them.
"""

import hashlib
import http.client
import json
import re
import sys
import time
import unittest
import urllib.parse
from base64 import b64encode
from collections import Counter, defaultdict

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

import answers

CONFIG = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, parameter_validation=False)
ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
MIB = 1 << 20
LIST, WEB = json.load(open(sys.argv[1])), sys.argv[2]
FIELDS = {row["topic"]: row for row in LIST["fields"]}
OPERATIONS = {row["name"]: row for row in LIST["operations"]}
# row -> names of cases in which it worked; row -> how often it was refused.
worked, refusals = defaultdict(set), Counter()
# (row, operation, name) that a request which worked has carried; (row, operation) that was refused.
carried, refused_of = set(), set()


class Sent:
    """One request as it went out, and the status it met."""

    def __init__(self, operation, url, headers, body):
        self.operation, self.status, self.as_documented = operation, None, False
        self.headers = {name.lower() for name in headers}
        self.parameters = {name for name, _ in urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, True)}
        self.body = body if isinstance(body, bytes) else (body or "").encode() if isinstance(body, str) else b""

    def worked(self):
        return self.as_documented or (self.status is not None and self.status < 400)

    def has(self, row):
        """Whether it is one of the row's operations and carries one of its names."""
        return any(self.names(row))

    def names(self, row):
        """Those of the row's names that it carries."""
        for name in row["names"] if self.operation in row["of"] else ():
            match row["place"]:
                case "header" if name.endswith("*"):
                    found = any(own.startswith(name[:-1].lower()) for own in self.headers)
                case "header":
                    found = name.lower() in self.headers
                case "parameter":
                    found = name in self.parameters
                case "element":
                    found = re.search(rb"<%s[ />]" % name.split("/")[-1].encode(), self.body)
                case _:
                    found = f'name="{name.removesuffix("*")}'.lower().encode() in self.body.lower()
            if found:
                yield name


log = []


def client(**more):
    """boto3's, with all it sends written to the log."""
    made = boto3.client("s3", **{"config": CONFIG, **more})

    def before(request, event_name, **_):
        log.append(Sent(event_name.rpartition(".")[2], request.url, request.headers, request.body))

    def after(http_response, **_):
        log[-1].status = http_response.status_code

    made.meta.events.register("before-send.s3", before)
    made.meta.events.register("after-call.s3", after)
    made.meta.events.register("after-call.s3", answers.watch)
    return made


s3 = client()
ENDPOINT = urllib.parse.urlsplit(s3.meta.endpoint_url)


def works(*rows):
    return mark("works", rows)


def refuses(*rows):
    return mark("refuses", rows)


def mark(kind, rows):
    for row in rows:
        assert row in FIELDS or row in OPERATIONS, f"{row} is no row"

    def note(function):
        setattr(function, kind, getattr(function, kind, ()) + rows)
        return function

    return note


class Answer:
    def __init__(self, reply, body):
        self.status, self.headers, self.body = reply.status, reply.headers, body

    def element(self, name):
        return self.body.decode().partition(f"<{name}>")[2].partition(f"</{name}>")[0]


def plain(operation, method, url, headers=None, body=None):
    """Plain HTTP. Nothing is added but Host and, where there is a body, its length."""
    parts = urllib.parse.urlsplit(url)
    sent = Sent(operation, url, headers or {}, body)
    log.append(sent)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=headers or {})
        reply = connection.getresponse()
        answer = Answer(reply, reply.read())
    finally:
        connection.close()
    sent.status = answer.status
    return answer


def signed(operation, method, path, headers=None, body=b"", streaming=False, md5=False, instead=None):
    """By hand what boto3 would not send: any header or body, rightly signed; or another body `instead` of it."""
    url = f"{ENDPOINT.scheme}://{ENDPOINT.netloc}{path}"
    headers = dict(headers or {})
    if md5:
        headers["Content-MD5"] = b64encode(hashlib.md5(body).digest()).decode()
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    if streaming:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    session = boto3.Session()
    S3SigV4Auth(session.get_credentials(), "s3", session.region_name).add_auth(request)
    return plain(operation, method, url, dict(request.headers.items()), body if instead is None else instead)


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

    def run(self, result=None):
        log.clear()
        self.refused_rows = Counter()
        faults = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) == faults:
            self.account(result)

    def account(self, result):
        """What a case that passed has proved; a case that says more than it did fails."""
        case = getattr(self, self._testMethodName)
        for sent in (sent for sent in log if sent.worked()):
            for topic, row in FIELDS.items():
                carried.update((topic, sent.operation, name) for name in sent.names(row))
        for row in getattr(case, "works", ()):
            fine = [sent for sent in log if sent.worked()]
            done = [s for s in fine if (s.has(FIELDS[row]) if row in FIELDS else s.operation == row)]
            if not done:
                result.addFailure(self, lie(f"nothing that worked was of {row}"))
            worked[row].add(self.id())
        for row in getattr(case, "refuses", ()):
            if not self.refused_rows[row]:
                result.addFailure(self, lie(f"nothing was refused of {row}"))
        refusals.update(self.refused_rows)

    def note_refusal(self, sent):
        """The request just sent was refused as it must be: one more refusal of its operation and its rows."""
        self.refused_rows[sent.operation] += 1
        for row in getattr(getattr(self, self._testMethodName), "refuses", ()):
            if row in FIELDS and sent.has(FIELDS[row]):
                self.refused_rows[row] += 1
                refused_of.add((row, sent.operation))

    def put(self, key, body=b"body", **more):
        return s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return s3.get_object(Bucket=self.bucket, Key=key, **more)

    def head(self, key, **more):
        return s3.head_object(Bucket=self.bucket, Key=key, **more)

    def begin(self, key, **more):
        return s3.create_multipart_upload(Bucket=self.bucket, Key=key, **more)["UploadId"]

    def part(self, key, upload, number, body=b"part", **more):
        reply = s3.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, **more)
        return {"PartNumber": number, "ETag": reply["ETag"]}

    def complete(self, key, upload, parts, **more):
        return s3.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more)

    def copy(self, key, source, **more):
        return s3.copy_object(Bucket=self.bucket, Key=key, CopySource={"Bucket": self.bucket, "Key": source}, **more)

    def path(self, key="", query=""):
        return f"/{self.bucket}" + (f"/{key}" if key else "") + (f"?{query}" if query else "")

    def eventually(self, holds, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), end, "it did not become so")
            time.sleep(0.2)

    def refused(self, status, code, call, **arguments):
        """boto3's call meets this error; of HEAD, which has no body, the code is the status."""
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        answer = caught.exception.response
        got = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
        self.assertEqual(got, (status, code), answer)
        self.note_refusal(log[-1])
        return answer

    def denied(self, status, code, answer):
        """An answer to plain HTTP is this error."""
        self.assertEqual((answer.status, answer.element("Code")), (status, code), answer.body)
        self.note_refusal(log[-1])

    def missing(self, status, code, call, **arguments):
        """Nothing is set: the error that says so is the answer AWS documents, and no refusal."""
        before = self.refused_rows.copy()
        self.refused(status, code, call, **arguments)
        self.refused_rows = before
        log[-1].as_documented = True

    def absent(self, *keys):
        """What was refused has stored nothing."""
        for key in keys:
            with self.assertRaises(ClientError) as caught:
                self.head(key)
            self.assertEqual(caught.exception.response["Error"]["Code"], "404", key)


def lie(text):
    try:
        raise AssertionError(text)
    except AssertionError:
        return sys.exc_info()
