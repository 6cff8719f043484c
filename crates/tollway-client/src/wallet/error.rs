//! How a wallet fails.

use std::path::PathBuf;

use l402::PaymentHash;

use crate::origin::Origin;
use crate::policy::OverLimit;
use crate::wallet::seal::KeyError;

/// The wallet could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// Its file or its folder failed.
    #[error("the wallet `{}` cannot be {doing}", .path.display())]
    Storage {
        /// Which file.
        path: PathBuf,
        /// What was tried: "opened", "written" ...
        doing: &'static str,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others can read it, and it is as good as the money that was paid for what is in it.
    #[error("others can read the wallet `{}` (mode {mode:03o}); run `chmod 600` on it", .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is sealed, and no key was given.
    #[error("the wallet `{}` is sealed: give its key", .path.display())]
    Sealed {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has sealed it, or taken the seal off, since it was opened.
    #[error("the wallet was sealed, or unsealed, by another process: open it again")]
    Resealed,
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A row does not say what it must. It is left as it is.
    #[error("the wallet's record of payment {hash} cannot be read: {what}")]
    Damaged {
        /// Which payment, as it stands there.
        hash: String,
        /// Which field.
        what: &'static str,
    },
    /// A limit that the wallet keeps cannot be read; a newer version may have written it. Nothing is
    /// paid while nobody knows what it allows.
    #[error("the limit `{name}` that the wallet keeps cannot be read; set it anew or drop it")]
    DamagedLimit {
        /// Its name.
        name: String,
        /// What is the matter with it.
        source: serde_json::Error,
    },
    /// A limit does not allow what was to be begun. Nothing was written.
    #[error(transparent)]
    OverLimit(Box<OverLimit>),
    /// That payment was made earlier, and its proof is here.
    #[error("payment {0} was made already")]
    AlreadyPaid(PaymentHash),
    /// There is no such payment.
    #[error("payment {0} was never begun in this wallet")]
    NotBegun(PaymentHash),
    /// The turn is for another origin.
    #[error("the turn is for {turn}, and the purchase is from {origin}")]
    WrongTurn {
        /// Whose turn it is.
        turn: Origin,
        /// What was about to be bought from.
        origin: Origin,
    },
}

impl From<OverLimit> for WalletError {
    fn from(over: OverLimit) -> Self {
        Self::OverLimit(Box::new(over))
    }
}
