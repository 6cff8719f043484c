//! `tollway node payments`: what a node paid and was paid, by its own books.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::{Direction, Transfer, TransferState};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag, table};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;
use crate::utc;

/// `tollway node payments`.
#[derive(Debug)]
pub(crate) struct NodePayments;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    node: NodeFlag,

    /// How many, the newest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

const AFTER_HELP: &str = "\
No preimages are shown: each is a proof of payment.

Examples:
  tollway node payments
  tollway node payments -n 100 --format json";

#[async_trait]
impl Command for NodePayments {
    fn name(&self) -> &'static str {
        "node payments"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "List what a node has paid and been paid";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let node = args.node.operate("look at", shell).await?;
        let payments = node.payments(args.limit).await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report { payments }))
    }
}

#[derive(Serialize)]
struct Report {
    payments: Vec<Transfer>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.payments.is_empty() {
            return write!(f, "no payments yet");
        }
        let heading = ["WHEN", "WAY", "STATE", "AMOUNT", "FEE", "PAYMENT HASH", "MEMO"];
        let mut rows = vec![heading.map(str::to_owned)];
        for row in &self.payments {
            let at = row.at.and_then(|at| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)).map(utc::date)
            });
            let (way, pending) = match row.direction {
                Direction::Sent => ("out", "on its way"),
                Direction::Received => ("in", "not paid yet"),
            };
            let state = match row.state {
                TransferState::Pending => pending,
                TransferState::Paid => "paid",
                TransferState::NotPaid => "not paid",
            };
            rows.push([
                at.unwrap_or_else(|| "-".to_owned()),
                way.to_owned(),
                state.to_owned(),
                row.amount.to_string(),
                row.fee.map_or_else(|| "-".to_owned(), |fee| fee.to_string()),
                row.hash.to_string(),
                row.memo.as_deref().map(escape).unwrap_or_default(),
            ]);
        }
        table::write(f, &rows, &[3, 4])
    }
}
