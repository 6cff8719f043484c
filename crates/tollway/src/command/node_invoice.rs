//! `tollway node invoice`: asks to be paid, and waits for it if it is told to.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Invoice, Invoicer, Msat, PaymentHash};
use serde::Serialize;

use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{GOOD, escape, paint};
use crate::{flags, log, nodes, utc};

/// How often the node is asked whether it was paid.
const OFTEN: Duration = Duration::from_millis(500);

/// `tollway node invoice`.
#[derive(Debug)]
pub(crate) struct NodeInvoice;

#[derive(Args)]
struct Arguments {
    /// What to ask for; a bare number is satoshi
    #[arg(value_name = "AMOUNT", value_parser = flags::amount)]
    amount: Msat,

    /// What it is for, which the payer sees
    #[arg(long, value_name = "TEXT", default_value = "")]
    memo: String,

    /// For how many seconds it can be paid
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expiry: u64,

    /// Wait until it is paid, or has expired
    #[arg(long)]
    wait: bool,

    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
Examples:
  tollway node invoice 1000 --memo tea
  tollway node invoice '1500 msat' --wait";

#[async_trait]
impl Command for NodeInvoice {
    fn name(&self) -> &'static str {
        "node invoice"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Make an invoice";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "warn");
        let node = nodes::open_invoicer(&args.node.url("be paid by", shell)?, shell).await?;
        let expiry = Duration::from_secs(args.expiry);
        let invoice = node.invoice(args.amount, &args.memo, expiry).await;
        let invoice = invoice.map_err(NodeFailure::NoInvoice)?;
        let mut report = Report::new(&invoice);
        if !args.wait {
            return Ok(Output::new(&report));
        }
        shell.say(invoice.as_str());
        let paid = wait(&*node, &invoice).await.map_err(NodeFailure::NoInvoice)?;
        report.paid = Some(paid);
        Ok(Output::new(&report).with_exit(if paid { Exit::Ok } else { Exit::NotPaid }))
    }
}

/// Whether it was paid before it expired.
async fn wait(node: &dyn Invoicer, invoice: &Invoice) -> Result<bool, l402::NodeError> {
    loop {
        // What is paid in the last moment is seen by the question after it.
        let over = !invoice.is_live(SystemTime::now(), Duration::ZERO);
        if node.is_settled(invoice.payment_hash()).await? {
            return Ok(true);
        }
        if over {
            return Ok(false);
        }
        tokio::time::sleep(OFTEN).await;
    }
}

#[derive(Serialize)]
struct Report {
    invoice: String,
    payment_hash: PaymentHash,
    amount_msat: Msat,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<bool>,
}

impl Report {
    fn new(invoice: &Invoice) -> Self {
        Self {
            invoice: invoice.to_string(),
            payment_hash: invoice.payment_hash(),
            amount_msat: invoice.amount(),
            expires_at: invoice.expires_at().map(utc::date),
            paid: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.paid {
            None => f.write_str(&escape(&self.invoice)),
            Some(true) => write!(f, "{} {}", paint(GOOD, "paid"), self.amount_msat),
            Some(false) => write!(f, "not paid, and expired"),
        }
    }
}
