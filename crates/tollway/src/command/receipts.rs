//! `tollway receipts`: what was paid, to whom and for what. Nothing in them is secret.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use clap::{ArgMatches, Args, ValueEnum};
use tollway_client::{Entry, Wallet};

use crate::command::tokens::{List, Shown, find};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::pay::WalletFlags;
use crate::shell::Shell;

/// `tollway receipts list`.
#[derive(Debug)]
pub(crate) struct ReceiptsList;

/// `tollway receipts show`.
#[derive(Debug)]
pub(crate) struct ReceiptsShow;

/// `tollway receipts export`.
#[derive(Debug)]
pub(crate) struct ReceiptsExport;

// Which receipts.
#[derive(Args)]
struct Which {
    /// Those of this host only
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Those that were paid on this day, in UTC, or later: `2026-01-31`
    #[arg(long, value_name = "DATE", value_parser = date)]
    since: Option<SystemTime>,

    /// Those that were paid before this day
    #[arg(long, value_name = "DATE", value_parser = date)]
    until: Option<SystemTime>,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct ListArguments {
    #[command(flatten)]
    which: Which,

    /// The newest so many; all unless given
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

#[derive(Args)]
struct ShowArguments {
    /// The payment: the whole hash, or as much of its beginning as no other has
    #[arg(value_name = "PAYMENT")]
    payment: String,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct ExportArguments {
    /// In which form
    #[arg(long = "as", value_name = "FORM", default_value = "csv")]
    form: Form,

    /// The same as `--as csv`
    #[arg(long, conflicts_with = "json")]
    csv: bool,

    /// The same as `--as json`
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    which: Which,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Comma-separated values with a line of names (RFC 4180).
    Csv,
    /// One JSON array.
    Json,
}

fn date(text: &str) -> Result<SystemTime, jiff::Error> {
    let day: jiff::civil::Date = text.parse()?;
    Ok(day.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().into())
}

impl Which {
    /// The newest first.
    async fn find(&self, shell: &Shell) -> Result<Vec<Shown>, Failure> {
        let entries = self.wallet.open(shell).await?.entries().await?;
        let wanted = |entry: &&Entry| {
            let Some(token) = entry.token() else { return false };
            let host = entry.origin().host();
            self.host.as_deref().is_none_or(|wanted| wanted == host)
                && self.since.is_none_or(|since| token.paid_at >= since)
                && self.until.is_none_or(|until| token.paid_at < until)
        };
        Ok(entries.iter().filter(wanted).map(Shown::of).collect())
    }
}

#[async_trait]
impl Command for ReceiptsList {
    fn name(&self) -> &'static str {
        "receipts list"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after =
            "Examples:\n  tollway receipts list\n  tollway receipts list --since 2026-01-01";
        ListArguments::augment_args(command).about("List what was paid").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ListArguments { which, limit } = read(args);
        let mut shown = which.find(shell).await?;
        shown.truncate(limit.unwrap_or(usize::MAX));
        Ok(Output::list(List(shown)))
    }
}

#[async_trait]
impl Command for ReceiptsShow {
    fn name(&self) -> &'static str {
        "receipts show"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Examples:\n  tollway receipts show 4f1c";
        ShowArguments::augment_args(command).about("Show one payment").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ShowArguments { payment, wallet } = read(args);
        let entries = wallet.open(shell).await?.entries().await?;
        Ok(Output::new(&Shown::of(find(&entries, &payment)?)))
    }
}

#[async_trait]
impl Command for ReceiptsExport {
    fn name(&self) -> &'static str {
        "receipts export"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Write what was paid for a spreadsheet, or for a program";
        let after = "Amounts are in millisatoshi, times in UTC.\n\nExamples:\n  \
                     tollway receipts export --csv --since 2026-01-01 --until 2027-01-01 > 2026.csv\n  \
                     tollway receipts export --json";
        ExportArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ExportArguments { form, csv, json, which } = read(args);
        let shown = which.find(shell).await?;
        let as_json = json || matches!(form, Form::Json) && !csv;
        if as_json || shell.is_json() {
            return Ok(Output::list(Plain(shown)));
        }
        let written = |error: csv::Error| Failure::Stdout(std::io::Error::other(error));
        let mut writer = csv::Writer::from_writer(std::io::stdout());
        for receipt in &shown {
            writer.serialize(Row::of(receipt)).map_err(written)?;
        }
        writer.flush().map_err(Failure::Stdout)?;
        Ok(Output::nothing())
    }
}

/// A line of a spreadsheet.
#[derive(serde::Serialize)]
struct Row<'a> {
    paid_at: &'a str,
    origin: &'a str,
    method: &'a str,
    path: String,
    amount_msat: u64,
    fee_msat: u64,
    scheme: &'a str,
    description: String,
    standing: &'a str,
    payment_hash: &'a str,
}

impl<'a> Row<'a> {
    fn of(shown: &'a Shown) -> Self {
        Self {
            paid_at: shown.paid_at.as_deref().unwrap_or_default(),
            origin: &shown.origin,
            method: &shown.method,
            path: inert(&shown.path),
            amount_msat: shown.amount_msat,
            fee_msat: shown.fee_msat.unwrap_or_default(),
            scheme: shown.scheme,
            description: inert(shown.description.as_deref().unwrap_or_default()),
            standing: shown.standing,
            payment_hash: &shown.payment_hash,
        }
    }
}

/// A seller's text that a spreadsheet does not take for a formula.
fn inert(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// As JSON in both forms of output.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Plain(Vec<Shown>);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = serde_json::to_value(&self.0).expect("it has string keys only");
        f.write_str(&crate::terminal::escape_json(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sellers_text_is_no_formula() {
        assert_eq!(inert("=HYPERLINK(\"http://evil\")"), "'=HYPERLINK(\"http://evil\")");
        assert_eq!(inert("weather"), "weather");
    }

    #[test]
    fn a_day_is_one_of_utc() {
        let since = date("1970-01-02").unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 86_400);
        assert!(date("yesterday").is_err());
    }
}
