//! What a purse tells of its node to the user it belongs to, and what it does for them. At the purse's
//! own socket it tells and does nothing: programs are handed that one. Channels are opened and closed,
//! and money is sent on the chain, at a second socket beside it, which is the owner's.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use l402::operator::{
    About, Balance, Channel, ChannelOrder, CloseOrder, Closing, Fresh, Opening, OperateError,
    Quote, Sent, Transfer, Withdrawal,
};
use l402::purse::Fault;
use l402::{NodeErrorKind, Operator};
use serde::Deserialize;

use crate::api::{self, LONGEST_BODY, Reply, Service, Shared};
use crate::peer;
use crate::refuse::Refused;

/// How many payments are listed unless asked, and at the most.
const ROWS: usize = 20;
const MOST_ROWS: usize = 1_000;

type Body = Result<Bytes, BytesRejection>;

/// `?most=N`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    most: Option<usize>,
}

pub(crate) async fn node(State(service): Shared) -> Reply<About> {
    let about = match &service.node.operator {
        Some(operator) => operator.about().await?,
        None => About::default(),
    };
    // What it is on is known in any case.
    Ok(Json(About { network: about.network.or(Some(service.network)), ..about }))
}

pub(crate) async fn balance(State(service): Shared) -> Reply<Balance> {
    Ok(Json(operator(&service)?.balance().await?))
}

pub(crate) async fn payments(
    State(service): Shared,
    rows: Result<Query<Rows>, QueryRejection>,
) -> Reply<Vec<Transfer>> {
    let Query(Rows { most }) = rows.map_err(|_| Refused::Path)?;
    let most = most.unwrap_or(ROWS).min(MOST_ROWS);
    Ok(Json(operator(&service)?.payments(most).await?))
}

/// The paths of the owner's socket, for connections of user `own` and no other.
pub(crate) fn router(service: Arc<Service>, own: u32) -> Router {
    Router::new()
        .route("/v1/address", post(address))
        .route("/v1/channels", get(channels).post(open_channel))
        .route("/v1/channels/close", post(close_channel))
        .route("/v1/withdrawals", post(withdraw))
        .route("/v1/withdrawals/quote", post(quote))
        .fallback(async || Refused::Path)
        .method_not_allowed_fallback(async || Refused::Method)
        .with_state(service)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(own, peer::admit))
}

async fn address(State(service): Shared) -> Reply<Fresh> {
    Ok(Json(Fresh { address: operator(&service)?.address().await? }))
}

async fn channels(State(service): Shared) -> Reply<Vec<Channel>> {
    Ok(Json(operator(&service)?.channels().await?))
}

async fn quote(State(service): Shared, body: Body) -> Reply<Quote> {
    Ok(Json(operator(&service)?.quote(&api::read::<Withdrawal>(body)?).await?))
}

async fn open_channel(State(service): Shared, body: Body) -> Reply<Opening> {
    let order: ChannelOrder = api::read(body)?;
    seen_through(service, async move |node| node.open_channel(&order).await).await
}

async fn close_channel(State(service): Shared, body: Body) -> Reply<Closing> {
    let CloseOrder { id, how } = api::read(body)?;
    seen_through(service, async move |node| node.close_channel(&id, how).await).await
}

async fn withdraw(State(service): Shared, body: Body) -> Reply<Sent> {
    let order: Withdrawal = api::read(body)?;
    seen_through(service, async move |node| node.withdraw(&order).await).await
}

/// Carries out an order in a task of its own: whoever hangs up cuts nothing off.
async fn seen_through<T, F>(
    service: Arc<Service>,
    order: impl FnOnce(Arc<dyn Operator>) -> F,
) -> Reply<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, OperateError>> + Send + 'static,
{
    let node = Arc::clone(service.node.operator.as_ref().ok_or(NOTHING)?);
    match tokio::spawn(order(node)).await {
        Ok(done) => Ok(Json(done?)),
        Err(_) => {
            Err(Refused::Node(Fault::new(NodeErrorKind::Timeout, "the order ended without a word")))
        }
    }
}

const NOTHING: Refused = Refused::Cannot("tells nothing of itself");

fn operator(service: &Service) -> Result<&dyn Operator, Refused> {
    service.node.operator.as_deref().ok_or(NOTHING)
}

impl From<OperateError> for Refused {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Node(error) => error.into(),
            // The word for what may still happen, or may have happened.
            OperateError::MayHaveSent(error) | OperateError::MayHaveOpened(error) => {
                let Fault { message, .. } = Fault::from(&error);
                Self::Node(Fault::new(NodeErrorKind::Timeout, message))
            }
            OperateError::Cannot { .. } | OperateError::NoSuchChannel { .. } => {
                Self::Node(Fault::new(NodeErrorKind::Refused, error.to_string()))
            }
        }
    }
}
