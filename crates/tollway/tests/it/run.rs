//! Runs the real binary in an empty environment and collects all of what it says.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub(crate) const TOLLWAY: &str = env!("CARGO_BIN_EXE_tollway");

/// What a finished process said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The one JSON object on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A client that pays nothing.
pub(crate) fn plain_http() -> reqwest::Client {
    // The first of the process decides, and all of them say the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// The binary with these arguments, without any of our environment, at home in `home`.
pub(crate) fn tollway<A: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(TOLLWAY);
    command.env_clear().env("TOLLWAY_HOME", home).current_dir(home).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end, with `stdin`.
pub(crate) fn run_with(mut command: Command, stdin: &str) -> Said {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A process that does not read its stdin may close it early.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap().into()
}

/// Runs a command that needs no folder.
pub(crate) fn say(args: &[&str]) -> Said {
    run_with(tollway(&std::env::temp_dir(), args), "")
}
