//! The node that is paid on when none is named: the embedded one, in a folder of our own.

use std::sync::Arc;

use clap::Args;
use l402::{Invoicer, Msat, Network, NodeUrl};
use url::form_urlencoded;

use crate::failure::Failure;
use crate::nodes;
use crate::shell::Shell;

// What may be said about it.
#[derive(Args, Debug)]
pub(crate) struct OwnNode {
    /// Without `--node`: the network of the node that runs in this process, `mainnet`, `testnet`, `signet` or `regtest`
    #[arg(long, value_name = "NETWORK", default_value = "mainnet", conflicts_with = "node")]
    network: Network,

    /// Without `--node`: where that node sees the chain, as `esplora:https://...`, `electrum:ssl://...` or `bitcoind:http://...`; a public Esplora unless given
    #[arg(long, value_name = "SOURCE", conflicts_with = "node")]
    chain: Option<String>,

    /// Without `--node`: who opens a channel to it when the first payment comes (LSPS2), as `<public key>@<host>:<port>`
    #[arg(long, value_name = "PROVIDER", conflicts_with = "node")]
    lsp: Option<String>,
}

impl OwnNode {
    /// Opens it, and says where it is. A node that nobody can pay is refused: its 402s would be bills that
    /// cannot be settled.
    pub(crate) async fn open(&self, shell: &Shell) -> Result<Arc<dyn Invoicer>, Failure> {
        let chain = self.chain.as_deref().or(public_chain(self.network));
        let chain = chain.ok_or(Failure::NoChain)?;
        let folder = shell.need_folder()?.join("node").join(self.network.to_string());
        shell.say(&format!(
            "paid on the embedded node in {}, on {}; it sees the chain by {chain}",
            folder.display(),
            self.network
        ));
        let text = url(&folder.display().to_string(), self.network, chain, self.lsp.as_deref());
        let url = NodeUrl::new(text.as_str());
        let node = nodes::open(&url, shell).await?;
        if self.lsp.is_none()
            && let Some(operator) = &node.operator
        {
            // Peers are still being dialled, so whether a channel can be used now says nothing.
            let channels = operator.channels().await;
            if channels.is_ok_and(|all| all.iter().all(|channel| channel.inbound == Msat::ZERO)) {
                // What was given on the command line may hold a password.
                return Err(Failure::NoRoom { node: self.chain.is_none().then_some(text) });
            }
        }
        node.invoicer.ok_or_else(|| nodes::cannot(&url, "be paid").into())
    }
}

/// A server that anybody may ask. It learns which addresses and channels are the node's.
fn public_chain(network: Network) -> Option<&'static str> {
    match network {
        Network::Mainnet => Some("esplora:https://mempool.space/api"),
        Network::Testnet => Some("esplora:https://mempool.space/testnet/api"),
        Network::Signet => Some("esplora:https://mempool.space/signet/api"),
        Network::Regtest => None,
    }
}

fn url(folder: &str, network: Network, chain: &str, lsp: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("network", &network.to_string()).append_pair("chain", chain);
    if let Some(lsp) = lsp {
        query.append_pair("lsp", lsp);
    }
    format!("ldk:{folder}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_what_the_flags_say() {
        let chain = "bitcoind:http://127.0.0.1:1?cookie=file:/c";
        assert_eq!(
            url("/n", Network::Regtest, chain, Some("02ab@h:9735")),
            "ldk:/n?network=regtest&chain=bitcoind%3Ahttp%3A%2F%2F127.0.0.1%3A1%3Fcookie%3Dfile%3A%2Fc&lsp=02ab%40h%3A9735"
        );
    }
}
