//! `tollway config`: the user's settings.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::NodeUrl;
use serde::Serialize;
use serde_json::Value;
use toml_edit::DocumentMut;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{self, BadSettings, Settings};
use crate::shell::Shell;

/// `tollway config show`.
#[derive(Debug)]
pub(crate) struct ConfigShow;

/// `tollway config check`.
#[derive(Debug)]
pub(crate) struct ConfigCheck;

/// `tollway config set`.
#[derive(Debug)]
pub(crate) struct ConfigSet;

#[derive(Args)]
struct CheckArguments {
    /// The file; the user's own unless given
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Args)]
struct SetArguments {
    /// Which, as `node` or `policy.max_cost`
    #[arg(value_name = "KEY")]
    key: String,

    /// To what; as TOML, or as text where it is none. Empty takes the key out
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: String,
}

/// The settings as they are used.
#[derive(Serialize)]
struct Shown {
    path: Option<PathBuf>,
    settings: Value,
    #[serde(skip)]
    words: String,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => writeln!(f, "# {}", path.display())?,
            None => writeln!(f, "# no folder for settings: HOME is not set")?,
        }
        f.write_str(&crate::terminal::escape_except(&self.words, &['\n']))
    }
}

impl Shown {
    fn of(mut settings: Settings, path: Option<PathBuf>) -> Self {
        // A node's URL may hold a password: shown is what may be.
        settings.node = settings.node.map(|url| format!("{:?}", NodeUrl::new(url)));
        let words = toml::to_string(&settings).expect("settings can be written as TOML");
        let settings = serde_json::to_value(&settings).expect("settings have string keys only");
        Self { path, settings, words }
    }
}

/// What was done.
#[derive(Serialize)]
struct Done {
    path: PathBuf,
    #[serde(skip)]
    words: &'static str,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.words)
    }
}

#[async_trait]
impl Command for ConfigShow {
    fn name(&self) -> &'static str {
        "config show"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show the settings, and where they are";
        let after = "The settings are in config.toml, in $XDG_CONFIG_HOME/tollway or ~/.config/tollway, \
                     or in $TOLLWAY_HOME\nwhere that is set. What is secret in a node's URL is not \
                     shown.\n\nExamples:\n  tollway config show";
        command.about(about).after_help(after)
    }

    async fn run(&self, _: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        Ok(Output::new(&Shown::of(Settings::load(shell)?, shell.settings_file())))
    }
}

#[async_trait]
impl Command for ConfigCheck {
    fn name(&self) -> &'static str {
        "config check"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Examples:\n  tollway config check\n  tollway config check new.toml";
        CheckArguments::augment_args(command).about("Check the settings").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let CheckArguments { file } = read(args);
        let path = file.or_else(|| shell.settings_file()).ok_or(Failure::NoHome)?;
        let failed = |source| Failure::Io { what: format!("reading `{}`", path.display()), source };
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        Settings::read(&text, &path)?;
        Ok(Output::new(&Done { path, words: "is in order" }))
    }
}

#[async_trait]
impl Command for ConfigSet {
    fn name(&self) -> &'static str {
        "config set"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "What else stands in the file stays as it is, comments too.\n\nExamples:\n  \
                     tollway config set node purse:/run/purse.sock\n  \
                     tollway config set policy.max_cost '50 sat'\n  \
                     tollway config set policy.limits '[{ most = \"1000 sat\", per = \"day\" }]'\n  \
                     tollway config set rates '{ currency = \"EUR\", url = \"https://rates.example.com/{currency}\", \
                     pointer = \"/last\" }'\n  \
                     tollway config set policy.max_cost ''";
        SetArguments::augment_args(command).about("Change a setting").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let SetArguments { key, value } = read(args);
        let path = shell.settings_file().ok_or(Failure::NoHome)?;
        let failed = |source| Failure::Io { what: format!("reading `{}`", path.display()), source };
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        let changed = change(&text, &key, &value, &path)?;
        // What cannot be read again is not written.
        Settings::read(&changed, &path)?;
        settings::write(&path, &changed).map_err(|source| Failure::Io {
            what: format!("writing `{}`", path.display()),
            source,
        })?;
        Ok(Output::new(&Done { path, words: "is written" }))
    }
}

/// The text with one key changed.
fn change(text: &str, key: &str, value: &str, path: &Path) -> Result<String, BadSettings> {
    let bad = |problem: String| BadSettings { path: path.to_owned(), problem };
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| bad(e.message().to_owned()))?;
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty());
    let last = last.ok_or_else(|| bad("a key has a name".to_owned()))?;
    let mut table = document.as_table_mut();
    for part in parts {
        let inner = table.entry(part).or_insert_with(toml_edit::table);
        table = inner.as_table_mut().ok_or_else(|| bad(format!("`{part}` is no table")))?;
    }
    if value.is_empty() {
        table.remove(last);
    } else {
        let parsed = value.parse::<toml_edit::Value>();
        table[last] = toml_edit::value(parsed.unwrap_or_else(|_| value.into()));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_changes_and_the_rest_stays() {
        let path = Path::new("config.toml");
        let text = "# mine\nnode = \"a:b\"\n";
        let set = |text: &str, key: &str, value: &str| change(text, key, value, path).unwrap();
        let more = set(text, "policy.max_cost", "5 sat");
        assert_eq!(more, "# mine\nnode = \"a:b\"\n\n[policy]\nmax_cost = \"5 sat\"\n");
        let limits = set(&more, "policy.limits", "[{ most = \"9 sat\", per = \"day\" }]");
        assert_eq!(Settings::read(&limits, path).unwrap().policy.limits.len(), 1);
        assert_eq!(set(&more, "policy.max_cost", ""), "# mine\nnode = \"a:b\"\n\n[policy]\n");
        assert!(change(text, "node.x", "1", path).is_err());
    }
}
