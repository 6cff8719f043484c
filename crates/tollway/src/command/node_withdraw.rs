//! `tollway node withdraw`: money on the chain leaves the node's wallet. What it costs is said before
//! anything is sent, and somebody has agreed to it.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Sat;
use l402::operator::{Quote, Withdrawal};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::flags;
use crate::flags::WholeSatError;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{self, STRONG, escape, paint, somebody_sits_there};

/// `tollway node withdraw`.
#[derive(Debug)]
pub(crate) struct NodeWithdraw;

#[derive(Args)]
struct Arguments {
    /// Where to: an address on the node's network
    address: String,

    /// How much, the fee not included; a bare number is satoshi. `all`: everything, less the fee
    #[arg(value_name = "AMOUNT", value_parser = how_much)]
    amount: HowMuch,

    /// The fee, in satoshi for each virtual byte; what the node thinks right unless given
    #[arg(long, value_name = "SAT", value_parser = clap::value_parser!(u32).range(1..))]
    fee_rate: Option<u32>,

    /// Agree to it beforehand, where nobody sits at a terminal to be asked
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    node: NodeFlag,
}

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HowMuch {
    This(Sat),
    All,
}

fn how_much(text: &str) -> Result<HowMuch, WholeSatError> {
    match text {
        "all" => Ok(HowMuch::All),
        text => flags::whole_sat(text).map(HowMuch::This),
    }
}

const AFTER_HELP: &str = "\
What it costs is shown first, and nothing is sent before somebody has agreed. Run twice, it sends twice.
Money in channels is no part of it: `tollway node close-channel` brings it to the chain.

Examples:
  tollway node withdraw bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq 50000
  tollway node withdraw --fee-rate 3 --yes bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq all";

#[async_trait]
impl Command for NodeWithdraw {
    fn name(&self) -> &'static str {
        "node withdraw"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Send money from the node's wallet on the chain";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { address, amount, fee_rate, yes, node } = read(args);
        let node = node.operate("send money from", shell).await?;
        let amount = match amount {
            HowMuch::This(amount) => Some(amount),
            HowMuch::All => None,
        };
        let order = Withdrawal { address, amount, sat_per_vbyte: fee_rate };
        let quote = node.quote(&order).await.map_err(NodeFailure::from)?;
        // What was shown is what is ordered.
        let order = Withdrawal { sat_per_vbyte: quote.sat_per_vbyte.or(fee_rate), ..order };
        let plan = Plan { address: order.address.clone(), all: amount.is_none(), quote };
        agree(&plan, yes, shell).await?;
        let sent = node.withdraw(&order).await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report { transaction: sent.transaction, plan }))
    }
}

/// Lets somebody agree, or has it from the command line that they do.
async fn agree(plan: &Plan, yes: bool, shell: &Shell) -> Result<(), NodeFailure> {
    if yes {
        shell.say(&plan.to_string());
        return Ok(());
    }
    if !somebody_sits_there() {
        return Err(NodeFailure::NobodyToAsk(plan.to_string()));
    }
    let agreed = terminal::agree(format!("{plan}. Send it?")).await;
    agreed.map_err(|_| NodeFailure::NotAgreed)
}

/// What is going to be sent, as far as it is known.
#[derive(Serialize)]
struct Plan {
    address: String,
    #[serde(skip)]
    all: bool,
    #[serde(flatten)]
    quote: Quote,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quote { amount, fee, sat_per_vbyte } = self.quote;
        match amount {
            Some(amount) => write!(f, "{amount} to {}", escape(&self.address))?,
            None => write!(f, "everything to {}", escape(&self.address))?,
        }
        if self.all && amount.is_some() {
            write!(f, ", which is all there is")?;
        }
        match fee {
            Some(fee) => write!(f, ", and {fee} to the miners")?,
            None => write!(f, "; the node does not say the fee beforehand")?,
        }
        match sat_per_vbyte {
            Some(rate) => write!(f, ", at {rate} sat for each virtual byte"),
            None => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Report {
    transaction: String,
    #[serde(flatten)]
    plan: Plan,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent by {}", paint(STRONG, escape(&self.transaction)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_a_word_and_the_rest_is_whole() {
        assert_eq!(how_much("all").unwrap(), HowMuch::All);
        assert_eq!(how_much("5 sat").unwrap(), HowMuch::This(Sat::from_sat(5)));
        for bad in ["ALL", "", "5001 msat", "-1"] {
            assert!(how_much(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_plan_says_what_it_costs_or_that_nobody_knows() {
        let plan = |quote| Plan { address: "bcrt1q\x1b".to_owned(), all: true, quote };
        let known = Quote {
            amount: Some(Sat::from_sat(900)),
            fee: Some(Sat::from_sat(100)),
            sat_per_vbyte: Some(1),
        };
        assert_eq!(
            plan(known).to_string(),
            "900 sat to bcrt1q\\u{1b}, which is all there is, and 100 sat to the miners, at 1 sat for \
             each virtual byte"
        );
        let text = plan(Quote::default()).to_string();
        assert!(text.contains("everything to"), "{text}");
        assert!(text.contains("does not say the fee"), "{text}");
    }
}
