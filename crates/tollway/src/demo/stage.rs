//! What the demo plays on: two nodes with a channel, a weather API, and a gateway in front of it
//! that sells it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use l402::{Keyring, MasterKey};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollway_client::{Client, SqliteWallet, Terms};
use tollway_gateway::{Config, Gateway, Stopped};
use tollway_ldk::{Devnet, DevnetConfig, EmbeddedNode};

use crate::demo::weather::Weather;
use crate::failure::Failure;

/// Everything, running.
pub(crate) struct Stage {
    pub(crate) devnet: Devnet,
    weather: Weather,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    gateway: JoinHandle<Stopped>,
}

impl Stage {
    /// Brings it all up.
    pub(crate) async fn set() -> Result<Self, Failure> {
        let starting =
            |source| Failure::Io { what: "opening a port on this machine".into(), source };
        let devnet = Devnet::start(DevnetConfig::default()).await?;
        let weather = Weather::start().await.map_err(starting)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(starting)?;
        let address = listener.local_addr().map_err(starting)?;
        let text = configuration(weather.address());
        let config = Config::read(&text).map_err(|mistakes| Failure::Config {
            path: PathBuf::from("(the demo's)"),
            mistakes,
        })?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| starting(io::Error::other(error)))?;
        let keyring = Keyring::new(MasterKey::new(key), vec![]);
        let seller = devnet.nodes()[1].node.clone();
        let gateway = Gateway::open(&config, seller, keyring).await?;
        let (stop, mut stopped) = watch::channel(false);
        let stopping = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        let gateway = tokio::spawn(async move { gateway.serve(listener, stopping).await });
        Ok(Self { devnet, weather, address, stop, gateway })
    }

    /// A URL of the gateway.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where the API itself is, which nobody outside should see.
    pub(crate) fn upstream(&self) -> SocketAddr {
        self.weather.address()
    }

    /// Alice, who buys.
    pub(crate) fn buyer(&self) -> &Arc<EmbeddedNode> {
        &self.devnet.nodes()[0].node
    }

    /// A client that pays with alice's node.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let wallet = SqliteWallet::open(self.devnet.folder().join("wallet.sqlite")).await?;
        let terms = Terms::up_to("100 sat".parse().expect("an amount"));
        Ok(Client::builder(Arc::new(wallet), terms).payer(self.buyer().clone()).build()?)
    }

    /// Takes it all down, in good order.
    pub(crate) async fn clear(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.gateway.await {
            tracing::error!(%error, "the gateway did not end well");
        }
        self.devnet.stop().await;
    }
}

fn configuration(upstream: SocketAddr) -> String {
    format!(
        "[[service]]\n\
         name = \"weather\"\n\
         upstream = \"http://{upstream}\"\n\
         price = \"10 sat\"\n\
         free = [\"/health\", \"/echo\"]\n\
         valid_for = \"1h\"\n"
    )
}
