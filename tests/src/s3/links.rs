//! What a key signs besides a head: links and forms, for others to send, and bodies in chunks.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};

use super::{S3, UNSIGNED, canonical_query, encode, fold, stamp};

const BOUNDARY: &str = "----cairn-form";

impl S3 {
    /// A presigned request, good for a minute. `headers` are signed and have to be sent.
    pub fn presigned(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let stamp = stamp()?;
        let date = &stamp[..8];
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let mut signed: Vec<(String, &str)> =
            headers.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
        signed.push(("host".to_owned(), &self.host));
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let credential = format!("{}/{scope}", self.access_key);
        let mut query = query.to_vec();
        query.extend([
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &stamp),
            ("X-Amz-Expires", "60"),
            ("X-Amz-SignedHeaders", &names),
        ]);
        let (uri, query) = (encode(path, true), canonical_query(&query));
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", fold(value))).collect();
        let canonical = format!("{method}\n{uri}\n{query}\n{lines}\n{names}\n{UNSIGNED}");
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let signature = self.signature(date, &to_sign)?;
        let has_body = method == Method::PUT || method == Method::POST;
        let mut request = Request::builder().method(method).uri(format!("{uri}?{query}&X-Amz-Signature={signature}"));
        for (name, value) in &signed {
            request = request.header(name, *value);
        }
        if has_body {
            request = request.header("content-length", body.len());
        }
        Ok(request.body(Full::new(body))?)
    }

    /// A PUT of `body` in one signed chunk.
    pub fn in_one_chunk(&self, path: &str, body: &[u8]) -> Result<Request<Full<Bytes>>> {
        const PAYLOAD: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
        let stamp = stamp()?;
        let date = &stamp[..8];
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let length = body.len().to_string();
        let signed = [
            ("host", self.host.as_str()),
            ("x-amz-content-sha256", PAYLOAD),
            ("x-amz-date", &stamp),
            ("x-amz-decoded-content-length", &length),
        ];
        let names = signed.map(|(name, _)| name).join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let uri = encode(path, true);
        let canonical = format!("PUT\n{uri}\n\n{lines}\n{names}\n{PAYLOAD}");
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let seed = self.signature(date, &to_sign)?;
        let empty = hex::encode(Sha256::digest(b""));
        let link = |previous: &str, data: &[u8]| {
            let hash = hex::encode(Sha256::digest(data));
            let head = format!("AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{previous}");
            self.signature(date, &format!("{head}\n{empty}\n{hash}"))
        };
        let first = link(&seed, body)?;
        let last = link(&first, b"")?;
        let mut framed = format!("{:x};chunk-signature={first}\r\n", body.len()).into_bytes();
        framed.extend_from_slice(body);
        framed.extend_from_slice(format!("\r\n0;chunk-signature={last}\r\n\r\n").as_bytes());
        let credential = format!("{}/{scope}", self.access_key);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={seed}");
        let mut request =
            Request::put(uri).header("authorization", authorization).header("content-length", framed.len());
        for (name, value) in signed {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(framed.into()))?)
    }

    /// A POST form that stores `file` as `key` with further `fields`; its policy allows just that, for a day.
    pub fn form(&self, bucket: &str, key: &str, fields: &[(&str, &str)], file: &[u8]) -> Result<Request<Full<Bytes>>> {
        let stamp = stamp()?;
        let date = &stamp[..8];
        let credential = format!("{}/{date}/{}/s3/aws4_request", self.access_key, self.region);
        let mut all = vec![("key", key)];
        all.extend(fields);
        all.extend([
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &credential),
            ("x-amz-date", &stamp),
        ]);
        let conditions = all.iter().map(|(name, value)| serde_json::json!({ *name: value }));
        let conditions: Vec<_> = conditions.chain([serde_json::json!({ "bucket": bucket })]).collect();
        let policy = serde_json::json!({ "expiration": "2099-01-01T00:00:00Z", "conditions": conditions }).to_string();
        let policy = STANDARD.encode(policy);
        let signature = self.signature(date, &policy)?;
        all.extend([("policy", policy.as_str()), ("x-amz-signature", &signature)]);
        let part = |disposition: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        let mut body = Vec::new();
        for (name, value) in all {
            body.extend_from_slice(part(&format!("name=\"{name}\"")).as_bytes());
            body.extend_from_slice(format!("{value}\r\n").as_bytes());
        }
        body.extend_from_slice(part("name=\"file\"; filename=\"file\"").as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let request = Request::post(format!("/{}", encode(bucket, false))).header("host", &self.host);
        let request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        Ok(request.header("content-length", body.len()).body(Full::new(body.into()))?)
    }
}
