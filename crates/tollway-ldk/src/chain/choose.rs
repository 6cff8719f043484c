//! Which chain source a text names: `esplora:https://…`, `electrum:ssl://…`, `bitcoind:http://…`. A new
//! kind of source is a file beside this one and a line in [`KINDS`].

use std::sync::Arc;
use std::time::Duration;

use l402::Network;

use super::{ChainError, ChainSource, Electrum, Esplora, Rpc, RpcUrlError, ServerUrlError};

/// How often a server elsewhere is asked for the newest block. They are other people's, and count.
const POLL: Duration = Duration::from_secs(20);
/// How often one of a private network is.
const POLL_PRIVATE: Duration = Duration::from_millis(250);

/// A chain source that is named and not asked yet.
#[derive(Debug)]
pub struct ChosenChain(Chosen);

#[derive(Debug)]
enum Chosen {
    Ready(Arc<dyn ChainSource>),
    Electrum { url: String, poll: Duration },
}

/// The text names no chain source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainUrlError {
    /// No kind, or an unknown one.
    #[error("must begin with {}", known())]
    Kind,
    /// The address of an Esplora or Electrum server.
    #[error(transparent)]
    Server(#[from] ServerUrlError),
    /// The address of a bitcoind.
    #[error(transparent)]
    Bitcoind(#[from] RpcUrlError),
}

type Read = fn(&str, Duration) -> Result<Chosen, ChainUrlError>;

const KINDS: [(&str, Read); 3] =
    [("esplora", esplora), ("electrum", electrum), ("bitcoind", bitcoind)];

fn esplora(url: &str, poll: Duration) -> Result<Chosen, ChainUrlError> {
    Ok(Chosen::Ready(Arc::new(Esplora::new(url, poll)?)))
}

fn electrum(url: &str, poll: Duration) -> Result<Chosen, ChainUrlError> {
    Electrum::check(url)?;
    Ok(Chosen::Electrum { url: url.to_owned(), poll })
}

fn bitcoind(url: &str, _poll: Duration) -> Result<Chosen, ChainUrlError> {
    Ok(Chosen::Ready(Arc::new(Rpc::new(url)?)))
}

fn known() -> String {
    let kinds: Vec<String> = KINDS.iter().map(|(kind, _)| format!("{kind}:")).collect();
    kinds.join(", ")
}

impl ChosenChain {
    /// Reads `kind:url`. Nothing of the text is in an error: it may hold a password.
    ///
    /// # Errors
    /// [`ChainUrlError`]: which part is missing or wrong.
    pub fn read(text: &str, network: Network) -> Result<Self, ChainUrlError> {
        let poll = if network == Network::Regtest { POLL_PRIVATE } else { POLL };
        let (kind, url) = text.split_once(':').ok_or(ChainUrlError::Kind)?;
        let (_, read) = KINDS.iter().find(|(name, _)| *name == kind).ok_or(ChainUrlError::Kind)?;
        Ok(Self(read(url, poll)?))
    }

    /// Connects, where that has to be done first.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`].
    pub async fn connect(self) -> Result<Arc<dyn ChainSource>, ChainError> {
        match self.0 {
            Chosen::Ready(source) => Ok(source),
            Chosen::Electrum { url, poll } => Ok(Arc::new(Electrum::connect(&url, poll).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_by_its_own_file() {
        for good in [
            "esplora:https://mempool.space/signet/api",
            "electrum:ssl://electrum.blockstream.info:50002",
            "bitcoind:http://u:p@127.0.0.1:8332",
            "bitcoind:http://127.0.0.1:8332?cookie=file:/home/me/.bitcoin/.cookie",
            "bitcoind:http://u@127.0.0.1:8332?password=file:/p",
        ] {
            ChosenChain::read(good, Network::Signet)
                .unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for (bad, why) in [
            ("https://mempool.space/api", ChainUrlError::Kind),
            ("", ChainUrlError::Kind),
            ("bitcoind:http://u@127.0.0.1:8332", RpcUrlError::Login.into()),
            ("bitcoind:http://u:p@127.0.0.1:8332?cookie=file:/c", RpcUrlError::OneLogin.into()),
            ("bitcoind:http://u@127.0.0.1:8332?cookie=file:/c", RpcUrlError::OneLogin.into()),
            ("bitcoind:http://127.0.0.1:8332?password=file:/c", RpcUrlError::OneLogin.into()),
            ("bitcoind:http://u@127.0.0.1:8332?password=hunter2", RpcUrlError::NotAFile.into()),
            ("bitcoind:http://u@127.0.0.1:8332?colour=file:/c", RpcUrlError::Path.into()),
        ] {
            assert_eq!(ChosenChain::read(bad, Network::Signet).unwrap_err(), why, "{bad}");
        }
    }
}
