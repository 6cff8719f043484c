//! lnd's REST port, call by call. Every call names the gRPC method it stands for, so that a refusal
//! can say which permission is missing.

use std::time::{Duration, SystemTime};

use hex::DisplayHex;
use http::{HeaderName, HeaderValue};
use l402::{Invoice, Macaroon, Network, NodeError, NodeErrorKind};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::fault::{self, Fault, Trouble};
use super::macaroon::{self, Allowed};
use super::wire::{AddInvoice, Added, Info, Line, Refusal, State};
use crate::http::{Answer, Call, Http, Lines, NoAnswer, Web};
use crate::watched::{Kept, Unusable, Watched};

/// How long lnd may take for an answer that needs no payment.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
const MACAROON: HeaderName = HeaderName::from_static("grpc-metadata-macaroon");

/// lnd behind its REST port.
#[derive(Debug)]
pub(super) struct Rest {
    http: Http<Web>,
    macaroon: Watched<Credential>,
}

/// A macaroon, and the header in which it is shown.
struct Credential {
    macaroon: Macaroon,
    header: HeaderValue,
}

/// A macaroon's file.
fn credential(file: &[u8]) -> Result<Credential, Unusable> {
    let macaroon = macaroon::read(file)?;
    let text = macaroon.to_bytes().to_lower_hex_string();
    let mut header = HeaderValue::try_from(text).expect("hexadecimal digits fit in a header");
    header.set_sensitive(true);
    Ok(Credential { macaroon, header })
}

impl Rest {
    pub(super) fn new(web: Web, macaroon: Kept) -> Self {
        Self { http: Http::new(web), macaroon: Watched::new(macaroon, credential) }
    }

    /// What the macaroon allows.
    pub(super) fn allowed(&self) -> Result<Allowed, NodeError> {
        let credential = self.macaroon.now().map_err(|source| {
            fault::error(NodeErrorKind::Unauthorized, Trouble::NoMacaroon(source))
        })?;
        Ok(Allowed::by(&credential.macaroon))
    }

    /// Refuses unless the wallet is open and lnd has started. Needs no permission.
    pub(super) async fn ready(&self) -> Result<(), NodeError> {
        let state = self.state().await?;
        let trouble = match state.as_str() {
            "SERVER_ACTIVE" => return Ok(()),
            "LOCKED" => Trouble::Locked,
            "NON_EXISTING" => Trouble::NoWallet,
            _ => Trouble::Starting(state),
        };
        Err(fault::error(NodeErrorKind::Unreachable, trouble))
    }

    /// How far it has come, in its own word.
    pub(super) async fn state(&self) -> Result<String, NodeError> {
        let call = Call::get("/v1/state");
        let State { state } =
            self.unsigned(call, "/lnrpc.State/GetState").await.map_err(Fault::at_first)?;
        Ok(state)
    }

    pub(super) async fn info(&self) -> Result<Info, Fault> {
        self.query(Call::get("/v1/getinfo"), macaroon::INFO).await
    }

    /// The same, and what lnd's clock showed.
    pub(super) async fn info_and_clock(&self) -> Result<(Info, Option<SystemTime>), Fault> {
        let (info, clock) = self.dated(Call::get("/v1/getinfo"), macaroon::INFO).await?;
        Ok((info, clock))
    }

    pub(super) async fn add_invoice(&self, invoice: &AddInvoice<'_>) -> Result<Added, Fault> {
        self.query(Call::post("/v1/invoices", invoice), macaroon::ADD).await
    }

    /// Finds out the network by an invoice that nobody will pay.
    pub(super) async fn network_of_an_invoice(&self) -> Result<Network, NodeError> {
        let probe = AddInvoice {
            memo: "which network is this?",
            value_msat: "1000".to_owned(),
            expiry: "1".to_owned(),
            private: false,
        };
        let Added { payment_request } = self.add_invoice(&probe).await?;
        match Invoice::parse(&payment_request) {
            Ok(invoice) => Ok(invoice.network()),
            Err(source) => {
                Err(NodeError::new(super::NAME, NodeErrorKind::Protocol).because(source))
            }
        }
    }

    /// Asks for something that no money hangs on.
    pub(super) async fn query<T: DeserializeOwned>(
        &self,
        call: Call,
        name: &'static str,
    ) -> Result<T, Fault> {
        Ok(self.dated(call, name).await?.0)
    }

    async fn dated<T: DeserializeOwned>(
        &self,
        call: Call,
        name: &'static str,
    ) -> Result<(T, Option<SystemTime>), Fault> {
        self.dated_as_is(self.signed(call)?, name).await
    }

    /// Asks what may be asked without a macaroon.
    pub(super) async fn unsigned<T: DeserializeOwned>(
        &self,
        call: Call,
        name: &'static str,
    ) -> Result<T, Fault> {
        Ok(self.dated_as_is(call, name).await?.0)
    }

    async fn dated_as_is<T: DeserializeOwned>(
        &self,
        call: Call,
        name: &'static str,
    ) -> Result<(T, Option<SystemTime>), Fault> {
        let answer = within_reason(self.http.ask(&call)).await?;
        let Answer { status, body, clock } = answer;
        if status.is_success() {
            return Ok((read(status, &body)?, clock));
        }
        Err(self.refused(refusal(status, &body)?, name))
    }

    /// Asks, once, for something that may not be done twice.
    pub(super) async fn order<T: DeserializeOwned>(
        &self,
        call: Call,
        name: &'static str,
    ) -> Result<T, Fault> {
        let call = self.signed(call)?;
        let Answer { status, body, .. } = self.http.order(&call).await.map_err(Fault::NoAnswer)?;
        if status.is_success() {
            return read(status, &body);
        }
        Err(self.refused(refusal(status, &body)?, name))
    }

    /// A refusal. Where it is of the macaroon, another one may have taken its place.
    fn refused(&self, refusal: Refusal, call: &'static str) -> Fault {
        if refusal.is_of_the_macaroon() {
            self.macaroon.doubt();
        }
        Fault::Refused { refusal, call }
    }

    /// The first message of a stream.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        call: Call,
        name: &'static str,
    ) -> Result<T, Fault> {
        let call = self.signed(call)?;
        let Answer { status, body, .. } =
            self.http.first_line(&call).await.map_err(Fault::NoAnswer)?;
        match message(status, &body, name) {
            Err(Fault::Refused { refusal, call }) => Err(self.refused(refusal, call)),
            message => message,
        }
    }

    /// The messages of a stream that goes on. lnd says nothing at all before the first one.
    pub(super) async fn messages(&self, call: Call, name: &'static str) -> Result<Messages, Fault> {
        let call = self.signed(call)?;
        let lines = self.http.lines(&call).await.map_err(Fault::NoAnswer)?;
        Ok(Messages { lines, name })
    }

    fn signed(&self, call: Call) -> Result<Call, Fault> {
        let credential = self.macaroon.now().map_err(Fault::Macaroon)?;
        Ok(call.with(MACAROON, credential.header.clone()))
    }
}

/// A stream of lnd's messages.
#[derive(Debug)]
pub(super) struct Messages {
    lines: Lines,
    name: &'static str,
}

impl Messages {
    /// The next one; none when lnd ends the stream.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        let status = self.lines.status;
        let Some(line) = self.lines.next().await.map_err(Fault::NoAnswer)? else { return Ok(None) };
        message(status, &line, self.name).map(Some)
    }
}

/// A line of a stream.
fn message<T: DeserializeOwned>(
    status: http::StatusCode,
    line: &[u8],
    name: &'static str,
) -> Result<T, Fault> {
    match read(status, line)? {
        Line { result: Some(message), error: None } if status.is_success() => Ok(message),
        Line { error: Some(refusal), .. } => Err(Fault::Refused { refusal, call: name }),
        Line { .. } => Err(Fault::Refused { refusal: read(status, line)?, call: name }),
    }
}

pub(super) async fn within_reason<T>(
    answer: impl Future<Output = Result<T, NoAnswer>>,
) -> Result<T, Fault> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(Fault::NoAnswer),
        Err(_) => Err(Fault::TimedOut),
    }
}

/// An error is the same for a stream and for a single answer, but for its wrapping.
fn refusal(status: http::StatusCode, body: &[u8]) -> Result<Refusal, Fault> {
    match read(status, body)? {
        Line::<Refusal> { error: Some(refusal), .. } => Ok(refusal),
        Line { .. } => read(status, body),
    }
}

fn read<T: DeserializeOwned>(status: http::StatusCode, body: &[u8]) -> Result<T, Fault> {
    let strange = |source| Fault::Strange { status: status.as_u16(), source };
    serde_json::from_slice(body).map_err(strange)
}
