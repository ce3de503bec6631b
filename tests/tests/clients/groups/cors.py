"""CORS: rules, and what they say to scripts. A preflight is a browser's, so it is plain HTTP."""

from base import ENDPOINT, Group, plain, refuses, s3, signed, works

PAGE = "https://page.example"
RULES = [
    {"ID": "pages", "AllowedOrigins": ["https://*.example"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"],
     "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 600},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]


class Cors(Group):
    def set(self, rules):
        s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": rules})

    def preflight(self, method="PUT", origin=PAGE, **more):
        headers = {"Origin": origin, "Access-Control-Request-Method": method,
                   **{name.replace("_", "-"): value for name, value in more.items()}}
        headers = {name: value for name, value in headers.items() if value}
        return plain("Preflight", "OPTIONS", f"{ENDPOINT.scheme}://{ENDPOINT.netloc}{self.path('k')}", headers)

    @works("PutBucketCors", "GetBucketCors", "DeleteBucketCors", "whom a CORS rule is for", "what a CORS rule says",
           "name of a CORS rule", "MD5 of the body")
    def test_rules_are_set_read_and_deleted(self):
        self.set(RULES)
        self.assertEqual(s3.get_bucket_cors(Bucket=self.bucket)["CORSRules"], RULES)
        s3.delete_bucket_cors(Bucket=self.bucket)
        self.refused(404, "NoSuchCORSConfiguration", s3.get_bucket_cors, Bucket=self.bucket)
        s3.delete_bucket_cors(Bucket=self.bucket)
        document = b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
        self.assertEqual(signed("PutBucketCors", "PUT", self.path(query="cors"), body=document, md5=True).status, 200)

    @works("Preflight", "preflight")
    def test_what_a_rule_allows(self):
        self.set(RULES)
        answer = self.preflight(Access_Control_Request_Headers="content-type, x-amz-meta-a")
        self.assertEqual(answer.status, 200)
        said = {name: answer.headers[f"Access-Control-{name}"] for name in ("Allow-Origin", "Allow-Methods", "Max-Age", "Expose-Headers")}
        self.assertEqual(said, {"Allow-Origin": PAGE, "Allow-Methods": "GET, PUT", "Max-Age": "600", "Expose-Headers": "ETag"})
        self.assertEqual(answer.headers["Access-Control-Allow-Headers"], "content-type, x-amz-meta-a")
        self.assertIn("Origin", answer.headers["Vary"])

    @refuses("preflight")
    def test_what_no_rule_allows(self):
        self.set(RULES)
        self.denied(403, "AccessForbidden", self.preflight(method="DELETE"))
        self.denied(403, "AccessForbidden", self.preflight(origin="https://elsewhere.test"))
        self.denied(400, "BadRequest", self.preflight(origin=None))
        self.denied(400, "BadRequest", self.preflight(method=None))
        s3.delete_bucket_cors(Bucket=self.bucket)
        self.denied(403, "AccessForbidden", self.preflight())

    @works("origin of a script")
    def test_answers_and_errors_carry_the_headers(self):
        self.set(RULES)
        self.put("k")
        for key, status in (("k", 200), ("none", 404)):
            url = s3.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": key})
            answer = plain("GetObject", "GET", url, {"Origin": PAGE})
            self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (status, PAGE))
            self.assertEqual(answer.headers["Access-Control-Expose-Headers"], "ETag")
            other = plain("GetObject", "GET", url, {"Origin": "https://elsewhere.test"})
            self.assertIsNone(other.headers["Access-Control-Allow-Origin"])

    def refused_rules(self, code, *rules):
        self.set(RULES)
        before = s3.get_bucket_cors(Bucket=self.bucket)["CORSRules"]
        self.refused(400, code, s3.put_bucket_cors, Bucket=self.bucket, CORSConfiguration={"CORSRules": list(rules)})
        self.assertEqual(s3.get_bucket_cors(Bucket=self.bucket)["CORSRules"], before)

    @refuses("whom a CORS rule is for")
    def test_rules_for_nobody(self):
        one = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
        self.refused_rules("InvalidRequest", {**one, "AllowedMethods": ["PATCH"]})
        self.refused_rules("InvalidRequest", {**one, "AllowedOrigins": ["https://*.*"]})
        self.refused_rules("InvalidRequest", {**one, "AllowedHeaders": ["*-*"]})
        self.refused_rules("MalformedXML", {"AllowedMethods": ["GET"]})
        self.refused_rules("MalformedXML")

    @refuses("what a CORS rule says")
    def test_rules_that_say_nothing(self):
        one = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
        self.refused_rules("InvalidRequest", {**one, "ExposeHeaders": ["*"]})
        self.refused_rules("MalformedXML", {**one, "MaxAgeSeconds": -1})
        self.refused_rules("MalformedXML", {**one, "MaxAgeSeconds": "long"})

    @refuses("name of a CORS rule")
    def test_names_are_short_and_few(self):
        one = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
        self.refused_rules("InvalidRequest", {**one, "ID": "n" * 256})
        rule = "<CORSRule>{}<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
        twice = f"<CORSConfiguration>{rule.format('<ID>a</ID><ID>b</ID>')}</CORSConfiguration>".encode()
        self.denied(400, "MalformedXML", signed("PutBucketCors", "PUT", self.path(query="cors"), body=twice, md5=True))

    def test_at_most_a_hundred(self):
        one = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
        self.set([one] * 100)
        self.refused(400, "InvalidRequest", s3.put_bucket_cors, Bucket=self.bucket, CORSConfiguration={"CORSRules": [one] * 101})
