//! A buyer in a process of its own, to be killed, and the way from its node seam to a node in the
//! test's process.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::purse::{Fault, OutcomeReply, PayReply};
use l402::{
    Invoice, Msat, Network, NodeError, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer,
    PaymentHash,
};
use testkit::FakeNode;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};
use tollway_client::{Client, Error, Limit, Payment, Policy, Request, SqliteWallet, Step, Window};

use crate::buying::{soon, terms};

/// What the child prints before what it has to say.
const STEP: &str = "step ";
const ENDED: &str = "ended ";

/// Not a test: the program that the tests start and kill. Its arguments are in the environment.
#[test]
#[ignore = "the tests that kill it start it"]
fn buyer() {
    let argument = |name: &str| std::env::var(name).unwrap();
    // Whoever runs all that is ignored gives no arguments.
    let Ok(stop) = std::env::var("BUYER_STOPS_AT") else { return };
    let watch = move |step: &Step<'_>| {
        eprintln!("{STEP}{}", step.name());
        while step.name() == stop {
            std::thread::park();
        }
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ended = runtime.block_on(async {
        let wallet = SqliteWallet::open(argument("BUYER_WALLET")).await.unwrap();
        let payer = Remote { node: argument("BUYER_NODE") };
        let limit = std::env::var("BUYER_LIMIT").ok().map(|most| most.parse().unwrap());
        let limits = limit.map(|most| Limit::new(most, Window::Day)).into_iter().collect();
        let client = Client::builder(Arc::new(wallet), terms()).payer(Arc::new(payer));
        let client = client.policy(Policy { limits, ..Policy::default() }).build().unwrap();
        let method = argument("BUYER_METHOD").parse().unwrap();
        let request = Request::new(method, argument("BUYER_URL").parse().unwrap()).unwrap();
        match client.fetch_observed(&request.body("what is sent"), &watch).await {
            Ok(response) => match response.payment() {
                Payment::None => "free".to_owned(),
                Payment::Token(_) => "token".to_owned(),
                Payment::Bought(_) => "bought".to_owned(),
                Payment::Recovered(_) => "recovered".to_owned(),
            },
            Err(Error::Unknown { .. }) => "unknown".to_owned(),
            Err(Error::Policy(_)) => "over limit".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    });
    eprintln!("{ENDED}{ended}");
}

/// A buyer that was started.
pub(crate) struct Buyer {
    process: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Buyer {
    /// Starts one that asks for `url` and stands still at the step of that name.
    pub(crate) fn start(wallet: &std::path::Path, node: &str, url: &str, stop: &str) -> Self {
        Self::start_as(wallet, node, url, stop, &[])
    }

    /// As [`Buyer::start`], with arguments of its own: `BUYER_METHOD`, `BUYER_LIMIT` by the day.
    pub(crate) fn start_as(
        wallet: &std::path::Path,
        node: &str,
        url: &str,
        stop: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::buyer", "--ignored", "--nocapture"])
            .env("BUYER_WALLET", wallet)
            .env("BUYER_NODE", node)
            .env("BUYER_URL", url)
            .env("BUYER_STOPS_AT", stop)
            .env("BUYER_METHOD", "GET")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, said }
    }

    /// Waits until it has passed the step of that name.
    pub(crate) async fn passed(&mut self, step: &str) {
        soon(async { while self.hear(STEP).await != step {} }).await;
    }

    /// Waits until it is done, and says how that was.
    pub(crate) async fn ended(mut self) -> String {
        soon(self.hear(ENDED)).await
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    async fn hear(&mut self, kind: &str) -> String {
        loop {
            let line = self.said.next_line().await.unwrap();
            let line = line.expect("it was heard before the buyer ended");
            if let Some(rest) = line.strip_prefix(kind) {
                return rest.to_owned();
            }
            assert!(!line.contains("panicked"), "{line}");
        }
    }
}

/// A node in another process: one line there, one line back.
#[derive(Debug)]
struct Remote {
    node: String,
}

impl Remote {
    async fn ask(&self, question: String) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.node).await?;
        stream.write_all(format!("{question}\n").as_bytes()).await?;
        let answer = BufReader::new(stream).lines().next_line().await?;
        answer.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[async_trait]
impl Payer for Remote {
    fn network(&self) -> Network {
        Network::Regtest
    }

    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError> {
        let hash = order.invoice.payment_hash();
        let (fee, patience) = (order.max_fee.msat(), order.patience.as_millis());
        match self.ask(format!("pay {} {fee} {patience}", order.invoice)).await {
            Ok(answer) => serde_json::from_str::<PayReply>(&answer).unwrap().ended(hash),
            Err(error) => Err(PayError::Unknown { hash, source: lost(error) }),
        }
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        let answer = self.ask(format!("outcome {hash}")).await.map_err(lost)?;
        serde_json::from_str::<OutcomeReply>(&answer).unwrap().outcome(hash)
    }
}

fn lost(error: std::io::Error) -> NodeError {
    NodeError::new("remote", NodeErrorKind::Unreachable).because(error)
}

/// Answers for `node` on a port of this machine, and says where.
pub(crate) async fn serve(node: FakeNode) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, node.payer()));
        }
    });
    address
}

/// A payment goes on when the one who asked for it is gone.
async fn answer(stream: TcpStream, payer: Arc<dyn Payer>) {
    let (read, mut write) = stream.into_split();
    let Ok(Some(question)) = BufReader::new(read).lines().next_line().await else { return };
    let words: Vec<_> = question.split(' ').collect();
    let answer = match words[..] {
        ["pay", invoice, fee, patience] => {
            let invoice: Invoice = invoice.parse().unwrap();
            let order = PayOrder {
                invoice: &invoice,
                max_fee: Msat::from_msat(fee.parse().unwrap()),
                patience: Duration::from_millis(patience.parse().unwrap()),
            };
            let reply = PayReply::new(invoice.payment_hash(), payer.pay(order).await);
            serde_json::to_string(&reply).unwrap()
        }
        ["outcome", hash] => {
            let hash = hash.parse().unwrap();
            let outcome = payer.outcome(hash).await.unwrap();
            let reply: Result<_, Fault> = OutcomeReply::new(hash, outcome);
            serde_json::to_string(&reply.unwrap()).unwrap()
        }
        _ => panic!("{question}"),
    };
    let _ = write.write_all(format!("{answer}\n").as_bytes()).await;
}
