//! `tollway node balance`: what a node has, in channels and on the chain.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::Balance;
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{STRONG, paint};

/// `tollway node balance`.
#[derive(Debug)]
pub(crate) struct NodeBalance;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
Examples:
  tollway node balance --node purse:/run/user/1000/tollway/purse.sock
  tollway node balance --format json";

#[async_trait]
impl Command for NodeBalance {
    fn name(&self) -> &'static str {
        "node balance"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show what a node can pay, what it can be paid, and what it has on the chain";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let node = args.node.operate("look at", shell).await?;
        Ok(Output::new(&Report(node.balance().await.map_err(NodeFailure::from)?)))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Balance);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Balance { outbound, inbound, onchain, unconfirmed, closing } = &self.0;
        if let Some(outbound) = outbound {
            writeln!(f, "can pay      {}", paint(STRONG, outbound))?;
        }
        if let Some(inbound) = inbound {
            writeln!(f, "can be paid  {}", paint(STRONG, inbound))?;
        }
        if let Some(onchain) = onchain {
            writeln!(f, "on chain     {onchain}")?;
        }
        if let Some(unconfirmed) = unconfirmed.filter(|amount| amount.sat() > 0) {
            writeln!(f, "unconfirmed  {unconfirmed}")?;
        }
        if let Some(closing) = closing.filter(|amount| amount.sat() > 0) {
            writeln!(f, "closing      {closing}")?;
        }
        Ok(())
    }
}
