//! What the user's own policy and budgets say to an invoice that is paid by itself: the same file and
//! the same rules as for `tollway get`, and the same wallet counts it.

use std::sync::Arc;
use std::time::SystemTime;

use l402::flow::FlowError;
use l402::{Invoice, Msat, PaymentHash};
use tollway_client::{Denied, Error, Origin, Reserve, SqliteWallet, Terms, WalletError};

use crate::failure::Failure;
use crate::node::NodeFailure;
use crate::pay::WalletFlags;
use crate::settings::Settings;
use crate::shell::Shell;
use crate::terminal::{self, STRONG, escape, paint, somebody_sits_there};

/// What the command line agrees to. It narrows the policy and never widens it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) max_cost: Option<Msat>,
    pub(crate) max_fee: Option<Msat>,
    /// To whatever would be asked.
    pub(crate) yes: bool,
}

/// A payment that is allowed, and for which what it may cost is set aside. One that is dropped stays
/// set aside, as one whose end nobody knows.
#[must_use]
pub(crate) struct Allowed {
    wallet: Arc<SqliteWallet>,
    hash: PaymentHash,
    amount: Msat,
    /// The most that routing may cost.
    pub(crate) max_fee: Msat,
}

/// Looks at every rule, asks whoever is to be asked, and sets aside what it may cost.
pub(crate) async fn allow(
    invoice: &Invoice,
    agreed: Agreed,
    wallet: &WalletFlags,
    shell: &Shell,
) -> Result<Allowed, Failure> {
    let policy = Settings::load(shell)?.policy;
    let (amount, hash) = (invoice.amount(), invoice.payment_hash());
    let most = [agreed.max_cost, policy.max_cost].into_iter().flatten().min();
    if let Some(limit) = most.filter(|limit| amount > *limit) {
        return Err(NodeFailure::OverLimit { amount, limit }.into());
    }
    let usual = policy.max_fee.unwrap_or(Terms::up_to(amount).max_fee);
    let asked_for = agreed.max_fee.unwrap_or(usual);
    let max_fee = policy.max_fee.map_or(asked_for, |limit| limit.min(asked_for));
    let not_taken = |reason| Error::Terms(FlowError::NoOffer(vec![("invoice", reason)]));
    policy.may_pay_invoice(invoice).map_err(|reason| fetch(not_taken(reason)))?;
    policy.may_pay(&Origin::of_payee(invoice.payee())).map_err(|denied| fetch(denied.into()))?;
    if let Some(above) = policy.ask_above.filter(|above| amount > *above && !agreed.yes) {
        agree(invoice, max_fee, above).await.map_err(|denied| fetch(denied.into()))?;
    }
    let wallet = wallet.open(shell).await?;
    let asked = amount.checked_add(max_fee).unwrap_or(Msat::SUPPLY);
    let reserve = Reserve { asked, limits: &policy.limits };
    wallet.set_aside(invoice, reserve, SystemTime::now()).await.map_err(over)?;
    Ok(Allowed { wallet, hash, amount, max_fee })
}

impl Allowed {
    /// It was paid; that is written down in place of what was set aside.
    pub(crate) async fn paid(self, fee: Msat) {
        let cost = self.amount.checked_add(fee).unwrap_or(Msat::SUPPLY);
        // What cannot be written down stays set aside: too much is counted, and never too little.
        if let Err(error) = self.wallet.spent(self.hash, cost, SystemTime::now()).await {
            tracing::warn!(%error, "what was spent is not written down in the wallet");
        }
    }

    /// It was not paid, for certain.
    pub(crate) async fn not_paid(self) {
        if let Err(error) = self.wallet.give_back(self.hash).await {
            tracing::warn!(%error, "what was set aside stays so in the wallet");
        }
    }
}

async fn agree(invoice: &Invoice, max_fee: Msat, above: Msat) -> Result<(), Denied> {
    let amount = invoice.amount();
    if !somebody_sits_there() {
        return Err(Denied::NobodyToAsk { amount, above });
    }
    let what = invoice.description().map(|what| format!(" for “{}”", escape(&what)));
    let question = format!(
        "{} to {} and up to {max_fee} for routing{}. Pay?",
        paint(STRONG, amount),
        invoice.payee(),
        what.unwrap_or_default(),
    );
    let agreed = terminal::agree(question).await;
    agreed.map_err(|reason| Denied::Declined { reason: reason.to_owned() })
}

fn fetch(error: Error) -> Failure {
    Failure::Fetch(Box::new(error))
}

/// A limit that stops it is a matter of the policy, as anywhere else.
fn over(error: WalletError) -> Failure {
    match error {
        WalletError::OverLimit(limit) => fetch(Denied::OverLimit(*limit).into()),
        error => error.into(),
    }
}
