//! `tollway get`: asks for something, and pays for it if it must.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde::Serialize;
use serde_json::Value;
use tollway_client::{Client, Quote};

use crate::command::{Command, read};
use crate::exit::Exit;
use crate::external::External;
use crate::failure::Failure;
use crate::fetch::flags::{AskError, refused};
use crate::fetch::plan::{AskFlags, Plan};
use crate::fetch::report::WouldPay;
use crate::fetch::talk::Talk;
use crate::fetch::transfer::{Bill, Detail, Ended, Transfers};
use crate::fetch::write_out;
use crate::log;
use crate::output::Output;
use crate::pay::{ExternalFlags, PayFlags};
use crate::settings::Settings;
use crate::shell::Shell;

/// `tollway get`.
#[derive(Debug)]
pub(crate) struct Get;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    ask: AskFlags,

    #[command(flatten)]
    pay: PayFlags,

    #[command(flatten)]
    external: ExternalFlags,

    /// Say what it would cost, and do not pay
    #[arg(long, help_heading = "Paying")]
    dry_run: bool,

    /// Pay nothing: end with 9 where payment is asked and no token is in the wallet
    #[arg(long, help_heading = "Paying")]
    no_pay: bool,

    /// Buy a new token even where one was paid for and never honoured
    #[arg(long, help_heading = "Paying")]
    buy_again: bool,

    /// Write what was paid there, as JSON; nothing secret is in it
    #[arg(long, value_name = "FILE", help_heading = "Paying")]
    receipt: Option<PathBuf>,

    /// Put the proof of payment into the report: whoever sees it can use it
    #[arg(long, help_heading = "Paying")]
    show_preimage: bool,

    /// Read flags from this file, as curl does from its own; `-` is stdin. No file is read unless it
    /// is named
    #[arg(short = 'K', long, value_name = "FILE", help_heading = "Redirects, retries and time")]
    config: Vec<PathBuf>,
}

const AFTER_HELP: &str = "\
The body goes to stdout, talk to stderr. What was paid for is kept: run again, the same command uses
its token. Killed at any moment and run again, it pays once.

The flags mean what they mean to curl. Those that cannot be had here are refused by name.

Examples:
  tollway get https://api.example.com/weather/berlin
  tollway get --max-cost 50 --dry-run https://api.example.com/weather/berlin
  tollway get --json '{\"city\":\"berlin\",\"days\":3}' https://api.example.com/forecast
  tollway get -Z -O --remote-name-all https://api.example.com/a.csv https://api.example.com/b.csv
  tollway get -w '%{http_code} %{amount_msat}\\n' -o /dev/null https://api.example.com/weather/berlin";

#[async_trait]
impl Command for Get {
    fn name(&self) -> &'static str {
        "get"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Buy: get a URL as curl does, and pay for it over Lightning if it asks";
        let after = format!("{AFTER_HELP}\n\nVariables of --write-out:\n  {}", write_out::names());
        refused::define(Arguments::augment_args(command).about(about).after_help(after))
    }

    async fn run(&self, matches: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(matches);
        log::start(shell, "error,tollway_nodes=warn");
        if !args.config.is_empty() {
            // Those that stand by themselves have been replaced by what is in their files.
            let why = "write `-K FILE` by itself, before other flags' letters are joined";
            return Err(AskError::Together { one: "-K", other: "a joined flag", why }.into());
        }
        let plan = args.ask.plan(matches, shell).await?;
        let (builder, external) = args.pay.builder_with(Some(&args.external), shell).await?;
        let client = builder
            .timeouts(args.ask.limits.timeouts())
            .transport(plan.transport.clone())
            .build()?;
        let output = &args.ask.output;
        let quiet = output.silent && !output.show_error;
        let ended = if args.dry_run {
            dry_run(&args.ask, &plan, &client, shell).await
        } else {
            all(&args, &plan, &client, shell).await
        };
        match ended {
            Err(failure) if external.as_ref().is_some_and(|other| other.to_pay().is_some()) => {
                let to_pay = external.as_ref().and_then(External::to_pay);
                let to_pay = to_pay.expect("the guard has seen it");
                Ok(Output::new(&to_pay).with_exit(Exit::of(&failure)))
            }
            // Said by its number alone.
            Err(failure) if quiet && !shell.is_json() => {
                Ok(Output::nothing().with_exit(Exit::of(&failure)))
            }
            ended => ended,
        }
    }
}

/// Asks what each URL costs.
async fn dry_run(
    flags: &AskFlags,
    plan: &Plan,
    client: &Client,
    shell: &Shell,
) -> Result<Output, Failure> {
    let mut prices = Vec::new();
    for job in &plan.jobs {
        let (request, ..) = flags.request(plan, job)?;
        let quoted = client.quote(&request).await;
        prices.push(match quoted.map_err(|error| Failure::Fetch(Box::new(error)))? {
            Quote::Price(price) => WouldPay::price(&price),
            Quote::Answered(response) => WouldPay::nothing(&response),
        });
    }
    let rates = Settings::load(shell)?.rates.filter(|_| prices.iter().any(WouldPay::would_pay));
    if let Some(rate) = match &rates {
        Some(rates) => rates.ask().await,
        None => None,
    } {
        prices.iter_mut().for_each(|price| price.in_currency(&rate));
    }
    let would_pay = prices.iter().any(WouldPay::would_pay);
    let output = match &prices[..] {
        [price] => Output::new(price),
        prices => Output::new(&Several(prices)),
    };
    Ok(output.with_exit(if would_pay { Exit::WouldPay } else { Exit::Ok }))
}

/// Gets all URLs, and says how each ended as soon as it has.
async fn all(
    args: &Arguments,
    plan: &Plan,
    client: &Client,
    shell: &Shell,
) -> Result<Output, Failure> {
    let output = &args.ask.output;
    let talk = Talk::open(output, shell)?;
    let transfers = Transfers {
        client,
        flags: &args.ask,
        plan,
        talk: &talk,
        shell,
        bill: if args.no_pay { Bill::Refuse } else { Bill::Pay },
        buy_again: args.buy_again,
        show_progress: output.shows_progress() && !shell.is_json(),
        detail: match (args.show_preimage, &plan.write_out, &args.receipt) {
            (true, ..) => Detail::Secrets,
            (false, None, None) if !shell.is_json() => Detail::Little,
            (false, ..) => Detail::All,
        },
    };
    let mut summary =
        Summary { args, plan, shell, exit: Exit::Ok, reports: Vec::new(), failure: None };
    if output.parallel {
        at_once(&transfers, usize::from(output.parallel_max), &mut summary).await?;
    } else {
        for job in &plan.jobs {
            if !summary.add(transfers.run(job).await)? {
                break;
            }
        }
    }
    if let Some(jar) = &plan.jar {
        jar.save()?;
    }
    summary.finish()
}

/// Many transfers at a time, each told of when it is over.
async fn at_once(
    transfers: &Transfers<'_>,
    most: usize,
    summary: &mut Summary<'_>,
) -> Result<(), Failure> {
    use futures_util::stream::{FuturesUnordered, StreamExt};
    let mut waiting = transfers.plan.jobs.iter();
    let mut running: FuturesUnordered<_> =
        waiting.by_ref().take(most).map(|job| transfers.run(job)).collect();
    while let Some(ended) = running.next().await {
        if !summary.add(ended)? {
            break;
        }
        running.extend(waiting.next().map(|job| transfers.run(job)));
    }
    Ok(())
}

/// What is said of all transfers together.
struct Summary<'a> {
    args: &'a Arguments,
    plan: &'a Plan,
    shell: &'a Shell,
    exit: Exit,
    reports: Vec<Value>,
    /// The failure of the only URL.
    failure: Option<Failure>,
}

impl Summary<'_> {
    /// Says how one ended; `false` when no more is to be got.
    fn add(&mut self, ended: Ended) -> Result<bool, Failure> {
        let (exit, output) = (ended.exit(), &self.args.ask.output);
        if let Some(format) = &self.plan.write_out {
            use std::io::Write as _;
            let (out, err) = format.render(&ended.got);
            let mut stdout = std::io::stdout();
            stdout
                .write_all(out.as_bytes())
                .and_then(|()| stdout.flush())
                .map_err(Failure::Stdout)?;
            let _ = std::io::stderr().write_all(err.as_bytes());
        }
        if let Some(path) = self.args.receipt.as_ref().filter(|_| ended.got.payment.paid) {
            write_receipt(path, &ended)?;
        }
        let only = self.plan.jobs.len() == 1;
        let is_loud = !output.silent || output.show_error;
        match ended.failure {
            Some(failure) if only => self.failure = Some(failure),
            Some(failure) if !self.shell.is_json() && is_loud => self.shell.report(&failure, exit),
            _ => {}
        }
        if self.shell.is_ndjson() {
            self.shell.print(&Output::new(&ended.got)).map_err(Failure::Stdout)?;
        } else if self.shell.is_json() {
            self.reports.push(Output::new(&ended.got).into_json());
        }
        if exit != Exit::Ok {
            self.exit = exit;
        }
        Ok(exit == Exit::Ok || !output.fail_early)
    }

    fn finish(mut self) -> Result<Output, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if !self.shell.is_json() || self.shell.is_ndjson() {
            return Ok(Output::nothing().with_exit(self.exit));
        }
        // A report in JSON on stdout, with `--write-out`, would be two documents in one.
        if self.plan.write_out.is_some() {
            return Ok(Output::nothing().with_exit(self.exit));
        }
        let report = match self.plan.jobs.len() {
            1 => self.reports.pop().unwrap_or_default(),
            _ => Value::Array(self.reports),
        };
        Ok(Output::new(&Silent(report)).with_exit(self.exit))
    }
}

fn write_receipt(path: &PathBuf, ended: &Ended) -> Result<(), Failure> {
    let mut receipt = serde_json::to_value(&ended.got.payment).expect("it has string keys only");
    if let Some(fields) = receipt.as_object_mut() {
        fields.remove("preimage");
    }
    receipt["url"] = ended.got.url.clone().into();
    receipt["method"] = ended.got.method.clone().into();
    receipt["status"] = ended.got.status.into();
    let failed = |source| Failure::Io { what: format!("writing `{}`", path.display()), source };
    std::fs::write(path, format!("{receipt}\n")).map_err(failed)
}

/// A report that has no form for people: they have had the bodies.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Silent(pub(crate) Value);

impl fmt::Display for Silent {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Several prices.
#[derive(Serialize)]
#[serde(transparent)]
struct Several<'a>(&'a [WouldPay]);

impl fmt::Display for Several<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|price| writeln!(f, "{price}"))
    }
}
