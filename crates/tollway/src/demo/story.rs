//! The demo's story, told as it happens: nothing in it is made up.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use l402::{Challenge, Outcome, Payer as _};
use serde::Serialize;
use tokio::task::JoinSet;
use tollway_client::{Client, MemoryWallet, Payment, Receipt, Request, Response, Step};

use crate::demo::stage::Stage;
use crate::failure::Failure;
use crate::shell::Shell;
use crate::terminal::{DIM, GOOD, KEY, STRONG, escape, paint, shorten};

/// The purchases that the last chapter counts, and how many are made at a time.
const PURCHASES: usize = 100;
const AT_ONCE: usize = 16;

/// What happened, for programs.
#[derive(Serialize)]
pub(crate) struct Told {
    /// From the start of the process to the last byte of the first paid response.
    first_paid_ms: f64,
    payment_hash: String,
    preimage: String,
    invoice: String,
    amount_msat: u64,
    fee_msat: u64,
    /// In standard base64.
    token: String,
    paid_url: String,
    /// Free, and answers with the request as the API saw it.
    echo_url: String,
    status: u16,
    reused_status: u16,
    payments_per_second: f64,
    paid_body: String,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.first_paid_ms;
        write!(f, "From nothing to the first paid response in {ms:.0} ms.")
    }
}

/// Who tells it, and to whom.
struct Teller<'a> {
    stage: &'a Stage,
    shell: &'a Shell,
    client: Client,
}

/// The first purchase.
struct Bought {
    challenge: Challenge,
    receipt: Receipt,
    response: u16,
    body: String,
    url: String,
}

/// Plays it on a stage.
pub(crate) async fn tell(stage: &Stage, shell: &Shell) -> Result<Told, Failure> {
    let teller = Teller { stage, shell, client: stage.client().await? };
    teller.open();
    teller.free().await?;
    let bought = teller.buy().await?;
    let first_paid = shell.started().elapsed();
    teller.proof(&bought).await?;
    let reused = teller.again(&bought).await?;
    teller.forecast().await?;
    let rate = teller.many().await?;
    let preimage = match stage.buyer().outcome(bought.receipt.hash).await {
        Ok(Outcome::Paid(paid)) => paid.preimage.expose_hex(),
        _ => return Err(Failure::Demo("the node does not know the payment it has made")),
    };
    Ok(Told {
        first_paid_ms: first_paid.as_secs_f64() * 1e3,
        payment_hash: bought.receipt.hash.to_string(),
        preimage,
        invoice: bought.challenge.invoice.to_string(),
        amount_msat: bought.receipt.amount.msat(),
        fee_msat: bought.receipt.fee.msat(),
        token: bought.challenge.token.as_str().to_owned(),
        paid_url: bought.url,
        echo_url: stage.url("/echo"),
        status: bought.response,
        reused_status: reused,
        payments_per_second: rate,
        paid_body: bought.body,
    })
}

impl Teller<'_> {
    fn say(&self, line: &str) {
        self.shell.say(line);
    }

    fn heading(&self, text: &str) {
        self.say(&format!("\n{}", paint(STRONG, text)));
    }

    /// One line of a conversation: who, and what.
    fn line(&self, who: &str, what: &str) {
        self.say(&format!("  {} {what}", paint(DIM, format!("{who:<8}"))));
    }

    fn open(&self) {
        let up = self.shell.started().elapsed().as_millis();
        self.heading(&format!("A private Lightning network, an API and a gateway: up in {up} ms"));
        for node in self.stage.devnet.nodes() {
            let id = node.node.node_id().to_string();
            let can = node.node.balance().outbound;
            self.line(node.name, &format!("{} can send {can}", paint(KEY, shorten(&id))));
        }
        self.line(
            "API",
            &format!("http://{}, which knows nothing of money", self.stage.upstream()),
        );
        let gateway = paint(KEY, self.stage.url(""));
        self.line("gateway", &format!("{gateway} sells it for 10 sat; bob is paid"));
    }

    async fn fetch(&self, request: &Request) -> Result<Response, Failure> {
        self.client.fetch(request).await.map_err(failed)
    }

    async fn free(&self) -> Result<(), Failure> {
        self.heading("What is free");
        let response = self.fetch(&get(&self.stage.url("/health"))?).await?;
        self.line("alice", "GET /health");
        self.line("gateway", &paint(GOOD, response.status()));
        Ok(())
    }

    /// 402, invoice, payment, preimage, 200.
    async fn buy(&self) -> Result<Bought, Failure> {
        self.heading("What is not");
        let url = self.stage.url("/weather/berlin");
        let seen: Mutex<Option<Challenge>> = Mutex::new(None);
        let started = Instant::now();
        let observer = |step: &Step<'_>| {
            self.watch(step, started);
            if let Step::Challenged { challenge } = step {
                *seen.lock().expect("no panic while held") = Some((*challenge).clone());
            }
        };
        let request = get(&url)?;
        let response = self.client.fetch_observed(&request, &observer).await.map_err(failed)?;
        let status = response.status().as_u16();
        let Payment::Bought(receipt) = response.payment().clone() else {
            return Err(Failure::Demo("nothing was asked for what has a price"));
        };
        let body = text(response).await?;
        self.line("gateway", &format!("{} {}", paint(GOOD, status), escape(body.trim())));
        let challenge = seen.into_inner().expect("no panic while held");
        let challenge = challenge.ok_or(Failure::Demo("something was bought unasked"))?;
        Ok(Bought { challenge, receipt, response: status, body, url })
    }

    fn watch(&self, step: &Step<'_>, started: Instant) {
        match step {
            Step::Asking { .. } => self.line("alice", "GET /weather/berlin"),
            Step::Answered { status, .. } => self.line("gateway", &paint(KEY, status)),
            Step::Challenged { challenge } => {
                let invoice = &challenge.invoice;
                self.line("", &format!("token    {}", shorten(challenge.token.as_str())));
                let asks = format!("{}, {}", shorten(invoice.as_str()), invoice.amount());
                self.line("", &format!("invoice  {asks}"));
                self.line("", &format!("locked to payment hash {}", invoice.payment_hash()));
            }
            Step::Begun { .. } => self.line("alice", "writes down what she is about to pay"),
            Step::Paying { .. } => self.line("alice", "pays bob over their channel"),
            Step::Paid { .. } => {
                let ms = started.elapsed().as_secs_f64() * 1e3;
                self.line("bob", &format!("is paid, and gives the preimage ({ms:.0} ms)"));
            }
            Step::Proven { .. } => {
                self.line("alice", "writes down the proof, and asks again with it")
            }
            _ => {}
        }
    }

    async fn proof(&self, bought: &Bought) -> Result<(), Failure> {
        let outcome = self.stage.buyer().outcome(bought.receipt.hash).await;
        let Ok(Outcome::Paid(paid)) = outcome else {
            return Err(Failure::Demo("the node does not know the payment it has made"));
        };
        let preimage = shorten(&paid.preimage.expose_hex());
        self.line("", &format!("the proof: SHA-256({preimage}) is the payment hash"));
        Ok(())
    }

    async fn again(&self, bought: &Bought) -> Result<u16, Failure> {
        self.heading("The same again, with the token from the wallet");
        let response = self.fetch(&get(&bought.url)?).await?;
        let status = response.status();
        self.line("alice", "GET /weather/berlin with token and preimage");
        if !matches!(response.payment(), Payment::Token(_)) {
            return Err(Failure::Demo("the token that was bought does not open its own door"));
        }
        self.line("gateway", &format!("{}, nothing paid", paint(GOOD, status)));
        Ok(status.as_u16())
    }

    async fn forecast(&self) -> Result<(), Failure> {
        let json = r#"{"city":"berlin","days":3}"#;
        let request = Request::new(
            http::Method::POST,
            self.stage.url("/forecast").parse().expect("a URL of the gateway"),
        );
        let header = http::HeaderValue::from_static("application/json");
        let request = request
            .map_err(|error| failed(error.into()))?
            .header(http::header::CONTENT_TYPE, header)
            .body(json);
        let response = self.fetch(&request).await?;
        let status = response.status();
        self.line("alice", &format!("POST /forecast {json}"));
        self.line("gateway", &format!("{}, the same token opens it", paint(GOOD, status)));
        Ok(())
    }

    /// Buys the same thing many times over, each time as somebody who has no token yet.
    async fn many(&self) -> Result<f64, Failure> {
        self.heading(&format!("{PURCHASES} purchases, {AT_ONCE} at a time"));
        let url = self.stage.url("/weather/paris");
        let started = Instant::now();
        let mut running = JoinSet::new();
        for started_already in 0..PURCHASES {
            if started_already >= AT_ONCE {
                one_more(&mut running).await?;
            }
            let client = self.client.with_wallet(Arc::new(MemoryWallet::new()));
            let request = get(&url)?;
            running.spawn(async move {
                let response = client.fetch(&request).await.map_err(failed)?;
                let paid = matches!(response.payment(), Payment::Bought(_));
                text(response).await?;
                if paid { Ok(()) } else { Err(Failure::Demo("a purchase was not paid for")) }
            });
        }
        while !running.is_empty() {
            one_more(&mut running).await?;
        }
        let took: Duration = started.elapsed();
        let rate = PURCHASES as f64 / took.as_secs_f64();
        self.line("", &format!("{rate:.0} a second, each a payment of its own"));
        Ok(rate)
    }
}

/// Waits for one of the purchases.
async fn one_more(running: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    match running.join_next().await {
        Some(Ok(bought)) => bought,
        Some(Err(_)) => Err(Failure::Demo("a purchase broke off")),
        None => Ok(()),
    }
}

fn get(url: &str) -> Result<Request, Failure> {
    Request::get(url).map_err(|error| failed(error.into()))
}

async fn text(response: Response) -> Result<String, Failure> {
    let bytes = response.bytes().await.map_err(Failure::BrokeOff)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn failed(error: tollway_client::Error) -> Failure {
    Failure::Fetch(Box::new(error))
}
