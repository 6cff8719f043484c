//! `tollway resume`: ends what earlier commands left open. The node is asked how each payment ended;
//! nothing is paid.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde::Serialize;
use tollway_client::{Ending, Entry, Standing, Wallet};

use crate::command::tokens::Shown;
use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log;
use crate::output::Output;
use crate::pay::PayFlags;
use crate::shell::Shell;
use crate::terminal::{BAD, GOOD, escape, paint};

/// `tollway resume`.
#[derive(Debug)]
pub(crate) struct Resume;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    pay: PayFlags,
}

/// What was learned, and what is left to do.
#[derive(Serialize)]
struct Report {
    /// Payments that were made: their proofs are in the wallet now.
    paid: Vec<String>,
    /// Payments that were not made.
    not_paid: Vec<String>,
    /// Payments of which the node cannot say it yet.
    unknown: Vec<String>,
    /// What was paid for and has opened nothing yet.
    undelivered: Vec<Shown>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hash in &self.paid {
            writeln!(f, "{} {hash}; the proof is in the wallet", paint(GOOD, "paid"))?;
        }
        for hash in &self.not_paid {
            writeln!(f, "not paid {hash}")?;
        }
        for hash in &self.unknown {
            writeln!(f, "{} {hash}; ask again later", paint(BAD, "not known"))?;
        }
        for shown in &self.undelivered {
            let (method, origin, path) = (&shown.method, &shown.origin, escape(&shown.path));
            let method = if method == "GET" { String::new() } else { format!("-X {method} ") };
            writeln!(f, "paid and not delivered; get it, paying nothing more:")?;
            writeln!(f, "  tollway get {method}{origin}{path}")?;
        }
        if self.paid.len() + self.not_paid.len() + self.unknown.len() + self.undelivered.len() == 0
        {
            f.write_str("nothing is left open")?;
        }
        Ok(())
    }
}

#[async_trait]
impl Command for Resume {
    fn name(&self) -> &'static str {
        "resume"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "End payments whose end is not known, and show what was not delivered";
        let after = "Nothing is paid. A payment that was made becomes a token in the wallet; one that \
                     was not is struck out, once its\ninvoice can no longer be paid. Ends with 7 while \
                     the end of one is not known.\n\nExamples:\n  tollway resume\n  \
                     tollway resume --node purse:/run/purse.sock";
        Arguments::augment_args(command.about(about).after_help(after))
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { pay } = read(args);
        log::start(shell, "error");
        let client = pay.builder(shell).await?.build()?;
        let settled = client.settle().await;
        let endings = settled.map_err(|error| Failure::Fetch(Box::new(error)))?;
        let (mut paid, mut not_paid, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for ending in endings {
            match ending {
                Ending::Paid(receipt) => paid.push(receipt.hash.to_string()),
                Ending::NotPaid(hash) => not_paid.push(hash.to_string()),
                Ending::Unknown(hash) => unknown.push(hash.to_string()),
            }
        }
        let entries = pay.wallet(shell).await?.entries().await?;
        let fresh =
            |entry: &&Entry| entry.token().is_some_and(|token| token.standing == Standing::Fresh);
        let undelivered = entries.iter().filter(fresh).map(Shown::of).collect();
        let exit = if unknown.is_empty() { Exit::Ok } else { Exit::MayHavePaid };
        let report = Report { paid, not_paid, unknown, undelivered };
        Ok(Output::new(&report).with_exit(exit))
    }
}
