//! `tollway discover`: what is sold, and for how much, before anything is bought.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Msat;
use serde::Serialize;
use tollway_client::{Client, MemoryWallet, Quote, Request, Terms};
use url::Url;

use crate::command::{Command, read};
use crate::discover::{self, Offer};
use crate::failure::Failure;
use crate::fetch::flags::read_url;
use crate::log;
use crate::output::Output;
use crate::rates::Rate;
use crate::settings::Settings;
use crate::shell::Shell;
use crate::table::Table;

/// `tollway discover`.
#[derive(Debug)]
pub(crate) struct Discover;

#[derive(Args)]
struct Arguments {
    /// A server, or one of its pages: then that page is asked for its price, too
    #[arg(value_name = "URL", required_unless_present = "registry")]
    url: Option<String>,

    /// Ask this registry instead, which answers with a list in JSON
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    registry: Option<String>,

    /// Show only what has this word in its name, path or description
    #[arg(long, value_name = "WORD")]
    search: Option<String>,

    /// Show only what costs no more than that
    #[arg(long, value_name = "AMOUNT", value_parser = crate::flags::amount)]
    max_cost: Option<Msat>,
}

/// What was found.
#[derive(Serialize)]
struct Found {
    offers: Vec<Offer>,
    #[serde(skip)]
    rate: Option<Rate>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offers.is_empty() {
            return f.write_str(
                "nothing is said about prices; `tollway get --dry-run URL` asks one page",
            );
        }
        let mut table = Table::new(["PRICE", "METHOD", "PATH", "SERVICE", "FROM"]);
        for offer in &self.offers {
            let price = offer.price_msat.map(Msat::from_msat);
            let worth = price
                .filter(|price| *price > Msat::ZERO)
                .and_then(|price| Some(self.rate.as_ref()?.show(price)));
            let price = match price {
                None => "by request".to_owned(),
                Some(Msat::ZERO) => "free".to_owned(),
                Some(price) => price.to_string(),
            };
            table.row([
                worth.map_or_else(|| price.clone(), |worth| format!("{price} {worth}")),
                offer.method.clone(),
                offer.path.clone(),
                offer.service.clone().unwrap_or_default(),
                offer.source.to_owned(),
            ]);
        }
        table.fmt(f)
    }
}

#[async_trait]
impl Command for Discover {
    fn name(&self) -> &'static str {
        "discover"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show what a server sells, and for how much";
        let after = "Reads /.well-known/l402.json, /openapi.json and /llms.txt, and asks the page itself. \
                     Nothing is paid, and no node\nand no wallet are needed. What is published is a hint: \
                     what is paid is what the invoice says.\n\nExamples:\n  \
                     tollway discover https://api.example.com\n  \
                     tollway discover https://api.example.com/weather/berlin --format json\n  \
                     tollway discover --registry https://402index.io/api/v1/services --search weather";
        Arguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { url, registry, search, max_cost } = read(args);
        log::start(shell, "error");
        // Without a node it cannot pay; with a wallet of its own it shows no tokens.
        let terms = Terms::up_to(Msat::SUPPLY);
        let client =
            Client::builder(Arc::new(MemoryWallet::new()), terms).allow_plain_http().build()?;
        let failed = |error| Failure::Fetch(Box::new(error));
        let mut offers = match (url, registry) {
            (_, Some(registry)) => {
                discover::registry(&client, read_url(&registry)?).await.map_err(failed)?
            }
            (Some(url), None) => {
                let url = read_url(&url)?;
                let mut offers = discover::server(&client, &url).await.map_err(failed)?;
                offers.extend(page(&client, &url).await);
                offers
            }
            (None, None) => unreachable!("one of them is required"),
        };
        let word = search.unwrap_or_default().to_lowercase();
        offers.retain(|offer| {
            let texts = [Some(&offer.path), offer.service.as_ref(), offer.description.as_ref()];
            let has_word =
                texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&word));
            let price = offer.price_msat.map(Msat::from_msat);
            has_word && max_cost.is_none_or(|most| price.is_some_and(|price| price <= most))
        });
        let rates = Settings::load(shell)?.rates.filter(|_| !offers.is_empty());
        let rate = match rates {
            Some(rates) => rates.ask().await,
            None => None,
        };
        Ok(Output::new(&Found { offers, rate }))
    }
}

/// What the page itself asks, where it is one.
async fn page(client: &Client, url: &Url) -> Option<Offer> {
    if url.path() == "/" {
        return None;
    }
    let request = Request::new(http::Method::GET, url.clone()).ok()?;
    match client.quote(&request).await.ok()? {
        Quote::Answered(_) => None,
        Quote::Price(price) => Some(Offer {
            service: None,
            method: "GET".to_owned(),
            path: url.path().to_owned(),
            price_msat: Some(price.amount.msat()),
            description: price.description.clone(),
            source: "402",
        }),
    }
}
