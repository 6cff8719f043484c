//! `lnd://host:port?cert=file:/…&macaroon=file:/…`: a node of Lightning Labs' lnd, by its REST port.
//!
//! REST and not gRPC: lnd answers the same calls under the same permissions on both, with the same
//! error codes; REST needs no protobuf and no generated code, and one small HTTP client serves this
//! driver and the others.
//!
//! What this file decides is what may be done with a macaroon and whether the node is ready. How a
//! payment ends is [`node`]'s and [`crate::remote`]'s.

mod books;
mod fault;
mod macaroon;
mod news;
mod node;
mod owner;
mod rest;
mod setup;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::{Driver, Network, Node, NodeError, NodeErrorKind, NodeUrl, OpenError, Operator};
use tokio::time::{Instant, sleep};

use crate::address::{self, bad};
use crate::remote::{Invoicing, News, Paying};

use fault::Trouble;
use macaroon::{Allowed, BUYER, SELLER};
use node::Lnd;
use owner::Owner;
use rest::Rest;
pub use setup::{LndPart, LndSetup, LndState, Seed};

const NAME: &str = "lnd";
const EXAMPLE: &str =
    "lnd://127.0.0.1:8080?cert=file:/home/me/.lnd/tls.cert&macaroon=file:/home/me/buyer.macaroon";
/// The port that lnd's `restlisten` has unless told.
const PORT: u16 = 8080;
const KNOWN: &str = "an lnd URL takes cert, macaroon, network and private";
/// How long a node may catch up with the chain before we say that it has not. Every new block leaves
/// it behind for a moment.
const CATCH_UP: Duration = Duration::from_secs(3);

/// The driver of `lnd:` URLs.
///
/// | parameter | meaning |
/// |---|---|
/// | `macaroon` | `file:/path` of a macaroon, binary or hexadecimal. Read again when it changes |
/// | `cert` | `file:/path` of the node's certificate, or of the authority that signed it. Read again when it changes. Without it, the public authorities are trusted |
/// | `network` | the network that the node must be on. Refused when it is on another |
/// | `private` | `yes` puts the node's private channels into its invoices |
#[derive(Clone, Copy, Debug)]
pub struct LndDriver;

/// What a URL says.
#[derive(Debug)]
struct Settings {
    rest: Arc<Rest>,
    network: Option<Network>,
    private: bool,
}

#[async_trait]
impl Driver for LndDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["lnd"]
    }

    fn example(&self) -> &'static str {
        EXAMPLE
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let Settings { rest, network: expected, private } = settings(url)?;
        let allowed = rest.allowed()?;
        rest.ready().await?;
        let (pays, is_paid) = (allowed.lacks(&BUYER), allowed.lacks(&SELLER));
        if let (Some(buyer), Some(seller)) = (&pays, &is_paid) {
            let lacking = Trouble::Useless { buyer: buyer.clone(), seller: seller.clone() };
            return Err(fault::error(NodeErrorKind::Unauthorized, lacking).into());
        }
        let network = network(&rest, expected, &allowed).await?;
        if let Some(expected) = expected
            && network != expected
        {
            let problem = format!("is {expected}, and the node is on {network}");
            return Err(bad(NAME, "network", problem));
        }
        allowed.warn_if_too_wide();
        let operator = Arc::new(Owner::new(Arc::clone(&rest)));
        let news = allowed.may_subscribe().then(|| News::of(Arc::clone(&rest)));
        let lnd = Arc::new(Lnd { rest, network, private, news });
        Ok(Node {
            payer: pays.is_none().then(|| Arc::new(Paying::new(Arc::clone(&lnd))) as _),
            invoicer: is_paid.is_none().then(|| Arc::new(Invoicing(lnd)) as _),
            operator: Some(operator),
        })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        let Settings { rest, .. } = settings(url)?;
        rest.allowed()?;
        Ok(Arc::new(Owner::new(rest)))
    }
}

fn settings(url: &NodeUrl) -> Result<Settings, OpenError> {
    let (web, mut parameters) = address::server(NAME, url, EXAMPLE, true, PORT)?;
    let macaroon = parameters.take_secret("macaroon")?;
    let network = match parameters.take("network") {
        None => None,
        Some(name) => Some(name.parse().map_err(|error| bad(NAME, "network", format!("{error}")))?),
    };
    let private = parameters.take_yes_or_no("private")?;
    parameters.finish(KNOWN)?;
    let Some(macaroon) = macaroon else {
        let remedy = format!("is missing: `{}`, then macaroon=file:/path/to/it", BUYER.command());
        return Err(bad(NAME, "macaroon", remedy));
    };
    let rest = Arc::new(Rest::new(web, macaroon));
    Ok(Settings { rest, network, private })
}

/// The network the node is on, once it has caught up with the chain. lnd's own `invoice.macaroon`
/// may not ask; an invoice says it too.
async fn network(
    rest: &Rest,
    expected: Option<Network>,
    allowed: &Allowed,
) -> Result<Network, OpenError> {
    if !allowed.may_ask_for_info() {
        return match expected {
            Some(network) => Ok(network),
            None => Ok(rest.network_of_an_invoice().await?),
        };
    }
    let deadline = Instant::now() + CATCH_UP;
    loop {
        let info = rest.info().await?;
        if info.synced_to_chain {
            return Ok(info.network()?);
        }
        if Instant::now() >= deadline {
            let syncing = Trouble::Syncing { height: info.block_height };
            return Err(fault::error(NodeErrorKind::Unreachable, syncing).into());
        }
        sleep(Duration::from_millis(200)).await;
    }
}

impl From<fault::Fault> for OpenError {
    fn from(fault: fault::Fault) -> Self {
        NodeError::from(fault).into()
    }
}
