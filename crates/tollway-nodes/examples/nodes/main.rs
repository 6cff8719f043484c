//! How many payments and invoices a second go through a driver, beside the node's own API doing the
//! same. `bench/nodes.sh` builds and runs it.

mod gateway;
mod lnd;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Invoice, Invoicer, Msat, PayOrder, Payer};
use serde_json::{Value, json};
use tollway_ldk::{Devnet, DevnetConfig};

use lnd::rig::{Lnd, pair};

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// How many are under way at a time.
const WIDTHS: [usize; 2] = [1, 32];
/// How often the ways to a node take turns.
const TURNS: usize = 5;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Row {
    node: &'static str,
    what: &'static str,
    width: usize,
    by: &'static str,
    a_second: f64,
    /// How long the slowest hundredth took at least, and how many had no success; where it is counted.
    slow: Option<(Duration, usize)>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (mut as_json, mut payments, mut invoices) = (false, 200, 3_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap_or_default().parse::<usize>();
        match argument.as_str() {
            "--json" => as_json = true,
            "--payments" => payments = number()?,
            "--invoices" => invoices = number()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let mut rows = embedded(payments, invoices).await?;
    if lnd::binary::is_there() {
        rows.extend(real_lnd(payments, invoices).await?);
    }
    print(&rows, as_json);
    Ok(())
}

fn print(rows: &[Row], as_json: bool) {
    for Row { node, what, width, by, a_second, slow } in rows {
        let slow = slow.map(|(p99, errors)| (p99.as_secs_f64() * 1_000.0, errors));
        if as_json {
            let mut row = json!({ "node": node, "what": what, "in_flight": width, "by": by,
                "per_second": (a_second * 10.0).round() / 10.0 });
            if let Some((p99, errors)) = slow {
                row["p99_ms"] = json!((p99 * 10.0).round() / 10.0);
                row["errors"] = json!(errors);
            }
            println!("{row}");
        } else {
            let slow = slow.map(|(p99, errors)| format!("  p99 {p99:.1} ms, {errors} errors"));
            let slow = slow.unwrap_or_default();
            println!(
                "{node:<6} {what:<9} {width:>3} in flight  by {by:<10} {a_second:>9.1}/s{slow}"
            );
        }
    }
}

/// How many calls a second, `width` of them at a time.
async fn rate<C, F>(calls: usize, width: usize, call: C) -> Result<f64, Failure>
where
    C: Fn(usize) -> F,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    Ok(calls as f64 / time(0..calls, width, call).await?.as_secs_f64())
}

/// How long these calls take, `width` of them at a time.
async fn time<C, F>(calls: Range<usize>, width: usize, call: C) -> Result<Duration, Failure>
where
    C: Fn(usize) -> F,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let start = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for number in calls {
        if under_way.len() >= width
            && let Some(done) = under_way.join_next().await
        {
            done??;
        }
        under_way.spawn(call(number));
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(start.elapsed())
}

/// One way to the same two nodes.
#[derive(Clone)]
enum Way {
    Driver { payer: Arc<dyn Payer>, seller: Arc<dyn Invoicer> },
    Rest { payer: Bare, seller: Bare },
}

impl Way {
    const fn name(&self) -> &'static str {
        match self {
            Self::Driver { .. } => "driver",
            Self::Rest { .. } => "bare REST",
        }
    }

    async fn invoice(&self) -> Result<(), Failure> {
        match self {
            Self::Driver { seller, .. } => {
                seller.invoice(Msat::from_msat(1_000), "bench", HOUR).await?;
                Ok(())
            }
            Self::Rest { seller, .. } => {
                let body = json!({ "value_msat": "1000", "memo": "bench", "expiry": "3600" });
                seller.post("/v1/invoices", body).await
            }
        }
    }

    async fn pay(&self, invoice: &Invoice) -> Result<(), Failure> {
        match self {
            Self::Driver { payer, .. } => {
                payer.pay(PayOrder { invoice, max_fee: Msat::ZERO, patience: PATIENCE }).await?;
                Ok(())
            }
            Self::Rest { payer, .. } => {
                let body = json!({ "payment_request": invoice.as_str(), "fee_limit_msat": "0",
                    "timeout_seconds": 58, "no_inflight_updates": true });
                payer.post("/v2/router/send", body).await
            }
        }
    }
}

/// What is done so and so often.
#[derive(Clone)]
enum Work {
    Invoices,
    Payments(Arc<Vec<Invoice>>),
}

impl Work {
    const fn name(&self) -> &'static str {
        match self {
            Self::Invoices => "invoices",
            Self::Payments(_) => "payments",
        }
    }

    async fn one(&self, way: &Way, number: usize) -> Result<(), Failure> {
        match self {
            Self::Invoices => way.invoice().await,
            Self::Payments(bills) => way.pay(&bills[number]).await,
        }
    }
}

/// Both sides of each way. The ways take turns, so that what a node's age does to it is done to all.
async fn measure(
    node: &'static str,
    ways: &[Way],
    seller: &dyn Invoicer,
    [payments, invoices]: [usize; 2],
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for width in WIDTHS {
        let bills = bills(seller, payments * ways.len()).await?;
        for (work, calls) in [(Work::Invoices, invoices), (Work::Payments(bills), payments)] {
            let mut took = vec![Duration::ZERO; ways.len()];
            let turn = calls.div_ceil(TURNS);
            for begin in (0..calls).step_by(turn) {
                for (index, way) in ways.iter().enumerate() {
                    let numbers = begin..calls.min(begin + turn);
                    took[index] += time(numbers, width, |number| {
                        let (way, work) = (way.clone(), work.clone());
                        async move { work.one(&way, index * calls + number).await }
                    })
                    .await?;
                }
            }
            for (way, took) in ways.iter().zip(took) {
                let a_second = calls as f64 / took.as_secs_f64();
                let (what, by) = (work.name(), way.name());
                rows.push(Row { node, what, width, by, a_second, slow: None });
            }
        }
    }
    Ok(rows)
}

async fn bills(seller: &dyn Invoicer, count: usize) -> Result<Arc<Vec<Invoice>>, Failure> {
    let mut bills = Vec::with_capacity(count);
    for _ in 0..count {
        bills.push(seller.invoice(Msat::from_msat(1_000), "bench", HOUR).await?);
    }
    Ok(Arc::new(bills))
}

async fn embedded(payments: usize, invoices: usize) -> Result<Vec<Row>, Failure> {
    let devnet = Devnet::start(DevnetConfig::default()).await?;
    let [buyer, seller, ..] = devnet.nodes() else { return Err("two nodes".into()) };
    let payer: Arc<dyn Payer> = Arc::clone(&buyer.node) as _;
    let seller: Arc<dyn Invoicer> = Arc::clone(&seller.node) as _;
    let way = Way::Driver { payer, seller: Arc::clone(&seller) };
    let rows = measure("ldk", &[way], &*seller, [payments, invoices]).await?;
    devnet.stop().await;
    Ok(rows)
}

async fn real_lnd(payments: usize, invoices: usize) -> Result<Vec<Row>, Failure> {
    let pair = pair().await;
    let payer = pair.buyer.open().await?.payer.ok_or("an admin may pay")?;
    let seller = pair.seller.open().await?.invoicer.ok_or("an admin may be paid")?;
    let driver = Way::Driver { payer, seller: Arc::clone(&seller) };
    let rest = Way::Rest { payer: Bare::of(&pair.buyer)?, seller: Bare::of(&pair.seller)? };
    let mut rows = measure("lnd", &[driver, rest], &*seller, [payments, invoices]).await?;
    if let Some(program) = std::env::var_os("TOLLWAY_PROGRAM") {
        rows.extend(gateway::bills(&program, &pair.seller, invoices, &WIDTHS).await?);
    }
    Ok(rows)
}

/// A node's REST port and nothing more.
#[derive(Clone)]
struct Bare {
    http: reqwest::Client,
    at: String,
    macaroon: String,
}

impl Bare {
    fn of(lnd: &Lnd) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().danger_accept_invalid_certs(true).build()?;
        let macaroon = std::fs::read(lnd.macaroon("admin"))?;
        let macaroon = hex::DisplayHex::to_lower_hex_string(&macaroon[..]);
        Ok(Self { http, at: format!("https://127.0.0.1:{}", lnd.rest_port), macaroon })
    }

    async fn post(&self, path: &str, body: Value) -> Result<(), Failure> {
        let request = self.http.post(format!("{}{path}", self.at));
        let request = request.header("grpc-metadata-macaroon", &self.macaroon);
        let answer = request.body(body.to_string()).send().await?.error_for_status()?;
        let text = answer.text().await?;
        if text.contains("\"FAILED\"") { Err(text.into()) } else { Ok(()) }
    }
}
