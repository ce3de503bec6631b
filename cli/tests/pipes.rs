//! `cairn … | head`: a command that nobody reads any more ends as other tools do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Stdio};

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    for command in [&["completions", "bash"][..], &["completions", "zsh"], &["--help"], &["key", "create", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child =
            Command::new(env!("CARGO_BIN_EXE_cairn")).args(command).stdout(writer).stderr(Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
        // As a shell reports SIGPIPE; of help, clap forgets that it was not written.
        let expected = if command.contains(&"--help") { 0 } else { 141 };
        assert_eq!(output.status.code(), Some(expected), "{command:?}");
    }
}

#[test]
fn an_error_that_nobody_reads_is_one() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    let status = command.args(["--cluster", "/nonexistent", "status"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cairn")).args(["completions", "bash"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"), "{output:?}");
}
