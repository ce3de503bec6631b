//! What a browser makes of it: headless Chromium, a page of another origin, real processes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::Cluster;
use cairn_tests::program::{Client, Program, script};
use cairn_tests::s3::S3;
use http::Method;

const CHROMIUM: Program = Program { name: "chromium-headless-shell", get: "apt-get install chromium-headless-shell" };
const PYTHON: Program = Program { name: "python3", get: "./test browser (makes a virtual environment)" };

/// One cluster for all tests of this file.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::three().expect("a cluster"))
}

/// The document as the browser has it when its scripts are done.
fn visit(browser: &Path, url: &str) -> Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(browser);
    command.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=20000"]);
    command.arg(format!("--user-data-dir={}", home.path().display())).args(["--dump-dom", url]);
    let output = command.output().with_context(|| format!("running {}", browser.display()))?;
    ensure!(output.status.success(), "chromium: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn answer(mut connection: TcpStream, page: &str) {
    let lines = BufReader::new(&connection).lines().map_while(Result::ok);
    if lines.take_while(|line| !line.is_empty()).count() == 0 {
        return;
    }
    let length = page.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close";
    // The browser may have gone: it is its own affair.
    connection.write_all(format!("{head}\r\ncontent-length: {length}\r\n\r\n{page}").as_bytes()).ok();
}

/// Serves one page to whoever asks, as long as the test runs; its origin.
fn serve(page: impl FnOnce(&str) -> Result<String>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://localhost:{}", listener.local_addr()?.port());
    let page = page(&origin)?;
    let page = Arc::new(page);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let page = page.clone();
            // A browser opens connections it may never use.
            thread::spawn(move || answer(connection, &page));
        }
    });
    Ok(origin)
}

#[test]
fn a_page_uploads_by_form_and_by_link_across_origins() {
    if let Err(error) = upload_from_a_page() {
        panic!("{error:?}");
    }
}

fn upload_from_a_page() -> Result<()> {
    let (Some(browser), Some(program)) = (CHROMIUM.find()?, PYTHON.find()?) else { return Ok(()) };
    let home = tempfile::tempdir()?;
    let python = Client { program, home: home.path(), ready: &cluster().ready };
    let template = fs::read_to_string(script("browser_page.html"))?;
    let origin = serve(|origin| {
        let output = python.output([script("browser_links.py").as_os_str(), origin.as_ref()])?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(template.replace("LINKS", &String::from_utf8(output.stdout)?))
    })?;
    let document = visit(&browser, &origin)?;
    let said = document.split("<pre id=\"said\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let facts: Vec<&str> = said.context("the page said nothing")?.lines().collect();
    ensure!(facts.len() == 7 && facts[6] == "end", "{document}");
    ensure!(facts[0] == "form: 201 true true", "{facts:?}");
    ensure!(facts[1].starts_with("put: 200 \"") && facts[1].ends_with(" null"), "{facts:?}");
    ensure!(facts[1].len() == "put: 200 \"\" null".len() + 32, "the tag is exposed, the request id is not: {facts:?}");
    ensure!(facts[2] == "put with a header that no rule allows: TypeError", "{facts:?}");
    ensure!(facts[3] == "get: by link", "{facts:?}");
    ensure!(facts[4] == "delete: TypeError", "{facts:?}");
    ensure!(facts[5] == "an error can be read: 400", "{facts:?}");
    Ok(())
}

#[test]
fn a_site_is_read_with_its_redirects_and_its_error_page() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(error) = runtime.block_on(read_a_site()) {
        panic!("{error:?}");
    }
}

async fn read_a_site() -> Result<()> {
    let Some(browser) = CHROMIUM.find()? else { return Ok(()) };
    let mut s3 = S3::first(&cluster().ready)?;
    let site = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
                <ErrorDocument><Key>error.html</Key></ErrorDocument><RoutingRules><RoutingRule>\
                <Condition><KeyPrefixEquals>docs/</KeyPrefixEquals></Condition>\
                <Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules>\
                </WebsiteConfiguration>";
    s3.send(Method::PUT, "/read", &[], &[], "").await?.expect(200)?;
    s3.send(Method::PUT, "/read", &[("website", "")], &[], site).await?.expect(200)?;
    let script = "<p id=where></p><script src=/app.js?v=1></script>";
    for (key, name) in [("index.html", "home"), ("new/index.html", "new"), ("error.html", "lost")] {
        let page = format!("<!DOCTYPE html><title>{name}</title>{script}");
        s3.send(Method::PUT, &format!("/read/{key}"), &[], &[("content-type", "text/html")], page)
            .await?
            .expect(200)?;
    }
    let app = "document.getElementById('where').textContent = document.title + ' at ' + location.pathname;";
    s3.send(Method::PUT, "/read/app.js", &[], &[("content-type", "text/javascript")], app).await?.expect(200)?;
    let moved = [("x-amz-website-redirect-location", "/docs/")];
    s3.send(Method::PUT, "/read/moved", &[], &moved, "").await?.expect(200)?;
    let endpoint = cluster().ready.web_endpoint.as_deref().context("no web endpoint")?;
    let port = endpoint.rsplit(':').next().context("no port")?;
    for (path, said) in [
        ("/", "home at /"),
        ("/new", "new at /new/"),
        ("/moved", "new at /new/"),
        ("/none/at/all", "lost at /none/at/all"),
    ] {
        let document = visit(&browser, &format!("http://read.web.localhost:{port}{path}"))?;
        ensure!(document.contains(&format!("<p id=\"where\">{said}</p>")), "{path}: {document}");
    }
    Ok(())
}
