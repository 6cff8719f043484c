//! `tollway invoice decode`: what an invoice asks for, after its signature has been checked.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Invoice, Msat, Network, PaymentHash};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{BAD, STRONG, escape, paint};
use crate::{token_text, utc};

/// `tollway invoice decode`.
#[derive(Debug)]
pub(crate) struct InvoiceDecode;

#[derive(Args)]
struct Arguments {
    /// A BOLT 11 invoice, with or without `lightning:` before it; `-` reads stdin
    invoice: String,
}

const AFTER_HELP: &str = "\
An invoice that Tollway would not pay (no amount, a bad signature, an unknown network) is refused.

Examples:
  tollway invoice decode lnbcrt100n1p...
  tollway invoice decode --format json - < invoice.txt";

#[async_trait]
impl Command for InvoiceDecode {
    fn name(&self) -> &'static str {
        "invoice decode"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show what a Lightning invoice asks for";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, _shell: &Shell) -> Result<Output, Failure> {
        let invoice = read_invoice(&read::<Arguments>(args).invoice)?;
        Ok(Output::new(&Report::new(&invoice, SystemTime::now())))
    }
}

/// An invoice as people give it: with or without `lightning:` before it, or `-` for stdin.
pub(crate) fn read_invoice(given: &str) -> Result<Invoice, Failure> {
    let text = if given == "-" { token_text::read_stdin()? } else { given.to_owned() };
    let text = text.trim();
    let bare = match text.split_at_checked("lightning:".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("lightning:") => rest,
        _ => text,
    };
    Ok(Invoice::parse(bare)?)
}

#[derive(Serialize)]
struct Report {
    amount_msat: u64,
    network: Network,
    payment_hash: PaymentHash,
    payee: String,
    description: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    expiry_seconds: u64,
    expired: bool,
    #[serde(skip)]
    ends: Option<String>,
}

impl Report {
    fn new(invoice: &Invoice, now: SystemTime) -> Self {
        Self {
            amount_msat: invoice.amount().msat(),
            network: invoice.network(),
            payment_hash: invoice.payment_hash(),
            payee: invoice.payee().to_string(),
            description: invoice.description(),
            created_at: utc::date(invoice.created_at()),
            expires_at: invoice.expires_at().map(utc::date),
            expiry_seconds: invoice.expiry().as_secs(),
            expired: !invoice.is_live(now, Duration::ZERO),
            ends: invoice.expires_at().map(|end| utc::distance(end, now)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = Msat::from_msat(self.amount_msat).to_string();
        writeln!(f, "amount        {}", paint(STRONG, amount))?;
        writeln!(f, "network       {}", self.network)?;
        writeln!(f, "payment hash  {}", self.payment_hash)?;
        writeln!(f, "payee         {}", self.payee)?;
        match &self.description {
            Some(text) => writeln!(f, "description   {}", escape(text))?,
            None => writeln!(f, "description   (only its hash is in the invoice)")?,
        }
        writeln!(f, "created       {}", self.created_at)?;
        match (&self.expires_at, &self.ends) {
            (Some(date), Some(distance)) => {
                let distance = format!("({distance})");
                let distance = if self.expired { paint(BAD, distance) } else { distance };
                writeln!(f, "expires       {date} {distance}")
            }
            _ => writeln!(f, "expires       never"),
        }
    }
}
