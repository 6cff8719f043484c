//! Who pays, from where, and how much at most: the flags that every command with a wallet has in
//! common, on top of the user's settings. A flag narrows what the settings allow; it never widens it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args;
use l402::{Msat, Network, NodeUrl, OpenError, Payer};
use tollway_client::{
    Approval, Approver, Client, ClientBuilder, KeyError, KeySource, PayerSource, Policy, Proposal,
    SchemeName, SqliteWallet, Terms, WalletKey,
};

use crate::external::{External, read_preimage};
use crate::failure::Failure;
use crate::fetch::flags::AskError;
use crate::rates::RateSource;
use crate::secrets::{Place, PlaceError};
use crate::settings::Settings;
use crate::shell::Shell;
use crate::terminal::{STRONG, escape, paint};
use crate::{flags, nodes, terminal};

/// What an invoice may ask for where nobody says anything.
const MODEST: Msat = Msat::from_msat(100_000);

// Who pays, and how much.
#[derive(Debug, Args)]
#[command(next_help_heading = "Paying")]
pub(crate) struct PayFlags {
    /// The node that pays
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,

    /// The most it may cost, routing not included; a bare number is satoshi. What the settings'
    /// policy says, or 100 sat, unless given
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    max_cost: Option<Msat>,

    /// The most that routing may cost on top; 1 % of the most it may cost, or 10 sat if that is more
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    max_fee: Option<Msat>,

    /// The most that everything this command pays for may cost together, routing included
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    budget: Option<Msat>,

    /// Ask on the terminal before more than this is paid
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    ask_above: Option<Msat>,

    /// Agree beforehand to whatever would be asked
    #[arg(long)]
    yes: bool,

    /// Pay in this scheme only: L402, LSAT or Payment; may be given several times
    #[arg(long, value_name = "SCHEME", value_parser = |text: &str| text.parse::<SchemeName>())]
    scheme: Vec<SchemeName>,

    /// Pay only where the token shows that it is for the invoice
    #[arg(long)]
    strict: bool,

    /// How many seconds a payment may take to end
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,

    #[command(flatten)]
    wallet: WalletFlags,

    /// Send the proof of payment beside an `Authorization` of the request's own (--user, --netrc,
    /// --oauth2-bearer, --header), as a line before it: for servers that are known to read both, as
    /// Tollway's gateway does. Without it such a request pays nothing
    #[arg(long)]
    second_authorization: bool,

    /// Pay and show tokens also where others can read them: over plain http to other machines, and
    /// with --insecure
    #[arg(long)]
    allow_plain_http: bool,
}

// Where the wallet is.
#[derive(Debug, Args)]
pub(crate) struct WalletFlags {
    /// Where tokens, proofs and payments not yet ended are kept
    #[arg(long, value_name = "FILE", env = "TOLLWAY_WALLET")]
    wallet: Option<PathBuf>,

    /// Where the key of a sealed wallet is: `file:PATH`, `env:NAME`, `keyring:NAME`, or `ask` to type it,
    /// as it is where none is named and somebody sits at a terminal
    #[arg(long, value_name = "SOURCE", env = "TOLLWAY_WALLET_KEY")]
    wallet_key: Option<String>,
}

/// A key that is read when a wallet turns out to be sealed.
struct Key<'a> {
    place: Place,
    shell: &'a Shell,
}

#[async_trait]
impl KeySource for Key<'_> {
    async fn key(&self) -> Result<WalletKey, KeyError> {
        let text = self.place.read(self.shell).await;
        let absent = |error: PlaceError| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            KeyError::Absent(format!("{error}{}", cause.unwrap_or_default()))
        };
        Ok(WalletKey::read(&text.map_err(absent)?))
    }
}

// A payment by somebody else's wallet.
#[derive(Debug, Args)]
#[command(next_help_heading = "Paying")]
pub(crate) struct ExternalFlags {
    /// Show the invoice, for another wallet to pay, and end with 7: the purchase is kept
    #[arg(long, conflicts_with_all = ["node", "preimage"])]
    print_invoice: bool,

    /// The proof that the invoice which was shown was paid: `file:PATH`, `env:NAME`, or `-` for stdin
    #[arg(long, value_name = "SOURCE")]
    preimage: Option<String>,

    /// On which network the other wallet pays: mainnet, testnet, signet or regtest
    #[arg(long, value_name = "NETWORK", default_value = "mainnet")]
    network: Network,
}

impl WalletFlags {
    /// Opens the wallet, and makes it where there is none.
    pub(crate) async fn open(&self, shell: &Shell) -> Result<Arc<SqliteWallet>, Failure> {
        self.open_with(&Settings::load(shell)?, shell).await
    }

    async fn open_with(
        &self,
        settings: &Settings,
        shell: &Shell,
    ) -> Result<Arc<SqliteWallet>, Failure> {
        let file = match self.wallet.as_ref().or(settings.wallet.as_ref()) {
            Some(file) => file.clone(),
            None => shell.need_folder()?.join("wallet.sqlite"),
        };
        let place = match self.wallet_key.as_ref().or(settings.wallet_key.as_ref()) {
            Some(place) => Some(place.parse()?),
            None => terminal::somebody_sits_there().then_some(Place::Terminal),
        };
        let wallet = match place {
            Some(place) => SqliteWallet::open_with(file, &Key { place, shell }).await?,
            None => SqliteWallet::open(file).await?,
        };
        Ok(Arc::new(wallet))
    }
}

impl ExternalFlags {
    fn source(
        &self,
        wallet: &Arc<SqliteWallet>,
        shell: &Shell,
    ) -> Result<Option<External>, Failure> {
        let preimage = self.preimage.as_deref().map(|source| read_preimage(source, shell));
        let preimage = preimage.transpose()?;
        if preimage.is_none() && !self.print_invoice {
            return Ok(None);
        }
        Ok(Some(External::new(self.network, preimage, Arc::clone(wallet))))
    }
}

impl PayFlags {
    /// The wallet, for a command that looks into it itself.
    pub(crate) async fn wallet(&self, shell: &Shell) -> Result<Arc<SqliteWallet>, Failure> {
        self.wallet.open(shell).await
    }

    /// A client that pays as flags and settings say. The node is opened when something is to be paid.
    pub(crate) async fn builder(&self, shell: &Shell) -> Result<ClientBuilder, Failure> {
        Ok(self.builder_with(None, shell).await?.0)
    }

    /// The same, where another wallet may be the one that pays.
    pub(crate) async fn builder_with(
        &self,
        external: Option<&ExternalFlags>,
        shell: &Shell,
    ) -> Result<(ClientBuilder, Option<External>), Failure> {
        let settings = Settings::load(shell)?;
        let policy = self.policy(&settings)?;
        let mut terms = Terms::up_to(self.max_cost.or(policy.max_cost).unwrap_or(MODEST));
        terms.max_fee = self.max_fee.or(policy.max_fee).unwrap_or(terms.max_fee);
        terms.patience = Duration::from_secs(self.patience);
        terms.require_bound = self.strict;
        let wallet = self.wallet.open_with(&settings, shell).await?;
        let external = match external {
            Some(external) => external.source(&wallet, shell)?,
            None => None,
        };
        let mut builder = Client::builder(wallet, terms).policy(policy);
        if let Some(external) = &external {
            builder = builder.payer_source(external.clone());
        } else if let Some(url) = self.node.clone().or(settings.node) {
            builder = builder.payer_source(Lazy { url: NodeUrl::new(url), shell: shell.clone() });
        }
        if self.yes {
            builder = builder.approver(Yes);
        } else if terminal::somebody_sits_there() {
            builder = builder.approver(Person { rates: settings.rates });
        }
        if let Some(budget) = self.budget {
            builder = builder.budget(budget);
        }
        if self.second_authorization {
            builder = builder.second_authorization();
        }
        if self.allow_plain_http {
            builder = builder.allow_plain_http();
        }
        Ok((builder, external))
    }

    /// What the settings allow, narrowed by the flags.
    fn policy(&self, settings: &Settings) -> Result<Policy, AskError> {
        let mut policy = settings.policy.clone();
        let both = [self.ask_above, policy.ask_above].into_iter().flatten();
        policy.ask_above = both.min();
        if !self.scheme.is_empty() {
            let allowed =
                |scheme: &&SchemeName| policy.schemes.is_empty() || policy.schemes.contains(scheme);
            let narrowed: Vec<_> = self.scheme.iter().filter(allowed).copied().collect();
            if narrowed.is_empty() {
                // An empty list would allow every scheme.
                let why = "the settings allow other schemes only";
                return Err(AskError::Together { one: "--scheme", other: "policy.schemes", why });
            }
            policy.schemes = narrowed;
        }
        Ok(policy)
    }
}

/// Whoever said yes beforehand.
struct Yes;

#[async_trait]
impl Approver for Yes {
    async fn approve(&self, _: &Proposal) -> Approval {
        Approval::Granted
    }
}

/// Whoever sits at the terminal.
struct Person {
    rates: Option<RateSource>,
}

#[async_trait]
impl Approver for Person {
    async fn approve(&self, proposal: &Proposal) -> Approval {
        let price = &proposal.price;
        let rate = match &self.rates {
            Some(rates) => rates.ask().await,
            None => None,
        };
        let worth = rate.map(|rate| format!(" ({})", rate.show(price.amount))).unwrap_or_default();
        let what = price.description.as_deref().map(escape);
        let what = what.map(|what| format!(" for “{what}”")).unwrap_or_default();
        let question = format!(
            "{} {}{} asks {}{worth} and up to {} for routing{what}. Pay?",
            proposal.method,
            proposal.origin,
            escape(&proposal.path),
            paint(STRONG, price.amount),
            price.max_fee,
        );
        match terminal::agree(question).await {
            Ok(()) => Approval::Granted,
            Err(reason) => Approval::Refused(reason.to_owned()),
        }
    }
}

/// A node that is opened when it is needed.
struct Lazy {
    url: NodeUrl,
    shell: Shell,
}

#[async_trait]
impl PayerSource for Lazy {
    async fn open(&self) -> Result<Arc<dyn Payer>, OpenError> {
        nodes::open_payer(&self.url, &self.shell).await
    }

    /// What tells one node from another. What follows `?` may be secret, or change.
    fn name(&self) -> Option<String> {
        self.url.expose().split('?').next().map(str::to_owned)
    }
}
