//! `tollway node decode`: `tollway invoice decode` where users of other nodes look for it. No node is
//! asked: an invoice says everything itself.

use async_trait::async_trait;
use clap::ArgMatches;

use crate::command::Command;
use crate::command::invoice_decode::InvoiceDecode;
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway node decode`.
#[derive(Debug)]
pub(crate) struct NodeDecode;

const AFTER_HELP: &str = "\
No node is asked; `tollway invoice decode` is the same.

Examples:
  tollway node decode lnbcrt100n1p...";

#[async_trait]
impl Command for NodeDecode {
    fn name(&self) -> &'static str {
        "node decode"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        InvoiceDecode.define(command).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        InvoiceDecode.run(args, shell).await
    }
}
