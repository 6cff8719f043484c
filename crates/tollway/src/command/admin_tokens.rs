//! `tollway admin tokens`: lists the tokens that a gateway offered, or tells of one.

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde_json::Value;

use crate::admin::{Door, Listing, Report, Table, amount, path, print_csv, say_next, text, yes};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway admin tokens`.
#[derive(Debug)]
pub(crate) struct AdminTokens;

#[derive(Args)]
struct Arguments {
    /// Tell of this token only
    #[arg(value_name = "ID", conflicts_with_all = ["state", "csv", "from", "to", "service", "limit", "cursor"])]
    id: Option<String>,

    /// Only those whose bill is in this state
    #[arg(long, value_parser = ["unpaid", "paid", "expired"])]
    state: Option<String>,

    #[command(flatten)]
    listing: Listing,

    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
The latest first. With `--state paid` the latest payment comes first.

Examples:
  tollway admin tokens --state paid --service weather --from 2026-11-01
  tollway admin tokens 8e0f…                              one, by its id
  tollway admin tokens --csv > tokens.csv";

#[async_trait]
impl Command for AdminTokens {
    fn name(&self) -> &'static str {
        "admin tokens"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "List the tokens that a gateway offered";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let client = args.door.open(shell)?;
        if let Some(id) = &args.id {
            let json = client.get(&path("/v1/tokens", id)).await?.json;
            return Ok(Output::new(&Report { text: one(&json), json }));
        }
        let path = args.listing.path("/v1/tokens", &[("state", args.state.as_deref())]);
        if args.listing.csv {
            return print_csv(&client, &path).await;
        }
        let json = client.get(&path).await?.json;
        let mut table = Table::new(&["ID", "SERVICE", "PRICE", "STATE", "ISSUED", "REVOKED"]);
        for token in json["tokens"].as_array().into_iter().flatten() {
            let field = |pointer| text(token, pointer);
            let (price, revoked) = (amount(token, "/bill/price_msat"), yes(token, "/revoked"));
            let revoked = if revoked { "revoked" } else { "-" }.to_owned();
            let (state, issued) = (field("/bill/state"), field("/bill/issued"));
            table.row([field("/id"), field("/bill/service"), price, state, issued, revoked]);
        }
        say_next(shell, &json);
        Ok(Output::new(&Report { text: table.to_string(), json }))
    }
}

/// All that is known of one.
pub(super) fn one(token: &Value) -> String {
    let mut table = Table::new(&["", ""]);
    let revoked = if yes(token, "/revoked") { "yes" } else { "no" };
    let held = match yes(token, "/key_held") {
        true => "held here",
        false => "not held here: it opens nothing",
    };
    let field = |pointer| text(token, pointer);
    for (name, value) in [
        ("id", field("/id")),
        ("revoked", revoked.to_owned()),
        ("its key is", held.to_owned()),
        ("service", field("/bill/service")),
        ("price", amount(token, "/bill/price_msat")),
        ("state", field("/bill/state")),
        ("issued", field("/bill/issued")),
        ("paid", field("/bill/paid")),
        ("payment", field("/bill/payment_hash")),
    ] {
        table.row([name.to_owned(), value]);
    }
    table.to_string()
}
