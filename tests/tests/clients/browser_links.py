"""Sets up a bucket for pages of one origin (its argument), and prints what such a page may use, as JSON."""

import json
import os
import sys

import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
BUCKET = "browser-bucket"
s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": os.environ["AWS_DEFAULT_REGION"]})
rule = {
    "AllowedOrigins": [sys.argv[1]],
    "AllowedMethods": ["GET", "PUT", "POST"],
    "AllowedHeaders": ["content-type", "x-amz-meta-*"],
    "ExposeHeaders": ["ETag"],
}
s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})
post = s3.generate_presigned_post(BUCKET, "form/${filename}", Fields={"success_action_status": "201"},
                                  Conditions=[{"success_action_status": "201"}])
put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "put", "Metadata": {"a": "1"}})
get = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "put"})
print(json.dumps({"post": post, "put": put, "get": get}))
