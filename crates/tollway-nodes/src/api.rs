//! What the drivers of small REST APIs have in common: a password or key from a file in a header, JSON
//! or a form, one reading of what went wrong, and one of what is asked too much of such an API.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use l402::operator::{About, OperateError};
use l402::{Msat, Network, NodeError, NodeErrorKind, Preimage, Secret, Why};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::{Answer, Call, Http, NoAnswer, Web};
use crate::remote::Ordered;
use crate::watched::{Kept, Unusable, Watched};

/// How long a node may take for an answer that needs no payment.
const ANSWER: Duration = Duration::from_secs(30);
/// As much of a node's own words as is repeated, in characters.
const LONGEST_WORDS: usize = 200;

/// A node's REST API.
#[derive(Debug)]
pub(crate) struct Api {
    driver: &'static str,
    http: Http<Web>,
    key: Watched<Secret<String>>,
    login: Login,
}

/// How the key is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login {
    /// As the password of nobody (HTTP basic authentication).
    Password,
    /// In a header of its own.
    Header(&'static str),
}

/// A call that did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    NoAnswer(NoAnswer),
    TimedOut,
    Key(std::io::Error),
    Refused { status: StatusCode, words: String },
    Strange(serde_json::Error),
}

/// The node's own words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Said {
    #[error("the node said: {words} ({status})")]
    No { status: StatusCode, words: String },
    #[error("the node refused the key in the file ({status}); does it allow this?")]
    NotYou { status: StatusCode },
}

/// What a small API answers or cannot do, whichever it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Odd {
    #[error("{driver} is on the network `{name}`, where we do not pay")]
    UnknownNetwork { driver: &'static str, name: String },
    #[error("a payment that is paid, without its preimage")]
    NoPreimage,
    #[error("{driver}'s invoices are for whole satoshi, and {amount} is none")]
    PartOfASat { driver: &'static str, amount: Msat },
}

/// The network of that name.
pub(crate) fn network(driver: &'static str, name: &str) -> Result<Network, NodeError> {
    name.parse().map_err(|_| {
        let unknown = Odd::UnknownNetwork { driver, name: name.to_owned() };
        NodeError::new(driver, NodeErrorKind::Refused).because(unknown)
    })
}

/// The preimage of a payment that is said to be paid.
pub(crate) fn preimage(driver: &'static str, text: Option<&str>) -> Result<Preimage, NodeError> {
    let read = text.and_then(|text| text.parse().ok());
    read.ok_or_else(|| NodeError::new(driver, NodeErrorKind::Protocol).because(Odd::NoPreimage))
}

/// An amount for an API that counts in satoshi.
pub(crate) fn whole_sat(driver: &'static str, amount: Msat) -> Result<u64, NodeError> {
    let sat = amount.msat() / 1_000;
    if Msat::from_sat(sat) != Some(amount) {
        let part = Odd::PartOfASat { driver, amount };
        return Err(NodeError::new(driver, NodeErrorKind::Refused).because(part));
    }
    Ok(sat)
}

impl Api {
    pub(crate) fn new(driver: &'static str, web: Web, key: Kept, login: Login) -> Self {
        Self { driver, http: Http::new(web), key: Watched::new(key, read), login }
    }

    /// Asks for something that no money hangs on.
    pub(crate) async fn query<T: DeserializeOwned>(&self, call: Call) -> Result<T, Fault> {
        Ok(self.dated(call).await?.0)
    }

    /// The same, for its owner's commands.
    pub(crate) async fn asked<T: DeserializeOwned>(&self, call: Call) -> Result<T, OperateError> {
        self.query(call).await.map_err(|fault| self.error(fault).into())
    }

    /// The same, and what the server's clock showed.
    pub(crate) async fn dated<T: DeserializeOwned>(
        &self,
        call: Call,
    ) -> Result<(T, Option<SystemTime>), Fault> {
        let call = self.signed(call)?;
        match timeout(ANSWER, self.http.ask(&call)).await {
            Ok(answer) => {
                let answer = answer.map_err(Fault::NoAnswer)?;
                let clock = answer.clock;
                Ok((understood(answer)?, clock))
            }
            Err(_) => Err(Fault::TimedOut),
        }
    }

    /// What a node says of itself, and how far its clock is ahead of ours, in seconds.
    pub(crate) async fn info<T: DeserializeOwned>(
        &self,
        call: Call,
    ) -> Result<(T, Option<i64>), OperateError> {
        let before = SystemTime::now();
        let (info, clock) = self.dated(call).await.map_err(|fault| self.error(fault))?;
        Ok((info, clock.map(|clock| About::clock_ahead(clock, before, SystemTime::now()))))
    }

    /// Gives an order, and waits for as long as it takes. It is never sent twice.
    pub(crate) async fn order<T: DeserializeOwned>(&self, call: Call) -> Result<T, Fault> {
        let call = self.signed(call)?;
        understood(self.http.order(&call).await.map_err(Fault::NoAnswer)?)
    }

    /// The same, where the answer is in words and not in JSON. As many of them as can be repeated.
    pub(crate) async fn order_in_words(&self, call: Call) -> Result<String, Fault> {
        let call = self.signed(call)?;
        let body = accepted(self.http.order(&call).await.map_err(Fault::NoAnswer)?)?;
        Ok(words(&body))
    }

    fn signed(&self, call: Call) -> Result<Call, Fault> {
        let key = self.key.now().map_err(Fault::Key)?;
        let (name, value) = match self.login {
            Login::Password => {
                let pair = Secret::new(format!(":{}", key.expose()));
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair.expose()));
                (header::AUTHORIZATION, value)
            }
            Login::Header(name) => (HeaderName::from_static(name), key.expose().clone()),
        };
        let mut value = HeaderValue::try_from(value).expect("the key was checked when it was read");
        value.set_sensitive(true);
        Ok(call.with(name, value))
    }

    pub(crate) fn error(&self, fault: Fault) -> NodeError {
        let of = |kind| NodeError::new(self.driver, kind);
        match fault {
            Fault::TimedOut => of(NodeErrorKind::Timeout),
            Fault::Strange(source) => of(NodeErrorKind::Protocol).because(source),
            Fault::Key(source) => of(NodeErrorKind::Unauthorized).because(source),
            Fault::NoAnswer(no_answer) => match no_answer {
                NoAnswer::Impostor { .. } | NoAnswer::Plaintext { .. } => {
                    of(NodeErrorKind::Unauthorized).because(no_answer)
                }
                _ => of(NodeErrorKind::Unreachable).because(no_answer),
            },
            Fault::Refused { status, .. } if is_not_you(status) => {
                of(NodeErrorKind::Unauthorized).because(Said::NotYou { status })
            }
            Fault::Refused { status, words } => {
                of(NodeErrorKind::Refused).because(Said::No { status, words })
            }
        }
    }

    /// What became of an order that failed so. A refusal is looked into, unless it is of the key.
    pub(crate) fn ordered(&self, fault: Fault) -> Ordered {
        let why = match &fault {
            Fault::NoAnswer(no_answer) if !no_answer.is_lost() => Some(Why::Unreachable),
            Fault::Key(_) => Some(Why::Refused),
            Fault::Refused { status, .. } if is_not_you(*status) => Some(Why::Refused),
            _ => None,
        };
        let refused = matches!(&fault, Fault::Refused { .. });
        let source = self.error(fault);
        match why {
            Some(why) => Ordered::NotBegun { why, source },
            None if refused => Ordered::Refused { why: Why::Refused, source },
            None => Ordered::Lost(source),
        }
    }
}

impl Fault {
    /// Whether what was asked may have been carried out all the same. A server that fails does not say
    /// what it had done before.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::NoAnswer(no_answer) => no_answer.is_lost(),
            Self::TimedOut | Self::Strange(_) => true,
            Self::Key(_) => false,
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::REQUEST_TIMEOUT
            }
        }
    }
}

fn is_not_you(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn understood<T: DeserializeOwned>(answer: Answer) -> Result<T, Fault> {
    serde_json::from_slice(&accepted(answer)?).map_err(Fault::Strange)
}

fn accepted(Answer { status, body, .. }: Answer) -> Result<Bytes, Fault> {
    match status.is_success() {
        true => Ok(body),
        false => Err(Fault::Refused { status, words: words(&body) }),
    }
}

/// A node's own words, as far as they are repeated.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect()
}

/// A key's file: one line that fits in a header.
fn read(file: &[u8]) -> Result<Secret<String>, Unusable> {
    let text = std::str::from_utf8(file).map_err(|_| "is no text")?.trim();
    if text.is_empty() || HeaderValue::try_from(text).is_err() {
        return Err("must be one line with a password or key in it");
    }
    Ok(Secret::new(text.to_owned()))
}
