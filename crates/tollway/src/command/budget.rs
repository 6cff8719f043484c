//! `tollway budget`: how much may be spent in all, over which time. The wallet keeps these limits,
//! and every process that pays from it keeps to them.

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Msat;
use serde::Serialize;
use tollway_client::{Account, HostPattern, Ledger, Limit, Window};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::pay::WalletFlags;
use crate::settings::Settings;
use crate::shell::Shell;
use crate::table::Table;
use crate::{flags, utc};

/// `tollway budget show`.
#[derive(Debug)]
pub(crate) struct BudgetShow;

/// `tollway budget set`.
#[derive(Debug)]
pub(crate) struct BudgetSet;

/// `tollway budget drop`.
#[derive(Debug)]
pub(crate) struct BudgetDrop;

/// `tollway budget reset`.
#[derive(Debug)]
pub(crate) struct BudgetReset;

#[derive(Args)]
struct ShowArguments {
    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct SetArguments {
    /// What to call it; an older one of that name is replaced
    #[arg(value_name = "NAME")]
    name: String,

    /// How much at most, routing included; a bare number is satoshi
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    most: Msat,

    /// Over which time: minute, hour, day, month, ever, or for example `rolling 6h`
    #[arg(long, value_name = "TIME", default_value = "day")]
    per: Window,

    /// At this host only; `.example.com` is all below it
    #[arg(long, value_name = "HOST", conflicts_with = "each_host")]
    host: Option<HostPattern>,

    /// At each host for itself
    #[arg(long)]
    each_host: bool,

    #[command(flatten)]
    wallet: WalletFlags,
}

#[derive(Args)]
struct DropArguments {
    /// Which
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    wallet: WalletFlags,
}

/// How the limits stand.
#[derive(Serialize)]
struct Accounts {
    budgets: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    /// None for one of the settings' policy.
    name: Option<String>,
    limit: Limit,
    host: Option<String>,
    spent_msat: u64,
    held_msat: u64,
    left_msat: u64,
    until: Option<String>,
    #[serde(skip)]
    words: String,
}

impl From<Account> for Shown {
    fn from(account: Account) -> Self {
        Self {
            words: account.limit.to_string(),
            spent_msat: account.spent.msat(),
            held_msat: account.held.msat(),
            left_msat: account.left().msat(),
            until: account.until.map(utc::date),
            name: account.name,
            host: account.host,
            limit: account.limit,
        }
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.budgets.is_empty() {
            return f.write_str(
                "no budget is set, or nothing counts against one yet; each purchase keeps to its own \
                 `--max-cost`",
            );
        }
        let mut table = Table::new(["NAME", "LIMIT", "SPENT", "HELD", "LEFT", "UNTIL"]);
        for shown in &self.budgets {
            let host = shown.host.as_deref().map(|host| format!(" ({host})")).unwrap_or_default();
            let amount = |msat| Msat::from_msat(msat).to_string();
            table.row([
                shown.name.clone().unwrap_or_else(|| "(settings)".to_owned()),
                format!("{}{host}", shown.words),
                amount(shown.spent_msat),
                amount(shown.held_msat),
                amount(shown.left_msat),
                shown.until.clone().unwrap_or_default(),
            ]);
        }
        table.fmt(f)
    }
}

/// What was done.
#[derive(Serialize)]
struct Done {
    done: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_longer_counted_msat: Option<u64>,
    #[serde(skip)]
    words: String,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[async_trait]
impl Command for BudgetShow {
    fn name(&self) -> &'static str {
        "budget show"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Held is what is set aside for payments whose end is not known.\n\n\
                     Examples:\n  tollway budget show";
        let about = "Show the budgets, and what is left of them";
        ShowArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ShowArguments { wallet } = read(args);
        let limits = Settings::load(shell)?.policy.limits;
        let wallet = wallet.open(shell).await?;
        let accounts = wallet.accounts(&limits, SystemTime::now()).await?;
        let budgets = accounts.into_iter().map(Shown::from).collect();
        Ok(Output::new(&Accounts { budgets }))
    }
}

#[async_trait]
impl Command for BudgetSet {
    fn name(&self) -> &'static str {
        "budget set"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Every process that pays from the wallet keeps to it. The invoice and the most that \
                     its routing may cost\nare set aside before a payment; what was not used is given \
                     back.\n\nExamples:\n  tollway budget set daily --most 1000 --per day\n  \
                     tollway budget set hourly-each --most 100 --per 'rolling 1h' --each-host";
        let about = "Set how much may be spent over some time";
        SetArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let SetArguments { name, most, per, host, each_host, wallet } = read(args);
        let mut limit = Limit::new(most, per);
        if let Some(host) = host {
            limit = limit.hosts(host);
        } else if each_host {
            limit = limit.each_host();
        }
        wallet.open(shell).await?.set_limit(&name, &limit).await?;
        let words = format!("{} is set to {limit}", crate::terminal::escape(&name));
        let done = Done { done: "set", name: Some(name), no_longer_counted_msat: None, words };
        Ok(Output::new(&done))
    }
}

#[async_trait]
impl Command for BudgetDrop {
    fn name(&self) -> &'static str {
        "budget drop"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Examples:\n  tollway budget drop daily";
        DropArguments::augment_args(command).about("Drop a budget").after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let DropArguments { name, wallet } = read(args);
        if !wallet.open(shell).await?.drop_limit(&name).await? {
            return Err(Failure::NoBudget(name));
        }
        let words = format!("{} is dropped", crate::terminal::escape(&name));
        let done = Done { done: "dropped", name: Some(name), no_longer_counted_msat: None, words };
        Ok(Output::new(&done))
    }
}

#[async_trait]
impl Command for BudgetReset {
    fn name(&self) -> &'static str {
        "budget reset"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let after = "Receipts stay, and so does what is set aside for payments whose end is not known.\n\n\
                     Examples:\n  tollway budget reset";
        let about = "Count as if nothing had been spent so far";
        ShowArguments::augment_args(command).about(about).after_help(after)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let ShowArguments { wallet } = read(args);
        let gone = wallet.open(shell).await?.reset().await?;
        let words = format!("{gone} no longer count");
        let no_longer_counted_msat = Some(gone.msat());
        Ok(Output::new(&Done { done: "reset", name: None, no_longer_counted_msat, words }))
    }
}
