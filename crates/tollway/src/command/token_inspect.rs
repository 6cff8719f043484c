//! `tollway token inspect`: what a token says, without the secrets in it.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use hex::DisplayHex;
use l402::{Identifier, Macaroon, PaymentHash};
use serde::Serialize;

use crate::caveat_words::explain;
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{DIM, KEY, STRONG, escape, paint};
use crate::token_text;

/// `tollway token inspect`.
#[derive(Debug)]
pub(crate) struct TokenInspect;

#[derive(Args)]
struct Arguments {
    /// The token, `token:preimage`, or a header line that has one; `-` reads stdin
    token: String,
}

const AFTER_HELP: &str = "\
The signature and the preimage are not printed, so the output can be shown around.

Examples:
  tollway token inspect AgEEbHNhdAJCAAA...
  curl -si http://127.0.0.1:8402/weather/berlin | tollway token inspect -";

#[async_trait]
impl Command for TokenInspect {
    fn name(&self) -> &'static str {
        "token inspect"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        Arguments::augment_args(command).about("Show what a token says").after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, _shell: &Shell) -> Result<Output, Failure> {
        let arguments: Arguments = read(args);
        let found = token_text::from_argument(&arguments.token)?;
        let macaroons = found.token.macaroons().ok_or(Failure::NotAMacaroon)?;
        let now = SystemTime::now();
        let opens = found.preimage.map(|preimage| {
            let mut hashes = macaroons.iter().filter_map(Macaroon::payment_hash);
            hashes.any(|hash| preimage.opens(hash))
        });
        let macaroons = macaroons.iter().map(|macaroon| One::new(macaroon, now)).collect();
        Ok(Output::new(&Report { macaroons, preimage_opens: opens }))
    }
}

#[derive(Serialize)]
struct Report {
    macaroons: Vec<One>,
    /// Whether the preimage that was given opens the payment hash; absent when none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    preimage_opens: Option<bool>,
}

#[derive(Serialize)]
struct One {
    location: String,
    identifier: String,
    payment_hash: Option<PaymentHash>,
    token_id: Option<String>,
    key_id: Option<String>,
    caveats: Vec<CaveatReport>,
}

#[derive(Serialize)]
struct CaveatReport {
    caveat: String,
    meaning: String,
    known: bool,
}

impl One {
    fn new(macaroon: &Macaroon, now: SystemTime) -> Self {
        let id = Identifier::parse(macaroon.identifier()).ok().map(|id| id.token_id);
        Self {
            location: macaroon.location(),
            identifier: macaroon.identifier().to_lower_hex_string(),
            payment_hash: macaroon.payment_hash(),
            token_id: id.map(|id| id.to_string()),
            key_id: id.map(|id| id.key_id().to_string()),
            caveats: macaroon
                .caveats()
                .map(|caveat| explain(caveat, now))
                .map(|words| CaveatReport {
                    caveat: words.shown,
                    meaning: words.meaning,
                    known: words.known,
                })
                .collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.macaroons.iter().enumerate() {
            if self.macaroons.len() > 1 {
                writeln!(f, "{}", paint(STRONG, format!("macaroon {}", index + 1)))?;
            }
            one.fmt(f)?;
        }
        match self.preimage_opens {
            Some(true) => writeln!(f, "preimage      opens the payment hash: paid for"),
            Some(false) => writeln!(f, "preimage      does not open the payment hash"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "location      {}", escape(&self.location))?;
        match (&self.payment_hash, &self.token_id, &self.key_id) {
            (Some(hash), Some(token), Some(key)) => {
                writeln!(f, "payment hash  {hash}")?;
                writeln!(f, "token id      {token}")?;
                let note = paint(DIM, "(if a Tollway gateway minted it)");
                writeln!(f, "key id        {key} {note}")?;
            }
            (Some(hash), ..) => writeln!(f, "payment hash  {hash}")?,
            (None, ..) => {
                writeln!(f, "identifier    {} (says no payment hash)", self.identifier)?;
            }
        }
        if self.caveats.is_empty() {
            return writeln!(f, "caveats       none: it opens all that its server sells for it");
        }
        writeln!(f, "caveats")?;
        for CaveatReport { caveat, meaning, .. } in &self.caveats {
            writeln!(f, "  {}", paint(KEY, caveat))?;
            writeln!(f, "      {}", escape(meaning))?;
        }
        Ok(())
    }
}
