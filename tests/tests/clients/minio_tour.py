"""minio-py, unmodified: one pass over its object calls."""

import io
import os
import urllib.parse

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

endpoint = urllib.parse.urlparse(os.environ["AWS_ENDPOINT_URL"]).netloc
client = Minio(
    endpoint, access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    region=os.environ["AWS_DEFAULT_REGION"], secure=False,
)
bucket = "minio-bucket"
client.make_bucket(bucket)
assert client.bucket_exists(bucket) and not client.bucket_exists("no-such-bucket-here")
body = os.urandom(12 << 20)
client.put_object(bucket, "large", io.BytesIO(body), -1, part_size=5 << 20)
reply = client.get_object(bucket, "large")
assert reply.read() == body
reply.close()
reply.release_conn()
reply = client.get_object(bucket, "large", offset=1000, length=2000)
assert reply.read() == body[1000:3000]
reply.close()
reply.release_conn()
client.put_object(bucket, "dir/small", io.BytesIO(b"small"), 5, metadata={"color": "blue"})
stat = client.stat_object(bucket, "dir/small")
assert stat.size == 5 and stat.metadata["x-amz-meta-color"] == "blue"
assert {item.object_name for item in client.list_objects(bucket)} == {"dir/", "large"}
assert {item.object_name for item in client.list_objects(bucket, recursive=True)} == {"dir/small", "large"}
errors = list(client.remove_objects(bucket, [DeleteObject("large"), DeleteObject("dir/small")]))
assert not errors, errors
try:
    client.stat_object(bucket, "large")
    raise SystemExit("a removed object is still there")
except S3Error as error:
    assert error.code == "NoSuchKey", error.code
client.remove_bucket(bucket)
print("minio-py tour passed")
