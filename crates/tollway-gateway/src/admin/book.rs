//! What was asked for and what was paid: lists, one by its payment hash, and sums.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::response::{IntoResponse, Response};
use l402::Msat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Office;
use super::answer::Refused;
use super::pages::{self, Format, Leaf, Listing, Page, State};
use super::{day, export};
use crate::store::{Bill, Span, Total, Which};

/// One bill, and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Entry {
    /// The payment that was asked for, in hexadecimal.
    payment_hash: String,
    /// The token that was offered for it; none for a payment that is good for one request.
    token_id: Option<String>,
    /// What it was for.
    service: String,
    /// What it asked, in millisatoshi; none when its bill was not written down.
    price_msat: Option<u64>,
    /// `unpaid`, `paid` or `expired`.
    state: &'static str,
    /// When it was asked for.
    issued: String,
    /// Until when it can be paid.
    expires: Option<String>,
    /// When its payment was first seen.
    paid: Option<String>,
}

/// A page of bills.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Entries {
    /// The latest first.
    bills: Vec<Entry>,
    /// The `cursor` of the next page; none on the last. A page may be shorter than its limit and still
    /// have a next.
    next: Option<String>,
}

/// Which sums are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sums {
    /// From this day or time on (UTC).
    from: Option<String>,
    /// Until the end of this day, or before this time.
    to: Option<String>,
    /// Only this service.
    service: Option<String>,
    /// `json`, or `csv` with one line for each day and service.
    format: Option<Format>,
}

/// A sum.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct Sum {
    /// How many bills were written.
    challenges: u64,
    /// How many payments were first seen.
    payments: u64,
    /// How many of these are not in the revenue, because their bill was not written down.
    unpriced: u64,
    /// What was paid, in millisatoshi.
    revenue_msat: u64,
}

/// Sums in every way.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AllSums {
    /// Of everything.
    total: Sum,
    /// Of each service, by its name.
    by_service: BTreeMap<String, Sum>,
    /// Of each day of UTC on which there was anything, by its date.
    by_day: BTreeMap<String, Sum>,
    /// Of each service on each day.
    rows: Vec<Row>,
}

/// A sum of one service on one day.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Row {
    /// Which day of UTC.
    day: String,
    /// Which service.
    service: String,
    /// What there was.
    #[serde(flatten)]
    sum: Sum,
}

impl Entry {
    pub(super) fn of(bill: &Bill, now: SystemTime) -> Self {
        Self {
            payment_hash: bill.hash.to_string(),
            token_id: bill.token.map(|token| token.to_string()),
            service: bill.service.clone(),
            price_msat: bill.price.map(|price| price.msat()),
            state: State::of(bill, now).name(),
            issued: day::time(bill.issued),
            expires: bill.expires.map(day::time),
            paid: bill.settled.map(day::time),
        }
    }

    /// As a line of a spreadsheet; the columns are [`COLUMNS`].
    fn cells(&self) -> [String; 8] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        [
            self.payment_hash.clone(),
            text(&self.token_id),
            self.service.clone(),
            self.price_msat.map(|msat| msat.to_string()).unwrap_or_default(),
            self.state.to_owned(),
            self.issued.clone(),
            text(&self.expires),
            text(&self.paid),
        ]
    }
}

const COLUMNS: [&str; 8] =
    ["payment_hash", "token_id", "service", "price_msat", "state", "issued", "expires", "paid"];

/// What a query says, or why it says nothing.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(super) fn read<T>(asked: Asked<T>) -> Result<T, Refused> {
    asked.map(|Query(asked)| asked).map_err(|why| Refused::Request(why.body_text()))
}

/// `GET /v1/challenges`.
pub(super) async fn challenges(
    Extract(office): Extract<Arc<Office>>,
    asked: Asked<Listing>,
) -> Result<Response, Refused> {
    list(office, read(asked)?, None).await
}

/// `GET /v1/payments`.
pub(super) async fn payments(
    Extract(office): Extract<Arc<Office>>,
    asked: Asked<Listing>,
) -> Result<Response, Refused> {
    list(office, read(asked)?, Some(State::Paid)).await
}

async fn list(
    office: Arc<Office>,
    listing: Listing,
    state: Option<State>,
) -> Result<Response, Refused> {
    let format = listing.format();
    let mut leaf = listing.leaf(state, false)?;
    pages::settle(&office).await;
    let now = SystemTime::now();
    let page = leaf.turn(&office, now).await?;
    match format {
        Format::Json => {
            let bills = page.bills.iter().map(|bill| Entry::of(bill, now)).collect();
            let next = page.next.map(pages::cursor_text);
            Ok(Json(Entries { bills, next }).into_response())
        }
        Format::Csv => Ok(table(office, leaf, page, now)),
    }
}

/// Everything that is left to be leafed through, as it is read.
fn table(office: Arc<Office>, mut leaf: Leaf, mut page: Page, now: SystemTime) -> Response {
    export::stream(&COLUMNS, move |rows| async move {
        loop {
            let cells = page.bills.iter().map(|bill| Entry::of(bill, now).cells());
            if !rows.send(cells.map(Vec::from).collect()).await || page.next.is_none() {
                return Ok(());
            }
            page = leaf.turn(&office, now).await?;
        }
    })
}

/// `GET /v1/challenges/{hash}`.
pub(super) async fn challenge(
    Extract(office): Extract<Arc<Office>>,
    Path(hash): Path<String>,
) -> Result<Json<Entry>, Refused> {
    let not_found = || Refused::NotFound { what: "bill of the payment", name: Some(hash.clone()) };
    let which = Which::Payment(hash.parse().map_err(|_| not_found())?);
    pages::settle(&office).await;
    let bill = pages::within(&office, office.gateway.store().bill(which)).await?;
    Ok(Json(Entry::of(&bill.ok_or_else(not_found)?, SystemTime::now())))
}

/// `GET /v1/totals`.
pub(super) async fn totals(
    Extract(office): Extract<Arc<Office>>,
    asked: Asked<Sums>,
) -> Result<Response, Refused> {
    let Sums { from, to, service, format } = read(asked)?;
    let (from, to) = pages::span(from.as_deref(), to.as_deref())?;
    pages::settle(&office).await;
    let span = Span { from, to, service };
    let totals = pages::within(&office, office.gateway.store().totals(&span)).await?;
    let all = add_up(&totals)?;
    Ok(match format.unwrap_or_default() {
        Format::Json => Json(all).into_response(),
        Format::Csv => {
            let columns = ["day", "service", "challenges", "payments", "unpriced", "revenue_msat"];
            let lines = all.rows.into_iter().map(|Row { day, service, sum }| {
                let numbers = [sum.challenges, sum.payments, sum.unpriced, sum.revenue_msat];
                [day, service].into_iter().chain(numbers.map(|n| n.to_string())).collect()
            });
            let lines: Vec<Vec<String>> = lines.collect();
            export::stream(&columns, move |rows| async move {
                rows.send(lines).await;
                Ok(())
            })
        }
    })
}

fn add_up(totals: &[Total]) -> Result<AllSums, Refused> {
    let (mut total, mut rows) = (Sum::default(), Vec::new());
    let (mut by_service, mut by_day) = (BTreeMap::new(), BTreeMap::new());
    for one in totals {
        let day = day::day(one.day);
        let sum = Sum {
            challenges: one.challenges,
            payments: one.payments,
            unpriced: one.unpriced,
            revenue_msat: one.revenue.msat(),
        };
        let service: &mut Sum = by_service.entry(one.service.clone()).or_default();
        let of_day: &mut Sum = by_day.entry(day.clone()).or_default();
        for into in [&mut total, service, of_day] {
            into.add(&sum)?;
        }
        rows.push(Row { day, service: one.service.clone(), sum });
    }
    Ok(AllSums { total, by_service, by_day, rows })
}

impl Sum {
    fn add(&mut self, other: &Self) -> Result<(), Refused> {
        self.challenges += other.challenges;
        self.payments += other.payments;
        self.unpriced += other.unpriced;
        let (here, there) =
            (Msat::from_msat(self.revenue_msat), Msat::from_msat(other.revenue_msat));
        let sum = here.checked_add(there).ok_or_else(|| {
            Refused::Request("the sum is more than can be counted; ask for fewer days".to_owned())
        })?;
        self.revenue_msat = sum.msat();
        Ok(())
    }
}
