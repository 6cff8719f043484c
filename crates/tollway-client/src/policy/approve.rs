//! Asking a person, or a program, before something is paid.

use async_trait::async_trait;
use http::Method;

use crate::origin::Origin;
use crate::quote::Price;

/// What is about to be paid, when somebody is asked.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Who asks for it.
    pub origin: Origin,
    /// The method of the request.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// The offer, decoded.
    pub price: Price,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Pay it. An offer that takes its place because it has expired in the meantime, from the same
    /// payee and no dearer, is paid as well.
    Granted,
    /// Do not, and say why.
    Refused(String),
}

/// Is asked before a payment whose amount is above [`Policy::ask_above`](crate::Policy::ask_above).
///
/// Nothing is set aside yet, and nothing is lost when the answer takes long; other purchases from the
/// same origin wait for it. Implemented by every closure that returns a future of an [`Approval`].
#[async_trait]
pub trait Approver: Send + Sync {
    /// Whether to pay it.
    async fn approve(&self, proposal: &Proposal) -> Approval;
}

#[async_trait]
impl<F, Answering> Approver for F
where
    F: Fn(Proposal) -> Answering + Send + Sync,
    Answering: Future<Output = Approval> + Send,
{
    async fn approve(&self, proposal: &Proposal) -> Approval {
        self(proposal.clone()).await
    }
}
