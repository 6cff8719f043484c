//! `tollway admin challenges`: lists what a gateway asked for, paid or not.

use async_trait::async_trait;
use clap::{ArgMatches, Args};

use crate::admin::{Client, Door, Listing, Report, Table, amount, print_csv, say_next, text};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway admin challenges`.
#[derive(Debug)]
pub(crate) struct AdminChallenges;

#[derive(Args)]
struct Arguments {
    /// Only those in this state
    #[arg(long, value_parser = ["unpaid", "paid", "expired"])]
    state: Option<String>,

    #[command(flatten)]
    listing: Listing,

    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
The latest first. A bill is paid once a credential for it was seen; `docs/admin-api.md` says more.

Examples:
  tollway admin challenges --state expired --from 2026-11-21 --to 2026-11-21
  tollway admin challenges --service weather --limit 10
  tollway admin challenges --csv > challenges.csv";

#[async_trait]
impl Command for AdminChallenges {
    fn name(&self) -> &'static str {
        "admin challenges"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "List what a gateway asked for";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let path = args.listing.path("/v1/challenges", &[("state", args.state.as_deref())]);
        bills(&args.door.open(shell)?, &path, args.listing.csv, shell).await
    }
}

/// A page of bills.
pub(super) async fn bills(
    client: &Client,
    path: &str,
    csv: bool,
    shell: &Shell,
) -> Result<Output, Failure> {
    if csv {
        return print_csv(client, path).await;
    }
    let json = client.get(path).await?.json;
    let mut table = Table::new(&["PAYMENT", "SERVICE", "PRICE", "STATE", "ISSUED", "PAID"]);
    for bill in json["bills"].as_array().into_iter().flatten() {
        let field = |pointer| text(bill, pointer);
        let price = amount(bill, "/price_msat");
        let (state, issued, paid) = (field("/state"), field("/issued"), field("/paid"));
        table.row([field("/payment_hash"), field("/service"), price, state, issued, paid]);
    }
    say_next(shell, &json);
    Ok(Output::new(&Report { text: table.to_string(), json }))
}
