//! `tollway tokens`: what the wallet holds, and how to set a token aside.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::PaymentHash;
use serde::Serialize;
use tollway_client::{Entry, Standing, Wallet};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::pay::WalletFlags;
use crate::shell::Shell;
use crate::table::Table;
use crate::terminal::{DIM, escape, paint};
use crate::utc;

/// `tollway tokens list`.
#[derive(Debug)]
pub(crate) struct TokensList;

/// `tollway tokens show`.
#[derive(Debug)]
pub(crate) struct TokensShow;

/// `tollway tokens forget`.
#[derive(Debug)]
pub(crate) struct TokensForget;

#[derive(Args)]
struct ListArguments {
    /// Those of this host only
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// The newest so many; all unless given
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct ShowArguments {
    /// By its payment: the whole hash, or as much of its beginning as no other has
    #[arg(value_name = "PAYMENT")]
    payment: String,

    /// Show the header that opens what was paid for: whoever sees it can use it
    #[arg(long)]
    show_secrets: bool,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct ForgetArguments {
    /// By their payments
    #[arg(value_name = "PAYMENT", required = true)]
    payments: Vec<String>,

    #[command(flatten)]
    wallet: WalletFlags,
}

/// One purchase, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) payment_hash: String,
    pub(crate) origin: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) scheme: &'static str,
    pub(crate) amount_msat: u64,
    pub(crate) fee_msat: Option<u64>,
    pub(crate) description: Option<String>,
    /// `begun` while the end of the payment is not known.
    pub(crate) standing: &'static str,
    pub(crate) begun_at: String,
    pub(crate) paid_at: Option<String>,
    pub(crate) node: Option<String>,
    /// In which header the credential is sent, and the credential; both only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<String>,
}

impl Shown {
    /// Nothing secret is in it.
    pub(crate) fn of(entry: &Entry) -> Self {
        let token = entry.token();
        let (scheme, begun_at, node, invoice) = match entry {
            Entry::Begun(purchase) => {
                let challenge = &purchase.challenge;
                let invoice = Some(&challenge.invoice);
                (challenge.scheme.name(), purchase.begun_at, &purchase.node, invoice)
            }
            Entry::Finished(token) => {
                (token.scheme.name(), token.begun_at, &token.node, token.invoice.as_ref())
            }
        };
        Self {
            payment_hash: entry.hash().to_string(),
            origin: entry.origin().to_string(),
            method: entry.method().to_string(),
            path: entry.path().to_owned(),
            scheme,
            amount_msat: entry.amount().msat(),
            fee_msat: token.map(|token| token.fee.msat()),
            description: invoice.and_then(l402::Invoice::description),
            standing: token.map_or("begun", |token| token.standing.name()),
            begun_at: utc::date(begun_at),
            paid_at: token.map(|token| utc::date(token.paid_at)),
            node: node.clone(),
            header: None,
            authorization: None,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = l402::Msat::from_msat(self.amount_msat);
        let fee =
            self.fee_msat.map(|fee| format!(" and {} for routing", l402::Msat::from_msat(fee)));
        let mut line = |name: &str, value: &str| {
            writeln!(f, "{} {}", paint(DIM, format!("{name:<9}")), escape(value))
        };
        line("payment", &self.payment_hash)?;
        line("for", &format!("{} {}{}", self.method, self.origin, self.path))?;
        line("cost", &format!("{amount}{}", fee.unwrap_or_default()))?;
        line("scheme", self.scheme)?;
        line("standing", self.standing)?;
        line("begun", &self.begun_at)?;
        self.paid_at.as_deref().map_or(Ok(()), |at| line("paid", at))?;
        self.description.as_deref().map_or(Ok(()), |what| line("what", what))?;
        self.node.as_deref().map_or(Ok(()), |node| line("node", node))?;
        self.authorization.as_deref().map_or(Ok(()), |opens| line("opens by", opens))
    }
}

/// Several purchases.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct List(pub(crate) Vec<Shown>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing was bought yet");
        }
        let mut table = Table::new(["PAYMENT", "STANDING", "COST", "PAID", "FOR"]);
        for shown in &self.0 {
            let short = shown.payment_hash.chars().take(12).collect();
            let amount = l402::Msat::from_msat(shown.amount_msat).to_string();
            let paid = shown.paid_at.clone().unwrap_or_else(|| "not known".to_owned());
            let what = format!("{} {}{}", shown.method, shown.origin, shown.path);
            table.row([short, shown.standing.to_owned(), amount, paid, what]);
        }
        table.fmt(f)
    }
}

/// What was set aside.
#[derive(Serialize)]
struct Forgotten {
    set_aside: Vec<String>,
}

impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.set_aside.len();
        write!(f, "set aside: {count}; kept in the wallet, and sent no more")
    }
}

/// The one purchase that is meant.
pub(crate) fn find<'e>(entries: &'e [Entry], text: &str) -> Result<&'e Entry, Failure> {
    let text = text.to_ascii_lowercase();
    let mut matching = entries.iter().filter(|entry| entry.hash().to_string().starts_with(&text));
    match (matching.next(), matching.next()) {
        (Some(entry), None) if !text.is_empty() => Ok(entry),
        (None, _) => Err(Failure::NoPurchase(text)),
        _ => Err(Failure::SeveralPurchases(text)),
    }
}

#[async_trait]
impl Command for TokensList {
    fn name(&self) -> &'static str {
        "tokens list"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Nothing secret is shown.\n\nExamples:\n  tollway tokens list\n  \
                     tollway tokens list --host api.example.com --format json";
        ListArguments::augment_args(command).about("List what was bought").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ListArguments { host, limit, wallet } = read(args);
        let entries = wallet.open(shell).await?.entries().await?;
        let of_host =
            |entry: &&Entry| host.as_deref().is_none_or(|host| entry.origin().host() == host);
        let shown = entries.iter().filter(of_host).take(limit.unwrap_or(usize::MAX));
        Ok(Output::list(List(shown.map(Shown::of).collect())))
    }
}

#[async_trait]
impl Command for TokensShow {
    fn name(&self) -> &'static str {
        "tokens show"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Examples:\n  tollway tokens show 4f1c\n  \
                     tollway tokens show 4f1c --show-secrets   the header, to use it elsewhere";
        let about = "Show one thing that was bought";
        ShowArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ShowArguments { payment, show_secrets, wallet } = read(args);
        let entries = wallet.open(shell).await?.entries().await?;
        let entry = find(&entries, &payment)?;
        let mut shown = Shown::of(entry);
        if let Some(token) = entry.token().filter(|_| show_secrets) {
            let (header, credential) = token.credential();
            shown.header = Some(header.as_str());
            shown.authorization = Some(String::from_utf8_lossy(credential.as_bytes()).into_owned());
        }
        Ok(Output::new(&shown))
    }
}

#[async_trait]
impl Command for TokensForget {
    fn name(&self) -> &'static str {
        "tokens forget"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Nothing that was paid for is deleted. The next request buys a new token.\n\n\
                     Examples:\n  tollway tokens forget 4f1c";
        let about = "Set tokens aside: they are kept, and sent no more";
        ForgetArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ForgetArguments { payments, wallet } = read(args);
        let wallet = wallet.open(shell).await?;
        let entries = wallet.entries().await?;
        // All are found before any is set aside.
        let found: Result<Vec<PaymentHash>, Failure> = payments
            .iter()
            .map(|payment| {
                let entry = find(&entries, payment)?;
                // Its end is not known: set aside, it would be paid for again.
                entry.token().map(|_| entry.hash()).ok_or(Failure::NotEnded(entry.hash()))
            })
            .collect();
        let found = found?;
        for hash in &found {
            wallet.judge(*hash, Standing::Quarantined).await?;
        }
        let set_aside = found.iter().map(ToString::to_string).collect();
        Ok(Output::new(&Forgotten { set_aside }))
    }
}
