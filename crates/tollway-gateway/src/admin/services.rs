//! The services: seen and changed as they stand in the configuration's file, so that nothing of one is
//! lost by being read and written back. Every change is checked as at a start before it is written.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::IF_MATCH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml_edit::DocumentMut;

use super::Office;
use super::answer::{Refused, tagged};
use crate::config::Config;
use crate::file::{self, EditError, ReloadError, Tag, redacted};

/// The keys of one `[[service]]`, as JSON.
type Keys = Map<String, Value>;

/// All services.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Services {
    /// As they stand in the file, in their order: the keys of `[[service]]`. What may be secret is
    /// `(secret)`; sent back like that, it stays as it is.
    services: Vec<Keys>,
    /// Whether the file is what is in force. It is not while it has a mistake, and for a moment after
    /// it was written by hand.
    in_force: bool,
}

/// Where a new service goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Where {
    /// Before the service of this name; at the end unless told.
    before: Option<String>,
}

/// Another order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// The name of each service, once.
    order: Vec<String>,
}

type Body<T> = Result<Json<T>, JsonRejection>;

/// The services in the file, and which text of it that is.
fn look(office: &Office) -> Result<(Vec<Keys>, Tag, bool), Refused> {
    let text = office.file.read()?;
    let document: DocumentMut = match text.parse() {
        Ok(document) => document,
        Err(_) => {
            let mistakes = Config::read(&text).err().map(ReloadError::Mistakes);
            return Err(mistakes.map_or(EditError::Unreadable.into(), Refused::Reload));
        }
    };
    let in_force = text == office.file.standing().text;
    let shown = file::services(&document).into_iter().map(shown).collect();
    Ok((shown, Tag::of(&text), in_force))
}

fn shown(service: Keys) -> Keys {
    match redacted("service", &Value::Object(service)) {
        Value::Object(service) => service,
        _ => unreachable!("an object is shown as one"),
    }
}

impl From<EditError> for Refused {
    fn from(error: EditError) -> Self {
        Self::Change(error.into())
    }
}

/// `GET /v1/services`.
pub(super) async fn list(State(office): State<Arc<Office>>) -> Result<Response, Refused> {
    let (services, tag, in_force) = office.blocking(look).await?;
    Ok(tagged(&tag, Json(Services { services, in_force })))
}

/// `GET /v1/services/{name}`.
pub(super) async fn get(
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    let (services, tag, _) = office.blocking(look).await?;
    find(services, &name).map(|service| tagged(&tag, Json(service)))
}

fn find(services: Vec<Keys>, name: &str) -> Result<Keys, Refused> {
    let known = services.iter().filter_map(|service| service.get("name")?.as_str());
    let known = known.map(str::to_owned).collect();
    let mut services = services.into_iter();
    let found = services.find(|service| service.get("name").and_then(Value::as_str) == Some(name));
    found.ok_or_else(|| EditError::NoService { name: name.to_owned(), known }.into())
}

/// `POST /v1/services`.
pub(super) async fn create(
    State(office): State<Arc<Office>>,
    place: Result<Query<Where>, QueryRejection>,
    headers: HeaderMap,
    body: Body<Keys>,
) -> Result<Response, Refused> {
    let Query(Where { before }) = place.map_err(|why| Refused::Request(why.body_text()))?;
    let service = read(body)?;
    let name = name_of(&service);
    let tag =
        change(&office, &headers, move |document| file::add(document, &service, before.as_deref()))
            .await?;
    let created = answer(&office, &tag, name.as_deref()).await?;
    Ok((StatusCode::CREATED, created).into_response())
}

/// `PUT /v1/services/{name}`.
pub(super) async fn replace(
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body<Keys>,
) -> Result<Response, Refused> {
    let service = read(body)?;
    let new_name = name_of(&service);
    let tag =
        change(&office, &headers, move |document| file::replace(document, &name, &service)).await?;
    answer(&office, &tag, new_name.as_deref()).await
}

/// `DELETE /v1/services/{name}`.
pub(super) async fn remove(
    State(office): State<Arc<Office>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let tag = change(&office, &headers, move |document| file::remove(document, &name)).await?;
    Ok(tagged(&tag, StatusCode::NO_CONTENT))
}

/// `PUT /v1/service-order`.
pub(super) async fn order(
    State(office): State<Arc<Office>>,
    headers: HeaderMap,
    body: Body<Order>,
) -> Result<Response, Refused> {
    let Order { order } = read(body)?;
    let tag = change(&office, &headers, move |document| file::order(document, &order)).await?;
    let (services, _, in_force) = office.blocking(look).await?;
    Ok(tagged(&tag, Json(Services { services, in_force })))
}

/// The service as it stands in the file now.
async fn answer(office: &Arc<Office>, tag: &Tag, name: Option<&str>) -> Result<Response, Refused> {
    let (services, ..) = office.blocking(look).await?;
    Ok(tagged(tag, Json(find(services, name.unwrap_or_default())?)))
}

fn name_of(service: &Keys) -> Option<String> {
    service.get("name").and_then(Value::as_str).map(str::to_owned)
}

fn read<T>(body: Body<T>) -> Result<T, Refused> {
    body.map(|Json(body)| body).map_err(|why| Refused::Request(why.body_text()))
}

/// Makes a change to the text that the caller has seen.
async fn change(
    office: &Arc<Office>,
    headers: &HeaderMap,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), EditError> + Send + 'static,
) -> Result<Tag, Refused> {
    let seen = headers.get(IF_MATCH).ok_or(Refused::NoIfMatch)?;
    let seen = match seen.to_str() {
        Ok("*") => None,
        // What is no tag of ours matches nothing.
        seen => Some(Tag::sent(seen.unwrap_or_default())),
    };
    let changed = office.blocking(move |office| office.file.change(seen.as_ref(), change)).await;
    Ok(changed?)
}
