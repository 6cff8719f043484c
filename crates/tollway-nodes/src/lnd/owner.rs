//! lnd for its owner: what it is, what it has, and its channels.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use l402::operator::{
    About, Balance, Channel, ChannelOrder, Close, Closing, Opening, OperateError, Quote, Right,
    Rights, Sent, Transfer, Withdrawal,
};
use l402::{NodeError, Operator, Sat};
use serde_json::json;
use tokio::time::timeout;
use url::form_urlencoded;

use super::books::{
    Channels, CloseUpdate, Coins, CoinsSent, FeeEstimate, Invoices, Liquidity, NewAddress, Nothing,
    Opened, Payments, Pending,
};
use super::fault::Fault;
use super::macaroon::{self, BUYER, OBSERVER, SELLER};
use super::rest::{ANSWER, Rest};
use super::{NAME, wire::Info};
use crate::http::Call;
use crate::remote::{failed, newest_first};

/// Within so many blocks money that is sent should be in one.
const SOON: u32 = 6;

/// An lnd that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    rest: Arc<Rest>,
}

impl Owner {
    pub(super) fn new(rest: Arc<Rest>) -> Self {
        Self { rest }
    }

    async fn pending(&self) -> Result<Pending, NodeError> {
        Ok(self.rest.query(Call::get("/v1/channels/pending"), macaroon::PENDING).await?)
    }
}

fn about(info: Info, before: SystemTime, clock: Option<SystemTime>) -> About {
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    About {
        id: info.identity_pubkey.parse().ok(),
        network: info.network().ok(),
        alias: text(info.alias),
        version: text(info.version),
        height: Some(info.block_height),
        synced: Some(info.synced_to_chain),
        peers: Some(info.num_peers),
        clock_ahead_s: clock.map(|clock| About::clock_ahead(clock, before, SystemTime::now())),
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        self.rest.ready().await?;
        let before = SystemTime::now();
        let (info, clock) = self.rest.info_and_clock().await.map_err(NodeError::from)?;
        Ok(about(info, before, clock))
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        let allowed = self.rest.allowed()?;
        Ok(Rights {
            pay: Right::unless(allowed.lacks(&BUYER)),
            be_paid: Right::unless(allowed.lacks(&SELLER)),
            observe: Right::unless(allowed.lacks(&OBSERVER)),
            too_wide: allowed.too_wide(),
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let liquidity = self.rest.query(Call::get("/v1/balance/channels"), macaroon::LIQUIDITY);
        let liquidity: Liquidity = liquidity.await.map_err(NodeError::from)?;
        let coins = self.rest.query(Call::get("/v1/balance/blockchain"), macaroon::COINS);
        let coins: Coins = coins.await.map_err(NodeError::from)?;
        let msat = l402::Msat::from_msat;
        Ok(Balance {
            outbound: Some(msat(liquidity.local_balance.msat)),
            inbound: Some(msat(liquidity.remote_balance.msat)),
            onchain: Some(Sat::from_sat(coins.confirmed_balance)),
            unconfirmed: Some(Sat::from_sat(coins.unconfirmed_balance)),
            closing: Some(Sat::from_sat(self.pending().await?.total_limbo_balance)),
        })
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        let open = self.rest.query(Call::get("/v1/channels"), macaroon::CHANNELS);
        let open: Channels = open.await.map_err(NodeError::from)?;
        let open = open.channels.into_iter().map(Channel::from);
        Ok(open.chain(self.pending().await?.channels()).collect())
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let path =
            format!("/v1/payments?include_incomplete=true&reversed=true&max_payments={most}");
        let sent = self.rest.query(Call::get(path), macaroon::PAYMENTS);
        let sent: Payments = sent.await.map_err(NodeError::from)?;
        let path = format!("/v1/invoices?reversed=true&num_max_invoices={most}");
        let asked = self.rest.query(Call::get(path), macaroon::INVOICES);
        let asked: Invoices = asked.await.map_err(NodeError::from)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let received = asked.invoices.into_iter().map(|asked| asked.seen_at(now.as_secs()));
        let sent = sent.payments.into_iter().map(Transfer::from);
        Ok(newest_first(sent.chain(received), most))
    }

    async fn address(&self) -> Result<String, OperateError> {
        let made = self.rest.query(Call::get("/v1/newaddress"), macaroon::ADDRESS);
        let made: NewAddress = made.await.map_err(NodeError::from)?;
        Ok(made.address)
    }

    async fn open_channel(&self, order: &ChannelOrder) -> Result<Opening, OperateError> {
        if let Some(host) = &order.at {
            let to = json!({ "addr": { "pubkey": order.peer.to_string(), "host": host } });
            let connected = self.rest.query(Call::post("/v1/peers", &to), macaroon::CONNECT).await;
            match connected {
                Ok(Nothing {}) => {}
                Err(Fault::Refused { refusal, .. }) if refusal.is_already_connected() => {}
                Err(fault) => return Err(NodeError::from(fault).into()),
            }
        }
        let channel = json!({
            "node_pubkey": BASE64_STANDARD.encode(order.peer.0),
            "local_funding_amount": order.amount.sat().to_string(),
            "push_sat": order.push.sat().to_string(),
            "private": !order.public,
        });
        let opened = self.rest.order(Call::post("/v1/channels", &channel), macaroon::OPEN);
        let opened = timeout(ANSWER, opened).await.unwrap_or(Err(Fault::TimedOut));
        let opened: Opened =
            opened.map_err(|fault| failed(fault.is_lost(), fault, OperateError::MayHaveOpened))?;
        Ok(Opening { transaction: opened.transaction() })
    }

    async fn close_channel(&self, id: &str, how: Close) -> Result<Closing, OperateError> {
        let no_such = || OperateError::NoSuchChannel { id: id.to_owned() };
        let known = self.channels().await?;
        if !known.iter().any(|channel| channel.id == id) {
            return Err(no_such());
        }
        let (transaction, output) = id.split_once(':').ok_or_else(no_such)?;
        let force = how == Close::Alone;
        let path = format!("/v1/channels/{transaction}/{output}?force={force}");
        let update = self.rest.stream::<CloseUpdate>(Call::delete(path), macaroon::CLOSE);
        match timeout(ANSWER, update).await {
            Ok(update) => {
                Ok(Closing { transaction: update.map_err(NodeError::from)?.transaction() })
            }
            Err(_) => Err(NodeError::from(Fault::TimedOut).into()),
        }
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        let said_by_us = Quote { sat_per_vbyte: order.sat_per_vbyte, ..Quote::default() };
        // lnd tells the fee of an amount at its own rate, and no other.
        let (Some(amount), None) = (order.amount, order.sat_per_vbyte) else {
            return Ok(Quote { amount: order.amount, ..said_by_us });
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair(&format!("AddrToAmount[{}]", order.address), &amount.sat().to_string())
            .append_pair("target_conf", &SOON.to_string())
            .finish();
        let fee =
            self.rest.query(Call::get(format!("/v1/transactions/fee?{query}")), macaroon::ESTIMATE);
        let fee: FeeEstimate = fee.await.map_err(NodeError::from)?;
        Ok(Quote {
            amount: Some(amount),
            fee: Some(Sat::from_sat(fee.fee_sat)),
            sat_per_vbyte: u32::try_from(fee.sat_per_vbyte).ok().filter(|rate| *rate > 0),
        })
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let mut coins = json!({ "addr": order.address, "label": "tollway" });
        match order.amount {
            Some(amount) => coins["amount"] = amount.sat().to_string().into(),
            None => coins["send_all"] = true.into(),
        }
        match order.sat_per_vbyte {
            Some(rate) => coins["sat_per_vbyte"] = rate.to_string().into(),
            None => coins["target_conf"] = SOON.into(),
        }
        let sent = self.rest.order(Call::post("/v1/transactions", &coins), macaroon::SEND_COINS);
        let sent = timeout(ANSWER, sent).await.unwrap_or(Err(Fault::TimedOut));
        let CoinsSent { txid } =
            sent.map_err(|fault| failed(fault.is_lost(), fault, OperateError::MayHaveSent))?;
        Ok(Sent { transaction: txid })
    }
}
