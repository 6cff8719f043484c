//! Taking a wallet's contents elsewhere, and bringing in what other programs have bought.
//!
//! What is written is JSON with a version, with the secrets in it: whoever reads it can use everything
//! that was paid for. What is read is checked as if a server had sent it.

mod aperture;
mod lnget;
mod written;

use l402::Secret;
use serde::{Deserialize, Serialize};

use super::{Adopted, Wallet, WalletError};
use crate::policy::Limit;
use written::Written;

pub use aperture::{BadTokenFile, TokenFile};
pub use lnget::{LngetStore, Passed, PassedOver};

/// What the first key of an export says.
const FORMAT: &str = "tollway-wallet";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    format: String,
    version: u32,
    payments: Vec<Written>,
    limits: Vec<Kept>,
}

/// A limit that the wallet itself keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    limit: Limit,
}

/// An export cannot be taken over. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not JSON, or not of this form.
    #[error("this is no export of a wallet")]
    Json(#[source] serde_json::Error),
    /// Something else, or of a version that came later.
    #[error("this is `{format}` version {version}, and `tollway-wallet` version 1 is read here")]
    Version {
        /// What it calls itself.
        format: String,
        /// Which version.
        version: u32,
    },
    /// One payment in it is not what it says.
    #[error("payment {hash} in the export cannot be taken over: {what}")]
    Damaged {
        /// Which payment, as it stands there.
        hash: String,
        /// Which field.
        what: &'static str,
    },
    /// The wallet failed.
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

/// Everything in `wallet`, as JSON: tokens with their proofs, payments without a known end, and the
/// limits that the wallet keeps.
///
/// # Errors
/// The wallet cannot be read.
pub async fn export(wallet: &dyn Wallet) -> Result<Secret<String>, WalletError> {
    let payments = wallet.entries().await?.iter().map(Written::from).collect();
    let limits = wallet.limits().await?.into_iter().map(|(name, limit)| Kept { name, limit });
    let export =
        Export { format: FORMAT.to_owned(), version: VERSION, payments, limits: limits.collect() };
    let text = serde_json::to_string_pretty(&export).expect("it is text and numbers");
    Ok(Secret::new(text))
}

/// Takes over what [`export`] wrote. Payments that are here already stay as they are, and so does a
/// limit whose name is taken.
///
/// # Errors
/// See [`ImportError`]; nothing was taken over then.
pub async fn import(wallet: &dyn Wallet, text: &str) -> Result<Adopted, ImportError> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = serde_json::from_str(text).map_err(ImportError::Json)?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(ImportError::Version { format: head.format, version: head.version });
    }
    let export: Export = serde_json::from_str(text).map_err(ImportError::Json)?;
    let entries = export.payments.into_iter().map(Written::entry).collect::<Result<Vec<_>, _>>()?;
    let adopted = wallet.adopt(&entries).await?;
    let known = wallet.limits().await?;
    for Kept { name, limit } in export.limits {
        if known.iter().all(|(known, _)| *known != name) {
            wallet.set_limit(&name, &limit).await?;
        }
    }
    Ok(adopted)
}
