//! Every route: one table, from which both the router and the document at `/v1/openapi.json` are made.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{self, MethodRouter};
use http::Method;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::answer::Refused;
use super::book::{AllSums, Entries, Entry, Sums};
use super::configuration::{Again, Checked, Shown};
use super::credential::Capability;
use super::health::Health;
use super::pages::Listing;
use super::services::{Order, Services, Where};
use super::tokens::{Revoked, Token, Tokens};
use super::{Office, book, configuration, guard, health, openapi, services, tokens};

/// The longest body that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

type Office_ = Arc<Office>;
type Keys = Map<String, Value>;

/// One thing that can be asked for.
pub(super) struct Route {
    pub(super) method: Method,
    /// With `{name}` for what is named in it.
    pub(super) path: &'static str,
    /// What a credential must be allowed to; `None` needs no credential.
    pub(super) may: Option<Capability>,
    pub(super) summary: &'static str,
    /// The parameters behind the question mark.
    pub(super) query: Option<Kind>,
    pub(super) body: Option<Body>,
    /// What comes when all goes well.
    pub(super) answer: Answer,
    /// The other statuses that it has of its own, besides 401, 403 and 503.
    pub(super) refuses: &'static [u16],
    handler: fn() -> MethodRouter<Office_>,
}

/// Makes the schema of a type.
pub(super) type Kind = fn(&mut SchemaGenerator) -> Schema;

/// What is sent.
pub(super) enum Body {
    Json(Kind),
    /// Keys of `[[service]]`.
    Service,
    Toml,
}

/// What comes back.
pub(super) enum Answer {
    Json(u16, Kind),
    /// The same, or a table.
    Table(Kind),
    /// Keys of `[[service]]`.
    Service(u16),
    Nothing(u16),
}

const fn get(
    path: &'static str,
    may: Option<Capability>,
    summary: &'static str,
    answer: Answer,
    handler: fn() -> MethodRouter<Office_>,
) -> Route {
    let method = Method::GET;
    Route { method, path, may, summary, query: None, body: None, answer, refuses: &[], handler }
}

fn schema<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Every route, in the order of the document.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = of_services();
    routes.extend(of_tokens());
    routes.extend(of_books());
    routes.extend(of_gateway());
    routes
}

fn of_services() -> Vec<Route> {
    use Capability::{ServicesRead, ServicesWrite};
    let list = Answer::Json(200, schema::<Services>);
    let change = |method, path, summary, body, answer, refuses, handler| Route {
        body,
        method,
        refuses,
        ..get(path, Some(ServicesWrite), summary, answer, handler)
    };
    vec![
        Route {
            refuses: &[409],
            ..get("/v1/services", Some(ServicesRead), "All services, in their order", list, || {
                routing::get(services::list)
            })
        },
        Route {
            query: Some(schema::<Where>),
            ..change(
                Method::POST,
                "/v1/services",
                "Add a service",
                Some(Body::Service),
                Answer::Service(201),
                &[400, 404, 409, 412, 422, 428],
                || routing::post(services::create),
            )
        },
        Route {
            refuses: &[404, 409],
            ..get(
                "/v1/services/{name}",
                Some(ServicesRead),
                "One service",
                Answer::Service(200),
                || routing::get(services::get),
            )
        },
        change(
            Method::PUT,
            "/v1/services/{name}",
            "Put another service in the place of one; keys that are left out are gone",
            Some(Body::Service),
            Answer::Service(200),
            &[400, 404, 409, 412, 422, 428],
            || routing::put(services::replace),
        ),
        change(
            Method::DELETE,
            "/v1/services/{name}",
            "Remove a service",
            None,
            Answer::Nothing(204),
            &[404, 409, 412, 422, 428],
            || routing::delete(services::remove),
        ),
        change(
            Method::PUT,
            "/v1/service-order",
            "Put the services into another order",
            Some(Body::Json(schema::<Order>)),
            Answer::Json(200, schema::<Services>),
            &[400, 409, 412, 422, 428],
            || routing::put(services::order),
        ),
    ]
}

fn of_tokens() -> Vec<Route> {
    use Capability::{TokensRead, TokensRevoke};
    let token = || Answer::Json(200, schema::<Token>);
    vec![
        Route {
            query: Some(schema::<Listing>),
            refuses: &[400],
            ..get(
                "/v1/tokens",
                Some(TokensRead),
                "The tokens that were offered, the latest first",
                Answer::Table(schema::<Tokens>),
                || routing::get(tokens::list),
            )
        },
        Route {
            refuses: &[400, 404],
            ..get("/v1/tokens/{id}", Some(TokensRead), "One token", token(), || {
                routing::get(tokens::get)
            })
        },
        Route {
            method: Method::POST,
            refuses: &[400],
            ..get(
                "/v1/tokens/{id}/revoke",
                Some(TokensRevoke),
                "Revoke a token, for ever: here at once, and within seconds wherever the store is shared",
                token(),
                || routing::post(tokens::revoke),
            )
        },
        Route {
            method: Method::DELETE,
            refuses: &[400, 409],
            ..get(
                "/v1/tokens/{id}/revoke",
                Some(TokensRevoke),
                "Refused: a token that was revoked stays so",
                Answer::Nothing(409),
                || routing::delete(tokens::restore),
            )
        },
        get(
            "/v1/revoked",
            Some(TokensRead),
            "The names of all tokens that are revoked",
            Answer::Json(200, schema::<Revoked>),
            || routing::get(tokens::revoked),
        ),
    ]
}

fn of_books() -> Vec<Route> {
    let may = Some(Capability::PaymentsRead);
    let list = |path, summary, handler| Route {
        query: Some(schema::<Listing>),
        refuses: &[400],
        ..get(path, may, summary, Answer::Table(schema::<Entries>), handler)
    };
    vec![
        list("/v1/challenges", "What was asked for, the latest first", || {
            routing::get(book::challenges)
        }),
        Route {
            refuses: &[404],
            ..get(
                "/v1/challenges/{payment_hash}",
                may,
                "What one payment was asked for",
                Answer::Json(200, schema::<Entry>),
                || routing::get(book::challenge),
            )
        },
        list("/v1/payments", "What was paid, the latest payment first", || {
            routing::get(book::payments)
        }),
        Route {
            query: Some(schema::<Sums>),
            refuses: &[400],
            ..get(
                "/v1/totals",
                may,
                "Bills, payments and revenue, by service and by day of UTC",
                Answer::Table(schema::<AllSums>),
                || routing::get(book::totals),
            )
        },
    ]
}

fn of_gateway() -> Vec<Route> {
    use Capability::{ConfigRead, HealthRead, Reload};
    vec![
        get(
            "/v1/health",
            Some(HealthRead),
            "Whether node, store, configuration and upstreams are in order, asked now",
            Answer::Json(200, schema::<Health>),
            || routing::get(health::get),
        ),
        get(
            "/v1/config",
            Some(ConfigRead),
            "The configuration in force, without its secrets",
            Answer::Json(200, schema::<Shown>),
            || routing::get(configuration::show),
        ),
        Route {
            method: Method::POST,
            body: Some(Body::Toml),
            refuses: &[400],
            ..get(
                "/v1/config/check",
                Some(ConfigRead),
                "Whether a configuration would be good; with no body, the file as it is",
                Answer::Json(200, schema::<Checked>),
                || routing::post(configuration::check),
            )
        },
        Route {
            method: Method::POST,
            refuses: &[409],
            ..get(
                "/v1/reload",
                Some(Reload),
                "Read the configuration's file again and put it in force",
                Answer::Json(200, schema::<Again>),
                || routing::post(configuration::reload),
            )
        },
        get("/v1/openapi.json", None, "This document", Answer::Json(200, schema::<Keys>), || {
            routing::get(async || axum::Json(openapi::document()))
        }),
    ]
}

/// All of them, each behind its own guard.
pub(super) fn router(office: Office_) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guard = from_fn_with_state((Arc::clone(&office), route.may), guard::admit);
        router = router.route(route.path, (route.handler)().layer(guard));
    }
    router
        .fallback(async || Refused::NotFound { what: "such route", name: None }.into_response())
        .method_not_allowed_fallback(async |method: Method| {
            Refused::Method(method.to_string()).into_response()
        })
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(office)
}
