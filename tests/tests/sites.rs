//! Web sites and aliases on a real cluster of three nodes; certificates by host on a real daemon.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use cairn_tests::cluster::{Cluster, cairn, signal, wait_until};
use cairn_tests::full;
use cairn_tests::s3::{Reply, S3};
use http::{Method, Request};
use http_body_util::Full;

const NOTHING: Bytes = Bytes::new();
const SOON: Duration = Duration::from_secs(10);
const SITE: &str = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
                    <ErrorDocument><Key>error.html</Key></ErrorDocument></WebsiteConfiguration>";

/// One cluster of three nodes; each test uses buckets of its own.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::three().expect("a cluster"))
}

fn run(test: impl AsyncFnOnce(&Cluster) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(test(cluster())) {
        panic!("{error:?}\nthe processes wrote:\n{}", cluster().log());
    }
}

/// `cairn ...`, as an operator of the cluster.
fn operator(cluster: &Cluster, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(cairn()?).arg("--cluster").arg(cluster.data_dir()).args(arguments).output();
    output.with_context(|| format!("cairn {arguments:?}"))
}

/// The web listeners of all nodes.
fn web_endpoints(cluster: &Cluster) -> Vec<String> {
    cluster.ready.nodes.iter().filter_map(|node| node.web.clone()).collect()
}

/// What a browser would get for `http://host/path` from the listener at `endpoint`.
async fn visit(cluster: &Cluster, endpoint: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    let mut request = Request::get(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    S3::new(endpoint, &cluster.ready).exchange(request.body(Full::new(NOTHING))?).await
}

async fn make_site(cluster: &Cluster, bucket: &str) -> Result<S3> {
    let mut s3 = S3::first(&cluster.ready)?;
    s3.send(Method::PUT, &format!("/{bucket}"), &[], &[], NOTHING).await?.expect(200)?;
    s3.send(Method::PUT, &format!("/{bucket}"), &[("website", "")], &[], SITE).await?.expect(200)?;
    Ok(s3)
}

#[test]
fn every_node_serves_the_site() {
    run(async |cluster| {
        let mut s3 = make_site(cluster, "everywhere").await?;
        s3.put("everywhere", "index.html", "home").await?.expect(200)?;
        s3.put("everywhere", "a/b/index.html", "deep").await?.expect(200)?;
        s3.put("everywhere", "error.html", "lost").await?.expect(200)?;
        let large = cairn_tests::pattern(7, 3 << 20);
        s3.put("everywhere", "large.bin", large.clone()).await?.expect(200)?;
        let endpoints = web_endpoints(cluster);
        ensure!(endpoints.len() == 3 && cluster.ready.web_endpoint.as_ref() == endpoints.first(), "{endpoints:?}");
        for endpoint in &endpoints {
            let host = "everywhere.web.localhost:1";
            for (path, status, body, location) in [
                ("/", 200, "home", ""),
                ("/a/b", 302, "", "/a/b/"),
                ("/a/b/", 200, "deep", ""),
                ("/none", 404, "lost", ""),
            ] {
                let reply = visit(cluster, endpoint, host, path, &[]).await?;
                let found = (reply.status, reply.text(), reply.header("location"));
                ensure!(found == (status, body.to_owned(), location), "{endpoint}{path}: {found:?}");
            }
            let reply = visit(cluster, endpoint, host, "/large.bin", &[]).await?.expect(200)?;
            ensure!(reply.body == large, "{} bytes came", reply.body.len());
            let part = visit(cluster, endpoint, host, "/large.bin", &[("range", "bytes=1048570-1048580")]).await?;
            ensure!(part.expect(206)?.body == large[1_048_570..=1_048_580], "a range across blocks");
        }
        Ok(())
    });
}

#[test]
fn aliases_race_through_two_gateways() {
    run(async |cluster| {
        for bucket in ["race-a", "race-b"] {
            make_site(cluster, bucket).await?.put(bucket, "index.html", bucket).await?.expect(200)?;
        }
        let grpc: Vec<String> =
            cluster.ready.nodes.iter().filter(|node| node.role == "gateway").map(|node| node.grpc.clone()).collect();
        ensure!(grpc.len() == 3, "{grpc:?}");
        for round in 0..if full() { 20 } else { 3 } {
            let alias = format!("www{round}.example.org");
            let racers: Vec<_> = ["race-a", "race-b"]
                .into_iter()
                .zip(&grpc)
                .map(|(bucket, gateway)| add_through(cluster, gateway, bucket, &alias))
                .collect::<Result<_>>()?;
            let mut winners = Vec::new();
            for (bucket, racer) in ["race-a", "race-b"].into_iter().zip(racers) {
                let output = racer.wait_with_output()?;
                if output.status.success() {
                    winners.push(bucket);
                } else {
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    ensure!(said.contains("is the name of another bucket"), "{said}");
                }
            }
            ensure!(winners.len() == 1, "{winners:?} have {alias}");
            for endpoint in web_endpoints(cluster) {
                let reply = visit(cluster, &endpoint, &alias, "/", &[]).await?.expect(200)?;
                ensure!(reply.text() == winners[0], "{alias} at {endpoint}: {}", reply.text());
            }
        }
        Ok(())
    });
}

/// `cairn bucket alias add` by one gateway alone: it gets a client configuration that names no other.
fn add_through(cluster: &Cluster, grpc: &str, bucket: &str, alias: &str) -> Result<std::process::Child> {
    let mut ready: serde_json::Value = serde_json::from_slice(&fs::read(cluster.data_dir().join("ready.json"))?)?;
    let nodes = ready["nodes"].as_array_mut().context("no nodes")?;
    nodes.retain(|node| node["role"] != "gateway" || node["grpc"] == *grpc);
    let path = cluster.data_dir().join(format!("only-{}.json", grpc.rsplit(':').next().unwrap_or_default()));
    fs::write(&path, serde_json::to_vec(&ready)?)?;
    let mut command = Command::new(cairn()?);
    command.arg("--cluster").arg(path).args(["bucket", "alias", "add", bucket, alias]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Ok(command.spawn()?)
}

#[test]
fn aliases_are_names_until_the_bucket_ends() {
    run(async |cluster| {
        let mut s3 = make_site(cluster, "named").await?;
        s3.put("named", "index.html", "by name").await?.expect(200)?;
        let done = operator(cluster, &["bucket", "alias", "add", "named", "www.named.example"])?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let far = cluster.endpoints().pop().context("no gateway")?;
        let mut far = S3::new(&far, &cluster.ready);
        far.put("www.named.example", "page", "by alias").await?.expect(200)?;
        ensure!(s3.get("named", "page").await?.expect(200)?.text() == "by alias");
        for endpoint in web_endpoints(cluster) {
            let reply = visit(cluster, &endpoint, "www.named.example", "/page", &[]).await?.expect(200)?;
            ensure!(reply.text() == "by alias");
        }
        let info = operator(cluster, &["--json", "bucket", "info", "named"])?;
        let info: serde_json::Value = serde_json::from_slice(&info.stdout)?;
        ensure!(info["aliases"] == serde_json::json!(["www.named.example"]), "{info}");
        let refused = operator(cluster, &["bucket", "alias", "remove", "named", "named"])?;
        ensure!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("own name"));

        for key in ["index.html", "page"] {
            far.delete("named", key).await?.expect(204)?;
        }
        far.send(Method::DELETE, "/www.named.example", &[], &[], NOTHING).await?.expect(204)?;
        for name in ["named", "www.named.example"] {
            ensure!(s3.get(name, "page").await?.expect(404)?.element("Code").as_deref() == Some("NoSuchBucket"));
        }
        s3.send(Method::PUT, "/www.named.example", &[], &[], NOTHING).await?.expect(200)?;
        Ok(())
    });
}

/// A daemon of its own, with certificates; killed when dropped.
struct Daemon {
    child: std::process::Child,
    ready: serde_json::Value,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        signal(self.child.id(), "KILL").ok();
        self.child.wait().ok();
    }
}

/// A self-signed certificate for `name`, as operators make them.
fn certificate(dir: &Path, stem: &str, name: &str) -> Result<()> {
    let file = |kind: &str| dir.join(format!("{stem}.{kind}"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=cairn", "-addext", &format!("subjectAltName=DNS:{name}"), "-keyout"])
        .arg(file("key.new"))
        .arg("-out")
        .arg(file("pem.new"))
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for kind in ["key", "pem"] {
        fs::rename(file(&format!("{kind}.new")), file(kind))?;
    }
    Ok(())
}

/// A cluster of one node whose web listener has a certificate for `*.web.test` beside its default.
fn daemon(dir: &Path) -> Result<Daemon> {
    for (stem, name) in [("default", "s3.test"), ("wild", "*.web.test")] {
        certificate(dir, stem, name)?;
    }
    let home = dir.join("node");
    fs::create_dir(&home)?;
    let at = |path: &str| dir.join(path).display().to_string();
    let config = format!(
        "roles = ['membership', 'table', 'block', 'gateway']\n\
         [node]\nname = 'one'\nzone = 'here'\nlisten = '127.0.0.1:0'\nmembership = []\n\
         config_dir = '{}'\nsecret_file = '{}'\n\
         [membership]\ndirectory = '{}'\n[table]\ndirectory = '{}'\n[block]\ndirectories = ['{}']\n\
         [gateway]\nlisten = '127.0.0.1:0'\n[gateway.web]\nlisten = '127.0.0.1:0'\nroot_domain = 'web.test'\n\
         [gateway.web.tls]\ncertificate = '{}'\nkey = '{}'\nreload_every = '100ms'\nrefuse_unknown_hosts = true\n\
         [[gateway.web.tls.hosts]]\ncertificate = '{}'\nkey = '{}'\n",
        at("node/machine"),
        at("node/cluster.secret"),
        at("node/membership"),
        at("node/table"),
        at("node/block"),
        at("default.pem"),
        at("default.key"),
        at("wild.pem"),
        at("wild.key"),
    );
    fs::write(home.join("cairn.toml"), config)?;
    let (ready_file, log) = (dir.join("ready.json"), fs::File::create(dir.join("daemon.log"))?);
    let mut command = Command::new(cairn()?);
    command
        .arg("server")
        .arg("--data-dir")
        .arg(&home)
        .args(["--init", "--single"])
        .arg("--ready-file")
        .arg(&ready_file);
    let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut daemon = Daemon { child, ready: serde_json::Value::Null };
    let served = wait_until("the daemon serves", Duration::from_secs(60), || ready_file.exists());
    served.with_context(|| fs::read_to_string(dir.join("daemon.log")).unwrap_or_default())?;
    daemon.ready = serde_json::from_slice(&fs::read(&ready_file)?)?;
    Ok(daemon)
}

/// curl, which trusts one certificate alone, asks `https://host/path`.
fn curl(dir: &Path, trusted: &str, host: &str, port: &str, path: &str, http: &str) -> Result<Output> {
    let mut command = Command::new("curl");
    command.args(["-sS", http, "-o", "-", "-w", "|%{http_code}|%{http_version}"]);
    command.arg("--cacert").arg(dir.join(format!("{trusted}.pem")));
    command.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
    Ok(command.arg(format!("https://{host}:{port}{path}")).output()?)
}

#[test]
fn certificates_are_chosen_by_host_and_reloaded() {
    run(async |_| {
        let dir = tempfile::tempdir()?;
        let daemon = daemon(dir.path())?;
        let gateway =
            daemon.ready["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["role"] == "gateway"));
        let gateway = gateway.context("no gateway")?;
        let (s3_url, web_url) = (gateway["s3"].as_str().context("no S3")?, gateway["web"].as_str().context("no web")?);
        let port = web_url.rsplit(':').next().context("no port")?.to_owned();
        ensure!(web_url.starts_with("https://"), "{web_url}");
        let operate = |arguments: &[&str]| -> Result<Vec<u8>> {
            let output = Command::new(cairn()?)
                .arg("--cluster")
                .arg(dir.path().join("node"))
                .arg("--json")
                .args(arguments)
                .output()?;
            ensure!(output.status.success(), "cairn {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            Ok(output.stdout)
        };
        wait_until("the layout is there", SOON, || operate(&["bucket", "create", "tls-site"]).is_ok())?;
        let key: serde_json::Value = serde_json::from_slice(&operate(&["key", "create", "owner"])?)?;
        let text = |name: &str| key[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {key}"));
        let access_key = text("access_key")?;
        operate(&["bucket", "allow", "tls-site", "--key", &access_key, "--read", "--write", "--owner"])?;
        let mut ready = cluster().ready.clone();
        (ready.access_key, ready.secret_key) = (access_key, text("secret_key")?);
        let mut s3 = S3::new(s3_url, &ready);
        s3.send(Method::PUT, "/tls-site", &[("website", "")], &[], SITE).await?.expect(200)?;
        s3.put("tls-site", "index.html", "over TLS").await?.expect(200)?;

        let host = "tls-site.web.test";
        for http in ["--http1.1", "--http2"] {
            let said = String::from_utf8(curl(dir.path(), "wild", host, &port, "/", http)?.stdout)?;
            let version = if http == "--http2" { "2" } else { "1.1" };
            ensure!(said == format!("over TLS|200|{version}"), "{http}: {said}");
        }
        ensure!(!curl(dir.path(), "default", host, &port, "/", "--http1.1")?.status.success(), "the default was shown");
        let unknown = curl(dir.path(), "default", "other.test", &port, "/", "--http1.1")?;
        ensure!(!unknown.status.success(), "an unknown host was served");
        certificate(dir.path(), "wild", "*.web.test")?;
        wait_until("the new certificate is shown", SOON, || {
            curl(dir.path(), "wild", host, &port, "/", "--http1.1").is_ok_and(|output| output.status.success())
        })?;
        Ok(())
    });
}
