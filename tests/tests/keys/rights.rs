//! Every operation by every kind of grant: allowed where a small model says so, and refused, with nothing changed,
//! everywhere else; by header, by link and by form, under the bucket's name and under an alias.

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::Cluster;
use cairn_tests::operator::Operator;
use cairn_tests::s3::{Reply, S3};
use http::Method;

use crate::{NOTHING, create, everywhere, owners, refused, run};

const BUCKET: &str = "guarded";
const ALIAS: &str = "guarded.example.org";
const READ: u8 = 1;
const WRITE: u8 = 2;
const OWNER: u8 = 4;
/// Where the prefix `in/` reaches, and where it does not though it looks alike.
const PLACES: [&str; 5] = ["in/", "in/deep/", "in", "inn/", "out/"];

/// What a key was granted: on the whole bucket, and within `in/`.
#[derive(Clone, Copy, Debug)]
struct Granted {
    whole: u8,
    within: u8,
}

impl Granted {
    fn on(self, text: &str) -> u8 {
        if text.starts_with("in/") { self.whole | self.within } else { self.whole }
    }
}

/// What an operation touches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touches {
    /// That there is such a bucket.
    Existence,
    /// The key `{p}…`, or the keys that begin with it.
    Key,
    /// The same, and the source of a copy `{s}…`.
    KeyAndSource,
    Bucket,
}

/// One operation. `{b}` is the bucket, `{u}` and `{a}` are open uploads of `{p}obj`, `{etag}` its first part's.
struct Case {
    name: &'static str,
    right: u8,
    touches: Touches,
    method: Method,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// Where it is allowed.
    status: u16,
}

const UPLOAD: (&str, &str) = ("uploadId", "{u}");
const SOURCE: (&str, &str) = ("x-amz-copy-source", "/{b}/{s}obj");
const COMPLETE: &str = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
                        </CompleteMultipartUpload>";
const CORS: &str = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>\
                    </CORSRule></CORSConfiguration>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>old/</Prefix></Filter>\
                         <Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
const WEBSITE: &str =
    "<WebsiteConfiguration><IndexDocument><Suffix>i.html</Suffix></IndexDocument></WebsiteConfiguration>";

fn cases() -> Vec<Case> {
    use Touches::{Bucket, Existence, Key, KeyAndSource};
    let case = |name, right, touches, method, path, status| Case {
        name,
        right,
        touches,
        method,
        path,
        query: &[],
        headers: &[],
        body: "",
        status,
    };
    let object = |name, right, method, path, status| case(name, right, Key, method, path, status);
    let list = |name, query| Case { query, ..case(name, READ, Key, Method::GET, "/{b}", 200) };
    let setting =
        |name, method, query, body, status| Case { query, body, ..case(name, OWNER, Bucket, method, "/{b}", status) };
    const OBJ: &str = "/{b}/{p}obj";
    vec![
        case("HeadBucket", READ, Existence, Method::HEAD, "/{b}", 200),
        Case { query: &[("location", "")], ..case("GetBucketLocation", READ, Existence, Method::GET, "/{b}", 200) },
        Case { body: "x", ..object("PutObject", WRITE, Method::PUT, "/{b}/{p}new", 200) },
        object("GetObject", READ, Method::GET, OBJ, 200),
        object("HeadObject", READ, Method::HEAD, OBJ, 200),
        Case {
            query: &[("attributes", "")],
            headers: &[("x-amz-object-attributes", "ETag")],
            ..object("GetObjectAttributes", READ, Method::GET, OBJ, 200)
        },
        Case { query: &[("acl", "")], ..object("GetObjectAcl", READ, Method::GET, OBJ, 200) },
        Case { query: &[("tagging", "")], ..object("GetObjectTagging", READ, Method::GET, OBJ, 200) },
        object("DeleteObject", WRITE, Method::DELETE, "/{b}/{p}gone", 204),
        Case { headers: &[SOURCE], ..case("CopyObject", WRITE, KeyAndSource, Method::PUT, "/{b}/{p}copy", 200) },
        Case { query: &[("uploads", "")], ..object("CreateMultipartUpload", WRITE, Method::POST, "/{b}/{p}up", 200) },
        Case {
            query: &[UPLOAD, ("partNumber", "1")],
            body: "part",
            ..object("UploadPart", WRITE, Method::PUT, OBJ, 200)
        },
        Case {
            query: &[UPLOAD, ("partNumber", "2")],
            headers: &[SOURCE],
            ..case("UploadPartCopy", WRITE, KeyAndSource, Method::PUT, OBJ, 200)
        },
        Case { query: &[UPLOAD], ..object("ListParts", WRITE, Method::GET, OBJ, 200) },
        Case { query: &[UPLOAD], body: COMPLETE, ..object("CompleteMultipartUpload", WRITE, Method::POST, OBJ, 200) },
        Case { query: &[("uploadId", "{a}")], ..object("AbortMultipartUpload", WRITE, Method::DELETE, OBJ, 204) },
        list("ListObjects", &[("prefix", "{p}")]),
        list("ListObjects from elsewhere", &[("prefix", "{p}"), ("marker", "a"), ("delimiter", "/")]),
        list("ListObjectsV2", &[("list-type", "2"), ("prefix", "{p}")]),
        list("ListObjectVersions", &[("versions", ""), ("prefix", "{p}")]),
        list("ListMultipartUploads", &[("uploads", ""), ("prefix", "{p}")]),
        Case { query: &[("list-type", "2")], ..case("ListObjectsV2 of all", READ, Bucket, Method::GET, "/{b}", 200) },
        Case {
            query: &[("versions", "")],
            ..case("ListObjectVersions of all", READ, Bucket, Method::GET, "/{b}", 200)
        },
        Case {
            query: &[("uploads", "")],
            ..case("ListMultipartUploads of all", READ, Bucket, Method::GET, "/{b}", 200)
        },
        case("ListObjects of all", READ, Bucket, Method::GET, "/{b}", 200),
        setting("PutBucketCors", Method::PUT, &[("cors", "")], CORS, 200),
        setting("GetBucketCors", Method::GET, &[("cors", "")], "", 200),
        setting("DeleteBucketCors", Method::DELETE, &[("cors", "")], "", 204),
        setting("PutBucketLifecycle", Method::PUT, &[("lifecycle", "")], LIFECYCLE, 200),
        setting("GetBucketLifecycle", Method::GET, &[("lifecycle", "")], "", 200),
        setting("DeleteBucketLifecycle", Method::DELETE, &[("lifecycle", "")], "", 204),
        setting("PutBucketWebsite", Method::PUT, &[("website", "")], WEBSITE, 200),
        setting("GetBucketWebsite", Method::GET, &[("website", "")], "", 200),
        setting("DeleteBucketWebsite", Method::DELETE, &[("website", "")], "", 204),
        // Never empty here: who may delete it hears that.
        setting("DeleteBucket", Method::DELETE, &[], "", 409),
    ]
}

/// What stands for the braces.
#[derive(Clone, Default)]
struct Scene {
    place: String,
    source: String,
    upload: String,
    abortable: String,
    etag: String,
}

impl Case {
    /// Where it is tried: each place as target, and with each as source for copies.
    fn scenes(&self, places: &[Scene]) -> Vec<Scene> {
        match self.touches {
            Touches::Existence | Touches::Bucket => vec![Scene::default()],
            Touches::Key => places.to_vec(),
            Touches::KeyAndSource => {
                let sources = |place: &Scene| {
                    let with = |source: &Scene| Scene { source: source.place.clone(), ..place.clone() };
                    places.iter().map(with).collect::<Vec<_>>()
                };
                places.iter().flat_map(sources).collect()
            }
        }
    }

    fn allowed(&self, granted: Granted, scene: &Scene) -> bool {
        let has = |rights: u8, right: u8| rights & right == right;
        match self.touches {
            Touches::Existence => has(granted.whole | granted.within, self.right),
            Touches::Bucket => has(granted.whole, self.right),
            Touches::Key => has(granted.on(&scene.place), self.right),
            Touches::KeyAndSource => has(granted.on(&scene.place), self.right) && has(granted.on(&scene.source), READ),
        }
    }

    async fn send(&self, s3: &mut S3, scene: &Scene, bucket: &str, link: bool) -> Result<Reply> {
        let fill = |text: &str| {
            let text = text.replace("{b}", bucket).replace("{p}", &scene.place).replace("{s}", &scene.source);
            text.replace("{u}", &scene.upload).replace("{a}", &scene.abortable).replace("{etag}", &scene.etag)
        };
        let pairs =
            |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, text)| (*name, fill(text))).collect::<Vec<_>>();
        let (path, query, headers, body) = (fill(self.path), pairs(self.query), pairs(self.headers), fill(self.body));
        let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let digest = content_md5(&body);
        if self.right == OWNER && !body.is_empty() {
            headers.push(("content-md5", &digest));
        }
        let request = if link {
            s3.presigned(self.method.clone(), &path, &query, &headers, body.into())?
        } else {
            s3.signed(self.method.clone(), &path, &query, &headers, body.into())?
        };
        s3.exchange(request).await
    }
}

fn content_md5(body: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(<md5::Md5 as md5::Digest>::digest(body))
}

/// Fresh objects and uploads in every place, made by the owner.
async fn places(owner: &mut S3) -> Result<Vec<Scene>> {
    let mut scenes = Vec::new();
    for place in PLACES {
        for key in ["obj", "gone"] {
            owner.put(BUCKET, &format!("{place}{key}"), "x").await?.expect(200)?;
        }
        let path = format!("/{BUCKET}/{place}obj");
        let mut uploads = Vec::new();
        for _ in 0..2 {
            let made = owner.send(Method::POST, &path, &[("uploads", "")], &[], NOTHING).await?.expect(200)?;
            uploads.push(made.element("UploadId").context("no upload id")?);
        }
        let (abortable, upload) = (uploads.pop().unwrap_or_default(), uploads.pop().unwrap_or_default());
        let query = [("uploadId", upload.as_str()), ("partNumber", "1")];
        let part = owner.send(Method::PUT, &path, &query, &[], "part").await?.expect(200)?;
        let etag = part.header("etag").to_owned();
        scenes.push(Scene { place: place.to_owned(), source: place.to_owned(), upload, abortable, etag });
    }
    for (setting, body) in [("cors", CORS), ("lifecycle", LIFECYCLE), ("website", WEBSITE)] {
        let digest = content_md5(body);
        let headers = [("content-md5", digest.as_str())];
        owner.send(Method::PUT, &format!("/{BUCKET}"), &[(setting, "")], &headers, body).await?.expect(200)?;
    }
    Ok(scenes)
}

/// All that a refused request could have changed.
async fn snapshot(owner: &mut S3, scenes: &[Scene]) -> Result<Vec<String>> {
    let bucket = format!("/{BUCKET}");
    let mut seen = Vec::new();
    for query in [("list-type", "2"), ("uploads", ""), ("cors", ""), ("lifecycle", ""), ("website", "")] {
        let reply = owner.send(Method::GET, &bucket, &[query], &[], NOTHING).await?.expect(200)?;
        ensure!(reply.element("IsTruncated").is_none_or(|cut| cut == "false"), "the listing is too long");
        seen.push(reply.text());
    }
    for scene in scenes {
        let query = [("uploadId", scene.upload.as_str())];
        let path = format!("{bucket}/{}obj", scene.place);
        seen.push(owner.send(Method::GET, &path, &query, &[], NOTHING).await?.expect(200)?.text());
    }
    Ok(seen)
}

async fn grant(operator: &Operator, name: &str, granted: Granted) -> Result<cairn_tests::operator::Key> {
    let key = operator.key(name, &[]).await?;
    for (rights, prefix) in [(granted.whole, None), (granted.within, Some("in/"))] {
        let flags = [(READ, "--read"), (WRITE, "--write"), (OWNER, "--owner")];
        let flags = flags.into_iter().filter(|(right, _)| rights & right != 0).map(|(_, flag)| flag);
        let mut command = vec!["bucket", "allow", BUCKET, "--key", &key.id];
        command.extend(flags);
        command.extend(prefix.into_iter().flat_map(|prefix| ["--prefix", prefix]));
        if rights != 0 {
            operator.run(&command).await?;
        }
    }
    Ok(key)
}

/// Everything that `granted` does not allow, then everything that it does; how many requests that were.
async fn check(cluster: &Cluster, operator: &Operator, owner: &mut S3, granted: Granted) -> Result<usize> {
    let key = grant(operator, &format!("{granted:?}"), granted).await?;
    let mut gateways = everywhere(cluster, &key);
    let scenes = places(owner).await?;
    let before = snapshot(owner, &scenes).await?;
    let cases = cases();
    let mut count = 0;
    for allowed in [false, true] {
        for (at, case) in cases.iter().enumerate() {
            let wanted = case.scenes(&scenes).into_iter().filter(|scene| case.allowed(granted, scene) == allowed);
            for scene in wanted {
                // Once is enough where something is changed by it.
                let ways: &[bool] = if allowed { &[count % 2 == 0] } else { &[false, true] };
                for link in ways {
                    let bucket = if (count + at) % 2 == 0 { BUCKET } else { ALIAS };
                    let gateway = count % gateways.len();
                    let reply = case.send(&mut gateways[gateway], &scene, bucket, *link).await?;
                    let (place, source) = (&scene.place, &scene.source);
                    let told = || format!("{} at {place:?} from {source:?} by link: {link}, {granted:?}", case.name);
                    if allowed {
                        reply.expect(case.status).with_context(told)?;
                    } else {
                        refused(&reply, "AccessDenied").with_context(told)?;
                    }
                    count += 1;
                }
            }
        }
        if !allowed {
            count += forms(&mut gateways, granted, false).await?;
            ensure!(snapshot(owner, &scenes).await? == before, "{granted:?}: what was refused changed something");
        }
    }
    count += forms(&mut gateways, granted, true).await?;
    deletions(owner, &mut gateways, granted).await?;
    Ok(count)
}

/// POST forms into every place where they are, or are not, allowed.
async fn forms(gateways: &mut [S3], granted: Granted, allowed: bool) -> Result<usize> {
    let places = PLACES.into_iter().filter(|place| (granted.on(place) & WRITE != 0) == allowed);
    let mut count = 0;
    for (place, bucket) in places.zip([BUCKET, ALIAS].into_iter().cycle()) {
        let gateway = &mut gateways[count % 3];
        let form = gateway.form(bucket, &format!("{place}form"), &[], b"file")?;
        let reply = gateway.exchange(form).await?;
        if allowed {
            reply.expect(204)?;
        } else {
            refused(&reply, "AccessDenied").with_context(|| format!("a form at {place}, {granted:?}"))?;
        }
        count += 1;
    }
    Ok(count)
}

/// One DeleteObjects that names a key in every place: each is judged by itself.
async fn deletions(owner: &mut S3, gateways: &mut [S3], granted: Granted) -> Result<()> {
    for (place, gateway) in PLACES.iter().zip((0..3).cycle()) {
        owner.put(BUCKET, &format!("{place}gone"), "x").await?.expect(200)?;
        let keys: String = PLACES.iter().map(|place| format!("<Object><Key>{place}gone</Key></Object>")).collect();
        let body = format!("<Delete>{keys}</Delete>");
        let digest = content_md5(&body);
        let headers = [("content-md5", digest.as_str())];
        let path = format!("/{}", if gateway == 1 { ALIAS } else { BUCKET });
        let reply = gateways[gateway].send(Method::POST, &path, &[("delete", "")], &headers, body).await?;
        if (granted.whole | granted.within) & WRITE == 0 {
            refused(&reply, "AccessDenied")?;
        } else {
            let reply = reply.expect(200)?;
            let denied = PLACES.iter().filter(|place| granted.on(place) & WRITE == 0).count();
            let codes = reply.elements("Code");
            ensure!(codes.len() == denied && codes.iter().all(|code| code == "AccessDenied"), "{}", reply.text());
        }
        let status = if granted.on(place) & WRITE == 0 { 200 } else { 404 };
        owner.get(BUCKET, &format!("{place}gone")).await?.expect(status)?;
    }
    Ok(())
}

#[test]
fn a_key_may_do_what_it_was_granted_and_nothing_else() {
    run(async |cluster, operator| {
        let mut owner = S3::first(&cluster.ready)?;
        create(&mut owner, BUCKET).await?;
        operator.run(&["bucket", "alias", "add", BUCKET, ALIAS]).await?;
        let whole = [0, READ, WRITE, OWNER, READ | WRITE, READ | WRITE | OWNER];
        let whole = whole.map(|whole| Granted { whole, within: 0 });
        let within = [(0, READ), (0, WRITE), (0, READ | WRITE), (READ, WRITE), (OWNER, READ)];
        let within = within.map(|(whole, within)| Granted { whole, within });
        let mut count = 0;
        for granted in whole.into_iter().chain(within) {
            count += check(cluster, operator, &mut owner, granted).await.with_context(|| format!("{granted:?}"))?;
        }
        println!("{count} requests as the model says");
        Ok(())
    });
}

#[test]
fn another_bucket_is_another_matter() {
    run(async |cluster, operator| {
        let mut owner = S3::first(&cluster.ready)?;
        for bucket in ["mine", "theirs"] {
            create(&mut owner, bucket).await?;
            owner.put(bucket, "object", "x").await?.expect(200)?;
        }
        let key = operator.key("of mine", &[]).await?;
        operator.run(&["bucket", "allow", "mine", "--key", &key.id, "--read", "--write", "--owner"]).await?;
        for s3 in &mut everywhere(cluster, &key) {
            s3.get("mine", "object").await?.expect(200)?;
            for reply in [
                s3.get("theirs", "object").await?,
                s3.put("theirs", "object", "y").await?,
                s3.delete("theirs", "object").await?,
                s3.list("theirs", &[]).await?,
                s3.send(Method::PUT, "/mine/copy", &[], &[("x-amz-copy-source", "/theirs/object")], NOTHING).await?,
                s3.send(Method::PUT, "/theirs/copy", &[], &[("x-amz-copy-source", "/mine/object")], NOTHING).await?,
            ] {
                refused(&reply, "AccessDenied")?;
            }
            let listed = s3.send(Method::GET, "/", &[], &[], NOTHING).await?.expect(200)?;
            ensure!(listed.elements("Name") == ["mine"], "{}", listed.text());
        }
        // Nobody at all.
        for s3 in owners(cluster) {
            let anonymous = http::Request::get("/mine/object").header("host", s3.host());
            let mut s3 = s3.by("none", "none");
            let reply = s3.exchange(anonymous.body(http_body_util::Full::new(NOTHING))?).await?;
            refused(&reply, "AccessDenied")?;
            refused(&s3.get("mine", "object").await?, "InvalidAccessKeyId")?;
            refused(&s3.by(&key.id, "not its secret").get("mine", "object").await?, "SignatureDoesNotMatch")?;
        }
        Ok(())
    });
}
