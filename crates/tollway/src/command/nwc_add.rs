//! `tollway nwc add`: lets one more application use the node, under a budget.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Secret;
use serde::Serialize;
use tollway_purse::nwc::{Budget, Connections, NewConnection};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{STRONG, paint};
use crate::{files, flags, log};

/// `tollway nwc add`.
#[derive(Debug)]
pub(crate) struct NwcAdd;

#[derive(Args)]
struct Arguments {
    /// How you call the application
    name: String,

    /// What it may spend, routing included, as `10000 sat/month` (day, week, month, year), or
    /// `10000 sat` once and for all; `0` lets it be paid only, `unlimited` spend all there is
    #[arg(long, value_name = "BUDGET", value_parser = limit)]
    budget: Limit,

    /// The relay by way of which it is used; several may be given
    #[arg(long = "relay", value_name = "URL", required = true)]
    relays: Vec<String>,

    /// Where the connection's URL is written, for you alone
    #[arg(long, value_name = "FILE")]
    url_file: Option<PathBuf>,

    /// Print the URL instead of writing it to a file. Whoever reads it can spend the budget
    #[arg(long, conflicts_with = "url_file")]
    print_url: bool,
}

/// A budget, or the word for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Budget>);

/// Reads a budget, or `unlimited`.
pub(crate) fn limit(text: &str) -> Result<Limit, tollway_purse::nwc::NotABudget> {
    if text == "unlimited" { Ok(Limit(None)) } else { text.parse().map(|it| Limit(Some(it))) }
}

const AFTER_HELP: &str = "\
The URL is a key to the budget, and is given once: into a file that only you can read, unless you ask
for it on the terminal. `tollway node run --nwc` serves all connections; a new one within a second.

Examples:
  tollway nwc add phone --budget '10000 sat/month' --relay wss://relay.example
  tollway nwc add till --budget 0 --relay wss://relay.example --print-url";

#[async_trait]
impl Command for NwcAdd {
    fn name(&self) -> &'static str {
        "nwc add"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Let an application pay through your node by Nostr Wallet Connect, on a budget";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { name, budget: Limit(budget), relays, url_file, print_url } = read(args);
        log::start(shell, "warn");
        let folder = shell.need_folder()?;
        let connections = Connections::open(folder.join(BOOK)).await?;
        let file = match (print_url, url_file) {
            (true, _) => None,
            (false, Some(file)) => Some(flags::absolute(&file)?),
            (false, None) => Some(folder.join(format!("nwc-{}.url", file_name(&name)))),
        };
        let new = NewConnection { name: name.clone(), relays, budget };
        let url = add(&connections, new, file.as_deref()).await?;
        let file = file.map(|file| file.display().to_string());
        Ok(Output::new(&Added { name, file, url: url.map(|url| url.expose().clone()) }))
    }
}

/// The name of the book in Tollway's folder.
pub(crate) const BOOK: &str = "nwc.sqlite";

/// Makes a connection, and writes its URL to a file that was not there. Gives the URL where there is
/// no file.
pub(crate) async fn add(
    connections: &Connections,
    new: NewConnection,
    file: Option<&Path>,
) -> Result<Option<Secret<String>>, Failure> {
    let Some(file) = file else { return Ok(Some(connections.add(new).await?)) };
    let io = |source| Failure::Io { what: format!("writing {}", file.display()), source };
    // Before the connection is made: a URL that can be written nowhere would be lost.
    let mut out = files::create_private(file).map_err(io)?;
    let url = match connections.add(new).await {
        Ok(url) => url,
        Err(error) => {
            // It is empty, and ours.
            let _ = std::fs::remove_file(file);
            return Err(error.into());
        }
    };
    out.write_all(url.expose().as_bytes()).map_err(io)?;
    out.write_all(b"\n").map_err(io)?;
    out.sync_all().map_err(io)?;
    Ok(None)
}

/// A name as part of a file's.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}

#[derive(Serialize)]
struct Added {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.url, &self.file) {
            (Some(url), _) => f.write_str(url),
            (None, Some(file)) => write!(f, "the connection's URL is in {}", paint(STRONG, file)),
            (None, None) => Ok(()),
        }
    }
}
