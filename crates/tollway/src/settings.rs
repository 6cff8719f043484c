//! The user's own settings: which node pays, where the wallet is, what may be paid without asking,
//! and in which currency prices are shown too. One file in the user's configuration folder; none is
//! looked for in the folder in which a command happens to run.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tollway_client::Policy;

use crate::failure::Failure;
use crate::files;
use crate::rates::RateSource;
use crate::shell::Shell;

/// What the file says. Every key may be left out, and no other key may be there.
///
/// ```toml
/// node = "lnd://127.0.0.1:8080?cert=/p/tls.cert&macaroon=file:/p/pay.macaroon"
///
/// [policy]
/// max_cost = "100 sat"
/// ask_above = "50 sat"
///
/// [[policy.limits]]
/// most = "1000 sat"
/// per = "day"
///
/// [rates]
/// currency = "EUR"
/// url = "https://rates.example.com/ticker/{currency}"
/// pointer = "/{currency}/last"
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The node that pays, unless a flag or `$TOLLWAY_NODE` names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    /// The wallet, unless a flag or `$TOLLWAY_WALLET` names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wallet: Option<PathBuf>,
    /// Where the key of a sealed wallet is, unless a flag or `$TOLLWAY_WALLET_KEY` says it:
    /// `file:PATH`, `env:NAME`, `keyring:NAME` or `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wallet_key: Option<String>,
    /// What may be paid.
    pub(crate) policy: Policy,
    /// Where the price of a bitcoin is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rates: Option<RateSource>,
}

/// The file cannot be used. What it says is not quoted where it could be a secret.
#[derive(Debug, thiserror::Error)]
#[error("the settings in `{}` cannot be used: {problem}", path.display())]
pub(crate) struct BadSettings {
    /// Which file.
    pub(crate) path: PathBuf,
    /// Where and what.
    pub(crate) problem: String,
}

impl Settings {
    /// Reads the user's file; where there is none, nothing is set.
    pub(crate) fn load(shell: &Shell) -> Result<Self, Failure> {
        let Some(path) = shell.settings_file() else { return Ok(Self::default()) };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::read(&text, &path)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => {
                Err(Failure::Io { what: format!("reading `{}`", path.display()), source })
            }
        }
    }

    /// Reads what such a file says.
    pub(crate) fn read(text: &str, path: &Path) -> Result<Self, BadSettings> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let problem = format!("{place}{}", error.message());
            BadSettings { path: path.to_owned(), problem }
        })
    }
}

/// Writes the file: whole or not at all, and for its owner only: a node's URL can be as good as its money.
pub(crate) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if !folder.exists() {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(new);
    let mut file = files::create_private(&new)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| std::fs::rename(&new, path));
    if renamed.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, BadSettings> {
        Settings::read(text, Path::new("config.toml"))
    }

    #[test]
    fn a_policy_is_read_and_an_unknown_key_is_refused_by_name_and_line() {
        let settings = read("node = \"x:y\"\n[policy]\nmax_cost = \"5 sat\"\n").unwrap();
        assert_eq!(settings.policy.max_cost, Some("5 sat".parse().unwrap()));
        let error = read("node = \"x:y\"\nmax_cost = \"5 sat\"\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("max_cost"), "{error}");
    }
}
