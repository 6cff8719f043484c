//! A purse for the user it belongs to: what it tells of its node. Channels are the business of the
//! node's own URL.

use std::sync::Arc;

use async_trait::async_trait;
use l402::operator::{About, Balance, OperateError, Right, Rights, Transfer};
use l402::purse::Info;
use l402::{NodeError, Operator};
use serde::de::DeserializeOwned;

use super::{NAME, query, read};
use crate::http::{Call, Http, UnixSocket};

/// A purse that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) http: Arc<Http<UnixSocket>>,
}

impl Owner {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, NodeError> {
        read(query(&self.http, &Call::get(path)).await?)
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
}
