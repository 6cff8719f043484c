//! `tollway get`: asks for something, and pays for it if it must.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Msat, NodeUrl, OpenError, Payer};
use tollway_client::{Client, PayerSource, Quote, Request, Response, SqliteWallet, Terms};

use crate::command::{Command, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fetch::ask::{Ask, AskFlags};
use crate::fetch::report::{Got, WouldPay};
use crate::fetch::sink::Sink;
use crate::fetch::talk::{self, Steps};
use crate::output::Output;
use crate::shell::Shell;
use crate::{flags, log, nodes};

/// `tollway get`.
#[derive(Debug)]
pub(crate) struct Get;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    ask: AskFlags,

    /// Write the body there; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print the status and the headers before the body
    #[arg(short, long)]
    include: bool,

    /// End with 22 when the status is 400 or above, and print no body
    #[arg(short, long)]
    fail: bool,

    /// Follow redirects, ten at most; another server is never paid and gets no token
    #[arg(short = 'L', long)]
    location: bool,

    /// Say each step on stderr as it is passed
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    pay: PayFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Paying")]
struct PayFlags {
    /// The node that pays
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,

    /// The most it may cost, routing not included; a bare number is satoshi
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount, default_value = "100 sat")]
    max_cost: Msat,

    /// The most that routing may cost on top; 1 % of the most it may cost, or 10 sat if that is more
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    max_fee: Option<Msat>,

    /// How many seconds a payment may take to end
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,

    /// Say what it would cost, and do not pay
    #[arg(long)]
    dry_run: bool,

    /// Buy a new token even where one was paid for and never honoured
    #[arg(long)]
    buy_again: bool,

    /// Where tokens, proofs and payments not yet ended are kept
    #[arg(long, value_name = "FILE")]
    wallet: Option<PathBuf>,

    /// Pay and show tokens over plain http to other machines, too
    #[arg(long)]
    allow_plain_http: bool,
}

const AFTER_HELP: &str = "\
The body goes to stdout, talk to stderr. What was paid for is kept: run again, the same command uses
its token. Killed at any moment and run again, it pays once.

Examples:
  tollway get https://api.example.com/weather/berlin
  tollway get --max-cost 50 --dry-run https://api.example.com/weather/berlin
  tollway get --json '{\"city\":\"berlin\",\"days\":3}' https://api.example.com/forecast";

#[async_trait]
impl Command for Get {
    fn name(&self) -> &'static str {
        "get"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Buy: get a URL as curl does, and pay for it over Lightning if it asks";
        Arguments::augment_args(command.about(about).after_help(AFTER_HELP))
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "error,tollway_nodes=warn");
        let request = request(&args)?;
        let client = client(&args.pay, shell).await?;
        let failed = |error| Failure::Fetch(Box::new(error));
        if args.pay.dry_run {
            return Ok(match client.quote(&request).await.map_err(failed)? {
                Quote::Price(price) => {
                    Output::new(&WouldPay::price(&price)).with_exit(Exit::WouldPay)
                }
                Quote::Answered(response) => Output::new(&WouldPay::nothing(&response)),
            });
        }
        let steps = Steps::new(shell, args.verbose);
        let response = client.fetch_observed(&request, &steps).await.map_err(failed)?;
        if let Some(line) = talk::sum_up(response.payment()) {
            shell.say(&line);
        }
        deliver(response, &args, shell).await
    }
}

fn request(args: &Arguments) -> Result<Request, Failure> {
    let Ask { method, url, headers, body } = args.ask.ask()?;
    let bad = |error: tollway_client::BadRequest| Failure::Fetch(Box::new(error.into()));
    let mut request = Request::new(method, url).map_err(bad)?.headers(headers).body(body);
    if args.location {
        request = request.follow(10);
    }
    if args.pay.buy_again {
        request = request.buy_again();
    }
    Ok(request)
}

async fn client(pay: &PayFlags, shell: &Shell) -> Result<Client, Failure> {
    let mut terms = Terms::up_to(pay.max_cost);
    terms.max_fee = pay.max_fee.unwrap_or(terms.max_fee);
    terms.patience = Duration::from_secs(pay.patience);
    let wallet = match &pay.wallet {
        Some(file) => file.clone(),
        None => shell.need_folder()?.join("wallet.sqlite"),
    };
    let wallet = Arc::new(SqliteWallet::open(wallet).await?);
    let mut builder = Client::builder(wallet, terms);
    if let Some(url) = &pay.node {
        let source = Lazy { url: NodeUrl::new(url.clone()), shell: shell.clone() };
        builder = builder.payer_source(source);
    }
    if pay.allow_plain_http {
        builder = builder.allow_plain_http();
    }
    Ok(builder.build()?)
}

/// A node that is opened when it is needed.
struct Lazy {
    url: NodeUrl,
    shell: Shell,
}

#[async_trait]
impl PayerSource for Lazy {
    async fn open(&self) -> Result<Arc<dyn Payer>, OpenError> {
        nodes::open_payer(&self.url, &self.shell).await
    }

    /// What tells one node from another. What follows `?` may be secret, or change.
    fn name(&self) -> Option<String> {
        self.url.expose().split('?').next().map(str::to_owned)
    }
}

/// Hands the response on, piece by piece as it comes.
async fn deliver(
    mut response: Response,
    args: &Arguments,
    shell: &Shell,
) -> Result<Output, Failure> {
    let bad_status = response.status().is_client_error() || response.status().is_server_error();
    let exit = if args.fail && bad_status { Exit::HttpStatus } else { Exit::Ok };
    let mut sink = match &args.output {
        Some(file) => Sink::to(file),
        None if shell.is_json() => Sink::Memory(Vec::new()),
        None => Sink::stdout(),
    };
    if args.include && !shell.is_json() {
        sink.write(head(&response).as_bytes())?;
    }
    let got = Got::new(&response);
    if exit == Exit::Ok {
        while let Some(piece) = response.chunk().await.map_err(Failure::BrokeOff)? {
            sink.write(&piece)?;
            sink.flush()?;
        }
    } else {
        shell.say(&format!("the server answers {}", response.status()));
    }
    sink.finish()?;
    let output = match (sink, &args.output) {
        _ if !shell.is_json() => Output::nothing(),
        (Sink::Memory(body), _) => Output::new(&Silent(got.with_body(body))),
        (_, Some(file)) => Output::new(&Silent(got.with_file(file))),
        (_, None) => Output::nothing(),
    };
    Ok(output.with_exit(exit))
}

/// A report that has no form for people: they have had the body.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Silent(Got);

impl std::fmt::Display for Silent {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

/// The status line and the headers, as curl prints them.
fn head(response: &Response) -> String {
    let status = response.status();
    let mut text = format!("{:?} {}", response.version(), status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        text.push(' ');
        text.push_str(reason);
    }
    text.push_str("\r\n");
    for (name, value) in response.headers() {
        text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text.push_str("\r\n");
    text
}
