//! `tollway wallet`: taking what was bought elsewhere, and bringing in what other programs have
//! bought.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Secret;
use serde::Serialize;
use tollway_client::transfer::{self, LngetStore, TokenFile};
use tollway_client::{Adopted, Entry, Origin, Wallet};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::fetch::flags::{AskError, read_file, read_url};
use crate::files::write_private;
use crate::output::Output;
use crate::pay::WalletFlags;
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway wallet export`.
#[derive(Debug)]
pub(crate) struct WalletExport;

/// `tollway wallet import`.
#[derive(Debug)]
pub(crate) struct WalletImport;

#[derive(Args)]
struct ExportArguments {
    /// A file that is not there yet; it is for its owner only
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct ImportArguments {
    /// An export of ours, `-` for stdin; the folder in which lnget keeps its tokens, `~/.lnget/tokens`
    /// unless it was told otherwise; or with --origin a token file of Aperture's client
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Which server sold the token: Aperture's files do not say it
    #[arg(long, value_name = "URL")]
    origin: Option<String>,

    #[command(flatten)]
    wallet: WalletFlags,
}

/// What was written.
#[derive(Serialize)]
struct Exported {
    path: PathBuf,
    payments: usize,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, path) = (self.payments, self.path.display());
        write!(
            f,
            "{count} payments are in {path}, with their proofs: whoever reads it can use them"
        )
    }
}

/// What was taken over.
#[derive(Serialize)]
struct Imported {
    added: usize,
    proven: usize,
    known: usize,
    passed_over: Vec<String>,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, proven, known, .. } = self;
        write!(f, "{added} added, {proven} completed by their proofs, {known} were here already")?;
        self.passed_over.iter().try_for_each(|why| write!(f, "\nnot taken over: {}", escape(why)))
    }
}

#[async_trait]
impl Command for WalletExport {
    fn name(&self) -> &'static str {
        "wallet export"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Write everything in the wallet into a file";
        let after = "The file holds every proof: keep it as you keep money. It is written with mode \
                     0600.\n\nExamples:\n  tollway wallet export wallet.json";
        ExportArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ExportArguments { file, wallet } = read(args);
        let wallet = wallet.open(shell).await?;
        let text = transfer::export(&*wallet).await?;
        let payments = wallet.entries().await?.len();
        let failed = |source| Failure::Io { what: format!("writing `{}`", file.display()), source };
        write_private(&file, text.expose().as_bytes()).map_err(failed)?;
        Ok(Output::new(&Exported { path: file, payments }))
    }
}

#[async_trait]
impl Command for WalletImport {
    fn name(&self) -> &'static str {
        "wallet import"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about =
            "Take over what was bought elsewhere: by this program, lnget or Aperture's client";
        let after = "What is here already stays as it is, and every proof is checked.\n\nExamples:\n  \
                     tollway wallet import wallet.json\n  tollway wallet import ~/.lnget/tokens\n  \
                     tollway wallet import --origin https://api.example.com l402.token";
        ImportArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ImportArguments { path, origin, wallet } = read(args);
        let wallet = wallet.open(shell).await?;
        if let Some(origin) = origin {
            let token = token_file(&path, &origin)?;
            let adopted = wallet.adopt(&[Entry::Finished(token)]).await?;
            return Ok(imported(adopted, Vec::new()));
        }
        if path.is_dir() {
            let failed =
                |source| Failure::Io { what: format!("reading `{}`", path.display()), source };
            let store = LngetStore::read(&path).map_err(failed)?;
            let passed = store.passed_over.iter();
            let passed = passed.map(|passed| format!("{}: {}", passed.path.display(), passed.why));
            let passed: Vec<String> = passed.collect();
            let entries: Vec<_> = store.tokens.into_iter().map(Entry::Finished).collect();
            return Ok(imported(wallet.adopt(&entries).await?, passed));
        }
        let bytes = read_file("PATH", &path.display().to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| AskError::Secret {
            flag: "PATH",
            problem: "it is no export; give `--origin URL` for a token file of Aperture's client",
        })?;
        let text = Secret::new(text);
        Ok(imported(transfer::import(&*wallet, text.expose()).await?, Vec::new()))
    }
}

fn imported(adopted: Adopted, passed_over: Vec<String>) -> Output {
    let Adopted { added, proven, known } = adopted;
    Output::new(&Imported { added, proven, known, passed_over })
}

/// A file that says what was bought, and not from whom.
fn token_file(path: &Path, origin: &str) -> Result<tollway_client::Token, Failure> {
    let bad = |problem| Failure::from(AskError::Secret { flag: "PATH", problem });
    let url = read_url(origin)?;
    let origin = Origin::of(&url).map_err(|error| Failure::Fetch(Box::new(error.into())))?;
    let file = TokenFile::parse(&read_file("PATH", &path.display().to_string())?)?;
    let is_old = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lsat"));
    let token = file.into_token(origin, if is_old { "LSAT" } else { "L402" });
    token.ok_or_else(|| bad("its payment has no known end: ask the node that made it"))
}
