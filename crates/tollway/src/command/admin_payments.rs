//! `tollway admin payments`: lists what a gateway was paid.

use async_trait::async_trait;
use clap::{ArgMatches, Args};

use crate::admin::{Door, Listing};
use crate::command::admin_challenges::bills;
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway admin payments`.
#[derive(Debug)]
pub(crate) struct AdminPayments;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    listing: Listing,

    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
The latest payment first; `--from` and `--to` are about when it was first seen.

Examples:
  tollway admin payments --from 2026-11-01 --to 2026-11-30
  tollway admin payments --service weather --csv > november.csv";

#[async_trait]
impl Command for AdminPayments {
    fn name(&self) -> &'static str {
        "admin payments"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "List what a gateway was paid";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let path = args.listing.path("/v1/payments", &[]);
        bills(&args.door.open(shell)?, &path, args.listing.csv, shell).await
    }
}
