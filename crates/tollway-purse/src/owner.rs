//! What a purse tells of its node to the user it belongs to. Reading only: channels are opened and
//! closed by the node's own URL, and not through a socket that every program of the user's may use.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use l402::operator::{About, Balance, OperateError, Transfer};
use l402::purse::Fault;
use l402::{NodeErrorKind, Operator};
use serde::Deserialize;

use crate::api::{Reply, Service, Shared};
use crate::refuse::Refused;

/// How many payments are listed unless asked, and at the most.
const ROWS: usize = 20;
const MOST_ROWS: usize = 1_000;

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

fn operator(service: &Service) -> Result<&dyn Operator, Refused> {
    service.node.operator.as_deref().ok_or(Refused::Cannot("tells nothing of itself"))
}

impl From<OperateError> for Refused {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Node(error) => error.into(),
            OperateError::Cannot { .. } | OperateError::NoSuchChannel { .. } => {
                Self::Node(Fault::new(NodeErrorKind::Refused, error.to_string()))
            }
        }
    }
}
