//! `tollway wallet seal` and `unseal`: what opens doors is encrypted in the wallet's file, with a key that
//! its owner keeps elsewhere.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde::Serialize;
use tollway_client::WalletKey;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::pay::WalletFlags;
use crate::secrets::{Place, PlaceError};
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway wallet seal`.
#[derive(Debug)]
pub(crate) struct WalletSeal;

/// `tollway wallet unseal`.
#[derive(Debug)]
pub(crate) struct WalletUnseal;

#[derive(Args)]
struct SealArguments {
    /// Where the key is that seals it from now on: `file:PATH`, `env:NAME`, `keyring:NAME`, or `ask`
    /// to type it. A passphrase, or an age identity
    #[arg(value_name = "SOURCE")]
    key: String,

    /// Make the key, an age identity, and keep it there: in a new file, or in the keyring
    #[arg(long)]
    make: bool,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct UnsealArguments {
    #[command(flatten)]
    wallet: WalletFlags,
}

/// How the wallet is now.
#[derive(Serialize)]
struct Sealed {
    path: String,
    sealed: bool,
    /// Where its key is.
    key: Option<String>,
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = escape(&self.path);
        let Some(key) = self.key.as_deref().map(escape) else {
            return write!(f, "{path} is not sealed");
        };
        writeln!(
            f,
            "{path} is sealed: without its key nobody opens it, and nobody can restore it"
        )?;
        write!(f, "name the key for every command: tollway config set wallet_key '{key}'")
    }
}

#[async_trait]
impl Command for WalletSeal {
    fn name(&self) -> &'static str {
        "wallet seal"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Encrypt what opens doors in the wallet's file";
        let after = "Tokens, preimages and queries are encrypted, and what was there unencrypted is overwritten. Who was\n\
                     paid, when and how much stays readable. A wallet that is sealed already gets the new key in place\n\
                     of the one that `--wallet-key` names. `keyring:NAME` asks the system's keyring by its own tool:\n\
                     `secret-tool` (of libsecret), or `security` on macOS.\n\nExamples:\n  \
                     tollway wallet seal keyring:wallet --make\n  \
                     tollway wallet seal file:/media/key/wallet.age --make\n  \
                     tollway wallet seal ask\n  \
                     tollway wallet seal env:NEW_PASSPHRASE --wallet-key env:OLD_PASSPHRASE";
        SealArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let SealArguments { key, make, wallet } = read(args);
        let place: Place = key.parse()?;
        let wallet = wallet.open(shell).await?;
        let key = if make { made(&place, shell).await? } else { given(&place, shell).await? };
        wallet.seal(&key).await?;
        let path = wallet.path().display().to_string();
        Ok(Output::new(&Sealed { path, sealed: true, key: Some(place.to_string()) }))
    }
}

async fn given(place: &Place, shell: &Shell) -> Result<WalletKey, PlaceError> {
    Ok(WalletKey::read(&place.read_new(shell).await?))
}

/// A key that can be had from its place again, before anything is sealed with it.
async fn made(place: &Place, shell: &Shell) -> Result<WalletKey, PlaceError> {
    let (_, text) = WalletKey::generate();
    place.keep(&text).await?;
    given(place, shell).await
}

#[async_trait]
impl Command for WalletUnseal {
    fn name(&self) -> &'static str {
        "wallet unseal"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Take the encryption off the wallet's file";
        let after = "Examples:\n  tollway wallet unseal --wallet-key keyring:wallet";
        UnsealArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let UnsealArguments { wallet } = read(args);
        let wallet = wallet.open(shell).await?;
        wallet.unseal().await?;
        let path = wallet.path().display().to_string();
        Ok(Output::new(&Sealed { path, sealed: false, key: None }))
    }
}
