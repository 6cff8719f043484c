//! What a buyer allows, as a value: standing rules for all requests of a client. A request's own
//! [`Terms`] can narrow them and never widen them.

pub(crate) mod amount;
mod approve;
mod hosts;
mod limit;
mod window;

use l402::flow::NotTaken;
use l402::{Challenge, Invoice, Msat, Network, NodeId};
use serde::{Deserialize, Serialize};

use crate::origin::Origin;
use crate::terms::Terms;

pub use approve::{Approval, Approver, Proposal};
pub use hosts::{BadPattern, HostPattern};
pub use limit::{Account, Limit, OverLimit, Scope};
pub use window::{BadWindow, Span, Window};

/// What may be paid, to whom, and how much. The default allows everything; every rule that is there
/// must be kept.
///
/// In a configuration:
///
/// ```toml
/// max_cost = "100 sat"              # for one invoice
/// max_fee = "5 sat"                 # for routing, on top
/// ask_above = "50 sat"              # above that, somebody is asked first
/// hosts = ["*.example.com"]         # nobody else is paid
/// refuse_hosts = ["ads.example.com"]
/// schemes = ["L402", "Payment"]
/// networks = ["mainnet"]
///
/// [[limits]]
/// most = "1000 sat"
/// per = "day"
///
/// [[limits]]
/// most = "100 sat"
/// per = "rolling 1h"
/// each_host = true
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The most one invoice may ask for, in millisatoshi.
    #[serde(with = "amount::optional", skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Msat>,
    /// The most that routing may cost on top, in millisatoshi.
    #[serde(with = "amount::optional", skip_serializing_if = "Option::is_none")]
    pub max_fee: Option<Msat>,
    /// Above which amount, in millisatoshi and without routing, an [`Approver`] is asked. Without one
    /// nothing above it is paid.
    #[serde(with = "amount::optional", skip_serializing_if = "Option::is_none")]
    pub ask_above: Option<Msat>,
    /// Refuse tokens that do not show which payment they are for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_bound: bool,
    /// Who may be paid at all; everybody where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostPattern>,
    /// Who is never paid, whatever else is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refuse_hosts: Vec<HostPattern>,
    /// Which nodes may be paid; every one where there is none.
    #[serde(with = "nodes", skip_serializing_if = "Vec::is_empty")]
    pub payees: Vec<NodeId>,
    /// Which nodes are never paid.
    #[serde(with = "nodes", skip_serializing_if = "Vec::is_empty")]
    pub refuse_payees: Vec<NodeId>,
    /// On which networks; on the node's where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// In which schemes; in every one where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemes: Vec<SchemeName>,
    /// How much in all, over which time. They are kept in the wallet, by every process that uses it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// The name of a payment scheme that is spoken here, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemeName(&'static str);

/// Nobody here speaks a scheme of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no payment scheme that is spoken here; there are L402, LSAT and Payment")]
pub struct UnknownScheme(pub String);

/// Why the policy stops a purchase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Not one of the hosts that may be paid.
    #[error("the policy pays {}, and not {origin}", list(.allowed))]
    HostNotAllowed {
        /// Who asks.
        origin: Origin,
        /// Who may be paid.
        allowed: Vec<HostPattern>,
    },
    /// One of the hosts that are never paid.
    #[error("the policy never pays {refused}, and {origin} asks for payment")]
    HostRefused {
        /// Who asks.
        origin: Origin,
        /// By which rule it is refused.
        refused: HostPattern,
    },
    /// A limit is used up.
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    /// It must be asked for, and there is nobody to ask.
    #[error(
        "{amount} is above {above}, from which on somebody must agree, and there is nobody to ask"
    )]
    NobodyToAsk {
        /// What is asked.
        amount: Msat,
        /// From where on somebody is asked.
        above: Msat,
    },
    /// Somebody was asked, and said no.
    #[error("not agreed to: {reason}")]
    Declined {
        /// What they said.
        reason: String,
    },
}

fn list(hosts: &[HostPattern]) -> String {
    hosts.iter().map(HostPattern::as_str).collect::<Vec<_>>().join(", ")
}

impl Policy {
    /// What a request's own terms come to under this policy.
    pub(crate) fn narrow(&self, terms: Terms) -> Terms {
        let least = |ours: Option<Msat>, theirs: Msat| ours.map_or(theirs, |ours| ours.min(theirs));
        Terms {
            max_cost: least(self.max_cost, terms.max_cost),
            max_fee: least(self.max_fee, terms.max_fee),
            require_bound: self.require_bound || terms.require_bound,
            ..terms
        }
    }

    /// Whether this origin may be paid at all.
    ///
    /// # Errors
    /// [`Denied::HostNotAllowed`] or [`Denied::HostRefused`].
    pub fn may_pay(&self, origin: &Origin) -> Result<(), Denied> {
        let covers = |pattern: &&HostPattern| pattern.covers(origin.host());
        if let Some(refused) = self.refuse_hosts.iter().find(covers) {
            return Err(Denied::HostRefused { origin: origin.clone(), refused: refused.clone() });
        }
        if self.hosts.is_empty() || self.hosts.iter().any(|pattern| covers(&pattern)) {
            return Ok(());
        }
        Err(Denied::HostNotAllowed { origin: origin.clone(), allowed: self.hosts.clone() })
    }

    /// Whether this offer may be taken, as far as it does not depend on the price.
    ///
    /// # Errors
    /// [`NotTaken::NotAllowed`].
    pub fn may_take(&self, challenge: &Challenge) -> Result<(), NotTaken> {
        let scheme = SchemeName(challenge.scheme.name());
        if !self.schemes.is_empty() && !self.schemes.contains(&scheme) {
            return Err(NotTaken::NotAllowed("scheme"));
        }
        self.may_pay_invoice(&challenge.invoice)
    }

    /// Whether an invoice may be paid, as far as it does not depend on its amount or on who handed it
    /// over.
    ///
    /// # Errors
    /// [`NotTaken::NotAllowed`].
    pub fn may_pay_invoice(&self, invoice: &Invoice) -> Result<(), NotTaken> {
        let not = |what| Err(NotTaken::NotAllowed(what));
        if !self.networks.is_empty() && !self.networks.contains(&invoice.network()) {
            return not("network");
        }
        let payee = invoice.payee();
        let allowed = self.payees.is_empty() || self.payees.contains(&payee);
        if !allowed || self.refuse_payees.contains(&payee) {
            return not("payee");
        }
        Ok(())
    }

    /// Whether somebody must agree to an offer of that amount, in millisatoshi; from where on, if so.
    pub(crate) fn asks(&self, amount: Msat) -> Option<Msat> {
        self.ask_above.filter(|above| amount > *above)
    }
}

impl SchemeName {
    /// As it stands in headers.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::str::FromStr for SchemeName {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        let scheme = l402::scheme::find(text).ok_or_else(|| UnknownScheme(text.to_owned()))?;
        Ok(Self(scheme.name()))
    }
}

impl Serialize for SchemeName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for SchemeName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Node ids as 66 hexadecimal digits.
mod nodes {
    use l402::NodeId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        ids: &[NodeId],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<NodeId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let read = |text: String| {
            let id = text.parse::<NodeId>();
            id.map_err(|error| serde::de::Error::custom(format_args!("`{text}`: {error}")))
        };
        texts.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests;
