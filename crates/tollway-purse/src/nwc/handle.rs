//! A request, from its arrival to its answer.

use std::sync::Arc;
use std::time::Duration;

use l402::operator::About;
use l402::{Invoice, Invoicer, Msat, Outcome};
use nostr::event::{Event, Tag};
use serde_json::{Value, json};

use super::book::now;
use super::ledger::{Asked, Payment, State};
use super::pay::{Asker, book_failed};
use super::seal::{Seal, SealError};
use super::service::Wallet;
use super::wire::{
    self, ListTransactions, LookupInvoice, MakeInvoice, No, PAY, Request, Transaction,
};

/// How old, or how far in the future, a request may be to be taken. Whoever sent an older one has
/// given up.
pub(crate) const MOST_AGE: Duration = Duration::from_secs(120);
/// How long an invoice can be paid unless asked, in seconds.
const EXPIRY: u64 = 3_600;
/// How long after its end an invoice's fate is still asked about.
const LATE: u64 = 3_600;
/// How many rows are listed unless asked, and at the most.
const ROWS: usize = 20;
const MOST_ROWS: usize = 100;

impl Wallet {
    /// Takes a request, if it is one that is to be taken. What is not ours, too old or known gets no
    /// answer.
    pub(crate) async fn take(self: Arc<Self>, event: Event) {
        let Some(connection) = self.connection_of(&event) else { return };
        if !is_timely(&event) || event.verify().is_err() || !self.known.is_new(event.id) {
            return;
        }
        let room = self.room(&connection);
        let (request, name) = (event.id, connection.name.clone());
        let seal = Seal::of(&event);
        let asker = Asker { connection, request, seal: *seal.as_ref().unwrap_or(&Seal::Nip44) };
        let text = match seal.and_then(|seal| seal.open(&asker.connection.keys, &event)) {
            Ok(text) => text,
            Err(error @ SealError::Unknown) => {
                return self.answer(&asker, "", Err(No::Encryption(error.to_string())));
            }
            Err(error) => {
                tracing::warn!(connection = name, %error, "a request cannot be read");
                return;
            }
        };
        let Ok(Request { method, params }) = serde_json::from_str(&text) else {
            return self.answer(&asker, "", Err(No::Other("the request is no JSON".to_owned())));
        };
        if room.is_none() {
            return self.answer(&asker, &method, Err(No::RateLimited));
        }
        tracing::debug!(connection = name, method, "asked");
        if method == PAY {
            if let Some(answer) = self.pay(asker.clone(), params).await {
                self.answer(&asker, PAY, answer);
            }
            return;
        }
        let answer = self.carry_out_reading(&asker, &method, params).await;
        self.answer(&asker, &method, answer);
    }

    /// Everything but paying.
    async fn carry_out_reading(
        &self,
        asker: &Asker,
        method: &str,
        params: Value,
    ) -> Result<Value, No> {
        match method {
            "get_info" => Ok(self.get_info(asker).await),
            "get_balance" => self.get_balance(asker).await,
            "get_budget" => self.get_budget(asker).await,
            "make_invoice" => self.make_invoice(asker, wire::read(params)?).await,
            "lookup_invoice" => self.lookup_invoice(asker, &wire::read(params)?).await,
            "list_transactions" => self.list_transactions(asker, &wire::read(params)?).await,
            other => Err(No::NotImplemented(other.to_owned())),
        }
    }

    /// Seals an answer and sends it.
    pub(crate) fn answer(&self, asker: &Asker, method: &str, result: Result<Value, No>) {
        let Asker { connection, request, seal } = asker;
        let text = wire::answer(method, result);
        match seal.answer(&connection.keys, connection.client, *request, &text) {
            Ok(answer) => self.send(connection, &answer),
            Err(error) => tracing::error!(%error, "an answer cannot be sealed"),
        }
    }

    async fn get_info(&self, asker: &Asker) -> Value {
        let about = match &self.node.operator {
            Some(operator) => operator.about().await.unwrap_or_default(),
            None => About::default(),
        };
        json!({
            "alias": about.alias.unwrap_or_default(),
            "color": "",
            "pubkey": about.id.map(|id| id.to_string()).unwrap_or_default(),
            "network": self.network,
            "block_height": about.height.unwrap_or_default(),
            "block_hash": "",
            "methods": asker.connection.methods(),
            "notifications": [],
        })
    }

    /// What is left of the budget; what the node has, where that is less or there is no budget.
    async fn get_balance(&self, asker: &Asker) -> Result<Value, No> {
        let left = match asker.connection.budget {
            None => None,
            Some(budget) => {
                let used = self.book.used(&asker.connection).await.map_err(book_failed)?;
                Some(budget.amount.checked_sub(used).unwrap_or(Msat::ZERO))
            }
        };
        let has = match &self.node.operator {
            Some(operator) => operator.balance().await.ok().and_then(|balance| balance.outbound),
            None => None,
        };
        match (left, has) {
            (Some(left), Some(has)) => Ok(json!({ "balance": left.min(has) })),
            (Some(known), None) | (None, Some(known)) => Ok(json!({ "balance": known })),
            (None, None) => Err(No::Internal("the wallet's node does not say it".to_owned())),
        }
    }

    async fn get_budget(&self, asker: &Asker) -> Result<Value, No> {
        let Some(budget) = asker.connection.budget else { return Ok(json!({})) };
        let used = self.book.used(&asker.connection).await.map_err(book_failed)?;
        let mut answer = json!({
            "used_budget": used,
            "total_budget": budget.amount,
            "renewal_period": budget.period.word(),
        });
        if let (_, Some(next)) = budget.period.bounds(now()) {
            answer["renews_at"] = next.into();
        }
        Ok(answer)
    }

    async fn make_invoice(&self, asker: &Asker, asked: MakeInvoice) -> Result<Value, No> {
        let invoicer = self.invoicer()?;
        let expiry = asked.expiry.filter(|expiry| *expiry > 0).unwrap_or(EXPIRY);
        let expiry = Duration::from_secs(expiry);
        let memo = asked.description.unwrap_or_default();
        let made = invoicer.invoice(Msat::from_msat(asked.amount), &memo, expiry).await;
        let invoice = made.map_err(|error| Self::node_failed(&error))?;
        let id = asker.connection.id;
        self.book.insert_invoice(id, &invoice, &memo).await.map_err(book_failed)?;
        let row = self.book.invoice(id, invoice.payment_hash()).await.map_err(book_failed)?;
        Ok(json!(incoming(row.ok_or(No::NotFound)?)))
    }

    async fn lookup_invoice(&self, asker: &Asker, which: &LookupInvoice) -> Result<Value, No> {
        let hash = match (which.payment_hash, &which.invoice) {
            (Some(hash), _) => hash,
            (None, Some(text)) => {
                let invoice = Invoice::parse(text).map_err(|error| No::Other(error.to_string()))?;
                invoice.payment_hash()
            }
            (None, None) => return Err(No::Other("name a payment_hash or an invoice".to_owned())),
        };
        let id = asker.connection.id;
        if let Some(payment) = self.book.payment(id, hash).await.map_err(book_failed)? {
            let preimage = self.preimage(&payment).await;
            return Ok(json!(outgoing(payment, preimage)));
        }
        let asked = self.book.invoice(id, hash).await.map_err(book_failed)?;
        Ok(json!(incoming(self.seen(asked.ok_or(No::NotFound)?).await?)))
    }

    async fn list_transactions(
        &self,
        asker: &Asker,
        which: &ListTransactions,
    ) -> Result<Value, No> {
        let id = asker.connection.id;
        let mut rows = Vec::new();
        if which.r#type.as_deref() != Some("incoming") {
            for payment in self.book.payments_of(id).await.map_err(book_failed)? {
                rows.push(outgoing(payment, None));
            }
        }
        if which.r#type.as_deref() != Some("outgoing") {
            for asked in self.book.invoices_of(id).await.map_err(book_failed)? {
                rows.push(incoming(self.seen(asked).await?));
            }
        }
        let (from, until) = (which.from.unwrap_or(0), which.until.unwrap_or(u64::MAX));
        let all = which.unpaid.unwrap_or(false);
        rows.retain(|row| {
            (from..=until).contains(&row.created_at) && (all || row.state == "settled")
        });
        rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
        let most = which.limit.unwrap_or(ROWS).min(MOST_ROWS);
        let page: Vec<_> = rows.into_iter().skip(which.offset.unwrap_or(0)).take(most).collect();
        Ok(json!({ "transactions": page }))
    }

    /// An invoice with what the node knows of it now.
    async fn seen(&self, asked: Asked) -> Result<Asked, No> {
        if asked.settled.is_some() || asked.expires.saturating_add(LATE) < now() {
            return Ok(asked);
        }
        let settled = self.invoicer()?.is_settled(asked.hash).await;
        if !settled.map_err(|error| Self::node_failed(&error))? {
            return Ok(asked);
        }
        let at = self.book.invoice_settled(asked.hash).await.map_err(book_failed)?;
        Ok(Asked { settled: Some(at), ..asked })
    }

    async fn preimage(&self, payment: &Payment) -> Option<String> {
        let payer = self.node.payer.as_ref().filter(|_| payment.state == State::Paid)?;
        match payer.outcome(payment.hash).await {
            Ok(Outcome::Paid(paid)) => Some(paid.preimage.expose_hex()),
            _ => None,
        }
    }

    fn invoicer(&self) -> Result<&dyn Invoicer, No> {
        self.node.invoicer.as_deref().ok_or(No::Restricted)
    }
}

/// Whether a request came in its time.
fn is_timely(event: &Event) -> bool {
    let (now, most) = (now(), MOST_AGE.as_secs());
    let expired = |tag: &Tag| match tag.as_slice() {
        [name, at, ..] if name == "expiration" => at.parse::<u64>().is_ok_and(|at| at <= now),
        _ => false,
    };
    now.abs_diff(event.created_at.as_secs()) <= most && !event.tags.iter().any(expired)
}

fn outgoing(payment: Payment, preimage: Option<String>) -> Transaction {
    let state = match payment.state {
        State::Held => "pending",
        State::Paid => "settled",
        State::NotPaid => "failed",
    };
    let description = Invoice::parse(&payment.invoice).ok().and_then(|it| it.description());
    Transaction {
        r#type: "outgoing",
        state,
        invoice: payment.invoice,
        description,
        preimage,
        payment_hash: payment.hash,
        amount: payment.amount.msat(),
        fees_paid: payment.fee.map_or(0, Msat::msat),
        created_at: payment.created,
        expires_at: None,
        settled_at: payment.ended.filter(|_| payment.state == State::Paid),
    }
}

fn incoming(asked: Asked) -> Transaction {
    let state = match asked.settled {
        Some(_) => "settled",
        None if asked.expires < now() => "expired",
        None => "pending",
    };
    Transaction {
        r#type: "incoming",
        state,
        invoice: asked.invoice,
        description: Some(asked.memo),
        preimage: None,
        payment_hash: asked.hash,
        amount: asked.amount.msat(),
        fees_paid: 0,
        created_at: asked.created,
        expires_at: Some(asked.expires),
        settled_at: asked.settled,
    }
}
