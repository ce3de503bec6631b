"""SSE-C by boto3, from AWS's documentation. Fails with a traceback at the first difference."""

import base64
import hashlib
import io
import os

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}))
BUCKET = "boto3-sse"
ONE, TWO = os.urandom(32), os.urandom(32)
MIB = 1 << 20


def own(key):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def written(key):
    """For operations whose key boto3 sends as it is given."""
    digest = base64.b64encode(hashlib.md5(key).digest()).decode()
    return {**own(base64.b64encode(key).decode()), "SSECustomerKeyMD5": digest}


def source(key):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (code, error.response)
        return
    raise AssertionError(f"expected {code}")


s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]})

# Bodies, ranges, HEAD, attributes, and every way to come without the key.
for size in (0, 1, 8176, 8177, 65_520, 65_521, 1_048_320, 1_048_321, 3 * MIB):
    body = os.urandom(size)
    name = {"Bucket": BUCKET, "Key": f"size/{size}"}
    put = s3.put_object(**name, Body=body, Metadata={"a": "b"}, **own(ONE))
    assert put["SSECustomerAlgorithm"] == "AES256" and put["SSECustomerKeyMD5"], put
    assert put["ETag"] != f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(**name, **own(ONE))
    assert got["Body"].read() == body and got["Metadata"] == {"a": "b"}
    assert got["ETag"] == put["ETag"] and got["SSECustomerKeyMD5"] == put["SSECustomerKeyMD5"]
    assert s3.head_object(**name, **own(ONE))["ContentLength"] == size
    refused("InvalidRequest", s3.get_object, **name)
    refused("AccessDenied", s3.get_object, **name, **own(TWO))
    refused("400", s3.head_object, **name)
    refused("403", s3.head_object, **name, **own(TWO))
    if size > 100:
        part = s3.get_object(**name, Range="bytes=50-99", **own(ONE))
        assert part["Body"].read() == body[50:100] and part["ContentRange"] == f"bytes 50-99/{size}"
        assert s3.get_object(**name, Range="bytes=-7", **own(ONE))["Body"].read() == body[-7:]
    seen = s3.get_object_attributes(**name, ObjectAttributes=["ObjectSize", "ETag"], **written(ONE))
    assert seen["ObjectSize"] == size
    refused("InvalidRequest", s3.get_object_attributes, **name, ObjectAttributes=["ETag"])
s3.put_object(Bucket=BUCKET, Key="plain", Body=b"plain")
refused("InvalidRequest", s3.get_object, Bucket=BUCKET, Key="plain", **own(ONE))
refused("InvalidArgument", s3.put_object, Bucket=BUCKET, Key="bad", Body=b"x", **own(b"short"))
refused("InvalidEncryptionAlgorithmError", s3.put_object, Bucket=BUCKET, Key="bad", Body=b"x",
        SSECustomerAlgorithm="AES128", SSECustomerKey=ONE)
refused("NotImplemented", s3.put_object, Bucket=BUCKET, Key="bad", Body=b"x", ServerSideEncryption="AES256")
refused("NotImplemented", s3.put_object, Bucket=BUCKET, Key="bad", Body=b"x", ServerSideEncryption="aws:kms")
refused("404", s3.head_object, Bucket=BUCKET, Key="bad")

# Checksums go along, and are checked.
for algorithm in ("CRC32", "SHA256"):
    s3.put_object(Bucket=BUCKET, Key="sum", Body=b"checked" * 3000, ChecksumAlgorithm=algorithm, **own(ONE))
    got = s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED", **own(ONE))
    assert got["Body"].read() == b"checked" * 3000 and got[f"Checksum{algorithm}"]

# The transfer manager: parts, and ranges in parallel.
large = os.urandom(17 * MIB + 123)
config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
s3.upload_fileobj(io.BytesIO(large), BUCKET, "large", ExtraArgs=own(ONE), Config=config)
back = io.BytesIO()
s3.download_fileobj(BUCKET, "large", back, ExtraArgs=own(ONE), Config=config)
assert back.getvalue() == large
head = s3.head_object(Bucket=BUCKET, Key="large", PartNumber=2, **own(ONE))
assert head["PartsCount"] == 4 and head["ContentLength"] == 5 * MIB
refused("AccessDenied", s3.get_object, Bucket=BUCKET, Key="large", **own(TWO))

# Parts by hand: each brings the key, or is refused.
upload = {"Bucket": BUCKET, "Key": "parts"}
upload["UploadId"] = s3.create_multipart_upload(**upload, **own(ONE))["UploadId"]
refused("InvalidRequest", s3.upload_part, **upload, PartNumber=1, Body=b"x")
refused("InvalidRequest", s3.upload_part, **upload, PartNumber=1, Body=b"x", **own(TWO))
first = s3.upload_part(**upload, PartNumber=1, Body=large[: 5 * MIB], **own(ONE))
second = s3.upload_part_copy(**upload, PartNumber=2, CopySource=f"{BUCKET}/large",
                             CopySourceRange=f"bytes={5 * MIB}-{6 * MIB}", **own(ONE), **source(ONE))
refused("AccessDenied", s3.upload_part_copy, **upload, PartNumber=2, CopySource=f"{BUCKET}/large", **own(ONE),
        **source(TWO))
parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"]}]
s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
assert s3.get_object(Bucket=BUCKET, Key="parts", **own(ONE))["Body"].read() == large[: 6 * MIB + 1]

# Copies: into the clear, out of it, to another key, in place.
for key in ("size/8176", "size/1048321", "large", "parts"):
    body = s3.get_object(Bucket=BUCKET, Key=key, **own(ONE))["Body"].read()
    original = {"CopySource": f"{BUCKET}/{key}", **source(ONE)}
    s3.copy_object(Bucket=BUCKET, Key="clear", **original)
    assert s3.get_object(Bucket=BUCKET, Key="clear")["Body"].read() == body
    s3.copy_object(Bucket=BUCKET, Key="again", CopySource=f"{BUCKET}/clear", **own(TWO))
    assert s3.get_object(Bucket=BUCKET, Key="again", **own(TWO))["Body"].read() == body
    s3.copy_object(Bucket=BUCKET, Key="same", **original, **own(ONE))
    assert s3.get_object(Bucket=BUCKET, Key="same", **own(ONE))["Body"].read() == body
    s3.copy_object(Bucket=BUCKET, Key=key, **original, **own(TWO))
    assert s3.get_object(Bucket=BUCKET, Key=key, **own(TWO))["Body"].read() == body
    refused("AccessDenied", s3.get_object, Bucket=BUCKET, Key=key, **own(ONE))
refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="x", CopySource=f"{BUCKET}/large")
refused("AccessDenied", s3.copy_object, Bucket=BUCKET, Key="x", CopySource=f"{BUCKET}/large", **source(ONE))
print("boto3: SSE-C works")
