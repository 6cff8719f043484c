//! A chain source that asks an Electrum server, as electrs, Fulcrum or ElectrumX. It is told which
//! transactions and addresses are the node's. Its client waits for each answer, so it has threads of
//! its own to do that in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bdk_electrum::BdkElectrumClient;
use bdk_electrum::electrum_client::{Client, ConfigBuilder, ElectrumApi, Error};
use bdk_wallet::KeychainKind;
use bdk_wallet::chain::spk_client::{FullScanRequest, FullScanResponse, SyncRequest, SyncResponse};
use bitcoin::{BlockHash, FeeRate, Transaction};
use lightning::chain::Filter;
use lightning_transaction_sync::ElectrumSyncClient;
use tokio::sync::Mutex;
use url::Url;

use super::address::{Form, ServerUrlError, shown};
use super::source::{ChainError, ChainSource, Follow, Part, Tip, Transactions, is_known};
use super::{STOP_GAP, feerate_from, not_followed, polled};
use crate::log::Log;

const FORM: Form = Form {
    tls: "ssl",
    plain: "tcp",
    example: "ssl://electrum.blockstream.info:50002",
    path: false,
};
/// How long one answer may take, in seconds.
const PATIENCE_SECS: u8 = 30;
/// A lost connection is made anew so often within one question.
const RETRIES: u8 = 2;
/// So many questions in one message.
const BATCH: usize = 10;
/// An Electrum server tells fee rates in bitcoin per 1000 virtual bytes, we reckon in satoshi for one.
const PER_VBYTE: f64 = 100_000.0;

/// Whose turn it is to use the connection. `electrum-client` 0.24 can lose the word by which one waiting
/// thread makes another the reader; then all of them wait for ever, with the answer unread.
type Turn = Arc<Mutex<()>>;

/// A client of one Electrum server. Clones share its connection.
#[derive(Clone)]
pub struct Electrum {
    client: Arc<Client>,
    turn: Turn,
    address: String,
    poll: Duration,
}

impl Electrum {
    /// Reads the URL, without connecting.
    ///
    /// # Errors
    /// [`ServerUrlError`]: what is wrong with it.
    pub fn check(url: &str) -> Result<(), ServerUrlError> {
        read(url).map(drop)
    }

    /// Connects to the server at this URL; asks for the tip every `poll`.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`], also when its certificate is not for this host.
    pub async fn connect(url: &str, poll: Duration) -> Result<Self, ChainError> {
        let invalid = |error: ServerUrlError| ChainError::Unreachable {
            address: "a URL that cannot be used".to_owned(),
            source: Box::new(error),
        };
        let parsed = read(url).map_err(invalid)?;
        let (address, url) = (shown(&parsed), url.trim_end_matches('/').to_owned());
        let config = ConfigBuilder::new().timeout(Some(PATIENCE_SECS)).retry(RETRIES).build();
        let turn = Turn::default();
        let client = apart(&turn, move || Client::from_config(&url, config)).await;
        let client = client.map_err(|error| failed(&address, "connect", error))?;
        Ok(Self { client: Arc::new(client), turn, address, poll })
    }

    async fn ask<T: Send + 'static>(
        &self,
        method: &'static str,
        question: impl FnOnce(&Client) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, ChainError> {
        let client = Arc::clone(&self.client);
        let answer = apart(&self.turn, move || question(&client)).await;
        answer.map_err(|error| failed(&self.address, method, error))
    }

    async fn send(&self, tx: &Transaction) -> Result<(), ChainError> {
        let (txid, tx) = (tx.compute_txid(), tx.clone());
        let sent = self.ask("transaction.broadcast", move |client| {
            match client.transaction_broadcast(&tx) {
                Ok(_) => Ok(Ok(())),
                Err(Error::Protocol(why)) if is_known(&why.to_string()) => Ok(Ok(())),
                Err(Error::Protocol(why)) => Ok(Err(why.to_string())),
                Err(error) => Err(error),
            }
        });
        sent.await?.map_err(|why| ChainError::Refused { txid, why })
    }
}

fn read(url: &str) -> Result<Url, ServerUrlError> {
    let parsed = FORM.read(url)?;
    // Neither kind has a port of its own.
    match parsed.port() {
        Some(_) => Ok(parsed),
        None => Err(ServerUrlError::NotAUrl(FORM.example)),
    }
}

/// Runs what waits in a thread that may wait, when it is its turn. The turn lasts until the thread is
/// done, also when nobody wants the answer any more.
async fn apart<T: Send + 'static>(turn: &Turn, what: impl FnOnce() -> T + Send + 'static) -> T {
    let ours = Arc::clone(turn).lock_owned().await;
    let task = tokio::task::spawn_blocking(move || {
        let _ours = ours;
        what()
    });
    match task.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is ending, and nobody will hear the answer.
        Err(_) => std::future::pending().await,
    }
}

fn failed(address: &str, method: &'static str, error: Error) -> ChainError {
    match error {
        Error::Protocol(answer) => ChainError::Protocol { method, answer: answer.to_string() },
        other => ChainError::Unreachable { address: address.to_owned(), source: Box::new(other) },
    }
}

impl fmt::Debug for Electrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Electrum").field(&self.address).finish()
    }
}

#[async_trait]
impl ChainSource for Electrum {
    async fn genesis(&self) -> Result<BlockHash, ChainError> {
        let first = self.ask("block.header", |client| client.block_header(0)).await?;
        Ok(first.block_hash())
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        let tip = self.ask("headers.subscribe", |client| client.block_headers_subscribe()).await?;
        let height = u32::try_from(tip.height).map_err(|_| ChainError::Protocol {
            method: "headers.subscribe",
            answer: format!("height {}", tip.height),
        })?;
        Ok(Tip { hash: tip.header.block_hash(), height })
    }

    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError> {
        let mut first = Ok(());
        for tx in txs {
            first = first.and(self.send(tx).await);
        }
        // The client library has no packages: a parent that pays too little alone is not taken.
        first
    }

    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        let rate = self.ask("estimatefee", move |client| {
            match client.estimate_fee(blocks.max(1).into()) {
                Ok(rate) if rate > 0.0 => Ok(rate),
                // It has seen too few blocks to tell; what it relays at all is the best guess.
                Ok(_) | Err(Error::Protocol(_)) => client.relay_fee(),
                Err(error) => Err(error),
            }
        });
        Ok(feerate_from(Some(rate.await? * PER_VBYTE)))
    }

    async fn changed(&self, seen: BlockHash) {
        polled(self.poll, seen, || async { Ok(self.tip().await?.hash) }).await;
    }

    fn follow(&self) -> Follow<'_> {
        let sync = ElectrumSyncClient::from_client(Arc::clone(&self.client), Arc::new(Log));
        let sync = sync.expect("it is given a client that is connected");
        Follow::Transactions(Box::new(Asked {
            sync: Arc::new(sync),
            bdk: Arc::new(BdkElectrumClient::new(Arc::clone(&self.client))),
            turn: Arc::clone(&self.turn),
            address: self.address.clone(),
        }))
    }
}

/// One node's questions.
struct Asked {
    sync: Arc<ElectrumSyncClient<Arc<Log>>>,
    bdk: Arc<BdkElectrumClient<Arc<Client>>>,
    turn: Turn,
    address: String,
}

impl Asked {
    fn failed(&self, error: Error) -> ChainError {
        failed(&self.address, "scripthash.get_history", error)
    }
}

#[async_trait]
impl Transactions for Asked {
    fn filter(&self) -> Arc<dyn Filter + Send + Sync> {
        Arc::clone(&self.sync) as _
    }

    async fn sync(&self, parts: Vec<Part>) -> Result<(), ChainError> {
        let sync = Arc::clone(&self.sync);
        let synced = apart(&self.turn, move || sync.sync(parts)).await;
        synced.map_err(|error| not_followed(&self.address, error))
    }

    async fn wallet(
        &self,
        request: SyncRequest<(KeychainKind, u32)>,
    ) -> Result<SyncResponse, ChainError> {
        let bdk = Arc::clone(&self.bdk);
        let answer = apart(&self.turn, move || bdk.sync(request, BATCH, false)).await;
        answer.map_err(|error| self.failed(error))
    }

    async fn scan(
        &self,
        request: FullScanRequest<KeychainKind>,
    ) -> Result<FullScanResponse<KeychainKind>, ChainError> {
        let bdk = Arc::clone(&self.bdk);
        let answer =
            apart(&self.turn, move || bdk.full_scan(request, STOP_GAP, BATCH, false)).await;
        answer.map_err(|error| self.failed(error))
    }
}
