//! The list of what is built, its document, and the tests it names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

// A build for libFuzzer links every test of the package with it (src/fuzz.rs).
use bolero as _;

use cairn_s3::compatibility::{EVERY, EVERY_OF_A_BUCKET, OPERATIONS, Place, Support, document, fields};
use cairn_s3::operation::Unset;

fn root() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).ancestors().nth(2).unwrap().to_owned()
}

#[test]
fn the_document_is_the_list() {
    let path = root().join("docs/s3-compatibility.md");
    if std::env::var_os("CAIRN_BLESS").is_some() {
        fs::write(&path, document()).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == document(), "make it anew: see its head");
}

#[test]
fn what_is_built_names_its_test() {
    let supports = OPERATIONS.iter().map(|one| one.support).chain(fields().map(|one| one.support));
    for test in supports.filter_map(Support::test) {
        let (file, function) = test.split_once("::").unwrap();
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {function}()")), "{test} is not there");
    }
}

#[test]
fn operations_are_named_once_and_none_that_the_gateway_knows_is_missing() {
    let names: BTreeSet<&str> = OPERATIONS.iter().map(|one| one.name).collect();
    assert_eq!(names.len(), OPERATIONS.len());
    for unset in Unset::ALL {
        let listed = OPERATIONS.iter().find(|one| one.name == unset.name());
        assert!(listed.is_some_and(|one| one.support != Support::No), "{}", unset.name());
    }
}

#[test]
fn fields_are_of_operations_and_what_is_missing_can_be_asked_for() {
    let topics: BTreeSet<&str> = fields().map(|one| one.topic).collect();
    assert_eq!(topics.len(), fields().count(), "a topic is a row's name");
    for field in fields() {
        for name in field.of.iter().filter(|_| ![EVERY, EVERY_OF_A_BUCKET].contains(&field.of)) {
            let listed = OPERATIONS.iter().find(|one| one.name == *name);
            assert!(listed.is_some_and(|one| one.support != Support::No), "{}: {name}", field.topic);
        }
        assert!(field.support != Support::No || !field.lacking.is_empty(), "{} cannot be walked", field.topic);
        let each =
            field.place != Place::Element || field.lacking.is_empty() || field.lacking.len() == field.names.len();
        assert!(each, "{}: a value for each element", field.topic);
    }
}
