//! What a seller in these tests does: sell honestly, or as badly as a test asks for.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use l402::scheme::Field;
use l402::{Invoice, Msat};

/// What a seller does with a request.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) price: Msat,
    pub(crate) expiry: Duration,
    pub(crate) caveats: Vec<String>,
    pub(crate) door: Door,
    pub(crate) offer: Offer,
    /// Paths that cost nothing.
    pub(crate) free: Vec<String>,
    /// Paths behind the door that lead elsewhere.
    pub(crate) redirects: HashMap<String, (u16, String)>,
    /// The status of what is behind the door.
    pub(crate) behind: StatusCode,
    /// Headers of the answer from there.
    pub(crate) behind_headers: Vec<(HeaderName, String)>,
    /// Whether the connection breaks instead, once the door is open.
    pub(crate) breaks: bool,
    /// Whether a payment for one request was taken by then.
    pub(crate) takes_before_it_breaks: bool,
    /// Which body a payment for one request is said to be for.
    pub(crate) digest: Option<String>,
}

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Whatever its caveats allow.
    ByCaveats,
    /// The method and path that it was sold for.
    PerRoute,
    /// One request.
    Once,
    /// Nothing, and the answer is this.
    Never(StatusCode),
}

/// How payment is asked.
#[derive(Clone, Debug)]
pub(crate) enum Offer {
    /// As it should be, in the scheme of that name or in all.
    Honest(Option<&'static str>),
    /// With somebody else's invoice.
    Invoice(Box<Invoice>),
    /// In these lines.
    Lines(Vec<String>),
    /// The same offer each time.
    Repeated,
    /// A payment that is good for one request.
    Charge(Field),
    /// A token, and beside it a payment for one request at that price.
    Both(Msat),
}

impl Offer {
    /// The header in which a payment for one request comes, where there are such.
    pub(crate) fn field(&self) -> Option<Field> {
        match self {
            Self::Charge(field) => Some(*field),
            Self::Both(_) => Some(Field::Authorization),
            _ => None,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            price: Msat::from_sat(10).unwrap(),
            expiry: Duration::from_secs(3600),
            caveats: vec!["services=weather:0".to_owned()],
            door: Door::ByCaveats,
            offer: Offer::Honest(None),
            free: vec!["/free".to_owned()],
            redirects: HashMap::new(),
            behind: StatusCode::OK,
            behind_headers: Vec::new(),
            breaks: false,
            takes_before_it_breaks: false,
            digest: None,
        }
    }
}
