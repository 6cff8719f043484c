//! A purse for the user it belongs to: what it tells of its node at its own socket, and what it does
//! for the node's owner at the socket beside it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::operator::{
    About, Balance, Channel, ChannelOrder, Close, CloseOrder, Closing, Fresh, Opening,
    OperateError, Quote, Right, Rights, Sent, Transfer, Withdrawal, owner_socket,
};
use l402::purse::Info;
use l402::{NodeError, NodeErrorKind, Operator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{NAME, query, read};
use crate::http::{Call, Http, NoAnswer, UnixSocket};
use crate::remote::failed;

/// How long a node may take for an order: opening a channel takes its peer's answers too.
const ORDER: Duration = Duration::from_secs(120);

/// A purse that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    http: Arc<Http<UnixSocket>>,
    /// The owner's own socket, and where it is.
    door: Http<UnixSocket>,
    place: PathBuf,
}

/// The owner's socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is not there: channels and coins are looked after only on the machine and by the user where \
     `tollway node run` runs",
    .0.display()
)]
struct NoDoor(PathBuf);

impl Owner {
    pub(super) fn new(http: Arc<Http<UnixSocket>>, purse: PathBuf) -> io::Result<Self> {
        let place = owner_socket(&purse);
        Ok(Self { http, door: Http::new(UnixSocket::new(place.clone())?), place })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, NodeError> {
        read(query(&self.http, &Call::get(path)).await?)
    }

    /// Asks the owner's socket for something that may be asked twice.
    async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, NodeError> {
        match timeout(super::ANSWER, self.door.ask(&call)).await {
            Ok(answer) => read(answer.map_err(|no_answer| self.unanswered(no_answer))?),
            Err(_) => Err(NodeError::new(NAME, NodeErrorKind::Timeout)),
        }
    }

    /// Orders something once. The flag says whether it may have been carried out.
    async fn order<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &(impl Serialize + Sync),
    ) -> Result<T, (NodeError, bool)> {
        let call = Call::post(path, order);
        match timeout(ORDER, self.door.ask_once(&call)).await {
            Ok(Ok(answer)) => read(answer).map_err(|error| {
                let perhaps =
                    matches!(error.kind, NodeErrorKind::Timeout | NodeErrorKind::Protocol);
                (error, perhaps)
            }),
            Ok(Err(no_answer)) => {
                let lost = no_answer.is_lost();
                Err((self.unanswered(no_answer), lost))
            }
            Err(_) => Err((NodeError::new(NAME, NodeErrorKind::Timeout), true)),
        }
    }

    fn unanswered(&self, no_answer: NoAnswer) -> NodeError {
        match no_answer {
            NoAnswer::NotConnected { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                let error = NodeError::new(NAME, NodeErrorKind::Unreachable);
                error.because(NoDoor(self.place.clone()))
            }
            no_answer => no_answer.into(),
        }
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        Ok(self.get("/v1/node").await?)
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        let info: Info = self.get("/v1/info").await?;
        let remedy = "start the purse with a node that may: `tollway node run --node URL`";
        let unless = |may: bool| Right::unless((!may).then(|| remedy.to_owned()));
        Ok(Rights {
            pay: unless(info.can_pay),
            be_paid: unless(info.can_invoice),
            observe: Right::Untold,
            too_wide: None,
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        Ok(self.get("/v1/balance").await?)
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        Ok(self.get(&format!("/v1/payments?most={most}")).await?)
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        Ok(self.ask(Call::get("/v1/channels")).await?)
    }

    async fn address(&self) -> Result<String, OperateError> {
        let fresh: Fresh = self.ask(Call::post("/v1/address", &())).await?;
        Ok(fresh.address)
    }

    async fn open_channel(&self, order: &ChannelOrder) -> Result<Opening, OperateError> {
        let opened = self.order("/v1/channels", order).await;
        opened.map_err(|(error, perhaps)| failed(perhaps, error, OperateError::MayHaveOpened))
    }

    async fn close_channel(&self, id: &str, how: Close) -> Result<Closing, OperateError> {
        let id = id.to_owned();
        if !self.channels().await?.iter().any(|channel| channel.id == id) {
            return Err(OperateError::NoSuchChannel { id });
        }
        let order = CloseOrder { id, how };
        Ok(self.order("/v1/channels/close", &order).await.map_err(|(error, _)| error)?)
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        Ok(self.ask(Call::post("/v1/withdrawals/quote", order)).await?)
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let sent = self.order("/v1/withdrawals", order).await;
        sent.map_err(|(error, perhaps)| failed(perhaps, error, OperateError::MayHaveSent))
    }
}
