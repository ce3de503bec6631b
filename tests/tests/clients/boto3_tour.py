"""boto3, unmodified: one pass over what applications use. Fails with a traceback at the first difference."""

import hashlib
import os
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))
BUCKET = "boto3-bucket"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (code, error.response)
        return error.response
    raise AssertionError(f"expected {code}")


s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]})
assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
s3.head_bucket(Bucket=BUCKET)
s3.get_bucket_location(Bucket=BUCKET)
refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="missing")
refused("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket-here")

# Objects: bodies, metadata, ranges, conditions.
for size in (0, 1, 8191, 8192, 8193, 1 << 20, (1 << 20) + 1, 5_000_000):
    body = os.urandom(size)
    put = s3.put_object(Bucket=BUCKET, Key=f"size/{size}", Body=body, Metadata={"size": str(size)})
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=BUCKET, Key=f"size/{size}")
    assert got["Body"].read() == body and got["Metadata"] == {"size": str(size)}
    if size > 100:
        part = s3.get_object(Bucket=BUCKET, Key=f"size/{size}", Range="bytes=10-99")
        assert part["Body"].read() == body[10:100] and part["ContentRange"] == f"bytes 10-99/{size}"
        tail = s3.get_object(Bucket=BUCKET, Key=f"size/{size}", Range="bytes=-7")
        assert tail["Body"].read() == body[-7:]
etag = s3.head_object(Bucket=BUCKET, Key="size/1")["ETag"]
refused("304", s3.head_object, Bucket=BUCKET, Key="size/1", IfNoneMatch=etag)
refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="size/1", IfMatch='"0"')
refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="size/1", Body=b"x", IfNoneMatch="*")
s3.put_object(Bucket=BUCKET, Key="size/1", Body=b"swapped", IfMatch=etag)
refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="size/1", Body=b"late", IfMatch=etag)
refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="size/0", Range="bytes=0-1")

# Checksums, as header and trailer.
for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
    s3.put_object(Bucket=BUCKET, Key="sum", Body=b"checked" * 1000, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
    assert got[f"Checksum{algorithm}"], got
    assert got["Body"].read() == b"checked" * 1000

# Keys that break stores.
for key in ("a//b", "/a", "a/", ".", "..", "a/../b", "+", "%", "a b", "?", "#", "&", "'\"", "<>&", "😀", "é", "k" * 1024):
    s3.put_object(Bucket=BUCKET, Key="odd/" + key if len(key) < 1000 else key, Body=key.encode())
    assert s3.get_object(Bucket=BUCKET, Key="odd/" + key if len(key) < 1000 else key)["Body"].read() == key.encode()
refused("KeyTooLongError", s3.put_object, Bucket=BUCKET, Key="k" * 1025, Body=b"")

# Listing, against a model.
names = sorted(f"list/{a}/{b}" for a in "abc" for b in range(20))
for name in names:
    s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7})
assert [item["Key"] for page in pages for item in page.get("Contents", [])] == names
folded = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/")
assert [prefix["Prefix"] for prefix in folded["CommonPrefixes"]] == ["list/a/", "list/b/", "list/c/"]
old = s3.list_objects(Bucket=BUCKET, Prefix="list/a/", Marker="list/a/3")
assert [item["Key"] for item in old["Contents"]] == [name for name in names if "list/a/3" < name < "list/b"]

# Copies.
s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "size/5000000"})
assert s3.head_object(Bucket=BUCKET, Key="copy")["ContentLength"] == 5_000_000
s3.copy_object(
    Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "copy"}, MetadataDirective="REPLACE", Metadata={"a": "b"}
)
assert s3.head_object(Bucket=BUCKET, Key="copy")["Metadata"] == {"a": "b"}
refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "copy"})

# Multipart: out of order, retried, listed, completed twice, aborted.
upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
bodies = {1: os.urandom(5 << 20), 2: os.urandom(5 << 20), 3: b"tail"}
etags = {}
for number in (3, 1, 2, 1):
    reply = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=number, Body=bodies[number])
    etags[number] = reply["ETag"]
assert [part["PartNumber"] for part in s3.list_parts(Bucket=BUCKET, Key="parts", UploadId=upload)["Parts"]] == [1, 2, 3]
assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]] == [upload]
whole = {"Parts": [{"PartNumber": number, "ETag": etags[number]} for number in (1, 2, 3)]}
first = s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=whole)
again = s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=whole)
assert first["ETag"] == again["ETag"] and first["ETag"].endswith('-3"')
assert s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == bodies[1] + bodies[2] + bodies[3]
assert s3.get_object(Bucket=BUCKET, Key="parts", PartNumber=2)["Body"].read() == bodies[2]
aborted = s3.create_multipart_upload(Bucket=BUCKET, Key="aborted")["UploadId"]
s3.upload_part(Bucket=BUCKET, Key="aborted", UploadId=aborted, PartNumber=1, Body=b"x")
s3.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=aborted)
refused("NoSuchUpload", s3.upload_part, Bucket=BUCKET, Key="aborted", UploadId=aborted, PartNumber=1, Body=b"x")
small = s3.create_multipart_upload(Bucket=BUCKET, Key="small")["UploadId"]
sizes = [s3.upload_part(Bucket=BUCKET, Key="small", UploadId=small, PartNumber=n, Body=b"x")["ETag"] for n in (1, 2)]
refused(
    "EntityTooSmall", s3.complete_multipart_upload, Bucket=BUCKET, Key="small", UploadId=small,
    MultipartUpload={"Parts": [{"PartNumber": n, "ETag": sizes[n - 1]} for n in (1, 2)]},
)
s3.abort_multipart_upload(Bucket=BUCKET, Key="small", UploadId=small)

# Presigned URLs.
url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "copy"}, ExpiresIn=60)
assert len(urllib.request.urlopen(url).read()) == 5_000_000
url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "presigned"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT"))
assert s3.get_object(Bucket=BUCKET, Key="presigned")["Body"].read() == b"by url"

# What is not built says so.
refused("NotImplemented", s3.put_bucket_versioning, Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
refused("NotImplemented", s3.put_object, Bucket=BUCKET, Key="x", Body=b"", Tagging="a=b")
refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=BUCKET)

# The end: everything deleted, then the bucket.
refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
keys = [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for item in page.get("Contents", [])]
for start in range(0, len(keys), 1000):
    reply = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys[start:start + 1000]]})
    assert not reply.get("Errors"), reply
assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
s3.delete_bucket(Bucket=BUCKET)
refused("NoSuchBucket", s3.put_object, Bucket=BUCKET, Key="late", Body=b"")
print("boto3 tour passed")
