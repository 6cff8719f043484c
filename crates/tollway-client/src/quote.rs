//! What a request would cost, found out by doing everything up to the payment: nothing is set aside,
//! begun or paid.

use std::time::SystemTime;

use l402::{Challenge, Msat, Network, NodeId, PaymentHash, flow};

use crate::ask::{Asked, Call};
use crate::error::Error;
use crate::held::Held;
use crate::response::Response;
use crate::wallet::{Reserve, Turn};

/// What a request leads to.
#[derive(Debug)]
pub enum Quote {
    /// It was answered: nothing is asked for it, or a token in the wallet opens it.
    Answered(Box<Response>),
    /// It would be paid for.
    Price(Box<Price>),
}

/// What would be paid. The server's offer stands until its invoice expires; asking again brings
/// another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What the invoice asks for, in millisatoshi.
    pub amount: Msat,
    /// The most that routing may cost on top, by the terms, in millisatoshi.
    pub max_fee: Msat,
    /// Which payment it would be.
    pub hash: PaymentHash,
    /// Who would be paid.
    pub payee: NodeId,
    /// On which network.
    pub network: Network,
    /// What the seller says it is for. Hostile text: escape it before a terminal sees it.
    pub description: Option<String>,
    /// The scheme in which it is asked for.
    pub scheme: &'static str,
    /// From when on the invoice can no longer be paid; `None` when that is beyond all clocks.
    pub expires_at: Option<SystemTime>,
    /// Whether the token shows that it is for this invoice.
    pub bound: bool,
    /// Whether somebody must agree to it first, by the policy.
    pub must_ask: bool,
    /// A payment for the same thing that was begun earlier and whose end is not known: the node
    /// would be asked about it first, and perhaps nothing more would be paid.
    pub earlier: Option<PaymentHash>,
}

/// Sends the request with what was paid for it, and pays nothing. Whoever bought it is us, or is gone:
/// nobody else buys from there meanwhile.
pub(crate) async fn collect(call: Call<'_>) -> Result<Quote, Error> {
    let turn = call.turn().await?;
    quote(call, Some(&turn)).await
}

/// Sends the request, and says what would be paid for it.
pub(crate) async fn quote(mut call: Call<'_>, turn: Option<&Turn>) -> Result<Quote, Error> {
    let offers = match call.ask(turn).await? {
        Asked::Answered(response) => return Ok(Quote::Answered(Box::new(call.done(*response)))),
        Asked::Wants(offers) => offers,
        Asked::Nothing => unreachable!("without a token, the bare request is sent"),
    };
    call.may_pay_here()?;
    // The node is not opened for a quote. Where it is not open, its network is taken to be that of
    // the offers.
    let node = call.shared.open_payer().map(|payer| payer.network());
    let offered = offers.challenges.first().map(|challenge| challenge.invoice.network());
    let terms = call.terms().on(node.or(offered).unwrap_or(Network::Mainnet));
    let challenge = call.choose(&terms, offers)?;
    match call.ask_again(&challenge, turn).await? {
        Asked::Answered(response) => return Ok(Quote::Answered(Box::new(call.done(*response)))),
        Asked::Wants(_) | Asked::Nothing => call.may_pay_again()?,
    }
    let begun = call.shared.wallet.pending(Some(&call.request.origin)).await?;
    let wanted = call.wanted(Some(&challenge));
    let earlier = begun.iter().find(|purchase| wanted.is_bought_by(purchase));
    let price = call.price(&terms, &challenge, earlier.map(|purchase| purchase.hash()));
    let held = Held::new(call.shared, terms, challenge)?;
    let (host, asked) = (call.request.origin.host(), held.amount());
    held.abandon();
    let reserve = Reserve { asked, limits: &call.shared.policy.limits };
    call.shared.wallet.has_room(host, reserve, SystemTime::now()).await?;
    Ok(Quote::Price(Box::new(price)))
}

impl Call<'_> {
    /// What it comes to to take an offer.
    pub(crate) fn price(
        &self,
        terms: &flow::Terms,
        challenge: &Challenge,
        earlier: Option<PaymentHash>,
    ) -> Price {
        let invoice = &challenge.invoice;
        Price {
            amount: invoice.amount(),
            max_fee: terms.max_fee,
            hash: invoice.payment_hash(),
            payee: invoice.payee(),
            network: invoice.network(),
            description: invoice.description(),
            scheme: challenge.scheme.name(),
            expires_at: invoice.expires_at(),
            bound: challenge.bound,
            must_ask: self.shared.policy.asks(invoice.amount()).is_some(),
            earlier,
        }
    }
}
