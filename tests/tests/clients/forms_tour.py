"""POST forms and CORS by boto3, unmodified, and plain HTTP. Fails with a traceback at the first difference."""

import os
import threading
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))
BUCKET = "forms-bucket"
PAGE = "https://page.example"
s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]})


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(NoRedirect)


def request(url, method="GET", body=None, headers=None):
    """Status, headers and body, whatever they are."""
    try:
        answer = opener.open(urllib.request.Request(url, data=body, headers=headers or {}, method=method))
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read()


def form(post, file, filename="cat.jpg", **more):
    """Sends a form as a browser would."""
    boundary = uuid.uuid4().hex
    parts = b""
    for name, value in {**post["fields"], **more}.items():
        parts += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    parts += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'.encode()
    body = parts + file + f"\r\n--{boundary}--\r\n".encode()
    return request(post["url"], "POST", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def sign(key, fields=None, conditions=None, expires=60):
    return s3.generate_presigned_post(BUCKET, key, Fields=fields, Conditions=conditions, ExpiresIn=expires)


def stored(key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def absent(key):
    try:
        s3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        return error.response["Error"]["Code"] == "404"
    return False


# boto3 sends no bucket field, and covers what it signs.
for size in (0, 1, 8192, 8193, 1 << 20, 5_000_000):
    body = os.urandom(size)
    status, headers, _ = form(sign("plain"), body)
    assert status == 204 and stored("plain") == body, (size, status)
    assert headers["ETag"] == s3.head_object(Bucket=BUCKET, Key="plain")["ETag"]
status, _, _ = form(sign("user/${filename}"), b"meow", filename="C:\\pictures\\my cat.jpg")
assert status == 204 and stored("user/my cat.jpg") == b"meow"

# What a form asks for.
fields = {"success_action_status": "201", "Content-Type": "image/png", "x-amz-meta-a": "1", "acl": "private"}
status, headers, body = form(sign("meta", fields, [{name: value} for name, value in fields.items()]), b"meow")
assert status == 201 and b"<PostResponse>" in body and b"<Key>meta</Key>" in body, body
head = s3.head_object(Bucket=BUCKET, Key="meta")
assert head["ContentType"] == "image/png" and head["Metadata"] == {"a": "1"}
to = "https://page.example/done"
post = sign("to", {"success_action_redirect": to}, [{"success_action_redirect": to}])
status, headers, _ = form(post, b"meow")
assert status == 303 and headers["Location"].startswith(f"{to}?bucket={BUCKET}&key=to&etag=%22"), headers["Location"]


# What its policy does not allow.
def refused(status, code, post, file=b"meow", **more):
    found, _, body = form(post, file, **more)
    assert (found, f"<Code>{code}</Code>".encode() in body) == (status, True), (status, code, found, body)


between = [["content-length-range", 3, 10]]
refused(400, "EntityTooSmall", sign("no", conditions=between), b"ab")
refused(400, "EntityTooLarge", sign("no", conditions=between), b"a" * 11)
refused(400, "EntityTooLarge", sign("no", conditions=between), os.urandom(3_000_000))
refused(403, "AccessDenied", sign("no"), acl="private")
refused(403, "AccessDenied", sign("no"), success_action_redirect="https://evil.example")
refused(403, "AccessDenied", sign("no", {"Content-Type": "text/html"}, [["starts-with", "$Content-Type", "image/"]]))
refused(403, "AccessDenied", sign("no", expires=-1))
changed = sign("no")
changed["fields"]["key"] = "other"
refused(403, "AccessDenied", changed)
forged = sign("no")
forged["fields"]["policy"] = sign("other")["fields"]["policy"]
refused(403, "SignatureDoesNotMatch", forged)
tagged = sign("no", {"tagging": "<Tagging/>"}, [{"tagging": "<Tagging/>"}])
refused(501, "NotImplemented", tagged)
public = sign("no", {"acl": "public-read"}, [{"acl": "public-read"}])
refused(501, "NotImplemented", public)
assert absent("no") and absent("other")

# CORS: what was put comes back; preflights without credentials, headers on answers and errors.
try:
    s3.get_bucket_cors(Bucket=BUCKET)
    raise AssertionError("no rules are set yet")
except ClientError as error:
    assert error.response["Error"]["Code"] == "NoSuchCORSConfiguration"
asking = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "cors"})
assert request(url, "OPTIONS", headers=asking)[0] == 403
rules = [
    {
        "ID": "pages",
        "AllowedOrigins": ["https://*.example"],
        "AllowedMethods": ["PUT", "POST", "GET"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 600,
    },
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]
s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": rules})
assert s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == rules
status, headers, _ = request(url, "OPTIONS", headers=asking)
assert status == 200 and headers["Access-Control-Allow-Origin"] == PAGE and "Origin" in headers["Vary"]
assert headers["Access-Control-Allow-Headers"] == "content-type" and headers["Access-Control-Max-Age"] == "600"
status, headers, _ = request(url, "PUT", b"meow", {"Origin": PAGE, "Content-Type": ""})
assert status == 200 and headers["Access-Control-Expose-Headers"] == "ETag", (status, headers)
status, headers, _ = request(url.replace("Signature=", "Signature=0"), "PUT", b"", {"Origin": PAGE})
assert status >= 400 and headers["Access-Control-Allow-Origin"] == PAGE
status, headers, _ = request(url, "OPTIONS", headers={**asking, "Origin": "https://elsewhere.test"})
assert status == 403 and "Access-Control-Allow-Origin" not in headers
assert request(url, "OPTIONS")[0] == 400
for bad in (
    {"AllowedOrigins": ["https://*.*"], "AllowedMethods": ["GET"]},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ExposeHeaders": ["x\r\nset-cookie: a"]},
):
    try:
        s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [bad]})
        raise AssertionError(bad)
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("InvalidRequest", "MalformedXML"), error.response
assert s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == rules, "what is refused changes nothing"
s3.delete_bucket_cors(Bucket=BUCKET)
s3.delete_bucket_cors(Bucket=BUCKET)

# Forms race for one key: one of them is there in the end, whole.
bodies = [bytes([65 + racer]) * 300_000 for racer in range(8)]
post = sign("race")
outcomes = []
racers = [threading.Thread(target=lambda body=body: outcomes.append(form(post, body)[0])) for body in bodies]
for racer in racers:
    racer.start()
for racer in racers:
    racer.join()
assert outcomes == [204] * 8 and stored("race") in bodies, outcomes
print("forms and CORS: all as AWS documents")
