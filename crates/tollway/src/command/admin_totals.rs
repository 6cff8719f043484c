//! `tollway admin totals`: adds up what a gateway asked for and was paid.

use async_trait::async_trait;
use clap::{ArgMatches, Args};

use crate::admin::{Door, Listing, Report, Table, amount, print_csv, text};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;

/// `tollway admin totals`.
#[derive(Debug)]
pub(crate) struct AdminTotals;

#[derive(Args)]
struct Arguments {
    /// A line for each service, or for each day of UTC
    #[arg(long, value_parser = ["service", "day"], default_value = "service")]
    by: String,

    /// From this day or time on, in UTC
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Until the end of this day, or before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// Only this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Print a line for each day and service as comma-separated values
    #[arg(long, conflicts_with = "by")]
    csv: bool,

    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
A bill counts on the day on which it was written, a payment on that on which it was first seen.

Examples:
  tollway admin totals --from 2026-11-01 --to 2026-11-30
  tollway admin totals --by day --service weather
  tollway admin totals --csv > totals.csv";

#[async_trait]
impl Command for AdminTotals {
    fn name(&self) -> &'static str {
        "admin totals"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Add up what a gateway was paid, by service or by day";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let (from, to, service, csv) = (args.from, args.to, args.service, args.csv);
        let span = Listing { from, to, service, csv, ..Listing::default() };
        let (client, path) = (args.door.open(shell)?, span.path("/v1/totals", &[]));
        if csv {
            return print_csv(&client, &path).await;
        }
        let json = client.get(&path).await?.json;
        let (head, field) = match args.by.as_str() {
            "day" => ("DAY", "by_day"),
            _ => ("SERVICE", "by_service"),
        };
        let mut table = Table::new(&[head, "CHALLENGES", "PAYMENTS", "REVENUE"]);
        let lines = json[field].as_object().into_iter().flatten();
        let total = ("total".to_owned(), json["total"].clone());
        for (name, sum) in lines.map(|(name, sum)| (name.clone(), sum.clone())).chain([total]) {
            let (asked, paid) = (text(&sum, "/challenges"), text(&sum, "/payments"));
            table.row([name, asked, paid, amount(&sum, "/revenue_msat")]);
        }
        if json["total"]["unpriced"].as_u64().unwrap_or(0) > 0 {
            let count = text(&json, "/total/unpriced");
            shell.say(&format!(
                "hint: {count} payments are not in the revenue: their bills were not written down"
            ));
        }
        Ok(Output::new(&Report { text: table.to_string(), json }))
    }
}
