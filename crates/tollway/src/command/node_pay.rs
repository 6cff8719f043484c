//! `tollway node pay`: pays one invoice, once.
//!
//! What it may cost is set aside in the wallet before the money leaves, against the user's own limits;
//! of the payment itself the invoice is the record. The same invoice is never paid twice by a
//! [`l402::Payer`], in this process or in any later one, so after an end that is not known the same
//! command finds it out.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Invoice, Msat, Paid, PayError, PayOrder, PaymentHash};
use serde::Serialize;

use crate::command::{Command, invoice_decode, read};
use crate::failure::Failure;
use crate::node::allowed::{Agreed, Allowed, allow};
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::pay::WalletFlags;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{GOOD, paint};
use crate::{flags, log, nodes};

/// `tollway node pay`.
#[derive(Debug)]
pub(crate) struct NodePay;

#[derive(Args)]
struct Arguments {
    /// A BOLT 11 invoice, with or without `lightning:` before it; `-` reads stdin
    invoice: String,

    /// Refuse an invoice for more than that; a bare number is satoshi. The settings' policy holds in
    /// any case
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    max_cost: Option<Msat>,

    /// The most that routing may cost on top; 1 % of the invoice, or 10 sat if that is more
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    max_fee: Option<Msat>,

    /// How many seconds the payment may take to end
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,

    /// Agree beforehand to what the settings' policy would have asked
    #[arg(long)]
    yes: bool,

    /// Print the preimage too: the proof of payment, which is also what was bought
    #[arg(long)]
    show_preimage: bool,

    #[command(flatten)]
    node: NodeFlag,

    #[command(flatten)]
    wallet: WalletFlags,
}

const AFTER_HELP: &str = "\
The same invoice is paid once, however often the command is run. It ends with 0 when it was paid, with
3 when it was not, and with 7 when only the node knows: then run it again. The policy in the settings and
the budgets hold as for `tollway get`; the payee's key stands where they say a host. 8: they do not allow it.

Examples:
  tollway node pay lnbc10u1p...
  tollway node pay --max-fee 5 - < invoice.txt";

#[async_trait]
impl Command for NodePay {
    fn name(&self) -> &'static str {
        "node pay"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Pay an invoice, once";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "warn");
        let url = args.node.url("pay with", shell)?;
        let invoice = invoice_decode::read_invoice(&args.invoice)?;
        let patience = Duration::from_secs(args.patience);
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        let payer = nodes::open_payer(&url, shell).await?;
        let Arguments { max_cost, max_fee, yes, .. } = args;
        let agreed = Agreed { max_cost, max_fee, yes };
        let allowed = allow(&invoice, agreed, &args.wallet, shell).await?;
        let order = PayOrder { invoice: &invoice, max_fee: allowed.max_fee, patience };
        let ended = tokio::select! {
            ended = payer.pay(order) => ended,
            () = stop.asked() => {
                return Err(NodeFailure::Interrupted(invoice.payment_hash()).into());
            }
        };
        let paid = judge(ended, &invoice, allowed).await?;
        Ok(Output::new(&Report::new(&invoice, &paid, args.show_preimage)))
    }
}

/// The three endings.
async fn judge(
    ended: Result<Paid, PayError>,
    invoice: &Invoice,
    allowed: Allowed,
) -> Result<Paid, NodeFailure> {
    let hash = invoice.payment_hash();
    match ended {
        Ok(paid) => {
            allowed.paid(paid.fee).await;
            Ok(paid)
        }
        Err(PayError::NotPaid { why, source }) => {
            allowed.not_paid().await;
            Err(NodeFailure::NotPaid { hash, why, source })
        }
        Err(PayError::Unknown { hash, source }) => Err(NodeFailure::MayHavePaid { hash, source }),
    }
}

#[derive(Serialize)]
struct Report {
    paid: bool,
    payment_hash: PaymentHash,
    amount_msat: Msat,
    fee_msat: Msat,
    #[serde(skip_serializing_if = "Option::is_none")]
    preimage: Option<String>,
}

impl Report {
    fn new(invoice: &Invoice, paid: &Paid, show: bool) -> Self {
        Self {
            paid: true,
            payment_hash: invoice.payment_hash(),
            amount_msat: invoice.amount(),
            fee_msat: paid.fee,
            preimage: show.then(|| paid.preimage.expose_hex()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", paint(GOOD, "paid"), self.amount_msat)?;
        write!(f, ", routing {}", self.fee_msat)?;
        if let Some(preimage) = &self.preimage {
            write!(f, "\npreimage {preimage}")?;
        }
        Ok(())
    }
}
