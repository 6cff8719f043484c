//! `tollway resume`: ends what earlier commands left open. The node is asked how each payment ended, and
//! what was paid for and has not come is asked for again with the proof. Nothing is paid.

use std::fmt::Write as _;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use http::Method;
use l402::PaymentHash;
use serde::Serialize;
use tollway_client::{Client, Ending, Entry, Standing, Token, Wallet};
use url::Url;

use crate::command::get::Silent;
use crate::command::tokens::Shown;
use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fetch::flags::{AskError, refused};
use crate::fetch::plan::AskFlags;
use crate::fetch::report::Got;
use crate::fetch::talk::Talk;
use crate::fetch::transfer::{Bill, Detail, Transfers};
use crate::log;
use crate::output::Output;
use crate::pay::PayFlags;
use crate::shell::Shell;
use crate::terminal::{BAD, GOOD, escape, paint};

/// `tollway resume`.
#[derive(Debug)]
pub(crate) struct Resume;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    ask: AskFlags,

    #[command(flatten)]
    pay: PayFlags,

    /// Ask the node only, and send nothing to servers
    #[arg(long)]
    no_fetch: bool,
}

/// What was learned, what has come, and what is left to do.
#[derive(Default, Serialize)]
struct Report {
    /// Payments that were made: their proofs are in the wallet now.
    paid: Vec<String>,
    /// Payments that were not made.
    not_paid: Vec<String>,
    /// Payments of which the node cannot say it yet.
    unknown: Vec<String>,
    /// What was asked for again, each as `tollway get` reports it.
    fetched: Vec<Got>,
    /// What was paid for and has opened nothing yet.
    undelivered: Vec<Shown>,
    #[serde(skip)]
    exit: Option<Exit>,
}

/// A page that was paid for and has not come.
struct Owed {
    payment: PaymentHash,
    url: Url,
}

const AFTER_HELP: &str = "\
Nothing is paid. A payment that was made becomes a token in the wallet; one that was not is struck out,
once its invoice can no longer be paid. Pages that were paid for and have not come are asked for again,
and go where `tollway get` would write them. The flags are those of `tollway get`: headers are not kept
and may have to be given again. What was sent with a body is not sent again: its command is shown.

What its server never honours stays on the list, and is asked for each time, until `tollway tokens
forget`. Ends with 7 while the end of a payment is not known.

Examples:
  tollway resume
  tollway resume -o report.json https://api.example.com/report
  tollway resume --no-fetch --node purse:/run/purse.sock";

#[async_trait]
impl Command for Resume {
    fn name(&self) -> &'static str {
        "resume"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "End what was left open: ask how payments ended, and get what they paid for";
        let command = Arguments::augment_args(command).about(about).after_help(AFTER_HELP);
        let only = "Of what was paid for and has not come, get these; all unless given";
        refused::define(command).mut_arg("urls", |urls| urls.help(only))
    }

    async fn run(&self, matches: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { mut ask, pay, no_fetch } = read(matches);
        log::start(shell, "error,tollway_nodes=warn");
        // An error page is not what was paid for.
        ask.output.fail = !ask.output.fail_with_body;
        let only = ask.urls(matches)?;
        let mut report = Report::default();
        report.settle(&pay.builder(shell).await?.build()?).await?;
        let wallet = pay.wallet(shell).await?;
        let owed = if no_fetch { Vec::new() } else { owed(&wallet.entries().await?, &only) };
        if !owed.is_empty() {
            let urls = owed.iter().map(|owed| owed.url.clone()).collect();
            let plan = ask.plan_for(urls, matches, shell).await?;
            if plan.sending.method != Method::GET || plan.sending.length > 0 {
                let flag = "a flag about what is sent";
                let remedy = "pages are asked for as they were; `tollway get` sends something else";
                return Err(AskError::Refused { flag, remedy }.into());
            }
            let client = pay.builder(shell).await?.timeouts(ask.limits.timeouts());
            let client = client.transport(plan.transport.clone()).build()?;
            let talk = Talk::open(&ask.output, shell)?;
            let payments: Vec<_> = owed.iter().map(|owed| owed.payment).collect();
            let transfers = Transfers {
                client: &client,
                flags: &ask,
                plan: &plan,
                talk: &talk,
                shell,
                bill: Bill::Paid(&payments),
                buy_again: false,
                show_progress: ask.output.shows_progress() && !shell.is_json(),
                detail: if shell.is_json() { Detail::All } else { Detail::Little },
            };
            report.fetch(&transfers).await?;
            if let Some(jar) = &plan.jar {
                jar.save()?;
            }
        }
        let left = wallet.entries().await?;
        report.undelivered = left.iter().filter(|entry| is_owed(entry)).map(Shown::of).collect();
        let words = report.words();
        if !words.is_empty() && !ask.output.silent {
            shell.say(words.trim_end());
        }
        let exit = report.exit();
        let output = match shell.is_json() {
            true => Output::new(&Silent(
                serde_json::to_value(report).expect("reports have string keys only"),
            )),
            false => Output::nothing(),
        };
        Ok(output.with_exit(exit))
    }
}

/// Whether something was paid for and has opened nothing yet.
fn is_owed(entry: &Entry) -> bool {
    let standing = entry.token().map(|token| token.standing);
    matches!(standing, Some(Standing::Fresh | Standing::InVain))
}

/// The pages among it that can be asked for again.
fn owed(entries: &[Entry], only: &[Url]) -> Vec<Owed> {
    let page = |token: &Token| {
        let request = token.request().filter(|_| token.method == Method::GET)?;
        let url = request.url().clone();
        (only.is_empty() || only.contains(&url)).then_some(Owed { payment: token.hash, url })
    };
    let owed = entries.iter().rev().filter(|entry| is_owed(entry));
    owed.filter_map(|entry| entry.token().and_then(page)).collect()
}

impl Report {
    /// Asks the node about everything that was begun.
    async fn settle(&mut self, client: &Client) -> Result<(), Failure> {
        let settled = client.settle().await;
        for ending in settled.map_err(|error| Failure::Fetch(Box::new(error)))? {
            match ending {
                Ending::Paid(receipt) => self.paid.push(receipt.hash.to_string()),
                Ending::NotPaid(hash) => self.not_paid.push(hash.to_string()),
                Ending::Unknown(hash) => self.unknown.push(hash.to_string()),
            }
        }
        Ok(())
    }

    /// Gets one page after the other.
    async fn fetch(&mut self, transfers: &Transfers<'_>) -> Result<(), Failure> {
        for job in &transfers.plan.jobs {
            let ended = transfers.run(job).await;
            let exit = ended.exit();
            if let Some(failure) = &ended.failure {
                self.exit = Some(exit);
                if !transfers.shell.is_json() {
                    transfers.shell.report(failure, exit);
                }
            }
            self.fetched.push(ended.got);
            if exit != Exit::Ok && transfers.flags.output.fail_early {
                break;
            }
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        match self.unknown.is_empty() {
            true => self.exit.unwrap_or(Exit::Ok),
            false => Exit::MayHavePaid,
        }
    }

    /// For people: what is data went to stdout.
    fn words(&self) -> String {
        let mut words = String::new();
        let mut line = |text: String| writeln!(words, "{text}").expect("a String takes everything");
        for hash in &self.paid {
            line(format!("{} {hash}; the proof is in the wallet", paint(GOOD, "paid")));
        }
        for hash in &self.not_paid {
            line(format!("not paid {hash}"));
        }
        for hash in &self.unknown {
            line(format!("{} {hash}; ask again later", paint(BAD, "not known")));
        }
        for shown in &self.undelivered {
            let (method, origin, path) = (&shown.method, &shown.origin, escape(&shown.path));
            let method = if method == "GET" { String::new() } else { format!("-X {method} ") };
            line("paid and not delivered; get it, paying nothing more:".to_owned());
            line(format!("  tollway get {method}{origin}{path}"));
        }
        let fetched = self.fetched.len();
        if words.is_empty() && fetched == 0 {
            words.push_str("nothing is left open");
        }
        words
    }
}
