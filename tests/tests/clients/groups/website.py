"""Web sites: their configuration by boto3, and what visitors get by plain HTTP."""

import http.client
import urllib.parse

from base import WEB, Group, refuses, s3, works

PAGES = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
ADDRESS = urllib.parse.urlsplit(WEB)


class Website(Group):
    def set(self, configuration):
        s3.put_bucket_website(Bucket=self.bucket, WebsiteConfiguration=configuration)

    def visit(self, path, bucket=None):
        connection = http.client.HTTPConnection(ADDRESS.hostname, ADDRESS.port, timeout=30)
        connection.request("GET", path, headers={"Host": f"{bucket or self.bucket}.web.localhost"})
        reply = connection.getresponse()
        found = (reply.status, reply.read().decode(), reply.headers.get("Location"))
        connection.close()
        return found

    def becomes(self, path, expected):
        """Every gateway sees a new configuration at once, but for what it keeps of names for a moment."""
        self.eventually(lambda: self.visit(path)[::2] == expected or self.visit(path)[:2] == expected)

    @works("PutBucketWebsite", "GetBucketWebsite", "DeleteBucketWebsite", "pages of a site")
    def test_pages(self):
        self.put("index.html", b"home", ContentType="text/html")
        self.put("error.html", b"lost")
        self.put("deep/index.html", b"deep")
        self.set(PAGES)
        read = s3.get_bucket_website(Bucket=self.bucket)
        self.assertEqual({name: read[name] for name in PAGES}, PAGES)
        self.becomes("/", (200, "home"))
        self.assertEqual(self.visit("/deep/")[:2], (200, "deep"))
        self.assertEqual(self.visit("/deep")[::2], (302, "/deep/"))
        self.assertEqual(self.visit("/none")[:2], (404, "lost"))
        s3.delete_bucket_website(Bucket=self.bucket)
        self.refused(404, "NoSuchWebsiteConfiguration", s3.get_bucket_website, Bucket=self.bucket)
        self.eventually(lambda: self.visit("/")[0] == 404)

    @works("site that is elsewhere")
    def test_a_site_that_is_elsewhere(self):
        elsewhere = {"RedirectAllRequestsTo": {"HostName": "elsewhere.example", "Protocol": "https"}}
        self.set(elsewhere)
        read = s3.get_bucket_website(Bucket=self.bucket)
        self.assertEqual(read["RedirectAllRequestsTo"], elsewhere["RedirectAllRequestsTo"])
        self.becomes("/a?b", (301, "https://elsewhere.example/a?b"))

    @works("when a routing rule holds", "where a routing rule leads", "redirect of a site")
    def test_routing_rules(self):
        rules = [
            {"Condition": {"KeyPrefixEquals": "docs/"}, "Redirect": {"ReplaceKeyPrefixWith": "documents/"}},
            {"Condition": {"HttpErrorCodeReturnedEquals": "404"},
             "Redirect": {"HostName": "lost.example", "Protocol": "https", "HttpRedirectCode": "307", "ReplaceKeyWith": "gone"}},
        ]
        self.put("index.html", b"home")
        self.put("moved", b"", WebsiteRedirectLocation="/index.html")
        self.set({**PAGES, "RoutingRules": rules})
        self.assertEqual(s3.get_bucket_website(Bucket=self.bucket)["RoutingRules"], rules)
        self.becomes("/none", (307, "https://lost.example/gone"))
        status, _, location = self.visit("/docs/a")
        self.assertEqual((status, location.endswith("/documents/a")), (301, True), location)
        self.assertEqual(self.visit("/moved")[::2], (301, "/index.html"))

    def refused_site(self, code, configuration, status=400):
        self.set(PAGES)
        self.refused(status, code, s3.put_bucket_website, Bucket=self.bucket, WebsiteConfiguration=configuration)
        self.assertEqual(s3.get_bucket_website(Bucket=self.bucket)["IndexDocument"], PAGES["IndexDocument"])

    @refuses("pages of a site")
    def test_pages_that_are_none(self):
        self.refused_site("InvalidArgument", {"IndexDocument": {"Suffix": "a/b"}})
        self.refused_site("InvalidArgument", {"IndexDocument": {"Suffix": ""}})
        self.refused_site("InvalidArgument", {"ErrorDocument": {"Key": "error.html"}})

    @refuses("site that is elsewhere")
    def test_elsewhere_and_here_at_once(self):
        elsewhere = {"HostName": "elsewhere.example"}
        self.refused_site("InvalidArgument", {**PAGES, "RedirectAllRequestsTo": elsewhere})
        self.refused_site("InvalidRequest", {"RedirectAllRequestsTo": {**elsewhere, "Protocol": "ftp"}})
        self.refused_site("MalformedXML", {"RedirectAllRequestsTo": {"Protocol": "http"}})

    def refused_rule(self, code, **rule):
        self.refused_site(code, {**PAGES, "RoutingRules": [rule]})

    @refuses("when a routing rule holds")
    def test_conditions_that_are_none(self):
        to = {"ReplaceKeyWith": "a"}
        self.refused_rule("InvalidRequest", Condition={}, Redirect=to)
        self.refused_rule("InvalidRequest", Condition={"HttpErrorCodeReturnedEquals": "200"}, Redirect=to)

    @refuses("where a routing rule leads")
    def test_redirects_that_are_none(self):
        self.refused_rule("InvalidRequest", Redirect={"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"})
        self.refused_rule("InvalidRequest", Redirect={"HttpRedirectCode": "200"})
        self.refused_rule("MalformedXML", Redirect={})
