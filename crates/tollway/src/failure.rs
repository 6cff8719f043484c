//! Every way in which a command can fail, with the hint that goes with it. What number the shell
//! gets is decided in `exit.rs`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use l402::caveat::AttenuateError;
use l402::{InvoiceError, OpenError, PaymentHash, TokenError};
use tollway_client::transfer::{BadTokenFile, ImportError};
use tollway_client::{HttpError, KeyError, MoneyMoved, WalletError};
use tollway_gateway::{Mistakes, SecretError};
use tollway_ldk::DevnetError;
use tollway_purse::BindError;

use crate::fetch::decode::Damaged;
use crate::fetch::flags::AskError;
use crate::fetch::refusal;
use crate::fetch::sink::LONGEST_IN_JSON;
use crate::node::NodeFailure;
use crate::proxy::authority::AuthorityError;
use crate::secrets::PlaceError;
use crate::settings::BadSettings;

/// A command failed. Messages may quote hostile text: whoever prints one escapes it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Our own output could not be written.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    /// A file or a socket failed.
    #[error("{what} failed")]
    Io {
        /// What we were doing, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// No token in the text that was given.
    #[error("there is no token in {0}")]
    NoToken(&'static str),
    /// The text cannot be a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What stands behind the token's colon is not a preimage.
    #[error("what follows the token's colon is no preimage: not 64 hexadecimal digits")]
    NotAPreimage,
    /// The token is not a macaroon, so that there is nothing to see or to narrow.
    #[error("the token is no macaroon: only its server knows what it says")]
    NotAMacaroon,
    /// Narrowing one of several macaroons narrows nothing.
    #[error("the token consists of {0} macaroons; narrow each of them by itself")]
    SeveralMacaroons(usize),
    /// The caveat cannot be added.
    #[error(transparent)]
    Attenuate(#[from] AttenuateError),
    /// The text is no invoice.
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    /// The flags are no request.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Neither `$TOLLWAY_HOME` nor `$HOME` says where to keep things.
    #[error("neither TOLLWAY_HOME nor HOME is set, so there is no place to keep anything")]
    NoHome,
    /// A command needs a node and was given none.
    #[error("no node is named to {0}")]
    NoNode(&'static str),
    /// The embedded node is on a private network, which only its user knows.
    #[error("the embedded node cannot be on regtest without `--chain`: there is no public one")]
    NoChain,
    /// Nobody could pay the embedded node.
    #[error("the embedded node has no channel through which it could be paid, and no `--lsp`")]
    NoRoom {
        /// Its URL, where that holds no secret.
        node: Option<String>,
    },
    /// A node could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The wallet could not be opened.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A secret cannot be had from where it is kept, or not be kept there.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The HTTP client could not be put together.
    #[error(transparent)]
    Client(#[from] tollway_client::BuildError),
    /// A request did not end with a response.
    #[error(transparent)]
    Fetch(#[from] Box<tollway_client::Error>),
    /// The response broke off.
    #[error("the response broke off")]
    BrokeOff(#[source] HttpError),
    /// The configuration file says what it may not.
    #[error("{} cannot be used", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Everything that is wrong with it.
        mistakes: Mistakes,
    },
    /// The gateway's key cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The gateway could not be opened.
    #[error(transparent)]
    Gateway(#[from] tollway_gateway::OpenError),
    /// The door for administrators could not be opened.
    #[error(transparent)]
    AdminDoor(#[from] tollway_gateway::admin::ListenError),
    /// What an administrator asked for could not be asked.
    #[error(transparent)]
    AdminAsk(#[from] crate::admin::AskError),
    /// The gateway did not do what an administrator asked for.
    #[error(transparent)]
    AdminRefused(#[from] crate::admin::Refusal),
    /// A purse could not take its place.
    #[error(transparent)]
    Purse(#[from] BindError),
    /// A node was looked at or used, and that failed.
    #[error(transparent)]
    Node(#[from] NodeFailure),
    /// The private network did not come up.
    #[error(transparent)]
    Devnet(#[from] DevnetError),
    /// The demo's story did not go as it should.
    #[error("the demo: {0}")]
    Demo(&'static str),
    /// The certificate authority of `pay-proxy` cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A file cannot be taken over into the wallet.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A token file of another program cannot be read.
    #[error(transparent)]
    TokenFile(#[from] BadTokenFile),
    /// The user's settings cannot be used.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The wallet has no payment whose hash begins so.
    #[error("the wallet has no payment whose hash begins with `{0}`")]
    NoPurchase(String),
    /// The wallet has several payments whose hashes begin so.
    #[error("several payments begin with `{0}`; write more of the hash")]
    SeveralPurchases(String),
    /// The end of a payment is not known.
    #[error("the end of payment {0} is not known: set aside, it might be paid twice")]
    NotEnded(PaymentHash),
    /// There is no such budget in the wallet.
    #[error("the wallet keeps no budget called `{0}`")]
    NoBudget(String),
    /// There is no such command.
    #[error("there is no command `{0}`")]
    NoCommand(String),
    /// With `--fail`: the status is 400 or above.
    #[error("the server answers {status}")]
    Status {
        /// What it answered.
        status: StatusCode,
        /// How long it wants us to wait.
        retry_after: Option<Duration>,
        /// What was paid for that answer.
        paid: Option<PaymentHash>,
    },
    /// With `--no-pay`: it costs something.
    #[error("payment is asked, and `--no-pay` is given: {0}")]
    NotToPay(String),
    /// What an earlier payment was for is to be paid once more.
    #[error(
        "what payment {hash} was for is not opened by it any more, and is asked to be paid again: {price}"
    )]
    AskedAgain {
        /// The payment that was made.
        hash: PaymentHash,
        /// What is asked now.
        price: String,
    },
    /// It took longer than `--max-time` allows.
    #[error("it took longer than {} seconds", limit.as_secs_f32())]
    TimedOut {
        /// What was allowed.
        limit: Duration,
        /// What was paid by then. Its proof is in the wallet.
        paid: Option<PaymentHash>,
    },
    /// It was slower than `--speed-limit` allows.
    #[error("it came slower than is allowed")]
    TooSlow,
    /// It is longer than `--max-filesize` allows.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// What was allowed, in bytes.
        limit: u64,
    },
    /// The rest of a file was asked for, and something else is sent.
    #[error("the server does not send the part that was asked for")]
    NotAPart,
    /// The body is not compressed as its head says.
    #[error(transparent)]
    Compressed(#[from] Damaged),
    /// The body does not fit into a JSON object.
    #[error("the response is longer than {LONGEST_IN_JSON} bytes, too long for a JSON object")]
    TooLongForJson,
}

impl Failure {
    /// A word for programs, which stays the same when the message is reworded.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Stdout(_) | Self::Io { .. } => "io",
            Self::NoToken(_)
            | Self::Token(_)
            | Self::NotAPreimage
            | Self::NotAMacaroon
            | Self::SeveralMacaroons(_) => "bad_token",
            Self::Attenuate(_) => "bad_caveat",
            Self::Invoice(_) => "bad_invoice",
            Self::Ask(_) => "bad_request",
            Self::TooLongForJson | Self::TooLong { .. } => "too_long",
            Self::Status { status, .. } if status.as_u16() == 429 => "rate_limited",
            Self::Status { .. } => "http_status",
            Self::NotToPay(_) | Self::AskedAgain { .. } => "payment_required",
            Self::TimedOut { .. } | Self::TooSlow => "timeout",
            Self::NotAPart => "wrong_part",
            Self::Compressed(_) => "network",
            Self::NoHome => "no_home",
            Self::NoNode(_) => "no_node",
            Self::NoChain => "no_chain",
            Self::NoRoom { .. } => "no_channel",
            Self::Open(_) => "node",
            Self::Wallet(_) => "wallet",
            Self::Client(_) => "client",
            Self::Fetch(error) => refusal::kind(error),
            Self::BrokeOff(_) => "network",
            Self::Config { .. } | Self::Settings(_) => "config",
            Self::NoPurchase(_) | Self::SeveralPurchases(_) | Self::NotEnded(_) => "bad_payment",
            Self::NoBudget(_) => "no_budget",
            Self::Import(_) | Self::TokenFile(_) => "bad_import",
            Self::Authority(_) => "authority",
            Self::NoCommand(_) => "bad_request",
            Self::Secret(_) | Self::Place(_) => "secret",
            Self::Gateway(_) => "gateway",
            Self::AdminDoor(_) => "admin_door",
            Self::AdminAsk(_) => "admin",
            Self::AdminRefused(refusal) => refusal.kind(),
            Self::Purse(_) => "purse",
            Self::Node(failure) => failure.kind(),
            Self::Devnet(_) => "devnet",
            Self::Demo(_) => "demo",
        }
    }

    /// What to do about it, when we know.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoToken(_) => {
                "give the token itself, `token:preimage`, or a WWW-Authenticate or Authorization line"
            }
            Self::Attenuate(_) => "see `tollway token attenuate --help` for the known conditions",
            Self::TooLongForJson => {
                "give `-o FILE`; what was paid for is in the wallet and is not paid for again"
            }
            Self::NoNode(_) => {
                "give `--node URL` or set TOLLWAY_NODE; `tollway devnet` starts nodes to try it with"
            }
            Self::NotToPay(_) => "leave `--no-pay` out to pay for it",
            Self::AskedAgain { .. } => {
                "`tollway get` pays for it again; the proof is kept, ask the seller"
            }
            Self::NotAPart => "leave `--continue-at` out to get the whole file",
            Self::TooLong { .. } => "give a larger `--max-filesize`",
            Self::Status { paid: Some(_), .. } => {
                "what was paid for is in the wallet, and is used when the same command is run again"
            }
            Self::TimedOut { paid: Some(_), .. } => {
                "the proof is kept: run the same command again, and nothing more is paid"
            }
            Self::TimedOut { paid: None, .. } => {
                "run the same command again, with a larger `--max-time`"
            }
            Self::NoPurchase(_) | Self::SeveralPurchases(_) => "`tollway tokens` lists them",
            Self::NotEnded(_) => "`tollway resume` asks the node",
            Self::NoBudget(_) => "`tollway budget` lists them",
            Self::Authority(AuthorityError::OtherHosts { .. }) => {
                "name the same hosts, or another folder: programs must trust a new certificate then"
            }
            Self::Authority(_) => "give `--ca-dir` a folder of your own",
            Self::NoCommand(_) => "`tollway help` lists them",
            Self::Settings(_) => "`tollway config set` changes one key, and checks it first",
            Self::NoChain => {
                "`tollway devnet` starts a private network, and prints nodes that can be named by `--node`"
            }
            Self::NoRoom { node } => {
                let node = node.as_deref().unwrap_or("ldk:...");
                return Some(format!(
                    "name who opens one when the first payment comes, `--lsp <public key>@<host>:<port>`; \
                     or open one and spend from it, `tollway node address --node '{node}'` and \
                     `tollway node open-channel`; or be paid on a node that you have, `--node URL`"
                ));
            }
            Self::NoHome => "set TOLLWAY_HOME to a folder of your own",
            Self::BrokeOff(_) | Self::TooSlow | Self::Compressed(_) => {
                "run the same command again: what was paid for is not paid for again"
            }
            Self::Wallet(WalletError::Sealed { .. } | WalletError::Key(KeyError::Wrong)) => {
                "name its key by `--wallet-key`, as `file:PATH`, `env:NAME`, `keyring:NAME` or `ask`"
            }
            Self::Fetch(error) => return refusal::hint(error).map(str::to_owned),
            Self::Node(failure) => return failure.hint(),
            Self::AdminAsk(error) => return error.hint().map(str::to_owned),
            Self::AdminRefused(refusal) => return refusal.hint(),
            Self::Stdout(_)
            | Self::Io { .. }
            | Self::Ask(_)
            | Self::Import(_)
            | Self::TokenFile(_)
            | Self::Status { paid: None, .. }
            | Self::Token(_)
            | Self::NotAPreimage
            | Self::NotAMacaroon
            | Self::SeveralMacaroons(_)
            | Self::Invoice(_)
            | Self::Open(_)
            | Self::Wallet(_)
            | Self::Client(_)
            | Self::Place(_)
            | Self::Config { .. }
            | Self::Secret(_)
            | Self::Gateway(_)
            | Self::AdminDoor(_)
            | Self::Purse(_)
            | Self::Devnet(_)
            | Self::Demo(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// What became of the money, and of which payment, when the failure is about one.
    pub(crate) fn money(&self) -> Option<(MoneyMoved, Option<PaymentHash>)> {
        match self {
            Self::Fetch(error) => Some((error.money_moved(), error.payment())),
            Self::Node(failure) => failure.money(),
            Self::Status { paid, .. } | Self::TimedOut { paid, .. } => Some(match paid {
                Some(hash) => (MoneyMoved::Yes, Some(*hash)),
                None => (MoneyMoved::No, None),
            }),
            Self::NotToPay(_) => Some((MoneyMoved::No, None)),
            Self::AskedAgain { hash, .. } => Some((MoneyMoved::No, Some(*hash))),
            _ => None,
        }
    }
}
