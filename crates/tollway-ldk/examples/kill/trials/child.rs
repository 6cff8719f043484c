//! One node in a process of its own, which the parent may kill at any moment.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use l402::{Invoice, Invoicer, Msat, NodeUrl, Outcome, PayError, PayOrder, Payer, Sat};
use tokio::sync::mpsc;
use tollway_ldk::{EmbeddedNode, Ldk};
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::words::{Answer, Ask, ChannelState, End, Question, Reply, State};

/// Names the variable that makes a process such a node: it holds the node's URL.
pub(crate) const VARIABLE: &str = "TOLLWAY_KILL_CHILD";

/// Longer than anything takes that ends well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the node until its standard input ends.
pub(crate) fn run(url: &str) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&NodeUrl::new(url)))
}

async fn serve(url: &NodeUrl) -> Result<(), Failure> {
    let node = Arc::new(Ldk::open_node(url).await?);
    let address = node.address().ok_or("the node's URL does not say where it listens")?;
    let ready = Answer::Ready { node: node.node_id().to_string(), address: address.to_string() };
    // A test harness may have begun a line.
    println!();
    say(0, ready)?;
    let mut questions = questions();
    while let Some(Question { id, ask }) = questions.recv().await {
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            let answer = answer(&node, ask).await;
            let answer = answer.unwrap_or_else(|error| Answer::Failed(shown(&*error)));
            say(id, answer)
        });
    }
    node.stop().await;
    Ok(())
}

fn say(id: u64, answer: Answer) -> Result<(), Failure> {
    let mut line = serde_json::to_string(&Reply { id, answer })?;
    line.push('\n');
    Ok(std::io::stdout().lock().write_all(line.as_bytes())?)
}

/// Reads standard input in a thread of its own: the runtime has no part for it.
fn questions() -> mpsc::UnboundedReceiver<Question> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let question = serde_json::from_str(&line).expect("the parent asks in this language");
            if sender.send(question).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn answer(node: &EmbeddedNode, ask: Ask) -> Result<Answer, Failure> {
    Ok(match ask {
        Ask::Address => Answer::Text(node.new_onchain_address()?.to_string()),
        Ask::Connect { peer, address } => {
            node.connect(peer.parse()?, &address, PATIENCE).await?;
            Answer::Done
        }
        Ask::Open { peer, sat, push_msat } => {
            let (amount, push) = (Sat::from_sat(sat), Msat::from_msat(push_msat));
            node.open_channel(peer.parse()?, amount, push)?;
            Answer::Done
        }
        Ask::Invoice { msat } => {
            let expiry = Duration::from_secs(3600);
            let invoice = node.invoice(Msat::from_msat(msat), "kill", expiry).await?;
            Answer::Text(invoice.to_string())
        }
        Ask::Pay { invoice, max_fee_msat } => {
            let invoice: Invoice = invoice.parse()?;
            let max_fee = Msat::from_msat(max_fee_msat);
            let order = PayOrder { invoice: &invoice, max_fee, patience: PATIENCE };
            Answer::Ended(match node.pay(order).await {
                Ok(paid) => Outcome::Paid(paid).into(),
                Err(PayError::NotPaid { why, .. }) => {
                    tracing::info!(hash = %invoice.payment_hash(), %why, "not paid");
                    Outcome::NotPaid.into()
                }
                Err(error @ PayError::Unknown { .. }) => return Err(error.into()),
            })
        }
        Ask::Outcome { hash } => Answer::Ended(node.outcome(hash.parse()?).await?.into()),
        Ask::Settled { hash } => Answer::Settled(node.is_settled(hash.parse()?).await?),
        Ask::State => Answer::State(state(node)?),
    })
}

fn state(node: &EmbeddedNode) -> Result<State, Failure> {
    let channels = node.channels().into_iter().map(|channel| ChannelState {
        id: channel.id,
        usable: channel.usable && channel.introduced,
        outbound_msat: channel.outbound.msat(),
    });
    let (count, amount) = node.received()?;
    Ok(State {
        height: node.height(),
        onchain_sat: node.balance().onchain.confirmed.sat(),
        channels: channels.collect(),
        received: (count, amount.msat()),
    })
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pending => Self::Pending,
            Outcome::NotPaid => Self::NotPaid,
            Outcome::Paid(paid) => {
                Self::Paid { preimage: paid.preimage.expose_hex(), fee_msat: paid.fee.msat() }
            }
        }
    }
}

fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
