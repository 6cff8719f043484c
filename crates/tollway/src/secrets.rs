//! Secrets that a flag, a setting or a URL only names: in a file, in the environment, in the system's
//! keyring, or typed on the terminal. Never on the command line, where everybody on the machine can read them.
//!
//! The keyring is reached by the system's own tool for it: `secret-tool` (of libsecret: GNOME's, KDE's
//! and other keyrings that speak the Secret Service), and `security` on macOS.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use l402::Secret;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::files;
use crate::shell::Shell;
use crate::terminal::{ask_secret, somebody_sits_there};

/// How long a keyring may take: somebody may have to unlock it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
    /// In the system's keyring, under that name.
    Keyring(String),
    /// In somebody's head, who types it on the terminal.
    Terminal,
}

/// A secret cannot be had, or not be kept. Nothing of it is in the message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The text names no place.
    #[error(
        "write `file:PATH`, `env:NAME`, `keyring:NAME` or `ask`: others can see a command line"
    )]
    NoPlace,
    /// The file cannot be read, or not be made.
    #[error("{doing} `{}` failed", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no such variable.
    #[error("it is to be in the environment variable {0}, which is not set")]
    NotSet(String),
    /// Nobody sits there, or nobody typed it.
    #[error("it is asked for on a terminal, and there is none, or nothing was typed")]
    NotTyped,
    /// What was typed to be kept in mind was not typed so again.
    #[error("it was not typed the same way twice")]
    NotTheSame,
    /// The environment of another process is not ours to write.
    #[error("a new secret is kept by `file:PATH` or `keyring:NAME` only")]
    NotKept,
    /// The keyring's tool is not there.
    #[error("the system's keyring is reached by `{tool}`, which cannot be run")]
    NoTool {
        /// Its name.
        tool: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The keyring has no secret of that name, or does not give it.
    #[error("the system's keyring gives no secret called `{0}`")]
    NotInKeyring(String),
    /// The keyring did not take it.
    #[error("the system's keyring did not take the secret called `{0}`")]
    NotTaken(String),
    /// The keyring did not answer in time.
    #[error("the system's keyring did not answer in {} s; unlock it first", PATIENCE.as_secs())]
    Late,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("keyring", name)) if !name.is_empty() => Ok(Self::Keyring(name.to_owned())),
            None if text == "ask" => Ok(Self::Terminal),
            _ => Err(PlaceError::NoPlace),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Keyring(name) => write!(f, "keyring:{name}"),
            Self::Terminal => f.write_str("ask"),
        }
    }
}

impl Place {
    /// The secret, without the line break at its end.
    pub(crate) async fn read(&self, shell: &Shell) -> Result<Secret<String>, PlaceError> {
        let mut secret = match self {
            Self::File(path) => {
                let failed =
                    |source| PlaceError::File { doing: "reading", path: path.clone(), source };
                std::fs::read_to_string(path).map_err(failed)?
            }
            Self::Env(name) => {
                let set = shell.variable(name).filter(|secret| !secret.is_empty());
                set.ok_or_else(|| PlaceError::NotSet(name.clone()))?
            }
            Self::Keyring(name) => look_up(name).await?,
            Self::Terminal => return typed("The wallet's key: ").await,
        };
        secret.truncate(secret.trim_end_matches(['\r', '\n']).len());
        Ok(Secret::new(secret))
    }

    /// The secret that is used from now on: one that is typed is typed twice.
    pub(crate) async fn read_new(&self, shell: &Shell) -> Result<Secret<String>, PlaceError> {
        if *self != Self::Terminal {
            return self.read(shell).await;
        }
        let secret = typed("The wallet's new key: ").await?;
        match typed("Again: ").await?.expose() == secret.expose() {
            true => Ok(secret),
            false => Err(PlaceError::NotTheSame),
        }
    }

    /// Keeps a new secret there: in a file that was not there, for its owner only, or in the keyring.
    pub(crate) async fn keep(&self, secret: &Secret<String>) -> Result<(), PlaceError> {
        match self {
            Self::File(path) => {
                let failed =
                    |source| PlaceError::File { doing: "writing", path: path.clone(), source };
                let line = Secret::new(format!("{}\n", secret.expose()));
                files::write_private(path, line.expose().as_bytes()).map_err(failed)
            }
            Self::Env(_) | Self::Terminal => Err(PlaceError::NotKept),
            Self::Keyring(name) => store(name, secret).await,
        }
    }
}

async fn typed(question: &str) -> Result<Secret<String>, PlaceError> {
    if !somebody_sits_there() {
        return Err(PlaceError::NotTyped);
    }
    let secret = ask_secret(question.to_owned()).await;
    secret.ok().filter(|secret| !secret.expose().is_empty()).ok_or(PlaceError::NotTyped)
}

/// The tool of this system, which finds the keyring by the session's environment.
fn tool() -> (&'static str, Command) {
    let tool = if cfg!(target_os = "macos") { "security" } else { "secret-tool" };
    let mut command = Command::new(tool);
    command.kill_on_drop(true).stdin(Stdio::null()).stderr(Stdio::null());
    (tool, command)
}

async fn look_up(name: &str) -> Result<String, PlaceError> {
    let (tool, mut command) = tool();
    match tool {
        "security" => command.args(["find-generic-password", "-s", "tollway", "-a", name, "-w"]),
        _ => command.args(["lookup", "service", "tollway", "name", name]),
    };
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| PlaceError::Late)?;
    let output = output.map_err(|source| PlaceError::NoTool { tool, source })?;
    let text = String::from_utf8(output.stdout).unwrap_or_default();
    if output.status.success() && !text.trim().is_empty() {
        return Ok(text);
    }
    Err(PlaceError::NotInKeyring(name.to_owned()))
}

async fn store(name: &str, secret: &Secret<String>) -> Result<(), PlaceError> {
    let (tool, mut command) = tool();
    let no_tool = |source| PlaceError::NoTool { tool, source };
    let label = format!("Tollway: {name}");
    // By stdin: what is in an argument, others can see.
    let (arguments, line) = match tool {
        "security" => (
            vec!["-i"],
            format!(
                "add-generic-password -U -s tollway -a \"{}\" -w \"{}\"\n",
                name.escape_default(),
                secret.expose()
            ),
        ),
        _ => (
            vec!["store", "--label", &label, "service", "tollway", "name", name],
            secret.expose().clone(),
        ),
    };
    let line = Secret::new(line);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(no_tool)?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let stored = async {
        // One that does not read is told of by its exit.
        let _ = stdin.write_all(line.expose().as_bytes()).await;
        drop(stdin);
        child.wait().await
    };
    let ended = tokio::time::timeout(PATIENCE, stored).await.map_err(|_| PlaceError::Late)?;
    match ended.map_err(no_tool)?.success() {
        true => Ok(()),
        false => Err(PlaceError::NotTaken(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_and_a_secret_is_not() {
        for text in ["file:/a/b", "env:NAME", "keyring:wallet", "ask"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for bad in ["hunter2", "env:", "keyring:", "file:", "AGE-SECRET-KEY-1X"] {
            let error = bad.parse::<Place>().unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("AGE"), "{error}");
        }
    }
}
