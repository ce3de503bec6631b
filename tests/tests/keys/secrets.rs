//! No secret of any key stands in a log, on a command line, in an environment, in what operators are shown, or on a
//! disk in the clear.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Result, ensure};
use cairn_tests::cluster::{Options, with_cluster};
use cairn_tests::operator::{Key, Operator};
use cairn_tests::s3::S3;
use http::Method;

use crate::{NOTHING, create, everywhere};

const IMPORTED: &str = "IMPORTED-secret-0123456789-abcdef";

/// Uses a key in every way in which its secret could slip out.
async fn tour(gateways: &mut [S3]) -> Result<()> {
    for s3 in gateways {
        s3.put("spoken", "key", "x").await?.expect(200)?;
        s3.get("spoken", "missing").await?.expect(404)?;
        let link = s3.presigned(Method::GET, "/spoken/key", &[], &[], NOTHING)?;
        s3.exchange(link).await?.expect(200)?;
        let form = s3.form("spoken", "form", &[], b"file")?;
        s3.exchange(form).await?.expect(204)?;
        s3.by(s3.access_key(), "wrong").get("spoken", "key").await?.expect(403)?;
        // A client that sends its secret by mistake is not quoted in full either: neither as id nor as signature.
        let secret = s3.secret_key().to_owned();
        s3.by(&secret, &secret).get("spoken", "key").await?.expect(403)?;
    }
    Ok(())
}

/// Whether a file under `directory` holds one of `needles`.
fn search(directory: &Path, needles: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(search(&entry.path(), needles)?);
            continue;
        }
        let mut bytes = Vec::new();
        // A database removes files while it runs.
        if fs::File::open(entry.path()).and_then(|mut file| file.read_to_end(&mut bytes)).is_err() {
            continue;
        }
        let holds = |needle: &&&str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        found.extend(needles.iter().filter(holds).map(|needle| format!("{needle} in {}", entry.path().display())));
    }
    Ok(found)
}

#[test]
fn secrets_are_told_once_and_nowhere_else() {
    // All that can be said of requests is said: more than operators ever ask for.
    let log = Some("debug,cairn_gateway=trace,cairn_rpc=trace,cairn_table=trace,access=info");
    with_cluster(Options { nodes: 3, split: true, log, ..Options::default() }, async |cluster| {
        let operator = Operator::of(cluster);
        create(&mut S3::first(&cluster.ready)?, "spoken").await?;
        let made = operator.key("made", &[]).await?;
        let import = ["key", "import", "imported", "--access-key", "CKIMPORTED"];
        operator.run_with(&import, IMPORTED).await?;
        for key in [made.id.as_str(), "CKIMPORTED"] {
            operator.run(&["bucket", "allow", "spoken", "--key", key, "--read", "--write"]).await?;
        }
        let rotated: Key = serde_json::from_value(operator.run(&["key", "rotate", &made.id]).await?)?;
        let imported = Key { name: String::new(), id: "CKIMPORTED".to_owned(), secret: IMPORTED.to_owned() };
        for key in [&made, &rotated, &imported] {
            tour(&mut everywhere(cluster, key)).await?;
        }

        let secrets = [made.secret.as_str(), &rotated.secret, IMPORTED];
        let told = |text: &str| secrets.iter().any(|secret| text.contains(secret));
        // What operators are shown later.
        let commands: [&[&str]; 6] = [
            &["key", "list"],
            &["key", "info", "made"],
            &["key", "set", "made", "--allow-create-bucket"],
            &["bucket", "info", "spoken"],
            &["status"],
            &["worker", "list"],
        ];
        for command in commands {
            let said = operator.run(command).await?.to_string();
            ensure!(!told(&said), "cairn {command:?} shows a secret");
        }
        for pid in cluster.pids() {
            for what in ["cmdline", "environ"] {
                let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{what}"))?).into_owned();
                ensure!(!text.is_empty() && !told(&text), "/proc/{pid}/{what} holds a secret");
            }
        }
        for node in &cluster.ready.nodes {
            ensure!(!told(&node.argv.join(" ")), "an argv holds a secret");
        }
        let log = cluster.whole_log();
        ensure!(log.contains(" DEBUG ") && log.contains(&made.id), "the log says too little to prove anything");
        for line in log.lines() {
            ensure!(!told(line), "a secret is logged: {line}");
        }
        // The search finds what is there: the id of a key is, in its row.
        let data = cluster.data_dir();
        ensure!(!search(data, &[&made.id])?.is_empty(), "the search finds nothing");
        let found = search(data, &secrets)?;
        ensure!(found.is_empty(), "{found:#?}");
        Ok(())
    });
}
