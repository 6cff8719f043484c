//! A chain source that asks an Esplora server by HTTP, as `https://blockstream.info/api` or
//! `https://mempool.space/signet/api`. It is told which transactions and addresses are the node's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bdk_esplora::EsploraAsyncExt;
use bdk_esplora::esplora_client::{AsyncClient, Builder, Error, convert_fee_rate};
use bdk_wallet::KeychainKind;
use bdk_wallet::chain::spk_client::{FullScanRequest, FullScanResponse, SyncRequest, SyncResponse};
use bitcoin::{BlockHash, FeeRate, Transaction};
use lightning::chain::Filter;
use lightning_transaction_sync::EsploraSyncClient;

use super::address::{Form, ServerUrlError, shown};
use super::source::{ChainError, ChainSource, Follow, Part, Tip, Transactions, is_known};
use super::{STOP_GAP, feerate_from, not_followed, polled};
use crate::log::Log;

const FORM: Form =
    Form { tls: "https", plain: "http", example: "https://blockstream.info/api", path: true };
/// How long one request may take, in seconds.
const PATIENCE_SECS: u64 = 30;
/// A server that says it is busy is asked again so often, each time after a longer while.
const RETRIES: usize = 4;
/// So many requests at the same time.
const AT_ONCE: usize = 4;

/// A client of one Esplora server. Clones share its connections.
#[derive(Clone)]
pub struct Esplora {
    client: AsyncClient,
    address: String,
    poll: Duration,
}

impl Esplora {
    /// A client for this URL, which asks for the tip every `poll`; the first call connects.
    ///
    /// # Errors
    /// [`ServerUrlError`]: what is wrong with the URL.
    pub fn new(url: &str, poll: Duration) -> Result<Self, ServerUrlError> {
        let parsed = FORM.read(url)?;
        let builder = Builder::new(url.trim_end_matches('/'));
        let client = builder.timeout(PATIENCE_SECS).max_retries(RETRIES).build_async();
        let client = client.map_err(|_| ServerUrlError::NotAUrl(FORM.example))?;
        Ok(Self { client, address: shown(&parsed), poll })
    }

    /// What an error means to the node.
    fn failed(&self, method: &'static str, error: Error) -> ChainError {
        failed(&self.address, method, error)
    }
}

fn failed(address: &str, method: &'static str, error: Error) -> ChainError {
    match error {
        Error::HttpResponse { status: 401 | 403, .. } => {
            ChainError::Unauthorized { address: address.to_owned() }
        }
        Error::HttpResponse { status, message } if status < 500 && status != 429 => {
            ChainError::Protocol { method, answer: format!("HTTP status {status}: {message:.200}") }
        }
        Error::Reqwest(_) | Error::HttpResponse { .. } => {
            ChainError::Unreachable { address: address.to_owned(), source: Box::new(error) }
        }
        other => ChainError::Protocol { method, answer: other.to_string() },
    }
}

impl fmt::Debug for Esplora {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Esplora").field(&self.address).finish()
    }
}

#[async_trait]
impl ChainSource for Esplora {
    async fn genesis(&self) -> Result<BlockHash, ChainError> {
        self.client.get_block_hash(0).await.map_err(|e| self.failed("block-height", e))
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        let hash = self.client.get_tip_hash().await;
        let hash = hash.map_err(|e| self.failed("blocks/tip/hash", e))?;
        let status = self.client.get_block_status(&hash).await;
        let height = status.map_err(|e| self.failed("block/status", e))?.height;
        let gone = || ChainError::Protocol {
            method: "block/status",
            answer: format!("that its newest block {hash} is not in the best chain; asking again"),
        };
        Ok(Tip { hash, height: height.ok_or_else(gone)? })
    }

    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError> {
        let mut first = Ok(());
        for tx in txs {
            let sent = match self.client.broadcast(tx).await {
                Err(Error::HttpResponse { status: 400, message }) if !is_known(&message) => {
                    Err(ChainError::Refused { txid: tx.compute_txid(), why: message })
                }
                Ok(()) | Err(Error::HttpResponse { status: 400, .. }) => Ok(()),
                Err(error) => Err(self.failed("tx", error)),
            };
            first = first.and(sent);
        }
        // A parent that pays too little alone may be paid for by its child.
        if matches!(first, Err(ChainError::Refused { .. })) && txs.len() > 1 {
            match self.client.submit_package(txs, None, None).await {
                Ok(result) if result.package_msg == "success" => return Ok(()),
                Ok(result) => tracing::debug!(why = result.package_msg, "a package was refused"),
                // Not every server takes packages.
                Err(error) => tracing::debug!(%error, "a package was not taken"),
            }
        }
        first
    }

    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        let estimates = self.client.get_fee_estimates().await;
        let estimates = estimates.map_err(|e| self.failed("fee-estimates", e))?;
        Ok(feerate_from(convert_fee_rate(blocks.into(), estimates).map(f64::from)))
    }

    async fn changed(&self, seen: BlockHash) {
        polled(self.poll, seen, || async {
            let newest = self.client.get_tip_hash().await;
            newest.map_err(|error| self.failed("blocks/tip/hash", error))
        })
        .await;
    }

    fn follow(&self) -> Follow<'_> {
        let sync = EsploraSyncClient::from_client(self.client.clone(), Arc::new(Log));
        Follow::Transactions(Box::new(Asked {
            sync: Arc::new(sync),
            address: self.address.clone(),
        }))
    }
}

/// One node's questions.
struct Asked {
    sync: Arc<EsploraSyncClient<Arc<Log>>>,
    address: String,
}

impl Asked {
    fn failed(&self, error: Error) -> ChainError {
        failed(&self.address, "scripthash/txs", error)
    }
}

#[async_trait]
impl Transactions for Asked {
    fn filter(&self) -> Arc<dyn Filter + Send + Sync> {
        Arc::clone(&self.sync) as _
    }

    async fn sync(&self, parts: Vec<Part>) -> Result<(), ChainError> {
        let synced = self.sync.sync(parts).await;
        synced.map_err(|error| not_followed(&self.address, error))
    }

    async fn wallet(
        &self,
        request: SyncRequest<(KeychainKind, u32)>,
    ) -> Result<SyncResponse, ChainError> {
        let client = self.sync.client();
        client.sync(request, AT_ONCE).await.map_err(|error| self.failed(*error))
    }

    async fn scan(
        &self,
        request: FullScanRequest<KeychainKind>,
    ) -> Result<FullScanResponse<KeychainKind>, ChainError> {
        let client = self.sync.client();
        client.full_scan(request, STOP_GAP, AT_ONCE).await.map_err(|error| self.failed(*error))
    }
}
