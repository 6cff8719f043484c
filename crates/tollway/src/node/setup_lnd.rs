//! The steps of `tollway node setup lnd`. Each finds out first whether it is done already, so that the
//! command can be run again wherever it stopped; nothing that is there is overwritten.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hex::DisplayHex;
use l402::{Network, Secret};
use tokio::time::{Instant, sleep};
use tollway_nodes::{LndPart, LndSetup, LndState};

use super::SetupFailure;
use crate::failure::Failure;
use crate::files::write_private;

/// How long lnd may take to start, and to open its wallet.
const START: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_millis(200);
/// Where neutrino nodes on mainnet learn what the chain costs, in lnd's own documentation.
const FEES: &str = "https://nodes.lightning.computer/fees/v1/btc-fee-estimates.json";

/// What is wanted.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) folder: PathBuf,
    pub(crate) network: Network,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) grpc_port: u16,
    /// Nodes of the chain to follow it by, `host:port`.
    pub(crate) chain_peers: Vec<String>,
    pub(crate) parts: Vec<LndPart>,
}

impl Plan {
    pub(crate) fn conf(&self) -> PathBuf {
        self.folder.join("lnd.conf")
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.join("tls.cert")
    }

    fn password(&self) -> PathBuf {
        self.folder.join("wallet-password")
    }

    fn admin(&self) -> PathBuf {
        self.folder.join(format!("data/chain/bitcoin/{}/admin.macaroon", self.network))
    }

    /// The macaroon that we use.
    pub(crate) fn macaroon(&self) -> PathBuf {
        self.folder.join(format!("tollway-{}.macaroon", self.network))
    }

    /// The node's URL, when all is done.
    pub(crate) fn url(&self) -> String {
        let (cert, macaroon) = (self.cert(), self.macaroon());
        let at = format!("{}:{}", self.host, self.port);
        format!(
            "lnd://{at}?network={}&cert=file:{}&macaroon=file:{}",
            self.network,
            cert.display(),
            macaroon.display()
        )
    }

    /// What lnd is told.
    pub(crate) fn conf_text(&self) -> String {
        let Self { network, host, port, grpc_port, .. } = self;
        let mut text = format!(
            "[Application Options]\n\
             # Calls are taken from this machine only.\n\
             restlisten={host}:{port}\n\
             rpclisten={host}:{grpc_port}\n\
             # Other nodes are called by this one; it can be paid all the same.\n\
             nolisten=true\n\
             # The wallet is opened with this password when lnd starts.\n\
             wallet-unlock-password-file={}\n\
             wallet-unlock-allow-create=true\n\
             tlsautorefresh=true\n\
             tlsdisableautofill=true\n\n\
             [Bitcoin]\n\
             bitcoin.{network}=true\n\
             # The chain is followed by compact block filters: no Bitcoin node is needed.\n\
             bitcoin.node=neutrino\n",
            self.password().display()
        );
        if !self.chain_peers.is_empty() {
            text.push_str("\n[neutrino]\n");
            for peer in &self.chain_peers {
                text.push_str(&format!("neutrino.addpeer={peer}\n"));
            }
        }
        if *network == Network::Mainnet {
            text.push_str(&format!("\n[fee]\nfee.url={FEES}\n"));
        }
        text
    }

    /// Writes lnd.conf and the wallet's password. An lnd that has a wallet keeps its own.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        if self.admin().exists() {
            return Ok(());
        }
        let io = |path: &Path| {
            let what = format!("writing {}", path.display());
            move |source| Failure::Io { what, source }
        };
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(&self.folder).map_err(io(&self.folder))?;
        let conf = self.conf();
        match std::fs::read_to_string(&conf) {
            Ok(there) if there == self.conf_text() => {}
            Ok(_) => return Err(SetupFailure::OtherConf(conf).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_private(&conf, self.conf_text().as_bytes()).map_err(io(&conf))?;
            }
            Err(error) => return Err(io(&conf)(error)),
        }
        let password = self.password();
        if !password.exists() {
            let mut random = [0; 32];
            getrandom::fill(&mut random).expect("the system has randomness");
            let text = Secret::new(random.to_lower_hex_string());
            write_private(&password, text.expose().as_bytes()).map_err(io(&password))?;
        }
        Ok(())
    }

    /// Starts lnd, detached from this process, unless it answers already. Gives its process's number.
    pub(crate) async fn start(&self, lnd: &Path) -> Result<Option<u32>, Failure> {
        if self.setup().state().await.is_ok() {
            return Ok(None);
        }
        let child = Command::new(lnd)
            .arg(format!("--lnddir={}", self.folder.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|source| Failure::Io {
                what: format!("starting {}", lnd.display()),
                source,
            })?;
        Ok(Some(child.id()))
    }

    pub(crate) fn setup(&self) -> LndSetup {
        LndSetup::new(&self.host, self.port, &self.cert())
    }

    /// Waits until lnd has come to one of these states.
    pub(crate) async fn reaches(&self, states: &[LndState]) -> Result<LndState, Failure> {
        let deadline = Instant::now() + START;
        loop {
            let state = self.setup().state().await;
            match state {
                Ok(state) if states.contains(&state) => return Ok(state),
                _ if Instant::now() < deadline => sleep(OFTEN).await,
                Ok(state) => {
                    let log = self.folder.join(format!("logs/bitcoin/{}/lnd.log", self.network));
                    return Err(SetupFailure::Stuck { state, log }.into());
                }
                Err(error) => return Err(SetupFailure::Silent(error).into()),
            }
        }
    }

    /// Creates the wallet of a seed that its owner has seen.
    pub(crate) async fn create(&self, seed: &tollway_nodes::Seed) -> Result<(), Failure> {
        let path = self.password();
        let password = std::fs::read_to_string(&path).map_err(|source| Failure::Io {
            what: format!("reading {}", path.display()),
            source,
        })?;
        let created = self.setup().create_wallet(seed, &Secret::new(password)).await;
        Ok(created.map_err(SetupFailure::Silent)?)
    }

    /// Bakes the least macaroon for what is wanted, unless it is there. Gives its root key's number.
    pub(crate) async fn bake(&self) -> Result<Option<u64>, Failure> {
        let macaroon = self.macaroon();
        if macaroon.exists() {
            return Ok(None);
        }
        // lnd writes its own a moment after its wallet is open.
        let deadline = Instant::now() + START;
        while !self.admin().exists() && Instant::now() < deadline {
            sleep(OFTEN).await;
        }
        let mut random = [0; 4];
        getrandom::fill(&mut random).expect("the system has randomness");
        // Not 0: lnd's own macaroons hang on that one, and it cannot be deleted.
        let root_key = u64::from(u32::from_be_bytes(random)) + 1;
        let baked = self.setup().bake(&self.admin(), &self.parts, root_key).await;
        let baked = baked.map_err(SetupFailure::Silent)?;
        write_private(&macaroon, &baked).map_err(|source| Failure::Io {
            what: format!("writing {}", macaroon.display()),
            source,
        })?;
        Ok(Some(root_key))
    }
}

/// The first `lnd` on the search path.
pub(crate) fn find(path: Option<&str>) -> Option<PathBuf> {
    let folders = std::env::split_paths(path?);
    folders.map(|folder| folder.join("lnd")).find(|lnd| lnd.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(network: Network) -> Plan {
        Plan {
            folder: PathBuf::from("/l"),
            network,
            host: "127.0.0.1".to_owned(),
            port: 8080,
            grpc_port: 10009,
            chain_peers: vec!["10.0.0.1:38333".to_owned()],
            parts: vec![LndPart::Buyer],
        }
    }

    #[test]
    fn lnd_is_told_to_follow_the_chain_by_itself_and_to_listen_here_only() {
        let text = plan(Network::Signet).conf_text();
        for line in [
            "restlisten=127.0.0.1:8080",
            "nolisten=true",
            "bitcoin.signet=true",
            "bitcoin.node=neutrino",
            "neutrino.addpeer=10.0.0.1:38333",
            "wallet-unlock-password-file=/l/wallet-password",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(
            !text.contains("fee.url") && plan(Network::Mainnet).conf_text().contains("fee.url")
        );
    }

    #[test]
    fn the_url_names_places_and_no_secrets() {
        assert_eq!(
            plan(Network::Testnet).url(),
            "lnd://127.0.0.1:8080?network=testnet&cert=file:/l/tls.cert\
             &macaroon=file:/l/tollway-testnet.macaroon"
        );
    }
}
