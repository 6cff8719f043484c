//! The tokens that were offered, and their end before their time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hex::FromHex;
use l402::TokenId;
use schemars::JsonSchema;
use serde::Serialize;

use super::Office;
use super::answer::Refused;
use super::book::{self, Asked, Entry};
use super::export;
use super::pages::{self, Format, Listing};
use crate::store::{Bill, Which};

/// A token, as far as the gateway wrote it down.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Token {
    /// Its name, in hexadecimal.
    id: String,
    /// Whether it was revoked.
    revoked: bool,
    /// Whether a master key is held that it was made under; without one it opens nothing.
    key_held: bool,
    /// The bill that it came with; none when that was not written down, or is forgotten.
    bill: Option<Entry>,
}

/// A page of tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Tokens {
    /// The latest first.
    tokens: Vec<Token>,
    /// The `cursor` of the next page; none on the last. A page may be shorter than its limit and still
    /// have a next.
    next: Option<String>,
}

/// All that were revoked.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Revoked {
    /// Their names, in order. Those of administrators' credentials are among them.
    revoked: BTreeSet<String>,
}

impl Token {
    fn of(office: &Office, id: TokenId, bill: Option<&Bill>, now: SystemTime) -> Self {
        let till = office.gateway.till();
        Self {
            id: id.to_string(),
            revoked: till.books.is_revoked(id),
            key_held: till.known.keyring().holds(id.key_id()),
            bill: bill.map(|bill| Entry::of(bill, now)),
        }
    }
}

/// `GET /v1/tokens`.
pub(super) async fn list(
    State(office): State<Arc<Office>>,
    asked: Asked<Listing>,
) -> Result<Response, Refused> {
    let listing = book::read(asked)?;
    let format = listing.format();
    let mut leaf = listing.leaf(None, true)?;
    pages::settle(&office).await;
    let now = SystemTime::now();
    let mut page = leaf.turn(&office, now).await?;
    if format == Format::Csv {
        return Ok(export::stream(&COLUMNS, move |rows| async move {
            loop {
                let lines = page.bills.iter().filter_map(|bill| line(&office, bill, now));
                if !rows.send(lines.collect()).await || page.next.is_none() {
                    return Ok(());
                }
                page = leaf.turn(&office, now).await?;
            }
        }));
    }
    let token = |bill: &Bill| Some(Token::of(&office, bill.token?, Some(bill), now));
    let tokens = page.bills.iter().filter_map(token).collect();
    Ok(Json(Tokens { tokens, next: page.next.map(pages::cursor_text) }).into_response())
}

const COLUMNS: [&str; 8] =
    ["token_id", "revoked", "service", "price_msat", "state", "issued", "paid", "payment_hash"];

fn line(office: &Office, bill: &Bill, now: SystemTime) -> Option<Vec<String>> {
    let Token { id, revoked, .. } = Token::of(office, bill.token?, None, now);
    let time = |at: Option<SystemTime>| at.map(super::day::time).unwrap_or_default();
    Some(vec![
        id,
        revoked.to_string(),
        bill.service.clone(),
        bill.price.map(|price| price.msat().to_string()).unwrap_or_default(),
        pages::State::of(bill, now).name().to_owned(),
        time(Some(bill.issued)),
        time(bill.settled),
        bill.hash.to_string(),
    ])
}

/// `GET /v1/tokens/{id}`.
pub(super) async fn get(
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
) -> Result<Json<Token>, Refused> {
    let token = read(&id)?;
    pages::settle(&office).await;
    let bill = pages::within(&office, office.gateway.store().bill(Which::Token(token))).await?;
    let found = Token::of(&office, token, bill.as_ref(), SystemTime::now());
    // Of one that was only revoked there is that to be said.
    match found.bill.is_some() || found.revoked {
        true => Ok(Json(found)),
        false => Err(Refused::NotFound { what: "token", name: Some(id) }),
    }
}

/// `POST /v1/tokens/{id}/revoke`. One that was never written down can be revoked as well: its name is
/// all that is needed.
pub(super) async fn revoke(
    State(office): State<Arc<Office>>,
    Path(id): Path<String>,
) -> Result<Json<Token>, Refused> {
    let token = read(&id)?;
    pages::within(&office, office.gateway.revoke(token, None)).await?;
    tracing::info!(token = %token, "a token was revoked");
    pages::settle(&office).await;
    let bill = pages::within(&office, office.gateway.store().bill(Which::Token(token))).await?;
    Ok(Json(Token::of(&office, token, bill.as_ref(), SystemTime::now())))
}

/// `DELETE /v1/tokens/{id}/revoke`: refused, whatever it is about. Gateways that share a store learn of a
/// revocation one after the other, and somebody may have been told that the token is worthless.
pub(super) async fn restore(Path(id): Path<String>) -> Result<(), Refused> {
    read(&id)?;
    Err(Refused::Final)
}

/// `GET /v1/revoked`.
pub(super) async fn revoked(State(office): State<Arc<Office>>) -> Result<Json<Revoked>, Refused> {
    let revoked = pages::within(&office, office.gateway.store().revoked()).await?;
    Ok(Json(Revoked { revoked: revoked.iter().map(ToString::to_string).collect() }))
}

fn read(id: &str) -> Result<TokenId, Refused> {
    let why = || Refused::Request(format!("`{id}` is no token's id: not 64 hexadecimal digits"));
    <[u8; 32]>::from_hex(id).map(TokenId).map_err(|_| why())
}
