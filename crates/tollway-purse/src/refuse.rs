//! Every way in which the purse refuses a request, and the one place where that becomes HTTP. None
//! of these replies has begun a payment.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use l402::purse::{Fault, KindCode, Refusal};
use l402::{InvoiceError, NodeError, NotHex32};

use crate::turn::ARRIVAL;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// From another user.
    #[error("this purse belongs to user {own}, and you are user {peer}; run a purse of your own")]
    OtherUser { peer: u32, own: u32 },
    /// From nobody knows whom.
    #[error("the system does not say which user you are")]
    UnknownUser,
    /// The node behind this purse has no such side.
    #[error("this purse {0}; see /v1/info for what it can do")]
    Cannot(&'static str),
    /// Not the JSON that was expected, or with an unknown field.
    #[error("the body is not what this path takes: {0}")]
    Body(serde_json::Error),
    /// The body did not arrive, or there is too much of it.
    #[error("the body cannot be read: {0}")]
    Unread(axum::extract::rejection::BytesRejection),
    /// Not an invoice that could be paid.
    #[error("`invoice`: {0}")]
    Invoice(InvoiceError),
    /// Amount and fee limit together are beyond all counting.
    #[error("`max_fee_msat`: more than there is, together with the invoice's amount")]
    MaxFee,
    /// The path ends in something else than a payment hash.
    #[error("`{text}` is no payment hash: {problem}")]
    Hash { text: String, problem: NotHex32 },
    /// No such path.
    #[error("no such path; this purse speaks /v1 as described in docs/purse-api.md")]
    Path,
    /// The path is there, for another method.
    #[error("this path takes another method; see docs/purse-api.md")]
    Method,
    /// Not the first request on its connection.
    #[error("only the first request on a connection can be this one; open a connection for it")]
    Reused,
    /// Its connection was made too long ago.
    #[error("the order took longer than {} s to arrive and was not carried out", ARRIVAL.as_secs())]
    Late,
    /// It came when the purse had begun its last payment.
    #[error("the purse is stopping and begins no payment any more")]
    Stopping,
    /// The node failed.
    #[error("{}", .0.message)]
    Node(Fault),
}

impl Refused {
    /// What is said in the reply.
    pub(crate) fn fault(&self) -> Fault {
        Fault { kind: self.kind(), message: self.to_string() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::OtherUser { .. } | Self::UnknownUser | Self::Cannot(_) => StatusCode::FORBIDDEN,
            Self::Body(_) | Self::Invoice(_) | Self::MaxFee | Self::Hash { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Unread(rejection) => rejection.status(),
            Self::Reused => StatusCode::CONFLICT,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Node(fault) => match fault.kind {
                KindCode::Refused => StatusCode::UNPROCESSABLE_ENTITY,
                KindCode::Unreachable | KindCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
                KindCode::Unauthorized | KindCode::Storage | KindCode::Protocol => {
                    StatusCode::BAD_GATEWAY
                }
            },
        }
    }

    fn kind(&self) -> KindCode {
        match self {
            Self::OtherUser { .. } | Self::UnknownUser | Self::Cannot(_) => KindCode::Unauthorized,
            Self::Body(_)
            | Self::Unread(_)
            | Self::Invoice(_)
            | Self::MaxFee
            | Self::Hash { .. }
            | Self::Path
            | Self::Method
            | Self::Reused => KindCode::Refused,
            Self::Late => KindCode::Timeout,
            Self::Stopping => KindCode::Unreachable,
            Self::Node(fault) => fault.kind,
        }
    }
}

impl From<NodeError> for Refused {
    fn from(error: NodeError) -> Self {
        Self::Node(Fault::from(&error))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let error = self.fault();
        tracing::warn!(%status, reason = error.message, "refused");
        // What a client keeps connections for cannot be done on this one.
        let close = matches!(self, Self::Reused).then_some([(header::CONNECTION, "close")]);
        (status, close, Json(Refusal { error })).into_response()
    }
}
