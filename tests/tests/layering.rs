//! Dependencies point one way (docs/../ARCHITECTURE.md, "Crates"): types <- libraries <- daemons <- cli.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DAEMONS: [&str; 3] = ["cairn-membership", "cairn-table", "cairn-block"];
/// Libraries that must stay pure: no I/O, no async, no wire.
const PURE: [&str; 5] = ["cairn-types", "cairn-placement", "cairn-crdt", "cairn-register", "cairn-s3"];
const FORBIDDEN_IN_PURE: [&str; 8] =
    ["tokio", "tonic", "hyper", "rocksdb", "prost", "rustls", "cairn-proto", "tracing"];

struct Manifest {
    name: String,
    dependencies: BTreeSet<String>,
    path: PathBuf,
}

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs this"))
        .parent()
        .expect("tests lie in the workspace")
        .to_owned()
}

/// Names under `[dependencies]` of every member of the workspace.
fn manifests() -> Vec<Manifest> {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let members = workspace.split("members = [").nth(1).expect("a list of members").split(']').next().expect("its end");
    let members: Vec<&str> =
        members.split(',').map(|line| line.trim().trim_matches('"')).filter(|m| !m.is_empty()).collect();
    assert!(members.len() > 10, "the list of members was not understood");
    members.into_iter().map(|member| manifest(&root().join(member).join("Cargo.toml"))).collect()
}

fn manifest(path: &Path) -> Manifest {
    let text = fs::read_to_string(path).expect("a member's manifest");
    let mut section = "";
    let mut name = String::new();
    let mut dependencies = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim().trim_end_matches(".workspace");
            match section {
                "[package]" if key == "name" => name = value.trim().trim_matches('"').to_owned(),
                "[dependencies]" => {
                    dependencies.insert(key.to_owned());
                }
                _ => {}
            }
        }
    }
    Manifest { name, dependencies, path: path.to_owned() }
}

#[test]
fn no_service_imports_another() {
    for manifest in manifests() {
        let hosts_daemons = manifest.name == "cairn-cli";
        for daemon in DAEMONS.iter().chain(&["cairn-gateway"]) {
            let imports = manifest.dependencies.contains(*daemon);
            assert!(!imports || hosts_daemons, "{} may not import {daemon}", manifest.path.display());
        }
    }
}

#[test]
fn pure_crates_stay_pure() {
    for manifest in manifests().iter().filter(|manifest| PURE.contains(&manifest.name.as_str())) {
        for banned in FORBIDDEN_IN_PURE {
            assert!(!manifest.dependencies.contains(banned), "{} may not depend on {banned}", manifest.name);
        }
    }
}

#[test]
fn only_store_names_rocksdb() {
    for manifest in manifests().iter().filter(|manifest| manifest.name != "cairn-store") {
        assert!(!manifest.dependencies.contains("rocksdb"), "{} names rocksdb", manifest.name);
    }
}

#[test]
fn only_the_clis_server_hosts_daemons() {
    let sources = root().join("cli/src");
    for entry in fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("server.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for daemon in ["cairn_membership::", "cairn_table::", "cairn_block::", "cairn_gateway::"] {
            assert!(!text.contains(daemon), "{} names {daemon}", path.display());
        }
    }
}

#[test]
fn nobody_is_called_util() {
    for manifest in manifests() {
        let dir = manifest.path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        for banned in ["util", "utils", "helpers", "common", "manager", "misc"] {
            assert_ne!(dir, banned, "{}", manifest.path.display());
        }
    }
}
