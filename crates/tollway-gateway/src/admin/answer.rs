//! What is answered when a request cannot be: one shape for all of it, `{"error": {"kind", "message"}}`,
//! and with it whatever the caller can do something with.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use l402::admin::AdminDenied;
use l402::caveat::CaveatError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Mistake, Mistakes};
use crate::file::{ChangeError, EditError, ReloadError};
use crate::store::StoreError;

/// A request was not carried out.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It came without a credential.
    #[error("this needs a credential: `Authorization: Bearer …`; `tollway admin bake` makes one")]
    NoCredential,
    /// It cannot be read.
    #[error("the credential cannot be read; it is the one line that `tollway admin bake` printed")]
    Unreadable,
    /// It is none of ours, or not any more.
    #[error("the credential is refused: {0}")]
    Credential(AdminDenied),
    /// It was revoked.
    #[error("the credential was revoked; `tollway admin bake` makes another")]
    Revoked,
    /// It came over the socket from another user's process.
    #[error(
        "only user {own}, as whom the gateway runs, may use this socket; `sudo -u '#{own}'` acts as that one"
    )]
    Stranger {
        /// The user that the gateway acts as.
        own: u32,
    },
    /// It may not do this.
    #[error("the credential may not do this: it needs `{0}`")]
    MayNot(&'static str),
    /// It may not do this in this way.
    #[error("the credential may not do this: {0}")]
    NotLikeThis(AdminDenied),
    /// There is no such route, service, token or bill.
    #[error("there is no {what}{}", name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default())]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        name: Option<String>,
    },
    /// The route does not take this method.
    #[error("this route does not take {0}; /v1/openapi.json says what there is")]
    Method(String),
    /// A part of the request says what it may not.
    #[error("{0}")]
    Request(String),
    /// A change needs to say what it changes.
    #[error(
        "a change needs `If-Match` with the ETag of what was read, or `*` for whatever is there"
    )]
    NoIfMatch,
    /// A token that was revoked stays so.
    #[error("a token that was revoked stays so; its holder has to buy another")]
    Final,
    /// A change was not made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The file could not be put in force.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// The store did not do what it was asked to.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The body of every answer that is not what was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Failure {
    /// What went wrong.
    error: Fault,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Fault {
    /// A word that stays the same when the message is reworded.
    kind: &'static str,
    /// What is the matter, and what to do about it.
    message: String,
    /// Everything that is wrong with the configuration, in the order of its lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Wrong>,
}

/// One mistake in a configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Wrong {
    /// Where, in the configuration as it would be.
    line: usize,
    /// Which key, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What is wrong, and what would be right.
    message: String,
}

impl Wrong {
    /// Each of them.
    pub(super) fn all(mistakes: &Mistakes) -> Vec<Self> {
        let wrong = |mistake: &Mistake| Self {
            line: mistake.line,
            field: mistake.problem.field().map(str::to_owned),
            message: mistake.problem.to_string(),
        };
        mistakes.iter().map(wrong).collect()
    }
}

impl Refused {
    /// Whose the fault is, and a word for it.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCredential => (StatusCode::UNAUTHORIZED, "no_credential"),
            Self::Unreadable | Self::Credential(_) => (StatusCode::UNAUTHORIZED, "bad_credential"),
            Self::Revoked => (StatusCode::UNAUTHORIZED, "revoked_credential"),
            Self::Stranger { .. } => (StatusCode::FORBIDDEN, "other_user"),
            Self::MayNot(_) | Self::NotLikeThis(_) => (StatusCode::FORBIDDEN, "may_not"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::Request(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NoIfMatch => (StatusCode::PRECONDITION_REQUIRED, "no_if_match"),
            Self::Final => (StatusCode::CONFLICT, "final"),
            Self::Change(error) => of_change(error),
            Self::Reload(error) => of_reload(error),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
        }
    }

    fn mistakes(&self) -> Vec<Wrong> {
        match self {
            Self::Change(ChangeError::Mistakes(mistakes))
            | Self::Change(ChangeError::File(ReloadError::Mistakes(mistakes)))
            | Self::Reload(ReloadError::Mistakes(mistakes)) => Wrong::all(mistakes),
            _ => Vec::new(),
        }
    }
}

fn of_change(error: &ChangeError) -> (StatusCode, &'static str) {
    match error {
        ChangeError::Stale => (StatusCode::PRECONDITION_FAILED, "changed_meanwhile"),
        ChangeError::File(error) => of_reload(error),
        ChangeError::Edit(EditError::NoService { .. }) => (StatusCode::NOT_FOUND, "not_found"),
        ChangeError::Edit(EditError::Unreadable) => (StatusCode::CONFLICT, "unreadable"),
        ChangeError::Edit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_service"),
        ChangeError::Mistakes(_) => (StatusCode::UNPROCESSABLE_ENTITY, "mistakes"),
        ChangeError::Open(_) => (StatusCode::UNPROCESSABLE_ENTITY, "cannot_open"),
        ChangeError::Write(_) => (StatusCode::INTERNAL_SERVER_ERROR, "cannot_write"),
    }
}

fn of_reload(error: &ReloadError) -> (StatusCode, &'static str) {
    match error {
        ReloadError::Read { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "cannot_read"),
        ReloadError::Mistakes(_) => (StatusCode::CONFLICT, "mistakes"),
        ReloadError::Open(_) => (StatusCode::CONFLICT, "cannot_open"),
    }
}

impl From<AdminDenied> for Refused {
    fn from(denied: AdminDenied) -> Self {
        match denied {
            AdminDenied::Caveat(CaveatError::DoesNotHold(condition)) => {
                match condition.strip_prefix("admin_") {
                    // Over, or not yet begun: it is no credential now, whatever it is asked for.
                    Some("valid_until") => {
                        Self::Credential(AdminDenied::Caveat(CaveatError::DoesNotHold(condition)))
                    }
                    _ if condition == "not_before" => {
                        Self::Credential(AdminDenied::Caveat(CaveatError::DoesNotHold(condition)))
                    }
                    _ => {
                        Self::NotLikeThis(AdminDenied::Caveat(CaveatError::DoesNotHold(condition)))
                    }
                }
            }
            denied => Self::Credential(denied),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, kind) = self.kind();
        let message = with_causes(&self);
        let error = Fault { kind, message, mistakes: self.mistakes() };
        let mut response = (status, Json(Failure { error })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"tollway admin\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// The message and its causes, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Mistakes are told one by one, and a cause that says the same says nothing.
        if !text.contains(&said) && error.downcast_ref::<Mistakes>().is_none() {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// An answer that names the text of the file that it is from.
pub(super) fn tagged(tag: &crate::file::Tag, body: impl IntoResponse) -> Response {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::try_from(tag.to_string()).expect("a tag is hexadecimal in quotes");
    headers.insert(ETAG, value);
    (headers, body).into_response()
}
