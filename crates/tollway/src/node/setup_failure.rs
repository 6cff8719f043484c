//! How `tollway node setup` fails, with the number and the hint of each.

use std::path::PathBuf;

use l402::NodeError;
use tollway_nodes::LndState;

use crate::exit::Exit;

/// A node could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupFailure {
    /// There is no program to start.
    #[error("there is no lnd on this machine's search path")]
    NoLnd,
    /// It is set up in another way.
    #[error("{} is there, and says something else", .0.display())]
    OtherConf(PathBuf),
    /// A chain of one's own has no seeds to find nodes by.
    #[error("on regtest a node of the chain must be named")]
    NoChainPeer,
    /// A seed that goes into a file or a program is not shown without being asked for.
    #[error("the seed of the new wallet can be shown on a terminal only")]
    NobodyToShowTheSeed,
    /// lnd does not come further.
    #[error("lnd does not come further than `{state:?}`")]
    Stuck { state: LndState, log: PathBuf },
    /// lnd cannot be talked to, or refuses.
    #[error("lnd cannot be set up")]
    Silent(#[source] NodeError),
}

impl SetupFailure {
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::NoLnd | Self::Stuck { .. } => Exit::General,
            Self::OtherConf(_) | Self::NoChainPeer | Self::NobodyToShowTheSeed => Exit::Usage,
            Self::Silent(_) => Exit::Network,
        }
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoLnd => {
                "take lnd from https://github.com/lightningnetwork/lnd/releases and \
                            check its signature, or build it: `go install \
                            github.com/lightningnetwork/lnd/cmd/lnd@latest`; then run this again, \
                            with `--lnd FILE` if it is not on the search path"
            }
            Self::OtherConf(_) => "choose another folder with `--lnddir`, or move that file away",
            Self::NoChainPeer => "`--chain-peer HOST:PORT` names it",
            Self::NobodyToShowTheSeed => {
                "run it on a terminal, or give `--print-seed` if whatever reads the output may own \
                 the money"
            }
            Self::Stuck { log, .. } => return format!("its own log is {}", log.display()),
            Self::Silent(_) => {
                "if another program is at that port, `--rest-port` chooses another one; lnd's own \
                 log is in its folder"
            }
        }
        .to_owned()
    }
}
